"""check_greeting: is this message a greeting and nothing more?

Greetings, and words that go with them, must make up the whole message. Whatever is left is substance,
so a question or a complaint after the greeting is never swallowed.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any, Literal

from fsmbot.handlers.phrasebook import PhraseBook, read
from fsmbot.registry import handler
from fsmbot.turn import Turn
from fsmbot.vectors.tokens import words_of

MAX_CHARS = 120
"""A longer message says more than a greeting does."""

PHRASES = Path(__file__).parent.parent / "assets" / "greetings.yaml"
"""What counts as a greeting; anybody can add to it."""

WAVES = frozenset("\U0001f44b\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff !.")
"""A waving hand in every colour, and what may stand beside it."""

_RUNS = re.compile(r"(.)\1+")


@cache
def _data() -> Any:
    return read(PHRASES)


@cache
def _book() -> PhraseBook:
    return PhraseBook(_data(), _plain_words)


def _plain_words(text: str) -> list[str]:
    """Return words in plain spelling, repeated letters closed up: "heyyyy" is "hey", "hello" "helo"."""
    spellings = _data()["spellings"]
    plain = " ".join(spellings.get(word, word) for word in words_of(text))
    return _RUNS.sub(r"\1", plain).split()


@handler(pure=True)
def check_greeting(turn: Turn) -> Literal["greeting", "other"]:
    """Recognise greetings, how-are-yous, thanks and farewells with nothing else beside them."""
    return "greeting" if is_greeting(turn.text) else "other"


def is_greeting(text: str) -> bool:
    """Return whether greeting phrases, and words that go with them, make up the whole text."""
    if len(text) > MAX_CHARS or any(letter.isdigit() for letter in text):
        return False
    if "\U0001f44b" in text and set(text) <= WAVES:
        return True
    return _book().greets(_plain_words(text))
