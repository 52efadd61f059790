"""A flow's nodes compiled into steps: everything a session needs to visit one, looked up once.

The events that do not depend on the conversation are made here, so that a visit allocates none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from fsmbot.contract import Handler
from fsmbot.events import Ended, Entered, Listening, Routed
from fsmbot.turn import Turn

if TYPE_CHECKING:
    from fsmbot.flow import Flow, Node

Call = Callable[[Turn, Mapping[str, Any]], Any]


class Step:
    """One node, ready to be visited."""

    __slots__ = (
        "call",
        "ended",
        "entered",
        "error_target",
        "listening",
        "listens",
        "name",
        "outcomes",
        "pure",
        "remember",
        "routed",
        "streams",
    )

    def __init__(self, node: Node, error_target: str | None) -> None:
        handler = node.handler
        self.name, self.listens = node.name, handler.listens
        self.streams, self.pure = handler.streams, handler.pure
        self.call = _bind(handler, node.settings)
        self.outcomes, self.remember = handler.outcomes, node.remember
        self.error_target = None if error_target == node.name else error_target
        self.routed: dict[str | None, Routed] = {
            outcome or None: Routed(node.name, outcome, target) for outcome, target in node.routes().items()
        }
        self.entered = Entered(node.name)
        self.listening, self.ended = Listening(node.name), Ended(node.name)


def compile_steps(flow: Flow) -> dict[str, Step]:
    """Return the flow's steps by node name."""
    return {name: Step(node, flow.error_target(node)) for name, node in flow.nodes.items()}


def _bind(handler: Handler, settings: Mapping[str, Any]) -> Call:
    """Return a function of turn and resources that calls the handler with its settings."""
    function = partial(handler.function, **settings) if settings else handler.function
    names = handler.resources
    if not names:
        return lambda turn, resources: function(turn)
    if len(names) == 1:
        name = names[0]
        return lambda turn, resources: function(turn, resources[name])
    return lambda turn, resources: function(turn, *[resources[name] for name in names])
