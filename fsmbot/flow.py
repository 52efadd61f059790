"""A flow as frozen data: nodes, where they lead, and the flows that run inside others.

A node may run another flow. Seen from a session there is one graph all the same: `Flow.places` has
every node by its path, such as "intake/ask_name", with routes that lead to paths.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Any

import msgspec

from fsmbot.contract import END, Handler
from fsmbot.errors import ResourceError
from fsmbot.limits import Retry
from fsmbot.nearby import suggest
from fsmbot.registry import Registry, Resources, default_registry
from fsmbot.spoken import SpokenCommand, by_phrase, find
from fsmbot.steps import Step, compile_steps

OTHERWISE = "otherwise"
"""The key of a `next:` map that covers every outcome not named."""

MAX_STEPS = 50
"""How many nodes one turn may visit, unless the flow says otherwise."""


class Node(msgspec.Struct, frozen=True, dict=True):
    """One node: its handler with the settings for it, and where each outcome leads.

    flow: the flow that the node runs; its handler then stands for that flow. timeout: seconds
    within which the next piece, or the outcome, must come.
    """

    name: str
    handler: Handler
    next: str | Mapping[str, str]
    settings: Mapping[str, Any] = {}
    on_error: str | None = None
    remember: str | None = None
    description: str = ""
    timeout: float | None = None
    retry: Retry | None = None
    flow: Flow | None = None

    @property
    def listens(self) -> bool:
        """Whether the session waits for the user after this node has spoken."""
        return self.handler.listens

    @property
    def outcomes(self) -> tuple[str, ...]:
        """The outcomes that a map in `next` must cover; none where there is one way out."""
        return self.handler.outcomes_with(self.settings)

    def has_outcome(self, name: str) -> bool:
        """Return whether a map in `next` must cover this outcome."""
        return name in self._outcomes

    @cached_property
    def _outcomes(self) -> frozenset[str]:
        return frozenset(self.outcomes)

    @property
    def written(self) -> Mapping[str, str]:
        """Where the node leads as its `next` says it: "" for one target, `otherwise` for the rest."""
        return {"": self.next} if isinstance(self.next, str) else self.next

    def routes(self) -> dict[str, str]:
        """Return outcome -> target, with "" for the one way out of a handler without outcomes."""
        if isinstance(self.next, str):
            return dict.fromkeys(self.outcomes or ("",), self.next)
        rest = self.next.get(OTHERWISE)
        routes = {name: self.next.get(name, rest) for name in self.outcomes}
        return {name: target for name, target in routes.items() if target is not None}


class Place(msgspec.Struct, frozen=True):
    """A node where it stands among all the nodes that a session may visit.

    path: its name, after the names of the nodes whose flows it is in ("intake/ask_name"); the way
    out of a subflow has a place of its own ("intake/done"). scope: the nodes whose flows it is in.
    routes: outcome -> path. error_target: the path where a failure leads. door: whether a subflow
    is entered ("in") or left ("out") here, else "".
    """

    path: str
    node: Node
    scope: tuple[str, ...]
    routes: Mapping[str, str]
    error_target: str | None
    door: str = ""


class Flow(msgspec.Struct, frozen=True, eq=False, dict=True):
    """A whole conversation: immutable, and shared by all the sessions that run it.

    outcomes: the ends that it names; a flow without them ends at "end". memory: what a conversation
    remembers when it begins. commands: what a user may say anywhere to be helped or to go back.
    """

    name: str
    start: str
    nodes: Mapping[str, Node]
    description: str = ""
    on_error: str | None = None
    max_steps: int = MAX_STEPS
    resources: Mapping[str, Mapping[str, Any]] = {}
    source: str = "<flow>"
    registry: Registry = msgspec.field(default_factory=lambda: default_registry)
    outcomes: tuple[str, ...] = ()
    memory: Mapping[str, Any] = {}
    commands: Mapping[str, SpokenCommand] = {}

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "nodes", MappingProxyType(dict(self.nodes)))

    @cached_property
    def ends(self) -> tuple[str, ...]:
        """The targets that finish this flow."""
        return self.outcomes or (END,)

    @cached_property
    def shared(self) -> Resources:
        """The resources that every session of this flow shares, built when first needed."""
        return Resources(self.registry, self.resources)

    def share(self, given: Mapping[str, Any] | None) -> Resources:
        """Return the flow's own resources, or those given; ready objects by name stand in for factories.

        Raises ResourceError for a name that no handler asks for: it would be a slip of the pen.
        """
        if given is None:
            return self.shared
        if isinstance(given, Resources):
            return given
        known = {name for place in self.places.values() for name in place.node.handler.resources}
        known.update(self.registry.resources)
        for name in given:
            if name not in known:
                raise ResourceError(
                    f"no handler of flow '{self.name}' asks for a resource '{name}'"
                    + suggest(name, sorted(known))
                )
        return Resources(self.registry, self.resources, **given)

    @cached_property
    def places(self) -> Mapping[str, Place]:
        """Every node that a session may visit, those of subflows too, by path."""
        return MappingProxyType({place.path: place for place in _places(self, (), None)})

    @cached_property
    def all_nodes(self) -> Mapping[str, Node]:
        """The nodes of the flow and of its subflows, by path."""
        return MappingProxyType({p.path: p.node for p in self.places.values() if p.door != "out"})

    @cached_property
    def depth(self) -> int:
        """How many flows run inside one another here, this one included."""
        return 1 + max((node.flow.depth for node in self.nodes.values() if node.flow), default=0)

    @cached_property
    def size(self) -> int:
        """How many places there are."""
        inner = (node.flow.size + len(node.flow.ends) for node in self.nodes.values() if node.flow)
        return len(self.nodes) + sum(inner)

    @cached_property
    def steps(self) -> dict[str, Step]:
        """The nodes compiled for sessions, once."""
        return compile_steps(self)

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits that change when the graph or a setting does, here or in a subflow."""
        nodes = [_shape(node) for _, node in sorted(self.nodes.items())]
        shape = (self.start, nodes, self.on_error, self.max_steps, self.outcomes, self.memory)
        encoded = msgspec.json.encode(shape, order="sorted", enc_hook=str)
        import hashlib  # 4 ms that a check or a picture need not spend

        return hashlib.sha256(encoded).hexdigest()[:16]

    @cached_property
    def _phrases(self) -> Mapping[str, SpokenCommand]:
        return by_phrase(self.commands.values())

    def spoken(self, text: str) -> SpokenCommand | None:
        """Return the command that the user gave by saying no more than its words, if one."""
        return find(text, self._phrases) if self.commands else None

    def error_target(self, node: Node) -> str | None:
        """Return where a failure of this node leads, if anywhere in this flow."""
        return node.on_error or self.on_error


def _shape(node: Node) -> tuple[Any, ...]:
    """Return all of a node that changes what a conversation does."""
    inner = node.flow.fingerprint if node.flow else ""
    limits = (node.timeout, node.retry)
    return (
        node.name,
        node.handler.name,
        node.next,
        node.settings,
        node.on_error,
        node.remember,
        limits,
        inner,
    )


def _places(flow: Flow, scope: tuple[str, ...], inherited: str | None) -> Iterator[Place]:
    """Yield the places of a flow that runs in the subflow nodes of `scope`.

    inherited: where a failure leads that this flow has no `on_error` for.
    """
    prefix = "".join(f"{name}/" for name in scope)
    for node in flow.nodes.values():
        target = flow.error_target(node)
        error = inherited if target in (None, node.name) else f"{prefix}{target}"
        routes = {outcome: prefix + target for outcome, target in node.routes().items()}
        path = prefix + node.name
        if node.flow is None:
            yield Place(path, node, scope, routes, error)
            continue
        yield Place(path, node, scope, {"": f"{path}/{node.flow.start}"}, error, "in")
        yield from _places(node.flow, (*scope, node.name), error)
        for end in node.flow.ends:
            outcome = end if node.flow.outcomes else ""
            out = {outcome: routes[outcome]} if outcome in routes else {}
            yield Place(f"{path}/{end}", node, scope, out, error, "out")
