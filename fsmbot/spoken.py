"""Commands that a user says in plain words: help, restart, repeat, back.

A flow file names the words (`commands: {restart: {words: [start over]}}`). A message is a command
only if it consists of these words and nothing else, so that none is swallowed by accident.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from fsmbot.normal import normal_form

HELP, RESTART, REPEAT, BACK = COMMANDS = ("help", "restart", "repeat", "back")
"""The commands that a flow may put into words."""

ALIASES = {"undo": BACK, "reset": RESTART}
"""Other names under which they are known where they are typed with a slash."""

NOTHING_BEFORE = "There is nothing to go back to."
"""What `back` says at the beginning of a conversation."""

LONGEST = 200
"""Characters beyond which a message is no command."""

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


class SpokenCommand(msgspec.Struct, frozen=True):
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
    for found in _WORD.finditer(normal_form("NFC", text)):
        yield found.start(), found[0].replace("'", "").replace("’", "").casefold()


def by_phrase(commands: Iterable[SpokenCommand]) -> dict[str, SpokenCommand]:
    """Return the commands by each of their phrases in normal form."""
    return {normal(phrase): command for command in commands for phrase in command.phrases}


def find(text: str, phrases: Mapping[str, SpokenCommand]) -> SpokenCommand | None:
    """Return the command whose phrase is the whole message, if one is."""
    return phrases.get(normal(text)) if len(text) <= LONGEST else None
