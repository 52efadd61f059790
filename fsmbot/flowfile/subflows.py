"""The flows that a flow runs: found in its folder or below, read once, never in a circle.

A flow file may name files, but none outside of the folder of the flow that was asked for: neither by
`..`, nor by an absolute path, nor through a link.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path

import msgspec

from fsmbot.errors import FlowError, Problem
from fsmbot.flow import Flow
from fsmbot.flowfile.room import MAX_FLOWS, MAX_INNER_BYTES, Room
from fsmbot.flowfile.yamltree import is_file, read_file
from fsmbot.nearby import Guesses

SUFFIXES = (".yaml", ".yml")
"""What the name of a flow file ends in."""

MAX_DEPTH = 8
"""How many flows may run inside one another."""

MOST_NAMES = 1_000
"""How many files of a folder a name that does not exist is compared with."""

Read = Callable[[bytes, str, "Subflows"], Flow]
"""Reads a flow from its text, its name for messages, and the subflows as they are seen from it."""

Found = tuple[Flow | None, list[Problem]]
"""A flow, or None and what is wrong: with its source where it is in that file."""


class _Shared(msgspec.Struct):
    """What all flows of one load have in common.

    root: the folder that no file may lie outside of. known: the flows by file. names: the flow files
    of a folder. guesses: for the names of files.
    """

    root: Path
    read: Read
    room: Room = msgspec.field(default_factory=Room)
    known: dict[Path, Flow | FlowError] = {}
    names: dict[Path, list[str]] = {}
    guesses: Guesses = msgspec.field(default_factory=Guesses)


class Subflows:
    """Loads the flows that the flow at `source` names."""

    def __init__(self, source: Path, read: Read, around: Subflows | None = None) -> None:
        self._shared: _Shared = around._shared if around else _Shared(_real(source.absolute().parent), read)
        self._way: tuple[Path, ...] = (*(around._way if around else ()), source)
        self._answers: dict[str, Found] = {}

    @property
    def room(self) -> Room:
        """What is left of what may be read."""
        return self._shared.room

    def load(self, name: str) -> Found:
        """Return the flow of a name; what is wrong inside its file is told the first time."""
        if name in self._answers:
            flow, problems = self._answers[name]
            return flow, [p for p in problems if not p.source]
        self._answers[name] = found = self._load(name, self._way[-1].parent / name)
        return found

    def _load(self, name: str, path: Path) -> Found:
        reason = self._refused(name, path)
        if reason:
            return None, [Problem(1, 1, reason)]
        found = self._read(path)
        if isinstance(found, FlowError):
            inner = [msgspec.structs.replace(p, source=p.source or found.source) for p in found.problems]
            count = "a mistake" if len(inner) == 1 else f"{len(inner)} mistakes"
            return None, [Problem(1, 1, f"flow '{name}' has {count}"), *inner]
        if len(self._way) + found.depth > MAX_DEPTH + 1:
            return None, [Problem(1, 1, f"flow '{name}' would make more than {MAX_DEPTH} flows deep")]
        return found, []

    def _refused(self, name: str, path: Path) -> str:
        """Say why a flow of this name cannot be run here, or ""."""
        reason = misnamed(name)
        if reason:
            return reason + self._near(path)
        real = _real(path)
        if not real.is_relative_to(self._shared.root):
            return f"flow '{name}' leads out of the folder {self._shared.root}"
        if not is_file(real):
            return f"flow '{name}' does not exist in {path.parent}" + self._near(path)
        way = [_real(p) for p in self._way]
        if real in way:
            circle = [p.name for p in (*self._way[way.index(real) :], path)]
            return "a flow cannot run itself: " + " -> ".join(circle)
        if len(self._way) > MAX_DEPTH:
            return f"flow '{name}' would be more than {MAX_DEPTH} flows deep"
        return "" if real in self._shared.known else self._no_room(name)

    def _no_room(self, name: str) -> str:
        """Say why no more files are read, or ""."""
        if self.room.flows <= 0:
            return f"flow '{name}' is not read; at most {MAX_FLOWS} other flows may be"
        if self.room.inner_bytes <= 0:
            return f"flow '{name}' is not read; at most {MAX_INNER_BYTES:,} bytes of other flows may be"
        return ""

    def _read(self, path: Path) -> Flow | FlowError:
        """Return the flow of a file, read once."""
        known, real = self._shared.known, _real(path)
        if real not in known:
            try:
                data = read_file(path)
                self.room.flows -= 1
                self.room.inner_bytes -= len(data)
                known[real] = self._shared.read(data, str(path), Subflows(path, self._shared.read, self))
            except FlowError as error:
                known[real] = error
        return known[real]

    def _near(self, path: Path) -> str:
        """Suggest a file beside the one that does not exist; no folder outside is looked into."""
        folder, names = path.parent, self._shared.names
        if not _real(folder).is_relative_to(self._shared.root):
            return ""
        if folder not in names:
            try:
                files = (p.name for p in folder.iterdir() if p.suffix in SUFFIXES)
                names[folder] = sorted(islice(files, MOST_NAMES))
            except (OSError, ValueError):
                names[folder] = []
        return self._shared.guesses.suggest(path.name, names[folder])


def _real(path: Path) -> Path:
    """Return a path with its links followed; one that goes round in links is as it is written."""
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError):
        return path


def misnamed(name: str) -> str:
    """Say why a name cannot be that of a flow to run, whatever files there are, or ""."""
    if Path(name).is_absolute() or ".." in Path(name).parts or "\0" in name:
        return f"flow '{name}' must be in this flow's folder or below, named without '..'"
    if Path(name).suffix not in SUFFIXES:
        return f"flow '{name}' must be a file that ends in .yaml or .yml"
    return ""
