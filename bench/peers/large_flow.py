"""Flows of many nodes: loaded, compiled, and walked through from the first node to the last.

The nodes ask, match, check and say in turn; "yes" leads onwards. A walk in one session would have thousands
of messages behind it in the end, and what these cost is a question of its own (growing.py asks it).
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Any

import msgspec
from doctor import TURNS
from worker import resident

from fsmbot import Flow, Session, parse_flow
from fsmbot.registry import load_builtins

ASK = """\
  n{i}:
    handler: ask_user
    prompt: Question {i}?
    next: {after}
"""
MATCH = """\
  n{i}:
    handler: match
    cases: {{onwards: [yes]}}
    next: {{onwards: {after}, other: n{before}}}
"""
CHECK = """\
  n{i}:
    handler: check_greeting
    next: {{greeting: n{before}, otherwise: {after}}}
"""
SAY = """\
  n{i}:
    handler: say
    text: Text {i}
    next: {after}
"""
NODES = (ASK, SAY, MATCH, SAY, CHECK, SAY)
"""Small nodes: a flow file may have 100,000 keys and values, and 10,000 of these have nearly as many."""


def flow_text(nodes: int) -> str:
    """Return a flow of so many nodes, each of which leads to the next."""
    count, names = len(NODES), [*(f"n{i}" for i in range(nodes)), "end"]
    lines = (NODES[i % count].format(i=i, after=names[i + 1], before=i - i % count) for i in range(nodes))
    return "start: n0\nnodes:\n" + "".join(lines)


def walk(nodes: str) -> dict[str, float]:
    """Return the seconds to load and check, to compile, and to walk; the bytes of the flow; the turns."""
    load_builtins()
    text, before = flow_text(int(nodes)), resident()
    load, flow = timed(lambda: parse_flow(text))
    compiled, _ = timed(lambda: flow.steps)
    grown = resident() - before
    walked, turns = timed(lambda: walked_through(flow))
    return {"load": load, "compile": compiled, "walk": walked, "bytes": grown, "turns": turns}


def timed(action: Callable[[], Any]) -> tuple[float, Any]:
    """Return the seconds that an action takes, which starts without garbage of others, and its result."""
    gc.collect()
    start = time.perf_counter()
    result = action()
    return time.perf_counter() - start, result


def walked_through(flow: Flow) -> int:
    """Go from the first node to the last, in a new session after some turns; return all turns."""
    session, turns = Session(flow), 1
    session.say("yes")
    while session.state.status == "listening":
        if turns % TURNS == 0:
            session = Session(flow, state=msgspec.structs.replace(session.state, history=()))
        session.say("yes")
        turns += 1
    return turns
