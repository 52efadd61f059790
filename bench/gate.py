"""What the medical gate costs: time per message, time to load, memory, and files.

    python bench/gate.py

Messages are those of tests/gate, and the same put together to 30 words, the length that the figures
are for. Every message is scored once per round, so that words and messages change as in use. Load time
and memory are those of a fresh process that has numpy already, the median of five.
"""

from __future__ import annotations

import csv
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from fsmbot.handlers.emergency import emergency  # noqa: E402  (the checkout, not what is installed)
from fsmbot.handlers.greeting import is_greeting  # noqa: E402
from fsmbot.handlers.medical import SHIPPED, check_medical, vectors  # noqa: E402
from fsmbot.turn import Turn  # noqa: E402

LOADING = """
import gc, json, time
import numpy
import fsmbot.handlers.medical as medical
numpy.ones((9, 9)) @ numpy.ones((9, 9))
def megabytes():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 1e6
gc.collect()
before, start = megabytes(), time.perf_counter()
gate = medical.vectors().gate
seconds = time.perf_counter() - start
loaded = megabytes() - before
gate.score("my head hurts and I feel dizy")
print(json.dumps([seconds, loaded, megabytes() - before]))
"""


def messages_of_30_words() -> dict[str, list[str]]:
    """Return medical and other messages, each of 30 words of several short ones."""
    sides: dict[str, list[str]] = {"medical": [], "everyday": []}
    for name in ("tuned", "unseen"):
        with (ROOT / "tests" / "gate" / f"{name}.csv").open(encoding="utf-8") as file:
            for row in csv.DictReader(file):
                sides["medical" if row["label"] == "medical" else "everyday"] += row["text"].split()
    return {
        side: [" ".join(words[i : i + 30]) for i in range(0, len(words) - 30, 30)]
        for side, words in sides.items()
    }


def per_message(action: Callable[[str], object], messages: list[str], rounds: int = 40) -> float:
    """Return the median over the rounds of the mean microseconds a message."""
    found = []
    for _ in range(rounds):
        start = time.perf_counter()
        for message in messages:
            action(message)
        found.append((time.perf_counter() - start) / len(messages) * 1e6)
    return statistics.median(found)


def loading() -> tuple[float, float, float]:
    """Return milliseconds, and megabytes before and after the first misspelt word."""
    found = []
    for _ in range(5):
        command = [sys.executable, "-c", LOADING]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        found.append(json.loads(done.stdout))
    seconds, loaded, used = map(statistics.median, zip(*found, strict=True))
    return seconds * 1000, loaded, used


def main() -> None:
    """Measure and print a table."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    known, sides = vectors(), messages_of_30_words()
    subjects: dict[str, Callable[[str], object]] = {
        "score": known.gate.score,
        "check_medical": lambda text: check_medical(Turn(text), known),
        "is_greeting": is_greeting,
        "emergency": emergency,
    }
    size = sum(path.stat().st_size for path in SHIPPED.iterdir()) / 1e6
    milliseconds, loaded, used = loading()
    print(f"{platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}\n")
    print("| 30 words | medical, us | everyday, us |\n| --- | --- | --- |")
    for name, action in subjects.items():
        medical, everyday = (per_message(action, sides[side]) for side in ("medical", "everyday"))
        print(f"| {name} | {medical:.0f} | {everyday:.0f} |")
    print(f"\nload {milliseconds:.0f} ms; memory {loaded:.1f} MB, {used:.1f} MB once a word is misspelt;")
    print(f"files {size:.2f} MB")


if __name__ == "__main__":
    main()
