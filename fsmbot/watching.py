"""Watching files for edits, by their times and sizes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from fsmbot.flow import Flow

Stamp = tuple[int, int] | None
"""When a file was written and how long it is; None while there is none."""


class Watch:
    """Tells which of some files have changed since it was asked last.

    files: returns the files, which may become others.
    """

    def __init__(self, files: Callable[[], Iterable[Path]]) -> None:
        self._files = files
        self._seen = self._stamps()

    def changed(self) -> list[Path]:
        """Return the files that were edited since the last call."""
        before, self._seen = self._seen, self._stamps()
        return sorted(file for file, stamp in self._seen.items() if before.get(file, stamp) != stamp)

    def _stamps(self) -> dict[Path, Stamp]:
        return {file: _stamp(file) for file in self._files()}


def _stamp(file: Path) -> Stamp:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def sources(flow: Flow) -> set[Path]:
    """Return the files of a flow and of the flows that it runs."""
    inner = (source for node in flow.nodes.values() if node.flow for source in sources(node.flow))
    return {Path(flow.source), *inner}
