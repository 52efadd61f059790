"""Commands in plain words: help, restart, repeat and back, as a flow file words them."""

from __future__ import annotations

import io

import pytest

from fsmbot import explain
from fsmbot.channels import run_plain
from fsmbot.conversation import Chat
from fsmbot.errors import FlowError, StateError
from fsmbot.events import Commanded, Ended, Listening, Said
from fsmbot.loader import parse_flow
from fsmbot.session import Session
from fsmbot.stores import MemoryStore
from fsmbot.turn import State

FLOW = parse_flow("""\
start: ask_name
memory: {name: friend}
commands:
  help: {words: [what can you do], say: I ask two things.}
  restart: {words: [start over, that's wrong], say: From the beginning.}
  repeat: {words: [pardon]}
  back: {words: [go back], say: One step back.}
nodes:
  ask_name: {handler: ask_user, prompt: Your name?, remember: name, next: ask_age}
  ask_age: {handler: ask_user, prompt: "{name}, your age?", remember: age, next: thank}
  thank: {handler: say, text: "Thanks, {name}.", next: end}
""")


@pytest.fixture
def session() -> Session:
    """A session that asks for the age."""
    session = Session(FLOW)
    assert session.say("Ada") == "Ada, your age?"
    return session


def test_help_says_the_help_and_changes_nothing(session: Session) -> None:
    """The conversation waits where it waited; history and memory are as before."""
    before = session.state
    assert list(session.send("What can you do?")) == [
        Commanded("help", "ask_age"),
        Said("ask_age", "I ask two things."),
        Listening("ask_age"),
    ]
    assert session.state is before


def test_repeat_says_again_what_the_bot_said_last(session: Session) -> None:
    """Word for word, and without asking a handler again."""
    before = session.state
    assert session.say("pardon?") == "Ada, your age?"
    assert session.state is before


def test_back_returns_to_before_the_last_message(session: Session) -> None:
    """Node, memory and history are as they were, and the question is asked again."""
    assert session.say("go back") == "One step back.\nYour name?"
    assert (session.state.node, session.state.memory, session.state.turn) == (
        "ask_name",
        {"name": "friend"},
        0,
    )
    assert session.say("Bob") == "Bob, your age?"


def test_back_leads_out_of_an_ended_conversation(session: Session) -> None:
    """The last answer can be taken back, too."""
    session.say("36")
    assert session.state.status == "ended"
    assert session.say("go back") == "One step back.\nAda, your age?"


def test_there_may_be_nothing_to_go_back_to() -> None:
    """At the beginning the user is told so, and asked again."""
    assert Session(FLOW).say("go back") == "There is nothing to go back to.\nYour name?"


def test_restart_begins_anew_in_the_same_session(session: Session) -> None:
    """Memory is what the flow begins with, and what was said is gone."""
    assert session.say("Start over!") == "From the beginning.\nYour name?"
    state = session.state
    assert (state.memory, len(state.history), state.answered) == ({"name": "friend"}, 1, 0)
    session.say("Bob")
    session.say("40")
    assert session.say("start over") == "From the beginning.\nYour name?"


def test_a_store_forgets_what_restart_and_back_leave(session: Session) -> None:
    """What the session resumes from is what the user saw last."""
    store = MemoryStore()
    session = Session(FLOW, store=store, session_id="a")
    session.say("Ada")
    session.say("go back")
    assert store.load("a") == session.state
    session.say("Bob")
    session.say("start over")
    assert store.load("a") == session.state
    resumed = Session(FLOW, state=store.load("a"), store=store, session_id="a")
    assert resumed.say("Cy") == "Cy, your age?"


@pytest.mark.parametrize(
    "text", ["START  OVER", "start over!", "“start over”", "thats wrong", "That’s wrong."]
)
def test_capitals_marks_and_apostrophes_do_not_matter(session: Session, text: str) -> None:
    """A plain user need not type exactly."""
    assert session.say(text).startswith("From the beginning.")


@pytest.mark.parametrize("text", ["I want to start over with my diet", "start", "overstart over", ""])
def test_a_message_with_more_or_less_in_it_is_no_command(session: Session, text: str) -> None:
    """Only the words, and nothing else, are a command."""
    assert session.say(text) == "Thanks, Ada."


def test_a_flow_without_commands_knows_none() -> None:
    """The words mean nothing unless the flow says so."""
    flow = parse_flow("start: ask_user\nnodes:\n  ask_user: {remember: x, next: end}\n")
    session = Session(flow)
    session.say("start over")
    assert session.state.memory == {"x": "start over"}
    with pytest.raises(StateError, match="has ended"):
        session.send("start over")


def test_commands_work_without_a_terminal() -> None:
    """Also after the conversation has ended, where the next line would begin a new one."""
    lines = ["Ada", "pardon", "go back", "Bob", "40", "go back", "41", "start over"]
    out = io.StringIO()
    assert run_plain(FLOW, io.BytesIO("\n".join(lines).encode()), out) == 0
    assert out.getvalue().splitlines() == [
        "Your name?",
        "Ada, your age?",
        "Ada, your age?",
        "One step back.",
        "Your name?",
        "Bob, your age?",
        "Thanks, Bob.",
        "One step back.",
        "Bob, your age?",
        "Thanks, Bob.",
        "From the beginning.",
        "Your name?",
    ]


def test_a_line_may_give_a_command_by_its_slash() -> None:
    """Without a terminal too, and in a flow that words none; two slashes send it as a message."""
    flow = parse_flow(
        "start: ask_user\nnodes:\n  ask_user: {remember: it, next: say}\n"
        "  say: {text: 'You said {it}', next: ask_user}\n"
    )
    out = io.StringIO()
    lines = "one\n/repeat\n/back\n/restart\n/help\n/why\n//back\n/bin/back\n"
    assert run_plain(flow, io.BytesIO(lines.encode()), out) == 0
    question = "What would you like to ask?"
    assert out.getvalue().splitlines() == [
        question,
        *("You said one", question),
        *("You said one", question),
        question,
        question,
        "You can say /repeat, /back or /restart at any time.",
        "there is no command 'why'; known: help, restart, repeat, back",
        *("You said /back", question),
        *("You said /bin/back", question),
    ]


def test_a_program_may_give_commands(session: Session) -> None:
    """By their names, as a button in a web page would."""
    first, *_ = session.obey("back")
    assert first == Commanded("back", "ask_age")
    assert session.state.node == "ask_name"
    with pytest.raises(StateError, match="there is no command 'bakc'; did you mean 'back'"):
        session.obey("bakc")


def test_in_a_chat_undo_agrees_with_going_back() -> None:
    """A message that was taken back in words is not taken back again by /back."""
    chat = Chat(FLOW)
    list(chat.start())
    for text in ("Ada", "36"):
        list(chat.send(text))
    list(chat.send("go back"))
    assert chat.session.state.node == "ask_age"
    assert chat.undo() == "Ada"
    assert chat.session.state.node == "ask_name"
    assert chat.undo() is None


def test_in_a_chat_restart_keeps_the_transcript() -> None:
    """What was said before is among the conversations that /save writes, and /back leads there."""
    chat = Chat(FLOW)
    list(chat.start())
    list(chat.send("Ada"))
    events = list(chat.send("start over"))
    assert [e.text for e in events if isinstance(e, Said)] == ["From the beginning.", "Your name?"]
    assert [message.text for message in chat.past[0]] == ["Your name?", "Ada", "Ada, your age?"]
    assert chat.undo() == "start over"
    assert chat.session.state.node == "ask_age"


def test_a_command_leaves_an_ended_chat_ended() -> None:
    """Asked to repeat the last answer, the bot does not begin anew."""
    chat = Chat(FLOW)
    list(chat.start())
    for text in ("Ada", "36"):
        list(chat.send(text))
    assert list(chat.send("pardon"))[-1] == Ended("thank")


def test_restart_keeps_what_the_program_brought() -> None:
    """The memory with which the session was made is there again, and nothing else."""
    session = Session(FLOW, state=State(memory={"customer": "C-1"}))
    session.say("Ada")
    session.say("start over")
    assert session.state.memory == {"customer": "C-1", "name": "friend"}


def test_what_a_command_says_is_filled() -> None:
    """As every text of a flow; a name that nothing remembers is a mistake there, too."""
    text = "start: ask_user\ncommands: {help: {words: [what], say: 'I can help, {name}.'}}\n"
    text += "memory: {name: Ada}\nnodes:\n  ask_user: {next: end}\n"
    assert Session(parse_flow(text)).say("what?") == "I can help, Ada."
    with pytest.raises(
        FlowError, match=r"2:39: command 'help': nothing in this flow remembers '\{nmae\}'; did you"
    ):
        parse_flow(text.replace("{name}", "{nmae}"))


def test_going_back_is_done_at_the_end(session: Session) -> None:
    """Whoever closes the events early has not gone back: the command is taken back, as a turn is."""
    before = session.state
    events = session.send("go back")
    next(events)
    events.close()  # type: ignore[attr-defined]
    assert session.state is before
    assert session.store is not None
    assert session.store.load(session.id) == before


def test_why_tells_a_command_once() -> None:
    """However many messages the bot said to it."""
    chat = Chat(FLOW)
    list(chat.start())
    for text in ("Ada", "go back"):
        list(chat.send(text))
    assert chat.last is not None
    assert explain.why(chat.last) == [
        "you said: go back",
        "  ask_age   was asked for: back",
        "  ask_name  waits for you",
    ]
