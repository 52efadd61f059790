"""Commands that a user says in plain words: help, restart, repeat, back.

A flow file names the words (`commands: {restart: {words: [start over]}}`). A message is a command
only if it consists of these words and nothing else, so that none is swallowed by accident.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby, islice
from typing import Literal

HELP, RESTART, REPEAT, BACK = COMMANDS = ("help", "restart", "repeat", "back")
"""The commands that a flow may put into words."""

NOTHING_BEFORE = "There is nothing to go back to."
"""What `back` says at the beginning of a conversation."""

LONGEST = 200
"""Characters beyond which a message is no command."""

MOST_MARKS = 30
"""Marks on one letter that are read, as in Unicode's stream-safe text (UAX #15)."""

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_RUN = re.compile(rf"\W{{{MOST_MARKS + 1}}}")


@dataclass(frozen=True)
class SpokenCommand:
    """One command of a flow: the phrases by which it is given, and what the bot says to it."""

    name: str
    phrases: tuple[str, ...] = ()
    say: str = ""


DEFAULT_HELP = SpokenCommand(HELP, say="You can say /repeat, /back or /restart at any time.")
"""What help says in a flow that has none of its own."""


def normal(text: str) -> str:
    """Return a phrase as small words with single spaces: "That's it!" is "thats it"."""
    return " ".join(word for _, word in words_at(text))


def words_at(text: str) -> Iterator[tuple[int, str]]:
    """Yield the words of a text in small letters and without apostrophes, each with its place."""
    for found in _WORD.finditer(composed(text)):
        yield found.start(), found[0].replace("'", "").replace("’", "").casefold()


def composed(text: str, form: Literal["NFC", "NFKC"] = "NFC") -> str:
    """Return a text in a normal form, without the rest of very many marks on one letter.

    To put marks into order takes the square of their number.
    """
    if _RUN.search(text):
        runs = groupby(text, key=lambda character: unicodedata.combining(character) > 0)
        text = "".join("".join(islice(run, MOST_MARKS) if marks else run) for marks, run in runs)
    return unicodedata.normalize(form, text)


def by_phrase(commands: Iterable[SpokenCommand]) -> dict[str, SpokenCommand]:
    """Return the commands by each of their phrases in normal form."""
    return {normal(phrase): command for command in commands for phrase in command.phrases}


def find(text: str, phrases: Mapping[str, SpokenCommand]) -> SpokenCommand | None:
    """Return the command whose phrase is the whole message, if one is."""
    return phrases.get(normal(text)) if len(text) <= LONGEST else None
