"""The JSON Schema and the loader agree about flow files."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from fsmbot.errors import FlowError
from fsmbot.loader import TOP_KEYS, parse_flow
from fsmbot.nodes import FLOW_KEYS, NODE_KEYS
from fsmbot.registry import load_builtins
from fsmbot.schema import flow_schema

REGISTRY = load_builtins()
SCHEMA = flow_schema(REGISTRY)
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def test_the_schema_is_a_schema() -> None:
    """It is valid JSON Schema itself."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_schema_and_loader_know_the_same_keys() -> None:
    """No key is completed by an editor and refused by the loader, or the other way round."""
    assert set(SCHEMA["properties"]) == set(TOP_KEYS)
    for name, handler in REGISTRY.handlers.items():
        assert set(SCHEMA["$defs"]["flow_node"]["properties"]) == set(FLOW_KEYS)
        keys = set(NODE_KEYS) if handler.listens else set(NODE_KEYS) - {"remember"}
        assert set(SCHEMA["$defs"][f"node_{name}"]["properties"]) == keys | set(handler.settings)


def test_hover_help_comes_from_the_docstring() -> None:
    """The description of a node is what its handler's docstring says."""
    description = SCHEMA["$defs"]["node_ask_user"]["description"]
    assert description.startswith("Ask the user something, and wait for the answer.\n")


def test_settings_are_explained_by_the_lines_of_the_docstring() -> None:
    """A setting has its type, its default and what the docstring says of it."""
    threshold = SCHEMA["$defs"]["node_check_medical"]["properties"]["threshold"]
    assert threshold == {
        "type": "number",
        "minimum": 0,
        "maximum": 1,
        "default": 0.5,
        "description": "the probability, 0..1, from which a message is medical; 0.5 is as likely as not.",
    }
    adapter = SCHEMA["properties"]["resources"]["properties"]["doctor"]["properties"]["adapter"]
    assert adapter["description"] == "the folder that the trainer wrote (default: the shipped doctor)."


BASE = "start: ask_user\nnodes:\n  ask_user: {next: check_greeting}\n  check_greeting: "


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("start: ask_user\nnodes:\n  ask_user: {next: end}", True),
        ("start: a\nnodes:\n  a: {handler: ask_user, prompt: Hm, next: end}", True),
        ("start: a\nnodes:\n  a: {handler: ask_user, remember: name, next: end}", True),
        ("start: a\nnodes:\n  a: {handler: say, text: [x, y], next: end}", True),
        (BASE + "{next: end}", True),
        (BASE + "{next: {greeting: end, other: end}}", True),
        (BASE + "{next: {greeting: end, otherwise: end}}", True),
        (BASE + "{next: {otherwise: end}}", True),
        (BASE + "{next: {greeting: end}}", False),
        (BASE + "{next: {greeting: end, other: end, otherwise: end}}", False),
        (BASE + "{next: {greeting: end, other: end, more: end}}", False),
        ("start: a\nnodes:\n  a: {handler: ask_user, prompt: 3, next: end}", False),
        ("start: a\nnodes:\n  a: {handler: ask_user, promt: x, next: end}", False),
        ("start: a\nnodes:\n  a: {handler: say, next: end}", False),
        ("start: a\nnodes:\n  a: {handler: say, text: x, remember: y, next: end}", False),
        ("start: a\nnodes:\n  a: {handler: nobody, next: end}", False),
        ("start: ask_user\nnodes:\n  ask_user: {prompt: x}", False),
        ("start: ask_user\nnodes:\n  ask_user: {next: {a: end}}", False),
        ("start: a\nnodes:\n  a: {next: end}", False),
        ("start: ask_user\nmax_steps: 0\nnodes:\n  ask_user: {next: end}", False),
        ("start: ask_user\nresources: {nothing: {}}\nnodes:\n  ask_user: {next: end}", False),
        ("nodes:\n  ask_user: {next: end}", False),
        ("start: ask_user\nnodes: {}", False),
        ("start: end\nnodes:\n  ask_user: {next: end}", False),
        (BASE.replace("check_greeting", "check_medical") + "{threshold: 7, next: end}", False),
    ],
)
def test_schema_and_loader_judge_alike(text: str, good: bool) -> None:
    """A file that one accepts, the other accepts."""
    assert VALIDATOR.is_valid(yaml.safe_load(text)) is good
    if good:
        parse_flow(text)
    else:
        with pytest.raises(FlowError):
            parse_flow(text)


def test_the_schema_beside_the_flows_is_current() -> None:
    """If not, write it anew: `fsmbot schema > flows/flow.schema.json`."""
    shipped = Path(__file__).parent.parent / "flows" / "flow.schema.json"
    assert json.loads(shipped.read_text()) == SCHEMA
