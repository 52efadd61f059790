"""A checkpoint is whole or not there, and a damaged one is noticed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from fsmbot.errors import ConfigError  # noqa: E402
from trainer import checkpoint  # noqa: E402
from trainer.checkpoint import Checkpoint  # noqa: E402


def saved(folder: Path, *steps: int) -> list[Path]:
    """Write a checkpoint for each step."""
    return [
        checkpoint.save(folder, Checkpoint({"a": torch.full((3,), float(s))}, {"step": s})) for s in steps
    ]


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    """Tensors bit for bit, facts as they were; infinity included."""
    tensors = {"x": torch.randn(4, 5), "n": torch.tensor(7), "bytes": torch.get_rng_state()}
    path = checkpoint.save(tmp_path, Checkpoint(tensors, {"step": 3, "best": float("inf")}))
    assert path.name == "step-000003"
    back = checkpoint.load(path)
    assert all(torch.equal(back.tensors[name], tensors[name]) for name in tensors)
    assert back.facts == {"step": 3, "best": float("inf")}


@pytest.mark.parametrize("damage", ["truncate", "alter", "remove", "manifest"])
def test_a_damaged_checkpoint_is_passed_over_and_told_of(tmp_path: Path, damage: str) -> None:
    """The one before it is used instead."""
    good, bad = saved(tmp_path, 10, 20)
    tensors = bad / checkpoint.TENSORS
    data = tensors.read_bytes()
    if damage == "truncate":
        tensors.write_bytes(data[:-3])
    elif damage == "alter":
        tensors.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    elif damage == "remove":
        tensors.unlink()
    else:
        (bad / checkpoint.MANIFEST).write_text("{")
    told: list[str] = []
    assert checkpoint.latest(tmp_path, told.append) == good
    assert told == [f"{bad} is damaged or incomplete; trying the checkpoint before it"]


def test_a_copy_under_another_name_is_no_checkpoint(tmp_path: Path) -> None:
    """Mounted drives make such copies: "step-000002 (1)"."""
    saved(tmp_path, 1, 2)
    shutil.copytree(tmp_path / "step-000002", tmp_path / "step-000002 (1)")
    assert [path.name for path in checkpoint.steps(tmp_path)] == ["step-000001", "step-000002"]


def test_an_interrupted_write_leaves_no_checkpoint(tmp_path: Path) -> None:
    """What fails half-way has no name yet, and the next write clears it away."""
    saved(tmp_path, 10)

    def fail(place: Path) -> None:
        (place / "half").write_text("x")
        raise OSError(28, "No space left on device")

    with pytest.raises(ConfigError, match="cannot be written: No space left on device"):
        checkpoint.write_whole(tmp_path / "step-000020", fail)
    assert [path.name for path in tmp_path.iterdir()] == ["step-000010"]


def test_only_the_newest_are_kept_with_the_best_they_know(tmp_path: Path) -> None:
    """`tidy` removes old checkpoints, old bests and the remains of killed writes.

    A run killed before its next checkpoint goes on from one that still finds its best adapter.
    """
    for step, best in ((10, 5), (20, 15), (30, 25)):
        checkpoint.save(tmp_path, Checkpoint({"a": torch.ones(1)}, {"step": step, "best_step": best}))
    for name in (".step-000040.99.tmp", ".best-000035.99.tmp", "best-000005", "best-000015", "best-000025"):
        (tmp_path / name).mkdir()
    checkpoint.tidy(tmp_path, 2, 25)
    left = ["best-000015", "best-000025", "step-000020", "step-000030"]
    assert sorted(path.name for path in tmp_path.iterdir()) == left


def test_a_full_disk_is_said_plainly_and_costs_nothing(
    tmp_path: Path,
) -> None:
    """The checkpoint before stays whole, and nothing half-written is left behind."""
    import resource
    import signal

    (good,) = saved(tmp_path, 10)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    big = Checkpoint({"a": torch.zeros(100_000)}, {"step": 20})
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(ConfigError, match=r"step-000020 cannot be written: .*free some space"):
            checkpoint.save(tmp_path, big)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert [path.name for path in tmp_path.iterdir()] == ["step-000010"]
    assert checkpoint.latest(tmp_path, print) == good
