"""`python -m trainer plan`: will a configuration fit on a device, and how long will it take?

Answered from the model's config.json and the data (estimate.py), before any weight is fetched. What does
not fit comes with what to lower, each change planned anew to say what it saves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from fsmbot.doctor.base import Compute
from fsmbot.errors import ConfigError
from trainer.config import LINEAR, Config
from trainer.config_file import load_config
from trainer.devices import DEVICES, GIB, find_device
from trainer.estimate import Item, Setup, flops, memory, total
from trainer.shapes import find_shape
from trainer.work import Work, count_work

MARGIN = 0.15
"""How far the estimate was from what was measured, at the most (the table in estimate.py)."""


def plan(path: Path, overrides: Sequence[str] = (), *, device: str = "") -> str:
    """Return the plan of a configuration as text; device: "" for this machine's.

    Raises ConfigError, and MissingExtra if a package is not installed.
    """
    config, target = load_config(path, overrides), find_device(device)
    _refuse_unknown(config)
    shape, source = find_shape(config)
    work = count_work(config)
    setup = Setup(config, shape, target, work.data, work.steps, work.longest)
    millions = (shape.quantized + shape.unquantized) / 1e6
    lines = [
        f"{config.name} on {target.title}: an estimate, made without loading weights",
        f"base: {millions:,.0f} M parameters in {shape.layers} layers; shape from {source}",
        "",
        *table(memory(setup)),
        *verdict(setup),
        "",
        *timing(setup, work),
    ]
    return "\n".join(lines)


def _refuse_unknown(config: Config) -> None:
    unknown = [target for target in config.lora.targets if target not in LINEAR]
    if unknown:
        raise ConfigError(
            f"lora.targets: no layer '{unknown[0]}' in a Llama-like base; it has {', '.join(LINEAR)}"
        )


def table(items: list[Item]) -> list[str]:
    """Return the items as aligned lines, and their sum."""
    rows = [*items, Item("at the peak", total(items), "in the backward pass of the longest dialogues")]
    wide = max(len(item.what) for item in rows)
    return [f"  {item.what:{wide}}  {item.size / GIB:7.2f} GiB  {item.why}" for item in rows]


def verdict(setup: Setup) -> list[str]:
    """Say whether it fits; if it does not, or barely, what would help."""
    device, need = setup.device, total(memory(setup))
    lines = [f"a {device.title} computes no bfloat16: set base.compute=float16"] if _wrong_type(setup) else []
    has = f"{device.title} has {device.memory / GIB:.1f} GiB"
    if need * (1 + MARGIN) <= device.memory:
        return [*lines, f"it fits: {has}, {(device.memory - need) / GIB:.1f} more than needed"]
    if need <= device.memory:
        start = f"it fits by a little: {has}, and the estimate may be wrong by {MARGIN:.0%}"
    else:
        start = f"it does NOT fit: {has}, {(need - device.memory) / GIB:.1f} GiB less than needed"
    return [*lines, start, *suggestions(setup), *_larger(setup)]


def _wrong_type(setup: Setup) -> bool:
    return setup.config.base.compute == "bfloat16" and not setup.device.bfloat16


def suggestions(setup: Setup) -> list[str]:
    """Return changes that save memory, the most helpful first, with what each saves by itself."""
    need, found = total(memory(setup)), []
    for text, config in cheaper(setup).items():
        now = total(memory(replace(setup, config=config)))
        if now < need:
            fits = ", and it fits" if now <= setup.device.memory else ""
            found.append(
                (now, f"  --set {text}", f"saves {(need - now) / GIB:.2f} GiB: {now / GIB:.2f}{fits}")
            )
    wide = max((len(text) for _, text, _ in found), default=0)
    return [f"{text:{wide}}  {says}" for _, text, says in sorted(found)]


def cheaper(setup: Setup) -> dict[str, Config]:
    """Return variants that may need less memory, each under the override that makes it."""
    config = setup.config
    base, data, steps, lora = config.base, config.data, config.steps, config.lora
    half = max(data.max_tokens, steps.micro_tokens // 2)
    rank = max(1, lora.r // 2)
    paged = replace(config.optimizer, name="paged_adamw_8bit")
    variants = {
        "base.gradient_checkpointing=true": replace(config, base=replace(base, gradient_checkpointing=True)),
        f"steps.micro_tokens={half}": replace(config, steps=replace(steps, micro_tokens=half)),
        f"lora.r={rank}": replace(config, lora=replace(lora, r=rank)),
        "optimizer.name=paged_adamw_8bit": replace(config, optimizer=paged),
    }
    if base.compute == "float32":
        half_type: Compute = "bfloat16" if setup.device.bfloat16 else "float16"
        variants |= {f"base.compute={half_type}": replace(config, base=replace(base, compute=half_type))}
    if half == steps.micro_tokens:  # a part cannot be smaller than the longest dialogue
        short = data.max_tokens // 2
        shorter = replace(data, max_tokens=short), replace(steps, micro_tokens=short)
        text = f"data.max_tokens={short} --set steps.micro_tokens={short}"
        variants[text] = replace(config, data=shorter[0], steps=shorter[1])
    return variants


def _larger(setup: Setup) -> list[str]:
    """Name the smallest card that holds the run as it is."""
    sizes = {name: total(memory(replace(setup, device=device))) for name, device in DEVICES.items()}
    enough = [d for d in DEVICES.values() if not d.is_cpu and sizes[d.name] * (1 + MARGIN) <= d.memory]
    if not enough:
        return ["  no card of the table holds it as it is"]
    smallest = min(enough, key=lambda device: device.memory)
    return [f"  or a larger device: --device {smallest.name} holds it as it is"]


def timing(setup: Setup, work: Work) -> list[str]:
    """Say how fast it will go, and how long it will take as far as that is known."""
    device, each = setup.device, flops(setup)
    slow, fast = each / device.fast, each / device.slow  # seconds a token
    batch = setup.config.steps.batch
    speeds = _range(device.slow / each, device.fast / each)
    lines = [
        f"speed: {speeds} tokens/s at {each / 1e9:.2f} GFLOP a token",
        f"  {device.source}",
        f"data: {work.note}",
        f"  {_span(slow, fast, batch * work.tokens):20}  a step of {batch} dialogues",
        f"  {_span(slow, fast, 1000 * work.tokens):20}  1,000 dialogues",
    ]
    if work.steps:
        whole = _span(slow, fast, work.steps * batch * work.tokens)
        return [*lines, f"  {whole:20}  {work.steps:,} steps, without evaluations"]
    return [*lines, "  how many steps is not known before the data is read"]


def _range(low: float, high: float) -> str:
    return f"{low:,.0f}" if low == high else f"{low:,.0f} to {high:,.0f}"


def _span(fast: float, slow: float, tokens: float) -> str:
    short, long = _duration(fast * tokens), _duration(slow * tokens)
    return short if short == long else f"{short} to {long}"


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
