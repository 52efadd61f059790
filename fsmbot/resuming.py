"""Taking up a session where it was left: in a flow that was edited since, and by a program that
was stopped in mid-turn."""

from __future__ import annotations

import msgspec

from fsmbot.errors import ConflictError, StateError
from fsmbot.events import Event, Interrupted, Listening
from fsmbot.flow import Flow
from fsmbot.stores import Store
from fsmbot.turn import Message, State

UNANSWERED = (
    "your last message got no answer, as the program was stopped; send it again if it still matters: "
)

QUOTED = 200
"""Characters of an unanswered message that are quoted."""


def take_up(store: Store, session_id: str) -> tuple[State | None, str]:
    """Return the state of a stored session, None for an unknown one, and what its user is to be told.

    A message that got no answer, because its process was stopped, becomes a turn of its own: no
    handler is asked again, as nobody knows what it had done already. Raises StoreError.
    """
    state, text = store.load(session_id), store.interrupted(session_id)
    if state is None or text is None:
        return state, ""
    history = (*state.history, Message("user", text))
    after = msgspec.structs.replace(state, history=history, turn=state.turn + 1)
    events: list[Event] = [Interrupted(state.node), Listening(state.node)]
    try:
        store.commit(session_id, after, events, state)
    except ConflictError:  # another process was quicker
        return take_up(store, session_id)
    quoted = text if len(text) <= QUOTED else f"{text[:QUOTED]}..."
    return after, UNANSWERED + quoted


def unquoted(notice: str) -> str:
    """Return a notice without the message that it quotes, as a log may have it."""
    before, found, _ = notice.partition(UNANSWERED)
    return before + found.removesuffix(": ")


def adopt(state: State, flow: Flow, session_id: str) -> str:
    """Return what the user of a state from elsewhere is to be told in this flow, "" for nothing.

    Raises StateError where the node at which it waits is gone, TypeError for what is no State.
    """
    if not isinstance(state, State):
        raise TypeError(
            f"state must be a State, not {type(state).__name__}; JSON becomes one by State.from_json(...)"
        )
    if not stands(state, flow):
        raise StateError(
            f"session '{session_id}' waits at node '{state.node}', which is no longer a listening "
            f"node of flow '{flow.name}'; restore it, or begin anew"
        )
    if state.status == "new" or state.flow == flow.fingerprint:
        return ""
    return f"flow '{flow.name}' has changed since this session's last turn"


def stands(state: State, flow: Flow) -> bool:
    """Return whether the node where a state waits is one of the flow's that listen."""
    step = flow.steps.get(state.node)
    return state.status != "listening" or bool(step and step.listens)
