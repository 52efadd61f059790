"""One conversation after the other, where nobody looks on: of a stored session, or each on its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from fsmbot.errors import ConflictError, FsmbotError, StateError
from fsmbot.events import Event, was_stopped
from fsmbot.flow import Flow
from fsmbot.observe import Observer
from fsmbot.session import Session
from fsmbot.spoken import ALIASES, RESTART
from fsmbot.stores import MemoryStore, Store
from fsmbot.writers import Writer


class Talk:
    """One conversation after the other: of a stored session, or each a session of its own, with a
    store to go back in. `whole` says whether no turn has failed."""

    def __init__(
        self,
        flow: Flow,
        resources: Mapping[str, Any] | None,
        store: Store | None,
        name: str,
        observers: Sequence[Observer],
        writer: Writer,
    ) -> None:
        self.writer, self.whole, self._lost = writer, True, ""
        self._flow, self._resources, self._observers = flow, resources, observers
        self._store, self._name = store, name
        self.session = self._taken_up()

    def _fresh(self) -> Session:
        return Session(
            self._flow, self._resources, store=self._store or MemoryStore(), session_id=self._name,
            observers=self._observers,
        )  # fmt: skip

    def _taken_up(self) -> Session:
        """Return the stored session, and tell what there is to know; where it cannot go on, a new one."""
        if self._store is None:
            return self._fresh()
        try:
            session = Session.resume(
                self._flow, self._store, self._name, self._resources, observers=self._observers
            )
        except StateError as error:
            self._lost = f"{error} (/reset)"
            self.writer.refuse(self._lost)
            return self._fresh()
        if session.notice:
            self.writer.note(session.notice)
        return session

    def open(self) -> None:
        """Say the opening words, unless the session goes on from an earlier run."""
        if self.session.state.status == "new" and not self._lost:
            self._play(self.session.start)

    @property
    def ended(self) -> bool:
        """Whether the present conversation is over."""
        return self.session.state.status == "ended"

    def send(self, text: str) -> None:
        """Answer a message; after the end of a conversation it begins the next one."""
        if self._lost:
            self._refuse_lost()
            return
        if self.ended and self.session.flow.spoken(text) is None:
            self.session = self.session.anew() if self._store is not None else self._fresh()
        self._play(partial(self.session.send, text))

    def obey(self, command: str) -> None:
        """Obey a command; in a session that cannot go on, only the one to begin anew."""
        command = ALIASES.get(command, command)
        if self._lost and command == RESTART:
            self.session, self._lost = self.session.anew(), ""
            self.open()
        elif self._lost:
            self._refuse_lost()
        else:
            self._play(partial(self.session.obey, command))

    def _refuse_lost(self) -> None:
        self.writer.refuse(self._lost)
        self.whole = False

    def _play(self, turn: Callable[[], Iterator[Event]]) -> None:
        """Show one turn; one that failed leaves the conversation where it was.

        Ctrl-C stops the node that speaks; once the turn has come to rest it ends the program, too.
        """
        stopped = False
        try:
            for event in turn():
                self.writer.show(event)
                stopped = stopped or was_stopped(event)
        except ConflictError as error:
            self.writer.refuse(str(error))
            self.session = self._taken_up()
        except StateError as error:
            self.writer.refuse(str(error))
        except FsmbotError as error:
            self.writer.fail(error)
            self.whole = False
        if stopped:
            raise KeyboardInterrupt
