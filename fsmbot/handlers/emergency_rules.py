"""The rules of `check_emergency`, read from assets/emergency.yaml and ready to match."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import chain
from pathlib import Path

from fsmbot.handlers.phrasebook import Phrase, read

RULES = Path(__file__).parent.parent / "assets" / "emergency.yaml"
MET = 10_000
"""How many words it is remembered of which parts of rules they may belong to."""

Part = tuple[Phrase, ...]
"""Any one of these phrases; the parts that name the same list are the same object."""
Rule = tuple[tuple[Part, ...], ...]
"""All of these groups; the parts of a group stand close together."""


@dataclass(frozen=True)
class Category:
    """One kind of emergency: its reply, and whether its rules count in general questions too."""

    name: str
    reply: str
    always: bool


@dataclass(frozen=True)
class Rules:
    """The file, ready to match; the rules stand in the order in which they are tried."""

    replies: Mapping[str, str]
    spellings: Mapping[Phrase, Phrase]
    negations: Part
    negation_except: Part
    negation_until: frozenset[str]
    past: Part
    past_unless: Part
    general: Part
    general_unless: Part
    rules: Sequence[tuple[Category, str, Rule]]

    def candidates(self, words: Iterable[str]) -> list[tuple[Category, str, Rule]]:
        """Return the rules that may fire: of each part a phrase's longest word is among these words."""
        present: set[int] = set()
        for word in set(words):
            present |= self._parts_with(word)
        some = chain.from_iterable(self._by_rarest.get(part, ()) for part in present)
        return [self.rules[i] for i in sorted(some) if self._parts[i] <= present]

    def _parts_with(self, word: str) -> frozenset[int]:
        if word not in self._met:
            if len(self._met) >= MET:
                self._met.clear()
            stems = (word[:size] + "*" for size in range(len(word) + 1))
            self._met[word] = self._by_word.get(word, frozenset()).union(
                *(self._by_word.get(stem, frozenset()) for stem in stems)
            )
        return self._met[word]

    @cached_property
    def first_of_spellings(self) -> frozenset[str]:
        """The first words of what has another spelling."""
        return frozenset(phrase[0] for phrase in self.spellings)

    @cached_property
    def _met(self) -> dict[str, frozenset[int]]:
        """What `_parts_with` found for the words of recent messages."""
        return {}

    @cached_property
    def _parts(self) -> list[frozenset[int]]:
        """The parts of each rule, by their identity: the rules keep every part alive."""
        return [frozenset(map(id, chain.from_iterable(rule))) for _, _, rule in self.rules]

    @cached_property
    def _by_word(self) -> dict[str, frozenset[int]]:
        """The parts by the longest word, or stem, of each of their phrases."""
        found: dict[str, set[int]] = {}
        for _, _, rule in self.rules:
            for part in chain.from_iterable(rule):
                for phrase in part:
                    found.setdefault(max(phrase, key=len), set()).add(id(part))
        return {word: frozenset(parts) for word, parts in found.items()}

    @cached_property
    def _by_rarest(self) -> dict[int, list[int]]:
        """The rules by their rarest part."""
        found: dict[int, list[int]] = {}
        for i, (_, _, rule) in enumerate(self.rules):
            rarest = min(chain.from_iterable(rule), key=_commonness)
            found.setdefault(id(rarest), []).append(i)
        return found


def _commonness(part: Part) -> tuple[int, int]:
    """Estimate how many messages hold a part: short words are common."""
    return sum(len(max(phrase, key=len)) <= 4 for phrase in part), len(part)


@cache
def read_rules() -> Rules:
    """Read the file once."""
    data = read(RULES)
    lists = {name: _phrases(words) for name, words in data["lists"].items()}
    # Self-harm first: its reply has the lines that somebody in despair needs.
    entries = sorted(data["categories"].items(), key=lambda item: item[1].get("always") != "true")
    return Rules(
        replies=data["replies"],
        spellings={tuple(k.split()): tuple(v.split()) for k, v in data["spellings"].items()},
        negations=_phrases(data["negations"]["before"]),
        negation_except=_phrases(data["negations"]["except"]),
        negation_until=frozenset([*data["negations"]["until"], *".!?;,\n"]),
        past=_phrases(data["past"]["in"]),
        past_unless=_phrases(data["past"]["unless"]),
        general=_phrases(data["general"]["in"]),
        general_unless=_phrases(data["general"]["unless"]),
        rules=[
            (Category(name, entry["reply"], entry.get("always") == "true"), source, _rule(source, lists))
            for name, entry in entries
            for source in entry["rules"]
        ],
    )


def _phrases(texts: Sequence[str]) -> Part:
    return tuple(tuple(text.split()) for text in texts)


def _rule(source: str, lists: Mapping[str, Part]) -> Rule:
    """Read a rule such as "chest + {pain} & {breathless}"; raises KeyError for an unknown list."""
    return tuple(
        tuple(_part(part.strip(), lists) for part in group.split(" + ")) for group in source.split(" & ")
    )


def _part(text: str, lists: Mapping[str, Part]) -> Part:
    if text.startswith("{"):
        return lists[text.strip("{}")]
    return (tuple(text.split()),)
