"""match routes on words and numbers, of what was said or what is remembered."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fsmbot.errors import FlowError
from fsmbot.handlers.matching import Condition, match
from fsmbot.loader import parse_flow
from fsmbot.session import Session
from fsmbot.turn import Turn

ANSWERS: Any = {"yes": ["yes", "that's right", 1], "no": ["no", "not right", "not"]}


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("Yes!", "yes"),
        ("well, YES please", "yes"),
        ("thats right", "yes"),
        ("That’s right.", "yes"),
        ("No, that's right", "no"),
        ("yes and no", "yes"),
        ("that is not right", "no"),
        ("1", "yes"),
        ("yesterday", "other"),
        ("11", "other"),
        ("", "other"),
        ("нет", "other"),
    ],
)
def test_whole_words_and_phrases_fit(text: str, outcome: str) -> None:
    """Capitals, marks and apostrophes aside; of several cases the first in the message."""
    assert match(Turn(text), cases=ANSWERS) == outcome


def test_accents_match_however_they_are_written() -> None:
    """A letter with its accent apart is the same letter."""
    assert match(Turn("cafe\u0301"), cases={"drink": ["caf\u00e9"]}) == "drink"


@pytest.mark.parametrize("name", ["other", "otherwise"])
def test_a_case_cannot_be_called_other(name: str) -> None:
    """That is the outcome when none fits."""
    assert "setting 'cases'" in mistakes(f"{{{name}: [x]}}")


def test_the_longer_phrase_wins_where_both_begin() -> None:
    """ "not sure" is a case of its own beside "not"."""
    cases: Any = {"no": ["not"], "unsure": ["not sure"]}
    assert match(Turn("I am not sure"), cases=cases) == "unsure"
    assert match(Turn("I am not"), cases=cases) == "no"


@pytest.mark.parametrize(
    ("text", "age"),
    [("36", 36), ("I am 36.", 36), ("36 years", 36), ("36y", 36), ("2.5", 2.5), ("2,5", 2.5), ("007", 7),
     ("-1", None), ("121", None), ("1,000,000", None), ("1,000", None),
     ("v2", None), ("2nd", None), ("thirty", None),
     ("130 or 36", 36), ("12.12.2001", None), ("9" * 400, None)],
)  # fmt: skip
def test_numbers_fit_a_range(text: str, age: float | None) -> None:
    """Both bounds are included; numbers are those in digits, and what fits may be kept."""
    turn = Turn(text)
    outcome = match(turn, cases={"ok": Condition(0, 120)}, keep="age")
    assert outcome == ("other" if age is None else "ok")
    assert turn.memory == ({} if age is None else {"age": age})


def test_the_word_is_kept_as_it_is_listed() -> None:
    """What is remembered is the flow's word, however the user wrote it."""
    turn = Turn("THATS RIGHT!!")
    match(turn, cases=ANSWERS, keep="answer")
    assert turn.memory == {"answer": "that's right"}


def test_a_remembered_value_may_be_compared() -> None:
    """Also a number, or what a subflow remembers; what is not there fits nothing."""
    cases: Any = {"minor": Condition(most=17), "adult": Condition(18)}
    turn = Turn("x", memory={"age": 17, "intake": {"age": "I am 18"}})
    assert match(turn, cases=cases, value="age") == "minor"
    assert match(turn, cases=cases, value="intake/age") == "adult"
    assert match(turn, cases=cases, value="weight") == "other"


@given(st.text(max_size=300))
def test_any_text_has_an_outcome(text: str) -> None:
    """Nothing that a user writes breaks it."""
    assert match(Turn(text), cases={**ANSWERS, "number": Condition()}) in ("yes", "no", "number", "other")


FLOW = "start: ask_user\nnodes:\n  ask_user: {next: match}\n  match: {cases: CASES, next: NEXT}\n"


def mistakes(cases: str, routes: str = "end") -> str:
    with pytest.raises(FlowError) as caught:
        parse_flow(FLOW.replace("CASES", cases).replace("NEXT", routes))
    return str(caught.value)


def test_the_cases_are_the_outcomes() -> None:
    """A route must cover each of them, and `other`."""
    assert "does not cover outcome 'other'" in mistakes("{a: [x]}", "{a: end}")
    assert "has no outcome 'b'" in mistakes("{a: [x]}", "{a: end, b: end, other: end}")
    session = Session(
        parse_flow(FLOW.replace("CASES", "{a: [x]}").replace("NEXT", "{a: end, otherwise: ask_user}"))
    )
    session.say("x")
    assert session.state.status == "ended"


@pytest.mark.parametrize(
    ("cases", "expected"),
    [
        (
            "{a: x}",
            "4:22: node 'match': setting 'cases': expected a list of one or more texts or numbers, or",
        ),
        ("{a: [[x]]}", "4:23: node 'match': setting 'cases': expected text or a number, not a list"),
        (
            "{a: {form: 3}}",
            "4:23: node 'match': setting 'cases': there is no key 'form' here; did you mean 'from'?",
        ),
        (
            "{a: {from: x}}",
            "4:29: node 'match': setting 'cases': expected a number, not the text 'x'",
        ),
        ("{a: {from: 5, to: 1}}", "expected 'from' to be no more than 'to'"),
    ],
)
def test_a_wrong_case_is_reported_where_it_stands(cases: str, expected: str) -> None:
    """The innermost part that does not fit is named, not the setting as a whole."""
    assert expected in mistakes(cases)
