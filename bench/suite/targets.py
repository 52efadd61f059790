"""What the figures are to reach, and why they do not where they do not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from suite.results import Series, exponent, figure

STRAIGHT = 1.15
"""The power of the work from which growth is called worse than linear; 1 is a straight line, and what lies
beyond it must not be noise."""


@dataclass(frozen=True)
class Target:
    """One promise: a figure (subject, table, row, column), or a figure over another, and its bound."""

    text: str
    of: tuple[str, str, str, str]
    over: tuple[str, str, str, str] | None = None
    at_most: float | None = None
    at_least: float | None = None
    unit: str = ""

    def value(self, known: Mapping[str, Any]) -> float | None:
        """Return the figure, or None where it was not measured."""
        above, below = figure(known, self.of), figure(known, self.over) if self.over else 1.0
        if not isinstance(above, (int, float)) or not isinstance(below, (int, float)):
            return None
        return above / below

    def reached(self, value: float) -> bool:
        """Say whether the figure keeps to the bound."""
        return value <= self.at_most if self.at_most is not None else value >= (self.at_least or 0.0)

    @property
    def bound(self) -> str:
        """Return the bound in words."""
        least, most = self.at_least, self.at_most
        return (f"at most {most:g}" if most is not None else f"at least {least:g}") + f" {self.unit}".rstrip()


@dataclass(frozen=True)
class Verdict:
    """What became of one target; value: None where it was not measured."""

    subject: str
    text: str
    bound: str
    value: float | None
    reached: bool
    unit: str = ""

    @property
    def reason(self) -> str:
        """Return why it is missed, "" where it is not."""
        missed = self.value is not None and not self.reached
        return REASONS.get(self.text, "not explained yet") if missed else ""


def verdicts(known: Mapping[str, Any], targets: Sequence[Target]) -> list[Verdict]:
    """Return the verdict on each target, and on the growth of each line that was measured."""
    found = []
    for target in targets:
        value = target.value(known)
        reached = value is not None and target.reached(value)
        found.append(Verdict(target.of[0], target.text, target.bound, value, reached, target.unit))
    return found + growth(known)


def growth(known: Mapping[str, Any]) -> list[Verdict]:
    """Return for each line how it grows with its work."""
    found = []
    for subject, stored in known.items():
        for lines in stored.get("series", {}).values():
            series = Series(**lines)
            for name, points in series.lines.items():
                power = exponent(points)
                text = f"{series.title}: {name} grows with the power of the work"
                found.append(Verdict(subject, text, f"at most {STRAIGHT}", power, power <= STRAIGHT))
    return found


def _engine(table: str, row: str, column: str = "median") -> tuple[str, str, str, str]:
    return "engine", table, row, column


def _speed(row: str, column: str) -> tuple[str, str, str, str]:
    return "training", "speed", row, column


CONVERSATION, TURN = "fsmbot: a conversation", "fsmbot: a turn"
LANGGRAPH, LANGGRAPH_EXIT = "LangGraph: a turn", "LangGraph, durability='exit': a turn"

REASONS = {
    "a whole conversation in memory": (
        "ten to twelve events and four or five nodes in plain Python: a handler that speaks is a generator, "
        "and two of them made and finished take 0.5 µs, events, messages and states 0.5; most of the rest is "
        "the interpreter's own loop, which a compiled one would spare"
    ),
    "faster than the fastest peer: its turn over our conversation": (
        "a conversation of ours, its opening included, is held against one turn of theirs; conversation by "
        "conversation it is about eight times"
    ),
    "the same, turn by turn": "what a turn tells and keeps, see above",
    "a durable turn over its write by hand": (
        "the message is noted before the turn, in a commit that does not wait for the disk, and the row "
        "tells the events: four pages of the log where the write by hand has one"
    ),
    "a durable conversation over its two writes by hand": (
        "the notes and events of a durable turn, see below; from run to run it is 1.4 to 1.55"
    ),
    "durable, faster than LangGraph's SQLite saver, conversation by conversation": (
        "our opening is a synced commit of its own: the two writes alone take two thirds of our conversation"
    ),
    "the same against durability='exit', turn by turn": (
        "the synced write alone takes more than half of our turn, and the disk sets its time"
    ),
    "check_medical, faster than MiniLM": (
        "the emergency rules read every message that is not medical; the score alone would be some 130 times "
        "as fast, but a cry for help in everyday words must not pass"
    ),
    "A flow of many nodes: compile grows with the power of the work": (
        "1.3 µs a node up to 1,250 nodes, 1.9 at 10,000: a node with what belongs to it takes 1.9 kB, and "
        "more of them do not fit into the second cache of the processor, 2 MiB"
    ),
    "Training on longer dialogues: a step of two dialogues grows with the power of the work": (
        "attention compares each token with all before it in its dialogue"
    ),
}
"""Why a target is missed, by its text."""

TARGETS = (
    Target("a whole conversation in memory", _engine("in memory", CONVERSATION), at_most=5, unit="µs"),
    Target(
        "faster than the fastest peer: its turn over our conversation",
        _engine("in memory", "transitions: a turn", "/ our conversation"), at_least=6,
    ),
    Target(
        "the same, turn by turn", _engine("in memory", "transitions: a turn", "/ our turn"), at_least=6
    ),
    Target(
        "a durable conversation over its two writes by hand",
        _engine("durable", CONVERSATION, "/ by hand"), at_most=1.5,
    ),
    Target("a durable turn over its write by hand", _engine("durable", TURN, "/ by hand"), at_most=1.5),
    Target(
        "durable, faster than LangGraph's SQLite saver, conversation by conversation",
        _engine("durable", "LangGraph: a conversation", "/ our conversation"), at_least=25,
    ),
    Target(
        "the same against durability='exit', conversation by conversation",
        _engine("durable", "LangGraph, durability='exit': a conversation", "/ our conversation"), at_least=8,
    ),
    Target(
        "durable, faster than LangGraph's SQLite saver, turn by turn",
        _engine("durable", LANGGRAPH, "/ our turn"), at_least=25,
    ),
    Target(
        "the same against durability='exit', turn by turn",
        _engine("durable", LANGGRAPH_EXIT, "/ our turn"), at_least=8,
    ),
    Target(
        "an idle session besides its history",
        _engine("idle", "fsmbot", "bytes besides history"), at_most=1000, unit="bytes",
    ),
    Target(
        "import fsmbot, over the bare interpreter",
        ("start", "imports", "fsmbot", "over bare"), at_most=40, unit="ms",
    ),
    Target("the first prompt", ("start", "commands", "first prompt", "median"), at_most=300, unit="ms"),
    Target(
        "the model loads while the user types: the doctor's first words, after 10 s of typing, over at once",
        ("start", "doctor", "fsmbot: first words, after 10 s of typing", "median"),
        over=("start", "doctor", "fsmbot: first words, asked at once", "median"), at_most=0.5,
    ),
    Target(
        "check_medical, faster than MiniLM", ("gate", "messages", "MiniLM, transformers", "/ ours"),
        at_least=100,
    ),
    Target(
        "answering, faster than transformers.generate with the adapter on",
        ("answering", "speed", "transformers.generate", "/ ours"), at_least=2.5,
    ),
    Target(
        "answering, the first token after a prompt of 100 tokens",
        ("answering", "speed", "fsmbot", "first token, ms"), at_most=500, unit="ms",
    ),
    Target(
        "training, faster than TRL", _speed("TRL", "ours is faster by"), at_least=3,
    ),
    Target("training, faster than TRL with packing", _speed("TRL, packing", "ours is faster by"), at_least=2),
    Target(
        "training, peak memory over TRL's", _speed("ours", "peak, MiB"), over=_speed("TRL", "peak, MiB"),
        at_most=1,
    ),
    Target(
        "training, peak memory over that of TRL with packing", _speed("ours", "peak, MiB"),
        over=_speed("TRL, packing", "peak, MiB"), at_most=1,
    ),
    Target(
        "training, the loss strays from float32's",
        ("training", "losses", "largest difference", "difference"), at_most=0.01,
    ),
)  # fmt: skip
