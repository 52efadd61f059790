"""The sanitiser: what it lets through, what it marks, and that nothing else can happen."""

from __future__ import annotations

import io
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fsmbot.text import MARK, fence_streams, fenced, safe, safe_line

ANY_TEXT = st.text(st.characters())  # lone surrogates and controls included

ATTACKS = {
    "escape sequence": "\x1b[31mred\x1b[0m",
    "title": "\x1b]0;owned\x07",
    "C1 control": "\x9b31m",
    "null": "a\x00b",
    "backspace": "safe\x08\x08\x08\x08evil",
    "carriage return": "harmless\revil",
    "right-to-left override": "\u202egnp.exe",
    "bidi isolate": "\u2066x\u2069",
    "zero-width space": "pay\u200bpal",
    "zero-width joiner": "a\u200db",
    "byte order mark": "\ufeffx",
    "variation selector": "a\ufe0f",
    "Hangul filler": "a\u3164b",
    "line separator": "a\u2028b",
    "tag characters": "a\U000e0041",
    "lone surrogate": "a\ud800",
    "private use": "\ue000",
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_an_attack_leaves_a_visible_mark(attack: str) -> None:
    """What could steer or deceive a terminal is replaced by something that can be seen."""
    shown = safe(attack)
    assert MARK in shown
    assert all(c.isprintable() for c in shown)


@pytest.mark.parametrize(
    "text",
    ["plain", "два слова", "日本語", "नमस्ते", "שלום", "مرحبا", "e\u0301", "🙂", "a\n\tb", "½ × 2 → 1 €", MARK],
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    """Letters of every script, combining accents, emoji, line breaks and tabs pass unchanged."""
    assert safe(text) == text


@given(ANY_TEXT)
def test_whatever_comes_in_only_printable_text_goes_out(text: str) -> None:
    """Every character that comes out is printable, a line break or a tab, and no format character."""
    for character in safe(text):
        assert character in "\n\t" or character.isprintable()
        assert unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co") or character in "\n\t"


@given(ANY_TEXT)
def test_sanitising_twice_is_sanitising_once(text: str) -> None:
    """Text that is safe stays as it is."""
    assert safe(safe(text)) == safe(text)


@given(ANY_TEXT)
def test_each_character_keeps_its_place(text: str) -> None:
    """Only "\\r\\n" becomes shorter, so that a cursor position stays true."""
    assert len(safe(text)) == len(text.replace("\r\n", "\n"))


@given(ANY_TEXT)
def test_a_safe_line_is_one_line(text: str) -> None:
    """No line break or tab is left, and no letter is lost."""
    line = safe_line(text)
    assert all(c.isprintable() for c in line)
    assert [c for c in line if c.isalnum()] == [c for c in safe(text) if c.isalnum()]


@given(st.lists(st.text(st.characters(exclude_characters="\r"))))
def test_pieces_are_as_safe_as_the_whole(pieces: list[str]) -> None:
    """A streamed message looks the same as one that came at once."""
    assert "".join(map(safe, pieces)) == safe("".join(pieces))


def test_a_fenced_stream_writes_safe_text_only() -> None:
    """Whoever writes: print, writelines, or a library; bytes for the buffer below stay bytes."""
    under = io.BytesIO()
    stream = fenced(io.TextIOWrapper(under, "utf-8", line_buffering=True))
    print("a\x1b[31m\tb\u202e", file=stream)
    stream.writelines(["c\x9b\n"])
    stream.buffer.write(b"\x1b[0m")
    assert under.getvalue().decode() == f"a{MARK}[31m\tb{MARK}\nc{MARK}\n\x1b[0m"


@pytest.mark.parametrize("errors", ["strict", "surrogateescape"])
def test_a_fenced_stream_of_a_narrow_encoding_never_fails(errors: str) -> None:
    """A name from elsewhere is no reason for a traceback: what ASCII lacks is a question mark."""
    under = io.BytesIO()
    stream = fenced(io.TextIOWrapper(under, "ascii", errors))
    print("Zoë", file=stream, flush=True)
    assert under.getvalue() == b"Zo?\n"


def test_a_stream_that_is_fenced_has_what_it_had(monkeypatch: pytest.MonkeyPatch) -> None:
    """Encoding and error handling go on; a stream that is closed, or keeps no bytes, is left alone."""
    old = io.TextIOWrapper(io.BytesIO(), "latin-1", "backslashreplace")
    kept = io.StringIO()
    monkeypatch.setattr(sys, "stdout", old)
    monkeypatch.setattr(sys, "stderr", None)
    fence_streams("stdout", "stderr")
    assert (sys.stdout.encoding, sys.stdout.errors, sys.stdout.buffer) == (
        old.encoding,
        old.errors,
        old.buffer,
    )
    assert sys.stderr is None
    assert fenced(kept) is kept
