"""Word wrap of streamed text: it looks as if it had come whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fsmbot.wrapping import Wrap

PIECES = st.lists(st.text(st.sampled_from("ab é日\u0301\n")), max_size=30)


def wrapped(pieces: list[str], columns: int = 20, column: int = 0) -> str:
    """Return all that a wrap prints for some pieces."""
    wrap = Wrap(columns, column)
    return "".join([*map(wrap.feed, pieces), wrap.rest()])


def test_words_stay_whole() -> None:
    """A word that does not fit begins the next line."""
    text = "Please call your emergency number now"
    assert wrapped([text]) == "Please call your \nemergency number \nnow"


def test_the_label_before_the_first_word_counts() -> None:
    """A message does not begin at the left edge."""
    assert wrapped(["Please call your"], column=5) == "Please call \nyour"


def test_a_word_is_printed_when_it_is_whole() -> None:
    """What may still grow is held back; the end of the text lets it go."""
    wrap = Wrap(20)
    assert [wrap.feed("emer"), wrap.feed("gency num"), wrap.rest()] == ["", "emergency ", "num"]


@pytest.mark.parametrize("text", ["x" * 100, "日本語" * 10])
def test_text_without_spaces_still_streams(text: str) -> None:
    """Neither a long word nor a script without spaces is held back for long."""
    wrap = Wrap(80)
    held = longest = 0
    for character in text:
        held = 0 if wrap.feed(character) else held + 1
        longest = max(longest, held)
    assert longest <= 30


def test_a_narrow_terminal_wraps_by_itself() -> None:
    """Where hardly a word fits, or the width is unknown, nothing is added."""
    assert wrapped(["one two three"], columns=5) == wrapped(["one two three"], columns=0) == "one two three"


@given(PIECES)
def test_nothing_is_lost_or_added_but_line_breaks(pieces: list[str]) -> None:
    """Without its line breaks, what is printed is what was said."""
    assert wrapped(pieces).replace("\n", "") == "".join(pieces).replace("\n", "")
