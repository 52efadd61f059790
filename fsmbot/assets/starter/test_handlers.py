"""A handler is an ordinary function: call it, and compare."""

from __future__ import annotations

import pytest
from handlers import check_party

from fsmbot import Turn


@pytest.mark.parametrize(
    ("text", "outcome"),
    [("we are 4.", "fits"), ("8", "fits"), ("9", "too_many"), ("a few", "unclear"), ("0", "unclear")],
)
def test_check_party(text: str, outcome: str) -> None:
    """The first number decides."""
    assert check_party(Turn(text), largest=8) == outcome


def test_the_number_is_remembered() -> None:
    """The texts of the flow can say it."""
    turn = Turn("4 please")
    check_party(turn)
    assert turn.memory["party"] == 4
