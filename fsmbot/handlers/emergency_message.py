"""Where the phrases of the rules stand in one message, and whether they count there.

A phrase counts unless it is negated (after the idea of NegEx, https://doi.org/10.1006/jbin.2001.1029), in
the past, or part of a general question: see emergency_silence.py.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import chain

from fsmbot.handlers.emergency_phrases import Ends
from fsmbot.handlers.emergency_rules import Rule, Rules, Score
from fsmbot.handlers.emergency_silence import Silence, Span

NEAR = 9
"""Words that may stand between what a `+` joins."""
REACH = 12
"""For how many words what a rule excludes counts."""
FIGURES = "figures."
TWICE = 2
"""How many signs of one list count."""


class Message:
    """A message as words, with the places where parts of rules occur and count."""

    def __init__(self, words: Sequence[str], rules: Rules) -> None:
        self.words, self._rules = words, rules
        self._spans = _by_name(rules.phrases.find(words))
        self._silence = Silence(words, self._spans, rules)
        self._there = rules.present(self._spans)
        self._counted: dict[tuple[str, bool], list[Span]] = {}

    @property
    def candidates(self) -> list[Rule]:
        """The rules whose parts all occur, whether they count or not."""
        return self._rules.candidates(self._spans, self._there)

    @property
    def of_now(self) -> bool:
        """Whether nothing in the message is negated, past, or a general question."""
        return self._silence.nothing

    def fits(self, rule: Rule) -> bool:
        """Say whether everything that a rule wants is there, and nothing that it excludes."""
        always = rule.category.always
        if not all(self._together(group, always) for group in rule.groups):
            return False
        return not any(self._excludes(self._count(part, always), rule) for part in rule.without)

    def _excludes(self, spans: Sequence[Span], rule: Rule) -> bool:
        """Say whether what a rule excludes stands in reach of what it wants."""
        if not spans:
            return False
        wanted = [span for part in rule.parts for span in self._count(part, rule.category.always)]
        places = self._silence.places
        return any(
            places[one[0]] - places[other[1] - 1] <= REACH and places[other[0]] - places[one[1] - 1] <= REACH
            for one in spans
            for other in wanted
        )

    def signs(self, score: Score) -> list[str]:
        """Return the signs that are enough together, each word counted once, or none."""
        parts = self._rules.scored(score, self._there)
        if sum(TWICE * max(score.points[part], 0) for part in parts) < score.enough:
            return []
        found: list[tuple[int, str, Span]] = []
        for part in parts:
            found += ((score.points[part], part, span) for span in self._count(part, score.category.always))
        taken: set[int] = set()
        signs: dict[str, int] = {}
        counts: dict[str, int] = {}
        for points, part, span in sorted(found, key=lambda item: (-item[0], item[2][0] - item[2][1], item)):
            words = " ".join(self.words[slice(*span)])
            free = points < 0 or taken.isdisjoint(range(*span))
            if free and words not in signs and counts.get(part, 0) < TWICE:
                taken.update(range(*span))
                counts[part] = counts.get(part, 0) + 1
                signs[words] = points
        return list(signs) if sum(signs.values()) >= score.enough else []

    def _together(self, group: Sequence[str], always: bool) -> bool:
        """Say whether one phrase of every part stands near one of the first part; `always` as below."""
        first, *others = (self._count(part, always) for part in group)
        return any(all(self._beside(span, other) for other in others) for span in first)

    def _beside(self, span: Span, others: Sequence[Span]) -> bool:
        """Say whether one of the others is close to a span, without overlapping it."""
        places, (start, end) = self._silence.places, span
        at = bisect_left(others, end, key=lambda other: other[0])
        if at < len(others) and places[others[at][0]] - places[end - 1] - 1 <= NEAR:
            return True
        while (
            at and places[start] - places[others[at - 1][0]] <= NEAR + 8
        ):  # the longest phrases have eight words
            at -= 1
            if others[at][1] <= start and places[start] - places[others[at][1] - 1] - 1 <= NEAR:
                return True
        return False

    def _count(self, part: str, always: bool) -> list[Span]:
        """Return where a part occurs and counts; `always`: in general questions too."""
        names = [name for name in self._rules.names[part] if name in self._spans]
        if len(names) == 1:
            return self._counting(names[0], always)
        return sorted(set(chain.from_iterable(self._counting(name, always) for name in names)))

    def _counting(self, name: str, always: bool) -> list[Span]:
        key = (name, always)
        if key not in self._counted:
            dead = self._silence.dead_always if always else self._silence.dead
            self._counted[key] = [span for span in self._spans[name] if span[0] not in dead]
        return self._counted[key]


def _by_name(found: Ends) -> dict[str, list[Span]]:
    """Return the spans of each name in their order, without those that touch a figure of speech."""
    figures = {
        place
        for start, some in found.items()
        for name, end in some
        if name == FIGURES
        for place in range(start, end)
    }
    spans: dict[str, list[Span]] = {}
    for start, some in reversed(found.items()):
        for name, end in some:
            if not figures or figures.isdisjoint(range(start, end)):
                spans.setdefault(name, []).append((start, end))
    return spans
