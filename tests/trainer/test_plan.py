"""Plans: what a run will need, from shapes alone; each promise with its bounds."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import trainer.shapes
from fsmbot.errors import ConfigError, DoctorError
from trainer.cli import main
from trainer.config_file import load_config
from trainer.devices import DEVICES, GIB, find_device
from trainer.estimate import NF4, Setup, flops, memory, total
from trainer.plan import MARGIN, cheaper, plan, suggestions
from trainer.shapes import KNOWN, find_shape, read_shape

CONFIGS = Path(__file__).parent.parent.parent / "trainer" / "configs"
COLAB = CONFIGS / "llama2-7b-colab.yaml"
LLAMA = KNOWN["meta-llama/Llama-2-7b-hf"]
WITHOUT = "base.gradient_checkpointing=false"


@pytest.fixture(autouse=True)
def _no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test asks the network for a config.json of the hub."""
    monkeypatch.setenv("XDG_CACHE_HOME", "/nonexistent")
    monkeypatch.setattr("fsmbot.doctor.base.is_reachable", lambda _: False)


def colab(*overrides: str, device: str = "t4") -> Setup:
    """Return the reference run on a device."""
    return Setup(load_config(COLAB, overrides), LLAMA, DEVICES[device])


def gib(setup: Setup) -> dict[str, float]:
    """Return the size of each item in GiB."""
    return {item.what: item.size / GIB for item in memory(setup)}


def test_shapes_give_the_published_numbers_of_parameters() -> None:
    """In millions, as the models' cards say them."""
    counts = {name: round((s.quantized + s.unquantized) / 1e6) for name, s in KNOWN.items()}
    assert counts == {
        "HuggingFaceTB/SmolLM2-135M-Instruct": 135,
        "HuggingFaceTB/SmolLM2-360M-Instruct": 362,
        "HuggingFaceTB/SmolLM2-1.7B-Instruct": 1711,
        "TinyLlama/TinyLlama-1.1B-Chat-v1.0": 1100,
        "meta-llama/Llama-2-7b-hf": 6738,
        "meta-llama/Llama-2-13b-hf": 13016,
        "meta-llama/Llama-3.2-1B": 1236,
        "meta-llama/Llama-3.2-3B": 3213,
    }


def test_every_item_of_the_reference_run_is_within_its_bounds() -> None:
    """GiB, for Llama-2-7b at 4 x 512 tokens on a T4; papers say 5.5 in all, with 16-bit activations."""
    found, setup = gib(colab()), colab()
    bounds = {
        "4-bit weights": (3.0, 3.3), "16-bit weights": (0.45, 0.52), "adapter": (0.14, 0.16),
        "gradients": (0.14, 0.16), "optimizer": (0.07, 0.08), "activations": (0.99, 1.01),
        "one layer again": (0.4, 0.5), "backward pass": (0.4, 0.45), "logits": (0.02, 0.05),
        "CUDA": (0.6, 0.8),
    }  # fmt: skip
    assert list(found) == list(bounds)
    assert all(low <= found[what] <= high for what, (low, high) in bounds.items()), found
    assert setup.trained == 39_976_960  # what peft prints for r=16 on all seven
    assert 3.3 <= found["4-bit weights"] + found["16-bit weights"] <= 4.0
    assert 5.5 <= sum(found.values()) <= 7.0


def test_the_quantized_size_is_that_of_real_4_bit_weights(tiny_base: Path) -> None:
    """Bytes of every packed weight and constant of a loaded model, to a tenth."""
    from fsmbot.doctor.base import load_base

    model = load_base(str(tiny_base), compute="float32", device="cpu").model
    packed = 0
    layers = [m for m in model.modules() if type(m).__name__ == "Linear4bit"]
    for layer in layers:
        state = layer.weight.quant_state
        constants = (state.absmax, state.state2.absmax)
        packed += sum(t.numel() * t.element_size() for t in (layer.weight, *constants))
    shape = read_shape(json.loads((tiny_base / "config.json").read_text()), "tiny")
    assert len(layers) == 14
    assert shape.quantized == sum(layer.in_features * layer.out_features for layer in layers)
    assert packed == pytest.approx(shape.quantized * NF4, rel=0.1)


def test_the_reference_fits_a_t4_and_says_so() -> None:
    """The verdict, the sum, and the speed that was published."""
    text = plan(COLAB, device="t4")
    assert "it fits: NVIDIA T4 (16 GB) has 14.7 GiB" in text
    assert re.search(r"at the peak +6\.\d\d GiB", text)
    assert "an estimate" in text
    assert "a table in the trainer, as its config.json cannot be had here" in text
    assert "250 steps" in text


def test_without_checkpointing_it_does_not_fit_and_says_what_to_lower() -> None:
    """Every change is named as it is typed, with what it saves, the most helpful first."""
    text = plan(COLAB, [WITHOUT, "optimizer.name=adamw"], device="t4")
    assert "it does NOT fit" in text
    changes = re.findall(r"--set (\S+) +saves (\d+\.\d\d) GiB", text)
    assert [name for name, _ in changes] == [
        "base.gradient_checkpointing=true", "steps.micro_tokens=1024", "lora.r=8",
        "optimizer.name=paged_adamw_8bit",
    ]  # fmt: skip
    assert [float(saved) for _, saved in changes] == sorted((float(s) for _, s in changes), reverse=True)
    assert "--device l4 holds it as it is" in text


@pytest.mark.parametrize("device", list(DEVICES))
def test_what_is_suggested_can_be_typed_and_helps(device: str) -> None:
    """An override that is suggested loads, and lowers the estimate by what was said."""
    first = [WITHOUT, "optimizer.name=adamw", "base.compute=float32", "steps.micro_tokens=512"]
    setup = colab(*first, device=device)
    lines = suggestions(setup)
    assert len(lines) >= 4
    for line in lines:
        texts = re.findall(r"--set (\S+)", line)
        lowered = dataclasses.replace(setup, config=load_config(COLAB, [*first, *texts]))
        saved = (total(memory(setup)) - total(memory(lowered))) / GIB
        assert f"saves {saved:.2f} GiB" in line


def test_a_cpu_has_no_paged_optimizer() -> None:
    """The loop takes float32 moments there, so the plan counts them, and does not suggest otherwise."""
    setup = colab(device="cpu")
    assert gib(setup)["optimizer"] == pytest.approx(4 * gib(colab())["optimizer"])
    assert not any("8bit" in line for line in suggestions(setup))


def test_checkpointing_costs_another_forward_pass() -> None:
    """About 6 operations a parameter and token instead of 4."""
    with_, without = flops(colab()), flops(colab(WITHOUT))
    assert 1.4 < with_ / without < 1.55
    assert 4.0 < without / LLAMA.quantized < 4.4


def test_a_t4_is_told_apart_by_what_it_cannot() -> None:
    """It has no bfloat16; a plan that asks for it says what to set."""
    assert "computes no bfloat16: set base.compute=float16" in plan(
        COLAB, ["base.compute=bfloat16"], device="t4"
    )
    assert "bfloat16: set" not in plan(COLAB, ["base.compute=bfloat16"], device="l4")


def test_unknown_devices_layers_and_bases_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, and one line with what is known instead."""
    assert main(["plan", "--config", str(COLAB), "--device", "t5"]) == 2
    assert "no such device; known: cpu, t4, l4, a10g, a100-40, a100-80, h100" in capsys.readouterr().err
    assert main(["plan", "--config", str(COLAB), "--set", "lora.targets=[c_attn]"]) == 2
    assert "no layer 'c_attn' in a Llama-like base; it has q_proj" in capsys.readouterr().err
    assert main(["plan", "--config", str(COLAB), "--set", "base.id=who/knows"]) == 2
    assert "the bases whose shape is known" in capsys.readouterr().err


def test_a_config_json_goes_before_what_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A local folder's shape is read; without it the table answers; what is no Llama is refused."""
    (tmp_path / "config.json").write_text(json.dumps({"n_embd": 768}))
    with pytest.raises(ConfigError, match="does not describe a Llama-like model"):
        find_shape(load_config(COLAB, [f"base.id={tmp_path}"]))

    def none(*_: Any) -> Any:
        raise DoctorError("no hub")

    monkeypatch.setattr(trainer.shapes, "base_config", none)
    assert find_shape(load_config(COLAB))[0] == LLAMA


def test_local_data_is_counted_where_the_tokenizer_is_at_hand(tiny_base: Path) -> None:
    """The tiny configuration's own dialogues; without a tokenizer their most is assumed."""
    tiny = CONFIGS / "tiny.yaml"
    assert "20 dialogues of" in plan(
        tiny, [f"base.id={tiny_base}", "data.max_tokens=400", "steps.micro_tokens=900"]
    )
    text = plan(tiny, [], device="cpu")
    assert "the base's tokenizer is not on this machine; dialogues count as 160 tokens" in text
    assert "12 steps" in text


def test_variants_are_whole_configurations() -> None:
    """A suggestion never breaks the rule that the longest dialogue fits in one part."""
    for variant in cheaper(colab("steps.micro_tokens=512")).values():
        assert variant.steps.micro_tokens >= variant.data.max_tokens


def test_a_plan_loads_no_torch_for_a_named_device() -> None:
    """It answers in a second, on a machine without a GPU or the model's weights."""
    command = ["plan", "--config", str(COLAB), "--device", "t4"]
    script = f"import sys; from trainer.cli import main; main({command}); sys.exit('torch' in sys.modules)"
    environment = {"HF_HUB_OFFLINE": "1", "PATH": ""}
    subprocess.run([sys.executable, "-c", script], check=True, env=environment, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize(
    ("steps", "change", "measured"),
    [
        (3, "seed=1", 3.21),
        (3, "steps.micro_tokens=1024", 2.49),
        (3, "base.gradient_checkpointing=true", 1.32),
        (40, "seed=1", 5.44),
    ],
)
def test_the_embedded_base_on_a_cpu_needs_what_was_measured(steps: int, change: str, measured: float) -> None:
    """Within 15% of the peaks of real runs (GiB, the table in estimate.py)."""
    config = load_config(CONFIGS / "smollm2-135m-cpu.yaml", [change])
    shape = KNOWN["HuggingFaceTB/SmolLM2-135M-Instruct"]
    found = total(memory(Setup(config, shape, find_device("cpu"), data=2_461_588, steps=steps)))
    assert found / GIB == pytest.approx(measured, rel=MARGIN)
