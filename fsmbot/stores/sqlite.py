"""The store in one SQLite file, a row a turn."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from fsmbot.errors import StoreError
from fsmbot.events import Event
from fsmbot.stores.alive import Presence
from fsmbot.stores.file import open_file, reason
from fsmbot.stores.rows import Row, StoredTurn, Summary, added, decoded, encoded, encoded_state
from fsmbot.stores.store import conflict
from fsmbot.turn import Message, State

LAST = 2**62
"""A number that no turn has."""

NOTE = """INSERT OR REPLACE INTO notes SELECT ?, ?, ?, ?
WHERE ifnull((SELECT MAX(turn) FROM turns WHERE session = ?), ?) = ?"""

OPENING = """INSERT INTO turns SELECT ?, ?, ?, ?, ?, ?, ?
WHERE NOT EXISTS (SELECT 1 FROM turns WHERE session = ?)"""

NEXT = """INSERT INTO turns SELECT ?, ?, ?, ?, ?, ?, ?
WHERE (SELECT (turn, state, messages) = (?, ?, ?) FROM turns WHERE session = ? ORDER BY turn DESC LIMIT 1)"""
"""A turn that follows on another: one statement, as each further one takes and gives back its locks."""


class SQLiteStore:
    """Keeps sessions in one file that its owner alone can read.

    Write-ahead log and synchronous FULL: a committed turn survives the loss of power
    (https://www.sqlite.org/pragma.html#pragma_synchronous). Any number of threads and processes may
    use one file. patience: seconds to wait while others write. Raises StoreError for a file that
    cannot be used.
    """

    def __init__(self, path: str | Path, *, patience: float = 10.0) -> None:
        self._path, self._lock = Path(path), threading.Lock()
        with self._explained("be opened"):
            self._db = open_file(path, patience)
            self._presence = Presence(self._path)

    def begin(self, session_id: str, turn: int, text: str) -> None:
        """Note the message that a turn is to answer. The note survives the end of the process, but,
        unlike a turn, not always the loss of power: it is not waited for."""
        with self._lock, self._explained("be written"):
            note = (session_id, turn, text, self._presence.number())
            self._db.execute("PRAGMA synchronous=NORMAL")
            try:
                done = self._db.execute(NOTE, (*note, session_id, turn - 1, turn - 1))
            finally:
                self._db.execute("PRAGMA synchronous=FULL")
            if not done.rowcount:
                last = self._row(session_id, LAST)
                raise conflict(session_id, last and last[0], turn - 1)

    def abandon(self, session_id: str, turn: int) -> None:
        """Drop the note of a turn that is taken back."""
        with self._lock, self._explained("be written"):
            mine = (session_id, turn, self._presence.number())
            self._db.execute("DELETE FROM notes WHERE session = ? AND turn = ? AND writer = ?", mine)

    def interrupted(self, session_id: str) -> str | None:
        """Return the noted message whose process was stopped before it was answered, if there is one."""
        with self._lock, self._explained("be read"):
            row = self._db.execute(
                "SELECT text, writer FROM notes WHERE session = ? AND turn ="
                " (SELECT MAX(turn) + 1 FROM turns WHERE session = notes.session)",
                (session_id,),
            ).fetchone()
            return None if row is None or self._presence.is_alive(row[1]) else str(row[0])

    def commit(
        self, session_id: str, state: State, events: Sequence[Event], before: State | None = None
    ) -> None:
        """Write one turn in one transaction; raises ConflictError or StoreError, and then nothing was
        written."""
        known = 0 if before is None or state.opening == state.turn else len(before.history)
        row = encoded(session_id, state, known, events)
        with self._lock, self._explained("be written"):
            if not self._follows(row, before):
                self._insert(row, before)

    def _follows(self, row: Row, before: State | None) -> bool:
        """Write a turn if the session's last row is word for word that of the state before."""
        if before is None:
            return self._db.execute(OPENING, (*row, row[0])).rowcount > 0
        last = before.turn, *encoded_state(before, added(before))
        return row[1] > before.turn and self._db.execute(NEXT, (*row, *last, row[0])).rowcount > 0

    def _insert(self, row: Row, before: State | None) -> None:
        """Write a turn if the session's last state, however it is worded, is the one before."""
        with self._transaction():
            self._expect(row[0], before, row[1])
            self._db.execute("INSERT INTO turns VALUES (?, ?, ?, ?, ?, ?, ?)", row)

    def _expect(self, session_id: str, before: State | None, turn: int) -> None:
        """Raise ConflictError unless this is the session's last state."""
        last = self._row(session_id, LAST)
        if last is None or before is None:
            agreed = last is None and before is None
        else:
            state, messages = decoded(*last[1:])
            latest = tuple(messages) == before.history[len(before.history) - len(messages) :]
            agreed = latest and state == msgspec.structs.replace(before, history=()) and last[0] < turn
        if not agreed:
            raise conflict(session_id, last and last[0], None if before is None else before.turn)

    def _row(self, session_id: str, turn: int) -> tuple[int, str, str] | None:
        """Return number, state and messages of the last turn up to this one."""
        row: tuple[int, str, str] | None = self._db.execute(
            "SELECT turn, state, messages FROM turns WHERE session = ? AND turn <= ?"
            " ORDER BY turn DESC LIMIT 1",
            (session_id, turn),
        ).fetchone()
        return row

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Make several statements one; what fails half-way leaves nothing behind."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):  # SQLite may have rolled back by itself
                self._db.execute("ROLLBACK")
            raise

    def rewind(self, session_id: str, turn: int) -> State | None:
        """Forget what came after a turn, and return the state then; -1 forgets all."""
        with self._lock, self._explained("be written"), self._transaction():
            state = self._state(session_id, turn)
            if turn >= 0 and (state is None or state.turn != turn):
                return None
            self._db.execute("DELETE FROM turns WHERE session = ? AND turn > ?", (session_id, turn))
            self._db.execute("DELETE FROM notes WHERE session = ?", (session_id,))
            return state

    def at(self, session_id: str, turn: int) -> State | None:
        """Return the state after a turn; None if that turn is not kept."""
        with self._lock, self._explained("be read"):
            state = self._state(session_id, turn)
            return state if state is not None and state.turn == turn else None

    def load(self, session_id: str) -> State | None:
        """Put a session's state together from its turns; raises StoreError for a damaged file."""
        with self._lock, self._explained("be read"):
            return self._state(session_id, LAST)

    def _state(self, session_id: str, turn: int) -> State | None:
        """Return the state after the last turn up to this one, with its conversation's history."""
        last = self._row(session_id, turn)
        if last is None:
            return None
        number, state = last[0], State.from_json(last[1])
        rows = self._db.execute(
            "SELECT messages FROM turns WHERE session = ? AND turn BETWEEN ? AND ? ORDER BY turn",
            (session_id, state.opening, number),
        )
        history = [m for (row,) in rows for m in msgspec.json.decode(row, type=list[Message])]
        return msgspec.structs.replace(state, history=tuple(history))

    def turns(self, session_id: str) -> list[StoredTurn]:
        """Return the turns of a session, none for an unknown one; raises StoreError for a damaged file."""
        with self._lock, self._explained("be read"):
            rows = self._db.execute(
                "SELECT at, state, messages, events FROM turns WHERE session = ? ORDER BY turn",
                (session_id,),
            ).fetchall()
            return [StoredTurn.read(*row) for row in rows]

    def summaries(self) -> list[Summary]:
        """Return what there is of each session, the last used one first; raises StoreError for a damaged
        file."""
        with self._lock, self._explained("be read"):
            rows = self._db.execute(
                "SELECT session, COUNT(DISTINCT opening), COUNT(*), MIN(at), MAX(at),"
                " (SELECT state FROM turns WHERE session = t.session ORDER BY turn DESC LIMIT 1)"
                " FROM turns t GROUP BY session ORDER BY MAX(at) DESC"
            ).fetchall()
            return [Summary.read(*row) for row in rows]

    def names(self) -> list[str]:
        """Return the known sessions, sorted."""
        with self._lock, self._explained("be read"):
            rows = self._db.execute("SELECT DISTINCT session FROM turns ORDER BY session")
            return [row[0] for row in rows]

    def delete(self, session_id: str) -> bool:
        """Forget a session for good: none of its words is left in the file or beside it.

        Raises StoreError where they cannot be wiped: another program is reading, or the disk is full.
        After that they go when the session is deleted again, the file is scrubbed, or the last who has
        it open closes it.
        """
        with self._lock, self._explained("be written"), self._transaction():
            self._db.execute("DELETE FROM notes WHERE session = ?", (session_id,))
            gone = self._db.execute("DELETE FROM turns WHERE session = ?", (session_id,)).rowcount
        try:
            self.scrub()
        except StoreError as error:
            raise StoreError(f"session '{session_id}' is deleted from {self._path}, but {error}") from error
        return gone > 0

    def scrub(self) -> None:
        """Take what is left of deleted sessions out of the file and its log; raises StoreError."""
        with self._lock:
            left = self._wipe()
        if left:
            raise StoreError(
                f"{left}, so words of deleted sessions may still be in its log; once that is mended, "
                "`fsmbot sessions` wipes them, and so does deleting again"
            )

    def _wipe(self) -> str:
        """Leave nothing of what was deleted; return why some of it is left, if it is."""
        try:
            self._db.execute("VACUUM")
            (busy, *_) = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except (OSError, sqlite3.Error) as error:
            return reason(error)
        return "another program is using the file" if busy else ""

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        """Turn whatever the file, the system or SQLite has against it into a StoreError."""
        try:
            yield
        except (OSError, sqlite3.Error, msgspec.MsgspecError, UnicodeError) as error:
            raise StoreError(f"the session store {self._path} cannot {what}: {reason(error)}") from error
