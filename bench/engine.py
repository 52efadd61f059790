"""The engine: the doctor flow with stub handlers, against a hand-written if/elif and other frameworks.

What is timed. Ours: `conversation` is a new session, the opening prompt, one message, its answer and the
end; `turn` is a message and its answer in a session that goes on for 12 messages, its opening included.
The peers: `turn` is a message and its answer on a machine that stands ready, which is the kinder measure;
`conversation` is a session of its own for each message, where a peer has sessions; LangGraph's is a thread
that waits at an interrupt for the message, as its manual draws a chat. Peers that keep sessions change to a
new one after 12 messages, too. All handlers of all subjects are the same stubs.
Each subject is a process of its own; they take turns in batches of some 30 ms.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from suite.environments import NotInstalled, installed
from suite.machine import versions
from suite.results import Measured, Table, Value, ratio, spread
from suite.workers import Subject, once, scratch, take_turns

OURS = "fsmbot: a conversation"
OUR_TURN = "fsmbot: a turn"
FLOOR = "if/elif by hand: a turn"

ENGINES, PG1 = "engines", "pydantic-graph-1"

IN_MEMORY = {
    FLOOR: Subject("by_hand", "turn"),
    OURS: Subject("with_fsmbot", "conversation"),
    OUR_TURN: Subject("with_fsmbot", "turn"),
    "transitions: a turn": Subject("with_transitions", "turn", ENGINES),
    "transitions: a conversation": Subject("with_transitions", "conversation", ENGINES),
    "pydantic-graph 1: a turn": Subject("with_pydantic_graph_1", "turn", PG1),
    "Burr: a turn": Subject("with_burr", "turn", ENGINES),
    "Burr: a conversation": Subject("with_burr", "conversation", ENGINES),
    "python-statemachine: a turn": Subject("with_statemachine", "turn", ENGINES),
    "python-statemachine: a conversation": Subject("with_statemachine", "conversation", ENGINES),
    "pydantic-graph 2: a turn": Subject("with_pydantic_graph", "turn", ENGINES),
    "LangGraph: a turn": Subject("with_langgraph", "turn", ENGINES),
}

KEPT = {
    "a dictionary by hand: a turn": Subject("by_hand", "memory"),
    OUR_TURN: Subject("with_fsmbot", "memory_turn"),
    "Burr: a turn": Subject("with_burr", "memory", ENGINES),
    "Chatsky: a turn": Subject("with_chatsky", "memory", ENGINES),
    "LangGraph, durability='exit': a turn": Subject("with_langgraph", "memory_exit", ENGINES),
    "LangGraph: a turn": Subject("with_langgraph", "memory", ENGINES),
}

TWO_WRITES, ONE_WRITE = "by hand: two writes", "by hand: one write"

DURABLE = {
    ONE_WRITE: Subject("by_hand", "sqlite_turn"),
    TWO_WRITES: Subject("by_hand", "sqlite_conversation"),
    OUR_TURN: Subject("with_fsmbot", "sqlite_turn"),
    OURS: Subject("with_fsmbot", "sqlite_conversation"),
    "LangGraph, durability='exit': a turn": Subject("with_langgraph", "sqlite_exit", ENGINES),
    "LangGraph, durability='exit': a conversation": Subject(
        "with_langgraph", "sqlite_exit_conversation", ENGINES
    ),
    "LangGraph: a conversation": Subject("with_langgraph", "sqlite_conversation", ENGINES),
    "Burr: a turn": Subject("with_burr", "sqlite", ENGINES),
    "LangGraph: a turn": Subject("with_langgraph", "sqlite", ENGINES),
    "Chatsky: a turn": Subject("with_chatsky", "sqlite", ENGINES),
    "pydantic-graph 1, a JSON file a turn": Subject("with_pydantic_graph_1", "files", PG1),
}

IDLE = {
    "fsmbot": (Subject("with_fsmbot", "idle"), 10_000),
    "transitions": (Subject("with_transitions", "idle", ENGINES), 1_000),
    "Chatsky": (Subject("with_chatsky", "idle", ENGINES), 1_000),
    "Burr": (Subject("with_burr", "idle", ENGINES), 1_000),
    "LangGraph": (Subject("with_langgraph", "idle", ENGINES), 1_000),
    "python-statemachine": (Subject("with_statemachine", "idle", ENGINES), 1_000),
}


def measure(quick: bool = False) -> Measured:
    """Measure all of it: some five minutes, quick some 40 seconds."""
    folder = Path(tempfile.mkdtemp(dir=scratch()))
    seconds = 8.0 if quick else 60.0
    try:
        tables = {
            "in memory": timed("In memory, nothing kept", IN_MEMORY, seconds, folder, (OURS, OUR_TURN)),
            "kept in memory": timed("In memory, sessions kept", KEPT, seconds / 2, folder, (OUR_TURN,)),
            "durable": timed(DURABLE_TITLE, DURABLE, 2 * seconds, folder, (OURS, OUR_TURN)),
            "idle": idle(folder, 10 if quick else 1),
            "large": large(folder, 10 if quick else 1),
        }
    finally:
        shutil.rmtree(folder)
    older = {f"{name} (1)": version for name, version in installed(PG1).items()}
    return Measured(tables, versions=versions("msgspec", "PyYAML") | installed(ENGINES) | older)


DURABLE_TITLE = "Durable, in a file"
ABOUT = {
    "In memory, nothing kept": "A turn of a peer is on a machine that stands ready.",
    "In memory, sessions kept": "Every turn is kept in the framework's own store in memory.",
    DURABLE_TITLE: (
        "By hand and ours: WAL and synchronous=FULL, every commit waits for the disk; a conversation "
        "commits twice, a turn once. The peers have the settings that they come with."
    ),
}


def timed(
    title: str, subjects: dict[str, Subject], seconds: float, folder: Path, bases: tuple[str, ...]
) -> Table:
    """Time subjects in rounds; the ratio to each base is taken inside the rounds."""
    rounds = take_turns(subjects, seconds, folder)
    rows: dict[str, dict[str, Value]] = {}
    for name, times in rounds.times.items():
        ratios = {f"/ our {base.split()[-1]}": ratio(times, rounds.times[base]) for base in bases}
        rows[name] = spread(times) | ratios
    for one, two in ((ONE_WRITE, OUR_TURN), (TWO_WRITES, OURS)):
        if one in rows:
            rows[two]["/ by hand"] = ratio(rounds.times[two], rounds.times[one])
    return Table(title, "µs", ABOUT[title], rows, rounds.missing, bars="median")


def idle(folder: Path, less: int) -> Table:
    """Return what a session costs that has answered one message and waits."""
    rows: dict[str, dict[str, Value]] = {}
    missing = {}
    for name, (subject, count) in IDLE.items():
        try:
            found = once(subject, "idle", str(count // less), folder=folder)
        except NotInstalled as error:
            missing[name] = str(error)
            continue
        rows[name] = {"sessions": count // less} | {key: round(value) for key, value in found.items()}
        del rows[name]["us"]
    about = (
        "`bytes` as Python counts them (tracemalloc), `resident bytes` as the system does. The history "
        "of ours is three messages; the peers keep the last message or answer alone, LangGraph a checkpoint "
        "for each step, as its saver does."
    )
    return Table("An idle session", "bytes", about, rows, missing, bars="bytes")


def large(folder: Path, less: int) -> Table:
    """Return what many sessions and a large flow cost."""
    sessions, nodes = 100_000 // less, 10_000 // less
    many = once(Subject("with_fsmbot", "idle"), "idle", str(sessions), folder=folder)
    flow = once(Subject("large_flow", "walk"), "call", str(nodes), folder=folder)
    rows: dict[str, dict[str, Value]] = {
        f"{sessions:,} sessions started and answered once": {
            "seconds": many["us"] * sessions / 1e6, "MB": many["resident bytes"] * sessions / 1e6,
        },
        f"a flow of {nodes:,} nodes: load and check": {"seconds": flow["load"], "MB": flow["bytes"] / 1e6},
        f"a flow of {nodes:,} nodes: compile": {"seconds": flow["compile"]},
        f"a flow of {nodes:,} nodes: walk through all, {flow['turns']:,} turns": {"seconds": flow["walk"]},
    }  # fmt: skip
    return Table("Many sessions, large flows", "", "In one process; MB of resident memory.", rows)
