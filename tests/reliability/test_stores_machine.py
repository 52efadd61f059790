"""Whatever is done to sessions, through however many objects, a store agrees with a plain model of it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from fsmbot.errors import ConflictError
from fsmbot.loader import parse_flow
from fsmbot.session import Session
from fsmbot.stores import MemoryStore, SQLiteStore, Store
from fsmbot.turn import State

FLOW = parse_flow(
    "start: ask\n"
    "commands: {restart: {words: [start over]}, back: {words: [go back]}}\n"
    "nodes:\n  ask: {handler: ask_user, prompt: Yes?, remember: last, next: check}\n"
    "  check: {handler: match, cases: {bye: [bye]}, next: {bye: end, otherwise: say}}\n"
    "  say: {text: 'Noted, {last}.', next: ask}\n"
)
NAMES = st.sampled_from(["ada", "b'; DROP TABLE turns; --"])
TEXTS = (
    st.sampled_from(["one", "bye", "", "\x00", "\ud800", "é\U0001f600", "start over", "go back"]) | st.text()
)


class Stores(RuleBasedStateMachine):
    """Sessions by name, each known to two objects at once; the model is the list of their states."""

    def open(self) -> Store:
        """Return the store, opened anew where that means anything."""
        raise NotImplementedError

    @initialize()
    def begin(self) -> None:
        """Start with an empty store."""
        self.store = self.open()
        self.model: dict[str, list[State]] = {}
        self.objects: dict[tuple[str, bool], Session] = {}

    @rule(name=NAMES, which=st.booleans())
    def resume(self, name: str, which: bool) -> None:
        """Take up a session where the store has left it."""
        session = self.objects[name, which] = Session.resume(FLOW, self.store, name)
        assert session.state == (self.model[name][-1] if name in self.model else State())

    @rule(name=NAMES, which=st.booleans(), text=TEXTS)
    def say(self, name: str, which: bool, text: str) -> None:
        """Send a message, or a command; an object that has fallen behind is refused, and changes nothing."""
        session = self.objects.get((name, which)) or Session.resume(FLOW, self.store, name)
        if session.state.status == "ended" and FLOW.spoken(text) is None:
            session = session.anew()
        self.objects[name, which] = session
        turns = self.model.get(name, [])
        try:
            if session.state.status == "new":
                list(session.start())
                turns = self.model.setdefault(name, turns)
                turns.append(session.state)
            before = session.state
            list(session.send(text))
        except ConflictError:
            assert session.state.status == "new" or session.state not in turns[-1:]
            return
        if session.state.turn < before.turn:
            del turns[session.state.turn + 1 :]
        elif session.state.turn > before.turn:
            turns.append(session.state)

    @rule(name=NAMES)
    def delete(self, name: str) -> None:
        """Forget a session."""
        assert self.store.delete(name) == (name in self.model)
        self.model.pop(name, None)
        self.objects = {key: session for key, session in self.objects.items() if key[0] != name}

    @rule(name=NAMES, turn=st.integers(-1, 6))
    def rewind(self, name: str, turn: int) -> None:
        """Return to an earlier turn, or to none."""
        turns = self.model.get(name, [])
        wanted = turns[turn] if 0 <= turn < len(turns) else None
        assert self.store.rewind(name, turn) == wanted
        if wanted is not None:
            del turns[turn + 1 :]
        elif turn == -1:
            self.model.pop(name, None)

    @rule()
    def reopen(self) -> None:
        """Let another process take over."""
        self.store = self.open()
        for session in self.objects.values():
            session.store = self.store

    @invariant()
    def agrees(self) -> None:
        """Names, last states, and every turn are those of the model."""
        assert self.store.names() == sorted(self.model)
        for name, turns in self.model.items():
            assert self.store.load(name) == turns[-1]
            assert [self.store.at(name, number) for number in range(len(turns) + 1)] == [*turns, None]
            assert self.store.interrupted(name) is None


class InMemory(Stores):
    """The store in memory is the same one each time."""

    def open(self) -> Store:
        """Return it."""
        if not hasattr(self, "kept"):
            self.kept = MemoryStore()
        return self.kept


class InSQLite(Stores):
    """The file is opened anew each time."""

    def open(self) -> Store:
        """Open it."""
        if not hasattr(self, "folder"):
            self.folder = tempfile.TemporaryDirectory()
        return SQLiteStore(Path(self.folder.name) / "s.db")

    def teardown(self) -> None:
        """Remove the file."""
        self.folder.cleanup()


@pytest.mark.parametrize("machine", [InMemory, InSQLite])
def test_stores_agree_with_a_model(machine: type[Stores]) -> None:
    """A short run: 40 ways of 20 steps."""
    tried(machine, 40)


@pytest.mark.hard
@pytest.mark.timeout(900)
@pytest.mark.promise(2, "store and session operations in any order agree with a model")
def test_stores_agree_with_a_model_for_long(reached: Callable[[str], None]) -> None:
    """The long run, of every store."""
    ways = 1_000
    tried(InMemory, ways)
    tried(InSQLite, ways)
    reached(f"{ways:,} ways of up to 20 operations in each of 2 stores: no difference")


def tried(machine: type[Stores], ways: int) -> None:
    """Have Hypothesis look for a difference."""
    limits = settings(max_examples=ways, stateful_step_count=20, deadline=None, database=None)
    run_state_machine_as_test(machine, settings=limits)
