"""What the command line does with a file of sessions: list them, and delete some for good."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path

from fsmbot.errors import StoreError
from fsmbot.nearby import suggest
from fsmbot.stores.rows import Summary
from fsmbot.stores.sqlite import SQLiteStore
from fsmbot.text import safe_line


def opened(path: Path) -> SQLiteStore:
    """Open a file of sessions; raises StoreError, also where there is none, and makes none."""
    if not path.exists():
        raise StoreError(f"the session store {path} does not exist; --session NAME makes one")
    return SQLiteStore(path)


def listed(path: Path) -> str:
    """Return the sessions of a file as lines of a table; raises StoreError."""
    if not path.exists():
        return f"no sessions: {path} does not exist"
    with closing(opened(path)) as store:
        rows = [_row(summary) for summary in store.summaries()]
    if not rows:
        return f"no sessions in {path}"
    head = ("session", "conversations", "turns", "last used", "stands")
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in (head, *rows))


def _row(summary: Summary) -> tuple[str, ...]:
    state = summary.state
    stands = f"waits at {state.node}" if state.status == "listening" else "ended"
    used = datetime.fromtimestamp(summary.last).strftime("%Y-%m-%d %H:%M")
    return (
        safe_line(summary.name), str(summary.conversations), str(summary.turns), used, safe_line(stands)
    )  # fmt: skip


def deleted(path: Path, names: Sequence[str]) -> Iterator[str]:
    """Delete sessions for good, and yield a line for each; raises StoreError, before anything is
    deleted where one is unknown."""
    with closing(opened(path)) as store:
        if not set(names).issubset(store.names()):
            store.scrub()  # one may be deleted already, by a command that had to leave words behind
        for name in names:
            known(store, path, name)
        for name in dict.fromkeys(names):
            store.delete(name)
            yield f"session '{name}' is deleted from {path}"


def known(store: SQLiteStore, path: Path, name: str) -> None:
    """Raise StoreError, with a suggestion, for a session that the store does not have."""
    names = store.names()
    if name not in names:
        hint = suggest(name, names) or "; it holds no session"
        raise StoreError(f"the session store {path} has no session '{name}'{hint}")
