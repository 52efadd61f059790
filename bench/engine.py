"""The engine's own time: whole conversations of the doctor flow with stub handlers.

    python bench/engine.py [SECONDS]

A conversation is the opening prompt, one message, and the answer. The stubs cost next to nothing, so
what is measured is the engine; a hand-written if/elif shows the floor. All subjects take turns in
small batches within one run, so that a drift of the machine's speed hits them alike.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from fsmbot import Registry, Session, Turn, load_flow
from fsmbot.registry import load_builtins
from fsmbot.stores import SQLiteStore

FLOW = Path(__file__).parent.parent / "flows" / "doctor.yaml"
TEXTS = ["I have a pain in my knee", "hello there", "capital of France?"]
BATCH = 30


def stub_registry() -> Registry:
    """Return the built-in handlers with stubs in place of the models."""
    registry = Registry(resources=dict(load_builtins().resources))

    @registry.handler
    def check_medical(turn: Turn) -> Literal["medical", "other"]:
        return "medical" if "pain" in turn.text else "other"

    @registry.handler
    def check_greeting(turn: Turn) -> Literal["greeting", "other"]:
        return "greeting" if "hello" in turn.text else "other"

    @registry.handler
    def ask_doctor(turn: Turn) -> Iterator[str]:
        yield "Please describe the pain; a doctor will answer."

    for name in ("ask_user", "ans_greeting", "static_idk_msg"):
        registry.handlers[name] = load_builtins().handlers[name]
    return registry


def by_hand(text: str) -> str:
    """The floor: the same conversation as a function."""
    prompt = "What would you like to ask?"
    if "pain" in text:
        return prompt + "Please describe the pain; a doctor will answer."
    elif "hello" in text:
        return prompt + "Hello!"
    return prompt + "Sorry, I do not know."


def subjects(folder: str) -> dict[str, Callable[[str], object]]:
    """Return what is timed: name -> one conversation."""
    flow = load_flow(FLOW, stub_registry())
    store = SQLiteStore(Path(folder) / "bench.db")

    def converse(session: Session, text: str) -> None:
        for _ in session.start():
            pass
        for _ in session.send(text):
            pass

    return {
        "if/elif by hand": by_hand,
        "fsmbot, in memory": lambda text: converse(Session(flow), text),
        "fsmbot, SQLite (2 durable turns)": lambda text: converse(Session(flow, store=store), text),
    }


def measure(seconds: float) -> dict[str, list[float]]:
    """Return microseconds a conversation, batch by batch, for each subject."""
    with tempfile.TemporaryDirectory() as folder:
        timed = subjects(folder)
        times: dict[str, list[float]] = {name: [] for name in timed}
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            for name, converse in timed.items():
                start = time.perf_counter_ns()
                for index in range(BATCH):
                    converse(TEXTS[index % len(TEXTS)])
                times[name].append((time.perf_counter_ns() - start) / BATCH / 1000)
    return times


def main() -> None:
    """Print the median, and the 5th and 95th percentile."""
    times = measure(float(sys.argv[1]) if len(sys.argv) > 1 else 5.0)
    print("| microseconds a conversation | median | p5 | p95 |\n| --- | ---: | ---: | ---: |")
    for name, values in times.items():
        cuts = statistics.quantiles(values, n=20)
        print(f"| {name} | {statistics.median(values):.2f} | {cuts[0]:.2f} | {cuts[-1]:.2f} |")


if __name__ == "__main__":
    main()
