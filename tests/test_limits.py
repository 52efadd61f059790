"""A node may be given a time limit and further tries; what comes too late reaches nobody."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any, Literal

import pytest

from fsmbot.errors import FlowError, HandlerError
from fsmbot.events import Failed, Routed, Said
from fsmbot.limits import MAX_TIMEOUT
from fsmbot.loader import parse_flow
from fsmbot.registry import Registry, load_builtins
from fsmbot.session import Session
from fsmbot.turn import Turn

FLOW = """\
start: ask_user
nodes:
  ask_user: {{next: {name}}}
  {name}: {{{limits}, on_error: sorry, next: end}}
  sorry: {{handler: say, text: Sorry, next: end}}
"""


@pytest.fixture
def registry() -> Registry:
    """A registry with the built-in handlers, which a test may add to."""
    return Registry(dict(load_builtins().handlers))


def talk(registry: Registry, name: str, limits: str, text: str = "x") -> tuple[Session, list[Any]]:
    flow = parse_flow(FLOW.format(name=name, limits=limits), registry=registry)
    session = Session(flow)
    list(session.start())
    return session, list(session.send(text))


def test_a_handler_that_is_silent_for_too_long_fails(registry: Registry) -> None:
    """The time is between pieces; what came before stays said, and on_error takes over."""
    release = threading.Event()

    @registry.handler
    def slow(turn: Turn) -> Iterator[str]:
        yield "I "
        release.wait(30)
        yield "never say this"

    try:
        session, events = talk(registry, "slow", "timeout: 0.05")
    finally:
        release.set()
    assert Said("slow", "I ") in events
    assert Failed("slow", "NodeTimeout: nothing came within 0.05 s", "sorry") in events
    assert [m.text for m in session.state.history][-2:] == ["I ", "Sorry"]


def test_a_silent_decision_is_limited_too(registry: Registry) -> None:
    """The outcome of a handler that says nothing must come within the time."""
    release = threading.Event()

    @registry.handler
    def decide(turn: Turn) -> Literal["a", "b"]:
        release.wait(30)
        return "a"

    try:
        _, events = talk(registry, "decide", "timeout: 0.05")
    finally:
        release.set()
    assert any(isinstance(event, Failed) for event in events)


def test_a_handler_in_time_does_all_that_it_does_without_a_limit(registry: Registry) -> None:
    """Pieces, outcome, memory and notes are the same."""

    @registry.handler
    def steady(turn: Turn) -> Iterator[str]:
        for number in range(3):
            time.sleep(0.02)
            yield str(number)
        turn.memory["count"] = 3
        turn.notes["done"] = True

    _, plain = talk(registry, "steady", "description: x")
    session, timed = talk(registry, "steady", "timeout: 5")
    assert timed == plain
    assert session.state.memory == {"count": 3}
    assert Routed("steady", "", "end", {"done": True}) in timed


def test_what_comes_too_late_changes_nothing(registry: Registry) -> None:
    """A handler that is left behind works on a copy of the turn."""
    release, done = threading.Event(), threading.Event()

    @registry.handler
    def late(turn: Turn) -> None:
        release.wait(30)
        turn.memory["late"] = True
        turn.history.clear()
        done.set()

    session, _ = talk(registry, "late", "timeout: 0.05")
    before = session.state
    release.set()
    assert done.wait(10)
    assert session.state is before
    assert "late" not in session.state.memory
    assert len(session.state.history) == 3


def test_a_stream_is_not_run_ahead_of_its_reader(registry: Registry) -> None:
    """The handler makes a piece only when it is asked for one, so an endless one fills no memory."""
    made: list[int] = []

    @registry.handler
    def endless(turn: Turn) -> Iterator[str]:
        while True:
            made.append(1)
            yield "on "

    flow = parse_flow(FLOW.format(name="endless", limits="timeout: 5"), registry=registry)
    session = Session(flow)
    list(session.start())
    events = session.send("x")
    next(event for event in events if isinstance(event, Said))
    time.sleep(0.05)
    assert len(made) <= 2
    events.close()  # type: ignore[attr-defined]


def flaky(registry: Registry, failures: int, say_first: bool = False) -> list[int]:
    """Register a handler that fails a few times; return the list of its attempts."""
    attempts: list[int] = []

    @registry.handler
    def shaky(turn: Turn) -> Iterator[str]:
        attempts.append(len(attempts) + 1)
        turn.memory["attempt"] = len(attempts)
        turn.memory.setdefault("first", len(attempts))
        if say_first:
            yield "Well, "
        if len(attempts) <= failures:
            raise ConnectionError("no answer")
        yield "here I am"

    return attempts


def test_a_handler_that_failed_is_tried_again(registry: Registry) -> None:
    """/why can tell how often and why; the memory of an attempt that failed is taken back."""
    attempts = flaky(registry, failures=2)
    session, events = talk(registry, "shaky", "retry: {times: 2}")
    assert attempts == [1, 2, 3]
    assert Said("shaky", "here I am") in events
    notes = next(e.notes for e in events if isinstance(e, Routed) and e.node == "shaky")
    assert notes == {"retried": 2, "because": "ConnectionError: no answer"}
    assert session.state.memory == {"attempt": 3, "first": 3}


def test_the_last_failure_goes_to_on_error(registry: Registry) -> None:
    """It says how often it was tried."""
    attempts = flaky(registry, failures=9)
    _, events = talk(registry, "shaky", "retry: {times: 2, wait: 0.01}")
    assert attempts == [1, 2, 3]
    assert Failed("shaky", "ConnectionError: no answer; tried 3 times", "sorry") in events


def test_what_was_said_is_not_said_twice(registry: Registry) -> None:
    """Once a piece is out, a failure is no longer tried again."""
    attempts = flaky(registry, failures=1, say_first=True)
    _, events = talk(registry, "shaky", "retry: {times: 2}")
    assert attempts == [1]
    assert [e.text for e in events if isinstance(e, Said)] == ["Well, ", "Sorry"]


def test_a_decision_is_tried_again(registry: Registry) -> None:
    """Handlers that say nothing are retried alike, also after a timeout."""
    calls: list[float] = []

    @registry.handler
    def decide(turn: Turn) -> Literal["a", "b"]:
        calls.append(1)
        if len(calls) == 1:
            time.sleep(0.5)
        return "b"

    _, events = talk(registry, "decide", "timeout: 0.1, retry: {times: 1}")
    assert len(calls) == 2
    assert any(isinstance(e, Routed) and e.outcome == "b" and e.notes["retried"] == 1 for e in events)


def speaking(text: str, registry: Registry) -> Any:
    """Return the events of a turn in which the bot has begun to speak."""
    session = Session(parse_flow(text, registry=registry))
    list(session.start())
    events = session.send("x")
    while not isinstance(next(events), Said):
        pass
    return events


def test_a_stopped_answer_stops_the_handler(registry: Registry) -> None:
    """Ctrl-C during a node with a time limit keeps what was said, and ends the handler."""
    closed = threading.Event()

    @registry.handler
    def chatty(turn: Turn) -> Iterator[str]:
        try:
            while True:
                yield "word "
        finally:
            closed.set()

    events = speaking(FLOW.format(name="chatty", limits="timeout: 5"), registry)
    assert events.throw(KeyboardInterrupt()) == Routed("chatty", "", "end", stopped=True)
    assert closed.wait(10)


@pytest.mark.parametrize("limits", ["description: none", "retry: {times: 1}"])
def test_a_handler_that_ends_when_it_is_stopped_has_not_failed(registry: Registry, limits: str) -> None:
    """Ctrl-C may make a handler return at once; then its outcome counts, tried again or not."""

    @registry.handler
    def brief(turn: Turn) -> Iterator[str]:
        try:
            yield "word "
        except KeyboardInterrupt:
            return

    events = speaking(FLOW.format(name="brief", limits=limits), registry)
    assert events.throw(KeyboardInterrupt()) == Routed("brief", "", "end")


@pytest.mark.parametrize("limits", ["timeout: 5", "retry: {times: 1}", "timeout: 5, retry: {times: 1}"])
def test_a_returned_text_is_still_refused(registry: Registry, limits: str) -> None:
    """Limits change nothing about the contract: a speaking handler yields."""

    @registry.handler
    def hello(turn: Turn) -> Iterator[str]:
        return "hello"  # type: ignore[return-value]

    _, events = talk(registry, "hello", limits)
    assert any(isinstance(e, Failed) and "write `yield` instead" in e.error for e in events)


def test_without_on_error_a_timeout_is_a_handler_error(registry: Registry) -> None:
    """As any failure: named with flow and node, and the turn is taken back."""

    @registry.handler
    def stuck(turn: Turn) -> None:
        time.sleep(0.5)

    text = "start: stuck\nnodes:\n  stuck: {timeout: 0.05, next: end}\n"
    with pytest.raises(HandlerError, match=r"node 'stuck'.*nothing came within 0\.05 s"):
        list(Session(parse_flow(text, registry=registry)).start())


@pytest.mark.parametrize(
    "limit",
    [
        "timeout: 0",
        f"timeout: {MAX_TIMEOUT + 1:g}",
        "timeout: soon",
        "retry: 2",
        "retry: {times: 0}",
        "retry: {times: 11}",
        "retry: {wait: 1}",
    ],
)
def test_limits_beyond_reason_are_mistakes(limit: str) -> None:
    """A slip of the pen must not stop a conversation for a day."""
    with pytest.raises(FlowError, match=r"'timeout' must be|retry"):
        parse_flow(f"start: ask_user\nnodes:\n  ask_user: {{{limit}, next: end}}\n")
