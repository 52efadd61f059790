"""python-statemachine: a StateChart, whose eventless transitions run a whole turn on one event."""

from __future__ import annotations

from collections.abc import Callable

from doctor import DOCTOR, GREETING, IDK, is_greeting, is_medical
from statemachine import State, StateChart


class Doctor(StateChart):
    """The doctor flow; an instance is a session."""

    ask_user = State(initial=True)
    check_medical = State()
    check_greeting = State()
    ask_doctor = State()
    ans_greeting = State()
    static_idk_msg = State()
    end = State()

    say = ask_user.to(check_medical) | end.to(check_medical)
    check_medical.to(ask_doctor, cond="medical")
    check_medical.to(check_greeting, unless="medical")
    check_greeting.to(ans_greeting, cond="greeting")
    check_greeting.to(static_idk_msg, unless="greeting")
    ask_doctor.to(end)
    ans_greeting.to(end)
    static_idk_msg.to(end)

    def before_say(self, text: str) -> None:
        self.text = text

    def medical(self) -> bool:
        return is_medical(self.text)

    def greeting(self) -> bool:
        return is_greeting(self.text)

    def on_enter_ask_doctor(self) -> None:
        self.answer = DOCTOR

    def on_enter_ans_greeting(self) -> None:
        self.answer = GREETING

    def on_enter_static_idk_msg(self) -> None:
        self.answer = IDK


def answered(session: Doctor, text: str) -> str:
    """Send a message and return the answer."""
    session.say(text=text)
    return session.answer


def turn() -> Callable[[str], str]:
    """A message and its answer in a session that lasts."""
    session = Doctor()
    return lambda text: answered(session, text)


def conversation() -> Callable[[str], str]:
    """A session of its own for each message."""
    return lambda text: answered(Doctor(), text)


def idle(count: int) -> list[Doctor]:
    """Return sessions that each have answered one message."""
    sessions = [Doctor() for _ in range(count)]
    for session in sessions:
        answered(session, "hello there")
    return sessions


VARIANTS = {"turn": turn, "conversation": conversation}
SESSIONS = {"idle": idle}
