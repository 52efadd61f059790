"""pytest runs test files by itself: an item a test, mistakes and failures without tracebacks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parent.parent.parent
FLOW = "start: ask_user\nnodes: {ask_user: {next: check_greeting}, check_greeting: {next: end}}\n"
# The plug-in is named, and kept from being found as an installed one, so that it is loaded once
# whether fsmbot is installed or not.
PLUGIN = ("-p", "no:fsmbot", "-p", "fsmbot.testing.pytest_plugin", "-p", "no:cacheprovider")


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A folder with a flow, in which pytest sees this fsmbot."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.path.joinpath("talk.yaml").write_text(FLOW)
    return pytester


def write(project: pytest.Pytester, text: str, name: str = "talk.test.yaml") -> None:
    """Write a test file."""
    project.path.joinpath(name).write_text(text)


def test_every_test_of_a_file_is_an_item(project: pytest.Pytester) -> None:
    """They pass, and can be chosen by name as any other test."""
    write(project, "tests:\n  greets: [{user: hello, ends: true}]\n  asks: [{says: What}]\n")
    project.runpytest_subprocess(*PLUGIN).assert_outcomes(passed=2)
    result = project.runpytest_subprocess(*PLUGIN, "-v", "-k", "greets")
    result.assert_outcomes(passed=1, deselected=1)
    result.stdout.fnmatch_lines(["talk.test.yaml::greets PASSED*"])


def test_a_failure_is_our_block_without_a_traceback(project: pytest.Pytester) -> None:
    """The author of a test file wrote no Python, so none is shown."""
    write(project, "tests:\n  greets:\n    - user: hello\n      visits: [ask_user]\n  asks: [{says: What}]\n")
    result = project.runpytest_subprocess(*PLUGIN)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "talk.test.yaml:4:15: greets: visits",
            "  expected  ask_user",
            "  seen      check_greeting",
        ]
    )
    assert "Traceback" not in result.stdout.str()
    assert ".py:" not in result.stdout.str()


def test_a_broken_file_is_a_collection_error_with_our_message(project: pytest.Pytester) -> None:
    """Every mistake with its place, and no traceback."""
    write(project, "tests:\n  greets: [{user: hello, visit: [x], says: 3}]\n")
    result = project.runpytest_subprocess(*PLUGIN)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [
            "talk.test.yaml:2:26: a step has no key 'visit'; did you mean 'visits'?",
            "talk.test.yaml:2:44: 'says' must be text, not the number 3; put it in quotes",
        ]
    )
    assert "Traceback" not in result.stdout.str()
    assert ".py:" not in result.stdout.str()


def test_a_bug_in_the_runner_is_not_hidden(project: pytest.Pytester) -> None:
    """Only a failed expectation goes without its traceback."""
    project.path.joinpath("conftest.py").write_text(
        "import fsmbot.testing.runner as r\ndef broken(*a): raise ZeroDivisionError\nr.run_case = broken\n"
    )
    write(project, "tests: {greets: [{user: hello}]}")
    result = project.runpytest_subprocess(*PLUGIN)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*ZeroDivisionError*"])


def test_handlers_are_named_in_the_configuration(project: pytest.Pytester) -> None:
    """A module or a file beside the configuration; one that cannot be imported is a collection error."""
    project.path.joinpath("mine.py").write_text(
        "from fsmbot import handler, Turn\nopen('imports', 'a').write('once ')\n"
        "@handler\ndef mine(turn: Turn) -> None: ...\n"
    )
    project.path.joinpath("talk.yaml").write_text(
        "start: ask_user\nnodes: {ask_user: {next: mine}, mine: {next: end}}"
    )
    write(project, "tests: {goes: [{user: x, visits: [mine]}]}")
    write(project, "flow: talk.yaml\ntests: {goes: [{user: x, visits: [mine]}]}", "more.test.yaml")
    for named in ("mine", "mine.py"):
        project.makeini(f"[pytest]\nfsmbot_handlers = {named}\n")
        project.runpytest_subprocess(*PLUGIN).assert_outcomes(passed=2)
    assert project.path.joinpath("imports").read_text() == "once once "  # once in each of the two runs
    project.makeini("[pytest]\nfsmbot_handlers = nobody_there\n")
    result = project.runpytest_subprocess(*PLUGIN)
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(["handlers 'nobody_there' cannot be imported: ModuleNotFoundError*"])


def test_handlers_are_not_imported_before_a_test_file_is_collected(project: pytest.Pytester) -> None:
    """A project's other tests neither pay for them nor break with them."""
    project.makeini("[pytest]\nfsmbot_handlers = nobody_there\n")
    project.makepyfile("import sys\ndef test_light(): assert 'fsmbot.handlers' not in sys.modules\n")
    project.runpytest_subprocess(*PLUGIN).assert_outcomes(passed=1)


def test_the_plugin_is_announced_and_light() -> None:
    """setup.cfg names it, so that pytest finds it; importing it loads no handler and no runner."""
    assert "pytest11 =\n    fsmbot = fsmbot.testing.pytest_plugin\n" in (ROOT / "setup.cfg").read_text()
    code = (
        "import sys, fsmbot.testing.pytest_plugin\n"
        "heavy = 'numpy', 'torch', 'prompt_toolkit', 'fsmbot.handlers', 'fsmbot.testing.runner'\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
