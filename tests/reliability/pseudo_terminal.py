"""The program in a real pseudo-terminal: every byte that came out of it is kept."""

from __future__ import annotations

import codecs
import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Sequence
from pathlib import Path

from hostile import harmless

ROOT = Path(__file__).parent.parent.parent
GENEROUS = 20.0
"""Seconds in which something will surely have appeared, however busy the machine is."""

COLUMNS, ROWS = 2_200, 60
"""A terminal so wide that no batch of strings is broken into lines."""

LAYOUT = re.compile(
    r"\x1b\[(?:0(?:;\d+)*m|\?(?:7|12|25|2004)[hl]|\d*[ABCDJK]|0;0H|\?1l|6n)|\x07"  # prompt_toolkit's own
)
"""The sequences that prompt_toolkit writes; of the strings above, some are the same, so marks are needed."""


def visible(raw: bytes) -> str:
    """Return what came out, without prompt_toolkit's sequences; what is left must be harmless."""
    decoder = codecs.getincrementaldecoder("utf-8")()  # strict: no stray byte comes out
    return harmless(LAYOUT.sub("", decoder.decode(raw)))  # but the last character may be on its way


def _in_order(text: str, wanted: Sequence[str]) -> bool:
    """Return whether some texts stand one after the other in a text."""
    place = 0
    for one in wanted:
        place = text.find(one, place) + len(one)
        if place < len(one):
            return False
    return True


CONTINUED = bytes(range(0x80, 0xC0))
"""Bytes of UTF-8 that go on with a character, the first of which may have been read before."""


class Terminal:
    """The program in a pseudo-terminal; `raw` is all that came out of it."""

    def __init__(self, folder: Path, *arguments: str, columns: int = COLUMNS, **environment: str) -> None:
        self.raw, self.folder = b"", folder
        variables = {**os.environ, "TERM": "xterm-256color", "XDG_STATE_HOME": str(folder)}
        variables |= {"PYTHONPATH": str(ROOT), **environment}
        self.process, self._end = pty.fork()
        if self.process == 0:
            os.chdir(folder)
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))
            os.execve(sys.executable, [sys.executable, "-m", "fsmbot", *arguments], variables)
        os.set_blocking(self._end, False)

    def type(self, keys: str | bytes) -> None:
        """Press keys, and read meanwhile."""
        data = memoryview(keys.encode("utf-8", "surrogatepass") if isinstance(keys, str) else keys)
        while data:
            with contextlib.suppress(BlockingIOError):
                data = data[os.write(self._end, data[:4096]) :]
            self.read(0)

    def paste(self, text: str | bytes) -> None:
        """Paste a text as terminals do that bracket it."""
        data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
        self.type(b"\x1b[200~" + data + b"\x1b[201~")

    def read(self, wait: float = 0.01) -> bool:
        """Take what came out; return False when the program has ended."""
        if not select.select([self._end], [], [], wait)[0]:
            return True
        try:
            data = os.read(self._end, 1 << 20)
        except OSError:  # Linux says so when the other end is closed
            return False
        self.raw += data
        if b"\x1b[6n" in data:  # where is the cursor? At the top, so there is room for the toolbar
            os.write(self._end, b"\x1b[1;1R")
        return bool(data)

    def wait(self, *wanted: str, start: int = 0) -> str:
        """Wait until texts have come out one after the other since a place in `raw`; return what came."""
        deadline, seen = time.monotonic() + GENEROUS, -1
        while True:
            if len(self.raw) != seen:
                seen, text = len(self.raw), LAYOUT.sub("", self.raw[start:].decode("utf-8", "replace"))
                if _in_order(text, wanted):
                    return visible(self.raw[start:].lstrip(CONTINUED))
            assert time.monotonic() < deadline, f"waited for {wanted!r} in vain:\n{text[-2000:]!r}"
            assert self.read(0.1), f"it ended before {wanted!r}:\n{text[-2000:]!r}"

    def ask(self, message: str, until: str = "bot> Yes?", *, last: str = "| at ask") -> str:
        """Send a message, and return what came out until the next prompt is up, and its toolbar."""
        start = len(self.raw)
        self.paste(message)
        self.type("\r")
        return self.wait(until, "you> ", last, start=start)

    def leave(self) -> int:
        """Leave by Ctrl-D, and return the exit code."""
        self.type("\x04")
        while self.read(1.0):
            pass
        self.process, process = 0, self.process
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])

    def close(self) -> None:
        """End a process that still runs."""
        if self.process:
            os.kill(self.process, signal.SIGKILL)
            os.waitpid(self.process, 0)
        if self._end >= 0:
            os.close(self._end)
        self.process, self._end = 0, -1
