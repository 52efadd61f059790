"""How long commands take from the shell, and what they load.

    python bench/start.py [ROUNDS]

Whole processes, one after the other in turn; the bare interpreter is the floor.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import fsmbot": ["-c", "import fsmbot"],
    "fsmbot --help": ["-m", "fsmbot", "--help"],
    "fsmbot check": ["-m", "fsmbot", "check", "flows/doctor.yaml"],
    "a greeting answered": ["-m", "fsmbot", "--flow", "flows/doctor.yaml"],
}


def run(arguments: list[str]) -> float:
    """Return the wall time of one process in milliseconds."""
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, input=b"hello\n", stdout=subprocess.DEVNULL, check=True
    )
    return (time.perf_counter() - start) * 1000


def main() -> None:
    """Print medians."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(rounds + 1):
        for name, arguments in COMMANDS.items():
            times[name].append(run(arguments))
    print("| milliseconds | median | min | max |\n| --- | ---: | ---: | ---: |")
    for name, values in times.items():
        counted = values[1:]  # the first round warms the file cache
        print(f"| {name} | {statistics.median(counted):.0f} | {min(counted):.0f} | {max(counted):.0f} |")


if __name__ == "__main__":
    main()
