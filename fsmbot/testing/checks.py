"""What a step expects, held against what happened: a function for each kind of check."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fsmbot.played import Played
from fsmbot.testing.script import KINDS, Step
from fsmbot.turn import State

NOTHING = "nothing"


@dataclass(frozen=True)
class Happened:
    """A turn, the error that it raised ("": none), and the state of the conversation after it."""

    turn: Played
    error: str
    state: State


@dataclass(frozen=True)
class Miss:
    """A check that failed: where it is written, what was checked, expected and seen."""

    line: int
    column: int
    what: str
    expected: str
    seen: str


Verdict = tuple[str, str, str] | None
"""What was checked, expected and seen; None where all is well."""


def judge(step: Step, happened: Happened) -> list[Miss]:
    """Return the checks of a step that failed, in the order of KINDS.

    A turn that raised, which the step did not foresee, fails alone: the rest follows from it.
    """
    if happened.error and not step.expects("raises"):
        return [Miss(step.line, step.column, "the turn failed", "a reply", happened.error)]
    misses = []
    for check in step.checks:
        verdict = _JUDGES[check.kind](check.expected, happened)
        if verdict is not None:
            misses.append(Miss(check.line, check.column, *verdict))
    return misses


def _visits(expected: tuple[str, ...], happened: Happened) -> Verdict:
    seen = happened.turn.visits
    return None if list(expected) == seen else ("visits", _names(expected), _names(seen))


def _outcomes(expected: tuple[str, str], happened: Happened) -> Verdict:
    node, outcome = expected
    if happened.turn.outcomes.get(node) == outcome:
        return None
    return f"outcome of {node}", outcome, happened.turn.outcomes.get(node) or _how_left(node, happened)


def _how_left(node: str, happened: Happened) -> str:
    """Return why a node has no outcome."""
    if node in happened.turn.failed:
        return "it failed"
    return "no outcome" if node in happened.turn.visits else "it was not visited"


def _fails(expected: str, happened: Happened) -> Verdict:
    seen = happened.turn.failed
    return None if expected in seen else ("fails", expected, _names(seen))


def _raises(expected: str, happened: Happened) -> Verdict:
    if happened.error and _plain(expected) in _plain(happened.error):
        return None
    return "raises", expected, happened.error or NOTHING


def _says(expected: str, happened: Happened) -> Verdict:
    if _plain(expected) in _plain(happened.turn.reply):
        return None
    return "says", expected, happened.turn.reply or NOTHING


def _never_says(expected: str, happened: Happened) -> Verdict:
    if _plain(expected) not in _plain(happened.turn.reply):
        return None
    return "never_says", f"a reply without: {expected}", happened.turn.reply


def _memory(expected: tuple[str, Any], happened: Happened) -> Verdict:
    name, value = expected
    memory = happened.state.memory
    if value is None:
        return None if name not in memory else (f"memory of {name}", "absent", _json(memory[name]))
    if name in memory and _same(value, memory[name]):
        return None
    return f"memory of {name}", _json(value), _json(memory[name]) if name in memory else "absent"


def _ends(expected: bool, happened: Happened) -> Verdict:
    ended = happened.state.status == "ended"
    words = {True: "the conversation has ended", False: "the conversation goes on"}
    return None if ended is expected else ("ends", words[expected], words[ended])


def _waits_at(expected: str, happened: Happened) -> Verdict:
    state = happened.state
    seen = state.node if state.status == "listening" else f"{NOTHING}, as the conversation has {state.status}"
    return None if seen == expected else ("waits_at", expected, seen)


_FUNCTIONS: tuple[Callable[..., Verdict], ...] = (
    *(_visits, _outcomes, _fails, _raises, _says, _never_says),
    *(_memory, _ends, _waits_at),
)
_JUDGES = dict(zip(KINDS, _FUNCTIONS, strict=True))


def _plain(text: str) -> str:
    """Return a text with each run of whitespace as one space."""
    return " ".join(text.split())


def _names(names: list[str] | tuple[str, ...]) -> str:
    return ", ".join(names) or NOTHING


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _same(a: Any, b: Any) -> bool:
    """Whether two JSON values are equal; true is not 1, but 1 is 1.0."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_same, a, b))
    return isinstance(a, bool) == isinstance(b, bool) and bool(a == b)
