"""What a session needs of a store; every operation may be called from any thread.

The turns of a session are numbered from 0, one conversation after the other: `State.opening` is the
turn that opened the present one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from fsmbot.errors import ConflictError
from fsmbot.events import Event
from fsmbot.turn import State


class Store(Protocol):
    """Keeps sessions by their names."""

    def begin(self, session_id: str, turn: int, text: str) -> None:
        """Note the message that a turn is to answer, before anybody answers it.

        The note outlives the process, and ends with the turn. Raises ConflictError where the session
        is known, and its last turn is not the one before; StoreError.
        """

    def abandon(self, session_id: str, turn: int) -> None:
        """Drop the note of a turn that is taken back."""

    def interrupted(self, session_id: str) -> str | None:
        """Return the noted message whose process was stopped before it was answered, if there is one."""

    def commit(
        self, session_id: str, state: State, events: Sequence[Event], before: State | None = None
    ) -> None:
        """Keep the turn that led to `state`, and return once it is safe.

        before: the session's last state, None if it is to have none yet. Raises ConflictError where
        the store knows a later one, or another; StoreError if the turn could not be made safe.
        Nothing is kept then.
        """

    def load(self, session_id: str) -> State | None:
        """Return the state after the last committed turn, or None for an unknown session."""

    def at(self, session_id: str, turn: int) -> State | None:
        """Return the state after a turn; None if that turn is not kept."""

    def rewind(self, session_id: str, turn: int) -> State | None:
        """Forget what came after a turn, and return the state then; None if that turn is not kept, and
        then nothing is forgotten. After turn -1 nothing is left."""

    def names(self) -> list[str]:
        """Return the known sessions, sorted."""

    def delete(self, session_id: str) -> bool:
        """Forget a session for good; return whether it was known."""


def conflict(session_id: str, last: int | None, expected: int | None) -> ConflictError:
    """Return the error for a session whose last turn is not the one that the caller knows."""
    stands = "is not there any more" if last is None else f"stands after turn {last}"
    known = "as a new one" if expected is None else f"after turn {expected}"
    return ConflictError(
        f"session '{session_id}' has gone on elsewhere: in the store it {stands}, and here it was known "
        f"{known}; nothing was kept of this turn, so resume the session and try again"
    )
