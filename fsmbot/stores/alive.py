"""Whether the process that wrote a note still lives, told by locks that end with their process.

Every process locks one byte of a file beside the store, at a place that it draws by lot. Process ids
would not do: they are given again, and a container cannot see those of another.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import threading
from pathlib import Path

_HELD: dict[Path, tuple[int, int]] = {}
"""Descriptor and place by file. A descriptor stays open as long as the process lives: closing any
one of a file ends all the locks that the process has on it."""

_LOCK = threading.Lock()

os.register_at_fork(after_in_child=_HELD.clear)  # a child inherits no locks


class Presence:
    """This process as others see it beside one store."""

    def __init__(self, store: Path) -> None:
        self._path = Path(f"{os.path.realpath(store)}-live")

    def number(self) -> int:
        """Return this process's place, which is locked from now on; raises OSError."""
        return self._held()[1]

    def is_alive(self, number: int) -> bool:
        """Say whether the process of that place lives; raises OSError."""
        descriptor, own = self._held()
        if number == own:
            return True
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
        except OSError:
            return True
        fcntl.lockf(descriptor, fcntl.LOCK_UN, 1, number)
        return False

    def _held(self) -> tuple[int, int]:
        with _LOCK:
            held = _HELD.get(self._path)
            if held is None or not _is_at(self._path, held[0]):
                held = _HELD[self._path] = _locked(self._path)
            return held


def _is_at(path: Path, descriptor: int) -> bool:
    """Say whether a file is still the one of that path: with its store it may have been removed."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _locked(path: Path) -> tuple[int, int]:
    """Return a descriptor of the file and a place in it, which is locked from now on; raises OSError."""
    descriptor, place = os.open(path, os.O_RDWR | os.O_CREAT, 0o600), secrets.randbits(40)
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX, 1, place)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor, place
