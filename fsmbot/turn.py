"""A conversation's data: what a handler sees of it (Turn), and what is kept of it (State)."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

MAX_MESSAGE = 20_000
"""Characters that one message of the user may have."""


class Message(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One finished message of a conversation."""

    role: Literal["user", "bot"]
    text: str


class Turn(msgspec.Struct):
    """The one argument that every handler gets first.

    text: the user's last message ("" before there is one).
    history: the finished messages of the conversation so far, oldest first, the user's last one
    included; to be read only, what a handler changes in it is not kept.
    memory: JSON values that last for the conversation; a handler may change them.
    session_id: the name of the conversation.
    notes: facts about this visit that `/why` shows, such as a score; a handler may add some.

    `Turn("my head hurts")` is a whole turn for a unit test.
    """

    text: str = ""
    history: list[Message] = []
    memory: dict[str, Any] = {}
    session_id: str = ""
    notes: dict[str, Any] = {}


class State(msgspec.Struct, frozen=True):
    """All that a conversation needs to go on: small, immutable, and JSON by msgspec.

    node: where it is. turn: its number in the session, from 0. opening: the turn that opened the
    conversation, 0 unless the session had one before; the messages of `history` are those since then.
    flow: the fingerprint of the flow that made it.
    """

    node: str = ""
    status: Literal["new", "listening", "ended"] = "new"
    memory: dict[str, Any] = {}
    history: tuple[Message, ...] = ()
    turn: int = 0
    flow: str = ""
    opening: int = 0

    @property
    def answered(self) -> int:
        """How many messages of the user the conversation has taken."""
        return self.turn - self.opening

    def to_json(self) -> bytes:
        """Return the state as JSON."""
        return msgspec.json.encode(self)

    @classmethod
    def from_json(cls, data: bytes | str) -> State:
        """Read what `to_json` wrote; raises msgspec.ValidationError or DecodeError otherwise."""
        return msgspec.json.decode(data, type=cls)
