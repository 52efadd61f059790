"""Files that hold conversations: their owner alone can read them, whatever the umask."""

from __future__ import annotations

import os
from pathlib import Path


def write_private(path: Path, text: str, *, overwrite: bool = False) -> None:
    """Write a file of mode 0600; raises FileExistsError where one exists, unless `overwrite`."""
    flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if overwrite else os.O_EXCL)
    with open(os.open(path, flags, 0o600), "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(text)
