"""take, `only` in match, and ans_emergency: what forms and careful flows are made of."""

from __future__ import annotations

import pytest

from fsmbot.errors import FlowError
from fsmbot.handlers.emergency import ans_emergency, emergency
from fsmbot.handlers.matching import Condition, match
from fsmbot.handlers.taking import take
from fsmbot.loader import parse_flow
from fsmbot.turn import Turn


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Ada", "Ada"), ("My name is Ada.", "Ada"), ("my name's  Ada B. Byron!", "Ada B. Byron"),
        ("I'm “Ada”", "Ada"), ("नमिता", "नमिता"), ("O'Brien, Conan", "O'Brien, Conan"), ("Imogen", "Imogen"),
    ],
)  # fmt: skip
def test_take_remembers_what_was_said_without_what_is_around_it(text: str, kept: str) -> None:
    """Opening words, marks and spaces at the ends are left out; what is between stays as it was typed."""
    turn = Turn(text, memory={})
    assert take(turn, keep="name", after=("my name is", "my names", "I'm")) == "taken"
    assert turn.memory == {"name": kept}


def test_opening_words_are_left_out_whole_however_accents_are_typed() -> None:
    """An accent of its own takes a place in the message, and none in the words."""
    turn = Turn("Me\u0301 llamo Ada", memory={})
    assert take(turn, keep="name", after=("mé llamo",)) == "taken"
    assert turn.memory == {"name": "Ada"}


@pytest.mark.parametrize("text", ["", "  ", "?!", "👍", "my name is", "My name is..."])
def test_take_finds_nothing_in_nothing(text: str) -> None:
    """Without letters or digits there is nothing, and what was remembered stays."""
    turn = Turn(text, memory={"name": "Ada"})
    assert take(turn, keep="name", after=("my name is",)) == "nothing"
    assert turn.memory == {"name": "Ada"}


@pytest.mark.parametrize("text", ["one two three four", "x" * 61, "well. " * 1000])
def test_take_refuses_what_is_long(text: str) -> None:
    """Words are counted; a word without end is long too."""
    turn = Turn(text, memory={"name": "Ada"})
    assert take(turn, keep="name", most=3) == "long"
    assert turn.memory == {"name": "Ada"}
    assert take(Turn("one two three", memory={}), keep="name", most=3) == "taken"


@pytest.mark.parametrize(
    ("text", "outcome"),
    [("No!", "leave"), ("that's it", "leave"), ("no car", "car"), ("car? no", "car"), ("not now", "other"),
     ("that's it then", "other"), ("", "other")],
)  # fmt: skip
def test_only_wants_the_whole_message(text: str, outcome: str) -> None:
    """Such a phrase fits where nothing else is said, in capitals or not, marks aside."""
    assert match(Turn(text), cases={"leave": Condition(only=["no", "thats it"]), "car": ["car"]}) == outcome


def test_only_stands_alone() -> None:
    """A case is either phrases that must be all, or a range of numbers; the file says where it is wrong."""
    text = "start: match\nnodes:\n  match:\n    cases: {a: {only: [x], from: 1}}\n    next: end\n"
    with pytest.raises(FlowError, match="expected either 'only' or a range of numbers"):
        parse_flow(text)
    with pytest.raises(FlowError):
        parse_flow(text.replace("only: [x], from: 1", "only: []"))


@pytest.mark.parametrize("text", ["crushing chest pain", "I want to die", "she drank bleach", "hello"])
def test_the_emergency_reply_fits_the_emergency(text: str) -> None:
    """The same words as ask_doctor would say; where no rule fired, those for the body."""
    found = emergency(text) or emergency("crushing chest pain")
    assert found is not None
    assert list(ans_emergency(Turn(text))) == [found.reply]
