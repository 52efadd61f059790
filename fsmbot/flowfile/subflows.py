"""The flows that a flow runs: found in its folder or below, read once, never in a circle.

A flow file may name files, but none outside of the folder of the flow that was asked for: neither by
`..`, nor by an absolute path, nor through a link.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from fsmbot.errors import FlowError, Problem
from fsmbot.flow import Flow
from fsmbot.flowfile.yamltree import read_file
from fsmbot.nearby import suggest

MAX_DEPTH = 8
"""How many flows may run inside one another."""

Read = Callable[[bytes, str, "Subflows"], Flow]
"""Reads a flow from its text, its name for messages, and the subflows as they are seen from it."""


class Subflows:
    """Loads the flows that the flow at `source` names."""

    def __init__(self, source: Path, read: Read) -> None:
        self._read, self._root = read, source.absolute().parent.resolve()
        self._way: tuple[Path, ...] = (source,)
        self._known: dict[Path, Flow | FlowError] = {}

    def _inside(self, path: Path) -> Subflows:
        """Return the subflows as they are seen from one of them."""
        inner = Subflows(path, self._read)
        inner._root, inner._known, inner._way = self._root, self._known, (*self._way, path)
        return inner

    def load(self, name: str) -> tuple[Flow | None, list[Problem]]:
        """Return the flow, or None and what is wrong: with its source where it is in that file."""
        path = self._way[-1].parent / name
        reason = self._refused(name, path)
        if reason:
            return None, [Problem(1, 1, reason)]
        real = path.resolve()
        if real not in self._known:
            self._known[real] = self._load(path)
        found = self._known[real]
        if isinstance(found, FlowError):
            inner = [replace(p, source=p.source or found.source) for p in found.problems]
            count = "a mistake" if len(inner) == 1 else f"{len(inner)} mistakes"
            return None, [Problem(1, 1, f"flow '{name}' has {count}"), *inner]
        if len(self._way) + found.depth > MAX_DEPTH + 1:
            return None, [Problem(1, 1, f"flow '{name}' would make more than {MAX_DEPTH} flows deep")]
        return found, []

    def _refused(self, name: str, path: Path) -> str:
        """Say why a flow of this name cannot be run here, or ""."""
        reason = misnamed(name)
        if reason:
            return reason + _near(path)
        real = path.resolve()
        if not real.is_relative_to(self._root):
            return f"flow '{name}' leads out of the folder {self._root}"
        if not real.is_file():
            return f"flow '{name}' does not exist in {path.parent}" + _near(path)
        way = [p.resolve() for p in self._way]
        if real in way:
            circle = [p.name for p in (*self._way[way.index(real) :], path)]
            return "a flow cannot run itself: " + " -> ".join(circle)
        if len(self._way) > MAX_DEPTH:
            return f"flow '{name}' would be more than {MAX_DEPTH} flows deep"
        return ""

    def _load(self, path: Path) -> Flow | FlowError:
        try:
            return self._read(read_file(path), str(path), self._inside(path))
        except FlowError as error:
            return error


def misnamed(name: str) -> str:
    """Say why a name cannot be that of a flow to run, whatever files there are, or ""."""
    if Path(name).is_absolute() or ".." in Path(name).parts or "\0" in name:
        return f"flow '{name}' must be in this flow's folder or below, named without '..'"
    if Path(name).suffix not in (".yaml", ".yml"):
        return f"flow '{name}' must be a file that ends in .yaml or .yml"
    return ""


def _near(path: Path) -> str:
    """Suggest a file beside the one that does not exist."""
    try:
        names = sorted(p.name for p in path.parent.iterdir() if p.suffix in (".yaml", ".yml"))
    except OSError:
        return ""
    return suggest(path.name, names)
