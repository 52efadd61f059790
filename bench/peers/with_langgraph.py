"""LangGraph: a StateGraph with a function a node and conditional edges; a turn is one invocation."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any, TypedDict

from doctor import DOCTOR, GREETING, IDK, is_greeting, is_medical, new_file, session_ids
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, StateGraph


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


def build(checkpointer: BaseCheckpointSaver[Any] | None = None) -> Any:
    """Return the compiled graph, which is shared by all sessions."""
    graph = StateGraph(State)
    for node in (ask_user, check_medical, check_greeting, ask_doctor, ans_greeting, static_idk_msg):
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


def sqlite(**options: Any) -> Callable[[str], str]:
    """Checkpoints in a file, with the saver's own settings of SQLite."""
    return kept(SqliteSaver(sqlite3.connect(new_file(), check_same_thread=False)), **options)


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
    "sqlite": sqlite,
    "sqlite_exit": lambda: sqlite(durability="exit"),
}
SESSIONS = {"idle": idle}
