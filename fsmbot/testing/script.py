"""A test file as frozen data: conversations with what is expected of them, and where it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fsmbot.flow import Flow

SUFFIX = ".test.yaml"
"""What the name of every test file ends in."""

KINDS = (
    *("visits", "outcomes", "fails", "raises", "says", "never_says"),
    *("memory", "ends", "waits_at"),
)
"""What a step may expect, in the order in which it is judged."""


@dataclass(frozen=True)
class Answer:
    """What a stub says, in pieces, and why it fails then ("": it does not)."""

    says: tuple[str, ...] = ()
    fails: str = ""


@dataclass(frozen=True)
class NodeStub:
    """What stands in for a node's handler."""

    answer: Answer
    outcome: str = ""


@dataclass(frozen=True)
class DoctorStub:
    """What stands in for the doctor: an answer to each question, or one answer after the other.

    The last answer of `in_order` is repeated.
    """

    by_question: Mapping[str, Answer] = field(default_factory=dict)
    in_order: tuple[Answer, ...] = ()


Stubs = Mapping[str, NodeStub | DoctorStub]
"""What stands in for nodes and for the doctor, by name."""


@dataclass(frozen=True)
class Check:
    """One thing that is expected of a turn, one of KINDS, and where it is written.

    expected: of `visits` a tuple of nodes, of `outcomes` and `memory` a pair of name and value, of
    `ends` a bool, else a text.
    """

    kind: str
    expected: Any
    line: int
    column: int


@dataclass(frozen=True)
class Step:
    """What the user says (None: the opening words are meant), and what is expected of the turn."""

    user: str | None
    checks: tuple[Check, ...]
    line: int
    column: int

    def expects(self, kind: str) -> bool:
        """Whether anything of this kind is expected."""
        return any(check.kind == kind for check in self.checks)


@dataclass(frozen=True)
class Case:
    """One test: a conversation, what stands in for its parts, and the memory that it begins with."""

    name: str
    steps: tuple[Step, ...]
    line: int
    column: int
    stubs: Stubs = field(default_factory=dict)
    memory: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Script:
    """A test file: the tests of one flow."""

    source: str
    flow: Flow
    cases: tuple[Case, ...]
