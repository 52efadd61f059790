"""ask_doctor: emergencies to the emergency services, everything else to the model, with care."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta

from fsmbot.contract import Text
from fsmbot.errors import ResourceError
from fsmbot.handlers.emergency import emergency
from fsmbot.placeholders import fill
from fsmbot.registry import handler, resource
from fsmbot.turn import Message, Turn

if TYPE_CHECKING:
    from fsmbot.doctor import Doctor

log = logging.getLogger("fsmbot.doctor")

DISCLAIMER = (
    "I am an AI, not a doctor; this is general information. "
    "Please see a doctor about anything that worries you."
)
APOLOGY = (
    "Sorry, I cannot answer this at the moment. Please see a doctor about it, "
    "and call your emergency number if it is urgent."
)
CUT_OFF = (
    "Sorry, my answer broke off here, so do not rely on it. Please see a doctor about it, "
    "and call your emergency number if it is urgent."
)


@resource
def doctor(*, adapter: Path | None = None, base: str = "", device: str = "") -> Doctor:
    """Build the doctor model; it loads when first asked, or in the background by `preload()`.

    adapter: the folder that the trainer wrote (default: the shipped doctor).
    base: another base model, by its id on the hub or as a local folder.
    device: cpu, cuda… (default: CUDA where there is one).
    """
    from fsmbot.doctor import LocalDoctor

    return LocalDoctor(adapter=adapter or "", base=base, device=device)


@handler
def ask_doctor(
    turn: Turn, doctor: Doctor, *, question: Text = "", max_new_tokens: Annotated[int, Meta(ge=1)] = 256
) -> Iterator[str]:
    """Answer a medical question with the doctor model; emergencies never reach the model.

    Streams the answer without sentences that claim a human doctor is speaking, and adds that this
    is an AI. If the model fails, what came is kept, an apology follows, and `turn.notes["failed"]`
    has the reason.
    question: what the doctor is asked in place of the message; {name} is filled from memory.
    max_new_tokens: how long the answer may be, in the model's tokens.
    """
    asked = fill(question, turn.memory) or turn.text
    found = emergency(turn.text) or emergency(asked)
    if found is not None:
        turn.notes["emergency"] = found.category
        yield found.reply
        return
    from fsmbot.doctor.claims import without_claims  # 6 ms that `check` need not spend

    readable = False
    try:
        pieces = doctor.answer(asked, earlier(turn), max_new_tokens=max_new_tokens)
        for piece in without_claims(pieces):
            piece = piece if readable else piece.lstrip()
            readable = readable or any(map(str.isalpha, piece))
            if piece:
                yield piece
    except Exception as error:  # whatever a model does, the user gets an answer
        if not isinstance(error, ResourceError):  # those are logged where they arise
            log.error("the model failed: %s: %s", type(error).__name__, error)
        turn.notes["failed"] = str(error) or type(error).__name__
        yield f"\n\n{CUT_OFF}" if readable else APOLOGY
        return
    if not readable:
        turn.notes["failed"] = "the model gave no readable answer"
    yield f"\n\n{DISCLAIMER}" if readable else APOLOGY


def earlier(turn: Turn) -> list[Message]:
    """Return the messages before this one, without the disclaimers that this module added."""
    messages = list(turn.history)
    if messages and messages[-1].role == "user":
        messages.pop()
    return [Message(m.role, m.text.replace(DISCLAIMER, "").rstrip()) for m in messages]
