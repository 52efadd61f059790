"""Phrases from a YAML file, and whether they make up a whole message; assets/greetings.yaml explains it.

A pattern is a row of slots; a slot holds phrases, one of which must stand there, or may. A message is
read from left to right, and all places are kept where a pattern could have ended, so reading takes
time in proportion to the message, whatever the patterns.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from fsmbot.errors import ResourceError

Phrase = tuple[str, ...]

_SLOT = re.compile(r"\[([^]]*)\]|\(([^)]*)\)|(\{\w+\}|[^[({]+)")


@dataclass(frozen=True)
class Slot:
    """Phrases by their first word, and whether the slot may stay empty."""

    phrases: Mapping[str, tuple[Phrase, ...]]
    optional: bool

    def ends(self, words: Sequence[str], places: set[int]) -> set[int]:
        """Return where the slot may end that begins at one of these places."""
        found = set(places) if self.optional else set()
        for place in places:
            if place < len(words):
                for phrase in self.phrases.get(words[place], ()):
                    if tuple(words[place : place + len(phrase)]) == phrase:
                        found.add(place + len(phrase))
        return found


Pattern = tuple[Slot, ...]


class PhraseBook:
    """Greetings, and companions that may stand beside them.

    plain: brings a phrase of the file to the words of messages.
    """

    def __init__(self, data: Mapping[str, Any], plain: Callable[[str], Iterable[str]]) -> None:
        lists = {name: [tuple(plain(text)) for text in some] for name, some in data["lists"].items()}
        fixed = (Slot(_by_first(tuple(plain(text)) for text in data["greetings"]), False),)
        patterns = [_pattern(text, lists, plain) for text in data["patterns"]]
        self._companions = Slot(_by_first(tuple(plain(text)) for text in data["companions"]), False)
        self._starts: dict[str, list[Pattern]] = {}
        for pattern in (fixed, *patterns):
            for word in _first_words(pattern):
                self._starts.setdefault(word, []).append(pattern)
        slots = chain((self._companions,), fixed, *patterns)
        phrases = chain.from_iterable(some for slot in slots for some in slot.phrases.values())
        self._vocabulary = set(chain.from_iterable(phrases))

    def greets(self, words: Sequence[str]) -> bool:
        """Say whether greetings and companions make up these words, with one greeting at least."""
        if not self._vocabulary.issuperset(words):
            return False
        # Places that are reached without a greeting so far, and with one.
        reached: tuple[set[int], set[int]] = ({0}, set())
        for place in range(len(words)):
            ends = self._greeting_ends(words, place)
            beside = self._companions.ends(words, {place})
            if place in reached[0]:
                reached[0].update(beside)
                reached[1].update(ends)
            if place in reached[1]:
                reached[1].update(beside | ends)
        return len(words) in reached[1]

    def _greeting_ends(self, words: Sequence[str], place: int) -> set[int]:
        found: set[int] = set()
        for pattern in self._starts.get(words[place], ()):
            ends = {place}
            for slot in pattern:
                ends = slot.ends(words, ends)
            found |= ends
        return found - {place}


def read(path: Path) -> Any:
    """Read YAML in which every scalar is text, a bare `no` too; the C reader is ten times faster.

    A key that stands twice raises ResourceError: YAML would drop the first without a word.
    """
    import yaml

    reader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)(path.read_text(encoding="utf-8"))
    try:
        node = reader.get_single_node()
        _refuse_keys_twice(node, path)
        return reader.construct_document(node)
    finally:
        reader.dispose()


def _refuse_keys_twice(node: Any, path: Path) -> None:
    """Raise ResourceError for the first key that a mapping has twice."""
    if node.id == "sequence":
        for child in node.value:
            _refuse_keys_twice(child, path)
    elif node.id == "mapping":
        lines: dict[str, int] = {}
        for key, child in node.value:
            line = key.start_mark.line + 1
            if key.value in lines:
                raise ResourceError(
                    f"{path}: line {line}: key {key.value!r} stands in line {lines[key.value]} already; "
                    "put both together, or give one another name"
                )
            lines[key.value] = line
            _refuse_keys_twice(child, path)


def _pattern(text: str, lists: Mapping[str, list[Phrase]], plain: Callable[[str], Iterable[str]]) -> Pattern:
    """Read a pattern such as "see {you} [again/soon]"; raises KeyError for an unknown list."""
    slots = []
    for optional, choice, other in _SLOT.findall(text):
        phrases: list[Phrase] = []
        for option in (optional or choice or other).split("/"):
            name = option.strip()
            phrases += lists[name[1:-1]] if name.startswith("{") else [tuple(plain(name))]
        if phrases := [phrase for phrase in phrases if phrase]:
            slots.append(Slot(_by_first(phrases), bool(optional)))
    return tuple(slots)


def _by_first(phrases: Iterable[Phrase]) -> dict[str, tuple[Phrase, ...]]:
    found: dict[str, tuple[Phrase, ...]] = {}
    for phrase in phrases:
        if phrase:
            found[phrase[0]] = (*found.get(phrase[0], ()), phrase)
    return found


def _first_words(pattern: Pattern) -> set[str]:
    """Return the words that a pattern may begin with."""
    words: set[str] = set()
    for slot in pattern:
        words |= slot.phrases.keys()
        if not slot.optional:
            break
    return words
