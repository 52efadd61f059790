"""How events are written where there is no terminal: as plain text, or as JSON lines."""

from __future__ import annotations

import json
import sys
from typing import Protocol, TextIO

from fsmbot.errors import FsmbotError
from fsmbot.events import Event, Said, to_json
from fsmbot.resuming import unquoted
from fsmbot.text import escaped, safe


class Writer(Protocol):
    """Shows what happens on one kind of output."""

    def show(self, event: Event) -> None:
        """Show an event."""

    def note(self, message: str) -> None:
        """Tell the user something about the conversation."""

    def refuse(self, message: str) -> None:
        """Tell the user that this line got no answer, and why."""

    def fail(self, error: FsmbotError) -> None:
        """Tell that a handler failed."""


class PlainWriter:
    """Writes each bot message on lines of its own, piece by piece.

    Where stderr is no terminal it is a log, and nothing that anybody said is written there.
    """

    def __init__(self, out: TextIO, err: TextIO | None = None) -> None:
        self._out, self._err = _replacing(out), _replacing(sys.stderr if err is None else err)
        self._open = False

    def show(self, event: Event) -> None:
        """Write a piece; anything else ends the message before it."""
        if not isinstance(event, Said):
            self._end()
        elif event.text:
            self._out.write(safe(event.text))
            self._out.flush()
            self._open = not event.text.endswith("\n")

    def note(self, message: str) -> None:
        """Write to stderr."""
        self._complain(f"note: {message if self._err.isatty() else unquoted(message)}")

    def refuse(self, message: str) -> None:
        """Write the refusal where the answer would stand."""
        self._end()
        self._out.write(safe(message) + "\n")
        self._out.flush()

    def fail(self, error: FsmbotError) -> None:
        """Write to stderr."""
        self._complain(f"error: {error if self._err.isatty() else error.for_log()}")

    def _complain(self, line: str) -> None:
        self._end()
        self._err.write(safe(line) + "\n")
        self._err.flush()

    def _end(self) -> None:
        if self._open:
            self._out.write("\n")
            self._out.flush()
            self._open = False


class JsonWriter:
    """Writes each event as a line of JSON, in UTF-8 wherever the program runs (RFC 8259, section 8.1)."""

    def __init__(self, out: TextIO) -> None:
        self._out = _replacing(out, encoding="utf-8")

    def show(self, event: Event) -> None:
        """Write the event."""
        self._line(to_json(event))

    def note(self, message: str) -> None:
        """Write a note event."""
        self._told("note", message)

    def refuse(self, message: str) -> None:
        """Write an error event."""
        self._told("error", message)

    def fail(self, error: FsmbotError) -> None:
        """Write an error event."""
        self.refuse(str(error))

    def _told(self, event: str, message: str) -> None:
        told = {"event": event, "message": message}
        self._line(json.dumps(told, ensure_ascii=False, separators=(",", ":")))

    def _line(self, line: str) -> None:
        self._out.write(escaped(line) + "\n")
        self._out.flush()


def _replacing(stream: TextIO, encoding: str | None = None) -> TextIO:
    """Let a stream of a narrow encoding, or one of another, replace characters instead of failing."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(encoding=encoding, errors="replace")
    return stream
