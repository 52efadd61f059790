"""Burr: actions declare what they read and write, transitions carry conditions on the state."""

from __future__ import annotations

from collections.abc import Callable

from burr.core import Application, ApplicationBuilder, GraphBuilder, State, action, when
from burr.core.persistence import InMemoryPersister, SQLitePersister
from doctor import DOCTOR, GREETING, IDK, is_greeting, is_medical, new_file, session_ids


@action(reads=[], writes=["text"])
def ask_user(state: State, text: str) -> State:
    return state.update(text=text)


@action(reads=["text"], writes=["medical"])
def check_medical(state: State) -> State:
    return state.update(medical=is_medical(state["text"]))


@action(reads=["text"], writes=["greeting"])
def check_greeting(state: State) -> State:
    return state.update(greeting=is_greeting(state["text"]))


@action(reads=[], writes=["answer"])
def ask_doctor(state: State) -> State:
    return state.update(answer=DOCTOR)


@action(reads=[], writes=["answer"])
def ans_greeting(state: State) -> State:
    return state.update(answer=GREETING)


@action(reads=[], writes=["answer"])
def static_idk_msg(state: State) -> State:
    return state.update(answer=IDK)


END = ["ask_doctor", "ans_greeting", "static_idk_msg"]
GRAPH = (
    GraphBuilder()
    .with_actions(ask_user, check_medical, check_greeting, ask_doctor, ans_greeting, static_idk_msg)
    .with_transitions(
        ("ask_user", "check_medical"),
        ("check_medical", "ask_doctor", when(medical=True)),
        ("check_medical", "check_greeting"),
        ("check_greeting", "ans_greeting", when(greeting=True)),
        ("check_greeting", "static_idk_msg"),
        (END, "ask_user"),
    )
    .build()
)


def opened() -> Application:
    """Return a new session."""
    return ApplicationBuilder().with_graph(GRAPH).with_entrypoint("ask_user").build()


def answered(session: Application, text: str) -> str:
    """Send a message and return the answer."""
    return session.run(halt_after=END, inputs={"text": text})[2]["answer"]


def turn() -> Callable[[str], str]:
    """A message and its answer in a session that lasts."""
    session = opened()
    return lambda text: answered(session, text)


def conversation() -> Callable[[str], str]:
    """A session of its own for each message."""
    return lambda text: answered(opened(), text)


def resumed(persister: InMemoryPersister | SQLitePersister, name: str) -> Application:
    """Return the session of that name where the persister has left it, as Burr's servers do."""
    return (
        ApplicationBuilder()
        .with_graph(GRAPH)
        .initialize_from(
            persister, resume_at_next_action=True, default_state={}, default_entrypoint="ask_user"
        )
        .with_state_persister(persister)
        .with_identifiers(app_id=name, partition_key="p")
        .build()
    )


def kept(persister: InMemoryPersister | SQLitePersister) -> Callable[[str], str]:
    """A message and its answer in a session that a persister keeps."""
    ids, name, session = session_ids(), "", opened()

    def run(text: str) -> str:
        nonlocal name, session
        following = next(ids)
        if following != name:
            name, session = following, resumed(persister, following)
        return answered(session, text)

    return run


def sqlite() -> Callable[[str], str]:
    """Every step written to a file."""
    persister = SQLitePersister(new_file())
    persister.initialize()
    return kept(persister)


def idle(count: int) -> list[Application]:
    """Return sessions that each have answered one message."""
    sessions = [opened() for _ in range(count)]
    for session in sessions:
        answered(session, "hello there")
    return sessions


VARIANTS = {
    "turn": turn,
    "conversation": conversation,
    "memory": lambda: kept(InMemoryPersister()),
    "sqlite": sqlite,
}
SESSIONS = {"idle": idle}
