"""Where sessions rest between turns: in memory, or in one SQLite file.

A store keeps, for each session, every turn with the events and messages that it added. `commit`
returns only once the turn is safe, and a turn is stored whole or not at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fsmbot.stores.memory import MemoryStore
from fsmbot.stores.store import Store

if TYPE_CHECKING:
    from fsmbot.stores.sqlite import SQLiteStore

__all__ = ["MemoryStore", "SQLiteStore", "Store"]


def __getattr__(name: str) -> Any:
    """Import the SQLite store, and SQLite with it, when it is first asked for."""
    if name != "SQLiteStore":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from fsmbot.stores.sqlite import SQLiteStore

    return SQLiteStore
