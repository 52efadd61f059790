"""How long flow files of many nodes take to load and check, and to compile for sessions.

    python bench/load.py [NODES ...]

The flows ask, match, check and say in turn, so that every kind of key is read.
"""

from __future__ import annotations

import statistics
import sys
import time

from fsmbot.loader import parse_flow
from fsmbot.registry import load_builtins

REPEATS = 5

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
    next: {{greeting: n{after}, otherwise: n{before}}}
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
    lines = [
        NODES[i % 4].format(i=i, after=i + 1, before=i - 1 if i % 4 == 1 else i - 2) for i in range(nodes)
    ]
    return "start: n0\nnodes:\n" + "".join(lines).replace(f"n{nodes}", "end")


def measure(nodes: int) -> tuple[float, float]:
    """Return the median seconds of loading and of compiling."""
    text, loads, compiles = flow_text(nodes), [], []
    for _ in range(REPEATS):
        start = time.perf_counter()
        flow = parse_flow(text)
        loads.append(time.perf_counter() - start)
        start = time.perf_counter()
        assert len(flow.steps) == nodes
        compiles.append(time.perf_counter() - start)
    return statistics.median(loads), statistics.median(compiles)


def main() -> None:
    """Print a table."""
    load_builtins()
    print("| nodes | load and check, ms | compile, ms |\n| ---: | ---: | ---: |")
    for nodes in map(int, sys.argv[1:] or ("100", "1000", "8000")):
        load, compiled = measure(nodes)
        print(f"| {nodes:,} | {1000 * load:.1f} | {1000 * compiled:.1f} |")


if __name__ == "__main__":
    main()
