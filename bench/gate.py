"""The medical gate: what check_medical costs, against an encoder and against TF-IDF.

Messages are those of tests/gate put together to 30 words, medical and everyday ones in turn; all run on
one thread. MiniLM has the architecture of all-MiniLM-L6-v2 and random weights, as no hub is reached:
that is right for time and memory, and says nothing about quality. TF-IDF is scikit-learn's, with words
and pairs of words, and logistic regression. check_medical reads a message that is not medical by the
emergency rules as well, which takes longer than the score.

`ready`: a fresh process until its first verdict, on an everyday message, imports included; the
interpreter's own start is not. `first time`: a message that a process has not met before, nor all of its
words; ours remembers how it has read a word, as it does in use.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
from pathlib import Path

from suite.environments import NotInstalled, installed, say
from suite.machine import versions
from suite.results import ROOT, Measured, Table, Value, ratio, spread
from suite.workers import Subject, once, scratch, take_turns

OURS = "fsmbot: check_medical"
SUBJECTS = {
    OURS: Subject("gate_fsmbot", "gate"),
    "TF-IDF, scikit-learn": Subject("gate_tfidf", "gate", "scikit-learn"),
    "MiniLM, transformers": Subject("gate_minilm", "gate"),
}
PREPARED = ("TF-IDF, scikit-learn", "MiniLM, transformers")
SHIPPED = ROOT / "fsmbot" / "assets" / "medical-vectors"


def measure(quick: bool = False) -> Measured:
    """Measure all of it: some two minutes, quick half a minute."""
    folder = Path(tempfile.mkdtemp(dir=scratch()))
    try:
        sizes = {OURS: sum(path.stat().st_size for path in SHIPPED.iterdir())} | prepared(folder)
        tables = {
            "messages": messages(sizes, 5.0 if quick else 40.0, 2 if quick else 7, folder),
            "parts": parts(5 if quick else 40, folder),
            "loading": loading(2 if quick else 7, folder),
        }
    finally:
        shutil.rmtree(folder)
    return Measured(tables, versions=versions("numpy", "torch", "transformers") | installed("scikit-learn"))


def prepared(folder: Path) -> dict[str, int]:
    """Have the peers write their models; return the bytes of these."""
    sizes = {}
    for name in PREPARED:
        subject = SUBJECTS[name]
        try:
            sizes[name] = once(Subject(subject.module, "prepare", subject.environment), "call", folder=folder)
        except NotInstalled as error:
            say(f"{name} is left out: {error}")
    return sizes


def messages(sizes: dict[str, int], seconds: float, starts: int, folder: Path) -> Table:
    """Time a message, and how long a process takes to be ready."""
    rounds = take_turns(SUBJECTS, seconds, folder)
    starting: dict[str, list[dict[str, float]]] = {name: [] for name in rounds.times}
    for _ in range(starts):
        again = take_turns({name: SUBJECTS[name] for name in starting}, 0, folder)
        for name, facts in again.facts.items():
            starting[name].append(facts)
    rows: dict[str, dict[str, Value]] = {}
    for name, times in rounds.times.items():
        rows[name] = {
            **spread(times),
            "/ ours": ratio(times, rounds.times[OURS]),
            "first time": statistics.median(facts["first"] for facts in starting[name]),
            "ready, ms": statistics.median(facts["ready"] * 1000 for facts in starting[name]),
            "memory, MB": rounds.facts[name]["rss"] / 1e6,
            "files, MB": sizes[name] / 1e6,
        }
    about = "Microseconds a message, one at a time; the memory is that of the whole process."
    return Table("A message of 30 words", "µs", about, rows, rounds.missing, bars="median")


def parts(rounds: int, folder: Path) -> Table:
    """Time the parts of the gate on either side."""
    rows = once(Subject("gate_fsmbot", "parts"), "call", str(rounds), folder=folder)
    return Table("Parts of the gate", "µs", "Medical and everyday messages of 30 words.", rows)


def loading(rounds: int, folder: Path) -> Table:
    """Time loading alone, in fresh processes that have numpy already."""
    found = [once(Subject("gate_fsmbot", "loading"), "call", folder=folder) for _ in range(rounds)]
    row = {column: statistics.median(one[column] for one in found) for column in found[0]}
    size = sum(path.stat().st_size for path in SHIPPED.iterdir()) / 1e6
    about = "In a process that has numpy already."
    return Table("Loading the gate", "", about, {"fsmbot's gate": {**row, "files, MB": size}})
