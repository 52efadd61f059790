"""match: route on what the user said, or on what is remembered, by lists of words and numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from functools import cached_property
from typing import Annotated, Any

import msgspec

from fsmbot.contract import OTHER, Remembered, Remembers
from fsmbot.normal import normal_form
from fsmbot.placeholders import lookup, shown
from fsmbot.registry import handler
from fsmbot.spoken import normal, words_at
from fsmbot.turn import MAX_MESSAGE, Turn

_NUMBER = re.compile(
    r"(?<![\w.,])[-+]?(?:\d{1,3}(?:,\d{3})+|\d{1,15}(?:[.,]\d{1,15})?)(?!\d|[.,]\d|(?:st|nd|rd|th)\b)"
)
_THOUSANDS = re.compile(r"[-+]?\d{1,3}(?:,\d{3})+")


class Condition(msgspec.Struct, rename={"least": "from", "most": "to"}, forbid_unknown_fields=True):
    """Numbers between two bounds, both included; a bound left out is none.

    Or `only`: phrases one of which must be the whole message.
    """

    least: float | msgspec.UnsetType = msgspec.UNSET
    most: float | msgspec.UnsetType = msgspec.UNSET
    only: Annotated[list[str], msgspec.Meta(min_length=1)] | msgspec.UnsetType = msgspec.UNSET

    def __post_init__(self) -> None:
        least, most = self.bounds
        if self.only is not msgspec.UNSET and (least, most) != (-math.inf, math.inf):
            raise ValueError("expected either 'only' or a range of numbers")
        if least > most:
            raise ValueError("expected 'from' to be no more than 'to'")

    @property
    def bounds(self) -> tuple[float, float]:
        """The least and the greatest number that fit."""
        least = -math.inf if self.least is msgspec.UNSET else self.least
        return least, math.inf if self.most is msgspec.UNSET else self.most

    def holds(self, number: float) -> bool:
        """Return whether the number lies between the bounds."""
        least, most = self.bounds
        return least <= number <= most


_EITHER = msgspec.Meta(
    extra_json_schema={"not": {"anyOf": [{"required": ["only", "from"]}, {"required": ["only", "to"]}]}}
)

Outcome = Annotated[str, msgspec.Meta(min_length=1, pattern="^(?!(other|otherwise)$)")]
"""The name of a case, which cannot be that of what fits none."""

Case = Annotated[list[str | float], msgspec.Meta(min_length=1)] | Annotated[Condition, _EITHER]
"""Words, phrases and numbers, a range of numbers, or phrases that must be the whole message."""


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
      stands for the numbers between, with either bound left out for none; {only: [no, stop]} fits
      where one of the phrases is the whole message.
    value: what is compared instead of the message: a name in memory.
    keep: the name under which what fitted is remembered: the number, or the word as it is listed.
    """
    said: Any = lookup(value, turn.memory) if value else turn.text
    text = "" if said is None else normal_form("NFC", shown(said)[:MAX_MESSAGE])
    words = _Words(text)
    fits = [(*fit, name) for name, case in cases.items() for fit in _fits(case, words)]
    if not fits:
        return OTHER
    _, _, fitted, outcome = min(fits, key=lambda fit: fit[:2])
    if keep:
        turn.memory[keep] = fitted
    return outcome


class _Words:
    """The words of a text, with the places where each stands, and the numbers where they are asked for."""

    def __init__(self, text: str) -> None:
        self._text, at = text, list(words_at(text))
        self.starts, self.words = [start for start, _ in at], [word for _, word in at]
        self._places: dict[str, list[int]] = {}
        for place, word in enumerate(self.words):
            self._places.setdefault(word, []).append(place)

    def find(self, phrase: list[str]) -> Iterator[int]:
        """Yield the characters before each place where the phrase stands."""
        for place in self._places.get(phrase[0], ()) if phrase else ():
            if self.words[place : place + len(phrase)] == phrase:
                yield self.starts[place]

    @cached_property
    def numbers(self) -> list[tuple[int, float]]:
        """The numbers written in digits, each with the characters before it."""
        return list(_numbers(self._text))


Fit = tuple[int, int, str | float]
"""The characters before what fits, minus its length in words, and what fits."""


def _fits(case: Case, words: _Words) -> Iterator[Fit]:
    """Yield where a case fits."""
    if isinstance(case, Condition) and case.only is not msgspec.UNSET:
        said = words.words
        yield from (
            (words.starts[0], -len(said), item) for item in case.only if said and normal(item).split() == said
        )
    elif isinstance(case, Condition):
        yield from ((place, -1, number) for place, number in words.numbers if case.holds(number))
    else:
        yield from _listed(case, words)


def _listed(case: list[str | float], words: _Words) -> Iterator[Fit]:
    """Yield where words, phrases and numbers of a list fit."""
    for item in case:
        if isinstance(item, str):
            phrase = normal(item).split()
            yield from ((start, -len(phrase), item) for start in words.find(phrase))
        else:
            yield from ((place, -1, number) for place, number in words.numbers if number == item)


def _numbers(text: str) -> Iterator[tuple[int, float]]:
    """Yield the numbers written in digits, each with its place; 3,5 is 3.5, and 1,000 a thousand."""
    for found in _NUMBER.finditer(text):
        comma = "" if _THOUSANDS.fullmatch(found[0]) else "."
        number = float(found[0].replace(",", comma))
        yield found.start(), int(number) if number.is_integer() else number
