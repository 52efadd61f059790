"""Messages of every size and kind, and a script that measures what they cost in a process of its own.

    python sizes.py flow doctor 0 1 20000 10000000     # or: handler check_medical …

prints a line of JSON for each message: its kind and size, the processor's milliseconds (the best of three
times), the megabytes by which the process grew at the most, and whether it was answered. The processor's
time is what a quiet machine needs, whatever else a shared one does.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

KINDS = {
    "letters": "a",
    "one-letter words": "a ",
    "words": "headache ",
    "emergencies": "chest pain ",
    "negations": "no not without never ",
    "misspelt words": "hedache stomack diarhea ",
    "numbers": "1,000 3.5 7 ",
    "digits": "1,",
    "spaces": " ",
    "line breaks": "\n",
    "dots": ". ",
    "apostrophes": "'",
    "braces": "{name} ",
    "NULs": "\0",
    "escapes": "\x1b[31m",
    "lone surrogates": "\ud800",
    "marks": "\u0301",
    "marks in disorder": "\u0301\u0323",
    "marks on letters": "a" + "\u0301" * 200,
    "marks of Tibet": "\u0f73\u0301",
    "mixed scripts": "боль 頭痛 ألم दर्द pain ",
    "emoji": "👩\u200d⚕\ufe0f",
    "letters that become eighteen": "\ufdfa",
    "letters that become two words": "㏂",
    "letters that become two": "İ",
    "syllables": "\u1100\u1161\u11a8",
    "words without an end": "ab-cd_ef'",
}
"""A unit of each kind, which is repeated to the size."""

FEW = ["letters", "one-letter words", "line breaks", "NULs", "lone surrogates", "marks in disorder"]
FEW += ["mixed scripts", "letters that become two words"]

ROUNDS = 3


def message(kind: str, size: int) -> str:
    """Return a message of so many characters; of 10 MB, the characters that fit into it."""
    unit = KINDS[kind]
    if size == 10_000_000:
        size = len(unit) * size // len(unit.encode("utf-8", "surrogatepass"))
    return (unit * (size // len(unit) + 1))[:size]


def flow(name: str) -> Callable[[str], Callable[[], bool]]:
    """Return a function that readies a turn of a flow, with a doctor that answers at once."""
    from fsmbot.doctor import FakeDoctor
    from fsmbot.errors import StateError
    from fsmbot.loader import load_flow
    from fsmbot.session import Session

    loaded = load_flow(Path(__file__).parent.parent.parent / "flows" / f"{name}.yaml")
    shared = loaded.share({"doctor": FakeDoctor()})

    def ready(text: str) -> Callable[[], bool]:
        session = Session(loaded, shared)
        for _ in session.start():
            pass

        def send() -> bool:
            try:
                for _ in session.send(text):
                    pass
            except StateError:  # it is too long
                return False
            return True

        return send

    return ready


def handler(name: str) -> Callable[[str], Callable[[], bool]]:
    """Return a function that readies a call of a handler."""
    from fsmbot import Turn
    from fsmbot.handlers.emergency import check_emergency
    from fsmbot.handlers.greeting import check_greeting
    from fsmbot.handlers.matching import Condition, match
    from fsmbot.handlers.medical import check_medical, vectors
    from fsmbot.handlers.taking import take

    words = vectors()
    cases = {"yes": ["yes", "of course"], "no": Condition(only=["no"]), "some": Condition(least=1, most=3)}
    calls: dict[str, Callable[[Turn], object]] = {
        "check_medical": lambda turn: check_medical(turn, words),
        "check_emergency": check_emergency,
        "check_greeting": check_greeting,
        "match": lambda turn: match(turn, cases=cases, keep="found"),
        "take": lambda turn: take(turn, keep="name", after=("my name is",)),
    }

    def ready(text: str) -> Callable[[], bool]:
        return lambda: bool(calls[name](Turn(text, memory={})))

    return ready


class Cost:
    """What a process spends from `begin()` to `end()`: the processor's milliseconds, and megabytes."""

    def __init__(self, process: int | str = "self") -> None:
        self._folder = Path(f"/proc/{process}")
        self._before = self._begun = 0.0

    def begin(self) -> None:
        """Count from here."""
        (self._folder / "clear_refs").write_text("5")  # so the most memory until now is forgotten
        self._before, self._begun = self._memory("VmRSS"), self.spent()

    def end(self) -> tuple[float, float]:
        """Return the milliseconds, and the megabytes by which the process grew at the most."""
        return self.spent() - self._begun, (self._memory("VmHWM") - self._before) / 1024

    def spent(self) -> float:
        """Return all milliseconds so far; of another process, the system counts them in tens."""
        if self._folder.name == "self":
            return 1000 * time.process_time()
        fields = (self._folder / "stat").read_text().rpartition(")")[2].split()
        return 1000 * (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _memory(self, what: str) -> int:
        lines = (self._folder / "status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(what))


def measured(ready: Callable[[str], Callable[[], bool]], text: str) -> dict[str, float]:
    """Return what a message costs."""
    cost, spent, answered = Cost(), [], False
    for _ in range(ROUNDS):
        run = ready(text)
        cost.begin()
        answered = run()
        spent.append(cost.end())
    return {"ms": min(ms for ms, _ in spent), "mb": max(mb for _, mb in spent), "answered": answered}


def main(way: str, name: str, kinds: str, *sizes: str) -> Iterator[dict[str, object]]:
    """Warm up, and yield what each message costs."""
    ready = {"flow": flow, "handler": handler}[way](name)
    for text in ("hello", "I have a hedache", "what is the capital of France?", "yes", "a\u0301 \u0301"):
        ready(text)()
    for kind in FEW if kinds == "few" else KINDS:
        for size in map(int, sizes):
            yield {"kind": kind, "size": size, **measured(ready, message(kind, size))}


if __name__ == "__main__":
    for found in main(*sys.argv[1:]):
        print(json.dumps(found))
