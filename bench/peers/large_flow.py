"""Flows of many nodes: loaded, compiled, and walked through from the first node to the last.

The nodes ask, match, check and say in turn, so that every kind of key is read; "yes" leads onwards.
"""

from __future__ import annotations

import time
from itertools import pairwise

from worker import resident

from fsmbot import Session, parse_flow
from fsmbot.registry import load_builtins

NODES = (
    """\
  n{i}:
    handler: ask_user
    prompt: Question {i}, {{name}}?
    remember: name
    next: n{after}
""",
    """\
  n{i}:
    handler: match
    cases: {{a: [yes, sure], b: [no, not really], c: {{from: 1, to: 10}}}}
    next: {{a: n{after}, b: n{before}, c: n{after}, other: n{before}}}
""",
    """\
  n{i}:
    handler: check_greeting
    next: {{greeting: n{before}, otherwise: n{after}}}
""",
    """\
  n{i}:
    handler: say
    text: [Text {i}, Another text]
    next: n{after}
""",
)


def flow_text(nodes: int) -> str:
    """Return a flow of so many nodes, each of which leads to the next."""
    lines = [NODES[i % 4].format(i=i, after=i + 1, before=i - i % 4) for i in range(nodes)]
    return "start: n0\nnodes:\n" + "".join(lines).replace(f"n{nodes}", "end")


def walk(nodes: str) -> dict[str, float]:
    """Return the seconds to load and check, to compile, and to walk; the bytes of the flow; the turns."""
    load_builtins()
    text, before = flow_text(int(nodes)), resident()
    marks = [time.perf_counter()]
    flow = parse_flow(text)
    marks.append(time.perf_counter())
    assert len(flow.steps) == int(nodes)  # compiles
    marks.append(time.perf_counter())
    grown, session = resident() - before, Session(flow)
    session.say("yes")
    while session.state.status == "listening":
        session.say("yes")
    marks.append(time.perf_counter())
    load, compiled, walked = (end - start for start, end in pairwise(marks))
    turns = session.state.answered
    return {"load": load, "compile": compiled, "walk": walked, "bytes": grown, "turns": turns}
