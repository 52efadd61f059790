"""The store that lasts as long as the process."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import msgspec

from fsmbot.events import Event
from fsmbot.stores.store import conflict
from fsmbot.turn import Message, State


class MemoryStore:
    """Keeps sessions as long as the process lives; events are not kept."""

    def __init__(self) -> None:
        self._turns: dict[str, dict[int, tuple[State, int]]] = {}  # without history; its length then
        self._history: dict[str, dict[int, tuple[Message, ...]]] = {}  # by session and opening
        self._lock = threading.Lock()

    def begin(self, session_id: str, turn: int, text: str) -> None:
        """Note nothing, as what is in memory does not outlive its process; raises ConflictError."""
        with self._lock:
            last = next(reversed(self._turns.get(session_id, {})), turn - 1)
        if last != turn - 1:
            raise conflict(session_id, last, turn - 1)

    def abandon(self, session_id: str, turn: int) -> None:
        """Forget no note."""

    def interrupted(self, session_id: str) -> str | None:
        """Return None."""
        return None

    def commit(
        self, session_id: str, state: State, events: Sequence[Event], before: State | None = None
    ) -> None:
        """Keep the state; raises ConflictError."""
        bare = msgspec.structs.replace(state, history=())
        with self._lock:
            turns = self._turns.get(session_id, {})
            last = next(reversed(turns), None)
            if self._state(session_id, last) != before or (before is not None and state.turn <= before.turn):
                raise conflict(session_id, last, None if before is None else before.turn)
            self._turns.setdefault(session_id, turns)[state.turn] = bare, len(state.history)
            self._history.setdefault(session_id, {})[state.opening] = state.history

    def load(self, session_id: str) -> State | None:
        """Return the last committed state."""
        with self._lock:
            return self._state(session_id, next(reversed(self._turns.get(session_id, {})), None))

    def at(self, session_id: str, turn: int) -> State | None:
        """Return the state after a turn; None if that turn is not kept."""
        with self._lock:
            return self._state(session_id, turn)

    def rewind(self, session_id: str, turn: int) -> State | None:
        """Forget what came after a turn, and return the state then; -1 forgets all."""
        if turn < 0:
            self.delete(session_id)
            return None
        with self._lock:
            state = self._state(session_id, turn)
            if state is None:
                return None
            turns, history = self._turns[session_id], self._history[session_id]
            while (last := next(reversed(turns))) > turn:
                opening = turns.pop(last)[0].opening
                if opening == last:
                    del history[opening]
            history[state.opening] = state.history
            return state

    def _state(self, session_id: str, turn: int | None) -> State | None:
        turns = self._turns.get(session_id, {})
        if turn is None or turn not in turns:
            return None
        bare, length = turns[turn]
        return msgspec.structs.replace(bare, history=self._history[session_id][bare.opening][:length])

    def names(self) -> list[str]:
        """Return the known sessions, sorted."""
        with self._lock:
            return sorted(self._turns)

    def delete(self, session_id: str) -> bool:
        """Forget a session."""
        with self._lock:
            self._history.pop(session_id, None)
            return self._turns.pop(session_id, None) is not None
