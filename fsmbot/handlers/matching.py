"""match: route on what the user said, or on what is remembered, by lists of words and numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any

import msgspec

from fsmbot.contract import OTHER, Remembered, Remembers
from fsmbot.placeholders import lookup, shown
from fsmbot.registry import handler
from fsmbot.spoken import normal, words_at
from fsmbot.turn import Turn

LONGEST = 20_000
"""Characters of a value that are read."""

_NUMBER = re.compile(r"(?<![\w.,])[-+]?\d{1,15}(?:[.,]\d{1,15})?(?!\d|[.,]\d|(?:st|nd|rd|th)\b)")


class Range(msgspec.Struct, rename={"least": "from", "most": "to"}, forbid_unknown_fields=True):
    """Numbers between two bounds, both included; a bound left out is none."""

    least: float | None = None
    most: float | None = None

    def __post_init__(self) -> None:
        if self.least is not None and self.most is not None and self.least > self.most:
            raise ValueError("expected 'from' to be no more than 'to'")

    def holds(self, number: float) -> bool:
        """Return whether the number lies between the bounds."""
        return (self.least is None or number >= self.least) and (self.most is None or number <= self.most)


Outcome = Annotated[str, msgspec.Meta(min_length=1)]
"""The name of a case."""

Case = Annotated[list[str | float], msgspec.Meta(min_length=1)] | Range
"""Words, phrases and numbers, or a range of numbers."""


@handler(pure=True, outcomes_of="cases")
def match(
    turn: Turn,
    *,
    cases: Annotated[dict[Outcome, Case], msgspec.Meta(min_length=1)],
    value: Remembered = "",
    keep: Remembers = "",
) -> str:
    """Compare the message with lists of words and numbers; the case that fits is the outcome.

    Words and phrases fit where they stand in the message as whole words, in capitals or not; where
    several cases fit, the one that comes first in the message does, and of two that begin at the
    same word the longer one. Numbers are those written in digits. The outcome is "other" when no
    case fits.
    cases: the lists by outcome, such as {yes: [yes, sure], no: [no, not really]}; {from: 18, to: 64}
      stands for the numbers between, with either bound left out for none.
    value: what is compared instead of the message: a name in memory.
    keep: the name under which what fitted is remembered: the number, or the word as it is listed.
    """
    said: Any = lookup(value, turn.memory) if value else turn.text
    text = "" if said is None else shown(said)[:LONGEST]
    words, numbers = list(words_at(text)), list(_numbers(text))
    fits = [(*fit, name) for name, case in cases.items() for fit in _fits(case, words, numbers)]
    if not fits:
        return OTHER
    _, _, fitted, outcome = min(fits, key=lambda fit: fit[:2])
    if keep:
        turn.memory[keep] = fitted
    return outcome


def _fits(
    case: Case, words: list[tuple[int, str]], numbers: list[tuple[int, float]]
) -> Iterator[tuple[int, int, str | float]]:
    """Yield where a case fits: the characters before it, minus its length in words, and what fits."""
    if isinstance(case, Range):
        yield from ((place, -1, number) for place, number in numbers if case.holds(number))
        return
    for item in case:
        if isinstance(item, str):
            phrase = normal(item).split()
            for start in range(len(words) - len(phrase) + 1):
                if phrase and [word for _, word in words[start : start + len(phrase)]] == phrase:
                    yield words[start][0], -len(phrase), item
        else:
            yield from ((place, -1, number) for place, number in numbers if number == item)


def _numbers(text: str) -> Iterator[tuple[int, float]]:
    """Yield the numbers written in digits, each with its place; 3,5 is 3.5."""
    for found in _NUMBER.finditer(text):
        number = float(found[0].replace(",", "."))
        yield found.start(), int(number) if number.is_integer() else number
