"""`fsmbot init` makes a bot whose flow, handler and tests work as they stand."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from fsmbot.cli import main
from fsmbot.loader import parse_flow
from fsmbot.starter import StarterError, init

ROOT = Path(__file__).parent.parent


@pytest.fixture
def bot(tmp_path: Path) -> Path:
    """The folder of a new bot."""
    assert main(["init", str(tmp_path / "my-bot")]) == 0
    return tmp_path / "my-bot"


def run(folder: Path, *arguments: str, said: str = "") -> subprocess.CompletedProcess[str]:
    """Run Python in the bot's folder."""
    return subprocess.run(
        [sys.executable, "-m", *arguments], cwd=folder, input=said, capture_output=True, text=True, timeout=60
    )


def test_a_new_bot_talks(bot: Path) -> None:
    """Its own handler is found, and the texts are filled."""
    done = run(bot, "fsmbot", "--flow", "flow.yaml", "--handlers", "handlers.py", said="Ada\nwe are 4\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "Welcome! What is your name?",
        "For how many people, Ada?",
        "A table for 4, Ada. See you soon!",
    ]


def test_the_tests_of_a_new_bot_pass_and_cover_it(bot: Path) -> None:
    """`fsmbot test` walks every node and route."""
    done = run(bot, "fsmbot", "test", "flow.yaml", "--handlers", "handlers.py", "--min-coverage", "100")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "(100%)" in done.stdout


def test_pytest_runs_both_kinds_of_tests(bot: Path) -> None:
    """The conversations, and the unit tests of the handler."""
    done = run(
        bot, "pytest", "-v", "-p", "no:cacheprovider", "-p", "no:fsmbot", "-p", "fsmbot.testing.pytest_plugin"
    )
    assert done.returncode == 0, done.stdout
    assert "flow.test.yaml::a table is booked PASSED" in done.stdout
    assert "test_handlers.py::test_check_party[8-fits] PASSED" in done.stdout


def test_the_schema_of_a_new_bot_knows_its_handler(bot: Path) -> None:
    """An editor completes it from the first minute, with the help of the docstring."""
    schema = json.loads((bot / "flow.schema.json").read_text())
    largest = schema["$defs"]["node_check_party"]["properties"]["largest"]
    assert largest["description"] == "how many the largest table is for."


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """A folder with anything in it, or a file, is refused and left as it is."""
    (tmp_path / "kept").write_text("mine")
    with pytest.raises(StarterError, match="exists already and is not an empty folder"):
        init(tmp_path)
    with pytest.raises(StarterError, match="exists already"):
        init(tmp_path / "kept")
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    with pytest.raises(StarterError, match="cannot be written"):
        init(tmp_path / "kept" / "bot")


@pytest.mark.parametrize("name", ["my bot: yes", "yes", '"quoted" # {x}', "größe"])
def test_any_folder_may_be_a_name(tmp_path: Path, name: str) -> None:
    """What YAML would misread is quoted."""
    init(tmp_path / name)
    text = (tmp_path / name / "flow.yaml").read_text("utf-8")
    assert parse_flow(text).name == name
