"""`python -m trainer merge`: base and adapter as one 16-bit model, for serving elsewhere.

The adapter was trained on the base's 4-bit weights, so it is merged into these, dequantized: merged into
the original 16-bit weights it would meet others than it knows. What the rounding to 16 bits costs is
measured on the model as it was written.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from fsmbot.doctor.adapter import with_adapter
from fsmbot.doctor.artefact import has_adapter, read_card
from fsmbot.doctor.base import load_base
from fsmbot.doctor.prompt import Prompt
from fsmbot.doctor.quiet import quiet
from fsmbot.errors import ConfigError
from trainer.checkpoint import write_whole

QUESTIONS = (
    "What are the symptoms of a cold?",
    "I have had a headache for two days and light hurts my eyes. What should I do?",
    "Is it safe to take ibuprofen with food?",
)
"""What both models are asked to see how far they agree."""


def merge(folder: Path, out: Path, *, dtype: Literal["bfloat16", "float16"] = "bfloat16") -> str:
    """Merge an artefact folder into `out` (a folder of transformers); return a line on how well they agree.

    Raises ConfigError (no adapter, out exists, disk full), DoctorError (folder or base cannot be read).
    """
    if not has_adapter(folder):
        raise ConfigError(f"{folder} holds no adapter; name a folder that `train` wrote")
    if out.exists():
        raise ConfigError(f"{out} exists already; name a folder to be made with --out")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.mkdir()  # before minutes of work, not after
        out.rmdir()
    except OSError as error:
        raise ConfigError(
            f"{out} cannot be made: {error.strerror}; name another folder with --out"
        ) from error
    card = read_card(folder)
    base = load_base(card.base, card.revision, compute="float32")
    with quiet():
        # In evaluation mode bitsandbytes repacks its weights on some CPUs, and they dequantize to noise.
        adapted = with_adapter(base.model, folder).train()
        prompts = [Prompt(base.tokenizer, card.system).question(text) for text in QUESTIONS]
        before = scores(adapted, prompts)
        merged = merged_model(adapted.get_base_model(), dtype)
        write_whole(out, lambda place: save(merged, base.tokenizer, place))
        after = scores(_reload(out, base.model.device), prompts)
    return f"wrote {out} in {dtype}; {agreement(before, after)}"


def merged_model(model: Any, dtype: str) -> Any:
    """Return a 16-bit copy of a model whose 4-bit layers, with adapters or without, became plain ones."""
    import torch
    from bitsandbytes.nn.modules import Linear4bit
    from peft.tuners.lora.bnb import Linear4bit as Adapted
    from transformers import AutoModelForCausalLM

    wanted = getattr(torch, dtype)
    for kind in (Adapted, Linear4bit):  # an adapted layer holds a 4-bit one, so it goes first
        for name, layer in [pair for pair in model.named_modules() if isinstance(pair[1], kind)]:
            model.set_submodule(name, plain_layer(layer, wanted))
    config = type(model.config).from_dict(model.config.to_dict())
    del config.quantization_config
    models: Any = AutoModelForCausalLM
    with torch.device("meta"):  # so that no second copy takes memory
        fresh = models.from_config(config, dtype=wanted)
    state = {name: tensor.to("cpu", wanted) for name, tensor in model.state_dict().items()}
    fresh.load_state_dict(state, assign=True)  # refuses a layer that is missing
    fresh.tie_weights()
    fresh.generation_config = model.generation_config
    return fresh


def plain_layer(layer: Any, dtype: Any) -> Any:
    """Return a linear layer on the CPU that does what a 4-bit one with its adapter, if any, does.

    They are added up in float32 and rounded once.
    """
    import torch
    from bitsandbytes.functional import dequantize_4bit

    base = getattr(layer, "base_layer", layer)
    weight = dequantize_4bit(base.weight.data, base.weight.quant_state).float()
    if base is not layer:
        weight += layer.get_delta_weight("default").float()
    plain = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=base.bias is not None, device="meta")
    plain.weight = torch.nn.Parameter(weight.to("cpu", dtype), requires_grad=False)
    plain.bias = base.bias
    return plain


def save(model: Any, tokenizer: Any, folder: Path) -> None:
    """Write a model and its tokenizer as transformers reads them."""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def scores(model: Any, prompts: Sequence[list[int]]) -> list[Any]:
    """Return for each prompt the log probabilities of the next token at all its places, in float32."""
    import torch

    with torch.no_grad():
        return [
            model(input_ids=torch.tensor([ids], device=model.device)).logits[0].float().log_softmax(-1).cpu()
            for ids in prompts
        ]


def agreement(before: Sequence[Any], after: Sequence[Any]) -> str:
    """Say how far two models agree: the mean Kullback-Leibler divergence, and how often the best token is
    the same."""
    import torch

    old, new = torch.cat(list(before)), torch.cat(list(after))
    divergence = float((old.exp() * (old - new)).sum(-1).mean())
    same = float((old.argmax(-1) == new.argmax(-1)).float().mean())
    return (
        f"against base and adapter in 4 bits: divergence {divergence:.1e} nats a token, "
        f"the same best token at {same:.1%} of {len(old)} places"
    )


def _reload(folder: Path, device: Any) -> Any:
    """Load what was written as anybody else would, but in float32, to see the rounding of weights alone."""
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype="float32", local_files_only=True).to(device)
