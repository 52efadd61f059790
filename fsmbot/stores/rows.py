"""What stands in a row of the SQLite store, and how it is written there."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Annotated

import msgspec

from fsmbot.events import Event
from fsmbot.turn import Message, State

Row = tuple[str, int, int, float, str, str, str]
"""Session, turn, opening, time, state without its history, messages that the turn added, events."""


Time = Annotated[float, msgspec.Meta(ge=0, le=250e9)]
"""Seconds since 1970, up to the year 9892: the calendar ends in 9999."""


class StoredTurn(msgspec.Struct, frozen=True):
    """One committed turn: what the user said (None for an opening), what came of it, the state after
    it, without its history, and when it was committed, in seconds since 1970."""

    user: str | None
    messages: list[Message]
    events: list[Event]
    state: State
    at: float = 0.0

    @classmethod
    def read(cls, at: float, state: str, messages: str, events: str) -> StoredTurn:
        """Read columns; the user's message, where there is one, comes before the bot's.

        Raises msgspec.MsgspecError for damaged ones.
        """
        after, said = decoded(state, messages)
        user = said[0].text if said and said[0].role == "user" else None
        events_then = msgspec.json.decode(events, type=list[Event])
        return cls(user, said, events_then, after, msgspec.convert(at, Time))


class Summary(msgspec.Struct, frozen=True):
    """What there is of one session.

    first, last: when turns were committed, in seconds since 1970. state: the last one, without its
    history.
    """

    name: str
    conversations: int
    turns: int
    first: float
    last: float
    state: State

    @classmethod
    def read(
        cls, name: str, conversations: int, turns: int, first: float, last: float, state: str
    ) -> Summary:
        """Read columns; raises msgspec.MsgspecError for damaged ones."""
        times = msgspec.convert((first, last), tuple[Time, Time])
        return cls(name, conversations, turns, *times, State.from_json(state))


def encoded(session_id: str, state: State, known: int, events: Sequence[Event]) -> Row:
    """Return the row of a turn; `known` messages of its conversation stand in earlier ones."""
    texts = encoded_state(state, state.history[known:])
    told = msgspec.json.encode(events, enc_hook=str).decode()
    return session_id, state.turn, state.opening, time.time(), *texts, told


def encoded_state(state: State, messages: Sequence[Message]) -> tuple[str, str]:
    """Return a state without its history, and messages, as they stand in a row."""
    bare = msgspec.structs.replace(state, history=())
    return msgspec.json.encode(bare).decode(), msgspec.json.encode(messages).decode()


def added(state: State) -> Sequence[Message]:
    """Return the messages of a state's last turn: an opening has all, any other begins with the user's."""
    history = state.history
    start = 0 if state.opening == state.turn else len(history) - 1
    while start > 0 and history[start].role == "bot":
        start -= 1
    return history[start:]


def decoded(state: str, messages: str) -> tuple[State, list[Message]]:
    """Read the state and the messages of a row; raises msgspec.MsgspecError."""
    return State.from_json(state), msgspec.json.decode(messages, type=list[Message])
