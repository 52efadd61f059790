"""A flow's nodes compiled into steps: everything a session needs to visit one, looked up once.

The events that do not depend on the conversation are made here, so that a visit allocates none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from fsmbot.events import Entered, Listening, Routed
from fsmbot.limits import Call, limited

if TYPE_CHECKING:
    from fsmbot.flow import Flow, Node, Place
    from fsmbot.turn import Turn

_NOTHING: Mapping[str, Any] = {}


class Step:
    """One node, ready to be visited.

    name: its path. scope: the nodes whose flows it is in. door: whether a subflow is entered ("in")
    or left ("out") here. inner: whether it is in a subflow, or its door. fresh: what the subflow's
    memory begins with. way: where it leads without an outcome. alone: the handler as a function of the turn
    alone, which is quicker than `call`; None where that will not do.
    """

    __slots__ = (
        "_full",
        "alone",
        "door",
        "entered",
        "error_target",
        "fresh",
        "inner",
        "listening",
        "listens",
        "name",
        "node",
        "outcomes",
        "pure",
        "remember",
        "routed",
        "scope",
        "streams",
        "way",
    )

    def __init__(self, place: Place) -> None:
        node, handler = place.node, place.node.handler
        self.name, self.listens = place.path, handler.listens
        self.node, self.scope, self.door = node.name, place.scope, place.door
        self.inner = bool(place.scope or place.door)
        self.fresh = node.flow.memory if node.flow else _NOTHING
        self.streams, self.pure = handler.streams, handler.pure
        self.alone = _alone(node)
        self._full = None if self.alone else _call(node)
        self.outcomes, self.remember = node.outcomes, node.remember
        self.error_target = place.error_target
        left = self.name if place.door != "out" else self.name.rpartition("/")[0]
        self.routed: dict[str | None, Routed] = {
            outcome or None: Routed(left, outcome, target) for outcome, target in place.routes.items()
        }
        self.way = self.routed.get(None)
        self.entered = Entered(left)
        self.listening = Listening(self.name)

    def call(self, turn: Turn, resources: Mapping[str, Any]) -> Any:
        """Call the handler with the node's settings, and what else it asks for."""
        if self.alone is not None:
            return self.alone(turn)
        assert self._full is not None
        return self._full(turn, resources)


def compile_steps(flow: Flow) -> dict[str, Step]:
    """Return the flow's steps by path."""
    return {path: Step(place) for path, place in flow.places.items()}


def _call(node: Node) -> Call:
    """Return a function of turn and resources that calls the handler with the node's settings."""
    call = _bind(node)
    return limited(call, node.handler.streams, node.timeout, node.retry)


def _alone(node: Node) -> Callable[[Turn], Any] | None:
    """Return a function of the turn alone, which is quicker to call; None where that will not do."""
    if node.handler.resources or node.timeout is not None or node.retry is not None:
        return None
    return _function(node)


def _function(node: Node) -> Callable[..., Any]:
    return partial(node.handler.function, **node.settings) if node.settings else node.handler.function


def _bind(node: Node) -> Call:
    function, names = _function(node), node.handler.resources
    if not names:
        return lambda turn, resources: function(turn)
    if len(names) == 1:
        name = names[0]
        return lambda turn, resources: function(turn, resources[name])
    return lambda turn, resources: function(turn, *[resources[name] for name in names])
