"""Watching conversations: functions that are told of every event, and of the time it took.

    def log(seen: Observed) -> None:
        logger.info("%s %s %.1f ms", seen.session.id, seen.event, 1000 * seen.seconds)

    Session(flow, observers=[log])

An observer that raises is logged, and the conversation goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from fsmbot.errors import HandlerError
from fsmbot.events import Ended, Event, Failed, Listening
from fsmbot.limits import kind, reason

if TYPE_CHECKING:
    from fsmbot.session import Session


class Observed(msgspec.Struct, frozen=True):
    """One event of a session.

    seconds: how long the session worked on it; what the reader of the events does meanwhile does
    not count. The seconds from Entered to Routed together are the node's time. A turn that is taken
    back (a failure without `on_error`, a store that fails, events that nobody reads to their end)
    ends in a Failed event with the target "", which only observers see.
    """

    session: Session
    event: Event
    seconds: float

    @property
    def rests(self) -> bool:
        """Whether the turn comes to rest with this event, kept or taken back."""
        event = self.event
        return isinstance(event, (Listening, Ended)) or (isinstance(event, Failed) and not event.target)


Observer = Callable[[Observed], None]
"""Called with each event, in the thread that reads the events, before the reader gets it."""


def timed(source: Iterator[Event]) -> Generator[tuple[Event, float], None, None]:
    """Yield each event with the seconds that it took; a KeyboardInterrupt thrown in goes to the source."""
    start = time.perf_counter()
    event = next(source, None)
    while event is not None:
        try:
            yield event, time.perf_counter() - start
            start = time.perf_counter()
            event = next(source, None)
        except KeyboardInterrupt as stop:
            assert isinstance(source, Generator)
            start = time.perf_counter()
            event = source.throw(stop)


def watched(
    source: Iterator[Event], session: Session, observers: Sequence[Observer]
) -> Generator[Event, None, None]:
    """Pass a session's events on, and tell the observers of each, and of a failure that ends the turn."""
    events, node, rests = timed(source), session.state.node, False
    try:
        item = next(events, None)
        while item is not None:
            seen = Observed(session, *item)
            node, rests = seen.event.node, isinstance(seen.event, (Listening, Ended))
            _tell(observers, seen)
            try:
                yield seen.event
            except KeyboardInterrupt as stop:
                item = events.throw(stop)
            else:
                item = next(events, None)
    except BaseException as error:
        if not rests:
            _tell(observers, Observed(session, _broken_off(node, error), 0.0))
        raise


def _broken_off(node: str, error: BaseException) -> Failed:
    """Return what observers are told of a turn that is taken back."""
    if isinstance(error, GeneratorExit):
        return Failed(node, "Abandoned: nobody read the events to their end", "")
    if isinstance(error, HandlerError):
        return Failed(error.node, reason(error.__cause__ or error), "")
    return Failed(node, reason(error), "")


def _tell(observers: Sequence[Observer], seen: Observed) -> None:
    for observer in observers:
        try:
            observer(seen)
        except Exception as error:  # somebody else's code, which no conversation should depend on
            name = getattr(observer, "__qualname__", type(observer).__qualname__)
            import logging  # 5 ms that only a failure need spend

            logging.getLogger("fsmbot.observe").warning("observer %s failed: %s", name, kind(error))
