"""Small files that name a lot of work are refused or loaded at once, and in little memory."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.reliability.bombs import BOMBS
from tests.reliability.judging import REFUSED, assert_placed

ROOT = Path(__file__).parent.parent.parent
SECONDS, MEGABYTES, RUNS = 1.0, 200, 3

CHILD = """
import json, re, sys, time
from fsmbot import cli
start = time.perf_counter(), time.process_time()
code = cli.main(["check", sys.argv[1]])
wall, cpu = time.perf_counter() - start[0], time.process_time() - start[1]
# The kernel's highest mark of this very process; that of getrusage may be its parent's.
peak = int(re.search("VmHWM: *\\t *([0-9]+)", open("/proc/self/status").read())[1]) / 1024
json.dump([code, wall, cpu, peak], open(sys.argv[2], "w"))
"""


def explode(name: str, folder: Path) -> tuple[int, float, float, float, str]:
    """Check a bomb in a process of its own; return exit code, seconds by clock and by CPU, megabytes, and
    what it says."""
    files = BOMBS[name]()
    for file, text in files.items():
        (folder / file).write_text(text)
        assert len(text.encode()) <= 1_000_000
    figures = folder / "figures"
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(folder / next(iter(files))), str(figures)],
        cwd=ROOT, capture_output=True, encoding="utf-8", timeout=60,
    )  # fmt: skip
    assert figures.exists(), f"{name}: {done.stderr[-2000:]}"
    return (*json.loads(figures.read_text()), done.stderr)


def defused(name: str, folder: Path) -> tuple[float, float]:
    """Return seconds and megabytes of the best run, as the machine may have other things to do."""
    best = (float("inf"), float("inf"))
    for _ in range(RUNS):
        code, seconds, _, peak, said = explode(name, folder)
        assert code == (REFUSED if said else 0)
        assert_placed(said, excerpts=True)
        best = min(best, (seconds, peak))
        if seconds < SECONDS:
            break
    return best


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
@pytest.mark.parametrize(
    "name", ["a_billion_laughs", "nested_lists", "loops_of_one_node", "wrong_cases", "marks_on_letters"]
)
def test_bombs(tmp_path: Path, name: str) -> None:
    """Some of those that would do the most harm; by CPU time, as the machine may be busy."""
    code, _, seconds, peak, said = explode(name, tmp_path)
    assert (code == REFUSED) == bool(said)
    assert seconds < SECONDS
    assert peak < MEGABYTES


@pytest.mark.hard
@pytest.mark.timeout(1800)
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
@pytest.mark.promise(
    5, "bombs (aliases, depth, size, graphs, subflows): each is checked within 1 s and 200 MB"
)
def test_all_bombs(tmp_path: Path, reached: Callable[[str], None]) -> None:
    """Each is refused or loaded, in time and in little memory."""
    figures = {}
    for name in BOMBS:
        folder = tmp_path / name
        folder.mkdir()
        figures[name] = defused(name, folder)
    slow = {
        name: found for name, found in figures.items() if not (found[0] < SECONDS and found[1] < MEGABYTES)
    }
    assert not slow
    slowest, largest = max(t for t, _ in figures.values()), max(mb for _, mb in figures.values())
    reached(f"{len(figures)} bombs: at most {slowest:.2f} s and {largest:.0f} MB")
