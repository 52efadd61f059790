"""Channels without a terminal: one message a line comes in, plain text or JSON lines go out.

Both return an exit code: 0 when the input has been read to its end, 1 when a handler failed or the
output could not be written, 130 after Ctrl-C, 141 when the reader of the output has gone away.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO, Protocol, TextIO

from fsmbot.errors import FsmbotError, StateError
from fsmbot.events import Event, Said, to_json
from fsmbot.flow import Flow
from fsmbot.observe import Observer
from fsmbot.session import MAX_MESSAGE, Session
from fsmbot.stores import MemoryStore
from fsmbot.text import safe

EMPTY = "the message is empty; please write your question"
"""What an empty line, or one of spaces only, is answered with."""

_COMMAND = re.compile(r"/[a-z][a-z-]*")
"""A line that is a command: /help, /restart, /repeat or /back; others are refused."""

MAX_LINE = 4 * MAX_MESSAGE
"""Bytes of a line that are read at the most: a character of UTF-8 has four or fewer."""


class Writer(Protocol):
    """Shows what happens on one kind of output."""

    def show(self, event: Event) -> None:
        """Show an event."""

    def refuse(self, message: str) -> None:
        """Tell the user that this line got no answer, and why."""

    def fail(self, message: str) -> None:
        """Tell that a handler failed."""


def run_plain(
    flow: Flow,
    source: BinaryIO,
    out: TextIO,
    err: TextIO | None = None,
    *,
    resources: Mapping[str, Any] | None = None,
    observers: Sequence[Observer] = (),
) -> int:
    """Talk in plain text: each reply on lines of its own, failures on `err` (stderr by default)."""
    begin = _sessions(flow, resources, observers)
    return _guarded(lambda: _converse(begin, source, PlainWriter(out, err)), out)


def run_json(
    flow: Flow,
    source: BinaryIO,
    out: TextIO,
    *,
    resources: Mapping[str, Any] | None = None,
    observers: Sequence[Observer] = (),
) -> int:
    """Talk in JSON lines: every event, and `{"event":"error","message":…}` for what went wrong."""
    begin = _sessions(flow, resources, observers)
    return _guarded(lambda: _converse(begin, source, JsonWriter(out)), out)


def _sessions(
    flow: Flow, resources: Mapping[str, Any] | None, observers: Sequence[Observer]
) -> Callable[[], Session]:
    """Return a function that makes a session, each with a store of its own to go back in."""
    return lambda: Session(flow, resources, store=MemoryStore(), observers=observers)


def _converse(begin: Callable[[], Session], source: BinaryIO, writer: Writer) -> int:
    """Answer line after line. A conversation that ended is followed by a new one, which opens only
    when there is a line for it, so that no prompt dangles at the end of the input."""
    session = begin()
    whole = _play(session.start, writer)
    if _ended(session):
        return 0  # a flow that never listens has said all it has to say
    for line in read_lines(source):
        if isinstance(line, TooLong):
            writer.refuse(str(line))
        elif not line.strip():
            writer.refuse(EMPTY)
        elif _COMMAND.fullmatch(line.strip()):
            whole &= _play(partial(session.obey, line.strip()[1:]), writer)
        else:
            if _ended(session) and session.flow.spoken(line) is None:
                session = begin()
            whole &= _play(partial(session.send, _message(line)), writer)
    return 0 if whole else 1


def _message(line: str) -> str:
    """Return the message in a line: two slashes at its beginning stand for one."""
    return line.lstrip()[1:] if line.lstrip().startswith("//") else line


def _ended(session: Session) -> bool:
    return session.state.status == "ended"


def _play(turn: Callable[[], Iterator[Event]], writer: Writer) -> bool:
    """Show one turn; return False if it failed, which leaves the conversation where it was."""
    try:
        for event in turn():
            writer.show(event)
    except StateError as error:
        writer.refuse(str(error))
    except FsmbotError as error:
        writer.fail(str(error))
        return False
    return True


@dataclass(frozen=True)
class TooLong:
    """A line that was read away without being kept."""

    size: int

    def __str__(self) -> str:
        return (
            f"the message has {self.size:,} bytes; at most {MAX_MESSAGE:,} characters are read, "
            "so please shorten it"
        )


def read_lines(source: BinaryIO) -> Iterator[str | TooLong]:
    """Yield the lines of UTF-8 input without their ends, in bounded memory; bad bytes are replaced."""
    while line := source.readline(MAX_LINE + 2):  # room for "\r\n"
        if line.endswith(b"\n") or len(line) < MAX_LINE + 2:
            yield line.decode("utf-8", "replace").removeprefix("\ufeff").rstrip("\r\n")
            continue
        size = len(line)
        while not line.endswith(b"\n") and (line := source.readline(1 << 16)):
            size += len(line.rstrip(b"\r\n"))
        yield TooLong(size)


class PlainWriter:
    """Writes each bot message on lines of its own, piece by piece."""

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

    def refuse(self, message: str) -> None:
        """Write the refusal where the answer would stand."""
        self._end()
        self._out.write(safe(message) + "\n")
        self._out.flush()

    def fail(self, message: str) -> None:
        """Write to stderr."""
        self._end()
        self._err.write(safe(f"error: {message}") + "\n")
        self._err.flush()

    def _end(self) -> None:
        if self._open:
            self._out.write("\n")
            self._out.flush()
            self._open = False


class JsonWriter:
    """Writes each event as a line of JSON."""

    def __init__(self, out: TextIO) -> None:
        self._out = _replacing(out)

    def show(self, event: Event) -> None:
        """Write the event."""
        self._line(to_json(event))

    def refuse(self, message: str) -> None:
        """Write an error event."""
        error = {"event": "error", "message": message}
        self._line(json.dumps(error, ensure_ascii=False, separators=(",", ":")))

    fail = refuse

    def _line(self, line: str) -> None:
        self._out.write(_escape(line) + "\n")
        self._out.flush()


def _escape(line: str) -> str:
    """Write what a terminal must not see as JSON escapes; they stand inside strings only, so that
    a reader of the JSON gets the very same text."""
    if line.isascii() and line.isprintable():
        return line
    return "".join(c if safe(c, keep="") == c else json.dumps(c)[1:-1] for c in line)


def _replacing(stream: TextIO) -> TextIO:
    """Let a stream of a narrow encoding replace characters instead of failing."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="replace")
    return stream


def _guarded(talk: Callable[[], int], out: TextIO) -> int:
    """Turn the ways in which a pipe may end into exit codes."""
    try:
        return talk()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        _discard(out)
        return 141
    except OSError as error:
        _discard(out)
        print(safe(f"error: input or output failed: {error}"), file=sys.stderr)
        return 1


def _discard(out: TextIO) -> None:
    """Send what is still buffered nowhere, so that the interpreter's last flush does not complain."""
    try:
        number = out.fileno()
    except (OSError, ValueError):
        return  # not a file of the system
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)
