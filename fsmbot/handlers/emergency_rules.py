"""The rules of `check_emergency`, ready to match: what one file of assets/emergency says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
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

    def candidates(self, parts: Set[str]) -> list[Rule]:
        """Return the rules whose parts are all there."""
        some = chain.from_iterable(self._by_part.get(part, ()) for part in parts)
        return [self.rules[i] for i in sorted(some) if self.rules[i].parts <= parts]

    @cached_property
    def parts(self) -> dict[str, list[str]]:
        """The parts that a name of phrases belongs to."""
        found: dict[str, list[str]] = {}
        for part, names in self.names.items():
            for name in names:
                found.setdefault(name, []).append(part)
        return found

    @cached_property
    def _by_part(self) -> dict[str, list[int]]:
        """The rules by that part of theirs which the fewest rules have."""
        shared: dict[str, int] = {}
        for rule in self.rules:
            for part in rule.parts:
                shared[part] = shared.get(part, 0) + 1
        found: dict[str, list[int]] = {}
        for i, rule in enumerate(self.rules):
            found.setdefault(min(rule.parts, key=lambda part: (shared[part], part)), []).append(i)
        return found
