"""Conversations can be watched: by functions, by a trace file, by OpenTelemetry spans."""

from __future__ import annotations

import json
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fsmbot.conversation import Chat
from fsmbot.errors import FsmbotError, HandlerError, StoreError
from fsmbot.events import Entered, Event, Failed, Listening, Said, from_json
from fsmbot.flow import Flow
from fsmbot.loader import parse_flow
from fsmbot.observe import Observed
from fsmbot.registry import Registry, load_builtins
from fsmbot.session import Session
from fsmbot.trace import Trace
from fsmbot.turn import Turn

CANARY = "canary-4711"


@pytest.fixture
def flow() -> Flow:
    """A flow with a slow node, one that repeats what was said, and one that may fail."""
    registry = Registry(dict(load_builtins().handlers))

    @registry.handler
    def slow(turn: Turn) -> Iterator[str]:
        time.sleep(0.03)
        yield f"You said {turn.text}"
        turn.notes.update(score=0.5, words=[turn.text], found=True)

    @registry.handler
    def fail(turn: Turn) -> None:
        if "fail" in turn.text:
            raise ValueError(f"cannot read {turn.text}")

    return parse_flow(
        "start: ask_user\nnodes:\n  ask_user: {remember: said, next: slow}\n"
        "  slow: {next: fail}\n  fail: {next: ask_user}\n",
        registry=registry,
    )


def test_an_observer_sees_every_event_in_order(flow: Flow) -> None:
    """The same events that the reader of the session gets, each with its session."""
    seen: list[Observed] = []
    session = Session(flow, observers=[seen.append])
    events = [*session.start(), *session.send("hello")]
    assert [one.event for one in seen] == events
    assert all(one.session is session for one in seen)


def test_the_time_of_an_event_is_the_sessions_own(flow: Flow) -> None:
    """What the reader does between two events does not count."""
    seen: list[Observed] = []
    session = Session(flow, observers=[seen.append])
    for _ in session.start():
        time.sleep(0.02)
    for _ in session.send("hello"):
        time.sleep(0.02)
    slow = next(one for one in seen if isinstance(one.event, Said) and one.event.node == "slow")
    assert 0.03 <= slow.seconds < 0.3
    assert sum(one.seconds for one in seen) - slow.seconds < 0.02


def test_an_observer_is_told_of_the_failure_that_ends_a_turn(flow: Flow) -> None:
    """There is no event for the reader, who gets the error; the observer sees a failure without target."""
    seen: list[Event] = []
    session = Session(flow, observers=[lambda one: seen.append(one.event)])
    list(session.start())
    with pytest.raises(HandlerError):
        list(session.send("fail"))
    assert seen[-1] == Failed("fail", "ValueError: cannot read fail", "")


def test_an_observer_that_raises_is_logged_and_harms_nobody(
    flow: Flow, caplog: pytest.LogCaptureFixture
) -> None:
    """The conversation, and the other observers, go on."""
    seen: list[Observed] = []

    def broken(one: Observed) -> None:
        raise RuntimeError("out of order")

    session = Session(flow, observers=[broken, seen.append])
    assert list(session.start())[-1] == Listening("ask_user")
    assert len(seen) == 3
    assert "broken failed: RuntimeError (test_observe.py:" in caplog.text


def test_stopping_and_abandoning_pass_through_observers(flow: Flow) -> None:
    """Ctrl-C keeps what was said; closing takes the turn back, as without observers."""
    session = Session(flow, observers=[lambda one: None])
    list(session.start())
    events: Any = session.send("hello")
    for event in events:
        if isinstance(event, Said):
            break
    assert events.throw(KeyboardInterrupt()).stopped
    assert list(events)[-1] == Listening("ask_user")
    before = session.state
    events = session.send("again")
    next(events)
    events.close()
    assert session.state is before


def traced(flow: Flow, path: Path, *, text: bool) -> list[dict[str, Any]]:
    """Talk once with a trace, and return its lines."""
    trace = Trace(path, text=text)
    session = Session(flow, observers=[trace])
    list(session.start())
    list(session.send(f"hello {CANARY}"))
    with pytest.raises(HandlerError):
        list(session.send(f"fail {CANARY}"))
    trace.close()
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_trace_tells_events_and_times(flow: Flow, tmp_path: Path) -> None:
    """Each line is one event that reads back, with session, turn and milliseconds; a node's time
    stands where it is left, a turn's where it rests."""
    lines = traced(flow, tmp_path / "t.jsonl", text=False)
    events = [from_json(json.dumps(line)) for line in lines]
    assert events[0] == Entered("ask_user")
    assert {line["session"] for line in lines} == {lines[0]["session"]}
    assert [line["turn"] for line in lines if line["event"] == "listening"] == [0, 1]
    slow = next(line for line in lines if line["event"] == "routed" and line["node"] == "slow")
    assert 30 <= slow["node_ms"] < 300
    assert (slow["turn"], slow["notes"]) == (1, {})
    rests = [line for line in lines if "turn_ms" in line]
    assert [line["event"] for line in rests] == ["listening", "listening", "failed"]
    assert rests[1]["turn_ms"] >= slow["node_ms"]


def test_a_trace_holds_nothing_that_was_said(flow: Flow, tmp_path: Path) -> None:
    """Neither message, answer, notes nor error; only how long a text was, and the kind of the error."""
    lines = traced(flow, tmp_path / "t.jsonl", text=False)
    assert CANARY not in (tmp_path / "t.jsonl").read_text()
    said = next(line for line in lines if line["event"] == "said" and line["node"] == "slow")
    assert (said["text"], said["characters"]) == ("", len(f"You said hello {CANARY}"))
    assert lines[-1]["error"] == "ValueError"


def test_a_trace_keeps_the_numbers_that_built_in_handlers_note(tmp_path: Path) -> None:
    """The score of check_medical, and not the words that led to it; handlers of one's own might note
    words as names."""
    trace = Trace(tmp_path / "t.jsonl")
    text = "start: ask_user\nnodes:\n  ask_user: {next: check_medical}\n  check_medical: {next: ask_user}\n"
    session = Session(parse_flow(text), observers=[trace])
    session.say("my head hurts")
    lines = [json.loads(line) for line in (tmp_path / "t.jsonl").read_text().splitlines()]
    (notes,) = [line["notes"] for line in lines if line.get("notes")]
    assert notes.keys() == {"score"}


def test_the_lines_of_a_trace_are_numbered_by_their_turns(flow: Flow, tmp_path: Path) -> None:
    """A command belongs to the turn in which it is given; a restart opens a turn of its own."""
    trace = Trace(tmp_path / "t.jsonl")
    session = Session(flow, observers=[trace])
    session.say("hello")
    list(session.obey("repeat"))
    list(session.obey("restart"))
    session.say("hello")
    lines = [json.loads(line) for line in (tmp_path / "t.jsonl").read_text().splitlines()]
    numbers = [line["turn"] for line in lines]
    changes = [n for n, before in zip(numbers, [None, *numbers], strict=False) if n != before]
    assert changes == [0, 1, 2, 3]


def test_a_turn_that_is_taken_back_is_told_to_observers(flow: Flow) -> None:
    """Abandoned, or not stored: the observer hears that the turn came to nothing, the reader does not."""
    seen: list[Event] = []
    session = Session(flow, observers=[lambda one: seen.append(one.event)])
    list(session.start())
    events: Any = session.send("hello")
    next(events)
    events.close()
    assert seen[-1] == Failed("ask_user", "Abandoned: nobody read the events to their end", "")
    assert len(spans_of(flow, ["fail", "hello"])) == len(spans_of(flow, ["hello"])) + 3


def test_a_trace_with_text_holds_what_was_said(flow: Flow, tmp_path: Path) -> None:
    """Where it is asked for."""
    lines = traced(flow, tmp_path / "t.jsonl", text=True)
    assert any(line.get("text") == f"You said hello {CANARY}" for line in lines)
    assert lines[-1]["error"] == f"ValueError: cannot read fail {CANARY}"


def test_a_trace_is_private_and_appended_to(flow: Flow, tmp_path: Path) -> None:
    """Its owner alone can read it, whatever its mode was; a second run adds to it."""
    path = tmp_path / "t.jsonl"
    path.touch(mode=0o644)
    first = len(traced(flow, path, text=False))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(traced(flow, path, text=False)) == 2 * first


@pytest.mark.skipif(not Path("/dev/null").exists(), reason="needs a device")
def test_a_device_keeps_its_rights() -> None:
    """`--trace /dev/null` takes it from nobody."""
    before = Path("/dev/null").stat().st_mode
    Trace("/dev/null").close()
    assert Path("/dev/null").stat().st_mode == before


def test_a_trace_that_cannot_be_written_is_refused_at_once(tmp_path: Path) -> None:
    """Before the conversation begins, and never through a link."""
    with pytest.raises(StoreError, match="cannot be written: Is a directory"):
        Trace(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="cannot be written"):
        Trace(tmp_path / "link")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_ends_the_trace_and_not_the_conversation(
    flow: Flow, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged once."""
    session = Session(flow, observers=[Trace("/dev/full")])
    list(session.start())
    assert list(session.send("hello"))[-1] == Listening("ask_user")
    assert caplog.text.count("the trace cannot be written any more") == 1


def test_the_command_line_writes_a_trace(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--trace FILE`; `--trace-text` alone is a slip that is explained."""
    import subprocess
    import sys

    path, root = tmp_path / "t.jsonl", Path(__file__).parent.parent
    (tmp_path / "f.yaml").write_text("start: ask_user\nnodes:\n  ask_user: {next: ask_user}\n")
    command = [sys.executable, "-m", "fsmbot", "--flow", str(tmp_path / "f.yaml")]
    done = subprocess.run([*command, "--trace", str(path)], input=b"hello\n", cwd=root, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    assert [json.loads(line)["event"] for line in path.read_text().splitlines()] == [
        "entered", "said", "listening", "routed", "entered", "said", "listening",
    ]  # fmt: skip
    done = subprocess.run([*command, "--trace-text"], input=b"", cwd=root, capture_output=True)
    assert done.returncode == 2
    assert b"name its file with --trace FILE" in done.stderr


def spans_of(flow: Flow, texts: list[str]) -> list[Any]:
    """Talk with spans recorded in memory, and return them in the order of their beginning."""
    pytest.importorskip("opentelemetry.sdk")
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from fsmbot.telemetry import Spans

    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    session = Session(flow, observers=[Spans(provider)])
    list(session.start())
    for text in texts:
        try:
            list(session.send(text))
        except FsmbotError:
            continue
    return sorted(exporter.get_finished_spans(), key=lambda span: span.start_time)  # type: ignore[no-any-return]


def test_a_turn_is_a_span_with_its_nodes_inside(flow: Flow) -> None:
    """Names, outcome and times of the nodes; every span is ended, and none says what was said."""
    spans = spans_of(flow, [f"hello {CANARY}"])
    turns = [span for span in spans if span.name == "fsmbot.turn"]
    assert len(turns) == 2
    inside = [span for span in spans if span.parent and span.parent.span_id == turns[1].context.span_id]
    assert [span.name for span in inside] == ["fsmbot.node slow", "fsmbot.node fail", "fsmbot.node ask_user"]
    assert inside[0].attributes["fsmbot.target"] == "fail"
    assert inside[0].end_time - inside[0].start_time >= 30_000_000
    assert CANARY not in "".join(span.to_json() for span in spans)


def test_a_failure_is_an_error_of_its_spans(flow: Flow) -> None:
    """Node and turn are marked, with the kind of the error only."""
    spans = spans_of(flow, [f"fail {CANARY}", "hello"])
    failed = [span for span in spans if span.status.description == "ValueError"]
    assert [span.name for span in failed] == ["fsmbot.turn", "fsmbot.node fail"]
    assert CANARY not in "".join(span.to_json() for span in spans)


def test_the_spans_of_a_subflow_are_inside_its_nodes(tmp_path: Path) -> None:
    """A node that runs a flow spans what is visited there."""
    (tmp_path / "inner.yaml").write_text("start: say\nnodes:\n  say: {text: Hello, next: end}\n")
    text = "start: hi\nnodes:\n  hi: {flow: inner.yaml, next: ask_user}\n  ask_user: {next: hi}\n"
    spans = spans_of(parse_flow(text, str(tmp_path / "f.yaml")), [])
    by_name = {span.name: span for span in spans}
    assert by_name["fsmbot.node hi/say"].parent.span_id == by_name["fsmbot.node hi"].context.span_id
    assert by_name["fsmbot.node hi"].parent.span_id == by_name["fsmbot.turn"].context.span_id


def test_without_opentelemetry_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says what to install."""
    import sys

    from fsmbot.errors import MissingExtra
    from fsmbot.telemetry import Spans

    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(MissingExtra, match=r"fsmbot\[otel\]"):
        Spans()


def test_a_chat_keeps_times_for_why(flow: Flow) -> None:
    """Each event of the last exchange has its seconds."""
    chat = Chat(flow)
    list(chat.start())
    list(chat.send("hello"))
    assert chat.last is not None
    assert len(chat.last.seconds) == len(chat.last.events)
    assert sum(chat.last.seconds) >= 0.03
