"""Recognise signs of an emergency by rules that a clinician can read (assets/emergency/*.yaml).

No model takes part: the same message always gets the same verdict. Rules are written for recall: a false
alarm costs a phone call. Each locale reads the message on its own, and answers in its own language.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Literal

from fsmbot.handlers.emergency_message import Message
from fsmbot.handlers.emergency_reading import read_rules
from fsmbot.handlers.emergency_rules import Category, Rules
from fsmbot.handlers.emergency_words import MARKS, names, split
from fsmbot.registry import handler
from fsmbot.turn import Turn

RECENT = 8
"""Messages whose verdict is remembered: several nodes of a turn ask about the same one."""
BRIEF = 12
"""Words of a message that may be nothing but a cry."""


@dataclass(frozen=True)
class Emergency:
    """What was recognised: the category, the rule that fired, and what to tell the user.

    group: "self-harm", or "" for all else. locale: that of the rule and of the reply.
    """

    category: str
    rule: str
    reply: str
    group: str = ""
    locale: str = "en"


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
    yield found.reply if found else read_rules(("en",))[0].replies["medical"]


@lru_cache(maxsize=RECENT)
def emergency(text: str, locales: tuple[str, ...] = ()) -> Emergency | None:
    """Return the emergency that a message speaks of, or None. Self-harm comes before the rest.

    locales: those whose rules are asked; by default all that there are.
    """
    tokens = split(text)
    every = read_rules(locales)
    known, called = _known(every), names(text)
    for rules in every:
        found = _found(rules.spelling.words(tokens, known, called), rules)
        if found is not None:
            return found
    return None


@cache
def _known(every: tuple[Rules, ...]) -> frozenset[str]:
    """Return the words of all locales: none of them is another's slip of the pen."""
    return frozenset().union(*(rules.spelling.known for rules in every))


def _found(words: Sequence[str], rules: Rules) -> Emergency | None:
    message = Message(words, rules)
    for rule in message.candidates:
        if message.fits(rule):
            return _emergency(rule.category, rule.source, rules)
    for score in rules.scores:
        if signs := message.signs(score):
            return _emergency(score.category, ", ".join(signs), rules)
    return _cry(message, rules)


def _cry(message: Message, rules: Rules) -> Emergency | None:
    """Return the emergency that is named and nothing else: "seizure!!", "help, an overdose"."""
    if len(message.words) > BRIEF or not message.of_now:
        return None
    cry = tuple(w for w in message.words if w not in rules.companions and w not in MARKS)
    category = rules.alone.get(cry)
    return _emergency(category, " ".join(cry), rules) if category else None


def _emergency(category: Category, rule: str, rules: Rules) -> Emergency:
    return Emergency(category.name, rule, rules.replies[category.reply], category.group, rules.locale)
