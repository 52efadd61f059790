"""The README's figures are those that the benchmarks found, and the benchmarks are whole."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
BENCH = ROOT / "bench"
README = (ROOT / "README.md").read_text()


@pytest.fixture
def suite(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let tests import what the benchmarks share, as bench/run.py does."""
    monkeypatch.syspath_prepend(str(BENCH))


def known() -> dict[str, dict[str, object]]:
    """Return what the benchmarks have kept."""
    found: dict[str, dict[str, object]] = json.loads((BENCH / "results.json").read_text())
    return found


@pytest.mark.usefixtures("suite")
def test_the_readme_shows_what_was_measured() -> None:
    """If not, write its tables anew: `python bench/run.py --readme`."""
    from suite.readme import renewed

    assert renewed(README, known()) == README


@pytest.mark.usefixtures("suite")
def test_the_figures_of_the_gate_and_the_rules_are_those_of_today() -> None:
    """Who changes them measures anew: `python bench/run.py quality`."""
    from dataclasses import asdict

    from quality import doctor, emergencies, gate
    from suite.results import rounded

    kept: Any = known()["quality"]["tables"]
    for name, table in {"gate": gate(), "emergencies": emergencies(), "doctor": doctor()}.items():
        assert rounded(asdict(table)) == kept[name], name


@pytest.mark.usefixtures("suite")
def test_every_block_of_figures_stands_in_the_readme() -> None:
    """None is forgotten, and none is empty."""
    from suite.readme import BLOCKS, shaped

    for name, block in BLOCKS.items():
        assert f"<!-- figures:{name} -->" in README
        assert shaped(block, known()).count("\n|") > 2, name


@pytest.mark.usefixtures("suite")
def test_the_targets_in_the_results_are_judged_by_the_figures() -> None:
    """RESULTS.md has a line for each target, with the figure of results.json and what became of it."""
    from suite.markdown import targets
    from suite.targets import TARGETS, verdicts

    assert targets(verdicts(known(), TARGETS)) in (BENCH / "RESULTS.md").read_text()


@pytest.mark.usefixtures("suite")
def test_a_figure_that_was_not_measured_is_left_out() -> None:
    """A row of the README with a gap is no row."""
    from suite.readme import fill

    measured = {"engine": {"tables": {"idle": {"rows": {"fsmbot": {"bytes": 1234.5}}}}}}
    assert fill("{engine|idle|fsmbot|bytes} bytes", measured) == "1,234 bytes"
    assert fill("{engine|idle|fsmbot|bytes*0.001} kB", measured) == "1.23 kB"
    assert fill("{engine|idle|fsmbot|bytes} of {engine|idle|Burr|bytes}", measured) == ""


def worker(*arguments: str, said: str = "") -> list[object]:
    """Run one worker of the benchmarks, and return its lines."""
    done = subprocess.run(
        [sys.executable, str(BENCH / "peers" / "worker.py"), *arguments],
        input=said, capture_output=True, text=True, timeout=60, check=True, cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
    )  # fmt: skip
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("module", "variant"),
    [
        ("by_hand", "turn"),
        ("by_hand", "sqlite_conversation"),
        ("with_fsmbot", "conversation"),
        ("with_fsmbot", "turn"),
        ("with_fsmbot", "memory_turn"),
        ("with_fsmbot", "sqlite_conversation"),
        ("with_fsmbot", "sqlite_turn"),
    ],
)
def test_what_is_timed_gives_the_right_answers(module: str, variant: str) -> None:
    """A worker checks every answer before it times anything, then tells microseconds."""
    facts, one, many = worker("time", module, variant, said="1\n5\n")
    assert isinstance(facts, dict)
    assert facts["texts"] == 3
    assert one > 0 < many  # type: ignore[operator]


def test_a_large_flow_is_walked_from_end_to_end() -> None:
    """Each turn passes through six of its nodes; the last leads to the end."""
    (found,) = worker("call", "large_flow", "walk", "600")
    assert isinstance(found, dict)
    assert found["turns"] == 100


def test_idle_sessions_are_weighed_with_and_without_their_history() -> None:
    """What remains without its history is less."""
    (found,) = worker("idle", "with_fsmbot", "idle", "200")
    assert isinstance(found, dict)
    assert 0 < found["bytes besides history"] < found["bytes"]
