"""Reading files that somebody else made: ordinary files alone, and no more of them than was agreed on.

A pipe would be waited for, a device would never end, and a reader that takes a file's word for its own
size would ask for terabytes. Links are followed: caches of models are made of them.
"""

from __future__ import annotations

import errno
import stat
from pathlib import Path


def plain_size(path: Path) -> int:
    """Return the size of an ordinary file; raises OSError for anything else, and where nothing is."""
    try:
        found = path.stat()
    except ValueError as error:  # a name that no file can have
        raise OSError(errno.EINVAL, str(error), str(path)) from error
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "it is no ordinary file", str(path))
    return found.st_size


def read_plain(path: Path, most: int) -> bytes:
    """Return what an ordinary file of at most `most` bytes holds; raises OSError."""
    size = plain_size(path)
    if size > most:
        raise OSError(errno.EFBIG, f"it has {size:,} bytes, and at most {most:,} are read", str(path))
    with path.open("rb") as file:
        return file.read(size)


def why(error: BaseException) -> str:
    """Return what an error says in words: an OSError without its number and the path."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
