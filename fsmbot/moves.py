"""One turn on its way: from node to node, until one listens or the end comes.

The handlers of a subflow see a memory of their own: the map that lies under the name of the node
that runs the flow, in the memory around it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

import msgspec

from fsmbot.contract import END
from fsmbot.errors import HandlerError, OutcomeError, StepLimitError
from fsmbot.events import Ended, Entered, Event, Failed, Routed, Said
from fsmbot.flow import Flow
from fsmbot.limits import interrupted, kind, place, reason, speech
from fsmbot.steps import Step
from fsmbot.turn import Message, State, Turn

Outer = list[tuple[str, dict[str, Any]]]
"""The subflow nodes that a turn is inside of, the outermost first, and the memory around each."""

Commit = Callable[[State, Message | None, Turn, list[Message], list[Event]], None]
"""Takes a turn that is whole: the state before it, what the user said (None in an opening) and what the bot
said, and all its events, the last one included."""


def run(
    flow: Flow,
    resources: Mapping[str, Any],
    turn: Turn,
    name: str,
    events: list[Event],
    commit: Commit,
    before: State,
    asked: Message | None = None,
    routed: Routed | None = None,
) -> Generator[Event, None, None]:
    """Visit nodes from one on, until the turn comes to rest; commit it, and only then tell so.

    events: those that were told already. before, asked: for `commit`. routed: tells what led to the
    first node, if anything did. Raises HandlerError when a handler fails and no `on_error` takes over.
    Every turn goes this way, so it is one function: a generator or a call more costs a twentieth of a
    turn each.
    """
    steps, left, tell = flow.steps, flow.max_steps, events.append
    said: list[Message] = []
    outer: Outer = []
    kept, stopped = b"", False
    if routed is not None:
        tell(routed)
        yield routed
    while (step := steps.get(name)) is not None:
        if step.inner or outer:
            see(turn, outer, step.scope)
            if step.door:
                name = yield from _pass(step, turn, events)
                continue
        if not left:
            raise _step_limit(flow, name, turn, events)
        left -= 1
        tell(step.entered)
        yield step.entered
        if step.error_target:
            kept = msgspec.json.encode(turn.memory)
        pieces: list[str] | None = None
        try:
            outcome = step.call(turn, resources) if step.alone is None else step.alone(turn)
            if step.streams:
                pieces = []
                stream = iter(outcome) if type(outcome) is not str else speech(outcome)
                try:
                    text = next(stream)
                    while True:
                        if type(text) is not str or not text.isascii():
                            text = storable(text)
                        pieces.append(text)
                        piece = Said(step.name, text)
                        tell(piece)
                        try:
                            yield piece
                            text = next(stream)
                        except KeyboardInterrupt as stop:  # the handler may say last words
                            text = interrupted(stream, stop)
                except StopIteration as stop:
                    outcome = stop.value
                except KeyboardInterrupt:
                    if not pieces or step.way is None:
                        raise
                    outcome, stopped = None, True
            moved: Routed | Failed | None = step.way
            if outcome is not None:
                moved = step.routed.get(outcome) if type(outcome) is str else None
            if moved is None:
                raise OutcomeError(flow.name, step.name, turn.session_id, outcome, step.outcomes)
            if turn.memory or type(turn.memory) is not dict:
                turn.memory = json_copy(turn.memory)
            if turn.notes or stopped:
                moved = msgspec.structs.replace(moved, notes=turn.notes, stopped=stopped)
                turn.notes, stopped = {}, False
        except Exception as error:
            moved, stopped = _failed(flow, step, turn, kept, error), False
        if pieces:
            message = Message("bot", "".join(pieces))
            said.append(message)
            turn.history.append(message)
        if step.listens and type(moved) is Routed:
            last: Event = step.listening
            break
        tell(moved)
        yield moved
        name = moved.target
    else:
        last = Ended(events[-1].node, "" if name == END else name)
    if outer:
        see(turn, outer, ())
    tell(last)
    commit(before, asked, turn, said, events)
    yield last


def remember(turn: Turn, step: Step) -> None:
    """Keep the user's message in memory, where the node that asked for it says so."""
    if not step.remember:
        return
    outer: Outer = []
    see(turn, outer, step.scope)
    turn.memory[step.remember] = turn.text
    see(turn, outer, ())


def see(turn: Turn, outer: Outer, scope: Sequence[str]) -> None:
    """Let a turn's memory be that of the subflow nodes named, the outermost first."""
    while outer and [name for name, _ in outer] != list(scope[: len(outer)]):
        name, around = outer.pop()
        around[name] = turn.memory
        turn.memory = around
    for name in scope[len(outer) :]:
        inner = turn.memory.get(name)
        outer.append((name, turn.memory))
        turn.memory = inner if isinstance(inner, dict) else {}


def _pass(step: Step, turn: Turn, events: list[Event]) -> Generator[Event, None, str]:
    """Go into a subflow, whose memory begins anew, or out of it by the end that was reached."""
    (routed,) = step.routed.values()
    if step.door == "in":
        turn.memory[step.node] = json_copy(step.fresh)
    passed: Event = step.entered if step.door == "in" else routed
    events.append(passed)
    yield passed
    return routed.target


def _failed(flow: Flow, step: Step, turn: Turn, kept: bytes, error: Exception) -> Failed:
    """Hand over to `on_error`, with the memory of before; raises HandlerError where there is none."""
    turn.notes = {}
    if step.error_target is None:
        if isinstance(error, HandlerError):
            raise error
        told = reason(error) + place(error)
        raise HandlerError(flow.name, step.name, turn.session_id, told, kind(error)) from error
    turn.memory = msgspec.json.decode(kept)
    return Failed(step.name, storable(reason(error)), step.error_target)


def _step_limit(flow: Flow, name: str, turn: Turn, events: Sequence[Event]) -> StepLimitError:
    """Name the loop: the nodes between the last two visits of the one where it was cut."""
    path = [event.node for event in events if type(event) is Entered]
    start = len(path) - 1 - path[::-1].index(name) if name in path else 0
    cycle = [*path[start:], name]
    return StepLimitError(flow.name, name, turn.session_id, flow.max_steps, cycle)


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
