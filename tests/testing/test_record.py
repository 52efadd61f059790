"""A conversation that happened becomes a test file that passes, whatever was said in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fsmbot.doctor.fakes import BrokenDoctor, FakeDoctor
from fsmbot.errors import FsmbotError
from fsmbot.flow import Flow
from fsmbot.flowfile.yamltree import read_tree
from fsmbot.loader import load_flow, parse_flow
from fsmbot.played import Played, committed
from fsmbot.registry import Registry, load_builtins
from fsmbot.session import Session
from fsmbot.testing import play
from fsmbot.testing.reader import parse_script, read_script
from fsmbot.testing.record import record
from fsmbot.testing.runner import ScriptResult, run_script
from fsmbot.testing.script import Answer, DoctorStub, NodeStub, Script
from fsmbot.testing.write import readable, to_yaml
from fsmbot.text import safe
from fsmbot.turn import Turn

ROOT = Path(__file__).parent.parent.parent
REFERENCE = load_flow(ROOT / "flows" / "doctor.yaml")
CHATTY = parse_flow((ROOT / "flows" / "doctor.yaml").read_text().replace("next: end", "next: ask_user"))


def again(text: str, flow: Flow) -> ScriptResult:
    """Run a recording."""
    return run_script(parse_script(text, "again.test.yaml", flow))


def recorded(flow: Flow, lines: list[str], doctor: FakeDoctor | None = None) -> tuple[str, Script]:
    """Play a conversation and record it; the recording passes."""
    turns = play(flow, lines, {"doctor": doctor} if doctor else None).turns
    text = record([turns], flow)
    assert again(text, flow).failures == []
    return text, parse_script(text, "again.test.yaml", flow)


def test_a_recording_tells_all_that_happened() -> None:
    """User, nodes, outcomes, whole messages, the memory, and where it came to rest."""
    text, script = recorded(REFERENCE, ["I have a headache"], FakeDoctor(["Rest", " now."]))
    first, second = script.cases[0].steps
    assert {check.kind: check.expected for check in first.checks} == {
        "visits": ("ask_user",),
        "says": "What would you like to ask?",
        "ends": False,
        "waits_at": "ask_user",
    }
    assert second.user == "I have a headache"
    found = {check.kind: check.expected for check in second.checks}
    assert found["visits"] == ("check_medical", "ask_doctor")
    assert found["outcomes"] == ("check_medical", "medical")
    assert found["says"].startswith("Rest now.\n\nI am an AI, not a doctor")
    assert found["ends"] is True
    assert script.cases[0].stubs == {"doctor": DoctorStub({"I have a headache": Answer(("Rest now.",))})}
    assert text.startswith("# Recorded from a conversation.")


def test_memory_failures_and_several_talks_are_recorded(sample: Flow) -> None:
    """A node that failed whenever it was visited is told to fail again; every talk is a test."""
    talks = [play(sample, ["4", "13"]).turns, play(sample, ["13", "boom"]).turns, play(sample, []).turns]
    text = record(talks, sample)
    result = again(text, sample)
    assert result.failures == []
    assert [case.case.name for case in result.results] == ["conversation 1", "conversation 2"]
    kinds = [(c.kind, c.expected) for s in result.results[0].case.steps for c in s.checks]
    assert ("memory", ("sum", 4)) in kinds
    assert ("fails", "count") in kinds
    assert result.results[0].case.stubs == {}
    assert result.results[1].case.stubs == {"count": NodeStub(Answer((), "unlucky"))}


def test_an_emergency_needs_no_doctor_and_a_failing_doctor_fails_again() -> None:
    """Emergencies never reach the model; an apology and a broken answer come back as they were."""
    _, script = recorded(REFERENCE, ["crushing chest pain and I can't breathe"], FakeDoctor())
    assert script.cases[0].stubs == {}
    text, _ = recorded(REFERENCE, ["I have a headache"], BrokenDoctor(0, "no model"))
    assert "{" not in text
    assert "fails: no model" in text
    text, _ = recorded(REFERENCE, ["I have a headache"], BrokenDoctor(2, "lost", ["Take ", "rest. "]))
    assert "broke off here" in text
    assert "fails: lost" in text


class Counting(FakeDoctor):
    """Gives another answer each time."""

    def answer(self, text: str, *args: Any, **more: Any) -> Iterator[str]:
        self.asked.append(text)
        yield f"Answer {len(self.asked)}."


def test_the_same_question_may_have_had_different_answers() -> None:
    """Then the doctor's answers are recorded in order."""
    asked = ["I have a headache", "I have a fever", "I have a headache"]
    _, script = recorded(CHATTY, asked, Counting())
    assert script.cases[0].stubs == {
        "doctor": DoctorStub(in_order=tuple(Answer((f"Answer {n}.",)) for n in (1, 2, 3)))
    }


@pytest.mark.parametrize("question", ["fails", "answers", "says", "", "<<", "yes", "a: b", "x" * 2000])
def test_a_question_that_reads_like_yaml_is_still_a_question(question: str) -> None:
    """Where a map of questions would be misread, the answers stand in order."""
    registry = Registry({"ask_user": load_builtins().handlers["ask_user"]})

    @registry.resource
    def doctor() -> FakeDoctor:
        raise AssertionError("the doctor is stubbed")

    @registry.handler
    def ask(turn: Turn, doctor: FakeDoctor) -> Iterator[str]:
        yield from doctor.answer(turn.text)

    flow = parse_flow("start: ask_user\nnodes: {ask_user: {next: ask}, ask: {next: end}}", registry=registry)
    recorded(flow, [question], FakeDoctor(["Well."]))


def test_what_cannot_be_recorded_is_explained(sample: Flow) -> None:
    """Nothing said, or more than a test file holds."""
    with pytest.raises(FsmbotError, match="nothing was said yet"):
        record([play(sample, []).turns, ()], sample)
    with pytest.raises(FsmbotError, match=r"has 1,[0-9,]+ bytes; a test file may have 1,000,000"):
        record([play(sample, ["x" * 20_000] * 20).turns], sample)


def test_the_flow_is_named_where_the_files_name_does_not_say_it(tmp_path: Path, monkeypatch: Any) -> None:
    """Relative to the file; left out beside the flow, or for a flow that has no file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.yaml").write_text("start: ask_user\nnodes: {ask_user: {next: end}}\n")
    flow = load_flow("a.yaml")
    turns = play(flow, ["x"]).turns
    for name, key in [("a", ""), ("b", "flow: a.yaml\n"), ("sub/a", 'flow: "../a.yaml"\n')]:
        path = Path(f"{name}.test.yaml")
        path.write_text(record([turns], flow, path))
        assert path.read_text().partition("\n")[2].partition("tests:")[0] == key
        assert run_script(read_script(path)).failures == []
    assert "flow:" not in record([turns], parse_flow("start: ask_user\nnodes: {ask_user: {next: end}}"))


def test_without_the_flow_the_doctor_is_known_by_the_disclaimer() -> None:
    """A stored session can be recorded where its flow is not at hand."""
    turns = play(REFERENCE, ["I have a headache"], {"doctor": FakeDoctor(["Rest."])}).turns
    assert again(record([turns]), REFERENCE).failures == []


def test_a_turn_that_broke_off_is_no_turn(sample: Flow) -> None:
    """`committed` tells the opening from the answer, and leaves out what was taken back."""
    session = Session(sample)
    events = list(session.send("a"))
    opening, answer = committed("a", events, {"x": 1})
    assert (opening.user, opening.memory, opening.visits) == (None, None, ["ask"])
    assert (answer.user, answer.memory, answer.waits_at) == ("a", {"x": 1}, "ask")
    assert committed("a", events[:-1], {}) == (Played(None, opening.events, {}),)


ODD = st.text(
    "ab1 \n\t:#-'\"{}[]|>&*!%@`~0eE.+_yesNO\r\x00\x1b\x85\xa0\u2028\ufeff\u200b\u202e\U0001f600\ufe0f"
)
TEXT = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"])),
    ODD,
    st.sampled_from(
        ["yes", "no", "012", "1e3", "0x1f", "12:30", "{name}", "~", "null", "true", "=", "<<", "---", "..."]
    ),
)
KEYS = TEXT.filter(lambda key: key not in ("", "<<"))
NUMBERS = st.integers(-(10**17), 10**17) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(JSON)
def test_what_is_written_reads_back_and_is_safe_to_show(value: Any) -> None:
    """Any JSON value, to the type, through the project's own reader."""
    text = to_yaml({"a": value, "b": [value]})
    tree, problems = read_tree(text.encode())
    assert problems == []
    assert tree is not None
    assert tree.plain() == {"a": value, "b": [value]}
    assert safe(text) == text
    assert readable({"a": value})


def test_what_a_file_cannot_hold_is_known() -> None:
    """So that a recording leaves it out instead of breaking."""
    deep: Any = []
    for _ in range(50):
        deep = [deep]
    for value in ({"<<": 1}, {"a": {"<<": 1}}, 10**20, deep, float("inf")):
        assert not readable({"x": value})


def parrot() -> Flow:
    """Return a flow that repeats everything, and remembers it."""
    registry = Registry({"ask_user": load_builtins().handlers["ask_user"]})

    @registry.handler
    def parrot(turn: Turn) -> Iterator[str]:
        turn.memory[turn.text] = {"said": turn.text, "again": [turn.text]}
        yield turn.text

    nodes = "ask_user: {remember: last, next: parrot}, parrot: {next: ask_user}"
    return parse_flow(f"start: ask_user\nnodes: {{{nodes}}}", registry=registry)


PARROT = parrot()


@settings(max_examples=200, deadline=None)
@given(st.lists(TEXT | st.text(), min_size=1, max_size=3))
def test_whatever_the_user_says_the_recording_passes(lines: list[str]) -> None:
    """As message, reply, memory and name in memory; lone surrogates are replaced as a session does."""
    turns = play(PARROT, lines).turns
    text = record([turns], PARROT)
    script = parse_script(text, "again.test.yaml", PARROT)
    assert run_script(script).failures == []
    said = [line.encode("utf-8", "replace").decode() for line in lines]
    assert [step.user for step in script.cases[0].steps] == [None, *said]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from(["I", " am", " a doctor", ".", " Rest", "\n", " as a", "!", " "]) | ODD),
    st.booleans(),
)
@example(pieces=[".", "I", "\n", " a doctor"], breaks=False)
@example(pieces=[".", "I", "\n", "I", ". 0"], breaks=False)
def test_whatever_the_doctor_says_the_recording_passes(pieces: list[str], breaks: bool) -> None:
    """Claims that were left out, odd spaces, and an answer that broke off."""
    pieces = ["Well", *pieces]
    recorded(
        REFERENCE,
        ["I have a headache"],
        BrokenDoctor(len(pieces), "gone", pieces) if breaks else FakeDoctor(pieces),
    )
