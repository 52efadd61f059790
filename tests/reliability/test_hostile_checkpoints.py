"""A checkpoint is tensors and JSON: whatever is put in its place, nothing of it runs."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("accelerate")
from safetensors.numpy import save_file

from fsmbot.errors import ConfigError
from trainer import checkpoint, loop

PICKLE = b"cos\nmkdir\n(Vcanary\ntR."
"""Makes a folder named `canary` in the current one when it is read as a pickle."""


def write(folder: Path, state: bytes | None, facts: object) -> Path:
    """Write a checkpoint whose manifest is in order, whatever is in it."""
    place = folder / "step-000001"
    place.mkdir(parents=True)
    if state is None:
        save_file({"random": np.zeros(8, "u1")}, place / checkpoint.TENSORS)
    else:
        (place / checkpoint.TENSORS).write_bytes(state)
    (place / checkpoint.FACTS).write_text(facts if isinstance(facts, str) else json.dumps(facts))
    checkpoint._write_manifest(place)
    return folder


@pytest.mark.parametrize(
    ("state", "facts"),
    [
        (PICKLE, {"step": 1}),
        (b"", {"step": 1}),
        (b"\xff" * 8 + b"{}", {"step": 1}),
        (None, "not JSON"),
        (None, "[" * 100_000),
        (None, {"step": "../../x"}),
        (None, {"step": 1, "best_step": "__import__('os')"}),
        (None, {"evil": 1}),
        (None, []),
    ],
)
def test_a_hostile_checkpoint_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: bytes | None, facts: object
) -> None:
    """Also one whose manifest agrees with it: a ConfigError, and nothing of it is run."""
    monkeypatch.chdir(tmp_path)
    job: Any = SimpleNamespace(checkpoints=write(tmp_path / "run", state, facts))
    job.reporter = SimpleNamespace(say=print)
    with pytest.raises(ConfigError):
        loop.restore(job, frozenset())
    assert not (tmp_path / "canary").exists()
