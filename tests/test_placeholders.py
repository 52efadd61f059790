"""Texts are filled from memory by plain substitution, and by nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fsmbot.errors import FlowError
from fsmbot.loader import parse_flow
from fsmbot.placeholders import fill, placeholders
from fsmbot.registry import Registry, load_builtins
from fsmbot.session import Session
from fsmbot.turn import Turn

MEMORY: dict[str, Any] = {
    "name": "Ada", "age": 36, "half": 2.5, "yes": True, "list": ["a", 1], "intake": {"name": "Bob"},
    "trap": "{name}", "big": 1234567.5, "first-name": "Bo",
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("Hello {name}, {age}!", "Hello Ada, 36!"),
        ("{intake/name} {half} {yes} {list}", "Bob 2.5 yes a, 1"),
        ("{big} {first-name}", "1234567.5 Bo"),
        ("{nobody} stays", "{nobody} stays"),
        ("{intake/nobody} {name/x}", "{intake/nobody} {name/x}"),
        ("{{name}} are braces", "{name} are braces"),
        ("{trap} is filled once", "{name} is filled once"),
    ],
)
def test_names_in_braces_are_filled(text: str, filled: str) -> None:
    """A name that is not in memory stays as it was written."""
    assert fill(text, MEMORY) == filled


@pytest.mark.parametrize(
    "text",
    ["{name.__class__}", "{name[0]}", "{name!r}", "{name:>10}", "{{7*7}}", "{0}", "{}", "{ name }", "${name",
     "%(name)s", "{name", "{% if x %}", "{name|upper}"],
)  # fmt: skip
def test_nothing_is_evaluated(text: str) -> None:
    """No attribute, index, conversion, format or expression: such text is said as it is."""
    assert fill(text, MEMORY) == text
    assert list(placeholders(text)) == []


@given(st.text(), st.dictionaries(st.text(min_size=1), st.text()))
def test_any_text_and_memory_can_be_filled(text: str, memory: dict[str, str]) -> None:
    """Nothing that a user says or a flow holds leads to an error."""
    assert isinstance(fill(text, memory), str)


FLOW = """\
start: ask_name
nodes:
  ask_name: {handler: ask_user, prompt: Your name?, remember: name, next: hello}
  hello: {handler: say, text: ["Hello {nmae}!"], next: end}
"""


def test_a_name_that_nothing_remembers_is_a_mistake() -> None:
    """It is found when the flow is checked, and not by a user who reads braces."""
    with pytest.raises(
        FlowError, match=r"4:32: node 'hello': nothing in this flow remembers '\{nmae\}'; did you"
    ):
        parse_flow(FLOW)
    session = Session(parse_flow(FLOW.replace("nmae", "name")))
    assert session.say("Ada") == "Hello Ada!"


def test_what_a_conversation_begins_with_counts_as_remembered() -> None:
    """`memory:` names what is there from the start."""
    session = Session(parse_flow("memory: {nmae: Bob}\n" + FLOW))
    assert session.say("Ada") == "Hello Bob!"


def test_own_handlers_may_remember_anything() -> None:
    """A flow that has one is not judged for its names."""
    registry = Registry(dict(load_builtins().handlers))

    @registry.handler
    def note(turn: Turn) -> None:
        turn.memory["nmae"] = "Cy"

    flow = parse_flow(
        FLOW.replace("next: hello", "next: note") + "  note: {next: hello}\n", registry=registry
    )
    assert Session(flow).say("Ada") == "Hello Cy!"
