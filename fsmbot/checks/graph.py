"""The checks on a flow's graph: one rule, one function.

`check_flow` returns every mistake with the path of keys where it stands, so that a loader can
name line and column and a flow built in Python is held to the same rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from itertools import islice

from fsmbot.checks.memory import check_memory, check_names
from fsmbot.checks.mistakes import Doubt, Mistake, Path
from fsmbot.contract import END
from fsmbot.flow import OTHERWISE, Flow, Node, Place
from fsmbot.nearby import nearest, suggest

MOST_LOOPS = 12
"""How many loops are reported at once; whoever mends these will know how to mend the rest."""

MAX_GUESSES = 100
"""How many unknown targets get a suggestion, as each is compared with all nodes."""


def check_flow(flow: Flow, doubt: Doubt | None = None) -> list[Mistake]:
    """Return every mistake in the graph; an empty list means that the flow can run.

    doubt: what could not be read of the flow, so that nobody is blamed for the want of it.
    """
    doubt = doubt or Doubt()
    mistakes = [m for rule in (check_start, check_ends, check_targets, check_outcomes) for m in rule(flow)]
    mistakes = [m for m in mistakes if not m.wanted or m.wanted not in doubt.nodes]
    if not doubt.routes and not mistakes:
        mistakes += [m for rule in (check_reachable, check_unused_ends, check_ways_out) for m in rule(flow)]
    return [*mistakes, *check_loops(flow), *check_memory(flow), *check_names(flow, doubt)]


def check_start(flow: Flow) -> Iterator[Mistake]:
    """The start is one of the nodes."""
    if flow.start in flow.ends and flow.start not in flow.nodes:
        yield Mistake(
            ("start",),
            f"start names '{flow.start}', where a conversation finishes; name the node that comes first",
        )
    elif flow.start not in flow.nodes:
        yield Mistake(
            ("start",),
            f"start names unknown node '{flow.start}'" + suggest(flow.start, flow.nodes),
            wanted=flow.start,
        )


def check_ends(flow: Flow) -> Iterator[Mistake]:
    """An end is no node."""
    for place, end in enumerate(flow.outcomes):
        if end in flow.nodes:
            yield Mistake(
                ("outcomes", place), f"'{end}' is an end of this flow and one of its nodes; rename one"
            )


def check_targets(flow: Flow) -> Iterator[Mistake]:
    """Every route leads to a node or to an end."""
    known = [*flow.nodes, *flow.ends]
    guesses = MAX_GUESSES
    for path, what, target in _all_targets(flow):
        if target == END and flow.outcomes:
            names = " or ".join(f"'{name}'" for name in flow.outcomes)
            yield Mistake(path, f"{what} goes to '{END}', but this flow names its ends; choose {names}")
        elif target not in flow.nodes and target not in flow.ends:
            message = f"{what} goes to unknown node '{target}'"
            yield Mistake(path, message + (suggest(target, known) if guesses else ""), wanted=target)
            guesses = max(0, guesses - 1)


def _all_targets(flow: Flow) -> Iterator[tuple[Path, str, str]]:
    """Yield (path, who says so, target) for each route as written."""
    if flow.on_error is not None:
        yield ("on_error",), "the flow's on_error", flow.on_error
    for node in flow.nodes.values():
        where, path = f"node '{node.name}': ", ("nodes", node.name)
        if isinstance(node.next, str):
            yield (*path, "next"), f"{where}next", node.next
        else:
            for outcome, target in node.next.items():
                yield (*path, "next", outcome), f"{where}outcome '{outcome}'", target
        if node.on_error is not None:
            yield (*path, "on_error"), f"{where}on_error", node.on_error


def check_outcomes(flow: Flow) -> Iterator[Mistake]:
    """A map in `next` covers exactly the outcomes of the handler."""
    for node in flow.nodes.values():
        if isinstance(node.next, str):
            continue
        path: Path = ("nodes", node.name, "next")
        if not node.outcomes:
            yield Mistake(path, f"node '{node.name}': {_what(node)} has one way out; let next name one node")
            continue
        surplus = [name for name in node.next if name not in node.outcomes and name != OTHERWISE]
        missing = [name for name in node.outcomes if name not in node.next]
        meant = _meant(surplus, missing)
        yield from _surplus(node, path, surplus, meant)
        left = [f"'{name}'" for name in missing if name not in meant.values()]
        if left and OTHERWISE not in [*node.next, *meant.values()]:
            add = (
                f"outcome {left[0]}; add it" if len(left) == 1 else f"outcomes {' and '.join(left)}; add them"
            )
            message = f"node '{node.name}': next does not cover {add}, or '{OTHERWISE}' for the rest"
            yield Mistake(path, message)


def _meant(surplus: list[str], missing: list[str]) -> dict[str, str]:
    """Return which outcome each name was probably meant to be."""
    if len(surplus) == len(missing) == 1 and nearest(surplus[0], [OTHERWISE]) != OTHERWISE:
        return {surplus[0]: missing[0]}
    near = {name: nearest(name, missing) or nearest(name, [OTHERWISE]) for name in surplus}
    return {name: outcome for name, outcome in near.items() if outcome}


def _what(node: Node) -> str:
    return f"{'flow' if node.flow else 'handler'} '{node.handler.name}'"


def _surplus(node: Node, path: Path, surplus: list[str], meant: Mapping[str, str]) -> Iterator[Mistake]:
    """Report what `next` names besides the node's outcomes."""
    for name in surplus:
        hint = f"; did you mean '{meant[name]}'?" if name in meant else suggest(name, node.outcomes)
        message = f"node '{node.name}': {_what(node)} has no outcome '{name}'{hint}"
        yield Mistake((*path, name), message, at_key=True)
    if OTHERWISE in node.next and all(name in node.next for name in node.outcomes):
        yield Mistake(
            (*path, OTHERWISE),
            f"node '{node.name}': '{OTHERWISE}' covers nothing; every outcome is named already, so remove it",
            at_key=True,
        )


def check_reachable(flow: Flow) -> Iterator[Mistake]:
    """Every node can be reached from the start."""
    left = dict.fromkeys(flow.nodes)
    for name in _closure([flow.start], lambda name: _targets(flow, name)):
        left.pop(name, None)
    for name in _first_of(flow, list(left)):
        led_to = _closure([name], lambda n: _targets(flow, n))
        after = [n for n in left if n in led_to and n != name]
        more = ", ..." if len(after) > 12 else ""
        rest = f" (nor what follows it: {', '.join(after[:12])}{more})" if after else ""
        yield Mistake(("nodes", name), f"node '{name}' is never reached{rest}; route to it or remove it")


def _first_of(flow: Flow, names: list[str]) -> Iterator[str]:
    """Yield the nodes that lead to all of these: those that nothing leads to, then one of each circle."""
    led_to = {target for name in names for target in _targets(flow, name) if target != name}
    done: set[str] = set()
    for name in sorted(names, key=led_to.__contains__):
        if name not in done:
            yield name
            done |= _closure([name], lambda n: _targets(flow, n))


def check_unused_ends(flow: Flow) -> Iterator[Mistake]:
    """Every end that a flow names is the target of some route."""
    used = {target for name in flow.nodes for target in _targets(flow, name)}
    for place, end in enumerate(flow.outcomes):
        if end not in used:
            yield Mistake(("outcomes", place), f"no route leads to the end '{end}'; route to it or remove it")


def check_loops(flow: Flow) -> Iterator[Mistake]:
    """No loop goes round without listening."""
    for cycle in islice(_cycles(_silent(flow)), MOST_LOOPS):
        first, shown = cycle[0].partition("/")[0], " -> ".join([*cycle, cycle[0]])
        yield Mistake(
            ("nodes", first),
            f"node '{first}': the loop {shown} never listens to the "
            "user; route it through a listening node such as ask_user",
        )


def check_ways_out(flow: Flow) -> Iterator[Mistake]:
    """Every node can get out to the user or to an end."""
    silent = _silent(flow)
    cycles = list(islice(_cycles(silent), MOST_LOOPS))
    if len(cycles) == MOST_LOOPS:
        return  # there may be more loops, which would be blamed here
    looping = {name for cycle in cycles for name in cycle}
    for name in silent.keys() - _with_way_out(silent) - looping:
        if name in flow.nodes:
            yield Mistake(
                ("nodes", name), f"node '{name}': no way leads from it to a listening node or to '{END}'"
            )


def _silent(flow: Flow) -> dict[str, list[str]]:
    """Return where each place that does not listen leads, through subflows too."""
    return {path: _silent_targets(place) for path, place in flow.places.items() if not place.node.listens}


def _silent_targets(place: Place) -> list[str]:
    """Return where a place leads by its own keys (the flow's on_error is a last resort, no route)."""
    targets = list(place.routes.values())
    if place.node.on_error and place.error_target and not place.door:
        targets.append(place.error_target)
    return targets


def _with_way_out(silent: Mapping[str, list[str]]) -> set[str]:
    """Return the silent nodes from which a listening node or the end can be reached."""
    sources: dict[str, list[str]] = {}
    for name, targets in silent.items():
        for target in targets:
            sources.setdefault(target, []).append(name)
    return _closure([t for t in sources if t not in silent], lambda name: sources.get(name, []))


def _cycles(graph: Mapping[str, list[str]]) -> Iterator[list[str]]:
    """Yield one cycle after the other, leaving out the nodes of those already found."""
    left = dict(graph)
    order = {name: place for place, name in enumerate(graph)}
    while True:
        try:
            TopologicalSorter({n: [t for t in ts if t in left] for n, ts in left.items()}).prepare()
            return
        except CycleError as error:
            cycle = error.args[1][:0:-1]  # each node follows its target there, the first one twice
            first = min(range(len(cycle)), key=lambda i: order[cycle[i]])
            cycle = cycle[first:] + cycle[:first]
            yield cycle
            for name in cycle:
                del left[name]


def _targets(flow: Flow, name: str) -> list[str]:
    """Return all that a node may lead to, failures included."""
    if name not in flow.nodes:
        return []
    error = flow.error_target(flow.nodes[name])
    return [*flow.nodes[name].routes().values(), *([error] if error else [])]


def _closure(first: Iterable[str], targets: Callable[[str], Iterable[str]]) -> set[str]:
    """Return all names that can be reached from the first ones, themselves included."""
    seen: set[str] = set()
    todo = list(first)
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo += targets(name)
    return seen
