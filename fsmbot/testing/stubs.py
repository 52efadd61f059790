"""Stand-ins for a test: a flow with some handlers replaced, a doctor that says what it was given."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import Any

import msgspec

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


def stubbed(flow: Flow, stubs: Stubs) -> Flow:
    """Return a flow whose stubbed nodes do what their stubs say."""
    for path, stub in stubs.items():
        if isinstance(stub, NodeStub):
            flow = _with_stub(flow, path, stub)
    return flow


def _with_stub(flow: Flow, path: str, stub: NodeStub) -> Flow:
    """Return the flow with the node at a path replaced, in the subflow where it is."""
    name, _, inner = path.partition("/")
    node = flow.nodes[name]
    if inner and node.flow is not None:
        changed = msgspec.structs.replace(node, flow=_with_stub(node.flow, inner, stub))
    else:
        changed = _stubbed_node(node, stub)
    return msgspec.structs.replace(flow, nodes={**flow.nodes, name: changed})


def _stubbed_node(node: Node, stub: NodeStub) -> Node:
    """Return the node with a handler that needs nothing; outcomes and listening stay as they are."""

    def play(turn: Turn) -> Generator[str, None, str | None]:
        yield from stub.answer.says
        if stub.answer.fails:
            raise StubFailure(stub.answer.fails)
        return stub.outcome or None

    changed: dict[str, Any] = {"function": play, "streams": True, "resources": (), "settings": {}}
    changed |= {"outcomes": node.outcomes, "outcomes_of": ""}
    handler = msgspec.structs.replace(node.handler, **changed)
    return msgspec.structs.replace(node, handler=handler, settings={}, flow=None, timeout=None, retry=None)
