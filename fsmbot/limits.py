"""Limits on a node: how long its handler may be silent, and how often it is tried again.

A handler with a timeout runs in a thread of its own, on a copy of the turn; one that comes too late
is left behind, and what it still does reaches nobody. Nodes without limits pay nothing.
"""

from __future__ import annotations

import contextvars
import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from fsmbot.turn import Turn

Call = Callable[[Turn, Mapping[str, Any]], Any]
"""Calls a handler with a turn and the shared resources."""

MAX_TIMES, MAX_WAIT, MAX_TIMEOUT = 10, 60.0, 3600.0
"""Bounds of `retry: {times, wait}` and `timeout`, so that no slip of the pen stops a conversation."""


@dataclass(frozen=True)
class Retry:
    """How often a handler that failed before it said anything is tried again, and seconds between."""

    times: int
    wait: float = 0.0


class NodeTimeout(TimeoutError):
    """A handler was silent for longer than its node's `timeout`."""


def limited(call: Call, streams: bool, timeout: float | None, retry: Retry | None) -> Call:
    """Return the call with the limits put around it."""
    if timeout is not None:
        call = _timed(call, streams, timeout)
    if retry is not None:
        call = _retried_stream(call, retry) if streams else _retried(call, retry)
    return call


def reason(error: BaseException) -> str:
    """Return what went wrong, and how often it was tried."""
    return "; ".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ())])


def place(error: BaseException) -> str:
    """Return " (file:line)" of where an error was raised, if that is known."""
    import traceback  # 4 ms that only a failure need spend

    frames = traceback.extract_tb(error.__traceback__)
    return f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""


def speech(said: Any) -> Iterator[str]:
    """Return what a speaking handler gave as an iterator; a text is no stream of pieces."""
    if type(said) is str:
        raise TypeError("a handler yields text piece by piece; write `yield` instead of `return`")
    return iter(said)


def _retried(call: Call, retry: Retry) -> Call:
    def decide(turn: Turn, resources: Mapping[str, Any]) -> Any:
        return _persist(turn, retry, lambda: call(turn, resources))

    return decide


def _retried_stream(call: Call, retry: Retry) -> Call:
    """Try a stream again until it has said something; what was said cannot be taken back."""

    def speak(turn: Turn, resources: Mapping[str, Any]) -> Generator[str, None, Any]:
        def begin() -> tuple[Iterator[str], list[str], Any]:
            stream = speech(call(turn, resources))
            try:
                return stream, [next(stream)], None
            except StopIteration as stop:
                return stream, [], stop.value

        stream, first, outcome = _persist(turn, retry, begin)
        if not first:
            return outcome
        yield first[0]
        return (yield from stream)

    return speak


def _persist(turn: Turn, retry: Retry, attempt: Callable[[], Any]) -> Any:
    """Return what an attempt gives; after a failure the memory is as before it, and it is noted."""
    memory = msgspec.json.encode(turn.memory)
    for failures in range(retry.times + 1):
        try:
            return attempt()
        except Exception as error:
            if failures == retry.times:
                error.add_note(f"tried {failures + 1} times")
                raise
            turn.memory = msgspec.json.decode(memory)
            turn.notes = {"retried": failures + 1, "because": f"{type(error).__name__}: {error}"}
            time.sleep(retry.wait)
    raise AssertionError("unreachable")


def _timed(call: Call, streams: bool, seconds: float) -> Call:
    if streams:
        return lambda turn, resources: _Worker(call, turn, resources, seconds).stream()
    return lambda turn, resources: _Worker(call, turn, resources, seconds).decide()


class _Worker:
    """Runs one call in a thread that makes a piece only when it is asked for one."""

    def __init__(self, call: Call, turn: Turn, resources: Mapping[str, Any], seconds: float) -> None:
        self._call, self._turn, self._resources, self._seconds = call, turn, resources, seconds
        memory = msgspec.json.decode(msgspec.json.encode(turn.memory))
        self._copy = Turn(turn.text, list(turn.history), memory, turn.session_id, dict(turn.notes))
        self._wanted: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._made: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()

    def decide(self) -> Any:
        """Return the outcome; raises NodeTimeout."""
        self._start(self._decide)
        return self._done(self._next()[1])

    def stream(self) -> Generator[str, None, Any]:
        """Yield the pieces and return the outcome; raises NodeTimeout."""
        self._start(self._speak)
        try:
            while True:
                self._wanted.put(True)
                kind, value = self._next()
                if kind == "done":
                    return self._done(value)
                yield value
        finally:
            self._wanted.put(False)

    def _start(self, run: Callable[[], None]) -> None:
        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(run,), name="fsmbot node", daemon=True).start()

    def _next(self) -> tuple[str, Any]:
        try:
            kind, value = self._made.get(timeout=self._seconds)
        except queue.Empty:
            raise NodeTimeout(f"nothing came within {self._seconds:g} s") from None
        if kind == "failed":
            raise value
        return kind, value

    def _done(self, outcome: Any) -> Any:
        """Take over what the handler changed, now that it is through."""
        self._turn.memory, self._turn.notes = self._copy.memory, self._copy.notes
        return outcome

    def _decide(self) -> None:
        try:
            self._made.put(("done", self._call(self._copy, self._resources)))
        except BaseException as error:  # it is raised again where the answer is waited for
            self._made.put(("failed", error))

    def _speak(self) -> None:
        try:
            stream = speech(self._call(self._copy, self._resources))
            while self._wanted.get():
                self._made.put(("piece", next(stream)))
        except StopIteration as stop:
            self._made.put(("done", stop.value))
        except BaseException as error:
            self._made.put(("failed", error))
