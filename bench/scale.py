"""How each grows with its work; the power of the work is taken between a quarter of it and all of it.

Nodes: load and check, compile, and walk through flows that ask, match, check and say in turn. Sessions:
all kept in one process. Messages: up to the 20,000 characters that are read, everyday words, so that the
gate reads them by all its rules. Histories: a turn in a session that has them. How training grows with
the length of a dialogue is in Training.

The collector of cycles is off here: when it passes depends on what else is in the process, and one pass
would look like growth. Of several times the shortest counts, as all else on the machine only adds. With the
collector, and medians, are the figures of Engine.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from suite.environments import say
from suite.machine import versions
from suite.results import Measured, Series
from suite.workers import Subject, once, scratch


@dataclass(frozen=True)
class Work:
    """One kind of work: the function of bench/peers/growing.py, and how far it goes."""

    title: str
    x: str
    y: str
    most: int
    quick: int


WORKS = {
    "nodes": Work("A flow of many nodes", "nodes", "seconds", 10_000, 2_000),
    "sessions": Work("Many sessions", "sessions", "seconds", 100_000, 10_000),
    "memory": Work("Memory of many sessions", "sessions", "MB", 100_000, 20_000),
    "message": Work("A long message", "characters", "µs", 20_000, 20_000),
    "history": Work("A long history", "messages", "µs", 8_000, 2_000),
}


def measure(quick: bool = False) -> Measured:
    """Measure all of it: some two minutes, quick half a minute."""
    folder = Path(tempfile.mkdtemp(dir=scratch()))
    series = {}
    try:
        for name, work in WORKS.items():
            say(f"{work.title}, up to {work.most if not quick else work.quick:,} {work.x}")
            most = str(work.quick if quick else work.most)
            lines = once(Subject("growing", name), "call", most, folder=folder)
            series[name] = Series(work.title, work.x, work.y, "", lines)
    finally:
        shutil.rmtree(folder)
    return Measured({}, series, versions("msgspec", "PyYAML", "numpy"))
