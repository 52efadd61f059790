"""Files that hold conversations: their owner alone can read them, whatever the umask."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


def make_private(number: int) -> None:
    """Take the rights of others from an open file; a device or pipe is left as it is."""
    if stat.S_ISREG(os.fstat(number).st_mode):
        os.fchmod(number, 0o600)


def open_private(path: str | Path, flags: int) -> int:
    """Open a file of mode 0600 for writing, made if need be; return its descriptor.

    A link is refused, as whoever put it there would choose what is written over. Raises OSError.
    """
    try:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | flags, 0o600)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(
                errno.ELOOP, "it is a link to another file; remove it, or name that file"
            ) from error
        raise
    try:
        make_private(number)
    except OSError:  # a file of somebody else's, which this user may write
        os.close(number)
        raise
    return number


def write_private(path: Path, text: str, *, overwrite: bool = False) -> None:
    """Write a file of mode 0600; raises FileExistsError where one exists, unless `overwrite`."""
    flags = os.O_NONBLOCK | (os.O_TRUNC if overwrite else os.O_EXCL)  # a pipe is not waited for
    with open(open_private(path, flags), "w", encoding="utf-8") as file:
        file.write(text)


def state_folder() -> Path:
    """Return `$XDG_STATE_HOME/fsmbot`; the variable counts only if its path is absolute."""
    base = os.environ.get("XDG_STATE_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path(os.path.expanduser("~/.local/state"))) / "fsmbot"


def make_private_folder(folder: Path) -> None:
    """Make a folder and those above it that are missing, each for the owner alone."""
    if not folder.parent.exists():
        make_private_folder(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.name == "fsmbot":
        folder.chmod(0o700)
