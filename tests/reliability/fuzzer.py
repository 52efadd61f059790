"""A small coverage-guided fuzzer: a file that takes fsmbot a new way is kept, and mutated further.

`python -m tests.reliability.fuzzer 900` runs it for so many seconds from a random seed, and prints what it
finds. Every run with the same seed tries the same files.
"""

from __future__ import annotations

import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import CodeType, FrameType
from typing import Any

import fsmbot
from tests.reliability.judging import judge_loaded
from tests.reliability.mutations import REAL, RUN_BY, mutated

HOME = Path(fsmbot.__file__).parent
TRACED = tuple(str(HOME / name) for name in ("loader.py", "flowfile", "checks", "flow.py", "testing"))
"""The modules whose lines count."""

Edge = tuple[CodeType, int, int]
"""A step from one line of a function to the next."""

File = tuple[str, bytes]
"""The name of a file, and what is in it."""


@dataclass
class Fuzzer:
    """Tries files in a folder; `kept` are those that went a new way, `edges` all steps seen."""

    folder: Path
    random: Random
    kept: list[File] = field(default_factory=lambda: sorted(REAL.items()))
    edges: set[Edge] = field(default_factory=set)
    accepted: int = 0

    def __post_init__(self) -> None:
        for name, data in REAL.items():
            (self.folder / name).write_bytes(data)
        for name in REAL:
            self._judged(self.folder / name)

    def step(self) -> None:
        """Try one more file; raises what gets out, with the file's name and content as a note."""
        pair = self.random.choice(self.kept), self.random.choice(self.kept)
        name, data = min(pair, key=lambda file: len(file[1]))  # short ones are quick
        data = mutated(data, self.random)
        (self.folder / name).write_bytes(data)
        known = len(self.edges)
        try:
            self._judged(self.folder / self.random.choice((name, RUN_BY.get(name, name))))
        except BaseException as error:
            error.add_note(f"{name}: {data!r}")
            raise
        finally:
            (self.folder / name).write_bytes(REAL[name])
        if len(self.edges) > known:
            self.kept.append((name, data))

    def _judged(self, path: Path) -> None:
        with traced(self.edges.add):
            self.accepted += judge_loaded(path)


@contextmanager
def traced(note: Callable[[Edge], None]) -> Iterator[None]:
    """Tell of every step from line to line in the modules that count."""

    def enter(frame: FrameType, event: str, arg: Any) -> Any:
        code = frame.f_code
        if not code.co_filename.startswith(TRACED):
            return None
        last = 0

        def line(frame: FrameType, event: str, arg: Any) -> Any:
            nonlocal last
            if event == "line":
                note((code, last, frame.f_lineno))
                last = frame.f_lineno
            return line

        return line

    before = sys.gettrace()
    sys.settrace(enter)
    try:
        yield
    finally:
        sys.settrace(before)


def main(seconds: float) -> None:
    """Fuzz for a while; each failure is printed once by its place in the source."""
    seen: set[str] = set()
    with tempfile.TemporaryDirectory() as folder:
        fuzzer, tried, end = Fuzzer(Path(folder), Random()), 0, time.monotonic() + seconds
        while time.monotonic() < end:
            tried += 1
            try:
                fuzzer.step()
            except Exception as error:
                place = str(traceback.extract_tb(error.__traceback__)[-1])
                if place not in seen:
                    seen.add(place)
                    traceback.print_exception(error)
        print(
            f"{tried:,} files, {fuzzer.accepted:,} accepted, {len(fuzzer.kept):,} kept, {len(seen)} failures"
        )


if __name__ == "__main__":
    main(float(sys.argv[1]))
