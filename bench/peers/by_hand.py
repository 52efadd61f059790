"""The floor: the doctor flow as if/elif, and the same with its rows written to SQLite by hand."""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections.abc import Callable

from doctor import DOCTOR, GREETING, IDK, PROMPT, is_greeting, is_medical, new_file, session_ids


def turn(text: str) -> str:
    """Answer one message."""
    if is_medical(text):
        return DOCTOR
    elif is_greeting(text):
        return GREETING
    else:
        return IDK


def in_memory() -> Callable[[str], str]:
    """Keep the state of each session in a dictionary."""
    ids, store = session_ids(), dict[str, dict[str, object]]()

    def run(text: str) -> str:
        name, answer = next(ids), turn(text)
        before = store.get(name, {"turn": 0})
        store[name] = {"node": "end", "turn": before["turn"] + 1, "answer": answer}  # type: ignore[operator]
        return answer

    return run


def new_table() -> sqlite3.Connection:
    """Return a database that is as durable as fsmbot's, with one table of turns."""
    db = sqlite3.connect(new_file(), isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute(
        "CREATE TABLE turns (session TEXT, turn INT, state TEXT, PRIMARY KEY (session, turn)) WITHOUT ROWID"
    )
    return db


def write(db: sqlite3.Connection, session: str, number: int, **state: str) -> None:
    """Write one row, durably."""
    db.execute("INSERT INTO turns VALUES (?, ?, ?)", (session, number, json.dumps(state)))


def sqlite_turn() -> Callable[[str], str]:
    """One row for each message with its answer."""
    db, ids, numbers = new_table(), session_ids(), itertools.count()

    def run(text: str) -> str:
        answer = turn(text)
        write(db, next(ids), next(numbers), node="end", user=text, bot=answer)
        return answer

    return run


def sqlite_conversation() -> Callable[[str], str]:
    """Two rows: the opening prompt, and the message with its answer."""
    db, ids = new_table(), session_ids(1)

    def run(text: str) -> str:
        name = next(ids)
        write(db, name, 0, node="ask_user", bot=PROMPT)
        answer = turn(text)
        write(db, name, 1, node="end", user=text, bot=answer)
        return answer

    return run


VARIANTS = {
    "turn": lambda: turn,
    "memory": in_memory,
    "sqlite_turn": sqlite_turn,
    "sqlite_conversation": sqlite_conversation,
}
