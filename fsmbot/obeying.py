"""What a spoken command tells the user; where it moves the conversation, the session sees to that."""

from __future__ import annotations

import itertools

from fsmbot.events import Commanded, Ended, Event, Listening, Said
from fsmbot.placeholders import fill
from fsmbot.spoken import BACK, NOTHING_BEFORE, REPEAT, SpokenCommand
from fsmbot.turn import State


def told(command: SpokenCommand, state: State, before: State | None) -> list[Event]:
    """Return what a command tells in this state; before: the state to which `back` returns, if any."""
    going_back = command.name == BACK
    say = NOTHING_BEFORE if going_back and before is None else command.say
    texts = [fill(say, state.memory)] if say else []
    if going_back or command.name == REPEAT:
        texts += last_said(before or state, 1 if going_back else None)
    node = state.node if before is None else before.node
    events: list[Event] = [Commanded(command.name, state.node)]
    for number, text in enumerate(texts):
        events += [Commanded(command.name, node)] * (number > 0)
        events.append(Said(node, text))
    return events


def last_said(state: State, most: int | None) -> list[str]:
    """Return what the bot said last, the oldest first; a message that got no answer comes after it."""
    before = itertools.dropwhile(lambda message: message.role == "user", reversed(state.history))
    said = itertools.takewhile(lambda message: message.role == "bot", before)
    return [message.text for message in reversed(list(itertools.islice(said, most)))]


def resting(state: State) -> Event:
    """Return the event that says how a conversation stands between turns."""
    return Listening(state.node) if state.status == "listening" else Ended(state.node)
