"""A mistake in a flow's graph, what could not be read of the graph, and what it takes to walk it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from fsmbot.nearby import Guesses

Path = tuple[str | int, ...]
"""Keys and places in lists that lead to something in a flow file."""


class Mistake(msgspec.Struct, frozen=True):
    """What is wrong with a flow, and the path of keys to it, such as ("nodes", "a", "next").

    at_key: whether it is the last key itself that is wrong, rather than its value. wanted: the node
    that there is not.
    """

    path: Path
    message: str
    at_key: bool = False
    wanted: str = ""


class Doubt(msgspec.Struct):
    """What could not be read, so that no mistake is reported that only follows from another.

    routes: whether some route may be missing. memory: whether anything may be remembered. words: what
    may be a name in memory. nodes: names that nodes were probably meant to have. unread: keys whose
    value something else stands in for. guesses: where suggestions come from, until it is enough of them.
    """

    routes: bool = False
    memory: bool = False
    words: set[str] = set()
    nodes: set[str] = set()
    unread: set[Path] = set()
    guesses: Guesses = msgspec.field(default_factory=Guesses)

    def explains(self, mistake: Mistake) -> bool:
        """Whether a mistake only follows from what could not be read."""
        return mistake.path in self.unread or mistake.wanted in self.nodes


def closure(
    first: Iterable[str], targets: Callable[[str], Iterable[str]], seen: set[str] | None = None
) -> set[str]:
    """Return all names that can be reached from the first ones, themselves included.

    seen: names that are passed over; those that are found join them.
    """
    seen = set() if seen is None else seen
    found: set[str] = set()
    todo = list(first)
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            found.add(name)
            todo += targets(name)
    return found
