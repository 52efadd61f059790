"""Normal forms: the same as Unicode's for what people write, and quick for what nobody writes."""

from __future__ import annotations

import time
import unicodedata
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fsmbot.normal import MARKS, normal_form

Form = Literal["NFC", "NFKC"]
ZALGO = "Z" + "\u0301\u0323" * (MARKS // 2)


@pytest.mark.parametrize("form", ["NFC", "NFKC"])
@pytest.mark.parametrize(
    "text", ["plain", "e\u0301e\u0323\u0301", "ﬁ ﷺ ㎏", "क्षि", "각 각", "\u0f73\u0f71", ZALGO]
)
def test_what_people_write_has_unicodes_own_normal_form(form: Form, text: str) -> None:
    """Accents, ligatures, scripts with marks, and as many marks as anybody puts on a letter."""
    assert normal_form(form, text) == unicodedata.normalize(form, text)


@given(st.text(st.characters(codec="utf-8"), max_size=MARKS))
def test_no_short_text_is_cut(text: str) -> None:
    """Whatever characters it holds."""
    assert normal_form("NFC", text) == unicodedata.normalize("NFC", text)


def test_of_a_heap_of_marks_the_first_are_kept() -> None:
    """And what stands behind the heap stays."""
    assert normal_form("NFC", "x" + "\u0323" * 100 + "y") == "x" + "\u0323" * MARKS + "y"


@pytest.mark.parametrize("marks", ["\u0301\u0323", "\u0f73", "\u0f73\u0301", "\uff9e\u0323"])
def test_a_hundred_thousand_marks_take_no_time(marks: str) -> None:
    """In an order that makes Python's own normalization take 8 seconds, or as long as it can."""
    text = (marks * 100_000)[:100_000]
    begun = time.perf_counter()
    normal_form("NFKC", text)
    assert time.perf_counter() - begun < 1
