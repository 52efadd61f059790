"""Which nodes and routes of a flow the tests have walked."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fsmbot.events import Entered, Event, Failed, Routed
from fsmbot.flow import OTHERWISE, Flow
from fsmbot.testing.script import SUFFIX


@dataclass(frozen=True)
class Route:
    """One way from a node to the next: by an outcome ("" where there is one way out), or on failure.

    source: "" for the flow's own on_error, which any node may take; for that of a subflow, the node
    that runs it.
    """

    source: str
    outcome: str
    target: str
    failure: bool = False

    def __str__(self) -> str:
        label = "on_error" if self.failure else self.outcome
        return " ".join(filter(None, (self.source or "any node", label, "->", self.target)))


Part = str | Route
"""What can be covered: a node, by its name, or a route."""


def parts_of(flow: Flow) -> list[Part]:
    """Return all the nodes, and then all the routes, of a flow and its subflows.

    They come in the order of the file. A route is one that is written there: a node's `otherwise`,
    or the one target that all its outcomes share, counts once.
    A subflow that has a test file of its own beside it is covered there, and counts as one node.
    """
    return sorted(_parts(flow, ""), key=lambda part: isinstance(part, Route))


def _parts(flow: Flow, prefix: str) -> Iterator[Part]:
    """Yield what there is in a flow whose nodes have this prefix; an on_error comes after the rest."""
    for node in flow.nodes.values():
        path = prefix + node.name
        yield path
        if node.flow is not None and not _is_tested(node.flow):
            yield from _parts(node.flow, f"{path}/")
        for outcome, target in node.written.items():
            yield Route(path, outcome, prefix + target)
        if node.on_error not in (None, node.name):
            yield Route(path, "", f"{prefix}{node.on_error}", failure=True)
    takers = [node for node in flow.nodes.values() if node.on_error is None and node.name != flow.on_error]
    if flow.on_error is not None and takers:
        yield Route(prefix.removesuffix("/"), "", prefix + flow.on_error, failure=True)


def _taken(flow: Flow, event: Routed) -> Route:
    """Return the written route by which a node was left."""
    written = flow.all_nodes[event.node].written
    names = (name for name in (event.outcome, OTHERWISE, "") if name in written)
    return Route(event.node, next(names, event.outcome), event.target)


def _is_tested(flow: Flow) -> bool:
    return Path(flow.source).with_suffix(SUFFIX).is_file()


def walked(flow: Flow, events: Iterable[Event]) -> Iterator[Part]:
    """Yield the nodes and routes that some events went along."""
    parts = set(parts_of(flow))
    for event in events:
        if isinstance(event, Entered):
            yield event.node
        elif isinstance(event, Routed):
            yield _taken(flow, event)
        elif isinstance(event, Failed):
            takers = (Route(source, "", event.target, failure=True) for source in _around(event.node))
            yield from itertools.islice((route for route in takers if route in parts), 1)


def _around(path: str) -> Iterator[str]:
    """Yield a node, then the nodes whose flows it is in, and "" for the whole."""
    while path:
        yield path
        path = path.rpartition("/")[0]
    yield ""


@dataclass(frozen=True)
class Coverage:
    """What there is, and which of it was walked."""

    parts: tuple[Part, ...]
    seen: frozenset[Part]

    @property
    def missing(self) -> list[Part]:
        """The nodes and routes that no test has walked."""
        return [part for part in self.parts if part not in self.seen]

    @property
    def percent(self) -> float:
        """The share of nodes and routes that were walked, 0..100."""
        return 100 * (len(self.parts) - len(self.missing)) / len(self.parts)

    def __str__(self) -> str:
        nodes = self._count([part for part in self.parts if isinstance(part, str)])
        routes = self._count([part for part in self.parts if isinstance(part, Route)])
        # Rounded down, so that 100% means all of it.
        return f"{nodes} nodes, {routes} routes ({int(self.percent)}%)"

    def _count(self, parts: list[Part]) -> str:
        return f"{len(self.seen.intersection(parts))} of {len(parts)}"


def coverage_of(flow: Flow, seen: Iterable[Part]) -> Coverage:
    """Return what some walked parts cover of a flow."""
    return Coverage(tuple(parts_of(flow)), frozenset(seen))
