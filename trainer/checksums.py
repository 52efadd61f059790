"""The table of a card that says which files it is about, by their sums."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from fsmbot.doctor.hub import sha256


def sums(folder: Path, names: Iterable[str]) -> str:
    """Return a Markdown table of the sha256 of these files, of those that are there."""
    rows = [f"| {name} | {sha256(folder / name)} |" for name in names if (folder / name).exists()]
    return "\n".join(["| file | sha256 |", "| --- | --- |", *rows])
