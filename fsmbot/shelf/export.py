"""`fsmbot sessions export`: a stored session as Markdown, as JSON, or as a test file."""

from __future__ import annotations

import itertools
import sys
from argparse import Namespace
from collections.abc import Iterable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from fsmbot.errors import StateError
from fsmbot.events import Entered, Event, Interrupted
from fsmbot.explain import markdown
from fsmbot.flow import Flow
from fsmbot.loader import load_flow
from fsmbot.played import Played
from fsmbot.private import write_private
from fsmbot.shelf.listing import known, opened
from fsmbot.stores.rows import StoredTurn
from fsmbot.testing.record import record
from fsmbot.testing.script import SUFFIX
from fsmbot.text import escaped, safe

Conversation = list[StoredTurn]


def export(options: Namespace) -> int:
    """Print or write what the command line asks for, and return the exit code.

    Raises StoreError for a store that cannot be read or does not know the session, StateError for a
    file that cannot be written, FlowError for a broken flow.
    """
    talks = _conversations(options.store, options.name)
    if options.as_json:
        text = _json(options.name, talks)
    elif options.as_test:
        text = _test_file(talks, options)
    else:
        text = markdown(options.name, tuple(tuple(_messages(talk)) for talk in talks))
    if options.out is None:
        print(safe(text), end="")
    else:
        _write(options.out, text)
    return 0


def _conversations(path: Path, name: str) -> list[Conversation]:
    """Return the turns of a session, a list a conversation."""
    with closing(opened(path)) as store:
        known(store, path, name)
        turns = store.turns(name)
    return [list(talk) for _, talk in itertools.groupby(turns, lambda turn: turn.state.opening)]


def _messages(talk: Conversation) -> Iterable[Any]:
    return itertools.chain.from_iterable(turn.messages for turn in talk)


def _json(name: str, talks: Sequence[Conversation]) -> str:
    """Return all that is stored; what a terminal must not see stands in JSON escapes."""
    found = {
        "session": name,
        "conversations": [{"turns": [_turn(turn) for turn in talk]} for talk in talks],
    }
    return escaped(msgspec.json.format(msgspec.json.encode(found), indent=2).decode(), keep="\n") + "\n"


def _turn(turn: StoredTurn) -> dict[str, Any]:
    state = turn.state
    return {
        "turn": state.turn,
        "at": datetime.fromtimestamp(turn.at, UTC).isoformat(timespec="seconds"),
        "user": turn.user,
        "bot": [message.text for message in turn.messages if message.role == "bot"],
        "interrupted": _was_interrupted(turn),
        "node": state.node,
        "status": state.status,
        "memory": state.memory,
        "events": turn.events,
    }


def _was_interrupted(turn: StoredTurn) -> bool:
    return any(isinstance(event, Interrupted) for event in turn.events)


def _test_file(talks: Sequence[Conversation], options: Namespace) -> str:
    """Return the session as tests, of the flow that is named or lies beside the new file.

    Turns that were interrupted are left out: nothing came of them that a test could expect.
    """
    if options.out is not None and not options.out.name.endswith(SUFFIX):
        raise StateError(f"{options.out}: the name of a test file ends in {SUFFIX}")
    flow = _flow(options)
    ran = {turn.state.flow for talk in talks for turn in talk}
    if flow is not None and ran != {flow.fingerprint}:
        print(safe(f"note: {flow.source} is not as it was when this session ran"), file=sys.stderr)
    played = [[_played(turn) for turn in talk if not _was_interrupted(turn)] for talk in talks]
    return record(played, flow, options.out)


def _played(turn: StoredTurn) -> Played:
    return Played(turn.user, _own_events(turn), turn.state.memory)


def _own_events(turn: StoredTurn) -> tuple[Event, ...]:
    """Return a turn's events without those of the command that began the conversation anew."""
    if turn.user is not None:
        return tuple(turn.events)
    return tuple(itertools.dropwhile(lambda event: not isinstance(event, Entered), turn.events))


def _flow(options: Namespace) -> Flow | None:
    if options.flow_file is not None:
        return load_flow(options.flow_file)
    if options.out is None:
        return None
    beside = options.out.with_name(options.out.name.removesuffix(SUFFIX) + ".yaml")
    return load_flow(beside) if beside.is_file() else None


def _write(path: Path, text: str) -> None:
    try:
        write_private(path, text)
    except FileExistsError:
        raise StateError(f"{path} exists; remove it, or choose another name") from None
    except OSError as error:
        raise StateError(f"{path} cannot be written: {error.strerror or error}") from error
