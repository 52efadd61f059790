"""`play`: a conversation from a list of what the user says, as something to compare."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fsmbot.events import Event
from fsmbot.flow import Flow
from fsmbot.loader import load_flow
from fsmbot.played import Played
from fsmbot.session import Session
from fsmbot.turn import State


@dataclass(frozen=True)
class Transcript:
    """A conversation that was played; what is a list has an entry for each line of the user.

    turns: the opening words first, then a turn for each line.
    """

    turns: tuple[Played, ...]

    @property
    def opening(self) -> str:
        """What the bot said before the user did."""
        return self.turns[0].reply

    @property
    def replies(self) -> list[str]:
        """What the bot said to each line."""
        return [turn.reply for turn in self.turns[1:]]

    @property
    def visits(self) -> list[list[str]]:
        """The nodes that each line led through."""
        return [turn.visits for turn in self.turns[1:]]

    @property
    def outcomes(self) -> list[dict[str, str]]:
        """What the nodes decided about each line."""
        return [turn.outcomes for turn in self.turns[1:]]

    @property
    def events(self) -> list[Event]:
        """All events, those of the opening included."""
        return [event for turn in self.turns for event in turn.events]

    @property
    def memory(self) -> dict[str, Any]:
        """What the conversation remembers at its end."""
        return dict(self.turns[-1].memory or {})

    @property
    def ended(self) -> bool:
        """Whether the conversation is over."""
        return self.turns[-1].ended

    def __str__(self) -> str:
        lines = []
        for turn in self.turns:
            if turn.user is not None:
                lines.append(f"you> {turn.user}")
            lines += [f"bot> {message}" for message in turn.messages]
        return "\n".join([*lines, *["(the conversation ended)"] * self.ended])


def play(
    flow: Flow | str | Path,
    lines: Iterable[str],
    resources: Mapping[str, Any] | None = None,
    memory: Mapping[str, Any] | None = None,
) -> Transcript:
    """Play a conversation and return what came of it.

    flow: a flow, or the path of its file. resources: ready objects by name, as for Session.
    memory: what the conversation remembers from the start.

        talk = play("flows/doctor.yaml", ["I have a headache"], {"doctor": FakeDoctor(["Rest."])})
        assert talk.replies[0].startswith("Rest.")
        assert talk.ended

    Raises FlowError for a broken file, HandlerError when a handler fails and no `on_error` takes
    over, StateError when lines are left after the conversation has ended.
    """
    if not isinstance(flow, Flow):
        flow = load_flow(flow)
    session = Session(flow, resources, State(memory=dict(memory or {})))
    turns = [Played(None, tuple(session.start()), session.state.memory)]
    for line in lines:
        turns.append(Played(line, tuple(session.send(line)), session.state.memory))
    return Transcript(tuple(turns))
