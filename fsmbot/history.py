"""The REPL's history of typed lines: a file that its owner alone can read, a JSON string a line."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

from prompt_toolkit.history import History

from fsmbot.plainfile import plain_size
from fsmbot.private import make_private_folder, open_private, state_folder

MAX_BYTES = 1 << 20
"""How much of the file's end is read; a file twice as long is cut to it."""


def default_path() -> Path:
    """Return where typed lines are kept."""
    return state_folder() / "history"


class PrivateHistory(History):
    """Keeps lines in a file of mode 0600 in a folder of mode 0700, whatever the umask.

    Where the file cannot be used, lines are kept in memory only and `problem` tells why.
    """

    def __init__(self, path: Path | None = None) -> None:
        super().__init__()
        self.path = path or default_path()
        self.problem = ""
        try:
            make_private_folder(self.path.parent)
            self._append(b"")
            self._shorten()
        except OSError as error:
            self._give_up(error)

    def load_history_strings(self) -> Iterable[str]:
        """Yield the lines of the file, the last one first; damaged ones are passed over."""
        try:
            lines = self._tail().splitlines()
        except OSError as error:
            self._give_up(error)
            return
        for line in reversed(lines):
            try:
                text = json.loads(line)
            except ValueError:  # a line cut short
                continue
            if isinstance(text, str):
                yield text

    def store_string(self, string: str) -> None:
        """Append a line to the file."""
        if not self.problem:
            try:
                self._append(json.dumps(string).encode() + b"\n")
            except OSError as error:
                self._give_up(error)

    def _append(self, data: bytes) -> None:
        with open(open_private(self.path, os.O_APPEND | os.O_NONBLOCK), "ab") as file:
            file.write(data)

    def _tail(self) -> bytes:
        """Return the last MAX_BYTES of the file; a line that the cut leaves incomplete is no JSON."""
        start = max(0, plain_size(self.path) - MAX_BYTES)
        with self.path.open("rb") as file:
            file.seek(start)
            return file.read()

    def _shorten(self) -> None:
        """Keep the file from growing for ever."""
        if self.path.stat().st_size <= 2 * MAX_BYTES:
            return
        _, _, tail = self._tail().partition(b"\n")
        new = self.path.with_name(f"{self.path.name}.{os.getpid()}.new")
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(tail)
        new.replace(self.path)

    def _give_up(self, error: OSError) -> None:
        self.problem = f"the history is kept in memory only: {self.path}: {error.strerror or error}"
