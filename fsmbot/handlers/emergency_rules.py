"""The rules of `check_emergency`, ready to match: what one file of assets/emergency says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

from fsmbot.handlers.emergency_phrases import Phrases
from fsmbot.handlers.emergency_words import Phrase, Spelling

SELF_HARM = "self-harm"
"""The group of categories whose rules come first, and count in general questions too."""


@dataclass(frozen=True)
class Category:
    """One kind of emergency; reply: which of the replies it gets."""

    name: str
    group: str
    reply: str

    @property
    def always(self) -> bool:
        """Whether its rules count in general questions too: "how many pills does it take?"."""
        return self.group == SELF_HARM


@dataclass(frozen=True)
class Rule:
    """Groups that must all be in a message, and parts of which none may be.

    The parts of a group stand close together. A part is any one of its phrases, and named by its text.
    """

    category: Category
    source: str
    groups: tuple[tuple[str, ...], ...]
    without: tuple[str, ...] = ()

    @cached_property
    def parts(self) -> frozenset[str]:
        """All that must be there."""
        return frozenset(chain.from_iterable(self.groups))


@dataclass(frozen=True)
class Score:
    """Signs that are no emergency each on its own: with `enough` points together they are one."""

    category: Category
    enough: int
    points: Mapping[str, int]


@dataclass(frozen=True, eq=False)
class Rules:
    """One locale; the rules stand in the order in which they are tried.

    phrases: those of rules and lists, and those that take a meaning away, such as `past.in` and `figures`.
    names: the names of phrases that a part of a rule consists of. until: where a negation ends. across:
    what carries it on. alone: whole messages that are an emergency. companions: words that may stand
    beside these.
    """

    locale: str
    replies: Mapping[str, str]
    spelling: Spelling
    phrases: Phrases
    names: Mapping[str, Sequence[str]]
    until: frozenset[str]
    across: frozenset[str]
    alone: Mapping[Phrase, Category]
    companions: frozenset[str]
    rules: Sequence[Rule]
    scores: Sequence[Score]

    def present(self, names: Iterable[str]) -> int:
        """Return the parts of rules and scores, one bit each, that the phrases of these names make."""
        bits, there = self._bits, 0
        for name in names:
            if name in bits:
                there |= bits[name]
        return there

    def candidates(self, names: Iterable[str], there: int) -> list[Rule]:
        """Return the rules whose parts are all there, in their order; names: the phrases that occur."""
        some = set(chain.from_iterable(self._by_name.get(name, ()) for name in names))
        masks = self._masks
        return [self.rules[i] for i in sorted(some) if masks[i] & there == masks[i]]

    def scored(self, score: Score, there: int) -> list[str]:
        """Return the parts of a score that are there."""
        return [part for part in score.points if self._bit[part] & there]

    @cached_property
    def parts(self) -> dict[str, list[str]]:
        """The parts that a name of phrases belongs to."""
        found: dict[str, list[str]] = {}
        for part, names in self.names.items():
            for name in names:
                found.setdefault(name, []).append(part)
        return found

    @cached_property
    def _bit(self) -> dict[str, int]:
        """A bit of its own for each part that a rule or a score wants."""
        wanted = chain(*(rule.parts for rule in self.rules), *(score.points for score in self.scores))
        return {part: 1 << i for i, part in enumerate(sorted(set(wanted)))}

    @cached_property
    def _masks(self) -> list[int]:
        """The bits of the parts of each rule."""
        return [sum(self._bit[part] for part in rule.parts) for rule in self.rules]

    @cached_property
    def _bits(self) -> dict[str, int]:
        """The bits of the parts that each name of phrases belongs to."""
        return {name: sum(self._bit.get(part, 0) for part in parts) for name, parts in self.parts.items()}

    @cached_property
    def _by_name(self) -> dict[str, list[int]]:
        """The rules by the names of that part of theirs whose names are in the fewest rules."""
        uses = Counter(name for rule in self.rules for part in rule.parts for name in self.names[part])
        common = {part: sum(uses[name] for name in names) for part, names in self.names.items()}
        found: dict[str, list[int]] = {}
        for i, rule in enumerate(self.rules):
            for name in self.names[min(rule.parts, key=lambda part: (common[part], part))]:
                found.setdefault(name, []).append(i)
        return found
