"""That an AI speaks is said by code: with every answer that a user sees, once, whatever the model says."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fsmbot.channels import run_json, run_plain
from fsmbot.doctor import BrokenDoctor, FakeDoctor
from fsmbot.events import Entered, Event, Routed, Said
from fsmbot.flow import Flow
from fsmbot.handlers.doctor import APOLOGY, CUT_OFF, DISCLAIMER, ask_doctor, earlier
from fsmbot.loader import load_flow, parse_flow
from fsmbot.session import Session
from fsmbot.turn import Message, Turn

FLOWS = Path(__file__).parent.parent.parent / "flows"
ASKED = "I have a headache"

words = st.sampled_from(
    ["Rest ", "well. ", "I am a doctor. ", "Drink", " water.", "\n", "\n\n- ", "Dr. ", "é", "🫀", "?!", "",
    " ", "1. ", "As a",
     " nurse, I ", "see a doctor. ", "10 mg ", DISCLAIMER, DISCLAIMER[:40], DISCLAIMER[40:], "I am an AI",
     ", not a doctor"]
)  # fmt: skip
streams = st.lists(st.one_of(words, st.text(max_size=12)), max_size=30)


def check(said: str) -> None:
    """An answer ends in one of the notices, once; one that stands under text says what speaks."""
    endings = [notice for notice in (DISCLAIMER, CUT_OFF, APOLOGY) if said.endswith(notice)]
    assert len(endings) == 1, said
    assert said.count(DISCLAIMER) + said.count(CUT_OFF) + said.count(APOLOGY) == 1
    own = said.removesuffix(endings[0])
    if any(map(str.isalpha, own)):
        assert endings[0] != APOLOGY
        assert "I am an AI, not a doctor" in endings[0]


def streams_end_well(pieces: list[str], question: str, after: int) -> None:
    check("".join(ask_doctor(Turn(question), FakeDoctor(pieces))))
    broken = BrokenDoctor(after=after, pieces=pieces or ["Rest. "])
    check("".join(ask_doctor(Turn(question), broken)))


questions = st.sampled_from([ASKED, "are you a doctor?", "is valium good?", ""])


@settings(max_examples=100, deadline=None)
@given(pieces=streams, question=questions, after=st.integers(0, 12))
def test_every_answer_says_once_that_an_ai_speaks(pieces: list[str], question: str, after: int) -> None:
    """Also where the model says it itself, says nothing, or breaks off."""
    streams_end_well(pieces, question, after)


@pytest.mark.hard
@pytest.mark.timeout(1800)
@pytest.mark.promise(12, "5,000 streams of pieces, whole and broken off: the disclaimer, once, by code")
def test_thousands_of_answers_say_once_that_an_ai_speaks(reached: Callable[[str], None]) -> None:
    """The same as above, for longer."""
    count = [0]

    @settings(max_examples=5000, deadline=None, suppress_health_check=list(HealthCheck))
    @given(pieces=streams, question=questions, after=st.integers(0, 12))
    def run(pieces: list[str], question: str, after: int) -> None:
        streams_end_well(pieces, question, after)
        count[0] += 2

    run()
    reached(f"{count[0]:,} answers, each with one notice at its end")


def test_a_question_about_the_bot_is_answered_by_code() -> None:
    """What a model says of itself is worth nothing; if it says nothing else, the notice is the answer."""
    for asked, said in (
        ("are you a doctor?", "Yes, I am."),
        ("are you human?", "Yes."),
        ("who are you?", "I am Dr. Lee."),
    ):
        turn = Turn(asked)
        assert "".join(ask_doctor(turn, FakeDoctor([said]))) == DISCLAIMER
        assert turn.notes == {}


def test_what_code_adds_is_not_told_to_the_model() -> None:
    """None of the notices comes back to it as its own words."""
    said = [f"Rest.\n\n{DISCLAIMER}", f"Drink\n\n{CUT_OFF}", APOLOGY]
    history = [message for text in said for message in (Message("user", "x"), Message("bot", text))]
    assert [m.text for m in earlier(Turn("y", history)) if m.role == "bot"] == ["Rest.", "Drink", ""]


@pytest.fixture(scope="module")
def clinic() -> Flow:
    return load_flow(FLOWS / "clinic.yaml")


def with_limits(limits: str) -> Flow:
    """The reference conversation, with limits on the doctor's node."""
    text = (FLOWS / "doctor.yaml").read_text(encoding="utf-8")
    return parse_flow(text.replace("ask_doctor:     {", f"ask_doctor: {{{limits}"))


def answer(events: list[Event]) -> str:
    """Return what the doctor's node said."""
    return "".join(e.text for e in events if isinstance(e, Said) and e.node == "ask_doctor")


def test_it_is_said_in_every_channel_and_flow(clinic: Flow) -> None:
    """In a session, in plain text and in JSON; in the short flow and in the clinic's."""
    pieces = ["I am a doctor. ", "Drink ", "water."]
    for flow in (load_flow(FLOWS / "doctor.yaml"), clinic):
        given = {"doctor": FakeDoctor(pieces)}
        session = Session(flow, given)
        list(session.start())
        assert answer(list(session.send(ASKED))) == f"Drink water.\n\n{DISCLAIMER}"
        out = io.StringIO()
        run_plain(flow, io.BytesIO(ASKED.encode()), out, io.StringIO(), resources=given)
        assert out.getvalue().count(f"Drink water.\n\n{DISCLAIMER}\n") == 1
        out = io.StringIO()
        run_json(flow, io.BytesIO(ASKED.encode()), out, resources=given)
        events = [json.loads(line) for line in out.getvalue().splitlines()]
        said = "".join(e["text"] for e in events if e["event"] == "said" and e["node"] == "ask_doctor")
        assert said == f"Drink water.\n\n{DISCLAIMER}"


class Endless(FakeDoctor):
    """Speaks until it is stopped; presses Ctrl-C itself after some pieces, if asked to."""

    def __init__(self, press_after: int = -1) -> None:
        super().__init__()
        self.press_after = press_after

    def answer(self, *_: Any, **__: Any) -> Iterator[str]:
        for number in range(1000):
            if number == self.press_after:
                raise KeyboardInterrupt
            yield f"Rest {WORDS[number % 4]}. "


WORDS = ["well", "now", "more", "long"]
LIMITS = ["", "timeout: 30, ", "retry: {times: 1}, ", "timeout: 30, retry: {times: 1}, "]


@pytest.mark.parametrize("limits", LIMITS)
@pytest.mark.parametrize("pieces", [1, 2, 7])
def test_an_answer_that_the_user_stops_says_it_too(limits: str, pieces: int) -> None:
    """Ctrl-C after any piece: what came stays, the disclaimer follows, and the turn is marked as stopped."""
    session = Session(with_limits(limits), {"doctor": Endless()})
    list(session.start())
    events: Any = session.send(ASKED)
    seen = []
    for event in events:
        seen.append(event)
        if sum(isinstance(e, Said) for e in seen) == pieces:
            break
    seen += [events.throw(KeyboardInterrupt()), *events]
    assert answer(seen).endswith(f"\n\n{DISCLAIMER}")
    assert answer(seen).count(DISCLAIMER) == 1
    assert any(isinstance(event, Routed) and event.stopped for event in seen)
    assert session.state.history[-1].text == answer(seen)
    assert session.state.status == "ended"


@pytest.mark.parametrize("limits", LIMITS)
def test_ctrl_c_may_strike_while_the_model_computes(limits: str) -> None:
    """Inside the handler, not only between its pieces."""
    session = Session(with_limits(limits), {"doctor": Endless(press_after=4)})
    list(session.start())
    seen = list(session.send(ASKED))
    assert answer(seen) == f"Rest well. Rest now. Rest more. Rest long.\n\n{DISCLAIMER}"
    assert any(isinstance(event, Routed) and event.stopped for event in seen)


def test_ctrl_c_before_the_first_word_takes_the_message_back() -> None:
    """Nothing was said, so nothing needs a disclaimer."""
    session = Session(with_limits(""), {"doctor": Endless(press_after=0)})
    list(session.start())
    with pytest.raises(KeyboardInterrupt):
        list(session.send(ASKED))
    assert session.state.turn == 0


def test_a_stopped_answer_at_a_terminal_shows_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The user reads it before the mark that the answer was stopped."""
    from prompt_toolkit.data_structures import Size
    from prompt_toolkit.input import create_pipe_input
    from prompt_toolkit.output.vt100 import Vt100_Output

    from fsmbot.repl import Repl
    from fsmbot.terminal import Screen

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("PROMPT_TOOLKIT_NO_CPR", "1")
    show, pressed = Screen.show, iter([True])

    def show_and_press(screen: Screen, event: Event) -> None:
        show(screen, event)
        if isinstance(event, Said) and event.node == "ask_doctor" and next(pressed, False):
            raise KeyboardInterrupt

    monkeypatch.setattr(Screen, "show", show_and_press)
    out = io.StringIO()
    with create_pipe_input() as keys:
        keys.send_text(f"{ASKED}\r\x04")
        output = Vt100_Output(out, lambda: Size(rows=24, columns=300), term="xterm")
        Repl(with_limits(""), input=keys, output=output, history=False, resources={"doctor": Endless()}).run()
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|\r", "", out.getvalue())
    assert shown.count(DISCLAIMER) == 1
    assert shown.index("Rest") < shown.index(DISCLAIMER) < shown.index("[stopped]")


def test_who_opens_the_clinic_is_told_at_once(clinic: Flow) -> None:
    """Before the first question, too."""
    events = list(Session(clinic, {"doctor": FakeDoctor()}).start())
    assert any(isinstance(e, Entered) and e.node == "welcome" for e in events)
    assert "I am an AI, not a doctor" in "".join(e.text for e in events if isinstance(e, Said))
