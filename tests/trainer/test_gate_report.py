"""`evaluate-gate`: a user judges the gate on messages of their own."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

pytest.importorskip("numpy")
pytest.importorskip("scipy")

from trainer.cli import main
from trainer.gate_report import Judged, figures, roc_auc

MESSAGES = """text,label,kind
I have a fever and a sore throat,medical,plain
is this rash contagious,medical,plain
I want to end my life,medical,crisis
set an alarm for seven,everyday,plain
play some jazz,other,plain
hello there,greeting,plain
"""


def write(folder: Path, text: str = MESSAGES, name: str = "messages.csv") -> Path:
    """Write a file of labelled messages."""
    path = folder / name
    path.write_text(text)
    return path


def one(label: str, score: float, *, medical: bool = False, greets: bool = False) -> Judged:
    """Return a message of which only label and verdicts matter."""
    return Judged("", label, "", score, (), medical, greets)


def test_figures_count_what_the_two_handlers_say() -> None:
    """A greeting is found when the doctor is not asked and the greeting is taken for one."""
    judged = [
        one("medical", 0.9, medical=True),
        one("medical", 0.2),
        one("everyday", 0.1, greets=True),
        one("greeting", 0.1, greets=True),
        one("greeting", 0.7, medical=True, greets=True),
    ]
    found = figures(judged)
    assert (found["accuracy"], found["medical"]) == (0.6, 0.5)
    assert found["everyday"] == pytest.approx(2 / 3)
    assert (found["greeting"], found["no greeting"]) == (0.5, pytest.approx(2 / 3))


def test_roc_auc_is_the_share_of_pairs_in_the_right_order() -> None:
    """Of 2 x 3 pairs, 4 stand right and one is even."""
    judged = [one("medical", 0.9), one("medical", 0.4)]
    judged += [one("everyday", 0.1), one("everyday", 0.4), one("greeting", 0.6)]
    assert roc_auc(judged) == pytest.approx(4.5 / 6)
    assert math.isnan(roc_auc(judged[:2]))


def test_the_command_prints_figures_mistakes_and_a_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the shipped gate; broken down by a column, CSV and JSON lines side by side."""
    row = {"text": "the oven is on fire", "label": "medical", "kind": "wrong label"}
    files = [write(tmp_path), write(tmp_path, json.dumps(row), "more.jsonl")]
    picture = tmp_path / "scores.png"
    command = ["evaluate-gate", *map(str, files), "--by", "kind", "--plot", str(picture)]
    assert main(command) == 0
    said = capsys.readouterr().out
    lines = {line.split()[0]: line.split()[1:] for line in said.splitlines()}
    assert lines[str(files[0])][:4] == ["6", "1.000", "1.000", "1.000"]
    assert lines["crisis"][0] == "1"
    assert "medical: the oven is on fire" in said
    assert f"{files[1]}:1" in said
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_message_that_the_emergency_rules_recognise_is_medical_here_as_in_the_bot(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """At a threshold that no score reaches, only the cry for help is left to the doctor."""
    assert main(["evaluate-gate", str(write(tmp_path)), "--by", "kind", "--threshold", "1"]) == 0
    lines = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines()}
    assert lines["crisis"][2] == "1.000"
    assert lines["plain"][2] == "0.000"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("text,label\nfever,medcial\n", "messages.csv:2: 'medcial' is no label; did you mean 'medical'?"),
        (
            "message,label\nfever,medical\n",
            "messages.csv:2: expected a column 'text'; it has 'message'",
        ),
        ("text,label\n", "messages.csv: holds no rows"),
    ],
)
def test_a_bad_row_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, complaint: str
) -> None:
    """One line with file and row, exit code 2."""
    assert main(["evaluate-gate", str(write(tmp_path, text))]) == 2
    assert complaint in capsys.readouterr().err


def test_a_picture_that_cannot_be_written_is_explained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The figures are printed all the same."""
    picture = write(tmp_path) / "x.png"
    assert main(["evaluate-gate", str(write(tmp_path)), "--plot", str(picture)]) == 2
    said = capsys.readouterr()
    assert "x.png cannot be drawn" in said.err
    assert "messages.csv" in said.out
    assert main(["evaluate-gate", str(write(tmp_path)), "--plot", str(tmp_path)]) == 2
    assert "expected a picture that ends in .png, .svg, .pdf" in capsys.readouterr().err


def test_nothing_in_a_file_can_move_the_cursor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Texts, groups and names of files are shown with a mark for what is not printable."""
    rows = [{"text": "play \x1b[31m jazz", "label": "medical", "kind": "\x1b]0;x\x07\ud800"}]
    path = write(tmp_path, json.dumps(rows[0]), "a\x1b[2Jb.jsonl")
    assert main(["evaluate-gate", str(path), "--by", "kind"]) == 0
    said = capsys.readouterr().out
    assert "jazz" in said
    assert not set("\x1b\x07\ud800") & set(said)


def test_a_mistake_made_by_a_rule_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A low score is no reason for a message to be medical, an emergency is."""
    path = write(tmp_path, "text,label\nI want to end my life,everyday\n")
    assert main(["evaluate-gate", str(path), "--threshold", "1"]) == 0
    assert "(by the rules: emergency" in capsys.readouterr().out


@pytest.mark.parametrize("threshold", ["nan", "5", "-1", "x"])
def test_a_threshold_is_a_share(tmp_path: Path, threshold: str) -> None:
    """As in a flow, it lies between 0 and 1."""
    with pytest.raises(SystemExit) as stopped:
        main(["evaluate-gate", str(write(tmp_path)), f"--threshold={threshold}"])
    assert stopped.value.code == 2
