"""The checks on what goes on while nobody is asked: loops that never listen, and nodes with no way out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from fsmbot.checks.mistakes import Mistake, closure
from fsmbot.contract import END
from fsmbot.flow import Flow, Place

MOST_LOOPS = 12
"""How many loops are reported at once; whoever mends these will know how to mend the rest."""

MOST_NAMES = 12
"""How many nodes of a loop are named."""


def check_silence(flow: Flow, *, ways_out: bool) -> Iterator[Mistake]:
    """No loop goes round without listening; every node can get out to the user or to an end.

    ways_out: whether all routes are known, so that a way out can be missed.
    """
    silent = {path: _targets(place) for path, place in flow.places.items() if not place.node.listens}
    loops = list(_loops(silent))
    for loop in loops[:MOST_LOOPS]:
        first = loop[0].partition("/")[0]
        yield Mistake(
            ("nodes", first),
            f"node '{first}': the loop {_shown(loop)} never listens to the "
            "user; route it through a listening node such as ask_user",
        )
    if ways_out:
        yield from _stuck(flow, silent, {name for loop in loops for name in loop})


def _targets(place: Place) -> list[str]:
    """Return where a place leads by its own keys (the flow's on_error is a last resort, no route)."""
    targets = list(place.routes.values())
    if place.node.on_error and place.error_target and not place.door:
        targets.append(place.error_target)
    return targets


def _loops(graph: Mapping[str, Sequence[str]]) -> Iterator[list[str]]:
    """Yield loops that share no node, until nothing goes round without them; each node is seen once."""
    order = {name: place for place, name in enumerate(graph)}
    done: set[str] = set()
    for start in graph:
        way = [] if start in done else [(start, iter(graph[start]))]
        at = {name: place for place, (name, _) in enumerate(way)}
        while way:
            target = next(way[-1][1], None)
            if target is None:
                name = way.pop()[0]
                done.add(name)
                del at[name]
            elif target in at:
                loop = [name for name, _ in way[at[target] :]]
                del way[at[target] :]
                done.update(loop)
                for name in loop:
                    del at[name]
                yield _from_first(loop, order)
            elif target in graph and target not in done:
                at[target] = len(way)
                way.append((target, iter(graph[target])))


def _from_first(loop: list[str], order: Mapping[str, int]) -> list[str]:
    """Return a loop as it is told: from the node that comes first in the file."""
    first = min(range(len(loop)), key=lambda place: order[loop[place]])
    return loop[first:] + loop[:first]


def _shown(loop: list[str]) -> str:
    shown = loop if len(loop) <= MOST_NAMES else [*loop[: MOST_NAMES - 1], "...", loop[-1]]
    return " -> ".join([*shown, loop[0]])


def _stuck(flow: Flow, silent: Mapping[str, list[str]], looping: set[str]) -> Iterator[Mistake]:
    """Report the nodes that can reach neither a listening node nor an end, but for the loops themselves."""
    for name in silent.keys() - _with_way_out(silent) - looping:
        if name in flow.nodes:
            message = f"node '{name}': no way leads from it to a listening node or to '{END}'"
            yield Mistake(("nodes", name), message)


def _with_way_out(silent: Mapping[str, list[str]]) -> set[str]:
    """Return the silent nodes from which a listening node or the end can be reached."""
    sources: dict[str, list[str]] = {}
    for name, targets in silent.items():
        for target in targets:
            sources.setdefault(target, []).append(name)
    return closure([t for t in sources if t not in silent], lambda name: sources.get(name, []))
