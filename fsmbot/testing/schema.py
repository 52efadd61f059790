"""A JSON Schema of test files, for editors; it knows their form, not the nodes of the flow."""

from __future__ import annotations

from typing import Any

from fsmbot.testing.read_stubs import DOCTOR
from fsmbot.testing.reader import CASE_KEYS, TOP_KEYS
from fsmbot.testing.script import KINDS

Schema = dict[str, Any]

_ANY_TEXT: Schema = {"type": "string"}
_TEXT: Schema = {"type": "string", "pattern": r"\S"}
_TEXTS: Schema = {"anyOf": [_TEXT, {"type": "array", "minItems": 1, "items": _TEXT}]}
_PIECES: Schema = {"anyOf": [_ANY_TEXT, {"type": "array", "minItems": 1, "items": _ANY_TEXT}]}
_MEMORY: Schema = {"type": "object", "propertyNames": {"minLength": 1}}
_FAILING = {"type": "object", "required": ["fails"], "additionalProperties": False}
_ANSWER: Schema = {"anyOf": [_PIECES, {**_FAILING, "properties": {"says": _PIECES, "fails": _TEXT}}]}

_HELP = {
    "user": "What the user says. Only the first step may lack it: it is about the opening words.",
    "visits": "Exactly the nodes that are entered in this turn, in order.",
    "outcomes": "What these nodes must have decided.",
    "fails": "The node whose failure goes to on_error.",
    "raises": "The turn fails with a message that contains this.",
    "says": "What the reply contains; a run of spaces and line breaks counts as one space.",
    "never_says": "What the reply does not contain.",
    "memory": "What is remembered afterwards; null: nothing is, under this name.",
    "ends": "Whether the conversation has ended.",
    "waits_at": "The node that listens afterwards.",
}

_CHECKS: dict[str, Schema] = {
    **dict.fromkeys(("fails", "raises", "waits_at"), _TEXT),
    **dict.fromkeys(("says", "never_says"), _TEXTS),
    "visits": {"type": "array", "items": _TEXT},
    "outcomes": {"type": "object", "propertyNames": {"minLength": 1}, "additionalProperties": _TEXT},
    "memory": _MEMORY,
    "ends": {"type": "boolean"},
}


def script_schema() -> Schema:
    """Return the JSON Schema (draft 2020-12) of test files."""
    top = {
        "flow": {
            **_TEXT,
            "description": "The flow file, relative to this one; by default X.yaml for X.test.yaml.",
        },
        "stub": {"$ref": "#/$defs/stub"},
        "tests": {
            "type": "object",
            "minProperties": 1,
            "propertyNames": {"minLength": 1},
            "additionalProperties": {"anyOf": [{"$ref": "#/$defs/talk"}, {"$ref": "#/$defs/test"}]},
            "description": "Each test's name, and its steps.",
        },
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "fsmbot tests",
        **_map({name: top[name] for name in TOP_KEYS}, required=["tests"]),
        "$defs": {"stub": _stub(), "test": _case(), "talk": _talk(), "step": _step()},
    }


def _map(properties: Schema, required: list[str] | None = None) -> Schema:
    """A map with these keys only."""
    needed = {"required": required} if required else {}
    return {"type": "object", "additionalProperties": False, **needed, "properties": properties}


def _case() -> Schema:
    parts = {
        "stub": {"$ref": "#/$defs/stub"},
        "memory": {**_MEMORY, "description": "What the conversation remembers from the start."},
        "talk": {"$ref": "#/$defs/talk"},
    }
    return _map({name: parts[name] for name in CASE_KEYS}, required=["talk"])


def _talk() -> Schema:
    step = {"$ref": "#/$defs/step"}
    return {
        "type": "array",
        "minItems": 1,
        "prefixItems": [{**step, "minProperties": 1}],
        "items": {**step, "required": ["user"]},
    }


def _step() -> Schema:
    keys = {"user": _ANY_TEXT, **{kind: _CHECKS[kind] for kind in KINDS}}
    return _map({name: {**schema, "description": _HELP[name]} for name, schema in keys.items()})


def _stub() -> Schema:
    """Stand-ins by name; a node may be called `doctor` too, where no handler asks for the resource."""
    parts = _map({"says": _PIECES, "outcome": _TEXT, "fails": _TEXT})
    node = {"anyOf": [_PIECES, {**parts, "minProperties": 1}]}
    asked = {"type": "object", "minProperties": 1, "additionalProperties": _ANSWER}
    in_order = _map({"answers": {"type": "array", "minItems": 1, "items": _ANSWER}}, required=["answers"])
    doctor = {"anyOf": [_ANSWER, in_order, asked]}
    return {
        "type": "object",
        "description": "What stands in for nodes, and for the doctor.",
        "properties": {DOCTOR: {**doctor, "description": "What the doctor says, or question -> answer."}},
        "propertyNames": {"minLength": 1},
        "additionalProperties": {**node, "description": "What this node says, and its outcome."},
    }
