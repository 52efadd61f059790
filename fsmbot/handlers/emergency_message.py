"""Where the phrases of the rules stand in one message, and whether they count there.

A phrase counts unless it is negated (after the idea of NegEx, https://doi.org/10.1006/jbin.2001.1029), in
the past, or part of a general question.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence, Set
from functools import cached_property
from itertools import chain, pairwise, takewhile

from fsmbot.handlers.emergency_phrases import Ends
from fsmbot.handlers.emergency_rules import Rule, Rules, Score
from fsmbot.handlers.emergency_words import MARKS

NEAR = 9
"""Words that may stand between what a `+` joins."""
REACH = 12
"""For how many words what a rule excludes counts."""
STOP = 4
"""For how many words the end of a sentence between them counts."""
NEGATED = 6
"""Words that a negation reaches."""
LONG = 30
"""Words that it reaches where "or" carries it on."""
DENIED = 4
"""Words between a phrase and what takes it back: "chest pain? no"."""
FIGURES = "figures."
TWICE = 2
"""How many signs of one list count."""
ENDS = frozenset(".!?;\n")

Span = tuple[int, int]


class Message:
    """A message as words, with the places where parts of rules occur and count."""

    def __init__(self, words: Sequence[str], rules: Rules) -> None:
        self.words, self._rules = words, rules
        self._spans = _by_name(rules.phrases.find(words))
        self._counted: dict[tuple[str, bool], list[Span]] = {}

    @property
    def parts(self) -> Set[str]:
        """The parts of rules that occur, whether they count or not."""
        return set(chain.from_iterable(self._rules.parts.get(name, ()) for name in self._spans))

    @property
    def of_now(self) -> bool:
        """Whether nothing in the message is negated, past, or a general question."""
        return not (self._apart or self._negated or self._past or self._general)

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
        places = self._places
        return any(
            places[one[0]] - places[other[1] - 1] <= REACH and places[other[0]] - places[one[1] - 1] <= REACH
            for one in spans
            for other in wanted
        )

    def signs(self, score: Score) -> list[str]:
        """Return the signs that are enough together, each word counted once, or none."""
        found: list[tuple[int, str, Span]] = []
        for part in score.points:
            found += ((score.points[part], part, span) for span in self._count(part, score.category.always))
        taken: set[int] = set()
        signs: dict[str, int] = {}
        counts: dict[str, int] = {}
        for points, part, span in sorted(found, key=lambda item: (-item[0], item[2][0] - item[2][1], item)):
            words = " ".join(self.words[slice(*span)])
            if words not in signs and counts.get(part, 0) < TWICE and (points < 0 or taken.isdisjoint(range(*span))):
                taken.update(range(*span))
                counts[part] = counts.get(part, 0) + 1
                signs[words] = points
        return list(signs) if sum(signs.values()) >= score.enough else []

    def _together(self, group: Sequence[str], always: bool) -> bool:
        """Say whether one phrase of every part stands near one of the first part."""
        first, *others = (self._count(part, always) for part in group)
        return any(all(self._beside(span, other) for other in others) for span in first)

    def _beside(self, span: Span, others: Sequence[Span]) -> bool:
        """Say whether one of the others is close to a span, without overlapping it."""
        places, (start, end) = self._places, span
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
            dead = self._dead_always if always else self._dead
            self._counted[key] = [span for span in self._spans[name] if span[0] not in dead]
        return self._counted[key]

    @cached_property
    def _dead(self) -> Set[int]:
        """The places where nothing counts."""
        every = range(len(self.words))
        return set(every) if self._apart else self._negated | self._past | self._general

    @cached_property
    def _dead_always(self) -> Set[int]:
        """The places where not even what always counts does: the recent past does, and what is said of oneself."""
        past = self._past if not self._context("past.recent") else self._past_without_recent
        return self._negated | past | (self._apart_places if self._apart else set())

    @cached_property
    def _apart_places(self) -> set[int]:
        """The clauses about a story or a lesson, and those that speak of nobody in particular."""
        topics = {start for start, _ in self._context("topic.in")}
        own = {start for start, _ in self._context("topic.own")}
        clauses = (range(*pair) for pair in pairwise(self._clauses))
        apart = (c for c in clauses if own.isdisjoint(c) or not topics.isdisjoint(c))
        return set(chain.from_iterable(apart))

    @cached_property
    def _sentences(self) -> list[int]:
        """The number of the sentence that each word stands in."""
        numbers, number = [], 0
        for word in self.words:
            numbers.append(number)
            number += word in ENDS
        return numbers

    @cached_property
    def _places(self) -> list[int]:
        """Where each word stands, the ends of sentences counted as several words."""
        return [place + sentence * STOP for place, sentence in enumerate(self._sentences)]

    @cached_property
    def _general(self) -> Set[int]:
        """The places that stand in a general question."""
        found, unless = (self._context(f"general.{key}") for key in ("in", "unless"))
        numbers = {self._sentences[start] for start, _ in found} | self._asked
        numbers -= {self._sentences[start] for start, _ in unless}
        return {place for place, number in enumerate(self._sentences) if number in numbers}

    @cached_property
    def _asked(self) -> set[int]:
        """The sentences that begin with a word that asks, in a message about nobody in particular."""
        if self._context("general.own"):
            return set()
        return {
            self._sentences[start]
            for start, _ in self._context("general.ask")
            if not start or self.words[start - 1] in ENDS
        }

    @cached_property
    def _apart(self) -> bool:
        """Whether the message is about a story, a lesson or the like, and nobody's own body."""
        return bool(self._context("topic.in")) and not self._context("topic.unless")

    @cached_property
    def _past(self) -> set[int]:
        """The places that stand in a clause about the past."""
        return self._clauses_of(self._context("past.in"))

    @cached_property
    def _past_without_recent(self) -> set[int]:
        """The places that stand in a clause about what is long over."""
        recent = {place for span in self._context("past.recent") for place in range(*span)}
        return self._clauses_of([s for s in self._context("past.in") if recent.isdisjoint(range(*s))])

    def _clauses_of(self, spans: Sequence[Span]) -> set[int]:
        unless = {start for start, _ in self._context("past.unless")}
        past: set[int] = set()
        for span in spans:
            clause = self._clause(span)
            if unless.isdisjoint(clause):
                past.update(clause)
        return past

    def _clause(self, span: Span) -> range:
        """Return the clause around a phrase; one that is nothing else has its neighbour with it."""
        start, end = span
        at = bisect_right(self._clauses, start)
        before, after = self._clauses[at - 1], self._clauses[at]
        if after - before - (end - start) <= 2:
            if self.words[after - 1] == "," and at + 1 < len(self._clauses):
                after = self._clauses[at + 1]
            elif at > 1 and self.words[before - 1] == ",":
                before = self._clauses[at - 2]
        return range(before, after)

    @cached_property
    def _clauses(self) -> list[int]:
        """Where clauses begin, and the end of the message."""
        marks = (place + 1 for place, word in enumerate(self.words) if word in MARKS)
        turns = (start for start, _ in self._context("past.until"))
        return sorted({0, *marks, *turns, len(self.words)})

    @cached_property
    def _negated(self) -> Set[int]:
        """The places that stand under a negation, before or behind them."""
        excepted: dict[int, int] = {}
        for start, end in self._context("negations.except"):
            for place in range(start, end):
                excepted[place] = max(end, excepted.get(place, 0))
        excepted |= dict.fromkeys(self._phrases_of_rules(), len(self.words))
        negated: set[int] = set()
        for start, end in self._context("negations.before"):
            if excepted.get(start, 0) < end:
                negated.update(self._scope(end))
        for start, _ in self._context("negations.after"):
            negated.update(takewhile(self._goes, range(start - 1, max(start - DENIED, 0) - 1, -1)))
        return negated

    def _phrases_of_rules(self) -> Iterator[int]:
        """Yield where phrases begin whose negation is their own: "not breathing" denies nothing behind it.

        "dont feel" denies what is felt, though it is a phrase of a rule, too.
        """
        denying = dict(chain(self._context("negations.before"), self._context("negations.still")))
        for name in self._spans.keys() & self._rules.parts.keys():
            for start, end in self._spans[name]:
                if end - start > 1 and end > denying.get(start, 0):
                    yield start

    def _goes(self, place: int) -> bool:
        return self.words[place] not in self._rules.until

    def _scope(self, start: int) -> Iterator[int]:
        """Yield the places that a negation before them reaches; "or" carries it on."""
        left = NEGATED
        for place in range(start, min(start + LONG, len(self.words))):
            word = self.words[place]
            if not left or (word in self._rules.until and not (word == "," and self._goes_on(place))):
                return
            left = NEGATED if word in self._rules.across else left - 1
            yield place

    def _goes_on(self, comma: int) -> bool:
        """Say whether a comma stands in a row that an "or" ends: "no fever, pain or rash"."""
        for word in self.words[comma + 1 : comma + 1 + NEGATED]:
            if word in self._rules.across:
                return True
            if word != "," and word in self._rules.until:
                return False
        return False

    def _context(self, name: str) -> list[Span]:
        return self._spans.get(name, [])


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
