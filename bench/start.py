"""How long commands take from the shell: whole processes, from start to exit or to the first words.

    python bench/start.py [ROUNDS]

Subjects take turns, so that a drift of the machine's speed hits them alike; the bare interpreter is
the floor. The doctor's first words need the base model in the cache (`python -m fsmbot.doctor fetch`).
"""

from __future__ import annotations

import os
import pty
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parent.parent
TALK = ["-m", "fsmbot", "--flow", "flows/doctor.yaml"]
QUESTION = b"I have had a sore throat for three days, what can I do?\n"


def whole(*arguments: str, said: bytes = b"") -> Callable[[], float]:
    """Return a function that runs a process to its end and returns the seconds."""

    def run() -> float:
        start = time.perf_counter()
        command = [sys.executable, *arguments]
        subprocess.run(command, cwd=ROOT, input=said, stdout=subprocess.DEVNULL, check=True)
        return time.perf_counter() - start

    return run


def first_prompt() -> float:
    """Return the seconds until the REPL's prompt stands on a terminal."""
    start = time.perf_counter()
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(ROOT)
        os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp()
        os.execv(sys.executable, [sys.executable, *TALK])
    shown = b""
    while b"you>" not in shown:
        shown += os.read(terminal, 65536)
    seconds = time.perf_counter() - start
    os.write(terminal, b"\x04")
    os.waitpid(child, 0)
    os.close(terminal)
    return seconds


def first_words() -> float:
    """Return the seconds from process start to the doctor's first words."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *TALK], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(QUESTION)
    process.stdin.close()
    process.stdout.readline()  # the prompt
    os.read(process.stdout.fileno(), 1)
    seconds = time.perf_counter() - start
    process.stdout.read()
    process.wait()
    return seconds


SUBJECTS: dict[str, Callable[[], float]] = {
    "python -c pass": whole("-c", "pass"),
    "python -c 'import fsmbot'": whole("-c", "import fsmbot"),
    "fsmbot --help": whole("-m", "fsmbot", "--help"),
    "fsmbot check flows/doctor.yaml": whole("-m", "fsmbot", "check", "flows/doctor.yaml"),
    "a greeting answered (piped)": whole(*TALK, said=b"hello\n"),
    "first prompt on a terminal": first_prompt,
}


def main() -> None:
    """Print a table of milliseconds."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    times: dict[str, list[float]] = {name: [] for name in SUBJECTS}
    for _ in range(rounds + 1):
        for name, run in SUBJECTS.items():
            times[name].append(run())
    times = {name: values[1:] for name, values in times.items()}  # the first round warms the file cache
    times["the doctor's first words, model cached"] = [first_words() for _ in range(3)]
    print("| milliseconds | median | min | max |\n| --- | ---: | ---: | ---: |")
    for name, values in times.items():
        ms = [value * 1000 for value in values]
        print(f"| {name} | {statistics.median(ms):.0f} | {min(ms):.0f} | {max(ms):.0f} |")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
    print(f"\nPeak memory of the largest of these processes: {peak:.2f} GB")


if __name__ == "__main__":
    main()
