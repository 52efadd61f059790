"""A turn that has happened, as data: what the user said, the events of it, the memory after it.

What a test compares, and what a recording writes down, is read off it here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from fsmbot.events import Commanded, Ended, Entered, Event, Failed, Listening, Routed, Said


class Visit(msgspec.Struct):
    """One node of a turn: what it said, and how it was left (None while it listens)."""

    node: str
    text: str = ""
    left: Routed | Failed | None = None


class Played(msgspec.Struct, frozen=True):
    """One turn.

    user: what the user said; None for the opening words. memory: what was remembered afterwards,
    None where that is not known.
    """

    user: str | None
    events: tuple[Event, ...]
    memory: Mapping[str, Any] | None = None

    def walk(self) -> list[Visit]:
        """Return the nodes that were entered, and the commands that were obeyed, in order."""
        visits: list[Visit] = []
        for event in self.events:
            if isinstance(event, (Entered, Commanded)):
                visits.append(Visit(event.node))
            elif isinstance(event, Said):
                visits[-1].text += event.text
            elif isinstance(event, (Routed, Failed)):
                _leave(visits, event)
        return visits

    @property
    def visits(self) -> list[str]:
        """The names of the nodes that were entered, in order."""
        return [event.node for event in self.events if isinstance(event, Entered)]

    @property
    def outcomes(self) -> dict[str, str]:
        """The last outcome of each node that decided something."""
        return {e.node: e.outcome for e in self.events if isinstance(e, Routed) and e.outcome}

    @property
    def failed(self) -> list[str]:
        """The nodes whose failure went to an `on_error`."""
        return [event.node for event in self.events if isinstance(event, Failed)]

    @property
    def messages(self) -> list[str]:
        """What the bot said, whole, a text a node."""
        return [visit.text for visit in self.walk() if visit.text]

    @property
    def reply(self) -> str:
        """What the bot said, a message a line."""
        return "\n".join(self.messages)

    @property
    def ended(self) -> bool:
        """Whether the conversation was over with this turn."""
        return bool(self.events) and isinstance(self.events[-1], Ended)

    @property
    def waits_at(self) -> str:
        """The node that listens afterwards; "" where none does."""
        last = self.events[-1] if self.events else None
        return last.node if isinstance(last, Listening) else ""


def _leave(visits: list[Visit], event: Routed | Failed) -> None:
    """Note how a node was left; the one that listened was entered in the turn before."""
    for visit in reversed(visits):
        if visit.node == event.node and visit.left is None:
            visit.left = event
            return


def committed(
    text: str | None, events: Iterable[Event], memory: Mapping[str, Any] | None
) -> tuple[Played, ...]:
    """Return the whole turns in what one `start` or `send` emitted; the last one has led to `memory`.

    A new session that is sent a message plays its opening first; a turn that broke off is left out.
    """
    turns: list[list[Event]] = [[]]
    for event in events:
        turns[-1].append(event)
        if isinstance(event, (Listening, Ended)):
            turns.append([])
    whole = turns[:-1]
    return tuple(
        Played(
            None if isinstance(turn[0], Entered) else text,
            tuple(turn),
            memory if turn is whole[-1] else None,
        )
        for turn in whole
    )
