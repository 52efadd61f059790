"""Where sessions rest between turns: in memory, or in one SQLite file.

A store keeps, for each session, every turn with the events and messages that it added. `commit`
returns only once the turn is safe, and a turn is stored whole or not at all.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from fsmbot.errors import StoreError
from fsmbot.events import Event
from fsmbot.turn import Message, State


class Store(Protocol):
    """What a session needs of a store; every operation may be called from any thread."""

    def commit(self, session_id: str, state: State, events: Sequence[Event]) -> None:
        """Keep the turn that led to `state`; raises StoreError if it could not be made safe."""

    def load(self, session_id: str) -> State | None:
        """Return the state after the last committed turn, or None for an unknown session."""

    def names(self) -> list[str]:
        """Return the known sessions, sorted."""

    def delete(self, session_id: str) -> bool:
        """Forget a session; return whether it was known."""


class MemoryStore:
    """Keeps sessions as long as the process lives."""

    def __init__(self) -> None:
        self._states: dict[str, State] = {}

    def commit(self, session_id: str, state: State, events: Sequence[Event]) -> None:
        """Keep the state (events are not kept here)."""
        self._states[session_id] = state

    def load(self, session_id: str) -> State | None:
        """Return the last committed state."""
        return self._states.get(session_id)

    def names(self) -> list[str]:
        """Return the known sessions, sorted."""
        return sorted(self._states)

    def delete(self, session_id: str) -> bool:
        """Forget a session."""
        return self._states.pop(session_id, None) is not None


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
                known = self._messages_before(session_id, state.turn)
                self._db.execute(
                    "INSERT OR REPLACE INTO turns VALUES (?, ?, ?, ?, ?, ?)",
                    (
                        session_id,
                        state.turn,
                        msgspec.json.encode(msgspec.structs.replace(state, history=())).decode(),
                        msgspec.json.encode(state.history[known:]).decode(),
                        len(state.history),
                        msgspec.json.encode(events, enc_hook=str).decode(),
                    ),
                )
            except sqlite3.Error as error:
                raise self._error("be written", error) from error

    def _messages_before(self, session_id: str, turn: int) -> int:
        """Return how many messages the turns before this one hold."""
        rows = self._db.execute(
            "SELECT messages_so_far FROM turns WHERE session = ? AND turn < ? ORDER BY turn DESC LIMIT 1",
            (session_id, turn),
        )
        row = rows.fetchone()
        return row[0] if row else 0

    def load(self, session_id: str) -> State | None:
        """Put a session's state together from its turns; raises StoreError for a damaged file."""
        with self._lock:
            try:
                rows = self._db.execute(
                    "SELECT state, messages FROM turns WHERE session = ? ORDER BY turn", (session_id,)
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
