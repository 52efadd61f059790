"""Tests for conversations: `*.test.yaml` files beside a flow, and a few helpers for tests in Python.

    from fsmbot.testing import FakeDoctor, play

    talk = play("flows/doctor.yaml", ["hello"], {"doctor": FakeDoctor()})
    assert talk.visits == [["check_medical", "check_greeting", "ans_greeting"]]

Importing this loads no model, no numpy and no pytest.
"""

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
