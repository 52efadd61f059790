"""Limits on a node: how long its handler may be silent, and how often it is tried again.

A handler with a timeout runs in a thread of its own, on a copy of the turn; one that comes too late
is left behind, and what it still does reaches nobody. Nodes without limits pay nothing.
"""

from __future__ import annotations

import contextlib
import contextvars
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from fsmbot.errors import ResourceError
from fsmbot.turn import Turn

if TYPE_CHECKING:
    import queue

Call = Callable[[Turn, Mapping[str, Any]], Any]
"""Calls a handler with a turn and the shared resources."""

MAX_TIMES, MAX_WAIT, MAX_TIMEOUT = 10, 60.0, 3600.0
"""Bounds of `retry: {times, wait}` and `timeout`, so that no slip of the pen stops a conversation."""


LAST_WORDS_SECONDS = 3.0
"""How long a handler in a thread may take to end its speech after Ctrl-C."""


class Retry(msgspec.Struct, frozen=True):
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


def kind(error: BaseException) -> str:
    """Return what is told of an error in a log: its own words may quote what somebody said."""
    if isinstance(error, ResourceError):  # these tell what to install or mend
        return reason(error) + place(error)
    return "; ".join([type(error).__name__ + place(error), *getattr(error, "__notes__", ())])


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
        try:
            yield first[0]
        except KeyboardInterrupt as stop:
            try:
                last_words = interrupted(stream, stop)
            except StopIteration as end:
                return end.value
            yield last_words
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
    """Run a handler in a thread, on a copy of the turn; what came too late changes nothing."""

    def stream(turn: Turn, resources: Mapping[str, Any]) -> Generator[str, None, Any]:
        copy = _copied(turn)
        said = call if streams else partial(_silent, call)
        outcome = yield from in_time(lambda: speech(said(copy, resources)), seconds)
        turn.memory, turn.notes = copy.memory, copy.notes
        return outcome

    return stream if streams else lambda turn, resources: _outcome(stream(turn, resources))


def _silent(call: Call, turn: Turn, resources: Mapping[str, Any]) -> Generator[str, None, Any]:
    """Return what a handler returns that says nothing, as a stream."""
    yield from ()
    return call(turn, resources)


def _outcome(stream: Generator[str, None, Any]) -> Any:
    """Return the outcome of a stream without pieces."""
    try:
        next(stream)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("unreachable")


def _copied(turn: Turn) -> Turn:
    memory = msgspec.json.decode(msgspec.json.encode(turn.memory))
    return Turn(turn.text, list(turn.history), memory, turn.session_id, dict(turn.notes))


def in_time(
    begin: Callable[[], Iterator[str]], seconds: float, more: Callable[[], bool] = lambda: False
) -> Generator[str, None, Any]:
    """Yield what an iterator yields and return what it returns; it runs in a thread of its own.

    A piece is made only when it is asked for. Raises NodeTimeout when none comes for so many
    seconds, unless `more` grants as many again; the iterator is then left behind. Ctrl-C is passed on
    to it for its last words.
    """
    import queue

    wanted: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
    made: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
    run = contextvars.copy_context().run
    thread = threading.Thread(target=run, args=(_make, begin, wanted, made), name="fsmbot node", daemon=True)
    thread.start()
    try:
        while True:
            wanted.put(None)
            kind, value = _next(made, seconds, more)
            if kind == "done":
                return value
            yield value
    except KeyboardInterrupt as stop:
        if thread.is_alive():
            yield from _last_words(stop, wanted, made)
        raise
    finally:
        wanted.put(GeneratorExit())


def _next(
    made: queue.SimpleQueue[tuple[str, Any]], seconds: float, more: Callable[[], bool] = lambda: False
) -> tuple[str, Any]:
    """Return the next piece, or the outcome; raises what the iterator raised, and NodeTimeout."""
    import queue

    end = time.monotonic() + seconds
    while True:
        try:  # in short waits, so that Ctrl-C works on every system
            kind, value = made.get(timeout=max(0.0, min(0.1, end - time.monotonic())))
        except queue.Empty:
            if time.monotonic() < end:
                continue
            if not more():
                raise NodeTimeout(f"nothing came within {seconds:g} s") from None
            end = time.monotonic() + seconds
            continue
        if kind == "failed":
            raise value
        return kind, value


def _last_words(
    stop: KeyboardInterrupt,
    wanted: queue.SimpleQueue[BaseException | None],
    made: queue.SimpleQueue[tuple[str, Any]],
) -> Iterator[str]:
    """Stop the iterator, and yield what it still says to that; soon, as the user waits."""
    wanted.put(stop)
    with contextlib.suppress(NodeTimeout, KeyboardInterrupt):
        while (piece := _next(made, LAST_WORDS_SECONDS))[0] != "done":
            yield piece[1]
            wanted.put(None)


def _make(
    begin: Callable[[], Iterator[str]],
    wanted: queue.SimpleQueue[BaseException | None],
    made: queue.SimpleQueue[tuple[str, Any]],
) -> None:
    """Run the iterator, in its thread, for as long as pieces are wanted."""
    try:
        stream: Any = begin()
        while True:
            stop = wanted.get()
            if isinstance(stop, GeneratorExit):
                getattr(stream, "close", bool)()
                return
            made.put(("piece", next(stream) if stop is None else interrupted(stream, stop)))
    except StopIteration as end:
        made.put(("done", end.value))
    except SystemExit as error:  # a thread cannot end the program
        made.put(("failed", RuntimeError(f"it tried to end the program: {error}")))
    except BaseException as error:  # it is raised again where the piece is waited for
        made.put(("failed", error))


def interrupted(stream: Any, stop: BaseException) -> Any:
    """Tell an iterator that the user stopped it; return what it says to that, or raise."""
    if not hasattr(stream, "throw"):
        raise stop
    return stream.throw(stop)
