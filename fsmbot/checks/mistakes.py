"""A mistake in a flow's graph, and what could not be read of the graph."""

from __future__ import annotations

from dataclasses import dataclass, field

Path = tuple[str | int, ...]
"""Keys and places in lists that lead to something in a flow file."""


@dataclass(frozen=True)
class Mistake:
    """What is wrong with a flow, and the path of keys to it, such as ("nodes", "a", "next").

    at_key: whether it is the last key itself that is wrong, rather than its value. wanted: the node
    that there is not.
    """

    path: Path
    message: str
    at_key: bool = False
    wanted: str = ""


@dataclass
class Doubt:
    """What could not be read, so that no mistake is reported that only follows from another.

    routes: whether some route may be missing. memory: whether anything may be remembered. words: what
    may be a name in memory. nodes: names that nodes were probably meant to have.
    """

    routes: bool = False
    memory: bool = False
    words: set[str] = field(default_factory=set)
    nodes: set[str] = field(default_factory=set)
