"""Workers: one process for each thing that is timed; they take turns, so that drift hits all alike."""

from __future__ import annotations

import json
import os
import random
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from suite.environments import HERE, NotInstalled, interpreter, last_words, say
from suite.machine import SCRATCH
from suite.results import ROOT

BATCH_SECONDS = 0.03
"""How long one batch is to take: long against the clock, short against a drift."""

FEWEST = 5
"""Rounds that are taken however slow a subject is."""

QUIET = {
    "PYTHONPATH": str(ROOT),
    "OMP_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
    "BURR_TELEMETRY_ENABLED": "false",
}


@dataclass(frozen=True)
class Subject:
    """What is timed: a variant of a module of bench/peers, in the environment where it lives."""

    module: str
    variant: str
    environment: str = ""

    def command(self, what: str, *arguments: str) -> list[str]:
        """Return the command of a process that does something with this subject."""
        script = str(HERE / "peers" / "worker.py")
        return [interpreter(self.environment), script, what, self.module, self.variant, *arguments]


def environment(folder: Path) -> dict[str, str]:
    """Return the variables of a worker, which writes its files into the folder."""
    return {**os.environ, **QUIET, "TMPDIR": str(folder)}


def scratch() -> Path:
    """Return the folder on disk for files of workers."""
    SCRATCH.mkdir(parents=True, exist_ok=True)
    return SCRATCH


class Worker:
    """A process that stands ready, and times a batch whenever it is asked; raises NotInstalled."""

    def __init__(self, subject: Subject, folder: Path) -> None:
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  (a pipe could fill up)
        self._process = subprocess.Popen(
            subject.command("time"), env=environment(folder), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
        )  # fmt: skip
        self.facts: dict[str, Any] = self._answer()
        once = min(self.batch(1) for _ in range(3))
        self._repeats = max(1, round(BATCH_SECONDS / (once * 1e-6 * self.facts["texts"])))

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            self._errors.seek(0)
            raise NotInstalled(last_words(self._errors.read()))
        return json.loads(line)

    def batch(self, repeats: int = 0) -> float:
        """Return microseconds for one text, over a batch of all texts so many times."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{repeats or self._repeats}\n")
        self._process.stdin.flush()
        return float(self._answer())

    def close(self) -> None:
        """End the process."""
        self._process.communicate()
        self._errors.close()


@dataclass(frozen=True)
class Rounds:
    """Microseconds of each subject, round by round; what each told of itself; what failed, and why."""

    times: dict[str, list[float]]
    facts: dict[str, dict[str, Any]]
    missing: dict[str, str]


def take_turns(subjects: Mapping[str, Subject], seconds: float, folder: Path) -> Rounds:
    """Time all subjects for so many seconds in rounds, in which each has a batch, in changing order."""
    workers, missing = _start(subjects, folder)
    times: dict[str, list[float]] = {name: [] for name in workers}
    order, end = list(workers), time.monotonic() + seconds
    shuffled = random.Random(1)
    while workers and (time.monotonic() < end or len(times[order[0]]) < FEWEST):
        shuffled.shuffle(order)
        for name in order:
            times[name].append(workers[name].batch())
    for worker in workers.values():
        worker.close()
    return Rounds(times, {name: worker.facts for name, worker in workers.items()}, missing)


def _start(subjects: Mapping[str, Subject], folder: Path) -> tuple[dict[str, Worker], dict[str, str]]:
    workers: dict[str, Worker] = {}
    missing: dict[str, str] = {}
    for name, subject in subjects.items():
        try:
            workers[name] = Worker(subject, folder)
        except NotInstalled as error:
            missing[name] = str(error)
            say(f"{name} is left out: {error}")
    return workers, missing


def once(subject: Subject, what: str, *arguments: str, folder: Path) -> Any:
    """Run a process that measures one thing and ends; raises NotInstalled."""
    done = subprocess.run(
        subject.command(what, *arguments), env=environment(folder), capture_output=True, text=True
    )
    if done.returncode:
        raise NotInstalled(last_words(done.stderr))
    return json.loads(done.stdout.splitlines()[-1])
