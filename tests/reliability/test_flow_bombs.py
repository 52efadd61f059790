"""Small files that name a lot of work are refused or loaded at once, and in little memory."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.reliability.bombs import BOMBS
from tests.reliability.judging import OK, REFUSED, assert_placed, check

ROOT = Path(__file__).parent.parent.parent
SECONDS, MEGABYTES, RUNS = 1.0, 200, 3

CHILD = """
import json, re, sys, time
from pathlib import Path
from fsmbot import cli

def waited():
    return int(Path("/proc/self/schedstat").read_text().split()[1]) / 1e9

start, before = time.perf_counter(), waited()
code = cli.main(["check", sys.argv[1]])
seconds = time.perf_counter() - start - (waited() - before)
# The highest mark of this very process; that of getrusage may be its parent's.
peak = int(re.search("VmHWM:\\\\s*(\\\\d+)", Path("/proc/self/status").read_text())[1]) / 1024
json.dump([code, seconds, peak], open(sys.argv[2], "w"))
"""
"""Counts seconds by the clock, but for those in which it waited for a processor that others had."""


def explode(name: str, folder: Path) -> tuple[float, float]:
    """Check a bomb in a process of its own; return seconds and megabytes."""
    files = BOMBS[name]()
    for file, text in files.items():
        assert len(text.encode()) <= 1_000_000, f"{name}: refused for its size alone"
        (folder / file).write_text(text)
    figures = folder / "figures"
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(folder / next(iter(files))), str(figures)],
        cwd=ROOT, capture_output=True, encoding="utf-8", timeout=60,
    )  # fmt: skip
    assert figures.exists(), f"{name}: {done.stderr[-2000:]}"
    code, seconds, peak = json.loads(figures.read_text())
    assert code == (REFUSED if done.stderr else OK)
    assert_placed(done.stderr, excerpts=True)
    return seconds, peak


def best(name: str, folder: Path) -> tuple[float, float]:
    """Return the figures of the first run that is quick enough, else of the quickest."""
    folder.mkdir()
    runs = []
    while not runs or (min(runs)[0] >= SECONDS and len(runs) < RUNS):
        runs.append(explode(name, folder))
    return min(runs)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("too_many_values", "more than 100,000 keys and values"),
        ("unknown_keys", "500 mistakes so far, and no more are looked for; mend these first"),
        (
            "too_many_nodes",
            "the flow has 10,001 nodes with those of its subflows; in all flows that are read",
        ),
        ("too_many_runs_of_a_subflow", "at most 10,000 may be"),
        ("hundreds_of_subflows", "flow 'b500.yaml' is not read; at most 500 other flows may be"),
        ("subflows_of_nothing_but_comments", "is not read; at most 1,000,000 bytes of other flows may be"),
        ("a_huge_key", "a key of 900,000 characters; at most 1,000 are read"),
        ("unknown_settings_of_a_node_with_a_long_name", "a name of 1,000 characters; at most 100 may be"),
        ("a_short_word_for_a_long_tag", "a line '%TAG' is not allowed; remove it"),
        ("nested_lists", "nested deeper than 40 levels"),
    ],
)
def test_each_limit_is_told(tmp_path: Path, name: str, told: str) -> None:
    """Who runs into a limit learns which it is."""
    files = BOMBS[name]()
    for file, text in files.items():
        (tmp_path / file).write_text(text)
    code, _, said = check(tmp_path / next(iter(files)))
    assert code == REFUSED
    assert told in said


NEEDS_PROC = pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="figures are read in /proc")


@NEEDS_PROC
@pytest.mark.parametrize(
    "name", ["a_billion_laughs", "nested_lists", "loops_of_one_node", "wrong_cases", "marks_on_letters"]
)
def test_bombs(tmp_path: Path, name: str) -> None:
    """Some of those that would do the most harm."""
    seconds, megabytes = best(name, tmp_path / name)
    assert seconds < SECONDS
    assert megabytes < MEGABYTES


@NEEDS_PROC
@pytest.mark.hard
@pytest.mark.timeout(1800)
@pytest.mark.promise(
    5, "bombs (aliases, depth, size, graphs, subflows): each is checked within 1 s and 200 MB"
)
def test_all_bombs(tmp_path: Path, reached: Callable[[str], None]) -> None:
    """Each is refused or loaded, in time and in little memory."""
    found = {name: best(name, tmp_path / name) for name in BOMBS}
    assert not {name: figures for name, figures in found.items() if not figures[0] < SECONDS}
    assert not {name: figures for name, figures in found.items() if not figures[1] < MEGABYTES}
    slowest, largest = max(s for s, _ in found.values()), max(mb for _, mb in found.values())
    reached(f"{len(found)} bombs: at most {slowest:.2f} s and {largest:.0f} MB")
