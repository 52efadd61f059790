"""What several test files share: the reference flow on stand-in handlers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

from fsmbot.flow import Flow
from fsmbot.loader import load_flow
from fsmbot.registry import Registry, load_builtins
from fsmbot.turn import Turn

REFERENCE = Path(__file__).parent.parent / "flows" / "doctor.yaml"
DIALOGUE = ("ask_user", "say", "ans_greeting", "static_idk_msg")


@pytest.fixture(autouse=True)
def _same_registry() -> Iterator[None]:
    """Take back what a test registers, as the default registry outlives it."""
    registry = load_builtins()
    handlers, resources = dict(registry.handlers), dict(registry.resources)
    yield
    registry.handlers, registry.resources = handlers, resources


class StubDoctor:
    """Answers at once, and counts how often it was asked to load."""

    def __init__(self) -> None:
        self.status = "not loaded"
        self.preloads = 0
        self.preloaded = threading.Event()

    def preload(self) -> None:
        self.preloads += 1
        self.status = "stub model"
        self.preloaded.set()


def stub_registry() -> Registry:
    """Return a registry where "pain" is medical, "hello" a greeting, and "crash" breaks the doctor."""
    known = load_builtins().handlers
    registry = Registry({name: known[name] for name in DIALOGUE})

    @registry.resource
    def doctor() -> StubDoctor:
        return StubDoctor()

    @registry.handler(pure=True)
    def check_medical(turn: Turn) -> Literal["medical", "other"]:
        turn.notes.update(score=0.9312, words=["pain"])
        return "medical" if "pain" in turn.text else "other"

    @registry.handler(pure=True)
    def check_greeting(turn: Turn) -> Literal["greeting", "other"]:
        return "greeting" if "hello" in turn.text else "other"

    @registry.handler
    def ask_doctor(turn: Turn, doctor: Any) -> Iterator[str]:
        yield "See a "
        if "crash" in turn.text:
            raise ValueError("the doctor broke")
        if "interrupt" in turn.text:
            raise KeyboardInterrupt
        yield "doctor."

    return registry


@pytest.fixture
def flow_file(tmp_path: Path) -> Path:
    """A copy of the reference flow that a test may edit."""
    path = tmp_path / "doctor.yaml"
    path.write_text(REFERENCE.read_text())
    return path


@pytest.fixture
def doctor_flow(flow_file: Path) -> Flow:
    """The reference flow on stand-in handlers, loaded from `flow_file`."""
    return load_flow(flow_file, stub_registry())
