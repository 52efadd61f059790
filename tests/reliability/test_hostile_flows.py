"""Flow and test files that nobody would write by hand: mutated, generated, fuzzed.

Each is loaded from the disk and checked by `fsmbot check`. What comes out is a flow that can be drawn, or
a refusal whose every line names file, line and column; never a traceback.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings

from tests.reliability.bombs import ONE
from tests.reliability.fuzzer import Fuzzer
from tests.reliability.generated import FILES
from tests.reliability.judging import check, judge
from tests.reliability.mutations import REAL, RUN_BY, mutated

ROOT = Path(__file__).parent.parent.parent
Reached = Callable[[str], None]


# Mutated files


@pytest.fixture
def flows(tmp_path: Path) -> Path:
    """A folder with the flows and test files of the repository."""
    for name, data in REAL.items():
        (tmp_path / name).write_bytes(data)
    return tmp_path


def judge_mutated(folder: Path, count: int) -> int:
    """Mutate a file, and judge it and the flow that runs it, so many times; return how many are accepted."""
    accepted = 0
    for seed in range(count):
        random = Random(seed)
        name = random.choice(list(REAL))
        (folder / name).write_bytes(mutated(REAL[name], random))
        try:
            accepted += judge(folder / name)
            judge(folder / RUN_BY.get(name, name))
            if seed % 250 == 0:
                as_program(folder / name)
        except BaseException as error:
            error.add_note(f"{name}, seed {seed}")
            raise
        (folder / name).write_bytes(REAL[name])
    return accepted


def as_program(path: Path) -> None:
    """What a program started by a user prints is what `check` printed in this process."""
    done = subprocess.run(
        [sys.executable, "-m", "fsmbot", "check", str(path)],
        cwd=ROOT, capture_output=True, encoding="utf-8", env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == check(path)


def test_mutated_files(flows: Path) -> None:
    """Bytes flipped, lines moved, words replaced, structure changed: a flow or a refusal with its place."""
    assert judge_mutated(flows, 100) > 0


@pytest.mark.hard
@pytest.mark.timeout(3600)
@pytest.mark.promise(
    5, "mutated flow and test files give no traceback; every line of a refusal names a place"
)
def test_ten_thousand_mutated_files(flows: Path, reached: Reached) -> None:
    """The same, until it is worth counting."""
    count = 10_000
    accepted = judge_mutated(flows, count)
    reached(f"0 of {count:,} ({accepted:,} accepted, {count // 250} run as a program, too)")


@pytest.mark.parametrize("name", ["field.yaml", "doctor.yaml"])
def test_files_as_editors_on_other_systems_save_them(flows: Path, name: str) -> None:
    """UTF-16, UTF-32 and Latin-1 are refused at the first byte that is no UTF-8; a mark before it counts
    as nothing."""
    for codec in ("utf-16", "utf-16-be", "utf-32", "latin-1", "utf-8-sig"):
        (flows / name).write_bytes((REAL[name].decode() + "\n# é").encode(codec))
        assert judge(flows / name) == (codec == "utf-8-sig")
    (flows / name).write_bytes(b"\xef\xbb\xbfname: \xff")
    assert f"{name}:1:7: byte 0xff is not UTF-8" in check(flows / name)[2]


# Generated files


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the flows of the repository, for files beside them."""
    made = tmp_path_factory.mktemp("generated")
    for name, data in REAL.items():
        (made / name).write_bytes(data)
    return made


def judge_generated(folder: Path, data: bytes) -> None:
    """Judge what was generated, both as a flow and as a test file."""
    for name in ("generated.yaml", "generated.test.yaml"):
        (folder / name).write_bytes(data)
        judge(folder / name)


QUIET = settings(deadline=None, suppress_health_check=list(HealthCheck))


@settings(QUIET, max_examples=150)
@given(data=FILES)
def test_generated_files(folder: Path, data: bytes) -> None:
    """Whatever Hypothesis makes up, from data or from text, is a flow or a refusal with its place."""
    judge_generated(folder, data)


@pytest.mark.hard
@pytest.mark.timeout(3600)
@pytest.mark.promise(5, "files that Hypothesis generates give no traceback, as flows and as test files")
def test_ten_thousand_generated_files(folder: Path, reached: Reached) -> None:
    """The same, until it is worth counting."""
    count = 10_000

    @settings(QUIET, max_examples=count, database=None)
    @given(data=FILES)
    def run(data: bytes) -> None:
        judge_generated(folder, data)

    run()
    reached(f"0 of {count:,}, each read as a flow and as a test file")


# What a coverage-guided fuzzer makes of them


def fuzz(folder: Path, count: int) -> Fuzzer:
    """Try so many files, each of which follows one that went a new way."""
    fuzzer = Fuzzer(folder, Random(1))
    for _ in range(count):
        fuzzer.step()
    return fuzzer


def test_fuzzed_files(tmp_path: Path) -> None:
    """A file that takes the loader a new way is mutated further, and none gets a traceback out of it."""
    fuzzer = fuzz(tmp_path, 30)
    assert len(fuzzer.kept) > len(REAL)


@pytest.mark.hard
@pytest.mark.timeout(7200)
@pytest.mark.promise(5, "a coverage-guided fuzzer finds no traceback and no refusal without its place")
def test_ten_thousand_fuzzed_files(tmp_path: Path, reached: Reached) -> None:
    """The same, until it is worth counting."""
    count = 10_000
    fuzzer = fuzz(tmp_path, count)
    new = len(fuzzer.kept) - len(REAL)
    reached(f"0 of {count:,} ({new:,} of them went a new way, {len(fuzzer.edges):,} steps from line to line)")


FOUND = {
    "no next where the flow names its ends": (
        "outcomes: [done]\nstart: a\nnodes:\n  a: {handler: say, text: x}\n",
        ["4:3: node 'a' has no 'next'"],
    ),
    "no node where the flow names its ends": (
        "outcomes: [done]\nstart: a\nnodes: {a: x}\n",
        ["3:12: node 'a' must be a map"],
    ),
    "a map for what may be a handler": (
        "start: a\nnodes:\n  a: {type: {x: 1}, next: end}\n",
        ["3:3: node 'a': unknown handler 'a'"],
    ),
    "a line break in a name": (
        'start: "a\\nb"\nnodes:\n  a: {handler: "x\\u2028y\\e[2J", next: end}\n',
        ["1:8: start names unknown node 'a\\nb'", "3:16: node 'a': unknown handler 'x\\u2028y\\x1b[2J'"],
    ),
    "a bracket left open before a comment that closes one": (
        "start: a\ncommands: { #back]}\n  x: # y",
        ["2:11: the bracket that opens here is never closed"],
    ),
    "a bracket left open in the last line": (
        "start: [",
        ["1:8: the bracket that opens here is never closed"],
    ),
    "a name too long for any file": (
        f"start: a\nnodes:\n  a: {{flow: {'x' * 300}.yaml, next: end}}\n",
        [f"3:13: node 'a': flow '{'x' * 300}.yaml' does not exist"],
    ),
    "a setting too long for any file": (
        f"start: a\nresources: {{doctor: {{adapter: {'x' * 300}}}}}\n{ONE.partition(chr(10))[2]}",
        ["2:31: resource 'doctor': adapter: "],
    ),
    "a folder with NUL in its name": (
        'start: a\nnodes:\n  a: {flow: "x\\0/b.yaml", next: end}\n',
        ["3:13: node 'a': flow 'x\\x00/b.yaml' must be in this flow's folder"],
    ),
    "a link that leads to itself": (
        "start: a\nnodes:\n  a: {flow: round.yaml, next: end}\n",
        ["3:13: node 'a': flow 'round.yaml' does not exist"],
    ),
}
"""Files that gave a traceback once, or a line without a place, and what is said to them now."""


@pytest.mark.parametrize("what", FOUND)
def test_what_was_found_stays_mended(tmp_path: Path, what: str) -> None:
    """Each of these is told what is wrong with it."""
    text, expected = FOUND[what]
    (tmp_path / "round.yaml").symlink_to("round.yaml")
    path = tmp_path / "main.yaml"
    path.write_text(text)
    assert not judge(path)
    lines = [line for line in check(path)[2].splitlines() if not line.startswith("    ")]
    assert len(lines) == len(expected)
    for line, start in zip(lines, expected, strict=True):
        assert line.startswith(f"{path}:{start}")
