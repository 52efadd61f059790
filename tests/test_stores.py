"""Every store keeps whole turns, and gives back the state of the last one."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fsmbot.errors import ConflictError, StoreError
from fsmbot.events import Event
from fsmbot.loader import parse_flow
from fsmbot.registry import Registry, load_builtins
from fsmbot.session import Session
from fsmbot.stores import MemoryStore, SQLiteStore, Store
from fsmbot.turn import State, Turn

FLOW = parse_flow(
    "start: ask_user\nnodes:\n  ask_user: {remember: last, next: say}\n"
    "  say: {text: Noted., next: ask_user}\n"
)


@pytest.fixture(params=["memory", "sqlite"])
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Store]:
    """Return a function that opens the store; the memory store is the same one each time."""
    if request.param == "sqlite":
        return lambda: SQLiteStore(tmp_path / "s.db")
    store = MemoryStore()
    return lambda: store


def test_a_session_goes_on_from_its_store(make_store: Callable[[], Store]) -> None:
    """State, memory and history of the last turn come back, also through a reopened store."""
    session = Session(FLOW, store=make_store(), session_id="ada")
    for text in ("one", "two \u00e9\U0001f600", "three\x00"):
        session.say(text)
    loaded = make_store().load("ada")
    assert loaded == session.state
    again = Session(FLOW, state=loaded, store=make_store(), session_id="ada")
    assert again.say("four") == "Noted.\nWhat would you like to ask?"
    assert make_store().load("ada") == again.state


def test_sessions_are_listed_and_deleted(make_store: Callable[[], Store]) -> None:
    """A store knows its sessions by name, and forgets one for good."""
    store = make_store()
    for name in ("bob", "ada"):
        Session(FLOW, store=store, session_id=name).say("x")
    assert store.names() == ["ada", "bob"]
    assert store.delete("ada")
    assert not store.delete("ada")
    assert store.names() == ["bob"]
    assert store.load("ada") is None


def test_a_deleted_session_may_begin_anew(make_store: Callable[[], Store]) -> None:
    """Also one that came from elsewhere in mid-conversation: no word of it is left."""
    store = make_store()
    elsewhere = Session(FLOW)
    elsewhere.say("canary")
    came = Session(FLOW, state=elsewhere.state, store=store, session_id="ada")
    came.say("canary")
    assert store.delete("ada")
    assert "canary" not in repr(vars(store))
    new = Session(FLOW, store=store, session_id="ada")
    new.say("hello")
    assert store.load("ada") == new.state


def test_a_turn_taken_back_is_overwritten_by_the_next(make_store: Callable[[], Store]) -> None:
    """After going back the store holds the history of the new turn, not of both."""
    store = make_store()
    session = Session(FLOW, store=store, session_id="ada")
    session.say("one")
    session.say("two")
    assert session.back()
    session.say("three")
    assert store.load("ada") == session.state


def test_a_store_returns_to_an_earlier_turn(make_store: Callable[[], Store]) -> None:
    """What came after is forgotten; a turn that is not kept is None, and then nothing is."""
    store = make_store()
    session = Session(FLOW, store=store, session_id="ada")
    session.say("one")
    before = session.state
    session.say("two")
    session.say("three")
    assert store.rewind("ada", 7) is None
    assert store.load("ada") == session.state
    assert store.rewind("ada", 1) == before
    assert make_store().load("ada") == before
    assert store.rewind("ada", 2) is None
    assert store.rewind("nobody", 0) is None


def test_a_session_goes_back_through_its_store(make_store: Callable[[], Store]) -> None:
    """Also one that was resumed by another process, step by step to the beginning."""
    first = Session(FLOW, store=make_store(), session_id="ada")
    first.say("one")
    first.say("two")
    session = Session(FLOW, state=make_store().load("ada"), store=make_store(), session_id="ada")
    assert session.back()
    assert session.state.memory == {"last": "one"}
    assert session.back()
    assert (session.state.turn, session.state.memory) == (0, {})
    assert not session.back()


def test_two_sessions_never_overwrite_each_other(make_store: Callable[[], Store]) -> None:
    """The second one on the same state is refused before its handlers run, and can go on once resumed."""
    first = Session(FLOW, store=make_store(), session_id="ada")
    first.say("one")
    second = Session.resume(FLOW, make_store(), "ada")
    first.say("two")
    kept, seen = make_store().load("ada"), list[Event]()
    with pytest.raises(
        ConflictError, match="in the store it stands after turn 2, and here it was known after"
    ):
        seen.extend(second.send("zwei"))
    assert (seen, make_store().load("ada")) == ([], kept)
    Session.resume(FLOW, make_store(), "ada").say("three")
    loaded = make_store().load("ada")
    assert loaded is not None
    assert [m.text for m in loaded.history if m.role == "user"] == ["one", "two", "three"]


def test_a_turn_that_was_taken_back_elsewhere_is_no_ground_to_go_on_from(
    make_store: Callable[[], Store],
) -> None:
    """The numbers agree, and yet the other message was said in its place."""
    first = Session(FLOW, store=make_store(), session_id="ada")
    first.say("one")
    second = Session.resume(FLOW, make_store(), "ada")
    first.back()
    first.say("eins")
    with pytest.raises(ConflictError):
        second.say("two")
    assert make_store().load("ada") == first.state


def test_a_session_may_have_many_conversations(make_store: Callable[[], Store]) -> None:
    """Turns are numbered through them; the history is that of the last one; -1 forgets them all."""
    session = Session(FLOW, store=make_store(), session_id="ada")
    session.say("one")
    following = session.anew()
    following.say("two")
    store = make_store()
    assert store.load("ada") == following.state
    assert (following.state.turn, following.state.opening, len(following.state.history)) == (3, 2, 4)
    assert store.at("ada", 1) == session.state
    assert store.rewind("ada", -1) is None
    assert (store.names(), store.load("ada")) == ([], None)


def test_a_state_from_elsewhere_is_taken_in(make_store: Callable[[], Store]) -> None:
    """One that the store does not know is kept with all its history from the next turn on."""
    travelled = Session(FLOW, session_id="ada")
    travelled.say("one")
    state = State.from_json(travelled.state.to_json())
    session = Session(FLOW, state=state, store=make_store(), session_id="ada")
    session.say("two")
    assert make_store().load("ada") == session.state
    assert len(session.state.history) == 7


def test_what_a_handler_does_to_the_history_is_not_kept(make_store: Callable[[], Store]) -> None:
    """It is there to be read; what was said stays what was said."""
    registry = Registry(dict(load_builtins().handlers))

    @registry.handler
    def rewrite(turn: Turn) -> Iterator[str]:
        turn.history.clear()
        turn.history.append("rubbish")  # type: ignore[arg-type]
        yield "Done."

    text = "start: ask_user\nnodes:\n  ask_user: {next: rewrite}\n  rewrite: {next: end}\n"
    flow = parse_flow(text, registry=registry)
    session = Session(flow, store=make_store(), session_id="ada")
    session.say("one")
    loaded = make_store().load("ada")
    assert loaded is not None
    assert [message.text for message in loaded.history] == ["What would you like to ask?", "one", "Done."]


def test_the_file_is_private(tmp_path: Path) -> None:
    """Conversations are readable by their owner alone."""
    SQLiteStore(tmp_path / "s.db")
    assert stat.S_IMODE((tmp_path / "s.db").stat().st_mode) == 0o600


def test_a_store_that_cannot_be_opened_or_read_says_why(tmp_path: Path) -> None:
    """A folder, a file of another kind and a damaged row are store errors that name the file."""
    with pytest.raises(StoreError, match="is not a file"):
        SQLiteStore(tmp_path)
    (tmp_path / "text").write_text("no database, but long enough to look at" * 9)
    with pytest.raises(StoreError, match="text cannot be opened: file is not a database"):
        SQLiteStore(tmp_path / "text")
    store = SQLiteStore(tmp_path / "s.db")
    Session(FLOW, store=store, session_id="ada").say("x")
    with sqlite3.connect(tmp_path / "s.db") as db:
        db.execute("UPDATE turns SET state = '{'")
    with pytest.raises(StoreError, match=r"s\.db cannot be read"):
        store.load("ada")
