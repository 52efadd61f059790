"""The mistakes of one file as they are found: a list that has an end.

Each is worth telling, but a file that is no flow at all may have a hundred thousand, and nobody would
read them: past a number of them reading is given up.
"""

from __future__ import annotations

import msgspec

from fsmbot.errors import Problem
from fsmbot.flowfile.yamlerrors import split_lines

MAX_PROBLEMS = 500
"""How many mistakes are told of one file."""


class TooMany(Exception):
    """Reading cannot go on, as there are too many mistakes."""


class Problems(list[Problem]):
    """The mistakes found so far."""

    def append(self, problem: Problem) -> None:
        """Add a mistake; raises TooMany when it is the last that is told."""
        super().append(problem)
        if len(self) >= MAX_PROBLEMS:
            last = max(self, key=lambda p: (p.source, p))
            said = f"{MAX_PROBLEMS} mistakes so far, and no more are looked for; mend these first"
            super().append(msgspec.structs.replace(last, message=said))
            raise TooMany


def with_excerpts(problems: list[Problem], data: bytes) -> list[Problem]:
    """Give each problem of this file the line where it stands."""
    lines = split_lines(data.decode("utf-8-sig", "replace"))
    return [
        p if p.source or p.line > len(lines) else msgspec.structs.replace(p, excerpt=lines[p.line - 1])
        for p in problems
    ]
