"""Tests for conversations: `*.test.yaml` files beside a flow, and a few helpers for tests in Python.

    from fsmbot.testing import FakeDoctor, play

    talk = play("flows/doctor.yaml", ["hello"], {"doctor": FakeDoctor()})
    assert talk.visits == [["check_medical", "check_greeting", "ans_greeting"]]

Importing this loads no model, no numpy and no pytest.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fsmbot.doctor.fakes import BrokenDoctor, FakeDoctor
    from fsmbot.testing.run import run_tests
    from fsmbot.testing.runner import CaseResult, Failure, ScriptResult
    from fsmbot.testing.transcript import Transcript, play
    from fsmbot.testing.words import tiny_vectors

__all__ = [
    "BrokenDoctor",
    "CaseResult",
    "Failure",
    "FakeDoctor",
    "ScriptResult",
    "Transcript",
    "play",
    "run_tests",
    "tiny_vectors",
]

_HOMES = {
    "fsmbot.doctor.fakes": ("BrokenDoctor", "FakeDoctor"),
    "fsmbot.testing.run": ("run_tests",),
    "fsmbot.testing.runner": ("CaseResult", "Failure", "ScriptResult"),
    "fsmbot.testing.transcript": ("Transcript", "play"),
    "fsmbot.testing.words": ("tiny_vectors",),
}


def __getattr__(name: str) -> Any:
    """Import a helper when it is first asked for: every run of pytest imports this package."""
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
