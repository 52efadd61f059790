"""Whole processes, timed from their start: to their end, or to what they show on a terminal."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from suite.environments import NotInstalled, last_words
from suite.results import ROOT
from suite.workers import QUIET, scratch

PATIENCE = 120.0
"""Seconds after which what was to be shown will not be shown any more."""


@cache
def _state() -> tempfile.TemporaryDirectory[str]:
    """Return a folder for what children keep of themselves; it goes when we do."""
    return tempfile.TemporaryDirectory(dir=scratch())


def variables() -> dict[str, str]:
    """Return the environment of a child, which leaves no trace in the user's folders."""
    state = _state().name
    kept = {key: value for key, value in QUIET.items() if key != "OMP_NUM_THREADS"}  # as a user has it
    return {**os.environ, **kept, "XDG_STATE_HOME": state, "LLM_USER_PATH": state, "TERM": "xterm"}


def whole(*command: str, said: str = "") -> Callable[[], float]:
    """Return a function that runs a process to its end and returns its milliseconds."""

    def run() -> float:
        given, start = variables(), time.perf_counter()
        done = subprocess.run(command, cwd=ROOT, env=given, input=said, text=True, capture_output=True)
        milliseconds = (time.perf_counter() - start) * 1000
        if done.returncode:
            raise NotInstalled(last_words(done.stderr))
        return milliseconds

    return run


@dataclass
class Terminal:
    """A process on a terminal of its own."""

    child: int
    screen: int
    started: float
    shown: bytes = b""

    @classmethod
    def of(cls, *command: str) -> Terminal:
        """Start the command."""
        given, started = variables(), time.perf_counter()
        child, screen = pty.fork()
        if child == 0:
            os.chdir(ROOT)
            os.execve(command[0], list(command), given)
        return cls(child, screen, started)

    def wait_for(self, *words: bytes) -> float:
        """Return when one of the words is shown, in milliseconds since the start; raises NotInstalled."""
        end = time.perf_counter() + PATIENCE
        while not any(word in self.shown for word in words):
            ready, _, _ = select.select([self.screen], [], [], max(0.0, end - time.perf_counter()))
            try:
                read = os.read(self.screen, 65536) if ready else b""
            except OSError:  # the process is gone
                read = b""
            if not read:
                raise NotInstalled(f"{words[0]!r} was never shown")
            self.shown += read
            if b"\x1b[6n" in read:
                os.write(self.screen, b"\x1b[1;1R")  # a terminal tells where its cursor stands
        return (time.perf_counter() - self.started) * 1000

    def type(self, text: str) -> None:
        """Type, and forget what was shown."""
        self.shown = b""
        os.write(self.screen, text.encode())

    def close(self) -> None:
        """Stop the process."""
        os.kill(self.child, signal.SIGKILL)
        os.waitpid(self.child, 0)
        os.close(self.screen)


def prompt_of(words: bytes, *command: str) -> Callable[[], float]:
    """Return a function that returns the milliseconds until a prompt stands on a terminal."""

    def run() -> float:
        terminal = Terminal.of(*command)
        try:
            return terminal.wait_for(words)
        finally:
            terminal.close()

    return run


def peak(command: list[str], said: str = "") -> float:
    """Run a process to its end; return its largest resident set in MB."""
    process = subprocess.Popen(
        command, cwd=ROOT, env=variables(), stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdin is not None
    process.stdin.write(said.encode())
    process.stdin.close()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return used.ru_maxrss * 1024 / 1e6
