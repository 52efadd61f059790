"""One subject in one process; bench/suite/workers.py talks with it.

    worker.py time MODULE VARIANT        a line with a count comes in, microseconds for one text go out
    worker.py idle MODULE VARIANT COUNT  bytes of one idle session, of many
    worker.py call MODULE FUNCTION ...   what a function returns for these arguments

A module of this folder has VARIANTS: name -> a function that makes ready and returns what is timed, a
function (or coroutine function) of one text. CASES (text -> answer) are checked first; a module may
have its own, with None for an answer of which nothing is asked. SESSIONS: name -> a function that
returns so many idle sessions.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import inspect
import json
import sys
import time
import tracemalloc
from collections.abc import Callable
from types import ModuleType
from typing import Any

import doctor

Batch = Callable[[list[str]], tuple[int, list[Any]]]


def main() -> None:
    """Do what the command line asks."""
    what, module, variant, *rest = sys.argv[1:]
    started = time.perf_counter()
    subject = importlib.import_module(module)
    if what == "time":
        answer_requests(subject, variant, started)
    elif what == "idle":
        say(idle(subject.SESSIONS[variant], int(rest[0])))
    else:
        say(getattr(subject, variant)(*rest))


def answer_requests(subject: ModuleType, variant: str, started: float) -> None:
    """Check the answers, say how long it took to be ready, then time batches until nobody asks."""
    run = in_batches(subject.VARIANTS[variant]())
    cases: dict[str, str | None] = getattr(subject, "CASES", doctor.CASES)
    texts = list(cases)
    run(texts[:1])
    ready = time.perf_counter() - started
    nanoseconds, answers = run(texts)
    for text, answer in zip(texts, answers, strict=True):
        assert cases[text] in (None, answer), f"{text!r} was answered {answer!r}"
    first = nanoseconds / len(texts) / 1000
    say({"ready": ready, "first": first, "texts": len(texts), "rss": resident()})
    for line in sys.stdin:
        nanoseconds, answers = run(texts * int(line))
        say(nanoseconds / len(answers) / 1000)


def in_batches(turn: Callable[[str], Any]) -> Batch:
    """Return a function that answers texts, and tells the nanoseconds that took."""
    clock = time.perf_counter_ns

    def plainly(texts: list[str]) -> tuple[int, list[Any]]:
        start = clock()
        answers = [turn(text) for text in texts]
        return clock() - start, answers

    async def awaiting(texts: list[str]) -> tuple[int, list[Any]]:
        start = clock()
        answers = [await turn(text) for text in texts]
        return clock() - start, answers

    if not inspect.iscoroutinefunction(turn):
        return plainly
    loop = asyncio.new_event_loop()
    return lambda texts: loop.run_until_complete(awaiting(texts))


def idle(make: Callable[[int], Any], count: int) -> dict[str, float]:
    """Return the bytes of one of so many sessions, as Python and as the system count them, and its time."""
    kept = [make(3)]
    gc.collect()
    before, start = resident(), time.perf_counter()
    kept.append(make(count))
    seconds = time.perf_counter() - start
    gc.collect()
    grown = resident() - before
    tracemalloc.start()
    kept.append(make(count // 10))
    gc.collect()
    bytes_each = tracemalloc.get_traced_memory()[0] / (count // 10)
    found = {"bytes": bytes_each, "resident bytes": grown / count, "us": seconds / count * 1e6}
    return found | history_of(kept[-1], count // 10)


def history_of(sessions: Any, count: int) -> dict[str, float]:
    """Return the bytes of a session besides its history, where sessions can do without theirs."""
    if not hasattr(sessions, "forget"):
        return {}
    sessions.forget()
    gc.collect()
    return {"bytes besides history": tracemalloc.get_traced_memory()[0] / count}


def resident() -> int:
    """Return the bytes of memory that this process occupies."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


def say(answer: object) -> None:
    """Answer in one line."""
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
