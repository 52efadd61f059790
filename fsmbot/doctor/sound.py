"""Tell text from what a broken model gives: endless repetition, words without end, odd characters."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator

TAIL = 1200
"""Characters at the end of an answer that are looked at."""
LONGEST_PHRASE, PHRASE_TIMES = 300, 4
SHORT_PHRASE, SHORT_TIMES = 20, 12
"""A text that comes as often as this, with nothing between, is a loop; a short one may come more often."""
LONGEST_WORD = 200
"""Letters in a row; words of chemistry have under 60, and text without spaces has punctuation."""
ODD_SHARE = 0.25
"""How much of the last 200 characters may be unprintable or no character at all."""
MOST_SCRIPTS = 6
"""Kinds of letters within 200 characters; Japanese has four, Latin ones included."""
CHARACTERS_PER_TOKEN = 24
"""Above any usual average; bounds the answers of doctors that do not count tokens."""


class Garbled(ValueError):
    """What a model gives is no text (any longer)."""


def sound(pieces: Iterable[str], max_new_tokens: int) -> Iterator[str]:
    """Pass an answer on for as long as it is text; raises Garbled with what is wrong."""
    tail, length = "", 0
    for piece in pieces:
        if not isinstance(piece, str):
            raise Garbled(f"the model gave {type(piece).__name__} in place of text")
        length += len(piece)
        if length > max_new_tokens * CHARACTERS_PER_TOKEN + TAIL:
            raise Garbled(f"the answer is longer than {max_new_tokens} tokens can be")
        tail = (tail + piece)[-TAIL:]
        if fault := _fault(tail):
            raise Garbled(fault)
        yield piece


def _fault(tail: str) -> str:
    if _loops(tail):
        return "the model repeats itself without end"
    last = tail[-LONGEST_WORD:]
    if len(last) == LONGEST_WORD and last.isalnum():
        return "the model's words have no end"
    odd = sum(map(_is_odd, last))
    if odd > 5 and odd > ODD_SHARE * len(last):
        return "the model gives no text"
    if not last.isascii() and len({_script(c) for c in last if c.isalpha()}) > MOST_SCRIPTS:
        return "the model mixes up scripts"
    return ""


def _loops(tail: str) -> bool:
    """Say whether a text ends in the same phrase, over and over."""
    end = tail[-8:]
    for size in range(1, LONGEST_PHRASE + 1):
        if tail[-size - 8 : -size] != end:  # the quick look
            continue
        times = PHRASE_TIMES if size >= SHORT_PHRASE else SHORT_TIMES
        phrase = tail[-size:]
        if tail.endswith(phrase * times) and any(map(str.isalnum, phrase)):
            return True
    return False


def _is_odd(character: str) -> bool:
    """Say whether a character is a replacement, or none that is printed."""
    return character == "\ufffd" or not (character.isprintable() or character.isspace())


def _script(letter: str) -> str:
    """Return the first word of a letter's name: LATIN, CYRILLIC, CJK…"""
    return unicodedata.name(letter, "NO NAME").split()[0]
