"""Logging for the command line: warnings and errors on stderr, one safe line each.

Lines hold what the program says about itself and never the text of messages. While the REPL shows
its prompt, it takes the lines over and prints them above it.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Callable, Iterator

from fsmbot.text import safe_line

Write = Callable[[str], None]
"""Takes one finished line, without its line break."""


def setup(write: Write | None = None) -> None:
    """Send warnings and errors of every logger to stderr, or to `write`; a second call redirects."""
    root = logging.getLogger()
    for handler in root.handlers:
        if isinstance(handler, _Lines):
            handler.write = write or to_stderr
            return
    root.addHandler(_Lines(write or to_stderr))
    root.setLevel(logging.WARNING)
    logging.captureWarnings(True)


@contextlib.contextmanager
def shown_by(write: Write) -> Iterator[None]:
    """Send the lines to `write` for a while, then to stderr again."""
    setup(write)
    try:
        yield
    finally:
        setup()


def to_stderr(line: str) -> None:
    """Write a line to whatever `sys.stderr` is by now; a closed one is no reason to fail."""
    with contextlib.suppress(OSError, ValueError):
        print(line, file=sys.stderr, flush=True)


class _Lines(logging.Handler):
    """Hands each record over as one line: `error: fsmbot.doctor: what happened`."""

    def __init__(self, write: Write) -> None:
        super().__init__(logging.WARNING)
        self.write = write

    def emit(self, record: logging.LogRecord) -> None:
        """Format the record, and hand it over."""
        try:
            line = self.format(record)
        except Exception:  # a library's log call whose arguments do not fit its message
            line = safe_line(f"{record.levelname.lower()}: {record.name}: {record.msg}")
        self.write(line)

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line without control characters; an exception without its traceback."""
        line = f"{record.levelname.lower()}: {record.name}: {record.getMessage().strip()}"
        if record.exc_info and record.exc_info[1] is not None:
            line += f" ({self._told(record.exc_info[1])})"
        return safe_line(line)

    def _told(self, error: BaseException) -> str:
        """Return what an exception says; only its kind where nobody looks on, as it may quote a message."""
        if self.write is to_stderr and not sys.stderr.isatty():
            from fsmbot.limits import kind

            return kind(error)
        return f"{type(error).__name__}: {error}"
