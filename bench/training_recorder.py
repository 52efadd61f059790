"""What every subject of bench/training.py notes, step by step."""

from __future__ import annotations

import time
from pathlib import Path

from trainer.report import Silent


class Recorder(Silent):
    """Notes the loss, the useful tokens and the time of each step; our loop reports to it."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.tokens: list[int] = []
        self.times: list[float] = []
        self.loaded = peak()

    def note(self, loss: float, tokens: int) -> None:
        """Note that a step is over."""
        self.losses.append(loss)
        self.tokens.append(tokens)
        self.times.append(time.perf_counter())

    def step(self, step: int, loss: float, rate: float, norm: float, tokens: int, seconds: float) -> None:
        """Note a step of our loop."""
        self.note(loss, tokens)


def peak() -> float:
    """Return the largest resident set of this process so far, in MiB.

    `ru_maxrss` would begin with what the parent had.
    """
    status = Path("/proc/self/status").read_text()
    return float(status.partition("VmHWM:")[2].split()[0]) / 1024
