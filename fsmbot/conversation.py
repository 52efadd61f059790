"""A chat as its user sees it: one conversation after the other, with a way back.

A session is one conversation. A Chat holds the present session, what the last message led to, and
the moments to which `undo` can return. It returns values and prints nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from fsmbot.errors import ConflictError, FsmbotError, StateError
from fsmbot.events import Commanded, Event, Said
from fsmbot.flow import Flow
from fsmbot.loader import load_flow
from fsmbot.observe import Observer, timed
from fsmbot.played import Played, committed
from fsmbot.registry import Resources, default_registry
from fsmbot.session import Session
from fsmbot.spoken import BACK, RESTART, SpokenCommand
from fsmbot.stores import MemoryStore, Store
from fsmbot.turn import Message, State

MAX_UNDO = 100
"""How many messages can be taken back."""

Talk = tuple[Message, ...]
"""The messages of one conversation."""

Turns = tuple[Played, ...]
"""The turns of one conversation, its opening first."""


class Exchange(msgspec.Struct, frozen=True):
    """One message of the user, and all that happened because of it.

    seconds: how long each event took. kept: whether the conversation moved; a turn that failed or
    was stopped early is taken back.
    """

    text: str
    events: tuple[Event, ...]
    seconds: tuple[float, ...]
    error: str = ""
    kept: bool = True

    @property
    def taken_back(self) -> bool:
        """Whether the message is lost; a spoken command may leave all as it was, and yet be obeyed."""
        return not self.kept and not any(isinstance(event, Commanded) for event in self.events)


class Moment(msgspec.Struct, frozen=True):
    """Where things stood before a message: enough to come back to."""

    text: str
    state: State
    past: tuple[Talk, ...]
    last: Exchange | None
    turns: Turns
    past_turns: tuple[Turns, ...]


class Chat:
    """Conversations on one flow: `start()` and `send(text)` give events, as a session's do.

    flow: what the next conversation will run; the present one may still run the flow from before a
    reload. load: reads the flow again; by default, from the file it came from. store, name: where the
    conversations rest, as one session of that name, which is gone on with. last: what the last message
    led to. past: the conversations before the present one. lost: why the stored session cannot go on
    in this flow, "" where it can; `begin` leaves it then. Raises StoreError.
    """

    def __init__(
        self,
        flow: Flow,
        resources: Mapping[str, Any] | None = None,
        load: Callable[[], Flow] | None = None,
        *,
        store: Store | None = None,
        name: str = "",
        observers: Sequence[Observer] = (),
    ) -> None:
        self.flow = flow
        self._load = load or self._load_source
        self._observers = observers
        self._store = store or MemoryStore()  # what `back` returns to
        self.resources = flow.share(resources)
        self.lost = ""
        self.session = self._rejoined(name) if name else self._session(flow)
        self.past: tuple[Talk, ...] = ()
        self.last: Exchange | None = None
        self._turns: Turns = ()
        self._past_turns: tuple[Turns, ...] = ()
        self._moments: deque[Moment] = deque(maxlen=MAX_UNDO)

    def _session(self, flow: Flow, state: State | None = None, session_id: str = "") -> Session:
        return Session(
            flow, self.resources, state, self._store, session_id=session_id, observers=self._observers
        )

    def _rejoined(self, name: str) -> Session:
        """Return the stored session of that name; where its node is gone, one that must begin anew."""
        try:
            return Session.resume(self.flow, self._store, name, self.resources, observers=self._observers)
        except StateError as error:
            self.lost = str(error)
            return self._session(self.flow, session_id=name)

    @property
    def ended(self) -> bool:
        """Whether the present conversation is over."""
        return self.session.state.status == "ended"

    def begin(self) -> None:
        """Leave the present conversation for a new one, which is still to be started."""
        if self.session.state.answered:
            self.past = (*self.past, self.session.state.history)
            self._past_turns = (*self._past_turns, self._turns)
        self.session, self._turns, self.lost = self.session.anew(self.flow, self.resources), (), ""

    def start(self) -> Iterator[Event]:
        """Start the present conversation; raises StateError if it has begun."""
        return self._opened(self.session.start())

    def _opened(self, source: Iterator[Event]) -> Iterator[Event]:
        seen: list[tuple[Event, float]] = []
        try:
            yield from _recorded(source, seen)
        finally:
            self._turns = committed(None, [event for event, _ in seen], self.session.state.memory)

    def send(self, text: str) -> Generator[Event, None, None]:
        """Do what `Session.send` does, and remember it for `undo` and `last`.

        The spoken command `restart` leaves the present conversation for a new one. Raises StateError
        while the session is lost, and ConflictError when the stored session has gone on elsewhere:
        then it is taken up as it stands there.
        """
        if self.lost:
            raise StateError(self.lost)
        if self.session.state.status == "new":
            yield from self.start()
        state, last = self.session.state, self.last
        before = Moment(text, state, self.past, last, self._turns, self._past_turns)
        command = self.session.flow.spoken(text)
        seen: list[tuple[Event, float]] = []
        error, overtaken = "", False
        try:
            restarts = command is not None and command.name == RESTART
            yield from _recorded(self.restart() if restarts else self.session.send(text), seen)
        except FsmbotError as raised:
            error, overtaken = str(raised), isinstance(raised, ConflictError)
            if overtaken:
                self._moments.clear()
                self.session, self._turns = self._rejoined(self.session.id), ()
            raise
        finally:
            events, seconds = zip(*seen, strict=True) if seen else ((), ())
            self._keep(before, command, events)
            kept = self.session.state is not before.state and not overtaken
            self.last = Exchange(text, events, seconds, error, kept)

    def _keep(self, before: Moment, command: SpokenCommand | None, events: tuple[Event, ...]) -> None:
        """Keep what undo returns to, and the turn, where a message moved the conversation."""
        if self.session.state is before.state:
            return
        if command is not None and command.name == BACK:
            self._forget(before.state)
            return
        self._moments.append(before)
        if command is None:
            self._turns += committed(before.text, events, self.session.state.memory)

    def restart(self) -> Iterator[Event]:
        """Leave the present conversation for a new one, and start it."""
        node = self.session.state.node
        self.begin()
        command = self.flow.commands.get(RESTART)
        if command is not None and command.say:
            yield Commanded(RESTART, node)
            yield Said(node, command.say)
        yield from self.start()

    def _forget(self, left: State) -> None:
        """Drop the moment to which a spoken `back` returned already."""
        if self._moments and self._moments[-1].state.turn == left.turn - 1:
            self._turns = self._moments.pop().turns

    def undo(self) -> str | None:
        """Return to before the last message, and return that message, or None if there is none.

        Raises StateError where the flow was reloaded since and has lost the node.
        """
        if not self._moments:
            return self._back()
        moment = self._moments[-1]
        self.session = self._session(self.flow, moment.state, self.session.id)
        self._store.rewind(self.session.id, moment.state.turn)
        self._moments.pop()
        self.past, self.last = moment.past, moment.last
        self._turns, self._past_turns = moment.turns, moment.past_turns
        return moment.text

    def _back(self) -> str | None:
        """Return to before a message from an earlier run of the program, if the store has it."""
        said = [message.text for message in self.session.state.history if message.role == "user"]
        return said[-1] if self.session.back() else None

    def reload(self) -> bool:
        """Read the flow file again; return whether the present conversation goes on in the new flow.

        It does not where its node is gone: then the old flow ends it, and the next conversation
        takes the new one. A conversation without any message yet begins anew, so that new opening
        words are seen. What was loaded with unchanged settings stays loaded. Raises FlowError for
        a broken file, and then nothing has changed.
        """
        flow = self._load()
        resources = Resources(flow.registry, flow.resources, **self._kept(flow))
        state = self.session.state
        self.flow, self.resources = flow, resources
        if not state.answered:
            self._turns = ()
            self.session = self.session.anew(flow, resources, instead=True)
            return True
        try:
            self.session = self._session(flow, state, self.session.id)
        except StateError:
            return False
        return True

    def _load_source(self) -> Flow:
        own = None if self.flow.registry is default_registry else self.flow.registry
        return load_flow(self.flow.source, own)

    def _kept(self, flow: Flow) -> dict[str, Any]:
        """Return the built resources to which the new flow gives the same settings."""
        built = self.resources.built()
        return {
            name: resource
            for name, resource in built
            if flow.resources.get(name) == self.flow.resources.get(name)
            and getattr(resource, "status", "") != "unavailable"  # so that it is tried again
        }

    def talks(self) -> tuple[Talk, ...]:
        """Return the conversations so far, the present one last."""
        return (*self.past, self.session.state.history)

    def played(self) -> tuple[Turns, ...]:
        """Return the turns of the conversations so far, the present one last."""
        return (*self._past_turns, self._turns)


def _recorded(source: Iterator[Event], kept: list[tuple[Event, float]]) -> Generator[Event, None, None]:
    """Pass events on, and keep them with their times; a KeyboardInterrupt thrown in goes to the source."""
    events = timed(source)
    item = next(events, None)
    while item is not None:
        kept.append(item)
        try:
            yield item[0]
        except KeyboardInterrupt as stop:
            item = events.throw(stop)
        else:
            item = next(events, None)
