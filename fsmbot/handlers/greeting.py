"""check_greeting: is this message a greeting and nothing more?

Greetings, and words that go with them, must make up the whole message. Whatever is left is substance,
so a question or a complaint after the greeting is never swallowed.
"""

from __future__ import annotations

import re
import unicodedata
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

WAVE = "\U0001f44b"
FRIENDLY = frozenset(
    WAVE + "\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff\ufe0f\u200d"
    "\U0001f600\U0001f601\U0001f603\U0001f604\U0001f60a\U0001f642\U0001f917\U0001f64f\U0001f44d\u2764\u263a"
)
"""A waving hand in every colour, smiles, thanks: symbols that say nothing of their own."""
_SUBSTANCE = re.compile(r"\d|:'?-?[(/\\[]")
"""A digit, or a sad face."""
_ASCII = dict.fromkeys(range(128))

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
    if len(text) > MAX_CHARS or _SUBSTANCE.search(text) or any(map(_is_telling, text.translate(_ASCII))):
        return False
    words = _plain_words(text)
    return _book().greets(words) if words else WAVE in text


def _is_telling(letter: str) -> bool:
    """Say whether a symbol, such as a face with a thermometer, means something."""
    return unicodedata.category(letter) == "So" and letter not in FRIENDLY
