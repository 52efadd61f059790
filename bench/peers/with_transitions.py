"""transitions: one machine for all sessions, a model for each, queued triggers from on_enter callbacks."""

from __future__ import annotations

from collections.abc import Callable

from doctor import DOCTOR, GREETING, IDK, is_greeting, is_medical
from transitions import Machine

STATES = [
    "ask_user",
    "check_medical",
    "check_greeting",
    "ask_doctor",
    "ans_greeting",
    "static_idk_msg",
    "end",
]
TRANSITIONS = [
    ["say", ["ask_user", "end"], "check_medical"],
    {"trigger": "go", "source": "check_medical", "dest": "ask_doctor", "conditions": "medical"},
    ["go", "check_medical", "check_greeting"],
    {"trigger": "go", "source": "check_greeting", "dest": "ans_greeting", "conditions": "greeting"},
    ["go", "check_greeting", "static_idk_msg"],
    ["go", ["ask_doctor", "ans_greeting", "static_idk_msg"], "end"],
]


class Session:
    """The model: what the callbacks of one conversation need."""

    def medical(self, text: str) -> bool:
        return is_medical(text)

    def greeting(self, text: str) -> bool:
        return is_greeting(text)

    def on_enter_check_medical(self, text: str) -> None:
        self.go(text)

    def on_enter_check_greeting(self, text: str) -> None:
        self.go(text)

    def on_enter_ask_doctor(self, text: str) -> None:
        self.answer = DOCTOR
        self.go(text)

    def on_enter_ans_greeting(self, text: str) -> None:
        self.answer = GREETING
        self.go(text)

    def on_enter_static_idk_msg(self, text: str) -> None:
        self.answer = IDK
        self.go(text)


machine = Machine(
    model=None,
    states=STATES,
    transitions=TRANSITIONS,
    initial="ask_user",
    queued=True,
    auto_transitions=False,
)


def answered(session: Session, text: str) -> str:
    """Send a message and return the answer."""
    session.say(text)
    return session.answer


def opened() -> Session:
    """Return a new session."""
    session = Session()
    machine.add_model(session)
    return session


def turn() -> Callable[[str], str]:
    """A message and its answer in a session that lasts."""
    session = opened()
    return lambda text: answered(session, text)


def conversation() -> Callable[[str], str]:
    """A session of its own for each message, forgotten afterwards."""

    def run(text: str) -> str:
        session = opened()
        answer = answered(session, text)
        machine.remove_model(session)
        return answer

    return run


def idle(count: int) -> list[Session]:
    """Return sessions that each have answered one message."""
    sessions = [opened() for _ in range(count)]
    for session in sessions:
        answered(session, "hello there")
    return sessions


VARIANTS = {"turn": turn, "conversation": conversation}
SESSIONS = {"idle": idle}
