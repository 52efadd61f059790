"""Files that hold conversations: their owner alone can read them, whatever the umask."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def make_private(number: int) -> None:
    """Take the rights of others from an open file; a device or pipe is left as it is."""
    if stat.S_ISREG(os.fstat(number).st_mode):
        os.fchmod(number, 0o600)


def write_private(path: Path, text: str, *, overwrite: bool = False) -> None:
    """Write a file of mode 0600; raises FileExistsError where one exists, unless `overwrite`."""
    flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if overwrite else os.O_EXCL)
    with open(os.open(path, flags, 0o600), "w", encoding="utf-8") as file:
        make_private(file.fileno())
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
