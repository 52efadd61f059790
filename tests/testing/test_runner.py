"""What a step expects is held against what happened; stubs stand in for parts of the flow."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fsmbot.doctor.fakes import FakeDoctor
from fsmbot.errors import DoctorError
from fsmbot.flow import Flow
from fsmbot.loader import parse_flow
from fsmbot.registry import Registry, load_builtins
from fsmbot.testing.reader import parse_script, read_script
from fsmbot.testing.runner import ScriptResult, run_script
from fsmbot.testing.script import Answer, DoctorStub
from fsmbot.testing.stubs import UNPREPARED, ScriptedDoctor
from fsmbot.turn import Turn

Run = Callable[[str], ScriptResult]
ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize(
    "step",
    [
        "visits: [sort, count, ask]",
        "outcomes: {sort: number}",
        "says: Now it is 4.",  # whitespace does not count
        "says: [it is 4, what is it]",
        "never_says: now it is",  # case does
        "memory: {sum: 4, absent: null}",
        "ends: false",
        "waits_at: ask",
    ],
)
def test_what_happened_passes(step: str, run: Run) -> None:
    """Each kind of check, as it should be."""
    assert run(f'tests: {{t: [{{user: "4", {step}}}]}}').failures == []


@pytest.mark.parametrize(
    ("step", "what", "expected", "seen"),
    [
        ("visits: [sort, count]", "visits", "sort, count", "sort, count, ask"),
        ("visits: []", "visits", "nothing", "sort, count, ask"),
        ("visits: [count, sort, ask]", "visits", "count, sort, ask", "sort, count, ask"),
        ("outcomes: {sort: word}", "outcome of sort", "word", "number"),
        ("says: Now it is 5.", "says", "Now it is 5.", "Now  it is\n4.\nHello, what is it?"),
        ("says: now it is", "says", "now it is", "Now  it is\n4.\nHello, what is it?"),
        (
            "never_says: it is 4.",
            "never_says",
            "a reply without: it is 4.",
            "Now  it is\n4.\nHello, what is it?",
        ),
        ("memory: {sum: 5}", "memory of sum", "5", "4"),
        ("memory: {sum: null}", "memory of sum", "absent", "4"),
        ("memory: {other: 1}", "memory of other", "1", "absent"),
        ("memory: {last: 4}", "memory of last", "4", '"4"'),
        ("ends: true", "ends", "the conversation has ended", "the conversation goes on"),
        ("fails: sort", "fails", "sort", "nothing"),
        ("raises: oh", "raises", "oh", "nothing"),
    ],
)
def test_what_did_not_happen_fails(step: str, what: str, expected: str, seen: str, run: Run) -> None:
    """Each kind of check, with what was expected and what was seen, at its place."""
    (failure,) = run(f'tests:\n  t:\n    - user: "4"\n      {step}\n').failures
    assert (failure.test, failure.what, failure.expected, failure.seen) == ("t", what, expected, seen)
    assert (failure.file, failure.line) == ("sample.test.yaml", 4)


def test_all_that_is_wrong_with_a_step_is_told_and_then_the_test_stops(run: Run) -> None:
    """What follows a step that failed would only repeat it; other tests go on."""
    text = "tests:\n  t: [{user: a, says: b, ends: true}, {user: a, says: c}]\n  u: [{user: a, says: d}]"
    assert [(f.test, f.what) for f in run(text).failures] == [("t", "says"), ("t", "ends"), ("u", "says")]


def test_the_first_step_may_be_about_the_opening_words(run: Run) -> None:
    """Without `user` nothing is said to the bot; visits and reply are the opening's."""
    assert (
        run("tests: {t: [{visits: [ask], says: what is it, waits_at: ask}, {user: x, says: x!}]}").failures
        == []
    )
    (failure,) = run("tests: {t: [{says: Goodbye}]}").failures
    assert failure.seen == "Hello, what is it?"


def test_an_outcome_of_a_node_that_decided_nothing_tells_why(run: Run) -> None:
    """It was not visited, or it failed."""
    (failure,) = run("tests: {t: [{outcomes: {sort: word}}]}").failures
    assert failure.seen == "it was not visited"
    (failure,) = run("tests: {t: [{user: boom, outcomes: {sort: word}}]}").failures
    assert failure.seen == "it failed"


def test_a_failure_that_was_handled_is_expected_by_fails(run: Run) -> None:
    """`fails` names the node, whether its own on_error took over or the flow's."""
    assert run('tests: {t: [{user: "13", fails: count, says: Bad luck.}]}').failures == []
    assert run("tests: {t: [{user: boom, fails: sort, says: Sorry., ends: true}]}").failures == []


def test_a_conversation_that_has_ended_takes_no_more_steps(run: Run) -> None:
    """The step that is left fails at its place."""
    (failure,) = run("tests:\n  t:\n    - {user: boom}\n    - {user: more}\n").failures
    assert (failure.line, failure.what, failure.seen) == (4, "user", "it has ended at sorry")


BARE = "start: ask_user\nnodes:\n  ask_user: {next: trip}\n  trip: {next: ask_user}\n"


def bare(tests: str) -> ScriptResult:
    """Run tests on a flow without any on_error, whose one node stumbles over "stone"."""
    registry = Registry({"ask_user": load_builtins().handlers["ask_user"]})

    @registry.handler
    def trip(turn: Turn) -> None:
        if turn.text == "stone":
            raise RuntimeError("fell over")

    return run_script(parse_script(tests, "bare.test.yaml", parse_flow(BARE, registry=registry)))


def test_a_turn_that_raises_fails_with_its_message() -> None:
    """Unless the step says so by `raises`; the conversation then stands where it stood."""
    (failure,) = bare("tests:\n  t:\n    - {user: stone, says: x, ends: true}\n").failures
    assert (failure.line, failure.what) == (3, "the turn failed")
    wanted = "flow '<flow>', node 'trip', session 'test': RuntimeError: fell over (test_runner.py:"
    assert failure.seen.startswith(wanted)
    good = "{user: stone, raises: fell over, visits: [trip], waits_at: ask_user}, {user: x, says: What}"
    assert bare(f"tests: {{t: [{good}]}}").failures == []
    (failure,) = bare("tests: {t: [{user: stone, raises: stood up}]}").failures
    assert failure.what == "raises"


def test_an_opening_that_fails_fails_the_first_step() -> None:
    """Also where the first step begins with the user's words."""
    stub = "stub: {ask_user: {fails: no voice}}\n"
    (failure,) = bare(stub + "tests: {t: [{user: x}]}").failures
    assert failure.what == "the opening failed"
    assert "no voice" in failure.seen
    assert bare(stub + "tests: {t: [{raises: no voice}]}").failures == []


def test_a_message_that_is_too_long_is_a_failed_turn() -> None:
    """Whatever a session refuses is a result, not a crash of the tests."""
    (failure,) = bare(f"tests: {{t: [{{user: {'x' * 20_001}}}]}}").failures
    assert "20,001 characters" in failure.seen


def test_a_stub_replaces_what_a_node_does(run: Run) -> None:
    """It says its pieces as one message, then takes its outcome; the real handler is not called."""
    text = "stub: {sort: {says: [Let me, ' see.'], outcome: number}, count: Done.}\ntests: {t: [STEP]}"
    step = "{user: boom, says: [Let me see., Done.], outcomes: {sort: number}, memory: {sum: null}}"
    assert run(text.replace("STEP", step)).failures == []


def test_a_stub_may_fail_and_a_listening_one_still_listens(run: Run) -> None:
    """A failure goes to on_error as a real one does; `remember` is kept."""
    text = "stub: {echo: {says: Hm, fails: broken}}\ntests: {t: [STEP]}"
    assert run(text.replace("STEP", "{user: a, fails: echo, says: [Hm, Sorry.]}")).failures == []
    text = (
        "stub: {ask: Yes?}\ntests: {t: [{says: Yes?, waits_at: ask}, {user: a, says: a!, memory: {last: a}}]}"
    )
    assert run(text).failures == []


def test_a_conversation_may_begin_with_memory(run: Run) -> None:
    """It is there from the first node on, and each test begins anew."""
    text = "tests:\n  t: {memory: {sum: 10}, talk: [{memory: {sum: 10}}, {user: '4', memory: {sum: 14}}]}\n"
    assert run(text + "  u: [{user: '4', memory: {sum: 4}}]").failures == []


def test_memory_tells_true_from_one(run: Run) -> None:
    """As JSON does; but 1 and 1.0 are the same number."""
    text = "tests: {t: {memory: {a: [true, {b: 1}]}, talk: [{memory: {a: EXPECTED}}]}}"
    assert run(text.replace("EXPECTED", "[true, {b: 1.0}]")).failures == []
    for other in ("[1, {b: 1}]", "[true, {b: true}]", "[true, {b: 1, c: 2}]", "[true]"):
        assert run(text.replace("EXPECTED", other)).failures, other


def test_what_tests_share_is_built_once_and_stubs_are_not_shared() -> None:
    """A resource is built when first asked for; the doctor of one test is unknown to the next."""
    registry = Registry({"ask_user": load_builtins().handlers["ask_user"]})
    built: list[str] = []

    @registry.resource
    def doctor() -> FakeDoctor:
        built.append("doctor")
        return FakeDoctor(["the flow's own"])

    @registry.handler
    def tell(turn: Turn, doctor: FakeDoctor) -> Iterator[str]:
        yield from doctor.answer(turn.text)

    flow = parse_flow(BARE.replace("trip", "tell"), registry=registry)
    text = (
        "tests:\n  a: {stub: {doctor: A stub.}, talk: [{user: x, says: A stub.}]}\n"
        "  b: [{user: x, says: the flow's own}]\n  c: [{user: x, says: the flow's own}]"
    )
    assert run_script(parse_script(text, "s.test.yaml", flow)).failures == []
    assert built == ["doctor"]


def test_the_doctor_answers_by_question_or_in_order() -> None:
    """A question without an answer gets a plain one; the last answer in order is repeated."""
    doctor = ScriptedDoctor(DoctorStub({"a": Answer(("x", "y")), "b": Answer(("z",), "gone")}))
    assert list(doctor.answer("a")) == ["x", "y"]
    assert list(doctor.answer("c")) == [UNPREPARED]
    assert next(FakeDoctor({}).answer("c")) == UNPREPARED
    stream = doctor.answer("b")
    assert next(stream) == "z"
    with pytest.raises(DoctorError, match="gone"):
        next(stream)
    doctor = ScriptedDoctor(DoctorStub(in_order=(Answer(("1",)), Answer(("2",)))))
    assert [list(doctor.answer("q")) for _ in range(3)] == [["1"], ["2"], ["2"]]


def test_the_reference_flow_passes_its_own_tests_and_is_covered_whole() -> None:
    """flows/doctor.test.yaml walks every node and route, with the real word vectors and rules."""
    result = run_script(read_script(ROOT / "flows" / "doctor.test.yaml"))
    assert result.failures == []
    assert result.coverage.missing == []
    assert len(result.results) >= 8


def test_only_tests_with_these_words_run(sample: Flow) -> None:
    """Case does not matter."""
    script = parse_script("tests: {One a: [{says: Hello}], two: [{says: Hello}]}", "s.test.yaml", sample)
    assert [result.case.name for result in run_script(script, "ONE").results] == ["One a"]


def test_ctrl_c_ends_the_run() -> None:
    """It is no answer cut short, which the next tests would follow."""
    registry = Registry({"ask_user": load_builtins().handlers["ask_user"]})

    @registry.handler
    def tell(turn: Turn) -> Iterator[str]:
        yield "Once upon "
        signal.raise_signal(signal.SIGINT)
        yield "a time"

    flow = parse_flow(BARE.replace("trip", "tell"), registry=registry)
    script = parse_script("tests: {a: [{user: go, says: Once}]}", "bare.test.yaml", flow)
    with pytest.raises(KeyboardInterrupt):
        run_script(script)
