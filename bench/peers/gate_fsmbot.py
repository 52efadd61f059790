"""fsmbot's gate: word vectors, and rules beside them."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from gate_messages import cases, of_30_words
from worker import resident

from fsmbot import Turn
from fsmbot.handlers.emergency import emergency
from fsmbot.handlers.medical import check_medical, vectors

CASES = cases()


def gate() -> Callable[[str], str]:
    """The whole handler, as a flow calls it."""
    known = vectors()
    return lambda text: check_medical(Turn(text), known)


ACTIONS: dict[str, Callable[[Any], Callable[[str], Any]]] = {
    "the score alone": lambda known: known.gate.score,
    "check_medical": lambda known: lambda text: check_medical(Turn(text), known),
    "emergency": lambda known: emergency,
}


def parts(rounds: str) -> dict[str, dict[str, float]]:
    """Return the median microseconds of each part for a medical and for an everyday message."""
    known = vectors()
    sides = {"medical": of_30_words(medical=True), "everyday": of_30_words(medical=False)}
    actions = {name: make(known) for name, make in ACTIONS.items()}
    times = {(name, side): list[float]() for name in actions for side in sides}
    for _ in range(int(rounds)):
        for (name, side), found in times.items():
            found.append(per_message(actions[name], sides[side]))
    return {name: {side: median(times[name, side]) for side in sides} for name in actions}


def per_message(action: Callable[[str], Any], texts: list[str]) -> float:
    """Return the mean microseconds a message."""
    start = time.perf_counter()
    for text in texts:
        action(text)
    return (time.perf_counter() - start) / len(texts) * 1e6


def loading() -> dict[str, float]:
    """Return what loading takes beside numpy: milliseconds, and megabytes until and with a misspelt word."""
    import numpy

    numpy.ones((9, 9)) @ numpy.ones((9, 9))
    gc.collect()
    before, start = resident(), time.perf_counter()
    known = vectors().gate
    milliseconds = (time.perf_counter() - start) * 1000
    loaded = resident() - before
    known.score("my head hurts and I feel dizy")
    return {"ms": milliseconds, "MB": loaded / 1e6, "MB, a word misspelt": (resident() - before) / 1e6}


VARIANTS = {"gate": gate}
