"""Recognise signs of an emergency by rules that a clinician can read (assets/emergency.yaml).

No model takes part: the same message always gets the same verdict. A phrase counts unless it is
negated (after the idea of NegEx, https://doi.org/10.1006/jbin.2001.1029), in the past, or part of a
general question. Rules are written for recall: a false alarm costs a phone call.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Literal

from fsmbot.handlers.emergency_rules import Part, Rules, read_rules
from fsmbot.handlers.phrasebook import Phrase
from fsmbot.normal import normal_form
from fsmbot.registry import handler
from fsmbot.turn import Turn

NEAR = 8  # words between what a `+` joins
NEGATED = 5  # words that a negation reaches
LONGEST = 20_000  # characters that are looked at, from both ends of a longer message

Span = tuple[int, int]


@dataclass(frozen=True)
class Emergency:
    """What was recognised: the category, the rule that fired, and what to tell the user."""

    category: str
    rule: str
    reply: str


@handler(pure=True)
def check_emergency(turn: Turn) -> Literal["emergency", "other"]:
    """Look for signs of an emergency, self-harm included, in the user's message."""
    found = emergency(turn.text)
    if found is None:
        return "other"
    turn.notes["emergency"] = found.category
    return "emergency"


@handler
def ans_emergency(turn: Turn) -> Iterator[str]:
    """Tell a user in an emergency whom to call; which words, depends on what the message speaks of."""
    found = emergency(turn.text)
    yield found.reply if found else read_rules().replies["medical"]


def emergency(text: str) -> Emergency | None:
    """Return the emergency that a message speaks of, or None. Self-harm comes before the rest."""
    rules = read_rules()
    words = _words(text, rules)
    candidates = rules.candidates(words)
    if not candidates:
        return None
    message = _Message(words, rules)
    for category, source, rule in candidates:
        if all(_together(parts, message, category.always) for parts in rule):
            return Emergency(category.name, source, rules.replies[category.reply])
    return None


def _together(parts: Sequence[Part], message: _Message, always: bool) -> bool:
    """Say whether one phrase of every part stands near one of the first part."""
    found = []
    for part in parts:
        found.append(message.find(part, always))
        if not found[-1]:
            return False
    return any(
        all(any(message.close(first, span) for span in other) for other in found[1:]) for first in found[0]
    )


class _Message:
    """A message as words, with the places where phrases occur and count."""

    def __init__(self, words: list[str], rules: Rules) -> None:
        self._words, self._rules = words, rules
        self._places: dict[str, list[int]] = {}
        for place, word in enumerate(self._words):
            self._places.setdefault(word, []).append(place)
        self._sentence = _numbered(self._words, ".!?\n;")
        self._found: dict[tuple[int, bool], list[Span]] = {}

    @cached_property
    def _past(self) -> set[int]:
        return self._sentences(self._rules.past) - self._sentences(self._rules.past_unless)

    @cached_property
    def _general(self) -> set[int]:
        return self._sentences(self._rules.general) - self._sentences(self._rules.general_unless)

    def find(self, part: Part, always: bool = False) -> list[Span]:
        """Return where any phrase occurs and counts; `always`: in general questions too."""
        key = (id(part), always)  # the rules keep every part alive, and hashing phrases is slow
        if key not in self._found:
            spans = chain.from_iterable(map(self._occurrences, part))
            self._found[key] = [span for span in spans if self._counts(span[0], always)]
        return self._found[key]

    def close(self, one: Span, other: Span) -> bool:
        """Say whether two phrases stand in one sentence, close together, without overlapping."""
        if self._sentence[one[0]] != self._sentence[other[0]]:
            return False
        first, second = sorted((one, other))
        return one == other or 0 <= second[0] - first[1] <= NEAR

    def _counts(self, place: int, always: bool) -> bool:
        sentence = self._sentence[place]
        if place in self._negated or sentence in self._past:
            return False
        return always or sentence not in self._general

    def _occurrences(self, phrase: Phrase) -> Iterator[Span]:
        for start in self._starts(phrase[0]):
            end = start + len(phrase)
            words = self._words[start:end]
            if len(words) == len(phrase) and all(map(_fits, words, phrase)):
                yield start, end

    def _starts(self, word: str) -> list[int]:
        if not word.endswith("*"):
            return self._places.get(word, [])
        stem = word[:-1]
        return sorted(chain.from_iterable(p for w, p in self._places.items() if w.startswith(stem)))

    def _sentences(self, phrases: Sequence[Phrase]) -> set[int]:
        return {self._sentence[start] for p in phrases for start, _ in self._occurrences(p)}

    @cached_property
    def _negated(self) -> set[int]:
        """The places that stand under a negation."""
        rules = self._rules
        excepted = {s for p in rules.negation_except for s, _ in self._occurrences(p)}
        negated = set()
        for phrase in rules.negations:
            for start, end in self._occurrences(phrase):
                if start not in excepted:
                    negated |= set(self._scope(end, rules.negation_until))
        return negated

    def _scope(self, start: int, until: frozenset[str]) -> Iterator[int]:
        for place in range(start, min(start + NEGATED, len(self._words))):
            if self._words[place] in until:
                return
            yield place


def _fits(word: str, pattern: str) -> bool:
    return word.startswith(pattern[:-1]) if pattern.endswith("*") else word == pattern


def _numbered(words: Sequence[str], ends: str) -> list[int]:
    """Return the number of the sentence that each word stands in."""
    numbers, number = [], 0
    for word in words:
        numbers.append(number)
        number += word in ends
    return numbers


def _words(text: str, rules: Rules) -> list[str]:
    """Return small words without apostrophes, and marks, in the spelling that the rules use."""
    if len(text) > LONGEST:
        text = text[: LONGEST // 2] + "\n" + text[-LONGEST // 2 :]
    plain = normal_form("NFKC", text).lower()
    plain = re.sub(r"['’`´]", "", plain)
    plain = re.sub(r"([a-z])\1{2,}", r"\1\1", plain)
    words = re.findall(r"[a-z0-9]+|[.!?;,\n]", plain)
    return _respelt(_respelt(words, rules), rules)  # twice: one spelling may lead to another


def _respelt(words: list[str], rules: Rules) -> list[str]:
    done: list[str] = []
    place = 0
    while place < len(words):
        new, length = None, 1
        if words[place] in rules.first_of_spellings:
            for length in (2, 3, 1):
                if new := rules.spellings.get(tuple(words[place : place + length])):
                    break
        done += new or words[place : place + 1]
        place += length
    return done
