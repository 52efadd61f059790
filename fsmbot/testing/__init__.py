"""Tests for conversations: `*.test.yaml` files beside a flow, and a few helpers for tests in Python.

    from fsmbot.testing import FakeDoctor, play

    talk = play("flows/doctor.yaml", ["hello"], {"doctor": FakeDoctor()})
    assert talk.visits == [["check_medical", "check_greeting", "ans_greeting"]]

Importing this loads no model, no numpy and no pytest.
"""

from __future__ import annotations

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


def __getattr__(name: str) -> Any:
    """Import a helper when it is first asked for: every run of pytest imports this package."""
    home: Any
    match name:
        case "BrokenDoctor" | "FakeDoctor":
            from fsmbot.doctor import fakes as home
        case "run_tests":
            from fsmbot.testing import run as home
        case "CaseResult" | "Failure" | "ScriptResult":
            from fsmbot.testing import runner as home
        case "Transcript" | "play":
            from fsmbot.testing import transcript as home
        case "tiny_vectors":
            from fsmbot.testing import words as home
        case _:
            raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(home, name)
