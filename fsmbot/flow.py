"""A flow as frozen data, and the checks on its graph: one rule, one function.

`check_flow` returns every mistake with the path of keys where it stands, so that a loader can
name line and column and a flow built in Python is held to the same rules.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from types import MappingProxyType
from typing import Any

import msgspec

from fsmbot.contract import END, Handler
from fsmbot.registry import Registry, Resources, default_registry
from fsmbot.settings import suggest
from fsmbot.steps import Step, compile_steps

OTHERWISE = "otherwise"
"""The key of a `next:` map that covers every outcome not named."""

MAX_STEPS = 50
"""How many nodes one turn may visit, unless the flow says otherwise."""

Path = tuple[str, ...]


@dataclass(frozen=True)
class Mistake:
    """What is wrong with a flow, and the path of keys to it, such as ("nodes", "a", "next").

    at_key: whether it is the last key itself that is wrong, rather than its value.
    """

    path: Path
    message: str
    at_key: bool = False


@dataclass(frozen=True)
class Node:
    """One node: its handler with the settings for it, and where each outcome leads."""

    name: str
    handler: Handler
    next: str | Mapping[str, str]
    settings: Mapping[str, Any] = field(default_factory=dict)
    on_error: str | None = None
    remember: str | None = None
    description: str = ""

    @property
    def listens(self) -> bool:
        """Whether the session waits for the user after this node has spoken."""
        return self.handler.listens

    def routes(self) -> dict[str, str]:
        """Return outcome -> target, with "" for the one way out of a handler without outcomes."""
        if isinstance(self.next, str):
            return dict.fromkeys(self.handler.outcomes or ("",), self.next)
        rest = self.next.get(OTHERWISE)
        routes = {name: self.next.get(name, rest) for name in self.handler.outcomes}
        return {name: target for name, target in routes.items() if target is not None}


@dataclass(frozen=True, eq=False)
class Flow:
    """A whole conversation: immutable, and shared by all the sessions that run it."""

    name: str
    start: str
    nodes: Mapping[str, Node]
    description: str = ""
    on_error: str | None = None
    max_steps: int = MAX_STEPS
    resources: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    source: str = "<flow>"
    registry: Registry = field(default=default_registry, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "nodes", MappingProxyType(dict(self.nodes)))

    @cached_property
    def shared(self) -> Resources:
        """The resources that every session of this flow shares, built when first needed."""
        return Resources(self.registry, self.resources)

    @cached_property
    def steps(self) -> dict[str, Step]:
        """The nodes compiled for sessions, once."""
        return compile_steps(self)

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits that change when the graph or a setting does."""
        nodes = [
            (n.name, n.handler.name, n.next, n.settings, n.on_error, n.remember) for n in self.nodes.values()
        ]
        shape = (self.start, sorted(nodes, key=lambda n: n[0]), self.on_error, self.max_steps)
        encoded = msgspec.json.encode(shape, order="sorted", enc_hook=str)
        return hashlib.sha256(encoded).hexdigest()[:16]

    def error_target(self, node: Node) -> str | None:
        """Return where a failure of this node leads, if anywhere."""
        return node.on_error or self.on_error


def check_flow(flow: Flow, *, routes_known: bool = True) -> list[Mistake]:
    """Return every mistake in the graph; an empty list means that the flow can run.

    routes_known: False where some routes could not be read, so that no node is called
    unreachable for want of them.
    """
    mistakes = [m for rule in (check_start, check_targets, check_outcomes) for m in rule(flow)]
    if routes_known and not mistakes:
        mistakes += [m for rule in (check_reachable, check_loops) for m in rule(flow)]
    return mistakes


def check_start(flow: Flow) -> Iterator[Mistake]:
    """The start is one of the nodes."""
    if flow.start not in flow.nodes:
        yield Mistake(
            ("start",), f"start names unknown node '{flow.start}'" + suggest(flow.start, flow.nodes)
        )


def check_targets(flow: Flow) -> Iterator[Mistake]:
    """Every route leads to a node or to the end."""
    for path, what, target in _all_targets(flow):
        if target != END and target not in flow.nodes:
            known = [*flow.nodes, END]
            yield Mistake(path, f"{what} goes to unknown node '{target}'" + suggest(target, known))


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
        path, outcomes = ("nodes", node.name, "next"), node.handler.outcomes
        if not outcomes:
            yield Mistake(
                path,
                f"node '{node.name}': handler '{node.handler.name}' has one way out; let next name one node",
            )
            continue
        yield from _surplus(node, path)
        meant = {near for name in node.next for near in get_close_matches(name, outcomes, n=1)}
        missing = [name for name in outcomes if name not in node.next and name not in meant]
        if missing and OTHERWISE not in node.next:
            names = ", ".join(f"'{name}'" for name in missing)
            yield Mistake(
                path,
                f"node '{node.name}': next does not cover outcome {names}; "
                f"add it, or '{OTHERWISE}' for the rest",
            )


def _surplus(node: Node, path: Path) -> Iterator[Mistake]:
    """Report what `next` names besides the handler's outcomes."""
    outcomes = node.handler.outcomes
    for name in node.next:
        if name not in outcomes and name != OTHERWISE:
            yield Mistake(
                (*path, name),
                f"node '{node.name}': handler '{node.handler.name}' has no "
                f"outcome '{name}'" + suggest(name, outcomes),
                at_key=True,
            )
    if OTHERWISE in node.next and all(name in node.next for name in outcomes):
        yield Mistake(
            (*path, OTHERWISE),
            f"node '{node.name}': '{OTHERWISE}' covers nothing; every outcome is named already, so remove it",
            at_key=True,
        )


def check_reachable(flow: Flow) -> Iterator[Mistake]:
    """Every node can be reached from the start."""
    reached = _closure([flow.start], lambda name: _targets(flow, name))
    for name in flow.nodes:
        if name not in reached:
            yield Mistake(("nodes", name), f"node '{name}' is never reached; route to it or remove it")


def check_loops(flow: Flow) -> Iterator[Mistake]:
    """No loop goes round without listening, and every node can get out to the user or the end."""
    silent = {n.name: _silent_targets(flow, n) for n in flow.nodes.values() if not n.listens}
    looping: set[str] = set()
    for cycle in _cycles(silent):
        looping.update(cycle)
        path = " -> ".join([*cycle, cycle[0]])
        yield Mistake(
            ("nodes", cycle[0]),
            f"node '{cycle[0]}': the loop {path} never listens to the "
            "user; route it through a listening node such as ask_user",
        )
    for name in silent.keys() - _with_way_out(silent) - looping:
        yield Mistake(
            ("nodes", name), f"node '{name}': no way leads from it to a listening node or to '{END}'"
        )


def _silent_targets(flow: Flow, node: Node) -> list[str]:
    """Return where a node leads by its own keys (the flow's on_error is a last resort, no route)."""
    return [*node.routes().values(), *([node.on_error] if node.on_error else [])]


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
    while True:
        try:
            TopologicalSorter({n: [t for t in ts if t in left] for n, ts in left.items()}).prepare()
            return
        except CycleError as error:
            cycle = error.args[1][:0:-1]  # each node follows its target there, the first one twice
            first = min(range(len(cycle)), key=lambda i: list(graph).index(cycle[i]))
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
