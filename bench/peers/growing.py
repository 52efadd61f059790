"""How ours grows with its work: one function for each kind of work, each in a process of its own.

Each returns points: the work, and the microseconds, seconds or megabytes that it took; of several times
the shortest, as all else on a machine only adds to it, and growth is what is asked for. The collector of
cycles is off: when it passes depends on what else the process holds, and one pass would look like growth.
"""

from __future__ import annotations

import gc
import itertools
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import msgspec
from large_flow import walk
from with_fsmbot import answer, going_on, idle, opened, sqlite
from worker import resident

from fsmbot import Message, Session, Turn
from fsmbot.handlers.emergency import emergency
from fsmbot.handlers.medical import check_medical, vectors
from fsmbot.stores import Store

Points = list[tuple[int, float]]

gc.disable()


def doubled(most: str, steps: int = 8) -> Iterator[int]:
    """Yield sizes up to the most, each twice as large as the one before."""
    return (max(1, int(most) >> shift) for shift in range(steps - 1, -1, -1))


def nodes(most: str) -> dict[str, Points]:
    """Return seconds to load and check, to compile, and to walk through flows of so many nodes."""
    lines: dict[str, Points] = {"load and check": [], "compile": [], "walk": []}
    walk("100")
    for size in doubled(most):
        found = [walk(str(size)) for _ in range(5)]
        for line, key in zip(lines.values(), ("load", "compile", "walk"), strict=True):
            line.append((size, min(one[key] for one in found)))
    return lines


def sessions(most: str) -> dict[str, Points]:
    """Return seconds to start so many sessions and to answer each once."""
    points: Points = []
    idle(100)
    for size in doubled(most, 6):
        points.append((size, microseconds(partial(idle, size), 3) / 1e6))
    return {"start, and answer once": points}


def memory(most: str) -> dict[str, Points]:
    """Return megabytes of so many sessions, all of them kept."""
    points: Points = []
    before, kept = resident(), idle(100)
    for size in doubled(most, 6):
        kept += idle(size - len(kept))
        points.append((size, (resident() - before) / 1e6))
    return {"resident memory": points}


def microseconds(action: Callable[[], Any], repeats: int) -> float:
    """Return the time of an action, the shortest of several."""
    found = []
    for _ in range(repeats):
        start = time.perf_counter_ns()
        action()
        found.append((time.perf_counter_ns() - start) / 1000)
    return min(found)


def message(most: str) -> dict[str, Points]:
    """Return microseconds for messages of so many characters: the engine's turn, the gate, the rules."""
    known, flow, store = vectors(), going_on(), sqlite()
    actions: dict[str, Callable[[str], Any]] = {
        "a turn": lambda text: answer(opened(flow), text),
        "a durable turn": lambda text: answer(opened(flow, store), text),
        "check_medical": lambda text: check_medical(Turn(text), known),
        "emergency": emergency,
    }
    return {
        name: [(size, microseconds(partial(answered, action, messages(size)), 15)) for size in doubled(most)]
        for name, action in actions.items()
    }


def messages(size: int) -> Iterator[str]:
    """Yield messages of so many characters; no two are the same, as a verdict may be remembered."""
    sentence = "what time does the train to the city leave, and where can I buy a ticket for it? "
    text = sentence * 300
    starts = itertools.accumulate((len(word) + 1 for word in (sentence * 10).split()), initial=0)
    return (text[start : start + size].rpartition(" ")[0] for start in starts)


def answered(action: Callable[[str], Any], texts: Iterator[str]) -> None:
    """Do something with the next message."""
    action(next(texts))


def with_history(store: Store | None, size: int) -> Session:
    """Return a session that has said and heard so many messages."""
    session = opened(going_on(), store)
    said = tuple(Message("user" if i % 2 else "bot", f"message {i}, as long as most") for i in range(size))
    if store is None:
        session.state = msgspec.structs.replace(session.state, history=said)
        return session
    for _ in range(size // 3):  # the store knows what was said, so all of it is said
        answer(session, "hello there")
    return session


def history(most: str) -> dict[str, Points]:
    """Return microseconds of a turn in sessions with so many messages in their history."""
    lines: dict[str, Points] = {"a turn in memory": [], "a durable turn": []}
    for size in doubled(most, 7):
        for line, store in zip(lines.values(), (None, sqlite()), strict=True):
            session = with_history(store, size)
            line.append((size, microseconds(partial(answer, session, "hello there"), 25)))
    return lines
