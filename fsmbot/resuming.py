"""Taking up a stored session where it was left, also where its program was stopped in mid-turn."""

from __future__ import annotations

import msgspec

from fsmbot.errors import ConflictError
from fsmbot.events import Event, Interrupted, Listening
from fsmbot.stores import Store
from fsmbot.turn import Message, State

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
    return after, (
        "your last message got no answer, as the program was stopped; "
        f"send it again if it still matters: {quoted}"
    )
