"""`fsmbot sessions export`: a stored session as a test file, or as Markdown."""

from __future__ import annotations

import itertools
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from fsmbot.errors import StateError, StoreError
from fsmbot.events import Entered, Event
from fsmbot.explain import markdown
from fsmbot.flow import Flow
from fsmbot.loader import load_flow
from fsmbot.nearby import suggest
from fsmbot.played import Played
from fsmbot.private import write_private
from fsmbot.stores import SQLiteStore, StoredTurn
from fsmbot.testing.record import record
from fsmbot.testing.script import SUFFIX
from fsmbot.text import safe


def export(options: Namespace) -> int:
    """Print or write what the command line asks for, and return the exit code.

    Raises StoreError for a store that cannot be read or does not know the session, StateError for a
    file that cannot be written, FlowError for a broken flow.
    """
    turns = _turns(options.store, options.name)
    text = _test_file(turns, options) if options.as_test else _markdown(turns, options.name)
    if options.out is None:
        print(safe(text), end="")
    else:
        _write(options.out, text)
    return 0


def _turns(path: Path, name: str) -> list[StoredTurn]:
    """Return the turns of a session; no store is created where there is none."""
    if not path.is_file():
        raise StoreError(f"the session store {path} does not exist")
    store = SQLiteStore(path)
    try:
        turns = store.turns(name)
        if not turns:
            hint = suggest(name, store.names()) or "; it holds no session"
            raise StoreError(f"the session store {path} has no session '{name}'{hint}")
        return turns
    finally:
        store.close()


def _test_file(turns: Sequence[StoredTurn], options: Namespace) -> str:
    """Return the session as a test, of the flow that is named or lies beside the new file."""
    if options.out is not None and not options.out.name.endswith(SUFFIX):
        raise StateError(f"{options.out}: the name of a test file ends in {SUFFIX}")
    flow = _flow(options)
    if flow is not None and turns[-1].state.flow != flow.fingerprint:
        print(safe(f"note: {flow.source} is not as it was when this session ran"), file=sys.stderr)
    played = [Played(turn.user, _own_events(turn), turn.state.memory) for turn in turns]
    return record([played], flow, options.out)


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


def _markdown(turns: Sequence[StoredTurn], name: str) -> str:
    return markdown(name, (tuple(message for turn in turns for message in turn.messages),))


def _write(path: Path, text: str) -> None:
    try:
        write_private(path, text)
    except FileExistsError:
        raise StateError(f"{path} exists; remove it, or choose another name") from None
