"""Foresight: while the user types, see where the message would go, and load what is needed there.

It is a hint and nothing more: it changes no conversation, says nothing, and where anything in it
goes wrong, nothing is foreseen.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from fsmbot.moves import Outer, json_copy, remember, see
from fsmbot.session import Session
from fsmbot.steps import Step
from fsmbot.turn import MAX_MESSAGE, Message, Turn

PAUSE = 0.2
"""Seconds without a change of the draft before it is looked at."""

PATIENCE = 0.6
"""Seconds after which the whole words of a draft are looked at though it still changes: who types
steadily makes no pause."""


def foresee(session: Session, text: str) -> set[str]:
    """Return the names of the resources that the first impure node on the message's way would need.

    The way is found by calling pure handlers, which only decide, on a turn that is thrown away. A
    node that needs nothing and has one way out is passed over unasked.
    """
    try:
        return _foresee(session, text)
    except Exception:  # handlers run here on half a message; when it counts they are called again
        return set()


def _foresee(session: Session, text: str) -> set[str]:
    state, flow = session.state, session.flow
    if state.status != "listening" or not text.strip() or len(text) > MAX_MESSAGE:
        return set()
    if flow.spoken(text) is not None:
        return set()
    step = flow.steps[state.node]
    name, turn = step.routed[None].target, _draft(session, text, step)
    outer: Outer = []
    for _ in range(flow.max_steps):
        if name in flow.ends or flow.steps[name].listens:
            return set()
        step, needs = flow.steps[name], set(flow.places[name].node.handler.resources)
        see(turn, outer, step.scope)
        if step.door:
            (routed,) = step.routed.values()
            name = routed.target
        elif step.pure and not step.streams:
            name = step.routed[step.call(turn, session.resources)].target
        elif needs or None not in step.routed:
            return needs
        else:
            name = step.routed[None].target
    return set()


def _draft(session: Session, text: str, step: Step) -> Turn:
    """Return the turn that the message would be, sharing nothing with the session."""
    memory = json_copy(session.state.memory)
    turn = Turn(text, [*session.state.history, Message("user", text)], memory, session.id, {})
    remember(turn, step)
    return turn


class Foresight:
    """Looks at drafts in one background thread, and preloads what they would need.

    session: returns the present session. A resource is preloaded by its method `preload()`, which
    begins to load and returns at once; each resource is asked once.
    """

    def __init__(
        self, session: Callable[[], Session], pause: float = PAUSE, patience: float = PATIENCE
    ) -> None:
        self._session, self._pause, self._patience = session, pause, patience
        self._changed = threading.Condition()
        self._draft: str | None = None
        self._thread: threading.Thread | None = None
        self._closed = False
        self._asked: list[Any] = []

    def draft(self, text: str) -> None:
        """Take note of the draft as it is by now; costs microseconds."""
        with self._changed:
            self._draft = text
            self._changed.notify()
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._watch, name="foresight", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Look at no further draft, and let the thread end."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _watch(self) -> None:
        """Look at one draft after the other."""
        while (draft := self._next()) is not None:
            session = self._session()
            for name in foresee(session, draft):
                self._preload(session, name)

    def _next(self) -> str | None:
        """Wait for a draft that has not changed for a while, or for the words of one that does.

        Returns None when closed.
        """
        with self._changed:
            while self._draft is None and not self._closed:
                self._changed.wait()
            end, changes = time.monotonic() + self._patience, True
            while changes and not self._closed and time.monotonic() < end:
                changes = self._changed.wait(self._pause)
            if self._closed or self._draft is None:
                return None
            if changes:  # all of it is looked at once the typing pauses
                return self._draft.rpartition(" ")[0]
            draft, self._draft = self._draft, None
            return draft

    def _preload(self, session: Session, name: str) -> None:
        """Have a resource begin to load, unless it was asked before."""
        try:
            wanted = session.resources[name]
            if not any(wanted is asked for asked in self._asked):
                self._asked.append(wanted)
                getattr(wanted, "preload", lambda: None)()
        except Exception:
            return  # the node that needs it will tell the user what is wrong
