"""Test files are read with every mistake at once, each with its place and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from fsmbot.errors import FlowError
from fsmbot.flow import Flow
from fsmbot.testing.reader import parse_script, read_script
from fsmbot.testing.script import Answer, Check, DoctorStub, NodeStub

ROOT = Path(__file__).parent.parent.parent


def mistakes(text: str, flow: Flow, source: str = "s.test.yaml") -> list[str]:
    """Return what is wrong with a test file, a line a mistake."""
    with pytest.raises(FlowError) as caught:
        parse_script(text, source, flow)
    return str(caught.value).splitlines()


def test_a_file_is_read_into_cases_with_places(sample: Flow) -> None:
    """Names, steps and checks are there, each check at the line and column of its value."""
    text = (
        "tests:\n"
        "  adds:\n"
        "    stub: {echo: [a, b]}\n"
        "    memory: {sum: 3}\n"
        "    talk:\n"
        '      - user: "4"\n'
        "        says: [x, y]\n"
        "        outcomes: {sort: number}\n"
    )
    (case,) = parse_script(text, "s.test.yaml", sample).cases
    assert (case.name, case.line, case.column, case.memory) == ("adds", 2, 3, {"sum": 3})
    assert case.stubs == {"echo": NodeStub(Answer(("a", "b")))}
    (step,) = case.steps
    assert step.user == "4"
    assert step.checks == (
        Check("outcomes", ("sort", "number"), 8, 26),
        Check("says", "x", 7, 16),
        Check("says", "y", 7, 19),
    )


def test_every_mistake_is_reported_at_once(sample: Flow) -> None:
    """One reading tells them all, sorted by place."""
    text = (
        "test: 1\n"
        "tests:\n"
        "  a:\n"
        "    - user: 12\n"
        "      visits: [ask, cuont]\n"
        "      outcomes: {sort: wrod, nobody: x, echo: y}\n"
        "      ends: 1\n"
        "    - says: hi\n"
        "      waits_at: echo\n"
    )
    assert mistakes(text, sample) == [
        "s.test.yaml:1:1: a test file has no key 'test'; did you mean 'tests'?",
        "s.test.yaml:4:13: 'user' must be text, not the number 12; put it in quotes",
        "s.test.yaml:5:21: the flow has no node 'cuont'; did you mean 'count'?",
        "s.test.yaml:6:24: node 'sort' has no outcome 'wrod'; did you mean 'word'?",
        "s.test.yaml:6:30: the flow has no node 'nobody'; known: ask, sort, count, echo, oops, sorry",
        "s.test.yaml:6:47: node 'echo' has no outcome 'y'; it has one way out, so name none",
        "s.test.yaml:7:13: 'ends' must be true or false, not the number 1",
        "s.test.yaml:8:7: this step has no 'user', so nothing is said to the bot; "
        "only the first step of a test may lack it, being about the opening words",
        "s.test.yaml:9:17: node 'echo' does not listen, so the conversation never waits there",
    ]


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("", "1:1", "a test file is a map with the key 'tests'"),
        ("- a", "1:1", "a test file is a map"),
        ("stub: {}", "1:1", "there are no 'tests'"),
        ("tests: {}", "1:8", "'tests' is empty"),
        ("tests:", "1:1", "'tests' must be a map, not nothing"),
        ("tests: {a: []}", "1:12", "there are no steps here"),
        ("tests: {a: }", "1:9", "test 'a' must be a list of steps, or a map"),
        ("tests: {a: {memory: {}}}", "1:9", "test 'a' has no 'talk'"),
        ("tests: {a: {talk: x}}", "1:19", "'talk' must be a list of steps, not the text 'x'"),
        ("tests: {a: {talk: [user: x], memry: 1}}", "1:30", "has no key 'memry'; did you mean 'memory'?"),
        ("tests: {a: [3]}", "1:13", "a step is a map such as"),
        ("tests: {a: [{}]}", "1:13", "this step is empty"),
        ("tests: {a: [{usr: x}]}", "1:14", "a step has no key 'usr'; did you mean 'user'?"),
        ("tests: {a: [{says: ''}]}", "1:20", "'says' must be text that is not empty"),
        ("tests: {a: [{says: []}]}", "1:20", "'says' is an empty list"),
        ("tests: {a: [{says: [x, 3]}]}", "1:24", "'says' must be text, not the number 3; put it in quotes"),
        ("tests: {a: [{memory: x}]}", "1:22", "'memory' must be a map"),
        ("tests: {a: [{visits: ask}]}", "1:22", "'visits' must be a list of names"),
        ("tests: {a: [{fails: echo}]}", "1:21", ""),
        ("tests: {a: [{fails: sorry}]}", "1:21", "node 'sorry' has no on_error to go to; use 'raises'"),
        ("tests: {a: [{raises: }]}", "1:14", "'raises' must be text, not nothing"),
        ("stub: {ech: x}\ntests: {a: [{says: x}]}", "1:8", "no node 'ech'; did you mean 'echo'?"),
        (
            "stub: {sort: x}\ntests: {a: [{says: x}]}",
            "1:8",
            "needs an outcome, such as {outcome: ...}; known: ",
        ),
        ("stub: {sort: {outcome: wrd}}\ntests: {a: [{says: x}]}", "1:24", "did you mean 'word'?"),
        ("stub: {echo: {outcome: x}}\ntests: {a: [{says: x}]}", "1:24", "it has one way out"),
        ("stub: {echo: {say: x}}\ntests: {a: [{says: x}]}", "1:15", "no key 'say'; did you mean 'says'?"),
        ("stub: {echo: 3}\ntests: {a: [{says: x}]}", "1:14", "must be text, a list of pieces, or a map with"),
        (
            "stub: {sort: {outcome: word, fails: x}}\ntests: {a: [{says: x}]}",
            "1:15",
            "fails, so it has no outcome; remove one of them",
        ),
        ("stub: {doctor: x}\ntests: {a: [{says: x}]}", "1:8", "the flow has no node 'doctor'"),
        ("tests: {a: [{says: x}], a: [{says: x}]}", "1:25", "key 'a' is given twice"),
        ("tests: {a: [&x {says: x}]}", "1:13", "anchor '&x' is not allowed"),
    ],
)
def test_a_mistake_has_its_place(text: str, place: str, message: str, sample: Flow) -> None:
    """Line, column, what was expected and what to do."""
    if not message:
        assert parse_script(text, "s.test.yaml", sample)
        return
    found = mistakes(text, sample)
    assert any(line.startswith(f"s.test.yaml:{place}: ") and message in line for line in found), found


@pytest.mark.parametrize(
    ("written", "stub"),
    [
        ("Rest.", DoctorStub(in_order=(Answer(("Rest.",)),))),
        ("[Rest, .]", DoctorStub(in_order=(Answer(("Rest", ".")),))),
        ("{fails: gone}", DoctorStub(in_order=(Answer((), "gone"),))),
        ("{says: Rest, fails: gone}", DoctorStub(in_order=(Answer(("Rest",), "gone"),))),
        ("{my head: Rest}", DoctorStub({"my head": Answer(("Rest",))})),
        ("{my head: {fails: x}, b: [c]}", DoctorStub({"my head": Answer((), "x"), "b": Answer(("c",))})),
        ("{answers: [a, {fails: x}]}", DoctorStub(in_order=(Answer(("a",)), Answer((), "x")))),
    ],
)
def test_the_doctor_is_stubbed_in_several_forms(written: str, stub: DoctorStub) -> None:
    """Text, pieces, a failure, answers by question, and answers in order."""
    text = f"stub: {{doctor: {written}}}\ntests: {{a: [{{says: x}}]}}"
    script = parse_script(text, str(ROOT / "flows" / "doctor.test.yaml"))
    assert script.cases[0].stubs == {"doctor": stub}


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("3", "1:16: the stub of 'doctor' must be text, a list of pieces, a map question -> answer"),
        ("{}", "1:16: the stub of 'doctor' must be text"),
        ("{a: 3}", "1:20: the answer to 'a' must be text, a list of pieces, or {says: text, fails: reason}"),
        ("{answers: []}", "1:26: 'answers' is an empty list"),
        ("{answers: [3]}", "1:27: an answer of the doctor must be text"),
    ],
)
def test_a_wrong_doctor_is_explained(written: str, message: str) -> None:
    """The forms that are possible are named."""
    text = f"stub: {{doctor: {written}}}\ntests: {{a: [{{says: x}}]}}"
    with pytest.raises(FlowError) as caught:
        parse_script(text, str(ROOT / "flows" / "doctor.test.yaml"))
    assert message in str(caught.value)


def test_a_test_adds_its_own_stubs_to_those_of_the_file(sample: Flow) -> None:
    """Its own win where both name the same node."""
    text = "stub: {echo: a, count: b}\ntests: {t: {stub: {echo: c}, talk: [{says: x}]}, u: [{says: x}]}"
    first, second = parse_script(text, "s.test.yaml", sample).cases
    assert first.stubs == {"echo": NodeStub(Answer(("c",))), "count": NodeStub(Answer(("b",)))}
    assert second.stubs["echo"] == NodeStub(Answer(("a",)))


def test_the_flow_is_the_neighbour_of_the_same_name_or_is_named(tmp_path: Path) -> None:
    """Without `flow:` it is X.yaml for X.test.yaml; the path is relative to the test file."""
    (tmp_path / "sub").mkdir()
    flow = "start: ask_user\nnodes: {ask_user: {next: end}}\n"
    (tmp_path / "a.yaml").write_text(flow)
    (tmp_path / "a.test.yaml").write_text("tests: {t: [{says: What}]}")
    named = tmp_path / "sub" / "b.test.yaml"
    named.write_text("flow: ../a.yaml\ntests: {t: [{says: What}]}")
    assert read_script(tmp_path / "a.test.yaml").flow.source == str(tmp_path / "a.yaml")
    assert read_script(named).flow.source == str(tmp_path / "a.yaml")
    named.write_text("tests: {t: [{says: 3}]}")
    with pytest.raises(FlowError) as caught:
        read_script(named)
    assert str(caught.value).splitlines() == [
        f"{named}:1:1: the flow file '{tmp_path}/sub/b.yaml' does not exist; "
        "name it as `flow:`, relative to this file",
        f"{named}:1:20: 'says' must be text, not the number 3; put it in quotes",
    ]


def test_a_broken_flow_is_reported_as_the_flows_own_mistake(tmp_path: Path) -> None:
    """File, line and column are those of the flow."""
    (tmp_path / "a.yaml").write_text("start: a\nnodes: {b: {handler: ask_user, next: end}}\n")
    (tmp_path / "a.test.yaml").write_text("tests: {t: [{says: What}]}")
    with pytest.raises(FlowError, match=r"a\.yaml:1:8: start names unknown node 'a'"):
        read_script(tmp_path / "a.test.yaml")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The reason is the operating system's."""
    with pytest.raises(FlowError, match="cannot be read: No such file"):
        read_script(tmp_path / "none.test.yaml")
