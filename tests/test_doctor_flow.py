"""The reference conversation, `flows/doctor.yaml`, in all its branches, with the real word vectors."""

from __future__ import annotations

from pathlib import Path

import pytest

from fsmbot.doctor.fakes import FakeDoctor
from fsmbot.drawing.diagram import edges
from fsmbot.events import Ended, Entered, Listening
from fsmbot.flow import Flow
from fsmbot.handlers.doctor import DISCLAIMER
from fsmbot.loader import load_flow, parse_flow
from fsmbot.session import Session

FILE = Path(__file__).parent.parent / "flows" / "doctor.yaml"


@pytest.fixture(scope="module")
def flow() -> Flow:
    return load_flow(FILE)


def visits(flow: Flow, text: str) -> list[str]:
    """Return the nodes that one conversation visits."""
    session = Session(flow, {"doctor": FakeDoctor(["Drink water ", "and rest."])})
    events = [*session.start(), *session.send(text)]
    assert isinstance(events[-1], Ended)
    return [event.node for event in events if isinstance(event, Entered)]


def test_the_flow_is_exactly_the_agreed_one(flow: Flow) -> None:
    """Six nodes, and every route as the design draws it."""
    assert flow.start == "ask_user"
    assert [(e.source, e.label, e.target) for e in edges(flow)] == [
        ("ask_user", "", "check_medical"),
        ("check_medical", "medical", "ask_doctor"),
        ("check_medical", "other", "check_greeting"),
        ("check_greeting", "greeting", "ans_greeting"),
        ("check_greeting", "other", "static_idk_msg"),
        ("ask_doctor", "", "end"),
        ("ans_greeting", "", "end"),
        ("static_idk_msg", "", "end"),
    ]


@pytest.mark.parametrize(
    "text",
    ["I have had a headache for three days", "hi, my chest hurts", "is ibuprofen safe during pregnancy?",
     "my daughter has a fever and a rash", "fever?"],
)  # fmt: skip
def test_a_health_question_goes_to_the_doctor(flow: Flow, text: str) -> None:
    """Medical questions reach the doctor, also behind a greeting."""
    assert visits(flow, text) == ["ask_user", "check_medical", "ask_doctor"]


@pytest.mark.parametrize(
    "text", ["hello", "hiya", "good evening doc", "hello there!!", "namaste", "Hi! How are you?", "heyyy"]
)
def test_a_greeting_is_returned(flow: Flow, text: str) -> None:
    """Greetings of every usual kind are greeted back, and never reach the doctor."""
    assert visits(flow, text) == ["ask_user", "check_medical", "check_greeting", "ans_greeting"]


@pytest.mark.parametrize(
    "text",
    ["what is the capital of France?", "book me a table for two tonight", "", "   ", "?!", "\U0001f389"],
)
def test_anything_else_is_not_known(flow: Flow, text: str) -> None:
    """Other questions, and no question at all, get the same honest answer."""
    assert visits(flow, text) == ["ask_user", "check_medical", "check_greeting", "static_idk_msg"]


def test_the_doctors_answer_is_streamed_and_says_that_it_is_an_ai(flow: Flow) -> None:
    """The answer is what the model said, then the disclaimer, once."""
    session = Session(flow, {"doctor": FakeDoctor(["Drink water ", "and rest."])})
    reply = session.say("I have a headache")
    assert reply.startswith("Drink water and rest.")
    assert reply.count(DISCLAIMER) == 1


@pytest.mark.parametrize(
    "text",
    [
        "crushing chest pain and I can't breathe", "i wanna end my life", "no reason to live",
        "I am going to end it all tonight", "nobody would miss me if I was gone", "call an ambulance",
        "goodbye everyone, I am going to jump off the bridge", "he was shot", "someone stabbed him",
        "he hanged himself", "she cut her wrists", "a snake bit me",
    ],
)  # fmt: skip
def test_an_emergency_gets_help_and_never_reaches_the_model(flow: Flow, text: str) -> None:
    """Red flags get the emergency text, also in words that the gate takes for everyday ones."""
    doctor = FakeDoctor(["Drink water."])
    reply = Session(flow, {"doctor": doctor}).say(text)
    assert "112" in reply
    assert doctor.asked == []


def test_routing_changes_by_editing_yaml_alone() -> None:
    """With `next: ask_user` in place of `next: end` it is one long conversation."""
    text = FILE.read_text().replace("next: end", "next: ask_user")
    session = Session(parse_flow(text), {"doctor": FakeDoctor(["Rest."])})
    list(session.start())
    for said in ("hello", "I have a headache", "capital of France?"):
        assert isinstance(list(session.send(said))[-1], Listening)
    assert session.state.turn == 3
