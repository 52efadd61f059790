"""The names of sessions that were given none: no two alike, in this process or another."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator

drawn: Iterator[str]
"""Names without end."""


def _draw() -> None:
    """Begin otherwise than any other process, a forked one included."""
    global drawn
    drawn = map(f"{os.urandom(6).hex()}-{os.getpid()}-".__add__, map(str, itertools.count(1)))


_draw()
if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_draw)
