"""The nodes that only speak: ask for a message, say something, greet, admit not to know."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from fsmbot.registry import handler
from fsmbot.turn import Turn


@handler(listens=True)
def ask_user(turn: Turn, *, prompt: str = "What would you like to ask?") -> Iterator[str]:
    """Ask the user something, and wait for the answer."""
    yield prompt


@handler
def say(turn: Turn, *, text: str | list[str]) -> Iterator[str]:
    """Say a text; of a list, one text is chosen by the conversation so far."""
    yield choose(text, turn)


@handler
def ans_greeting(
    turn: Turn,
    *,
    text: str
    | list[
        str
    ] = "Nice to hear from you! I am an AI that answers questions about health; ask me whenever you like.",
) -> Iterator[str]:
    """Return a greeting."""
    yield choose(text, turn)


@handler
def static_idk_msg(
    turn: Turn,
    *,
    text: str | list[str] = "Sorry, I do not know about that. I can only help with questions about health.",
) -> Iterator[str]:
    """Say that the question is outside of what the bot knows."""
    yield choose(text, turn)


def choose(text: str | list[str], turn: Turn) -> str:
    """Return one of the texts: the same one whenever the same message meets the same history."""
    if isinstance(text, str):
        return text
    if not text:
        return ""
    seed = f"{len(turn.history)}:{turn.text}".encode("utf-8", "replace")
    return text[zlib.crc32(seed) % len(text)]
