"""What every peer shares: the stubs of the doctor flow, the messages, and session ids."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Iterator

PROMPT = "What would you like to ask?"
DOCTOR = "Please describe the pain; a doctor will answer."
GREETING = "Hello! How can I help you?"
IDK = "Sorry, I do not know."

CASES = {"I have a pain in my knee": DOCTOR, "hello there": GREETING, "capital of France?": IDK}
"""Messages, and what they must be answered: one for each way through the flow."""

TURNS = 12
"""Turns that a session lasts before a subject that keeps sessions begins a new one."""


def is_medical(text: str) -> bool:
    """Stand in for check_medical."""
    return "pain" in text


def is_greeting(text: str) -> bool:
    """Stand in for check_greeting."""
    return "hello" in text


def session_ids(turns: int = TURNS) -> Iterator[str]:
    """Yield the same id for some turns, then the next."""
    return (f"s{number // turns}" for number in itertools.count())


def new_file() -> str:
    """Return the path of a database that is not there yet, on disk."""
    return os.path.join(tempfile.mkdtemp(), "sessions.db")
