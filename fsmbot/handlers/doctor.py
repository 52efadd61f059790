"""ask_doctor: emergencies to the emergency services, everything else to the model, with care."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta

from fsmbot.contract import Text
from fsmbot.errors import ResourceError, first_line
from fsmbot.handlers.emergency import emergency
from fsmbot.limits import NodeTimeout, in_time, kind
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
    "Sorry, my answer broke off here, so do not rely on it. I am an AI, not a doctor; please see a "
    "doctor about it, and call your emergency number if it is urgent."
)

WAITS = 10
"""How many times as long as its `patience` a doctor may take to load, and for an answer as a whole."""


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
    turn: Turn,
    doctor: Doctor,
    *,
    question: Text = "",
    max_new_tokens: Annotated[int, Meta(ge=1)] = 256,
    patience: Annotated[float, Meta(ge=0.01, le=3600)] = 60.0,
) -> Iterator[str]:
    """Answer a medical question with the doctor model; emergencies never reach the model.

    Streams the answer without sentences that claim a human doctor is speaking or state a dose, and
    adds that this is an AI, also when the user stops it. If the model fails or is silent for too
    long, what came is kept, an apology follows, and `turn.notes["failed"]` has the reason.
    question: what the doctor is asked in place of the message; {name} is filled from memory.
    max_new_tokens: how long the answer may be, in the model's tokens.
    patience: seconds that the model may be silent; ten times as long while it loads.
    """
    asked = fill(question, turn.memory) or turn.text
    found = emergency(turn.text)
    if found is None and asked != turn.text:
        found = emergency(asked)
    if found is not None:
        turn.notes["emergency"] = found.category
        yield found.reply
    else:
        yield from _answer(turn, doctor, asked, max_new_tokens, patience)


def _answer(turn: Turn, doctor: Doctor, asked: str, max_new_tokens: int, patience: float) -> Iterator[str]:
    """Yield what may be shown of the model's answer, and the notice or apology that ends it."""
    from fsmbot.doctor.care import with_care  # 20 ms that `check` need not spend
    from fsmbot.doctor.claims import asks_about_the_bot

    readable = False
    try:
        pieces = _patiently(doctor, asked, earlier(turn), max_new_tokens, patience)
        for piece in with_care(pieces, asked, notice=DISCLAIMER, max_new_tokens=max_new_tokens):
            piece = piece if readable else piece.lstrip()
            readable = readable or any(map(str.isalpha, piece))
            if piece:
                yield piece
    except KeyboardInterrupt:
        if readable:  # what was said stays, so what it is must be said
            yield f"\n\n{DISCLAIMER}"
        raise
    except Exception as error:  # whatever a model does, the user gets an answer
        _log(error, asked)
        turn.notes["failed"] = first_line(error)
        yield f"\n\n{CUT_OFF}" if readable else APOLOGY
        return
    if readable:
        yield f"\n\n{DISCLAIMER}"
    elif asks_about_the_bot(asked):
        yield DISCLAIMER  # whatever the model said of itself was left out; this is the answer
    else:
        turn.notes["failed"] = "the model gave no readable answer"
        log.warning("the model gave no readable answer")
        yield APOLOGY


def _log(error: Exception, asked: str) -> None:
    """Log what a model failed of, once, and without the question, which an error may quote."""
    if not (isinstance(error, ResourceError) and error.logged):
        told = kind(error)
        log.error("the model failed: %s", type(error).__name__ if asked in told else told)


def _patiently(
    doctor: Doctor, asked: str, history: list[Message], max_new_tokens: int, patience: float
) -> Iterator[str]:
    """Yield a doctor's answer; raises NodeTimeout when it is silent, or not whole in the end.

    While the model loads, there is more time: a first start may have to fetch and convert it.
    """
    waits = iter(range(WAITS - 1))
    pieces = in_time(
        lambda: iter(doctor.answer(asked, history, max_new_tokens=max_new_tokens)),
        patience,
        lambda: getattr(doctor, "status", "") == "loading" and next(waits, None) is not None,
    )
    end = None
    for piece in pieces:
        end = end or time.monotonic() + WAITS * patience
        if time.monotonic() > end:
            raise NodeTimeout(f"the answer was not whole after {WAITS * patience:g} s")
        yield piece


def earlier(turn: Turn) -> list[Message]:
    """Return the messages before this one, without the notices that this module added."""
    messages = list(turn.history)
    if messages and messages[-1].role == "user":
        messages.pop()
    for notice in (DISCLAIMER, CUT_OFF, APOLOGY):
        messages = [Message(m.role, m.text.replace(notice, "").rstrip()) for m in messages]
    return messages
