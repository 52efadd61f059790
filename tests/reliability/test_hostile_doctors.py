"""Doctors and base models from anywhere: answered with, or refused with a message; nothing of theirs runs."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("safetensors")
from safetensors.numpy import load_file, save_file
from tiny_doctor import ADAPTER, SIZE, WEIGHTS, write_adapter, write_base

from fsmbot.cli import main
from fsmbot.doctor import template

ROOT = Path(__file__).parents[2]
TEACHES = re.compile(r"have the trainer|use a base|use another|it must be|give |train |restore |use the ")
"""One of these is said in every refusal: what to do."""

ROOM = 32 << 20
"""Bytes that a refusal may take besides twice the files: what the libraries keep of an attempt."""

JUDGE = """
import json, logging, sys, threading, time
from pathlib import Path
from fsmbot.doctor import LocalDoctor
from fsmbot.errors import DoctorError

logging.disable()
threading.excepthook = lambda told: print(json.dumps(["broke", f"in a thread: {told.exc_value}", 0, 0]))

def resident(name):
    found = next(line for line in open("/proc/self/status") if line.startswith(name))
    return int(found.split()[1]) * 1024

def ask(folder):
    try:
        answer = LocalDoctor(adapter=folder, device="cpu").answer("What helps?", max_new_tokens=4)
        return "answered", "".join(answer)
    except DoctorError as error:
        return "refused", str(error)
    except BaseException as error:
        return "broke", f"{type(error).__name__}: {error}"

print(json.dumps([*ask(sys.argv[1]), 0, 0]), flush=True)  # the libraries are imported, and caches are full
for line in sys.stdin:
    Path("/proc/self/clear_refs").write_text("5")
    before, began = resident("VmRSS"), time.monotonic()
    outcome = ask(json.loads(line))
    print(json.dumps([*outcome, resident("VmHWM") - before, time.monotonic() - began]), flush=True)
"""
"""Asks the doctors it is told of, and says what became of it, with memory and seconds."""

Change = Callable[[Path], object]
ADAPTERS: dict[str, Change] = {}
BASES: dict[str, Change] = {}


def edit(name: str, **changes: Any) -> Change:
    """Return a change of some keys of a JSON file."""

    def change(folder: Path) -> None:
        path = folder / name
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return change


def tensors(name: str, make: Callable[[dict[str, Any]], dict[str, Any]]) -> Change:
    """Return a change of the tensors of a file."""

    def change(folder: Path) -> None:
        changed = make(load_file(folder / name))
        save_file(changed, folder / name, metadata={"format": "pt"})

    return change


def each(make: Callable[[Any], Any]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda found: {name: np.ascontiguousarray(make(value)) for name, value in found.items()}


def without(part: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda found: {name: value for name, value in found.items() if part not in name}


def put(name: str, content: bytes | str) -> Change:
    data = content if isinstance(content, bytes) else content.encode()
    return lambda folder: (folder / name).write_bytes(data)


def cut(name: str, keep: int) -> Change:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:keep])


def instead(name: str, make: Callable[[Path], object]) -> Change:
    """Return a change that puts something else in a file's place."""

    def change(folder: Path) -> None:
        (folder / name).unlink()
        make(folder / name)

    return change


def both(*changes: Change) -> Change:
    return lambda folder: [change(folder) for change in changes]


def header(length: int, content: bytes = b"{}") -> bytes:
    """Return the beginning of a safetensors file, with a length that may be a lie."""
    return struct.pack("<Q", length) + content


PICKLE = b"cos\nmkdir\n(Vcanary\ntR."
"""Makes a folder named `canary` in the current one when it is read as a pickle."""

EVIL = "import os; os.mkdir('canary')\nclass C: pass\nclass M: pass\ndef generate(*a, **k): pass\n"
REGEX = "(([a-z_.0-9]+)+)+X"
ODD: dict[str, Callable[[Path], object]] = {
    "a folder": Path.mkdir,
    "a pipe": os.mkfifo,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "missing": lambda path: None,
}
for kind, make in ODD.items():
    for file in ("doctor.json", "adapter_config.json", ADAPTER):
        ADAPTERS[f"{file}: {kind}"] = instead(file, make)
    for file in ("config.json", WEIGHTS, "tokenizer.json"):
        BASES[f"{file}: {kind}"] = instead(file, make)
for keep in (0, 7, 8, 100, 3000):
    ADAPTERS[f"{ADAPTER}: cut at {keep}"] = cut(ADAPTER, keep)
    BASES[f"{WEIGHTS}: cut at {keep}"] = cut(WEIGHTS, keep)
for name, value in {
    "auto_mapping": {"parent_library": "evil", "base_model_class": "x"}, "megatron_config": {"x": 1},
    "modules_to_save": ["lm_head"], "layer_replication": [[0, 9]], "rank_pattern": {"(a+)+$": 100_000},
    "alpha_pattern": {"(a+)+$": 1}, "layers_pattern": REGEX, "layers_to_transform": [0],
    "exclude_modules": REGEX, "target_parameters": [REGEX], "trainable_token_indices": [0],
    "init_lora_weights": "pissa", "loftq_config": {"loftq_bits": 4}, "eva_config": {"rho": 2},
    "use_dora": True, "lora_bias": True, "bias": "all", "fan_in_fan_out": True, "evil": "x",
    "peft_type": "IA3", "task_type": "SEQ_CLS", "r": 1024, "lora_alpha": float("nan"),
}.items():  # fmt: skip
    ADAPTERS[f"adapter: {name}"] = edit("adapter_config.json", **{name: value})
ADAPTERS |= {
    "adapter: another type": edit("adapter_config.json", peft_type=["LORA"]),
    "adapter: a rank of 100,000": edit("adapter_config.json", r=100_000),
    "adapter: a rank that is true": edit("adapter_config.json", r=True),
    "adapter: an enormous alpha": edit("adapter_config.json", lora_alpha=1e38),
    "adapter: targets by a slow expression": edit("adapter_config.json", target_modules=REGEX),
    "adapter: every layer": edit("adapter_config.json", target_modules="all-linear"),
    "adapter: more layers than weights": edit(
        "adapter_config.json", target_modules=["q_proj", "v_proj", "up_proj"]
    ),
    "adapter: no such layer": edit("adapter_config.json", target_modules=["nothing"]),
    "adapter: brackets": put("adapter_config.json", "[" * 500_000),
    "adapter: null": put("adapter_config.json", "null"),
    "card: brackets": put("doctor.json", "[" * 1_000_000),
    "card: a system prompt of megabytes": edit("doctor.json", system="x " * 2_000_000),
    "card: an enormous seed": edit("doctor.json", decoding={"seed": 10**30}),
    "card: a seed below zero": edit("doctor.json", decoding={"seed": -1}),
    "card: a temperature of 9": edit("doctor.json", decoding={"temperature": 9}),
    "card: endless prompts": edit("doctor.json", max_prompt_tokens=10**9),
    "card: another version": edit("doctor.json", prompt_version=99),
    "card: an unknown key": edit("doctor.json", run="os.system"),
    "card: a base with a zero byte": edit("doctor.json", base="a\0b"),
    "card: a base with an escape": edit("doctor.json", base="\x1b[31mx/y"),
    "card: a base of 100,000 letters": edit("doctor.json", base="a" * 100_000),
    "card: a base elsewhere": edit("doctor.json", base="../../../../etc"),
    "card: a base by its address": edit("doctor.json", base="http://127.0.0.1:1/x"),
    "card: an odd revision": edit("doctor.json", base="a/b", revision="../../\0"),
    "weights: a header of exabytes": put(ADAPTER, header(2**62) + bytes(1000)),
    "weights: a header of 90 megabytes": put(ADAPTER, header(90_000_000, b"{" + b" " * 89_999_999)),
    "weights: a header of brackets": put(ADAPTER, header(900_000, b"[" * 900_000)),
    "weights: beyond the end": put(
        ADAPTER, header(60, b'{"x":{"dtype":"F32","shape":[9],"data_offsets":[0,36]}}'.ljust(60))
    ),
    "weights: an enormous shape": put(
        ADAPTER,
        header(80, b'{"x":{"dtype":"F32","shape":[99999999999,9],"data_offsets":[0,4]}}'.ljust(80)) + b"1234",
    ),
    "weights: another rank": tensors(ADAPTER, each(lambda value: value[:2])),
    "weights: integers": tensors(ADAPTER, each(lambda value: value.astype("i8"))),
    "weights: three dimensions": tensors(ADAPTER, each(lambda value: value[None])),
    "weights: other names": tensors(ADAPTER, lambda found: {"x": np.zeros(1, "f4")}),
    "weights: some are missing": tensors(ADAPTER, without("layers.1")),
    "weights: one more": tensors(
        ADAPTER, lambda found: {**found, "base_model.model.lm_head.weight": np.zeros((9, 9), "f4")}
    ),
    "weights: NaN": tensors(ADAPTER, each(lambda value: np.full_like(value, np.nan))),
    "weights: infinity": tensors(ADAPTER, each(lambda value: np.full_like(value, np.inf))),
    "weights: enormous": tensors(ADAPTER, each(lambda value: np.full_like(value, 1e38))),
    "weights: a pickle": put(ADAPTER, PICKLE),
    "weights: a pickle beside": instead(ADAPTER, lambda path: path.with_suffix(".bin").write_bytes(PICKLE)),
}
for name, value in {
    "num_hidden_layers": 200_000, "hidden_size": 2**20, "vocab_size": 10**9, "intermediate_size": 2**24,
    "num_key_value_heads": 2**20, "head_dim": 2**20, "num_attention_heads": 0, "dtype": "os",
    "hidden_act": "os.system", "rope_parameters": {"rope_type": "evil", "rope_theta": -1},
    "model_type": "mixtral", "_attn_implementation": "evil/kernel", "attn_implementation": "evil/kernel",
    "text_config": {"_attn_implementation": "evil/kernel"}, "tie_word_embeddings": "no",
    "quantization_config": {"quant_method": "gptq", "bits": 4},
}.items():  # fmt: skip
    BASES[f"config: {name}"] = edit("config.json", **{name: value})
INDEX = "model.safetensors.index.json"


def indexed(name: str) -> Change:
    """Return a change of the one file of weights for an index that names another."""

    def change(folder: Path) -> None:
        names = list(load_file(folder / WEIGHTS))
        (folder / WEIGHTS).rename(folder.parent / "elsewhere.safetensors")
        (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": dict.fromkeys(names, name)}))

    return change


BASES |= {
    "config: weights in 8 bits": edit(
        "config.json", quantization_config={"quant_method": "bitsandbytes", "load_in_8bit": True}
    ),
    "config: experts without end": edit("config.json", model_type="mixtral", num_local_experts=10**6),
    "config: another kind of model": edit("config.json", model_type="mamba"),
    "config: no kind of model": edit("config.json", model_type="evil"),
    "config: brackets": put("config.json", "[" * 500_000),
    "config: a list": put("config.json", "[]"),
    "config: megabytes": edit("config.json", x="x" * 2_000_000),
    "code: a model's own": both(
        edit(
            "config.json",
            model_type="evil",
            auto_map={"AutoConfig": "evil.C", "AutoModelForCausalLM": "evil.M"},
        ),
        put("evil.py", EVIL),
    ),
    "code: a tokenizer's own": both(
        edit(
            "tokenizer_config.json", auto_map={"AutoTokenizer": ["evil.C", "evil.C"]}, tokenizer_class="Evil"
        ),
        put("evil.py", EVIL),
    ),
    "an adapter in it": put(
        "adapter_config.json", '{"base_model_name_or_path": "evil/evil", "peft_type": "LORA"}'
    ),
    "weights: a pickle": put(WEIGHTS, PICKLE),
    "weights: a pickle beside": instead(
        WEIGHTS, lambda path: path.with_name("pytorch_model.bin").write_bytes(PICKLE)
    ),
    "index: a pickle": both(indexed("evil.bin"), put("evil.bin", PICKLE)),
    "index: elsewhere": indexed("../elsewhere.safetensors"),
    "index: nothing": indexed("nothing.safetensors"),
    "index: no map": both(indexed("x"), put(INDEX, '{"weight_map": [1]}')),
    "weights: a header of exabytes": put(WEIGHTS, header(2**62) + bytes(1000)),
    "weights: other shapes": tensors(WEIGHTS, each(lambda value: value[:3])),
    "weights: a layer is missing": tensors(WEIGHTS, without("layers.1")),
    "weights: a norm is missing": tensors(
        WEIGHTS, lambda found: {**without("model.norm")(found), "x": np.zeros(SIZE, "f4")}
    ),
    "weights: NaN": tensors(WEIGHTS, each(lambda value: np.full_like(value, np.nan))),
    "weights: NaN in one": tensors(
        WEIGHTS, lambda found: {**found, "model.norm.weight": np.full(SIZE, np.nan, "f4")}
    ),
    "generation: a list": put("generation_config.json", "[1]"),
    "tokenizer: broken": put("tokenizer.json", '{"model":'),
    "tokenizer: words below zero": edit(
        "tokenizer.json", model={"type": "BPE", "vocab": {"a": -1}, "merges": []}
    ),
    "tokenizer: more words than the model": edit(
        "tokenizer.json", model={"type": "BPE", "vocab": {"a": 10**8}, "merges": []}
    ),
    "tokenizer: a broken map of letters": edit(
        "tokenizer.json", normalizer={"type": "Precompiled", "precompiled_charsmap": "AAAAAAAAAA=="}
    ),
}

MESSAGES = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SIXTY = "{{% set n = namespace(s={}) %}}{{% for i in range(60) %}}{{% set n.s = {} %}}{{% endfor %}}"
TEMPLATES = {
    "its class": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "the system by a function": "{{ lipsum.__globals__['os'].mkdir('canary') }}",
    "the system by a class": "{{ cycler.__init__.__globals__.os.mkdir('canary') }}",
    "the system by a namespace": "{{ namespace.__init__.__globals__ }}",
    "another file": "{% include '/etc/passwd' %}",
    "a module": "{% import 'os' as os %}{{ os.mkdir('canary') }}",
    "a range of billions": "{% for i in range(1000000000) %}x{% endfor %}",
    "a loop in a loop": "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "a text doubled": SIXTY.format("'x'", "n.s ~ n.s"),
    "a list doubled": SIXTY.format("[1]", "n.s + n.s"),
    "a text of gigabytes": "{% set x = 'x' * 10000000000 %}",
    "a list of gigabytes": "{% set x = [1] * 10000000000 %}",
    "a width of gigabytes": "{% set x = '%10000000000d' % 1 %}",
    "a padding of gigabytes": "{% set x = 'x'|center(10000000000) %}",
    "an indent of gigabytes": "{{ messages|tojson(indent=10000000000) }}",
    "a power": "{% set x = 10**100000000 %}",
    "a power by two signs": "{% set x = 10 ** 100000000 %}",
    "a power by rounding": "{% set n = namespace(x=5) %}{% set x = n.x|round(20000000, 'ceil') %}",
    "a number in base 16": (
        "{% set n = namespace(x='f') %}{% set x = (n.x * 12000000)|int(0, 16) %}{{ x * x > 1 }}"
    ),
    "a slow filter": "{{ ('<' * 1000000)|striptags }}",
    "a slow block": "{% filter striptags %}<<<{% endfilter %}",
    "endless words": "{{ lipsum(n=10000000) }}",
    "a macro of itself": "{% macro f() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}",
    "an error": "{{ raise_exception('no') }}",
    "nothing known": "{{ evil.x.y }}",
    "no template": "{% for %}",
    "brackets": "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "three megabytes": "x" * 3_000_000,
    "a megabyte of text": "{{ 'x' * 1000000 }}",
}
BASES |= {
    f"template: {name}": put("chat_template.jinja", text + MESSAGES) for name, text in TEMPLATES.items()
}
HARMLESS: dict[str, Change] = {
    "code that nobody asks for": both(
        edit("config.json", auto_map={"AutoConfig": "evil.C", "AutoModelForCausalLM": "evil.M"}),
        put("evil.py", EVIL),
    ),
    "code for generating": lambda folder: [
        (folder / "custom_generate").mkdir(), (folder / "custom_generate" / "generate.py").write_text(EVIL)
    ],
    "a tensor more": tensors(WEIGHTS, lambda found: {**found, "evil": np.zeros(9, "f4")}),
    "a trillion places": edit("config.json", max_position_embeddings=10**12),
    "a slow expression": edit(
        "tokenizer.json",
        pre_tokenizer={
            "type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": False
        },
    ),
    "a link to the weights": lambda folder: (folder / WEIGHTS).rename(folder.parent / "moved")
    and (folder / WEIGHTS).symlink_to("../moved"),
}  # fmt: skip
"""What changes nothing, as it is neither read nor run."""


def variants(tmp_path: Path, tokenizer: Any, every: int) -> dict[str, Path]:
    """Write every so manieth variant; each is a folder with a doctor and its base."""
    whole = tmp_path / "whole"
    base = write_base(whole / "base", tokenizer)
    write_adapter(whole / "doctor", base)
    paths = {"whole": whole}
    for side, changes in (("doctor", ADAPTERS), ("base", BASES), ("base", HARMLESS)):
        for name in list(changes)[::every]:
            place = Path(shutil.copytree(whole, tmp_path / str(len(paths))))
            edit("doctor.json", base=str(place / "base"))(place / "doctor")
            changes[name](place / side)
            paths[name if name not in paths else f"{side} {name}"] = place
    return paths


def judged(tmp_path: Path, paths: dict[str, Path]) -> dict[str, tuple[str, str, int, float]]:
    """Ask every doctor in a process of its own: outcome, answer or message, memory, seconds."""
    asked = "".join(json.dumps(str(path / "doctor")) + "\n" for path in paths.values())
    environment = {
        "HOME": str(tmp_path), "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1",
        "PATH": os.environ["PATH"],
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", JUDGE, str(paths["whole"] / "doctor")],
        input=asked, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()][1:]
    return dict(zip(paths, map(tuple, rows), strict=True))


def on_disk(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if not path.is_symlink() and path.is_file())


def allowed(name: str, folder: Path) -> int:
    """Return the bytes that a refusal may take; a template is stopped by running out of its own."""
    return 2 * on_disk(folder) + ROOM + (template.ROOM if name.startswith("template") else 0)


def check(tmp_path: Path, tokenizer: Any, every: int) -> str:
    """Have every so manieth variant asked, hold it against the promise, and tell how it went."""
    paths = variants(tmp_path, tokenizer, every)
    seen = judged(tmp_path, paths)
    whole = seen.pop("whole")
    assert whole[0] == "answered"
    harmless = {name: seen.pop(name) for name in list(seen) if name in HARMLESS}
    assert [row for row in harmless.items() if row[1][0] != "answered"] == []
    assert [(name, row[:2]) for name, row in seen.items() if row[0] != "refused"] == []
    assert [(name, row[1]) for name, row in seen.items() if not TEACHES.search(row[1])] == []
    assert [(name, row[2]) for name, row in seen.items() if row[2] > allowed(name, paths[name])] == []
    assert [(name, row[3]) for name, row in seen.items() if row[3] > 20] == []
    assert not list(tmp_path.rglob("canary"))
    grown = {name: max(0, row[2] - 2 * on_disk(paths[name])) >> 20 for name, row in seen.items()}
    by_template = max((grown.pop(name) for name in list(grown) if name.startswith("template")), default=0)
    return (
        f"{len(seen)} of {len(seen)} refused with a reason, {len(harmless)} ignored; 0 of theirs run; beyond "
        f"twice the files {max(grown.values())} MiB at the most, {by_template} for a chat template"
    )


@pytest.mark.timeout(300)
def test_hostile_doctors_are_refused(tmp_path: Path, tokenizer: Any) -> None:
    """A DoctorError that names file or reason and what to do; in seconds, and without much memory."""
    check(tmp_path, tokenizer, 5)


@pytest.mark.hard
@pytest.mark.timeout(600)
@pytest.mark.promise(9, "hostile doctors and base models are refused with a message, nothing of them is run")
def test_all_hostile_doctors_are_refused(
    tmp_path: Path, tokenizer: Any, reached: Callable[[str], None]
) -> None:
    """The same with every variant there is."""
    reached(check(tmp_path, tokenizer, 1))


SEEN_LATER = {
    "adapter: more layers than weights", "card: a base elsewhere", "card: a base by its address",
    "weights: NaN", "weights: infinity", "weights: enormous", "weights: some are missing",
}  # fmt: skip
"""What a look at the files cannot tell; it is told when the model is loaded."""


def test_a_hostile_doctor_is_refused_at_the_command_line(
    tmp_path: Path, tokenizer: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--doctor FOLDER` says so at once, in one line and with exit code 2, before anybody asks anything."""
    base = write_base(tmp_path / "base", tokenizer)
    for number, (name, change) in enumerate(ADAPTERS.items()):
        folder = write_adapter(tmp_path / str(number), base)
        change(folder)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
        code, said = main(["--doctor", str(folder)]), capsys.readouterr().err
        assert code == (0 if name in SEEN_LATER else 2), (name, said)
        assert said.count("\n") == (name not in SEEN_LATER), (name, said)
    assert not list(tmp_path.rglob("canary"))
