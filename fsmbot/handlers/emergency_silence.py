"""Where nothing counts in a message: negations, what is past, general questions, stories and lessons."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence, Set
from functools import cached_property
from itertools import chain, pairwise, takewhile

from fsmbot.handlers.emergency_rules import Rules
from fsmbot.handlers.emergency_words import MARKS

STOP = 4
"""For how many words the end of a sentence between them counts."""
NEGATED = 6
"""Words that a negation reaches."""
LONG = 30
"""Words that it reaches where "or" carries it on."""
DENIED = 4
"""Words between a phrase and what takes it back: "chest pain? no"."""
ENDS = frozenset(".!?;\n")

Span = tuple[int, int]


class Silence:
    """The places of one message where phrases of rules do not count.

    spans: where the phrases of rules and of contexts stand, by name.
    """

    def __init__(self, words: Sequence[str], spans: Mapping[str, list[Span]], rules: Rules) -> None:
        self._words, self._spans, self._rules = words, spans, rules

    @property
    def nothing(self) -> bool:
        """Whether nothing in the message is negated, past, or a general question."""
        return not (self._apart or self._negated or self._past or self._general)

    @cached_property
    def dead(self) -> Set[int]:
        """The places where nothing counts."""
        every = range(len(self._words))
        return set(every) if self._apart else self._negated | self._past | self._general

    @cached_property
    def dead_always(self) -> Set[int]:
        """The places where self-harm does not count: the recent past does, and what is said of oneself."""
        past = self._past_without_recent if self._context("past.recent") else self._past
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
        for word in self._words:
            numbers.append(number)
            number += word in ENDS
        return numbers

    @cached_property
    def places(self) -> list[int]:
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
            if not start or self._words[start - 1] in ENDS
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
        """Return the places of the clauses around these phrases, but of those that speak of now."""
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
            if self._words[after - 1] == "," and at + 1 < len(self._clauses):
                after = self._clauses[at + 1]
            elif at > 1 and self._words[before - 1] == ",":
                before = self._clauses[at - 2]
        return range(before, after)

    @cached_property
    def _clauses(self) -> list[int]:
        """Where clauses begin, and the end of the message."""
        marks = (place + 1 for place, word in enumerate(self._words) if word in MARKS)
        turns = (start for start, _ in self._context("past.until"))
        return sorted({0, *marks, *turns, len(self._words)})

    @cached_property
    def _negated(self) -> Set[int]:
        """The places that stand under a negation, before or behind them."""
        excepted: dict[int, int] = {}
        for start, end in self._context("negations.except"):
            for place in range(start, end):
                excepted[place] = max(end, excepted.get(place, 0))
        excepted |= dict.fromkeys(self._phrases_of_rules(), len(self._words))
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
        return self._words[place] not in self._rules.until

    def _scope(self, start: int) -> Iterator[int]:
        """Yield the places that a negation before them reaches; "or" carries it on."""
        left = NEGATED
        for place in range(start, min(start + LONG, len(self._words))):
            word = self._words[place]
            if not left or (word in self._rules.until and not (word == "," and self._goes_on(place))):
                return
            left = NEGATED if word in self._rules.across else left - 1
            yield place

    def _goes_on(self, comma: int) -> bool:
        """Say whether a comma stands in a row that an "or" ends: "no fever, pain or rash"."""
        for word in self._words[comma + 1 : comma + 1 + NEGATED]:
            if word in self._rules.across:
                return True
            if word != "," and word in self._rules.until:
                return False
        return False

    def _context(self, name: str) -> list[Span]:
        return self._spans.get(name, [])
