"""The helpers for tests in Python: a conversation from a list of lines, vectors from two lists of words."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import fsmbot.testing
from fsmbot.errors import FlowError, HandlerError, StateError
from fsmbot.flow import Flow
from fsmbot.handlers.medical import check_medical
from fsmbot.loader import parse_flow
from fsmbot.registry import Registry
from fsmbot.testing import FakeDoctor, play, run_tests, tiny_vectors
from fsmbot.turn import Turn

ROOT = Path(__file__).parent.parent.parent
FLOW = ROOT / "flows" / "doctor.yaml"


def test_a_conversation_is_played_from_a_list_of_lines(sample: Flow) -> None:
    """What is a list has an entry for each line; the opening stands apart."""
    talk = play(sample, ["4", "boom"], memory={"sum": 2})
    assert talk.opening == "Hello, what is it?"
    assert talk.replies == ["Now  it is\n6.\nHello, what is it?", "Sorry."]
    assert talk.visits == [["sort", "count", "ask"], ["sort", "sorry"]]
    assert talk.outcomes == [{"sort": "number"}, {}]
    assert talk.memory == {"sum": 6, "last": "boom"}
    assert talk.ended
    assert [type(event).__name__ for event in talk.events[:3]] == ["Entered", "Said", "Listening"]
    assert type(talk.events[-1]).__name__ == "Ended"


def test_a_transcript_reads_as_a_dialogue(sample: Flow) -> None:
    """Who said what, a message a line, and whether it is over."""
    assert str(play(sample, ["a", "boom"])) == (
        "bot> Hello, what is it?\nyou> a\nbot> a!\nbot> Hello, what is it?\n"
        "you> boom\nbot> Sorry.\n(the conversation ended)"
    )
    assert str(play(sample, [])) == "bot> Hello, what is it?"


def test_a_flow_may_be_named_by_its_file() -> None:
    """With ready resources by name, as for a session."""
    doctor = FakeDoctor(["Rest."])
    talk = play(str(FLOW), ["I have a headache"], {"doctor": doctor})
    assert talk.replies[0].startswith("Rest.")
    assert doctor.asked == ["I have a headache"]
    with pytest.raises(FlowError):
        play(FLOW.with_name("gone.yaml"), [])


def test_what_goes_wrong_while_playing_is_raised(sample: Flow) -> None:
    """Lines that are left when it is over, and a failure that nobody takes."""
    with pytest.raises(StateError, match="has ended"):
        play(sample, ["boom", "more"])
    registry = Registry()

    @registry.handler
    def fall(turn: Turn) -> None:
        raise ValueError("oh")

    with pytest.raises(HandlerError, match="oh"):
        play(parse_flow("start: fall\nnodes: {fall: {next: end}}", registry=registry), [])


def test_memory_that_is_given_is_not_changed() -> None:
    """The same dict can begin the next conversation, whatever a handler does with its values."""
    registry = Registry()

    @registry.handler
    def add(turn: Turn) -> None:
        turn.memory["list"].append(1)

    given: dict[str, list[int]] = {"list": []}
    flow = parse_flow("start: add\nnodes: {add: {next: end}}", registry=registry)
    assert play(flow, [], memory=given).memory == {"list": [1]}
    assert given == {"list": []}


def test_test_files_run_from_python(tmp_path: Path) -> None:
    """A flow, a test file or a folder, as at the command line."""
    (result,) = run_tests(FLOW)
    assert result.failures == []
    assert result.coverage.percent == 100
    assert result.results[0].case.name == "the bot opens with a question"
    with pytest.raises(FlowError, match="no test file in this folder"):
        run_tests(tmp_path)


def test_tiny_vectors_know_two_lists_of_words() -> None:
    """Enough for check_medical to decide, without any file."""
    vectors = tiny_vectors(["head", "Hurts"], ["pizza"])
    assert check_medical(Turn("my head hurts"), vectors) == "medical"
    assert check_medical(Turn("a pizza, please"), vectors) == "other"
    assert check_medical(Turn("fever"), vectors) == "other"
    assert len(vectors) == 3
    talk = play(FLOW, ["my head hurts"], {"vectors": vectors, "doctor": FakeDoctor()})
    assert talk.outcomes == [{"check_medical": "medical"}]


@pytest.mark.parametrize(
    ("medical", "everyday", "message"),
    [([], ["a"], "a medical and an everyday"), (["a"], [], "at least"), (["a", "b"], ["B"], "both lists: b")],
)
def test_tiny_vectors_need_words_of_both_kinds(medical: list[str], everyday: list[str], message: str) -> None:
    """Else there is nothing to decide between."""
    with pytest.raises(ValueError, match=message):
        tiny_vectors(medical, everyday)


def test_every_public_name_is_there() -> None:
    """They are imported when first asked for; another name is an AttributeError."""
    for name in fsmbot.testing.__all__:
        assert getattr(fsmbot.testing, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'nobody'"):
        fsmbot.testing.nobody  # noqa: B018


MODULES = sorted(path.stem for path in (ROOT / "fsmbot" / "testing").glob("*.py"))


def test_importing_is_light() -> None:
    """No module but the plug-in imports pytest, and none a model library, numpy or the terminal's."""
    names = ", ".join(
        f"fsmbot.testing.{name}" for name in MODULES if name not in ("__init__", "pytest_plugin")
    )
    heavy = "{'numpy', 'torch', 'transformers', 'prompt_toolkit', 'pytest', 'yaml'}"
    code = f"import sys, {names}, fsmbot.played\nprint({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_the_engine_knows_nothing_of_tests() -> None:
    """Sessions, flows, stores and chats run without this package."""
    code = (
        "import sys, fsmbot, fsmbot.conversation, fsmbot.stores, fsmbot.commands, fsmbot.cli\n"
        "print([name for name in sys.modules if name.startswith('fsmbot.testing')])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
