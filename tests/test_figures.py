"""The README's figures are those that the benchmarks found, and the benchmarks are whole."""

from __future__ import annotations

import json
import re
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
    from suite.blocks import BLOCKS
    from suite.readme import shaped

    for name, block in BLOCKS.items():
        assert f"<!-- figures:{name} -->" in README
        assert shaped(block, known()).count("\n|") > 2, name


@pytest.mark.usefixtures("suite")
def test_the_report_tells_what_was_measured() -> None:
    """RESULTS.md has each target with its figure, each table and each plot; else `run.py --report`."""
    from suite.markdown import report
    from suite.targets import TARGETS, verdicts

    text, found = (BENCH / "RESULTS.md").read_text(), known()
    plots = re.findall(r"!\[\]\((plots/(\w+)-[\w-]+\.svg)\)", text)
    drawn = {subject: [path for path, name in plots if name == subject] for subject in found}
    assert report(found, verdicts(found, TARGETS), drawn) == text
    assert {path for path, _ in plots} == {f"plots/{path.name}" for path in (BENCH / "plots").glob("*.svg")}


@pytest.mark.usefixtures("suite")
def test_every_missed_target_has_its_reason() -> None:
    """A target is not missed without a word about why."""
    from suite.targets import TARGETS, verdicts

    assert [v.text for v in verdicts(known(), TARGETS) if v.reason == "not explained yet"] == []


def test_no_figure_that_was_taken_quickly_is_shown() -> None:
    """A quick run is rough."""
    assert [name for name, stored in known().items() if stored["quick"]] == []


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
