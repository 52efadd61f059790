"""Checks every file in a folder, and prints what fsmbot imported, opened, listed or ran for each.

Run in an interpreter of its own, as an audit hook cannot be taken back: a JSON object a line. Another
folder has the files that are checked before, so that everything is imported that is imported when needed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tests.reliability.judging import check

READS = ("open", "os.listdir", "os.scandir", "os.chdir", "os.mkfifo", "os.link", "os.symlink")
"""What touches a file or folder, with its path as the first argument."""

RUNS = ("import", "exec", "compile", "marshal.", "pickle.", "ctypes.", "subprocess.", "socket.", "os.exec")
RUNS += ("os.fork", "os.posix_spawn", "os.spawn", "os.system", "shutil.", "urllib.", "webbrowser.", "ftplib.")
"""What brings in or runs other code, or goes elsewhere."""


class Audit:
    """Keeps what happens while it is told to listen."""

    def __init__(self) -> None:
        self.files: list[str] = []
        self.runs: list[str] = []
        self.listening = False
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.listening:
            return
        if event in READS and not isinstance(arguments[0], int):
            self.files.append(str(Path(str(arguments[0])).absolute()))
        elif event.startswith(RUNS):
            self.runs.append(f"{event} {str(arguments[:1])[:200]}")

    def of(self, path: Path) -> dict[str, Any]:
        """Return what happens while a file is checked, and what is said."""
        self.files, self.runs, self.listening = [], [], True
        _, out, err = check(path)
        self.listening = False
        return {"path": path.name, "said": out + err, "files": self.files, "runs": self.runs}


def main(before: Path, folder: Path) -> None:
    """Check what is in `before`, then, with open ears, each flow and test file of `folder`."""
    audit = Audit()
    for path in sorted(before.glob("*.yaml")):
        check(path)
    for path in sorted(folder.glob("check-*.yaml")):
        print(json.dumps(audit.of(path)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
