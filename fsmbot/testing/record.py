"""A conversation that happened -> a test file that expects it to happen again.

The doctor is not asked again: each of its answers becomes part of a stub. Everything else is
expected to come out of the flow as it did.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fsmbot.errors import FsmbotError
from fsmbot.events import Failed, Routed
from fsmbot.flow import Flow
from fsmbot.flowfile.yamltree import MAX_BYTES
from fsmbot.handlers.doctor import APOLOGY, CUT_OFF, DISCLAIMER
from fsmbot.moves import storable
from fsmbot.played import Played, Visit
from fsmbot.testing.read_stubs import DOCTOR, asks_doctor
from fsmbot.testing.script import SUFFIX
from fsmbot.testing.write import readable, to_yaml

HEADER = "# Recorded from a conversation. Shorten what is expected to what matters to you.\n"

Talk = Sequence[Played]
"""The turns of one conversation."""


def record(talks: Iterable[Talk], flow: Flow | None = None, path: Path | None = None) -> str:
    """Return the text of a test file, a test for each conversation in which anything was said.

    flow: tells which nodes ask the doctor; without it, those that ended in the disclaimer did.
    path: where the file will lie, so that it can name the flow. Raises FsmbotError where there is
    nothing to record, or more than a test file may hold.
    """
    talks = [talk for talk in talks if any(turn.user is not None for turn in talk)]
    if not talks:
        raise FsmbotError("nothing was said yet, so there is nothing to record")
    named = {} if flow is None else _flow_key(flow, path)
    tests = {f"conversation {number}": _case(talk, flow) for number, talk in enumerate(talks, 1)}
    text = HEADER + to_yaml({**named, "tests": tests})
    size = len(text.encode())
    if size > MAX_BYTES:
        raise FsmbotError(f"the recording has {size:,} bytes; a test file may have {MAX_BYTES:,}")
    return text


def _flow_key(flow: Flow, path: Path | None) -> dict[str, str]:
    """Return the key `flow`, which is left out where the file's name says as much."""
    source = Path(flow.source).absolute()
    if not source.is_file():
        return {}
    folder = Path.cwd() if path is None else path.absolute().parent
    if path is not None and source == folder / (path.name.removesuffix(SUFFIX) + ".yaml"):
        return {}
    return {"flow": storable(os.path.relpath(source, folder))}


def _case(talk: Talk, flow: Flow | None) -> Any:
    """Return one test: its steps, with stubs where something could not be had again."""
    steps = [_step(turn) for turn in talk]
    stubs = {**_failing_nodes(talk, flow), **_doctor(talk, flow)}
    return {"stub": stubs, "talk": steps} if stubs else steps


def _step(turn: Played) -> dict[str, Any]:
    """Return one step: all that can be told of the turn."""
    step: dict[str, Any] = {} if turn.user is None else {"user": storable(turn.user)}
    step["visits"] = turn.visits
    messages = [message for message in turn.messages if message.strip()]
    parts = {
        "outcomes": turn.outcomes,
        "fails": turn.failed[0] if turn.failed else None,
        "says": messages[0] if len(messages) == 1 else messages,
        # null would say that the key is absent, and some names no test file can hold
        "memory": {k: v for k, v in (turn.memory or {}).items() if k and v is not None and readable({k: v})},
        "waits_at": turn.waits_at,
    }
    return {**step, **{key: part for key, part in parts.items() if part}, "ends": turn.ended}


def _doctor(talk: Talk, flow: Flow | None) -> dict[str, Any]:
    """Return the stub of the doctor: an answer to each question, or in order where that cannot be told."""
    given = [
        (storable(turn.user or ""), _answer(visit))
        for turn in talk
        for visit in turn.walk()
        if _asked_doctor(visit, flow)
    ]
    by_question = dict(given)
    clear = all(by_question[question] == answer for question, answer in given)
    if not given:
        return {}
    if (
        clear
        and "" not in by_question
        and readable(by_question)
        and not by_question.keys() <= {"says", "fails", "answers"}
    ):
        return {DOCTOR: by_question}
    return {DOCTOR: {"answers": [answer for _, answer in given]}}


def _asked_doctor(visit: Visit, flow: Flow | None) -> bool:
    """Whether a node asked the doctor; to an emergency it answers by rule."""
    if isinstance(visit.left, Routed) and "emergency" in visit.left.notes:
        return False
    if flow is None:
        return visit.text.endswith((DISCLAIMER, APOLOGY, CUT_OFF))
    node = flow.all_nodes.get(visit.node)
    return node is not None and asks_doctor(node)


def _answer(visit: Visit) -> Any:
    """Return what the doctor gave: what was said, without the words that the handler adds."""
    text = visit.text
    for added in (DISCLAIMER, CUT_OFF, APOLOGY):
        text = text.removesuffix(added).removesuffix("\n\n") if text.endswith(added) else text
    left = visit.left
    reason = left.error if isinstance(left, Failed) else left.notes.get("failed") if left else None
    if reason is None:
        return text
    # ask_doctor holds the last word back until it knows that the word is whole; the space tells so.
    says = {"says": f"{text} "} if text else {}
    return {**says, "fails": storable(str(reason)).strip() or "unknown"}


def _failing_nodes(talk: Talk, flow: Flow | None) -> dict[str, Any]:
    """Return stubs for the nodes that failed whenever they were visited, as they may not fail again.

    A stub fails in one way, so a node that failed in several gets none.
    """
    visits: dict[str, list[Visit]] = {}
    for turn in talk:
        for visit in turn.walk():
            if not _asked_doctor(visit, flow):
                visits.setdefault(visit.node, []).append(visit)
    failing = {
        name: list(map(_failing, found)) for name, found in visits.items() if all(map(_has_failed, found))
    }
    return {name: ways[0] for name, ways in failing.items() if all(way == ways[0] for way in ways)}


def _has_failed(visit: Visit) -> bool:
    return isinstance(visit.left, Failed)


def _failing(visit: Visit) -> Mapping[str, str]:
    assert isinstance(visit.left, Failed)
    reason = visit.left.error.partition(": ")[2].strip() or visit.left.error
    return {**({"says": visit.text} if visit.text else {}), "fails": reason}
