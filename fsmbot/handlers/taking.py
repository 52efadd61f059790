"""take: remember what the user said, when it is neither nothing nor too much for a form."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from fsmbot.contract import Remembers
from fsmbot.normal import normal_form
from fsmbot.registry import handler
from fsmbot.spoken import normal, words_at
from fsmbot.turn import MAX_MESSAGE, Turn

LETTERS = 20
"""Characters that a word may have, on average, before a text counts as long."""

MARKS = " \t\r\n.,;:!?…\"'“”‘’«»¡¿。、！？()[]{}<>*_~`-–—/\\|"
"""What is left out at both ends of what is remembered."""


@handler(pure=True)
def take(
    turn: Turn, *, keep: Remembers, after: tuple[str, ...] = (), most: Annotated[int, Meta(ge=1)] = 100
) -> Literal["taken", "nothing", "long"]:
    """Remember the words of the message, without marks around them.

    The outcome is "nothing" for a message without letters and digits, "long" for one of too many
    words; then what was remembered before stays.
    keep: the name under which they are remembered.
    after: opening words that are left out: with [my name is], "My name is Ada." is remembered as Ada.
    most: how many words may be remembered.
    """
    said = turn.text.strip(MARKS)
    if len(said) > MAX_MESSAGE:
        return "long"
    said = normal_form("NFC", said)  # as words_at counts the places in it
    words = list(words_at(said))
    words = words[_opening([word for _, word in words], after) :]
    if not words:
        return "nothing"
    text = said[words[0][0] :].strip(MARKS)
    if len(words) > most or len(text) > most * LETTERS:
        return "long"
    turn.memory[keep] = text
    return "taken"


def _opening(words: list[str], phrases: tuple[str, ...]) -> int:
    """Return how many words at the beginning are one of the phrases, the longest that fits."""
    starts = (normal(phrase).split() for phrase in phrases)
    return max((len(start) for start in starts if words[: len(start)] == start), default=0)
