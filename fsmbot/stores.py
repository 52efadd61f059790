"""Where sessions rest between turns: in memory, or in one SQLite file.

A store keeps, for each session, every turn with the events and messages that it added. `commit`
returns only once the turn is safe, and a turn is stored whole or not at all.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import msgspec

from fsmbot.errors import StoreError
from fsmbot.events import Event
from fsmbot.turn import Message, State


class Store(Protocol):
    """What a session needs of a store; every operation may be called from any thread."""

    def commit(self, session_id: str, state: State, events: Sequence[Event]) -> None:
        """Keep the turn that led to `state`, in place of any later ones kept before.

        Raises StoreError if it could not be made safe.
        """

    def load(self, session_id: str) -> State | None:
        """Return the state after the last committed turn, or None for an unknown session."""

    def at(self, session_id: str, turn: int) -> State | None:
        """Return the state after a turn; None if that turn is not kept."""

    def rewind(self, session_id: str, turn: int) -> State | None:
        """Forget what came after a turn, and return the state then; None if that turn is not kept."""

    def names(self) -> list[str]:
        """Return the known sessions, sorted."""

    def delete(self, session_id: str) -> bool:
        """Forget a session; return whether it was known."""


class MemoryStore:
    """Keeps sessions as long as the process lives."""

    def __init__(self) -> None:
        self._turns: dict[str, dict[int, tuple[State, int]]] = {}  # without history; its length then
        self._history: dict[str, tuple[Message, ...]] = {}
        self._lock = threading.Lock()

    def commit(self, session_id: str, state: State, events: Sequence[Event]) -> None:
        """Keep the state (events are not kept here)."""
        bare = msgspec.structs.replace(state, history=())
        with self._lock:
            turns = self._turns.setdefault(session_id, {})
            self._forget(turns, state.turn)
            turns[state.turn] = bare, len(state.history)
            self._history[session_id] = state.history

    def load(self, session_id: str) -> State | None:
        """Return the last committed state."""
        with self._lock:
            return self._state(session_id, max(self._turns.get(session_id, {}), default=0))

    def at(self, session_id: str, turn: int) -> State | None:
        """Return the state after a turn; None if that turn is not kept."""
        with self._lock:
            return self._state(session_id, turn)

    def rewind(self, session_id: str, turn: int) -> State | None:
        """Forget what came after a turn, and return the state then; None if that turn is not kept."""
        with self._lock:
            state = self._state(session_id, turn)
            if state is not None:
                self._forget(self._turns[session_id], turn)
                self._history[session_id] = state.history
            return state

    def _state(self, session_id: str, turn: int) -> State | None:
        if turn not in self._turns.get(session_id, {}):
            return None
        bare, length = self._turns[session_id][turn]
        return msgspec.structs.replace(bare, history=self._history[session_id][:length])

    def _forget(self, turns: dict[int, tuple[State, int]], after: int) -> None:
        while turns and (last := next(reversed(turns))) > after:
            del turns[last]

    def names(self) -> list[str]:
        """Return the known sessions, sorted."""
        with self._lock:
            return sorted(self._turns)

    def delete(self, session_id: str) -> bool:
        """Forget a session."""
        with self._lock:
            self._history.pop(session_id, None)
            return self._turns.pop(session_id, None) is not None


LAST = 2**62
"""A number that no turn has."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS turns (
    session TEXT NOT NULL,
    turn INTEGER NOT NULL,
    state TEXT NOT NULL,      -- the state without its history
    messages TEXT NOT NULL,   -- the messages that this turn added
    messages_so_far INTEGER NOT NULL,
    events TEXT NOT NULL,
    PRIMARY KEY (session, turn)
) WITHOUT ROWID
"""


class StoredTurn(msgspec.Struct, frozen=True):
    """One committed turn: what the user said (None for the opening), what came of it, and the state
    after it, without its history."""

    user: str | None
    messages: list[Message]
    events: list[Event]
    state: State


class SQLiteStore:
    """Keeps sessions in one file (mode 0600), a row a turn.

    Write-ahead log and synchronous FULL: a committed turn survives the loss of power
    (https://www.sqlite.org/pragma.html#pragma_synchronous).
    """

    def __init__(self, path: str | Path) -> None:
        self._path, self._lock = str(path), threading.Lock()
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.execute(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise self._error("be opened", error) from error

    def commit(self, session_id: str, state: State, events: Sequence[Event]) -> None:
        """Write one turn in one transaction; raises StoreError, and then nothing was written."""
        with self._lock:
            try:
                last, known = self._last_turn(session_id)
                if last < state.turn:
                    self._insert(session_id, state, known, events)
                else:
                    with self._transaction():
                        self._forget(session_id, state.turn - 1)
                        self._insert(session_id, state, self._last_turn(session_id)[1], events)
            except sqlite3.Error as error:
                raise self._error("be written", error) from error

    def _insert(self, session_id: str, state: State, known: int, events: Sequence[Event]) -> None:
        """Add one turn, which is a transaction by itself; `known` messages of it are kept already."""
        self._db.execute(
            "INSERT INTO turns VALUES (?, ?, ?, ?, ?, ?)",
            (
                session_id,
                state.turn,
                msgspec.json.encode(msgspec.structs.replace(state, history=())).decode(),
                msgspec.json.encode(state.history[known:]).decode(),
                len(state.history),
                msgspec.json.encode(events, enc_hook=str).decode(),
            ),
        )

    def _last_turn(self, session_id: str) -> tuple[int, int]:
        """Return the last turn's number, and how many messages there are up to it; -1 and 0 for none."""
        rows = self._db.execute(
            "SELECT turn, messages_so_far FROM turns WHERE session = ? ORDER BY turn DESC LIMIT 1",
            (session_id,),
        )
        return rows.fetchone() or (-1, 0)

    def _forget(self, session_id: str, after: int) -> None:
        self._db.execute("DELETE FROM turns WHERE session = ? AND turn > ?", (session_id, after))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Make several statements one; what fails half-way leaves nothing behind."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def rewind(self, session_id: str, turn: int) -> State | None:
        """Forget what came after a turn, and return the state then; None if that turn is not kept."""
        state = self.at(session_id, turn)
        if state is not None:
            with self._lock:
                try:
                    self._forget(session_id, turn)
                except sqlite3.Error as error:
                    raise self._error("be written", error) from error
        return state

    def at(self, session_id: str, turn: int) -> State | None:
        """Return the state after a turn; None if that turn is not kept."""
        state = self._read(session_id, turn)
        return state if state is not None and state.turn == turn else None

    def load(self, session_id: str) -> State | None:
        """Put a session's state together from its turns; raises StoreError for a damaged file."""
        return self._read(session_id, LAST)

    def _read(self, session_id: str, turn: int) -> State | None:
        """Return the state after the last turn up to this one."""
        with self._lock:
            try:
                rows = self._db.execute(
                    "SELECT state, messages FROM turns WHERE session = ? AND turn <= ? ORDER BY turn",
                    (session_id, turn),
                ).fetchall()
                history = [m for row in rows for m in msgspec.json.decode(row[1], type=list[Message])]
                if not rows:
                    return None
                return msgspec.structs.replace(State.from_json(rows[-1][0]), history=tuple(history))
            except (sqlite3.Error, msgspec.MsgspecError) as error:
                raise self._error("be read", error) from error

    def turns(self, session_id: str) -> list[StoredTurn]:
        """Return the turns of a session, none for an unknown one; raises StoreError for a damaged file."""
        with self._lock:
            try:
                rows = self._db.execute(
                    "SELECT messages, events, state FROM turns WHERE session = ? ORDER BY turn",
                    (session_id,),
                ).fetchall()
                return [_stored_turn(*row) for row in rows]
            except (sqlite3.Error, msgspec.MsgspecError) as error:
                raise self._error("be read", error) from error

    def names(self) -> list[str]:
        """Return the known sessions, sorted."""
        with self._lock:
            rows = self._db.execute("SELECT DISTINCT session FROM turns ORDER BY session")
            return [row[0] for row in rows]

    def delete(self, session_id: str) -> bool:
        """Forget a session."""
        with self._lock:
            return self._db.execute("DELETE FROM turns WHERE session = ?", (session_id,)).rowcount > 0

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def _error(self, what: str, error: Exception) -> StoreError:
        return StoreError(f"the session store {self._path} cannot {what}: {error}")


def _stored_turn(messages: str, events: str, state: str) -> StoredTurn:
    """Read one row; the user's message, where there is one, comes before the bot's."""
    said = msgspec.json.decode(messages, type=list[Message])
    user = said[0].text if said and said[0].role == "user" else None
    return StoredTurn(user, said, msgspec.json.decode(events, type=list[Event]), State.from_json(state))
