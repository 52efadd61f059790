"""ask_doctor: emergencies first, honest about itself, and never an exception for the user."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fsmbot.doctor import BrokenDoctor, FakeDoctor, LocalDoctor
from fsmbot.handlers.doctor import APOLOGY, CUT_OFF, DISCLAIMER, ask_doctor, doctor, earlier
from fsmbot.turn import Message, Turn


def test_the_answer_streams_and_ends_with_the_disclaimer() -> None:
    """Pieces arrive one by one; that this is an AI is said once, at the end."""
    pieces = list(ask_doctor(Turn("my head hurts"), FakeDoctor(["Drink ", "water. ", "Rest ", "well."])))
    assert len(pieces) > 2
    assert "".join(pieces) == f"Drink water. Rest well.\n\n{DISCLAIMER}"


@pytest.mark.parametrize("text", ["crushing chest pain and I can't breathe", "I want to kill myself"])
def test_an_emergency_never_reaches_the_model(text: str) -> None:
    """The emergency reply comes instead of any model call."""
    fake, turn = FakeDoctor(), Turn(text)
    said = "".join(ask_doctor(turn, fake))
    assert "112" in said
    assert fake.asked == []
    assert DISCLAIMER not in said
    assert turn.notes["emergency"]


def test_a_model_that_is_missing_gets_an_apology() -> None:
    """The user reads what to do instead; the reason is in the notes."""
    turn = Turn("my head hurts")
    assert "".join(ask_doctor(turn, BrokenDoctor(reason="no such folder"))) == APOLOGY
    assert turn.notes["failed"] == "no such folder"
    assert "see a doctor" in APOLOGY


def test_a_model_that_fails_half_way_keeps_what_came() -> None:
    """The streamed words stay, followed by a warning not to rely on them."""
    turn = Turn("my head hurts")
    said = "".join(ask_doctor(turn, BrokenDoctor(after=2, pieces=["Rest. ", "Drink. "])))
    assert said.startswith("Rest.")
    assert said.endswith(CUT_OFF)
    assert turn.notes["failed"]


@pytest.mark.parametrize("pieces", [[], [""], ["  ", "\n"], ["�", "?!"], ["123", " 4"]])
def test_an_empty_or_garbled_answer_gets_an_apology(pieces: list[str]) -> None:
    """An answer without a single letter is no answer."""
    turn = Turn("my head hurts")
    assert "".join(ask_doctor(turn, FakeDoctor(pieces))).endswith(APOLOGY)
    assert "no readable answer" in turn.notes["failed"]


def test_claims_of_the_model_to_be_a_doctor_are_left_out() -> None:
    """Whatever the model says, the bot does not claim to be a doctor."""
    model = FakeDoctor(["As a doct", "or, I have seen", " many patients. ", "Drink water."])
    assert "".join(ask_doctor(Turn("my head hurts"), model)) == f"Drink water.\n\n{DISCLAIMER}"


def test_only_claims_count_as_no_answer() -> None:
    """If nothing but claims came, the user gets the apology."""
    said = "".join(ask_doctor(Turn("my head hurts"), FakeDoctor(["I am a licensed doctor."])))
    assert said == APOLOGY


def test_history_goes_to_the_model_without_our_own_additions() -> None:
    """The message itself and the disclaimers are not repeated to the model."""
    history = [
        Message("user", "cough"), Message("bot", f"Rest.\n\n{DISCLAIMER}"), Message("user", "and water?"),
    ]  # fmt: skip
    assert earlier(Turn("and water?", history)) == [Message("user", "cough"), Message("bot", "Rest.")]


def test_stopping_the_answer_stops_the_model() -> None:
    """Closing the handler's iterator closes the model's, which runs in a thread of its own."""
    closed = threading.Event()

    class Endless(FakeDoctor):
        def answer(self, *_: object, **__: object):  # type: ignore[no-untyped-def]
            try:
                while True:
                    yield "water "
            finally:
                closed.set()

    answer = ask_doctor(Turn("my head hurts"), Endless())
    next(answer)
    answer.close()  # type: ignore[attr-defined]
    assert closed.wait(10)


def test_the_resource_builds_without_loading() -> None:
    """The factory is quick; the model loads when it is first asked or preloaded."""
    built = doctor(adapter=Path("/some/folder"))
    assert isinstance(built, LocalDoctor)
    assert built.status == "not loaded"


@pytest.mark.parametrize("error", [ValueError("odd"), MemoryError(), OSError(28, "disk full")])
def test_whatever_a_model_raises_the_user_gets_an_answer(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """A model of one's own may fail in any way: an apology follows, and the log has the reason."""

    class Odd(FakeDoctor):
        def answer(self, *_: object, **__: object) -> Iterator[str]:
            raise error

    turn = Turn("my head hurts")
    assert "".join(ask_doctor(turn, Odd())) == APOLOGY
    assert turn.notes["failed"]
    assert type(error).__name__ in caplog.text


def test_the_question_may_be_put_together_from_memory() -> None:
    """What was remembered is asked, in place of the last message; an emergency in either is heard."""
    doctor = FakeDoctor(["Rest."])
    memory = {"question": "My knee hurts.", "duration": "two weeks"}
    question = "{question} I have had this for {duration}."
    "".join(ask_doctor(Turn("two weeks", memory=memory), doctor, question=question))
    assert doctor.asked == ["My knee hurts. I have had this for two weeks."]
    memory["question"] = "I have crushing chest pain."
    said = "".join(ask_doctor(Turn("an hour", memory=memory), doctor, question=question))
    assert "emergency" in said
    assert len(doctor.asked) == 1


class Slow(FakeDoctor):
    """Says nothing for a while; `status` tells what it does."""

    def __init__(self, seconds: float, status: str) -> None:
        super().__init__(["Rest."])
        self.seconds, self.status = seconds, status

    def answer(self, *arguments: Any, **settings: Any) -> Iterator[str]:
        time.sleep(self.seconds)
        yield from super().answer(*arguments, **settings)


def test_a_model_that_is_silent_for_too_long_gets_an_apology() -> None:
    """`patience` is the longest silence."""
    turn = Turn("my head hurts")
    assert "".join(ask_doctor(turn, Slow(5, "ready"), patience=0.05)) == APOLOGY
    assert turn.notes["failed"] == "nothing came within 0.05 s"


def test_a_model_that_loads_is_waited_for() -> None:
    """A first start takes longer; the answer comes all the same."""
    said = "".join(ask_doctor(Turn("my head hurts"), Slow(0.5, "loading"), patience=0.1))
    assert said == f"Rest.\n\n{DISCLAIMER}"
