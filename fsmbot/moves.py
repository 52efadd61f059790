"""One turn on its way: from node to node, until one listens or the end comes.

The handlers of a subflow see a memory of their own: the map that lies under the name of the node
that runs the flow, in the memory around it.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any

import msgspec

from fsmbot.contract import END
from fsmbot.errors import HandlerError, OutcomeError, StepLimitError
from fsmbot.events import Ended, Entered, Event, Failed, Listening, Routed, Said
from fsmbot.flow import Flow
from fsmbot.limits import interrupted, kind, place, reason, speech
from fsmbot.steps import Step
from fsmbot.turn import Message, Turn


class Move:
    """A turn under way in a flow; `events` keeps all that it has emitted, `said` the bot's messages."""

    __slots__ = ("_flow", "_kept", "_outer", "_resources", "events", "said", "turn")

    def __init__(self, flow: Flow, resources: Mapping[str, Any], turn: Turn, events: list[Event]) -> None:
        self._flow, self._resources = flow, resources
        self.turn, self.events = turn, events
        self.said: list[Message] = []
        self._outer: list[tuple[str, dict[str, Any]]] = []
        self._kept = b""

    def run(self, name: str) -> Generator[Event, None, Listening | Ended]:
        """Visit nodes from one on, and return the event with which the turn comes to rest.

        That event is the caller's to emit, once the turn is committed. Raises HandlerError when a
        handler fails and no `on_error` takes over.
        """
        steps, events, ends, outer = self._flow.steps, self.events, self._flow.ends, self._outer
        if name in ends:
            return _ended(events[-1].node, name)
        visits = 0
        while True:
            step = steps[name]
            if step.inner or outer:
                self.see(step.scope)
            if step.door:
                name = yield from self._pass(step)
            else:
                visits += 1
                if visits > self._flow.max_steps:
                    raise self._step_limit(name)
                events.append(step.entered)
                yield step.entered
                if step.error_target:
                    self._kept = msgspec.json.encode(self.turn.memory)
                moved = (yield from self._speak(step)) if step.streams else self._decide(step)
                if step.listens and type(moved) is Routed:
                    self.see(())
                    return step.listening
                events.append(moved)
                yield moved
                name = moved.target
            if name in ends:
                self.see(())
                return step.ended if name == END else _ended(events[-1].node, name)

    def _pass(self, step: Step) -> Generator[Event, None, str]:
        """Go into a subflow, whose memory begins anew, or out of it by the end that was reached."""
        (routed,) = step.routed.values()
        if step.door == "in":
            self.turn.memory[step.node] = json_copy(step.fresh)
        passed: Event = step.entered if step.door == "in" else routed
        self.events.append(passed)
        yield passed
        return routed.target

    def see(self, scope: Sequence[str]) -> None:
        """Let the turn's memory be that of the subflow nodes named, the outermost first."""
        outer = self._outer
        if not (outer or scope):
            return
        while outer and [name for name, _ in outer] != list(scope[: len(outer)]):
            name, around = outer.pop()
            around[name] = self.turn.memory
            self.turn.memory = around
        for name in scope[len(outer) :]:
            inner = self.turn.memory.get(name)
            outer.append((name, self.turn.memory))
            self.turn.memory = inner if isinstance(inner, dict) else {}

    def _decide(self, step: Step) -> Routed | Failed:
        """Call a handler that says nothing."""
        try:
            return self._routed(step, step.call(self.turn, self._resources))
        except Exception as error:
            return self._failed(step, error)

    def _speak(self, step: Step) -> Generator[Event, None, Routed | Failed]:
        """Stream what a handler says; its pieces together are one message.

        Ctrl-C is passed on to the handler, which may say last words before it lets go.
        """
        pieces: list[str] = []
        try:
            stream = speech(step.call(self.turn, self._resources))
            said = next(stream)
            while True:
                piece = Said(step.name, storable(said))
                pieces.append(piece.text)
                self.events.append(piece)
                try:
                    yield piece
                    said = next(stream)
                except KeyboardInterrupt as stop:
                    said = interrupted(stream, stop)
        except StopIteration as stop:
            moved = self._ended_speech(step, stop.value)
        except KeyboardInterrupt:
            if not pieces or None not in step.routed:
                raise
            moved = self._ended_speech(step, None)
            if type(moved) is Routed:
                moved = msgspec.structs.replace(moved, stopped=True)
        except Exception as error:
            moved = self._failed(step, error)
        if pieces:
            message = Message("bot", "".join(pieces))
            self.said.append(message)
            self.turn.history.append(message)
        return moved

    def _ended_speech(self, step: Step, outcome: object) -> Routed | Failed:
        try:
            return self._routed(step, outcome)
        except Exception as error:
            return self._failed(step, error)

    def _routed(self, step: Step, outcome: Any) -> Routed:
        """Return where the outcome leads; raises OutcomeError, and TypeError for odd memory."""
        turn = self.turn
        routed = step.routed.get(outcome) if outcome is None or type(outcome) is str else None
        if routed is None:
            raise OutcomeError(self._flow.name, step.name, turn.session_id, outcome, step.outcomes)
        if turn.memory or type(turn.memory) is not dict:
            turn.memory = json_copy(turn.memory)
        if turn.notes:
            notes, turn.notes = turn.notes, {}
            return msgspec.structs.replace(routed, notes=notes)
        return routed

    def _failed(self, step: Step, error: Exception) -> Failed:
        """Hand over to `on_error`, with the memory of before; raises HandlerError where there is none."""
        self.turn.notes = {}
        if step.error_target is None:
            if isinstance(error, HandlerError):
                raise error
            told = reason(error) + place(error)
            raise HandlerError(self._flow.name, step.name, self.turn.session_id, told, kind(error)) from error
        self.turn.memory = msgspec.json.decode(self._kept)
        return Failed(step.name, storable(reason(error)), step.error_target)

    def _step_limit(self, name: str) -> StepLimitError:
        """Name the loop: the nodes between the last two visits of the one where it was cut."""
        path = [event.node for event in self.events if type(event) is Entered]
        start = len(path) - 1 - path[::-1].index(name) if name in path else 0
        cycle = [*path[start:], name]
        return StepLimitError(self._flow.name, name, self.turn.session_id, self._flow.max_steps, cycle)


def _ended(node: str, end: str) -> Ended:
    return Ended(node, "" if end == END else end)


def storable(text: object) -> str:
    """Return text that JSON and UTF-8 can hold (lone surrogates replaced); refuse anything else."""
    if type(text) is not str:
        raise TypeError(f"a handler yields text, not {text!r}")
    if text.isascii():
        return text
    return text.encode("utf-8", "replace").decode("utf-8")


def json_copy(memory: Mapping[str, Any]) -> dict[str, Any]:
    """Return a conversation's memory as JSON would give it back; raises TypeError for what cannot be JSON."""
    if not isinstance(memory, Mapping):
        raise TypeError(f"memory must stay a dict, and a handler made it {memory!r}")
    try:
        copied = msgspec.json.decode(msgspec.json.encode(memory))
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(f"memory must hold JSON values only: {error}") from error
    return copied  # type: ignore[no-any-return]
