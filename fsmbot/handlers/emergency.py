"""Recognise signs of an emergency by rules that a clinician can read (assets/emergency.yaml).

No model takes part: the same message always gets the same verdict. A phrase counts unless it is
negated (after the idea of NegEx, https://doi.org/10.1006/jbin.2001.1029), in the past, or part of a
general question. Rules are written for recall: a false alarm costs a phone call.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from fsmbot.registry import handler
from fsmbot.turn import Turn

RULES = Path(__file__).parent.parent / "assets" / "emergency.yaml"
NEAR = 8  # words between what a `+` joins
NEGATED = 5  # words that a negation reaches
LONGEST = 20_000  # characters that are looked at, from both ends of a longer message

Phrase = tuple[str, ...]
Span = tuple[int, int]
Part = tuple[Phrase, ...]
"""Any one of these phrases; the parts that name the same list are the same object."""
Rule = tuple[tuple[Part, ...], ...]
"""All of these groups; the parts of a group stand close together."""


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


def emergency(text: str) -> Emergency | None:
    """Return the emergency that a message speaks of, or None. Self-harm comes before the rest."""
    rules = _rules()
    message = _Message(text, rules)
    for category in rules.categories:
        for source, rule in category.rules:
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

    def __init__(self, text: str, rules: _Rules) -> None:
        self._words = _words(text, rules.spellings)
        self._places: dict[str, list[int]] = {}
        for place, word in enumerate(self._words):
            self._places.setdefault(word, []).append(place)
        self._sentence = _numbered(self._words, ".!?\n;")
        self._negated = self._reach(rules)
        self._past = self._sentences(rules.past) - self._sentences(rules.past_unless)
        self._general = self._sentences(rules.general) - self._sentences(rules.general_unless)
        self._found: dict[tuple[int, bool], list[Span]] = {}

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

    def _reach(self, rules: _Rules) -> set[int]:
        """Return the places that stand under a negation."""
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


def _words(text: str, spellings: Mapping[Phrase, Phrase]) -> list[str]:
    """Return small words without apostrophes, and marks, in the spelling that the rules use."""
    if len(text) > LONGEST:
        text = text[: LONGEST // 2] + "\n" + text[-LONGEST // 2 :]
    plain = unicodedata.normalize("NFKC", text).lower()
    plain = re.sub(r"['’`´]", "", plain)
    plain = re.sub(r"([a-z])\1{2,}", r"\1\1", plain)
    words = re.findall(r"[a-z0-9]+|[.!?;,\n]", plain)
    for _ in range(2):  # twice: one spelling may lead to another
        words = _respelt(words, spellings)
    return words


def _respelt(words: list[str], spellings: Mapping[Phrase, Phrase]) -> list[str]:
    done: list[str] = []
    place = 0
    while place < len(words):
        for length in (2, 3, 1):
            new = spellings.get(tuple(words[place : place + length]))
            if new:
                done += new
                place += length
                break
        else:
            done.append(words[place])
            place += 1
    return done


@dataclass(frozen=True)
class _Category:
    name: str
    reply: str
    always: bool
    rules: tuple[tuple[str, Rule], ...]


@dataclass(frozen=True)
class _Rules:
    """The file, ready to match."""

    replies: Mapping[str, str]
    spellings: Mapping[Phrase, Phrase]
    negations: Part
    negation_except: Part
    negation_until: frozenset[str]
    past: Part
    past_unless: Part
    general: Part
    general_unless: Part
    categories: tuple[_Category, ...]


@cache
def _rules() -> _Rules:
    data = _read(RULES)
    lists = {name: _phrases(words) for name, words in data["lists"].items()}
    categories = [_category(name, entry, lists) for name, entry in data["categories"].items()]
    # Self-harm first: its reply has the lines that somebody in despair needs.
    categories.sort(key=lambda c: not c.always)
    return _Rules(
        replies=data["replies"],
        spellings={tuple(k.split()): tuple(v.split()) for k, v in data["spellings"].items()},
        negations=_phrases(data["negations"]["before"]),
        negation_except=_phrases(data["negations"]["except"]),
        negation_until=frozenset([*data["negations"]["until"], *".!?;,\n"]),
        past=_phrases(data["past"]["in"]),
        past_unless=_phrases(data["past"]["unless"]),
        general=_phrases(data["general"]["in"]),
        general_unless=_phrases(data["general"]["unless"]),
        categories=tuple(categories),
    )


def _read(path: Path) -> Any:
    """Read YAML in which every scalar is text, a bare `no` too; the C reader is ten times faster."""
    import yaml

    reader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)(path.read_text(encoding="utf-8"))
    try:
        return reader.get_single_data()
    finally:
        reader.dispose()


def _phrases(texts: Sequence[str]) -> Part:
    return tuple(tuple(text.split()) for text in texts)


def _category(name: str, entry: Mapping[str, Any], lists: Mapping[str, Part]) -> _Category:
    rules = tuple((source, _rule(source, lists)) for source in entry["rules"])
    return _Category(name, entry["reply"], entry.get("always") == "true", rules)


def _rule(source: str, lists: Mapping[str, Part]) -> Rule:
    """Read a rule such as "chest + {pain} & {breathless}"; raises KeyError for an unknown list."""
    return tuple(
        tuple(_part(part.strip(), lists) for part in group.split(" + ")) for group in source.split(" & ")
    )


def _part(text: str, lists: Mapping[str, Part]) -> Part:
    if text.startswith("{"):
        return lists[text.strip("{}")]
    return (tuple(text.split()),)
