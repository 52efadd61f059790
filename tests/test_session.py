"""A session moves by events, one turn is one transaction, and its state is JSON."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from typing import Any, Literal

import pytest

from fsmbot.errors import HandlerError, OutcomeError, StateError, StepLimitError
from fsmbot.events import Ended, Entered, Failed, Listening, Routed, Said, from_json, to_json
from fsmbot.flow import Flow, Node
from fsmbot.loader import parse_flow
from fsmbot.registry import Registry
from fsmbot.session import Session
from fsmbot.stores import MemoryStore
from fsmbot.turn import MAX_MESSAGE, Message, State, Turn

registry = Registry()


@registry.handler(listens=True)
def ask(turn: Turn, *, prompt: str = "Yes?") -> Iterator[str]:
    yield prompt


@registry.handler
def check(turn: Turn) -> Literal["medical", "other"]:
    turn.notes["length"] = len(turn.text)
    return "medical" if "pain" in turn.text else "other"


@registry.handler
def doctor(turn: Turn) -> Iterator[str]:
    yield "See a "
    yield "doctor."


@registry.handler
def count(turn: Turn) -> Iterator[str]:
    turn.memory["count"] = turn.memory.get("count", 0) + 1
    yield f"{turn.memory['count']} {[m.text for m in turn.history if m.role == 'user']}"


@registry.handler
def fail(turn: Turn) -> Iterator[str]:
    turn.memory["touched"] = True
    yield "I am about to "
    raise ValueError("break")


@registry.handler
def stray(turn: Turn) -> Literal["a", "b"]:
    return "c"  # type: ignore[return-value]


@registry.handler
def flip(turn: Turn) -> Literal["on", "off"]:
    return "on"


@registry.handler
def say(turn: Turn, *, text: str = "ok") -> Iterator[str]:
    yield text


@registry.handler
def odd_memory(turn: Turn, *, kind: str) -> Iterator[str]:
    turn.memory["odd"] = {"set": {1, 2}, "object": object(), "bytes": b"x"}[kind]
    yield "kept"


@registry.handler
def speak_and_choose(turn: Turn) -> Generator[str, None, Literal["short", "long"]]:
    yield "Hm."
    return "long" if len(turn.text) > 5 else "short"


def flow(nodes: str, start: str = "ask", top: str = "") -> Flow:
    return parse_flow(f"name: test\nstart: {start}\n{top}nodes:\n{nodes}", registry=registry)


DOCTOR = flow("""\
  ask: {next: check}
  check: {next: {medical: doctor, other: end}}
  doctor: {next: end}
""")
LOOP = flow("  ask: {next: count}\n  count: {next: ask}\n")


def test_a_conversation_is_a_stream_of_events() -> None:
    """Starting and sending emit what happened, in order, and nothing else."""
    session = Session(DOCTOR)
    assert list(session.start()) == [Entered("ask"), Said("ask", "Yes?"), Listening("ask")]
    assert list(session.send("a pain")) == [
        Routed("ask", "", "check"),
        Entered("check"),
        Routed("check", "medical", "doctor", {"length": 6}),
        Entered("doctor"),
        Said("doctor", "See a "),
        Said("doctor", "doctor."),
        Routed("doctor", "", "end"),
        Ended("doctor"),
    ]
    assert session.state == State(
        "doctor", "ended", {},
        (Message("bot", "Yes?"), Message("user", "a pain"), Message("bot", "See a doctor.")),
        1, DOCTOR.fingerprint,
    )  # fmt: skip


def test_same_flow_same_state_same_input_same_events() -> None:
    """Two sessions that hear the same say the same."""
    runs = [[*s.start(), *s.send("x"), *s.send("y")] for s in (Session(LOOP), Session(LOOP))]
    assert runs[0] == runs[1]


def test_say_is_the_whole_reply() -> None:
    """`say` starts a new session by itself and returns the words alone."""
    assert Session(DOCTOR).say("pain") == "See a doctor."
    assert Session(DOCTOR).say("hello") == ""
    session = Session(LOOP)
    assert session.say("one") == "1 ['one']\nYes?"
    assert session.say("two") == "2 ['one', 'two']\nYes?"


def test_sending_to_a_new_session_starts_it() -> None:
    """The opening words are among the events."""
    assert list(Session(DOCTOR).send("x"))[:3] == [Entered("ask"), Said("ask", "Yes?"), Listening("ask")]


def test_a_session_resumes_from_json() -> None:
    """State goes through JSON and the conversation goes on where it was."""
    first = Session(LOOP)
    first.say("one")
    second = Session(LOOP, state=State.from_json(first.state.to_json()))
    assert second.notice == ""
    assert second.say("two") == first.say("two") == "2 ['one', 'two']\nYes?"


def test_a_changed_flow_resumes_where_the_node_still_stands() -> None:
    """The session is told of the change; a node that is gone is named."""
    state = Session(LOOP).state
    session = Session(LOOP)
    session.say("one")
    state = session.state
    changed = flow("  ask: {prompt: And?, next: count}\n  count: {next: ask}\n")
    resumed = Session(changed, state=state)
    assert "has changed" in resumed.notice
    assert resumed.say("two").endswith("And?")
    gone = flow("  listen: {handler: ask, next: end}\n", start="listen")
    with pytest.raises(StateError, match="waits at node 'ask', which is no longer a listening node"):
        Session(gone, state=state)


def test_an_ended_session_takes_no_more_messages() -> None:
    """Nor does a session that has begun begin again."""
    session = Session(DOCTOR)
    session.say("x")
    with pytest.raises(StateError, match="has ended; begin a new one"):
        session.send("y")
    with pytest.raises(StateError, match="has begun already"):
        session.start()


def test_a_message_that_is_too_long_is_refused_whole() -> None:
    """Nothing is cut silently; the state stays."""
    session = Session(LOOP)
    session.say("one")
    before = session.state
    with pytest.raises(StateError, match="the message has 20,001 characters; at most 20,000"):
        session.send("x" * (MAX_MESSAGE + 1))
    assert session.state is before


def test_lone_surrogates_do_not_reach_the_state() -> None:
    """Half characters become question marks, so that the state is always valid JSON."""
    session = Session(LOOP)
    session.say("a\ud800b")
    assert State.from_json(session.state.to_json()) == session.state
    assert session.state.history[1] == Message("user", "a?b")


FAILS = "  ask: {{next: fail}}\n  fail: {{{error}next: end}}\n{sorry}"
SORRY = "  sorry: {handler: say, text: Sorry, next: ask}\n"


def test_a_failing_handler_raises_with_flow_node_session_and_cause() -> None:
    """Without on_error the error says where, and the turn is taken back."""
    session = Session(flow(FAILS.format(error="", sorry="")), session_id="s1")
    list(session.start())
    before = session.state
    with pytest.raises(HandlerError, match="flow 'test', node 'fail', session 's1': ValueError: break") as e:
        list(session.send("x"))
    assert isinstance(e.value.__cause__, ValueError)
    assert (e.value.flow, e.value.node, e.value.session) == ("test", "fail", "s1")
    assert session.state is before
    assert before.memory == {}


@pytest.mark.parametrize(
    "broken",
    [
        flow(FAILS.format(error="on_error: sorry, ", sorry=SORRY)),
        flow(FAILS.format(error="", sorry=SORRY), top="on_error: sorry\n"),
    ],
    ids=["of the node", "of the flow"],
)
def test_on_error_takes_over(broken: Flow) -> None:
    """A failure leads to the node's on_error, else the flow's; what was said stays said."""
    session = Session(broken)
    events = list(session.send("x"))
    assert Failed("fail", "ValueError: break", "sorry") in events
    assert events[-1] == Listening("ask")
    assert [m.text for m in session.state.history] == ["Yes?", "x", "I am about to ", "Sorry", "Yes?"]


def test_an_error_node_that_fails_itself_does_not_go_round() -> None:
    """The flow's on_error is not asked to handle its own failure."""
    session = Session(flow("  ask: {next: fail}\n  fail: {next: end}\n", top="on_error: fail\n"))
    with pytest.raises(HandlerError, match="node 'fail'"):
        list(session.send("x"))


def test_an_undeclared_outcome_is_an_error_that_lists_the_declared() -> None:
    """A handler cannot wander off the map."""
    session = Session(flow("  ask: {next: stray}\n  stray: {next: {a: end, b: end}}\n"))
    with pytest.raises(OutcomeError, match="the handler returned 'c'; expected 'a' or 'b'"):
        list(session.send("x"))


def test_the_step_limit_names_the_cycle() -> None:
    """A turn that goes round in silence is cut, and the loop is in the message."""
    # The loader refuses such a loop; a flow built in Python without the checks can still have one.
    handler = registry.handlers["flip"]
    nodes = {
        "a": Node("a", handler, {"on": "b", "off": "end"}),
        "b": Node("b", handler, {"on": "a", "off": "end"}),
    }
    with pytest.raises(StepLimitError, match=r"more than 7 nodes, going round [ab] -> [ab] -> [ab];") as e:
        list(Session(Flow("loop", "a", nodes, max_steps=7, registry=registry)).start())
    assert set(e.value.cycle) == {"a", "b"}
    assert e.value.cycle[0] == e.value.cycle[-1]


@pytest.mark.parametrize("kind", ["set", "object", "bytes"])
def test_memory_that_is_not_json_is_the_handlers_failure(kind: str) -> None:
    """It is found in the turn that made it, not when the state is saved; sets and bytes become lists
    and text, as they would in JSON."""
    session = Session(flow(f"  ask: {{next: odd_memory}}\n  odd_memory: {{kind: {kind}, next: end}}\n"))
    if kind == "object":
        with pytest.raises(HandlerError, match="memory must hold JSON values"):
            list(session.send("x"))
    else:
        list(session.send("x"))
        assert session.state.memory == {"odd": [1, 2] if kind == "set" else "eA=="}


def test_remember_keeps_the_answer() -> None:
    """What the user says to a listening node with `remember` is in memory from then on."""
    session = Session(flow("  ask: {remember: name, next: say}\n  say: {next: end}\n"))
    session.say("Ada")
    assert session.state.memory == {"name": "Ada"}


def test_a_conversation_begins_with_the_memory_of_flow_and_state() -> None:
    """The flow's `memory:`, and over it what the program that runs it knows already."""
    talk = flow("  ask: {next: say}\n  say: {next: end}\n", top="memory: {name: friend, tries: 0}\n")
    session = Session(talk, state=State(memory={"name": "Ada"}))
    list(session.start())
    assert session.state.memory == {"name": "Ada", "tries": 0}
    assert talk.memory == {"name": "friend", "tries": 0}


def test_a_speaking_handler_may_decide() -> None:
    """A generator's return value is its outcome."""
    talk = flow(
        "  ask: {next: speak_and_choose}\n"
        "  speak_and_choose: {next: {short: end, long: doctor}}\n  doctor: {next: end}\n"
    )
    assert Session(talk).say("hi") == "Hm."
    assert Session(talk).say("hello there") == "Hm.\nSee a doctor."


def test_stopping_keeps_what_was_said_and_goes_on() -> None:
    """KeyboardInterrupt thrown into the events ends the message there; the turn is committed."""
    session = Session(DOCTOR)
    list(session.start())
    events = session.send("pain")
    for event in events:
        if type(event) is Said:
            break
    rest = [events.throw(KeyboardInterrupt()), *events]  # type: ignore[attr-defined]
    assert rest == [Routed("doctor", "", "end", stopped=True), Ended("doctor")]
    assert session.state.history[-1] == Message("bot", "See a ")


def test_abandoning_the_events_takes_the_turn_back() -> None:
    """A consumer that closes the iterator leaves the state as it was before the turn."""
    session = Session(LOOP)
    session.say("one")
    before = session.state
    events = session.send("two")
    next(events)
    events.close()  # type: ignore[attr-defined]
    assert session.state is before
    assert session.say("two").startswith("2 ")


def test_memory_of_a_state_is_never_changed_behind_its_back() -> None:
    """A handler works on a copy, so that an earlier state stays what it was."""
    session = Session(LOOP)
    session.say("one")
    before = session.state
    session.say("two")
    assert (before.memory, session.state.memory) == ({"count": 1}, {"count": 2})


def test_a_turn_is_committed_before_it_is_acknowledged() -> None:
    """When Listening or Ended arrives, the store has the turn with all its events."""

    class Recording(MemoryStore):
        def commit(self, session_id: str, state: State, events: Any, before: Any = None) -> None:
            log.append((state.turn, list(events)))
            super().commit(session_id, state, events, before)

    log: list[Any] = []
    session = Session(LOOP, store=Recording(), session_id="s")
    seen: list[Any] = []
    for event in [*session.start()]:
        seen.append(event)
    assert log == [(0, seen)]
    for event in session.send("x"):
        if type(event) is Listening:
            assert [turn for turn, _ in log] == [0, 1]
            assert log[1][1][-1] == event
        else:
            assert len(log) == 1


def test_a_failing_store_is_not_acknowledged() -> None:
    """If the turn cannot be kept, no Listening or Ended comes and the state stays."""

    class Full(MemoryStore):
        def commit(self, session_id: str, state: State, events: Any, before: Any = None) -> None:
            raise OSError("disk full")

    session, seen = Session(LOOP, store=Full()), []
    with pytest.raises(OSError, match="disk full"):
        seen.extend(event for event in session.start())
    assert session.state == State()


def test_resources_may_be_given() -> None:
    """A test hands its own resource to a session; handlers get it by name."""
    own = Registry()
    own.handlers["ask"] = registry.handlers["ask"]

    @own.handler
    def use(turn: Turn, gadget: Any) -> Iterator[str]:
        yield gadget.upper()

    talk = parse_flow("start: ask\nnodes:\n  ask: {next: use}\n  use: {next: end}", registry=own)
    assert Session(talk, {"gadget": "word"}).say("x") == "WORD"


def test_events_go_through_json() -> None:
    """Every event is one line of JSON, and reads back as itself."""
    session = Session(DOCTOR)
    for event in [*session.start(), *session.send("pain")]:
        assert from_json(to_json(event)) == event
        assert "\n" not in to_json(event)


def test_a_second_message_in_the_middle_of_a_turn_is_not_lost_in_silence() -> None:
    """The turn that comes late is taken back with an error; the other one stands."""
    session = Session(LOOP)
    session.say("one")
    late = session.send("two")
    next(late)
    session.say("three")
    with pytest.raises(StateError, match="took another message while this one was being answered"):
        list(late)
    assert [m.text for m in session.state.history if m.role == "user"] == ["one", "three"]


def test_a_resource_that_nobody_asks_for_is_a_slip_of_the_pen() -> None:
    """A fake under a misspelt name would leave the real thing in place."""
    from fsmbot.errors import ResourceError

    talk = parse_flow("start: check_medical\nnodes:\n  check_medical: {next: end}")
    with pytest.raises(ResourceError, match="asks for a resource 'vektors'; did you mean 'vectors'"):
        Session(talk, {"vektors": None})


def test_json_is_no_state_yet() -> None:
    """Bytes in place of a State are refused with what to call."""
    with pytest.raises(TypeError, match=r"state must be a State, not bytes; .* State\.from_json"):
        Session(LOOP, state=b"{}")  # type: ignore[arg-type]


def test_text_is_yielded_not_returned() -> None:
    """A handler that returns a string instead of yielding it is told so."""
    own = Registry()

    @own.handler
    def hello(turn: Turn) -> Iterator[str]:
        return "hello"  # type: ignore[return-value]

    talk = parse_flow("start: hello\nnodes:\n  hello: {next: end}", registry=own)
    with pytest.raises(HandlerError, match="write `yield` instead of `return`"):
        list(Session(talk).start())


MENDED = FAILS.format(error="on_error: sorry, ", sorry=SORRY)


def test_what_a_failing_handler_remembered_is_forgotten() -> None:
    """The node that takes over finds the memory of before, were it JSON or not."""
    session = Session(flow(MENDED), state=State(memory={"name": "Ada"}))
    session.say("x")
    assert session.state.memory == {"name": "Ada"}
    nodes = "  ask: {next: odd_memory}\n  odd_memory: {kind: object, on_error: say, next: end}\n"
    odd = flow(nodes + "  say: {next: end}\n")
    session = Session(odd)
    assert session.say("x") == "kept\nok"
    assert session.state.memory == {}


def test_memory_stays_a_dict() -> None:
    """A handler that puts something else in its place has failed."""
    own = Registry({"ask": registry.handlers["ask"]})

    @own.handler
    def rebind(turn: Turn) -> None:
        turn.memory = [1]  # type: ignore[assignment]

    session = Session(
        parse_flow("start: ask\nnodes:\n  ask: {next: rebind}\n  rebind: {next: end}\n", registry=own)
    )
    with pytest.raises(HandlerError, match=r"memory must stay a dict, and a handler made it \[1\]"):
        session.say("x")


def test_a_stopped_answer_leaves_no_notes_behind() -> None:
    """What the stopped node noted is its own, and not the next node's."""
    own = Registry(dict(registry.handlers))

    @own.handler
    def noting(turn: Turn) -> Iterator[str]:
        turn.notes["mine"] = 1
        yield "Well, "
        yield "no"

    session = Session(
        parse_flow(
            "start: ask\nnodes:\n  ask: {next: noting}\n  noting: {next: count}\n  count: {next: end}\n",
            registry=own,
        )
    )
    list(session.start())
    events: Any = session.send("x")
    for event in events:
        if type(event) is Said:
            break
    rest = [events.throw(KeyboardInterrupt()), *events]
    assert rest[0] == Routed("noting", "", "count", {"mine": 1}, stopped=True)
    assert all(event.notes == {} for event in rest[1:] if type(event) is Routed)


def test_an_outcome_that_is_no_text_is_an_outcome_error() -> None:
    """Also one that could not even be looked up."""
    own = Registry({"ask": registry.handlers["ask"]})

    @own.handler
    def lists(turn: Turn) -> Literal["a"]:
        return ["a"]  # type: ignore[return-value]

    session = Session(
        parse_flow("start: ask\nnodes:\n  ask: {next: lists}\n  lists: {next: end}\n", registry=own)
    )
    with pytest.raises(OutcomeError, match=r"the handler returned \['a'\]"):
        session.say("x")


def test_a_session_does_not_begin_over_one_that_is_stored() -> None:
    """A name that is taken is refused, and what is stored stays."""
    store = MemoryStore()
    Session(LOOP, store=store, session_id="ada").say("one")
    kept = store.load("ada")
    with pytest.raises(StateError, match="the store has a session 'ada' already; go on with it"):
        Session(LOOP, store=store, session_id="ada").start()
    assert store.load("ada") == kept


def test_going_back_stops_where_the_flow_has_lost_the_node() -> None:
    """After an edit there may be nothing to return to; the session then stays where it is."""
    store = MemoryStore()
    text = "  {first}: {{handler: ask, next: second}}\n  second: {{handler: ask, next: {first}}}\n"
    session = Session(flow(text.format(first="one"), start="one"), store=store, session_id="a")
    session.say("x")
    edited = Session(
        flow(text.format(first="other"), start="other"), state=session.state, store=store, session_id="a"
    )
    assert not edited.back()
    assert edited.state == session.state == store.load("a")
    assert edited.say("y") == "Yes?"


def test_sessions_of_a_forked_process_have_other_ids() -> None:
    """A server that forks its workers must not have two sessions of one id."""
    waiting = DOCTOR
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        os.write(writer, Session(waiting).id.encode())
        os._exit(0)
    os.waitpid(child, 0)
    theirs, ours = os.read(reader, 100).decode(), Session(waiting).id
    assert theirs.rpartition("-")[0] != ours.rpartition("-")[0] != ""
