"""Session: the one place where a conversation moves.

A session holds no machine, only its state: the flow's steps are shared. A turn is one transaction:
the state is replaced, and stored, once the turn is whole, and only then comes the event that
acknowledges it (Listening or Ended).
"""

from __future__ import annotations

import itertools
import os
import secrets
from collections.abc import Generator, Iterator, Mapping
from typing import Any

import msgspec

from fsmbot.contract import END
from fsmbot.errors import HandlerError, OutcomeError, ResourceError, StateError, StepLimitError
from fsmbot.events import Ended, Entered, Event, Failed, Listening, Routed, Said
from fsmbot.flow import Flow
from fsmbot.registry import Resources
from fsmbot.settings import suggest
from fsmbot.steps import Step
from fsmbot.stores import Store
from fsmbot.turn import Message, State, Turn

MAX_MESSAGE = 20_000
"""Characters that one message of the user may have."""

_RUN, _COUNT = secrets.token_hex(6), itertools.count(1)


class Session:
    """One conversation: `start()`, then `send(text)` while it listens.

    flow: shared by all sessions. resources: ready objects by name (the rest is built when first
    needed), or Resources shared by several sessions. state: where to resume; a state of a flow that
    has changed is resumed when its node still stands, and `notice` tells so. store: where every
    turn is committed. Raises StateError for a state whose node is gone from the flow.
    """

    __slots__ = ("_resources", "flow", "id", "notice", "state", "store")

    def __init__(
        self,
        flow: Flow,
        resources: Mapping[str, Any] | None = None,
        state: State | None = None,
        store: Store | None = None,
        *,
        session_id: str = "",
    ) -> None:
        self.flow, self.store, self.notice = flow, store, ""
        self.id = session_id or f"{_RUN}-{os.getpid()}-{next(_COUNT)}"
        self._resources = resources_of(flow, resources)
        self.state = _NEW if state is None else self._adopted(state)

    @property
    def resources(self) -> Mapping[str, Any]:
        """The shared objects that this session's handlers get, by name."""
        return self._resources

    def _adopted(self, state: State) -> State:
        """Check a state from elsewhere against this flow."""
        if not isinstance(state, State):
            raise TypeError(
                f"state must be a State, not {type(state).__name__}; JSON becomes one by State.from_json(...)"
            )
        if state.status == "new" or state.flow == self.flow.fingerprint:
            return state
        node = self.flow.nodes.get(state.node)
        if state.status == "listening" and not (node and node.listens):
            raise StateError(
                f"session '{self.id}' waits at node '{state.node}', which is no longer a listening "
                f"node of flow '{self.flow.name}'; restore it, or begin a new session"
            )
        self.notice = f"flow '{self.flow.name}' has changed since this session's last turn"
        return state

    def start(self) -> Iterator[Event]:
        """Begin the conversation; raises StateError if it has begun."""
        if self.state.status != "new":
            raise StateError(f"session '{self.id}' has begun already; send it a message")
        return self._run(self.flow.start, Turn(session_id=self.id), [], self.state)

    def send(self, text: str) -> Iterator[Event]:
        """Take the user's message, and run until the session waits again or ends.

        A new session is started first, with its opening words among the events. Closing the
        iterator early takes the turn back. Throwing KeyboardInterrupt into it stops the node that
        speaks and keeps what it said. Raises StateError when the conversation has ended or the
        message is longer than MAX_MESSAGE; while iterating, HandlerError when a handler fails and
        no `on_error` takes over, which leaves the state as it was before the turn.
        """
        if len(text) > MAX_MESSAGE:
            raise StateError(
                f"the message has {len(text):,} characters; at most {MAX_MESSAGE:,} are read, "
                "so please shorten it"
            )
        if self.state.status == "ended":
            raise StateError(f"session '{self.id}' has ended; begin a new one")
        if self.state.status == "new":
            return self._start_and_answer(text)
        return self._answer(text)

    def _start_and_answer(self, text: str) -> Iterator[Event]:
        yield from self.start()
        if self.state.status == "listening":
            yield from self._answer(text)

    def say(self, text: str) -> str:
        """Send a message and return what the bot says to it, one message a line."""
        if self.state.status == "new":
            for _ in self.start():
                pass
        messages: list[list[str]] = []
        for event in self.send(text):
            if type(event) is Entered:
                messages.append([])
            elif type(event) is Said:
                messages[-1].append(event.text)
        return "\n".join("".join(pieces) for pieces in messages if pieces)

    def _answer(self, text: str) -> Iterator[Event]:
        """Leave the listening node with the user's message."""
        step, before, text = self.flow.steps[self.state.node], self.state, _storable(text)
        memory = _json_copy(before.memory) if before.memory else {}
        if step.remember:
            memory[step.remember] = text
        history = [*before.history, Message("user", text)]
        routed = step.routed[None]
        yield routed
        turn = Turn(text, history, memory, self.id)
        yield from self._run(routed.target, turn, [routed], before)

    def _run(self, name: str, turn: Turn, events: list[Event], before: State) -> Iterator[Event]:
        """Run one turn from a node on; commit it, and only then acknowledge it."""
        last: Event
        if name == END:
            last = Ended(events[-1].node)
        else:
            last = yield from self._visit(name, turn, events)
        events.append(last)
        if self.state is not before:
            raise StateError(
                f"session '{self.id}' took another message while this one was being answered; "
                "finish one iterator of events before the next, so this turn is taken back"
            )
        state = State(
            last.node,
            "listening" if type(last) is Listening else "ended",
            turn.memory,
            tuple(turn.history),
            before.turn + (before.status != "new"),
            self.flow.fingerprint,
        )
        if self.store is not None:
            self.store.commit(self.id, state, events)
        self.state = state
        yield last

    def _visit(self, name: str, turn: Turn, events: list[Event]) -> Generator[Event, None, Listening | Ended]:
        """Visit nodes until one listens or the end comes."""
        steps = self.flow.steps
        for _ in range(self.flow.max_steps):
            step = steps[name]
            events.append(step.entered)
            yield step.entered
            if step.streams:
                moved = yield from self._speak(step, turn, events)
            else:
                moved = self._decide(step, turn)
            if step.listens and type(moved) is Routed:
                return step.listening
            events.append(moved)
            yield moved
            if moved.target == END:
                return step.ended
            name = moved.target
        raise self._step_limit(name, events)

    def _decide(self, step: Step, turn: Turn) -> Routed | Failed:
        """Call a handler that says nothing."""
        try:
            return self._routed(step, step.call(turn, self._resources), turn)
        except Exception as error:
            return self._failed(step, error, turn)

    def _speak(self, step: Step, turn: Turn, events: list[Event]) -> Generator[Event, None, Routed | Failed]:
        """Stream what a handler says; its pieces together are one message."""
        pieces: list[str] = []
        try:
            said = step.call(turn, self._resources)
            if type(said) is str:
                raise TypeError("a handler yields text piece by piece; write `yield` instead of `return`")
            stream = iter(said)
            while True:
                piece = Said(step.name, _storable(next(stream)))
                pieces.append(piece.text)
                events.append(piece)
                yield piece
        except StopIteration as stop:
            moved = self._ended_speech(step, stop.value, turn)
        except KeyboardInterrupt:
            if not pieces or None not in step.routed:
                raise
            moved = msgspec.structs.replace(step.routed[None], stopped=True)
        except Exception as error:
            moved = self._failed(step, error, turn)
        if pieces:
            turn.history.append(Message("bot", "".join(pieces)))
        return moved

    def _ended_speech(self, step: Step, outcome: object, turn: Turn) -> Routed | Failed:
        try:
            return self._routed(step, outcome, turn)
        except Exception as error:
            return self._failed(step, error, turn)

    def _routed(self, step: Step, outcome: Any, turn: Turn) -> Routed:
        """Return where the outcome leads; raises OutcomeError, and TypeError for odd memory."""
        routed = step.routed.get(outcome)
        if routed is None:
            raise OutcomeError(self.flow.name, step.name, self.id, outcome, step.outcomes)
        if turn.memory:
            turn.memory = _json_copy(turn.memory)
        if turn.notes:
            notes, turn.notes = turn.notes, {}
            return msgspec.structs.replace(routed, notes=notes)
        return routed

    def _failed(self, step: Step, error: Exception, turn: Turn) -> Failed:
        """Hand over to `on_error`; raises HandlerError where there is none."""
        turn.notes = {}
        reason = f"{type(error).__name__}: {error}"
        if step.error_target is None:
            if isinstance(error, HandlerError):
                raise error
            raise HandlerError(self.flow.name, step.name, self.id, reason) from error
        return Failed(step.name, _storable(reason), step.error_target)

    def _step_limit(self, name: str, events: list[Event]) -> StepLimitError:
        """Name the loop: the nodes between the last two visits of the one where it was cut."""
        path = [event.node for event in events if type(event) is Entered]
        start = len(path) - 1 - path[::-1].index(name) if name in path else 0
        cycle = [*path[start:], name]
        return StepLimitError(self.flow.name, name, self.id, self.flow.max_steps, cycle)


def resources_of(flow: Flow, given: Mapping[str, Any] | None) -> Resources:
    """Return the flow's own resources, or those given; ready objects by name stand in for factories.

    Raises ResourceError for a name that no handler asks for: it would be a slip of the pen.
    """
    if given is None:
        return flow.shared
    if isinstance(given, Resources):
        return given
    known = {name for node in flow.nodes.values() for name in node.handler.resources}
    known.update(flow.registry.resources)
    for name in given:
        if name not in known:
            raise ResourceError(
                f"no handler of flow '{flow.name}' asks for a resource '{name}'"
                + suggest(name, sorted(known))
            )
    return Resources(flow.registry, flow.resources, **given)


def _storable(text: object) -> str:
    """Return text that JSON and UTF-8 can hold (lone surrogates replaced); refuse anything else."""
    if type(text) is not str:
        raise TypeError(f"a handler yields text, not {text!r}")
    if text.isascii():
        return text
    return text.encode("utf-8", "replace").decode("utf-8")


def _json_copy(memory: dict[str, Any]) -> dict[str, Any]:
    """Return a conversation's memory as JSON would give it back; raises TypeError for what cannot be JSON."""
    try:
        copied = msgspec.json.decode(msgspec.json.encode(memory))
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(f"memory must hold JSON values only: {error}") from error
    return copied  # type: ignore[no-any-return]


_NEW = State()
