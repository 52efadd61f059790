"""fsmbot: the shipped doctor flow with stub handlers in place of the models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import msgspec
from doctor import DOCTOR, GREETING, IDK, TURNS, is_greeting, is_medical, new_file

from fsmbot import Flow, Registry, Session, Turn, parse_flow
from fsmbot.registry import load_builtins
from fsmbot.stores import MemoryStore, SQLiteStore, Store

SHIPPED = Path(__file__).parent.parent.parent / "flows" / "doctor.yaml"

registry = Registry()
registry.handlers["ask_user"] = load_builtins().handlers["ask_user"]


@registry.handler
def check_medical(turn: Turn) -> Literal["medical", "other"]:
    """Say whether the message is for the doctor."""
    return "medical" if is_medical(turn.text) else "other"


@registry.handler
def check_greeting(turn: Turn) -> Literal["greeting", "other"]:
    """Say whether the message is a greeting."""
    return "greeting" if is_greeting(turn.text) else "other"


@registry.handler
def ask_doctor(turn: Turn) -> Iterator[str]:
    """Answer a question."""
    yield DOCTOR


@registry.handler
def ans_greeting(turn: Turn) -> Iterator[str]:
    """Greet."""
    yield GREETING


@registry.handler
def static_idk_msg(turn: Turn) -> Iterator[str]:
    """Admit not to know."""
    yield IDK


def flow() -> Flow:
    """Return the flow as it ships: a conversation ends with its first answer."""
    return parse_flow(SHIPPED.read_text(), registry=registry)


def going_on() -> Flow:
    """Return the flow with a way back: after an answer the session waits for the next message."""
    return parse_flow(SHIPPED.read_text().replace("next: end", "next: ask_user"), registry=registry)


def answer(session: Session, text: str) -> str:
    """Send a message, read all events, and return what the bot said last, or before it asked again."""
    for _ in session.send(text):
        pass
    said = session.state.history
    return said[-1].text if session.state.status == "ended" else said[-2].text


def opened(flow: Flow, store: Store | None = None) -> Session:
    """Return a session that has said its opening prompt."""
    session = Session(flow, store=store)
    for _ in session.start():
        pass
    return session


def conversations(store: Callable[[], Store | None]) -> Callable[[str], str]:
    """A whole conversation: a new session, the opening prompt, a message and its answer, the end."""
    shared, kept = flow(), store()
    return lambda text: answer(opened(shared, kept), text)


def turns(store: Callable[[], Store | None], count: int = TURNS) -> Callable[[str], str]:
    """One turn of a running session: a message and its answer; a new session after some turns."""
    shared, kept = going_on(), store()
    session, left = opened(shared, kept), count

    def run(text: str) -> str:
        nonlocal session, left
        if not left:
            session, left = opened(shared, kept), count
        left -= 1
        return answer(session, text)

    return run


def sqlite() -> Store:
    """Return a store in a new file."""
    return SQLiteStore(new_file())


VARIANTS = {
    "conversation": lambda: conversations(lambda: None),
    "turn": lambda: turns(lambda: None),
    "memory_turn": lambda: turns(MemoryStore),
    "sqlite_conversation": lambda: conversations(sqlite),
    "sqlite_turn": lambda: turns(sqlite),
}


class Sessions(list[Session]):
    """Sessions that each have answered one message and wait for the next."""

    def forget(self) -> None:
        """Drop the histories, to see what remains."""
        for session in self:
            session.state = msgspec.structs.replace(session.state, history=())


SHARED = going_on()


def idle(count: int) -> Sessions:
    """Return so many sessions."""
    sessions = Sessions(opened(SHARED) for _ in range(count))
    for session in sessions:
        answer(session, "hello there")
    return sessions


SESSIONS = {"idle": idle}
