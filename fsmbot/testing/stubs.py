"""Stand-ins for a test: a flow with some handlers replaced, a doctor that says what it was given."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

from fsmbot.contract import Handler
from fsmbot.doctor.fakes import BrokenDoctor, FakeDoctor
from fsmbot.flow import Flow, Node
from fsmbot.testing.script import Answer, DoctorStub, NodeStub, Stubs
from fsmbot.turn import Message, Turn

UNPREPARED = "Please see a doctor."
"""What the doctor says to a question for which no answer was prepared."""


class StubFailure(Exception):
    """What the stub of a node raises when it is told to fail."""


class ScriptedDoctor(FakeDoctor):
    """Answers by question, or one answer after the other; any of them may break off."""

    def __init__(self, stub: DoctorStub) -> None:
        super().__init__()
        self._stub = stub

    def answer(
        self, text: str, history: Sequence[Message] = (), *, max_new_tokens: int = 256
    ) -> Iterator[str]:
        """Yield the pieces of the prepared answer, then raise DoctorError if it fails."""
        self.asked.append(text)
        yield from _doctor(self._prepared(text)).answer(text, max_new_tokens=max_new_tokens)

    def _prepared(self, text: str) -> Answer:
        if self._stub.in_order:
            return self._stub.in_order[min(len(self.asked), len(self._stub.in_order)) - 1]
        return self._stub.by_question.get(text) or Answer((UNPREPARED,))


def _doctor(answer: Answer) -> FakeDoctor:
    """Return a doctor that knows this answer only."""
    if answer.fails:
        return BrokenDoctor(len(answer.says), answer.fails, answer.says)
    return FakeDoctor(answer.says)


def doctors(stubs: Stubs) -> dict[str, FakeDoctor]:
    """Return the resources that stand in for those of a flow, by name."""
    return {name: ScriptedDoctor(stub) for name, stub in stubs.items() if isinstance(stub, DoctorStub)}


def stubbed(flow: Flow, stubs: Stubs, memory: Mapping[str, Any]) -> Flow:
    """Return a flow whose stubbed nodes do what their stubs say, and that begins with some memory."""
    nodes = dict(flow.nodes)
    for name, stub in stubs.items():
        if isinstance(stub, NodeStub):
            nodes[name] = _stubbed_node(nodes[name], stub)
    if memory:
        nodes[flow.start] = _remembering(nodes[flow.start], memory)
    return dataclasses.replace(flow, nodes=nodes)


def _stubbed_node(node: Node, stub: NodeStub) -> Node:
    """Return the node with a handler that needs nothing; outcomes and listening stay as they are."""

    def play(turn: Turn) -> Generator[str, None, str | None]:
        yield from stub.answer.says
        if stub.answer.fails:
            raise StubFailure(stub.answer.fails)
        return stub.outcome or None

    changed: dict[str, Any] = {"function": play, "streams": True, "resources": (), "settings": {}}
    return dataclasses.replace(node, handler=dataclasses.replace(node.handler, **changed), settings={})


def _remembering(node: Node, memory: Mapping[str, Any]) -> Node:
    """Return the start node so that it first puts something into the memory of a new conversation."""
    handler: Handler = node.handler
    function: Callable[..., Any] = handler.function

    def play(turn: Turn, *resources: Any, **settings: Any) -> Any:
        if not turn.history:
            turn.memory.update(deepcopy(dict(memory)))
        return function(turn, *resources, **settings)

    return dataclasses.replace(node, handler=dataclasses.replace(handler, function=play))
