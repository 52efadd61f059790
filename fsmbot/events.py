"""What a session emits while it moves: small, frozen, and JSON by `to_json`.

A turn reads Entered, then Said for each streamed piece, then Routed (or Failed), node after node,
until Listening or Ended. The pieces Said between Entered and Routed are one message. A node that
runs another flow is left (Routed) only once that flow has ended; the nodes inside come between. The
same flow, state and input give the same events: times and other measurements are not in them.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Entered(msgspec.Struct, frozen=True, gc=False, tag="entered", tag_field="event"):
    """The conversation came to this node."""

    node: str


class Said(msgspec.Struct, frozen=True, gc=False, tag="said", tag_field="event"):
    """The node's handler said a piece of text."""

    node: str
    text: str


class Routed(msgspec.Struct, frozen=True, tag="routed", tag_field="event", omit_defaults=True):
    """The node is done: its outcome ("" where there is one way out), and where it leads."""

    node: str
    outcome: str
    target: str
    notes: dict[str, Any] = {}
    stopped: bool = False


class Failed(msgspec.Struct, frozen=True, gc=False, tag="failed", tag_field="event"):
    """The node's handler raised; `on_error` names the node that takes over."""

    node: str
    error: str
    target: str


class Commanded(msgspec.Struct, frozen=True, gc=False, tag="commanded", tag_field="event"):
    """The user gave one of the flow's spoken commands; what is said next is the answer to it."""

    command: str
    node: str


class Interrupted(msgspec.Struct, frozen=True, gc=False, tag="interrupted", tag_field="event"):
    """The program was stopped before it had answered the user's message; the node waits as before."""

    node: str


class Listening(msgspec.Struct, frozen=True, gc=False, tag="listening", tag_field="event"):
    """The turn is committed, and the node waits for the user's next message."""

    node: str


class Ended(msgspec.Struct, frozen=True, gc=False, tag="ended", tag_field="event", omit_defaults=True):
    """The turn is committed, and the conversation is over; `outcome` is the end that the flow names."""

    node: str
    outcome: str = ""


Event = Entered | Said | Routed | Failed | Commanded | Interrupted | Listening | Ended


def was_stopped(event: Event) -> bool:
    """Return whether Ctrl-C stopped the node while it spoke."""
    return isinstance(event, Routed) and event.stopped


def to_json(event: Event) -> str:
    """Return the event as one line of JSON: `{"event":"said","node":…,"text":…}`."""
    return msgspec.json.encode(event, enc_hook=str).decode()


def from_json(line: str | bytes) -> Event:
    """Read what `to_json` wrote; raises msgspec.ValidationError for anything else."""
    event: Event = msgspec.json.decode(line, type=Event)
    return event
