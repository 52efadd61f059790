"""LangGraph: a StateGraph with a function a node and conditional edges; a turn is one invocation."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any, TypedDict

from doctor import DOCTOR, GREETING, IDK, PROMPT, is_greeting, is_medical, new_file, session_ids
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt


class State(TypedDict, total=False):
    """What the nodes read and write."""

    text: str
    answer: str


def ask_user(state: State) -> State:
    return {"text": state["text"]}


def check_medical(state: State) -> State:
    return {}


def check_greeting(state: State) -> State:
    return {}


def ask_doctor(state: State) -> State:
    return {"answer": DOCTOR}


def ans_greeting(state: State) -> State:
    return {"answer": GREETING}


def static_idk_msg(state: State) -> State:
    return {"answer": IDK}


def route_medical(state: State) -> str:
    return "ask_doctor" if is_medical(state["text"]) else "check_greeting"


def route_greeting(state: State) -> str:
    return "ans_greeting" if is_greeting(state["text"]) else "static_idk_msg"


def ask_and_wait(state: State) -> State:
    """Stand in for ask_user in a chat: the run stops here until a message comes."""
    return {"text": interrupt(PROMPT)}


def build(checkpointer: BaseCheckpointSaver[Any] | None = None, asking: Any = ask_user) -> Any:
    """Return the compiled graph, which is shared by all sessions."""
    graph = StateGraph(State)
    graph.add_node("ask_user", asking)
    for node in (check_medical, check_greeting, ask_doctor, ans_greeting, static_idk_msg):
        graph.add_node(node)
    graph.add_edge(START, "ask_user")
    graph.add_edge("ask_user", "check_medical")
    graph.add_conditional_edges("check_medical", route_medical, ["ask_doctor", "check_greeting"])
    graph.add_conditional_edges("check_greeting", route_greeting, ["ans_greeting", "static_idk_msg"])
    for last in ("ask_doctor", "ans_greeting", "static_idk_msg"):
        graph.add_edge(last, END)
    return graph.compile(checkpointer=checkpointer)


def turn() -> Callable[[str], str]:
    """A message and its answer; nothing is kept from one to the next."""
    graph = build()
    return lambda text: graph.invoke({"text": text})["answer"]


def kept(saver: BaseCheckpointSaver[Any], **options: Any) -> Callable[[str], str]:
    """A message and its answer in a thread that a checkpointer keeps."""
    graph, ids = build(saver), session_ids()

    def run(text: str) -> str:
        thread = {"configurable": {"thread_id": next(ids)}}
        return graph.invoke({"text": text}, thread, **options)["answer"]

    return run


def file() -> SqliteSaver:
    """Return a saver in a new file, with its own settings of SQLite."""
    return SqliteSaver(sqlite3.connect(new_file(), check_same_thread=False))


def conversation(saver: BaseCheckpointSaver[Any], **options: Any) -> Callable[[str], str]:
    """A thread of its own for each message: it asks, waits at an interrupt, and is resumed."""
    graph, ids = build(saver, ask_and_wait), session_ids(1)

    def run(text: str) -> str:
        thread = {"configurable": {"thread_id": next(ids)}}
        graph.invoke({}, thread, **options)
        return graph.invoke(Command(resume=text), thread, **options)["answer"]

    return run


def idle(count: int) -> InMemorySaver:
    """Return the checkpoints of threads that each have answered one message."""
    saver = InMemorySaver()
    graph = build(saver)
    for number in range(count):
        graph.invoke({"text": "hello there"}, {"configurable": {"thread_id": str(number)}})
    return saver


VARIANTS = {
    "turn": turn,
    "memory": lambda: kept(InMemorySaver()),
    "memory_exit": lambda: kept(InMemorySaver(), durability="exit"),
    "sqlite": lambda: kept(file()),
    "sqlite_exit": lambda: kept(file(), durability="exit"),
    "sqlite_conversation": lambda: conversation(file()),
    "sqlite_exit_conversation": lambda: conversation(file(), durability="exit"),
}
SESSIONS = {"idle": idle}
