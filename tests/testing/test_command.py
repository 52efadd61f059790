"""`fsmbot test` at the command line: what it prints, writes, and returns."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from fsmbot.cli import main

FLOW = """start: ask_user
nodes:
  ask_user: {next: check_greeting}
  check_greeting: {next: {greeting: ans_greeting, other: static_idk_msg}}
  ans_greeting: {next: end}
  static_idk_msg: {next: end}
"""
GREETS = "tests:\n  greets:\n    - user: hello\n      visits: [check_greeting, ans_greeting]\n"
WRONG = GREETS.replace("ans_greeting", "static_idk_msg")
SHRUGS = "flow: talk.yaml\ntests:\n  shrugs:\n    - user: capital of France?\n      says: Sorry\n"


CARET = "    tests: {t: [{visits: [ask_usr]}]}\n                          ^\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a flow and a test that covers half of it."""
    (tmp_path / "talk.yaml").write_text(FLOW)
    (tmp_path / "talk.test.yaml").write_text(GREETS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


HALF = (
    "talk.yaml: 1 test, 0 failed; coverage 3 of 4 nodes, 3 of 5 routes (66%)\n"
    "  not covered: node static_idk_msg\n"
    "  not covered: check_greeting other -> static_idk_msg\n"
    "  not covered: static_idk_msg -> end\n"
)


@pytest.mark.parametrize("path", ["talk.yaml", "talk.test.yaml", "."])
def test_a_flow_a_test_file_or_a_folder_may_be_named(
    path: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All three run the same test, and print a line a flow and what is not covered."""
    assert main(["test", path]) == 0
    assert capsys.readouterr().out == HALF


def test_a_failure_is_a_block_of_three_lines(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where and what, expected, seen; the exit code is 1."""
    (folder / "talk.test.yaml").write_text(WRONG)
    assert main(["test", "talk.yaml"]) == 1
    assert capsys.readouterr().out.startswith(
        "talk.test.yaml:4:15: greets: visits\n"
        "  expected  check_greeting, static_idk_msg\n"
        "  seen      check_greeting, ans_greeting\n"
        "talk.yaml: 1 test, 1 failed; coverage "
    )


def test_a_stub_that_fails_on_purpose_is_no_news(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was logged meanwhile is shown where a test failed, and nowhere else."""
    Path("doctor.yaml").write_text(
        "start: ask_user\nnodes: {ask_user: {next: ask_doctor}, ask_doctor: {next: end}}\n"
    )
    good = "stub: {doctor: {fails: no model}}\ntests:\n  a: [{user: a headache, says: SAID}]\n"
    Path("doctor.test.yaml").write_text(good.replace("SAID", "Sorry"))
    assert main(["test", "doctor.test.yaml"]) == 0
    assert capsys.readouterr().err == ""
    Path("doctor.test.yaml").write_text(good.replace("SAID", "of course"))
    assert main(["test", "doctor.test.yaml"]) == 1
    assert "the model failed" in capsys.readouterr().err


def test_test_files_of_one_flow_count_together(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line for the flow; a file that is named twice runs once."""
    (folder / "more.test.yaml").write_text(SHRUGS)
    assert main(["test", ".", str(folder / "talk.yaml"), "--min-coverage", "100"]) == 0
    out = capsys.readouterr().out
    assert out == "talk.yaml: 2 tests in 2 files, 0 failed; coverage 4 of 4 nodes, 5 of 5 routes (100%)\n"


def test_too_little_coverage_fails(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The share is that of nodes and routes together, 6 of 9 here, and is not rounded up."""
    assert main(["test", ".", "--min-coverage", "66.6"]) == 0
    assert main(["test", ".", "--min-coverage", "66.7"]) == 1
    assert capsys.readouterr().out.endswith("  coverage is 66.7%, and at least 66.7% is asked for\n")


def test_only_some_tests_run_and_coverage_is_not_judged(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`-k` looks into names, whatever the case; none of that name is a wrong command line."""
    (folder / "talk.test.yaml").write_text(GREETS + SHRUGS.partition("tests:\n")[2])
    assert main(["test", ".", "-k", "GREET"]) == 0
    assert capsys.readouterr().out == "talk.yaml: 1 test, 1 left out, 0 failed\n"
    assert main(["test", ".", "-k", "GREET", "--min-coverage", "100"]) == 2
    assert "--min-coverage cannot be judged" in capsys.readouterr().err
    assert main(["test", ".", "-k", "nobody"]) == 2
    assert capsys.readouterr().err == "fsmbot: no test has a name that contains 'nobody'\n"


def test_a_broken_file_does_not_hide_the_others(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its mistakes are on stderr with their places; the exit code is 2."""
    (folder / "a.test.yaml").write_text("flow: talk.yaml\ntests: {t: [{visits: [ask_usr]}]}\n")
    assert main(["test", "."]) == 2
    out, err = capsys.readouterr()
    assert err == "a.test.yaml:2:23: the flow has no node 'ask_usr'; did you mean 'ask_user'?\n" + CARET
    assert out == HALF


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("lone.yaml", "lone.yaml:1:1: this flow has no test file; write lone.test.yaml, or record it with "),
        ("empty", "empty:1:1: there is no test file in this folder; write one, named *.test.yaml"),
        ("gone.yaml", "gone.yaml:1:1: the file cannot be read: No such file"),
    ],
)
def test_nothing_to_test_is_explained(
    path: str, message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A flow without tests, a folder without tests, a path that is not there: exit code 2."""
    (folder / "lone.yaml").write_text(FLOW)
    (folder / "empty").mkdir()
    assert main(["test", path]) == 2
    assert capsys.readouterr().err.startswith(message)


def test_hidden_folders_are_left_out(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The tests of an installed package are not one's own."""
    (folder / ".venv").mkdir()
    (folder / ".venv" / "x.test.yaml").write_text("nonsense")
    (folder / "sub").mkdir()
    (folder / "sub" / "x.test.yaml").write_text(SHRUGS.replace("talk.yaml", "../talk.yaml"))
    assert main(["test", "."]) == 0
    assert "2 tests in 2 files" in capsys.readouterr().out


def test_junit_xml_tells_tests_failures_and_broken_files(folder: Path) -> None:
    """Suites, cases with file, line and time; control characters cannot break the XML."""
    failing = WRONG.replace("greets", '"a\\e\\0b <&>"').replace("visits", "never_says: Nice\n      visits")
    (folder / "talk.test.yaml").write_text(failing + SHRUGS.partition("tests:\n")[2])
    (folder / "z.test.yaml").write_text("tests: 3")
    assert main(["test", ".", "--junit", "out.xml"]) == 2
    root = ET.parse(folder / "out.xml").getroot()
    assert (root.tag, root.get("tests"), root.get("failures"), root.get("errors")) == (
        "testsuites",
        "3",
        "1",
        "1",
    )
    suite, broken = root
    assert (suite.tag, suite.get("name"), suite.get("tests")) == ("testsuite", "talk.test.yaml", "2")
    bad, good = suite
    assert (bad.get("name"), bad.get("file"), bad.get("line")) == (
        "a\ufffd\ufffdb <&>",
        "talk.test.yaml",
        "2",
    )
    assert float(bad.get("time", "")) >= 0
    (failure,) = bad
    assert failure.tag == "failure"
    assert "expected  check_greeting, static_idk_msg" in (failure.text or "")
    assert "never_says" in (failure.text or "")
    assert (good.get("name"), len(good)) == ("shrugs", 0)
    assert broken[0][0].tag == "error"
    assert "z.test.yaml:1:1: " in (broken[0][0].text or "")


def test_what_is_printed_is_safe(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither the name of a test nor what was said can reach the terminal as control characters."""
    (folder / "talk.test.yaml").write_text('tests: {"a\\eb": [{user: "x", says: "\\e[31m\\u202e"}]}')
    assert main(["test", "."]) == 1
    out = capsys.readouterr().out
    assert "a\ufffdb: says\n  expected  \ufffd[31m\ufffd\n" in out
    assert "\x1b" not in out


def test_own_handlers_are_imported(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--handlers` works as for the other commands."""
    (folder / "mine_tested.py").write_text(
        "from fsmbot import handler, Turn\n@handler\ndef mine_tested(turn: Turn) -> None: ...\n"
    )
    (folder / "talk.yaml").write_text(
        "start: ask_user\nnodes: {ask_user: {next: mine_tested}, mine_tested: {next: end}}"
    )
    (folder / "talk.test.yaml").write_text("tests: {t: [{user: x, visits: [mine_tested]}]}")
    assert main(["test", "."]) == 2
    assert "unknown handler 'mine_tested'" in capsys.readouterr().err
    assert main(["test", ".", "--handlers", "mine_tested.py"]) == 0


def test_check_reads_test_files_too(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`fsmbot check flows/*.yaml` does not stumble over them."""
    assert main(["check", "talk.yaml", "talk.test.yaml"]) == 0
    assert capsys.readouterr().out == "talk.yaml: ok, 4 nodes\ntalk.test.yaml: ok, 1 test\n"
