"""Test files run: every test is a new conversation, held against what its steps expect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from fsmbot.errors import FsmbotError
from fsmbot.events import Event, was_stopped
from fsmbot.played import Played
from fsmbot.registry import Registry, Resources
from fsmbot.session import Session
from fsmbot.testing.checks import Happened, Miss, judge
from fsmbot.testing.coverage import Coverage, coverage_of, walked
from fsmbot.testing.script import Case, Script, Step
from fsmbot.testing.stubs import doctors, stubbed
from fsmbot.turn import State


@dataclass(frozen=True)
class Failure:
    """One thing that was not as expected, and where it is written."""

    file: str
    line: int
    column: int
    test: str
    what: str
    expected: str
    seen: str


@dataclass(frozen=True)
class CaseResult:
    """One test that was run: its failures (none: it passed), its events, and how long it took."""

    case: Case
    failures: tuple[Failure, ...]
    events: tuple[Event, ...]
    seconds: float


@dataclass(frozen=True)
class ScriptResult:
    """A test file that was run."""

    script: Script
    results: tuple[CaseResult, ...]

    @property
    def failures(self) -> list[Failure]:
        """What was not as expected, in the order of the file."""
        return [failure for result in self.results for failure in result.failures]

    @property
    def failed(self) -> int:
        """How many tests failed."""
        return sum(bool(result.failures) for result in self.results)

    @property
    def events(self) -> list[Event]:
        """The events of all tests."""
        return [event for result in self.results for event in result.events]

    @property
    def coverage(self) -> Coverage:
        """Which nodes and routes of the flow these tests have walked."""
        return coverage_of(self.script.flow, walked(self.script.flow, self.events))


def run_script(script: Script, words: str = "") -> ScriptResult:
    """Run the tests whose name contains `words`, whatever their case."""
    wanted = [case for case in script.cases if words.casefold() in case.name.casefold()]
    return ScriptResult(script, tuple(run_case(script, case) for case in wanted))


def run_case(script: Script, case: Case) -> CaseResult:
    """Run one test up to its first step that fails."""
    started = perf_counter()
    talk = _Talk(script, case)
    misses = next(filter(None, map(talk.play, case.steps)), [])
    failures = [
        Failure(script.source, miss.line, miss.column, case.name, miss.what, miss.expected, miss.seen)
        for miss in misses
    ]
    return CaseResult(case, tuple(failures), tuple(talk.events), perf_counter() - started)


class _Talk:
    """One conversation under test."""

    def __init__(self, script: Script, case: Case) -> None:
        self.events: list[Event] = []
        flow, ready = stubbed(script.flow, case.stubs), doctors(case.stubs)
        resources, begin = _Borrowed(script.flow.shared, ready), State(memory=dict(case.memory))
        self._session = Session(flow, resources, begin, session_id="test")

    def play(self, step: Step) -> list[Miss]:
        """Play one step; return what was not as expected."""
        state = self._session.state
        if step.user is not None and state.status == "new":
            opening = self._turn(None)
            if opening.error:
                return [Miss(step.line, step.column, "the opening failed", "opening words", opening.error)]
            state = self._session.state
        if state.status == "ended" and self._session.flow.spoken(step.user or "") is None:
            seen = f"it has ended at {state.node}"
            return [Miss(step.line, step.column, "user", "a conversation that goes on", seen)]
        return judge(step, self._turn(step.user))

    def _turn(self, user: str | None) -> Happened:
        """Say something to the bot, or hear its opening words; what is raised is part of the result."""
        events: list[Event] = []
        error = ""
        try:
            for event in self._session.start() if user is None else self._session.send(user):
                events.append(event)
        except FsmbotError as raised:
            error = str(raised)
        if any(map(was_stopped, events)):  # Ctrl-C is for the whole run
            raise KeyboardInterrupt
        self.events += events
        state = self._session.state
        return Happened(Played(user, tuple(events), state.memory), error, state)


class _Borrowed(Resources):
    """The stand-ins of one test; whatever else is asked for is the flow's own, built once for all tests."""

    def __init__(self, shared: Resources, ready: Mapping[str, Any]) -> None:
        super().__init__(Registry(), None, **ready)
        self._shared = shared

    def __missing__(self, name: str) -> Any:
        return self._shared[name]
