"""Checkpoints that are whole or not there: temporary folder, fsync, rename, sha256 manifest.

A checkpoint holds tensors (safetensors) and plain JSON; nothing is pickled. What is damaged is
detected by its manifest, and the checkpoint before it is used instead.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fsmbot.doctor.hub import sha256
from fsmbot.errors import ConfigError

MANIFEST = "manifest.json"
TENSORS = "state.safetensors"
FACTS = "state.json"


@dataclass(frozen=True)
class Checkpoint:
    """What a run needs to go on: tensors by name, and plain facts (step, losses, random state)."""

    tensors: dict[str, Any]
    facts: dict[str, Any]


def save(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint as `folder/step-000123`; it has that name only once it is whole."""
    from safetensors.torch import save_file

    final = folder / f"step-{checkpoint.facts['step']:06d}"

    def write(place: Path) -> None:
        save_file({k: v.contiguous() for k, v in checkpoint.tensors.items()}, place / TENSORS)
        (place / FACTS).write_text(json.dumps(checkpoint.facts, indent=1))

    return write_whole(final, write)


def write_whole(final: Path, write: Callable[[Path], None]) -> Path:
    """Fill a folder by `write` under another name, then make it durable and give it its own.

    Raises ConfigError when the disk does not take it; what was there before stays.
    """
    from safetensors import SafetensorError

    temporary = final.with_name(f".{final.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir(parents=True)
        write(temporary)
        _write_manifest(temporary)
        for path in temporary.iterdir():
            shutil.copymode(temporary / MANIFEST, path)  # safetensors lets only the owner read
        for path in [*temporary.iterdir(), temporary]:
            _sync(path)
        if final.exists():
            shutil.rmtree(final)
        temporary.rename(final)
        _sync(final.parent)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise unwritable(final, error) from error
    return final


def unwritable(path: Path, error: Exception) -> ConfigError:
    """Return what to say when a disk is full, or read-only."""
    return ConfigError(
        f"{path} cannot be written: {getattr(error, 'strerror', None) or error}; free some space, or name a "
        "folder that can be written. What was saved before is whole: a run goes on with --resume"
    )


def _write_manifest(folder: Path) -> None:
    sums = {path.name: sha256(path) for path in sorted(folder.iterdir())}
    (folder / MANIFEST).write_text(json.dumps(sums, indent=1))


def _sync(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some mounted drives cannot sync folders
            raise
    finally:
        os.close(number)


def is_whole(folder: Path) -> bool:
    """Say whether every file of the manifest is there and unaltered."""
    try:
        sums = json.loads((folder / MANIFEST).read_text())
        return bool(sums) and all(sha256(folder / name) == total for name, total in sums.items())
    except (OSError, ValueError, AttributeError, TypeError):
        return False


def load(folder: Path) -> Checkpoint:
    """Read a whole checkpoint; raises ConfigError for one that holds something else."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return Checkpoint(load_file(folder / TENSORS), json.loads((folder / FACTS).read_text()))
    except (OSError, ValueError, RecursionError, SafetensorError) as error:
        raise ConfigError(
            f"{folder} is no checkpoint of a run ({error}); remove it to go on from the one before"
        ) from error


def latest(folder: Path, say: Callable[[str], None]) -> Path | None:
    """Return the newest whole checkpoint, or None before the first; tell of damaged ones passed over.

    Raises ConfigError if there are checkpoints and none is whole.
    """
    found = steps(folder)
    for path in reversed(found):
        if is_whole(path):
            return path
        say(f"{path} is damaged or incomplete; trying the checkpoint before it")
    if found:
        raise ConfigError(
            f"{folder}: every checkpoint is damaged; train anew into another --set output=FOLDER"
        )
    return None


def steps(folder: Path) -> list[Path]:
    """Return the checkpoints of a folder, oldest first; a copy such as "step-000012 (1)" is none."""
    return sorted((p for p in folder.glob("step-*") if p.name[5:].isdecimal()), key=_number)


def _number(path: Path) -> int:
    """Return the step of a checkpoint."""
    return int(path.name.removeprefix("step-"))


def best_folder(folder: Path, step: int) -> Path:
    """Return where the adapter of the best step rests, beside the checkpoints that refer to it."""
    return folder / f"best-{step:06d}"


def forget_after(folder: Path, step: int) -> None:
    """Remove checkpoints later than the one a run goes on from: they are damaged, and would count as new."""
    for path in steps(folder):
        if _number(path) > step:
            shutil.rmtree(path, ignore_errors=True)


def tidy(folder: Path, keep: int, best: int) -> None:
    """Remove what an interrupted write left, all but the newest `keep` checkpoints, and old bests.

    best: the step of the best adapter. To be called after a checkpoint that knows it, so that no
    checkpoint's best is ever missing.
    """
    known = {best_folder(folder, best), *(_best_of(path) for path in steps(folder)[-keep:])}
    gone = [*folder.glob(".*.tmp"), *steps(folder)[:-keep]]
    gone += [path for path in folder.glob("best-*") if path not in known]
    for path in gone:
        shutil.rmtree(path, ignore_errors=True)


def _best_of(path: Path) -> Path | None:
    """Return the best adapter that a checkpoint refers to, or None if it cannot be read."""
    try:
        return best_folder(path.parent, json.loads((path / FACTS).read_text())["best_step"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
