"""A small flow with a failure of each kind, and a way to run tests on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

import pytest

from fsmbot.flow import Flow
from fsmbot.loader import parse_flow
from fsmbot.registry import Registry, load_builtins
from fsmbot.testing.reader import parse_script
from fsmbot.testing.runner import ScriptResult, run_script
from fsmbot.turn import Turn

SAMPLE = """
name: sample
start: ask
on_error: sorry
nodes:
  ask: {handler: ask_user, prompt: "Hello, what is it?", remember: last, next: sort}
  sort: {next: {number: count, word: echo}}
  count: {next: ask, on_error: oops}
  echo: {next: ask}
  oops: {handler: say, text: Bad luck., next: ask}
  sorry: {handler: say, text: Sorry., next: end}
"""


def sample_registry() -> Registry:
    """Return handlers of which `count` fails on 13, and `sort` on "boom"."""
    known = load_builtins().handlers
    registry = Registry({name: known[name] for name in ("ask_user", "say")})

    @registry.handler
    def sort(turn: Turn) -> Literal["number", "word"]:
        if turn.text == "boom":
            raise ValueError("it exploded")
        return "number" if turn.text.isdecimal() else "word"

    @registry.handler
    def count(turn: Turn) -> Iterator[str]:
        if turn.text == "13":
            raise ValueError("unlucky")
        turn.memory["sum"] = turn.memory.get("sum", 0) + int(turn.text)
        yield f"Now  it is\n{turn.memory['sum']}."

    @registry.handler
    def echo(turn: Turn) -> Iterator[str]:
        yield from (turn.text, "!")

    return registry


@pytest.fixture
def sample() -> Flow:
    """The sample flow."""
    return parse_flow(SAMPLE, registry=sample_registry())


@pytest.fixture
def run(sample: Flow) -> Callable[[str], ScriptResult]:
    """A function that runs the text of a test file on the sample flow."""
    return lambda text: run_script(parse_script(text, "sample.test.yaml", sample))
