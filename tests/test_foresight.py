"""Foresight: a half-typed message tells what will be needed, and changes nothing."""

from __future__ import annotations

import time
from typing import Any, Literal

import pytest

from fsmbot.flow import Flow
from fsmbot.foresight import Foresight, foresee
from fsmbot.loader import parse_flow
from fsmbot.registry import Registry
from fsmbot.session import Session
from fsmbot.turn import MAX_MESSAGE, State, Turn

GENEROUS = 10.0
"""Seconds within which a background thread will surely have come to something."""


def started(flow: Flow, **resources: object) -> Session:
    """Return a session that listens."""
    session = Session(flow, resources or None)
    list(session.start())
    return session


@pytest.mark.parametrize(
    ("draft", "needs"),
    [("my head has a pain", {"doctor"}), ("hello", set()), ("the capital of France", set()), ("  ", set())],
)
def test_only_a_draft_that_leads_there_needs_the_doctor(
    doctor_flow: Flow, draft: str, needs: set[str]
) -> None:
    """Pure handlers are asked which way the message would go."""
    assert foresee(started(doctor_flow), draft) == needs


def test_a_greeting_builds_no_doctor(doctor_flow: Flow) -> None:
    """What the way does not need is not even constructed."""
    session = started(doctor_flow)
    foresee(session, "hello")
    assert "doctor" not in dict(doctor_flow.shared.built())


def test_nothing_is_foreseen_unless_the_session_listens(doctor_flow: Flow) -> None:
    """Before the start, after the end, and for a message that would be refused."""
    assert foresee(Session(doctor_flow), "pain") == set()
    ended = started(doctor_flow)
    ended.say("hello")
    assert foresee(ended, "pain") == set()
    assert foresee(started(doctor_flow), "pain" * MAX_MESSAGE) == set()


MEDDLING = """
start: ask_user
nodes:
  ask_user: {remember: wish, next: meddle}
  meddle: {next: {on: talk, off: end}}
  talk: {handler: say, text: hm, next: think}
  think: {next: end}
"""


def meddling(doctor_flow: Flow, error: type[Exception] | None = None) -> Flow:
    """A flow whose pure handler writes wherever it can, and may fail."""
    registry = Registry(dict(doctor_flow.registry.handlers))

    @registry.handler(pure=True)
    def meddle(turn: Turn) -> Literal["on", "off"]:
        turn.memory["list"].append(1)
        turn.history.clear()
        if error:
            raise error("no")
        return "on" if turn.memory["wish"] == "go" else "off"

    @registry.handler
    def think(turn: Turn, brain: Any) -> None:
        raise AssertionError("a handler that is not pure must not be called")

    @registry.resource
    def brain() -> object:
        return object()

    return parse_flow(MEDDLING, registry=registry)


def test_a_draft_changes_nothing(doctor_flow: Flow) -> None:
    """Handlers get a copy of memory and history, with the draft remembered as the message would be."""
    flow = meddling(doctor_flow)
    state = State("ask_user", "listening", {"list": []}, (), 0, flow.fingerprint)
    session = Session(flow, state=state)
    assert foresee(session, "go") == {"brain"}
    assert foresee(session, "stop") == set()
    assert session.state is state
    assert state.memory == {"list": []}


def test_a_handler_that_fails_on_a_draft_is_no_failure(doctor_flow: Flow) -> None:
    """Half a message may well be nonsense: nothing is foreseen, and nobody is told."""
    flow = meddling(doctor_flow, ValueError)
    state = State("ask_user", "listening", {"list": []}, (), 0, flow.fingerprint)
    assert foresee(Session(flow, state=state), "go") == set()


def test_typing_a_medical_question_loads_the_doctor_once(doctor_flow: Flow) -> None:
    """The load begins before the message is sent, and is not asked for again."""
    session = started(doctor_flow)
    foresight = Foresight(lambda: session, pause=0.01)
    doctor = doctor_flow.shared["doctor"]
    foresight.draft("a pain")
    assert doctor.preloaded.wait(GENEROUS)
    foresight.draft("a pain in my head")
    foresight.draft("a pain in my head, since")
    time.sleep(0.1)
    assert doctor.preloads == 1


class Drafts:
    """Stands in for a session, and keeps which drafts were looked at."""

    def __init__(self, flow: Flow) -> None:
        self.flow, self.asked = flow, 0

    def session(self) -> Session:
        self.asked += 1
        return started(self.flow)


def test_drafts_are_looked_at_when_the_typing_pauses(doctor_flow: Flow) -> None:
    """A burst of keys costs one look, and taking note of a key next to nothing."""
    drafts = Drafts(doctor_flow)
    foresight = Foresight(drafts.session, pause=0.2)
    began = time.perf_counter()
    for end in range(1, 1000):
        foresight.draft("my head has a pain"[:end])
    took = time.perf_counter() - began
    assert took < 0.1
    assert doctor_flow.shared["doctor"].preloaded.wait(GENEROUS)
    assert drafts.asked == 1


def test_who_types_without_a_pause_is_not_forgotten(doctor_flow: Flow) -> None:
    """The words so far are looked at while the next one is typed, and all of them after it."""
    seen: list[str] = []

    class Noted(Foresight):
        def _next(self) -> str | None:
            seen.append(super()._next() or "")
            return seen[-1]

    session = started(doctor_flow)
    foresight = Noted(lambda: session, pause=10, patience=0.2)
    text = "my head has a pain and it is there since yesterday"
    for end in range(1, len(text)):
        foresight.draft(text[:end])
        time.sleep(0.02)
    assert doctor_flow.shared["doctor"].preloaded.wait(GENEROUS)
    looked_at = [draft for draft in seen if draft]
    assert looked_at
    assert all(text.startswith(f"{draft} ") for draft in looked_at)


def test_a_resource_that_cannot_be_had_disturbs_nobody(doctor_flow: Flow) -> None:
    """The next draft is looked at all the same; the node itself will tell the user."""

    class Stubborn:
        def preload(self) -> None:
            raise RuntimeError("no model here")

    session = started(doctor_flow, doctor=Stubborn())
    foresight = Foresight(lambda: session, pause=0.01)
    foresight.draft("a pain")
    time.sleep(0.1)
    session = started(doctor_flow)
    foresight.draft("a pain again")
    assert doctor_flow.shared["doctor"].preloaded.wait(GENEROUS)
