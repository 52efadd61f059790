"""The nodes that only speak: ask for a message, say something, greet, admit not to know."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta

from fsmbot.contract import Text
from fsmbot.placeholders import fill
from fsmbot.registry import handler
from fsmbot.turn import Turn

Texts = Text | Annotated[list[Text], Meta(min_length=1)]
"""A text, or several to choose from."""

GREETING = "Nice to hear from you! I am an AI that answers questions about health; ask me whenever you like."


@handler(listens=True)
def ask_user(turn: Turn, *, prompt: Texts = "What would you like to ask?") -> Iterator[str]:
    """Ask the user something, and wait for the answer.

    prompt: the question, or several to choose from; {name} is filled from memory.
    """
    yield choose(prompt, turn)


@handler
def say(turn: Turn, *, text: Texts) -> Iterator[str]:
    """Say a text; of a list, one text is chosen by the conversation so far.

    text: what to say, or several texts to choose from; {name} is filled from memory.
    """
    yield choose(text, turn)


@handler
def ans_greeting(turn: Turn, *, text: Texts = GREETING) -> Iterator[str]:
    """Return a greeting.

    text: the greeting, or several to choose from; {name} is filled from memory.
    """
    yield choose(text, turn)


@handler
def static_idk_msg(
    turn: Turn,
    *,
    text: Texts = "Sorry, I do not know about that. I can only help with questions about health.",
) -> Iterator[str]:
    """Say that the question is outside of what the bot knows.

    text: what to say, or several texts to choose from; {name} is filled from memory.
    """
    yield choose(text, turn)


def choose(text: str | list[str], turn: Turn) -> str:
    """Return one of the texts, filled from memory: the same one whenever the same message meets the
    same history."""
    if isinstance(text, str):
        return fill(text, turn.memory) if "{" in text else text
    seed = f"{len(turn.history)}:{turn.text}".encode("utf-8", "replace")
    return fill(text[zlib.crc32(seed) % len(text)], turn.memory)
