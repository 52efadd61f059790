"""Session: the one place where a conversation moves.

A session holds no machine, only its state: the flow's steps are shared. A turn is one transaction:
the state is replaced, and stored, once the turn is whole, and only then comes the event that
acknowledges it (Listening or Ended).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from fsmbot import ids
from fsmbot.errors import ConflictError, StateError, StoreError
from fsmbot.events import Commanded, Entered, Event, Listening, Said
from fsmbot.flow import Flow
from fsmbot.moves import json_copy, remember, run, storable
from fsmbot.nearby import suggest
from fsmbot.obeying import last_said, resting, told
from fsmbot.observe import Observer, watched
from fsmbot.resuming import adopt, stands, take_up
from fsmbot.spoken import BACK, COMMANDS, DEFAULT_HELP, HELP, REPEAT, RESTART, SpokenCommand
from fsmbot.stores import MemoryStore, Store
from fsmbot.turn import MAX_MESSAGE, Message, State, Turn

_NEW = State()


class Session:
    """One conversation: `start()`, then `send(text)` while it listens.

    flow: shared by all sessions. resources: ready objects by name (the rest is built when first
    needed), or Resources shared by several sessions. state: where to resume; a state of a flow that
    has changed is resumed when its node still stands, and `notice` tells so; a new one may bring a
    memory, with which the conversation begins, also when it is restarted. store: where every
    turn is committed. observers: called with every event and its time, see `fsmbot.observe`. Raises
    StateError for a state whose node is gone from the flow.
    """

    __slots__ = ("_brought", "_kept", "_observers", "_resources", "flow", "id", "notice", "state", "store")

    def __init__(
        self,
        flow: Flow,
        resources: Mapping[str, Any] | None = None,
        state: State | None = None,
        store: Store | None = None,
        *,
        session_id: str = "",
        observers: Sequence[Observer] = (),
    ) -> None:
        self.flow, self.store = flow, store
        self.id = session_id or next(ids.drawn)
        self._resources = flow.shared if resources is None else flow.share(resources)
        self._observers = observers
        self.state, self.notice = _NEW, ""
        self._brought: Mapping[str, Any] = {}
        self._kept: State | None = None
        if store is None and BACK in flow.commands:
            self.store = MemoryStore()  # to go back, somebody must keep what was
        if state is not None:
            self._take(state)

    @property
    def resources(self) -> Mapping[str, Any]:
        """The shared objects that this session's handlers get, by name."""
        return self._resources

    @property
    def coming(self) -> int:
        """The number that the next turn will have."""
        latest = self._kept if self.state.status == "new" else self.state
        return 0 if latest is None else latest.turn + 1

    @classmethod
    def resume(
        cls,
        flow: Flow,
        store: Store,
        session_id: str,
        resources: Mapping[str, Any] | None = None,
        *,
        observers: Sequence[Observer] = (),
    ) -> Session:
        """Return the session of that name where the store has left it, or a new one.

        A message that got no answer, because its process was stopped, becomes a turn of its own:
        it stands in the history, `notice` quotes it, and no handler is asked again. Raises
        StateError where the node at which the session waits is gone from the flow, StoreError.
        """
        state, notice = take_up(store, session_id)
        session = cls(flow, resources, state, store, session_id=session_id, observers=observers)
        session.notice = "; ".join(filter(None, (session.notice, notice)))
        return session

    def anew(
        self, flow: Flow | None = None, resources: Mapping[str, Any] | None = None, *, instead: bool = False
    ) -> Session:
        """Return the session's next conversation, which is still to be started.

        flow, resources: others from now on. instead: the store is to forget this conversation.
        Raises StoreError.
        """
        brought = State(memory=dict(self._brought)) if self._brought else None
        following = Session(
            flow or self.flow, resources or self._resources, brought, self.store,
            session_id=self.id, observers=self._observers,
        )  # fmt: skip
        if self.store is not None and instead and self.state.status != "new":
            following._kept = self.store.rewind(self.id, self.state.opening - 1)
        elif self.store is not None:
            following._kept = self.store.load(self.id)
        return following

    def _take(self, state: State) -> None:
        """Go on from a state that was given; one that has begun may be the store's own."""
        self.state, self.notice = state, adopt(state, self.flow, self.id)
        if state.status == "new":
            self._brought = state.memory
        elif self.store is not None and self.store.load(self.id) is not None:
            self._kept = state

    def start(self) -> Iterator[Event]:
        """Begin the conversation; raises StateError if it has begun, ConflictError if it has in the store."""
        if self.state.status != "new":
            raise StateError(f"session '{self.id}' has begun already; send it a message")
        if self.store is not None and self._kept is None and self.store.load(self.id) is not None:
            raise ConflictError(
                f"the store has a session '{self.id}' already; go on with it by Session.resume(...), "
                "delete it from the store, or choose another name"
            )
        events = self._begin([])
        return watched(events, self, self._observers) if self._observers else events

    def send(self, text: str) -> Iterator[Event]:
        """Take the user's message, and run until the session waits again or ends.

        A new session is started first, with its opening words among the events. A message that is
        one of the flow's spoken commands is obeyed, also after the end. Closing the iterator early
        takes the turn back. Throwing KeyboardInterrupt into it stops the node that speaks and keeps
        what it said. Raises StateError when the conversation has ended or the message is longer
        than MAX_MESSAGE; while iterating, HandlerError when a handler fails and no `on_error` takes
        over, which leaves the state as it was before the turn.
        """
        if len(text) > MAX_MESSAGE:
            raise StateError(
                f"the message has {len(text):,} characters; at most {MAX_MESSAGE:,} are read, "
                "so please shorten it"
            )
        status, command = self.state.status, self.flow.spoken(text) if self.flow.commands else None
        if status == "ended" and command is None:
            raise StateError(f"session '{self.id}' has ended; begin a new one")
        simple = command is None and status == "listening"
        events = self._answer(text) if simple else self._send(text, command)
        return watched(events, self, self._observers) if self._observers else events

    def say(self, text: str) -> str:
        """Send a message and return what the bot says to it, one message a line."""
        if self.state.status == "new":
            for _ in self.start():
                pass
        messages: list[list[str]] = []
        for event in self.send(text):
            if type(event) in (Entered, Commanded):
                messages.append([])
            elif type(event) is Said:
                messages[-1].append(event.text)
        return "\n".join("".join(pieces) for pieces in messages if pieces)

    def obey(self, name: str) -> Iterator[Event]:
        """Do what a command asks (help, restart, repeat or back), whether the flow words it or not.

        Raises StateError for a command that there is not.
        """
        if name not in COMMANDS:
            raise StateError(f"there is no command '{name}'" + suggest(name, COMMANDS))
        command = self.flow.commands.get(name) or (DEFAULT_HELP if name == HELP else None)
        events = self._send("", command or SpokenCommand(name))
        return watched(events, self, self._observers) if self._observers else events

    def _send(self, text: str, command: SpokenCommand | None) -> Iterator[Event]:
        if self.state.status == "new":
            yield from self._begin([])
        if command is not None:
            yield from self._obey(command)
        elif self.state.status == "listening":
            yield from self._answer(text)

    def _begin(self, events: list[Event]) -> Iterator[Event]:
        """Start a conversation from its very beginning, whatever was before."""
        brought = self._brought
        memory = json_copy({**self.flow.memory, **brought}) if self.flow.memory or brought else {}
        turn = Turn("", [], memory, self.id)
        return run(self.flow, self._resources, turn, self.flow.start, events, self._commit, self.state)

    def _answer(self, text: str) -> Iterator[Event]:
        """Leave the listening node with the user's message."""
        before, asked = self.state, Message("user", text if text.isascii() else storable(text))
        step = self.flow.steps[before.node]
        routed = step.routed[None]
        memory = json_copy(before.memory) if before.memory else {}
        turn = Turn(asked.text, [*before.history, asked], memory, self.id)
        remember(turn, step)
        events = run(
            self.flow, self._resources, turn, routed.target, [], self._commit, before, asked, routed
        )  # fmt: skip
        return events if self.store is None else self._noted(asked, before, events)

    def _noted(self, asked: Message, before: State, events: Iterator[Event]) -> Iterator[Event]:
        """Keep a note of the message in the store for as long as its turn is not committed."""
        assert self.store is not None
        self.store.begin(self.id, before.turn + 1, asked.text)
        try:
            yield from events
        except BaseException:
            self._abandon(before)
            raise

    def _abandon(self, before: State) -> None:
        """Drop the note of the message, unless its turn was committed before the reader went away."""
        if self.store is not None and self.state is before:
            with contextlib.suppress(StoreError):  # what brought the turn down is raised already
                self.store.abandon(self.id, before.turn + 1)

    def _commit(
        self,
        before: State,
        asked: Message | None,
        turn: Turn,
        said: list[Message],
        events: list[Event],
    ) -> None:
        """Make the turn that has come to rest the session's last one, in the store first."""
        if self.state is not before:
            raise StateError(
                f"session '{self.id}' took another message while this one was being answered; "
                "finish one iterator of events before the next, so this turn is taken back"
            )
        if asked is None:
            history, opening = tuple(said), self.coming
            number = opening
        else:
            history, opening = (*before.history, asked, *said), before.opening
            number = before.turn + 1
        last = events[-1]
        status: Literal["listening", "ended"] = "listening" if type(last) is Listening else "ended"
        state = State(last.node, status, turn.memory, history, number, self.flow.fingerprint, opening)
        if self.store is not None:
            self.store.commit(self.id, state, events, self._kept)
            self._kept = state
        self.state = state

    def _obey(self, command: SpokenCommand) -> Iterator[Event]:
        """Do what a spoken command asks; only restart and back move the conversation, at the end."""
        before = self._before() if command.name == BACK else None
        events = told(command, self.state, before)
        yield from events
        if command.name == RESTART:
            yield from self._begin(events)
            return
        if before is not None:
            self._return_to(before)
        yield resting(self.state)

    def repeat(self, most: int | None = None) -> Iterator[Event]:
        """Say again what the bot said last, of several messages the last `most`; no handler is asked."""
        for text in last_said(self.state, most):
            yield Commanded(REPEAT, self.state.node)
            yield Said(self.state.node, text)

    def back(self) -> bool:
        """Return to before the last message: node, memory and history as they were then.

        Returns False where there is nothing to go back to. Needs a store, as only a store keeps what
        was; a flow with the spoken command `back` has one in memory. Raises StoreError.
        """
        before = self._before()
        if before is not None:
            self._return_to(before)
        return before is not None

    def _before(self) -> State | None:
        """Return the state before the last message, if it is kept and its node still stands."""
        if not self.state.answered or self.store is None:
            return None
        before = self.store.at(self.id, self.state.turn - 1)
        return before if before is not None and stands(before, self.flow) else None

    def _return_to(self, before: State) -> None:
        assert self.store is not None
        self.state = self._kept = self.store.rewind(self.id, before.turn) or before
