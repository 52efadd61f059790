"""What a conversation visited, read off its events: the nodes, and the routes between them."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from fsmbot.drawing.picture import Route
from fsmbot.errors import DrawingError
from fsmbot.events import Event, Failed, Routed, from_json
from fsmbot.nearby import suggest
from fsmbot.text import safe_line


@dataclass(frozen=True)
class Visits:
    """The names of nodes, and the routes taken."""

    nodes: frozenset[str]
    routes: frozenset[Route]


def visits(events: Iterable[Event]) -> Visits:
    """Return what some events tell: each names its node, and the one that ends a visit its route."""
    nodes, routes = set(), set()
    for event in events:
        nodes.add(event.node)
        if isinstance(event, Routed):
            routes.add(Route(event.node, event.outcome, event.target))
        elif isinstance(event, Failed):
            routes.add(Route(event.node, "error", event.target, failure=True))
    return Visits(frozenset(nodes), frozenset(routes))


def read_visits(path: Path, known: Collection[str]) -> Visits:
    """Return what the events in a file of JSON lines tell; "-" is standard input.

    known: the nodes there are. Raises DrawingError for a file that cannot be read or has no event,
    and for an event at another node.
    """
    try:
        if str(path) == "-":
            return visits(_known(path, sys.stdin.buffer, known))
        with path.open("rb") as lines:
            return visits(_known(path, lines, known))
    except OSError as error:
        raise DrawingError(f"{path}: the events cannot be read: {error.strerror or error}") from error


def _known(path: Path, lines: Iterable[bytes], known: Collection[str]) -> Iterator[Event]:
    """Yield the events of a file, all of them at known nodes."""
    number = 0
    for number, event in _events(lines):
        if event.node not in known:
            hint = suggest(event.node, known)
            raise DrawingError(f"{path}:{number}: the flow has no node '{safe_line(event.node)}'{hint}")
        yield event
    if not number:
        raise DrawingError(
            f"{path}: there is no event in it; write some with: python -m fsmbot --flow FLOW --json"
        )


def _events(lines: Iterable[bytes]) -> Iterator[tuple[int, Event]]:
    """Yield the events with the numbers of their lines; whatever else is there is passed over."""
    for number, line in enumerate(lines, 1):
        try:
            yield number, from_json(line)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            continue
