"""Weights are checked by their sums before they are used: the hub's, the cached copy's, the shipped ones."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from fsmbot.doctor import weights
from fsmbot.doctor.artefact import SHIPPED
from fsmbot.doctor.hub import check_sums, sha256
from fsmbot.errors import DoctorError
from fsmbot.handlers.medical import SHIPPED as VECTORS

pytest.importorskip("huggingface_hub")

ROOT = Path(__file__).parents[2]
COMMIT = "0123456789abcdef0123456789abcdef01234567"
FETCH = """
import json, sys
from fsmbot.doctor.hub import hub_folder
from fsmbot.errors import DoctorError
for base in sys.argv[1:]:
    try:
        print(json.dumps([base, "", str(hub_folder(base, ""))]))
    except DoctorError as error:
        print(json.dumps([base, str(error), ""]))
"""


FILES = {"config.json": b"{}", "model.safetensors": bytes(1000), "tokenizer.json": b'{"a": 1}'}
"""What a model's folder holds here; its sums are looked at, and nothing of it is loaded."""


def git_sha1(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class Hub(BaseHTTPRequestHandler):
    """Plays the hub: states the sums of its files, and sends those of altered/… with a byte changed."""

    def do_HEAD(self) -> None:
        """Tell of a file, or that the hub is there."""
        self.answer(b"")

    def do_GET(self) -> None:
        """Send a file, or what is known of a model."""
        _, first, *_ = self.path.split("/")
        if first == "api":
            tree = "/tree/" in self.path
            told: Any = [entry(name, data) for name, data in FILES.items()]
            self.answer(json.dumps(told if tree else {"id": "x/y", "sha": COMMIT, "siblings": told}).encode())
            return
        name = self.path.rpartition("/")[2]
        content = FILES[name]
        if self.path.startswith(f"/altered/{name.partition('.')[0]}/"):
            content = content[:-1] + bytes([content[-1] ^ 1])
        self.answer(content)

    def answer(self, body: bytes) -> None:
        """Send headers, and the body where there is one."""
        name = self.path.rpartition("/")[2]
        known = "/resolve/" in self.path
        self.send_response(200)
        if known:
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("ETag", f'"{entry(name, FILES[name])["stated"]}"')
        size = len(FILES[name]) if known else len(body)
        self.send_header("Content-Length", str(size))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        """Say nothing."""


def entry(name: str, data: bytes) -> dict[str, Any]:
    """Return what the hub says of a file; large ones have a sha256."""
    size, small = len(data), git_sha1(data)
    known: dict[str, Any] = {"type": "file", "path": name, "rfilename": name, "size": size, "oid": small}
    if name.endswith(".safetensors"):
        total = hashlib.sha256(data).hexdigest()
        large = {"oid": total, "sha256": total, "size": size, "pointerSize": 130}
        return {**known, "lfs": large, "stated": total}
    return {**known, "stated": small}


@pytest.fixture
def fetch(tmp_path: Path) -> Iterator[Callable[..., dict[str, list[str]]]]:
    """A function that fetches models of a hub of our own in a fresh process: base -> [error, folder]."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def run(*bases: str, offline: bool = False) -> dict[str, list[str]]:
        environment = {
            "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}", "HF_HOME": str(tmp_path / "hub"),
            "HOME": str(tmp_path), "HF_HUB_OFFLINE": str(int(offline)), "PYTHONPATH": str(ROOT),
        }  # fmt: skip
        command = [sys.executable, "-c", FETCH, *bases]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100)
        assert done.returncode == 0, done.stderr
        return {base: told for base, *told in map(json.loads, done.stdout.splitlines())}

    yield run
    server.shutdown()
    server.server_close()


@pytest.mark.promise(9, "files of the hub are held against the sums it states, before they are read")
def test_a_file_of_the_hub_that_was_altered_is_refused(
    fetch: Callable[..., dict[str, list[str]]], tmp_path: Path, reached: Callable[[str], None]
) -> None:
    """By one byte, of weights or configuration, on the way or years later in the cache."""
    first = fetch("good/model", "altered/model", "altered/config", "altered/tokenizer")
    error, folder = first.pop("good/model")
    assert not error
    assert (Path(folder) / "model.safetensors").read_bytes() == FILES["model.safetensors"]
    for base, (told, _) in first.items():
        assert f"{base.rpartition('/')[2]}." in told
        assert "is not the file that the hub has" in told
    later = 0
    for path in sorted(Path(folder).iterdir()):
        whole = path.read_bytes()
        path.resolve().write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        told = fetch("good/model", offline=True)["good/model"][0]
        assert f"{path.name} is not the file" in told
        assert "Remove" in told
        path.resolve().write_bytes(whole)
        later += 1
    assert fetch("good/model", offline=True)["good/model"] == ["", folder]
    link = Path(folder) / "config.json"
    link.unlink()
    link.write_bytes(FILES["config.json"])
    assert "cannot be checked" in fetch("good/model", offline=True)["good/model"][0]
    reached(f"{len(first)} of {len(first)} altered on the way and {later} of {later} in the cache refused")


def test_a_file_in_a_folder_of_a_model_is_checked_too(tmp_path: Path) -> None:
    """transformers reads further chat templates from one."""
    blob = tmp_path / git_sha1(b"good")
    blob.write_bytes(b"evil")
    inner = tmp_path / "snapshot" / "additional_chat_templates"
    inner.mkdir(parents=True)
    (inner / "tool.jinja").symlink_to(blob)
    with pytest.raises(DoctorError, match=r"tool\.jinja is not the file that the hub has"):
        check_sums(tmp_path / "snapshot")
    blob.write_bytes(b"good")
    check_sums(tmp_path / "snapshot")


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cached folder with its manifest, and no way to make it anew."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def nothing(base: str, revision: str) -> Path:
        raise DoctorError("made anew")

    monkeypatch.setattr(weights, "hub_folder", nothing)
    folder = weights.cache_folder("some/model", "")
    folder.mkdir(parents=True)
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    weights._write_manifest(folder, "some/model", "")
    return folder


def alter(path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))


def forget_weights(folder: Path) -> None:
    """Take the weights out of the manifest, and alter them."""
    told = json.loads((folder / weights.MANIFEST).read_text())
    del told["sha256"]["model.safetensors"]
    (folder / weights.MANIFEST).write_text(json.dumps(told))
    alter(folder / "model.safetensors")


DAMAGE: dict[str, Callable[[Path], object]] = {
    "a byte of the weights": lambda folder: alter(folder / "model.safetensors"),
    "a byte of the configuration": lambda folder: alter(folder / "config.json"),
    "a byte of the tokenizer": lambda folder: alter(folder / "tokenizer.json"),
    "a file is missing": lambda folder: (folder / "config.json").unlink(),
    "a file was added": lambda folder: (folder / "adapter_config.json").write_text("{}"),
    "the manifest is missing": lambda folder: (folder / weights.MANIFEST).unlink(),
    "the manifest forgets the weights": forget_weights,
    "the manifest is of another base": lambda folder: weights._write_manifest(folder, "other/model", ""),
    "the manifest is no JSON": lambda folder: (folder / weights.MANIFEST).write_text("{"),
    "the manifest names other folders": lambda folder: (folder / weights.MANIFEST).write_text(
        json.dumps({"base": "some/model", "revision": "", "sha256": {"../x": sha256(folder / "config.json")}})
    ),
}


@pytest.mark.promise(9, "the quantized copy of a base is held against its manifest at every start")
def test_a_copy_that_was_altered_is_not_used(
    copy: Path, tmp_path: Path, reached: Callable[[str], None]
) -> None:
    """Neither with a byte changed, nor with a file more or less, nor with another manifest."""
    assert weights.quantized_folder("some/model") == copy
    whole = Path(shutil.copytree(copy, tmp_path / "whole"))
    for name, damage in DAMAGE.items():
        damage(copy)
        with pytest.raises(DoctorError, match="made anew"):
            weights.quantized_folder("some/model")
        shutil.rmtree(copy)
        shutil.copytree(whole, copy)
        assert weights.quantized_folder("some/model") == copy, name
    reached(f"{len(DAMAGE)} of {len(DAMAGE)} alterations noticed")


@pytest.mark.parametrize("folder", [SHIPPED, VECTORS], ids=lambda path: path.name)
def test_what_ships_is_what_its_card_names(folder: Path) -> None:
    """The card of the doctor and that of the vectors state the sha256 of the files beside them."""
    card = (folder / "README.md").read_text()
    stated = dict(re.findall(r"^\| ([\w.]+) \| ([0-9a-f]{64}) \|$", card, re.MULTILINE))
    assert {path.name for path in folder.iterdir() if path.suffix in (".safetensors", ".npy")} <= set(stated)
    assert stated == {name: sha256(folder / name) for name in stated}
