"""Channels without a terminal: one message a line comes in, plain text or JSON lines go out.

Both return an exit code: 0 when the input has been read to its end, 1 when a handler failed or the
output could not be written, 130 after Ctrl-C, 141 when the reader of the output has gone away.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO, TextIO

import msgspec

from fsmbot.flow import Flow
from fsmbot.observe import Observer
from fsmbot.stores import Store
from fsmbot.talking import Talk
from fsmbot.text import safe
from fsmbot.turn import MAX_MESSAGE
from fsmbot.writers import JsonWriter, PlainWriter

EMPTY = "the message is empty; please write your question"
"""What an empty line, or one of spaces only, is answered with."""

_COMMAND = re.compile(r"/[a-z][a-z-]*")
"""A line that is a command: /help, /restart, /repeat or /back; others are refused."""

MAX_LINE = 4 * MAX_MESSAGE
"""Bytes of a line that are read at the most: a character of UTF-8 has four or fewer."""


def run_plain(
    flow: Flow,
    source: BinaryIO,
    out: TextIO,
    err: TextIO | None = None,
    *,
    resources: Mapping[str, Any] | None = None,
    store: Store | None = None,
    name: str = "",
    observers: Sequence[Observer] = (),
) -> int:
    """Talk in plain text: each reply on lines of its own, notes and failures on `err` (stderr by
    default). store, name: the session to go on with. Raises StoreError where it cannot be read."""
    talk = Talk(flow, resources, store, name, observers, PlainWriter(out, err))
    return _guarded(lambda: _converse(talk, source), out, err)


def run_json(
    flow: Flow,
    source: BinaryIO,
    out: TextIO,
    *,
    resources: Mapping[str, Any] | None = None,
    store: Store | None = None,
    name: str = "",
    observers: Sequence[Observer] = (),
) -> int:
    """Talk in JSON lines: every event, `{"event":"note","message":…}` for what is to be known about a
    resumed session, and `{"event":"error","message":…}` for what went wrong. Raises StoreError."""
    talk = Talk(flow, resources, store, name, observers, JsonWriter(out))
    return _guarded(lambda: _converse(talk, source), out)


def _converse(talk: Talk, source: BinaryIO) -> int:
    """Answer line after line. A conversation that ended is followed by a new one, which opens only
    when there is a line for it, so that no prompt dangles at the end of the input."""
    resumed = talk.session.state.status != "new"
    talk.open()
    if talk.ended and not resumed:
        return 0  # a flow that never listens has said all it has to say
    for line in read_lines(source):
        if isinstance(line, TooLong):
            talk.writer.refuse(str(line))
        elif not line.strip():
            talk.writer.refuse(EMPTY)
        elif _COMMAND.fullmatch(line.strip()):
            talk.obey(line.strip()[1:])
        else:
            talk.send(_message(line))
    return 0 if talk.whole else 1


def _message(line: str) -> str:
    """Return the message in a line: two slashes at its beginning stand for one."""
    return line.lstrip()[1:] if line.lstrip().startswith("//") else line


class TooLong(msgspec.Struct, frozen=True):
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


def _guarded(talk: Callable[[], int], out: TextIO, err: TextIO | None = None) -> int:
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
        print(safe(f"error: input or output failed: {error}"), file=err or sys.stderr)
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
