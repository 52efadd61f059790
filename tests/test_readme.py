"""What the README shows is true: its code runs, its flow and its diagram are the shipped ones."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from fsmbot.drawing.diagram import mermaid
from fsmbot.drawing.picture import picture
from fsmbot.drawing.render import drawn
from fsmbot.errors import FlowError
from fsmbot.loader import load_flow, parse_flow

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    """Return the code blocks of one language, in order."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def run(*arguments: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run Python on some arguments."""
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, timeout=60
    )


def test_the_handler_and_its_test_work_as_they_stand(tmp_path: Path) -> None:
    """The example is a whole module with a passing test."""
    (code,) = [block for block in blocks("python") if "@handler" in block]
    (tmp_path / "test_my_handlers.py").write_text(code)
    done = run("-m", "pytest", "-q", "-p", "no:cacheprovider", "test_my_handlers.py", folder=tmp_path)
    assert "1 passed" in done.stdout, done.stdout


def test_the_python_examples_run_one_after_the_other(tmp_path: Path) -> None:
    """Session, state and store, as a reader would type them."""
    code = "\n".join(block for block in blocks("python") if "@handler" not in block)
    done = run("-c", code.replace("talks.db", str(tmp_path / "talks.db")))
    assert done.returncode == 0, done.stderr
    assert "Said(node='ask_doctor', text='Rest" in done.stdout
    assert "Ended(node='ask_doctor', outcome='')\n" in done.stdout


def test_the_flow_shown_is_the_shipped_one() -> None:
    """But for its description."""
    shown = next(yaml.safe_load(block) for block in blocks("yaml") if "start:" in block)
    shipped = yaml.safe_load((ROOT / "flows" / "doctor.yaml").read_text())
    assert {"description": shipped["description"], **shown} == shipped


def test_the_diagram_shown_is_what_graph_prints() -> None:
    """It is drawn from the flow, not by hand."""
    assert blocks("mermaid") == [mermaid(load_flow(ROOT / "flows" / "doctor.yaml"))]


def test_the_change_shown_is_a_flow() -> None:
    """The reference flow with the nodes of the example in place of its own."""
    (block,) = [block for block in blocks("yaml") if "ask_duration" in block]
    nodes = yaml.safe_load((ROOT / "flows" / "doctor.yaml").read_text())
    nodes["nodes"] |= yaml.safe_load(block)
    flow = parse_flow(json.dumps(nodes))
    assert flow.nodes["check_medical"].routes()["medical"] == "ask_duration"


def drawn_by(svg: bytes) -> list[str]:
    """Return the texts of a drawing, which are the same whatever fonts it was measured with."""
    return [text.strip() for text in ElementTree.fromstring(svg).itertext() if text.strip()]


@pytest.mark.parametrize("flow", sorted(path.stem for path in (ROOT / "flows").glob("*.svg")))
def test_the_pictures_beside_the_flows_are_current(flow: str) -> None:
    """If not, draw it anew: `fsmbot graph flows/X.yaml --depth 0 --out flows/X.svg`."""
    pytest.importorskip("pygraphviz")
    source = load_flow(ROOT / "flows" / f"{flow}.yaml")
    shown = (ROOT / "flows" / f"{flow}.svg").read_bytes()
    assert drawn_by(shown) == drawn_by(drawn(picture(source, depth=0), "svg"))


def test_every_file_that_is_linked_exists() -> None:
    """In this page, and in that about flow files."""
    for page in (ROOT / "README.md", ROOT / "flows" / "README.md"):
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / link).exists(), link


def test_the_mistake_shown_is_the_message() -> None:
    """Line, column and words are those that `check` prints."""
    text = (ROOT / "flows" / "doctor.yaml").read_text().replace("medical: ask_doctor", "medical: ask_docter")
    with pytest.raises(FlowError) as caught:
        parse_flow(text, "flows/doctor.yaml")
    assert caught.value.pointed() in README


def test_the_test_file_shown_passes(tmp_path: Path) -> None:
    """It is a whole file, and what `fsmbot test` prints for the shipped one is what is shown."""
    from fsmbot.testing.reader import parse_script
    from fsmbot.testing.runner import run_script

    (text,) = [block for block in blocks("yaml") if "tests:" in block]
    assert run_script(parse_script(text, str(ROOT / "flows" / "doctor.test.yaml"))).failures == []
    assert run("-m", "fsmbot", "test", "flows", "--min-coverage", "100").stdout in README


def test_every_command_shown_exists() -> None:
    """The slash commands and the options in the README are those of the program."""
    from fsmbot.commands import COMMANDS

    assert set(re.findall(r"^\| `(/[\w-]+)", README, re.MULTILINE)) == set(COMMANDS)
    help_text = run("-m", "fsmbot", "--help").stdout
    for option in ("--flow", "--doctor", "--no-history", "--json", "--handlers", "--session", "--store"):
        assert option in README
        assert option in help_text
