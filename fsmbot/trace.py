"""A trace: every event of the conversations as a line of JSON, with times, in a private file.

    {"at": "2031-05-04T10:00:00.123Z", "session": "…", "turn": 1, "event": "routed", "node": "check_medical",
     "outcome": "medical", "target": "ask_doctor", "notes": {"score": 0.98}, "ms": 0.16, "node_ms": 0.17}

Nothing that anybody said is in it, unless that is asked for: a text is told by its length, an error by
its kind, and of what fsmbot's own handlers noted only numbers and truth values are kept. The lines read
back as events (`fsmbot.events.from_json`), so `fsmbot graph --path` can draw them.
"""

from __future__ import annotations

import json
import logging
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from fsmbot.errors import StoreError
from fsmbot.events import Commanded, Ended, Entered, Failed, Listening, Routed, Said
from fsmbot.observe import Observed
from fsmbot.private import open_private
from fsmbot.spoken import RESTART

log = logging.getLogger("fsmbot.trace")


class Trace:
    """An observer that writes what it sees to a file (mode 0600), which it appends to.

    text: whether what was said, and all that handlers noted, is written too. Raises StoreError when
    the file cannot be opened; a line that cannot be written later is logged once, and lost.
    """

    def __init__(self, path: str | Path, *, text: bool = False) -> None:
        self._text, self._failed = text, False
        self._clock, self._numbers = Clock(), Numbers()
        try:
            number = open_private(path, os.O_APPEND)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise StoreError(f"the trace {path} cannot be written: {reason}") from error
        self._file = open(number, "ab", buffering=0)  # noqa: SIM115  (it is closed by close)

    def __call__(self, seen: Observed) -> None:
        """Write one event."""
        line = json.dumps(self._record(seen), ensure_ascii=True) + "\n"
        try:
            self._file.write(line.encode())
        except (OSError, ValueError) as error:
            if not self._failed:
                log.warning("the trace cannot be written any more: %s", error)
            self._failed = True

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _record(self, seen: Observed) -> dict[str, Any]:
        event = msgspec.to_builtins(seen.event, enc_hook=str)
        if not self._text:
            event.update(_untold(seen))
        return {
            "at": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "session": seen.session.id,
            "turn": self._numbers.of(seen),
            **event,
            "ms": round(1000 * seen.seconds, 3),
            **self._clock.total(seen),
        }


def _untold(seen: Observed) -> dict[str, Any]:
    """Return what stands in a trace in place of what was said."""
    event = seen.event
    if isinstance(event, Said):
        return {"text": "", "characters": len(event.text)}
    if isinstance(event, Failed):
        return {"error": event.error.partition(":")[0]}
    if isinstance(event, Routed) and event.notes:
        return {"notes": _counted(seen, event)}
    return {}


def _counted(seen: Observed, event: Routed) -> dict[str, Any]:
    """Return the numbers that a handler of fsmbot's own noted; others may note words as their names."""
    place = seen.session.flow.places.get(event.node)
    own = place is not None and place.node.handler.function.__module__.startswith("fsmbot.")
    return {
        name: value
        for name, value in event.notes.items()
        if isinstance(value, (bool, int, float)) and (own or name == "retried")
    }


class Numbers:
    """Tells the turn of each event; the session's own number is that of the last turn that was kept."""

    def __init__(self) -> None:
        self._sessions: dict[str, int] = {}

    def of(self, seen: Observed) -> int:
        """Return the number of the turn that an event belongs to."""
        name, state, event = seen.session.id, seen.session.state, seen.event
        if isinstance(event, (Listening, Ended)):
            number = state.turn
        elif isinstance(event, Commanded):
            number = state.turn + (event.command == RESTART)
        else:
            number = self._sessions.get(name, seen.session.coming)
        if seen.rests:
            self._sessions.pop(name, None)
        else:
            self._sessions[name] = number
        return number


class Clock:
    """Adds up the times of events: of each node until it is left, of each turn until it rests."""

    def __init__(self) -> None:
        self._sessions: dict[str, dict[str, float]] = {}

    def total(self, seen: Observed) -> dict[str, float]:
        """Take note of an event; return "node_ms" where it ends a visit, "turn_ms" where a turn."""
        spent = self._sessions.setdefault(seen.session.id, {"": 0.0})
        event, node = seen.event, seen.event.node
        spent[""] += seen.seconds
        spent[node] = (0.0 if isinstance(event, Entered) else spent.get(node, 0.0)) + seen.seconds
        totals = {}
        if isinstance(event, (Routed, Failed, Listening)):
            totals["node_ms"] = round(1000 * spent.pop(node), 3)
        if seen.rests:
            totals["turn_ms"] = round(1000 * spent[""], 3)
            del self._sessions[seen.session.id]
        return totals
