"""The file of the SQLite store: made for its owner alone, and known by its mark."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path

from fsmbot.errors import StoreError

MARK = 0x66736D62
"""The application id of our files, "fsmb" (https://www.sqlite.org/pragma.html#pragma_application_id)."""

VERSION = 1
"""The version of the tables, as `user_version`."""

TABLES = """
CREATE TABLE turns (
    session TEXT NOT NULL,
    turn INTEGER NOT NULL,
    opening INTEGER NOT NULL, -- the turn that opened the conversation
    at REAL NOT NULL,         -- when it was committed, seconds since 1970
    state TEXT NOT NULL,      -- the state without its history
    messages TEXT NOT NULL,   -- the messages that this turn added
    events TEXT NOT NULL,
    PRIMARY KEY (session, turn)
) WITHOUT ROWID;
CREATE TABLE notes (
    session TEXT PRIMARY KEY, -- the message that is being answered
    turn INTEGER NOT NULL,
    text TEXT NOT NULL,
    writer INTEGER NOT NULL   -- the process that answers
) WITHOUT ROWID;
"""


def open_file(path: str | Path, patience: float) -> sqlite3.Connection:
    """Open a store's file, or make one; raises OSError, sqlite3.Error, or StoreError for another's."""
    _make_private(path)
    db = sqlite3.connect(os.path.abspath(path), patience, isolation_level=None, check_same_thread=False)
    try:
        if _mark(db) != MARK:
            _make_tables(db, path)
        if (version := db.execute("PRAGMA user_version").fetchone()[0]) != VERSION:
            raise StoreError(
                f"the session store {path} is of version {version}, and this fsmbot knows version {VERSION}; "
                "use the fsmbot that wrote it, or name another file"
            )
        os.chmod(path, 0o600)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.execute("PRAGMA secure_delete=ON")
        db.execute("PRAGMA temp_store=MEMORY")  # else VACUUM copies conversations to a temporary file
    except BaseException:
        db.close()
        raise
    return db


def _make_private(path: str | Path) -> None:
    """Make the file unless it is there, and take the rights of others from it.

    One that is there is never opened here: closing it would drop the locks of all its connections in
    this process (https://www.sqlite.org/howtocorrupt.html, section 2.2).
    """
    if str(path) in ("", ":memory:"):
        raise StoreError(f"a session store is a file, and '{path}' names none; MemoryStore keeps none")
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        if not Path(path).is_file():
            raise StoreError(f"the session store {path} is not a file; name another one") from None


def _mark(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA application_id").fetchone()[0])


def _make_tables(db: sqlite3.Connection, path: str | Path) -> None:
    """Make a new file a store, unless another process has just done so."""
    db.execute("BEGIN IMMEDIATE")
    if _mark(db) != MARK:
        if db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]:
            raise StoreError(f"{path} is a database of another program; name another file for sessions")
        for statement in TABLES.split(";"):
            db.execute(statement)
        db.execute(f"PRAGMA application_id={MARK}")
        db.execute(f"PRAGMA user_version={VERSION}")
    db.execute("COMMIT")


def reason(error: Exception) -> str:
    """Return what is wrong with a file, and what to do about it where that is known."""
    if isinstance(error, OSError):
        return f"{error.strerror or error}{_HINTS.get(errno.errorcode.get(error.errno or 0, ''), '')}"
    name = getattr(error, "sqlite_errorname", "").removeprefix("SQLITE_").partition("_")[0]
    return f"{error}{_HINTS.get(name, '')}"


_HINTS = {
    "BUSY": "; another program holds it, so try again once that is done",
    "FULL": "; free space there, or name another file",
    "IOERR": "; the disk may be full or broken",
    "READONLY": "; give it and its folder the right to be written",
    "CANTOPEN": "; look whether its folder is there and can be written",
    "NOTADB": "; it is no session store, so name another file",
    "ENOENT": "; make its folder first, or name another file",
    "EACCES": "; look whether its folder can be written, or name another file",
    "EROFS": "; name a file where it can be written",
    "ENOSPC": "; free space there, or name another file",
    "CORRUPT": "; restore it from a copy, or name another file",
}
