"""A JSON Schema of flow files, made from the registered handlers' signatures.

Editors that know the YAML language server complete and check flow files with it.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

from fsmbot.contract import END, Handler, Setting, setting_schema
from fsmbot.flow import MAX_STEPS, OTHERWISE
from fsmbot.registry import Registry, Resource

Schema = dict[str, Any]

_NAME: Schema = {"type": "string", "minLength": 1}


def flow_schema(registry: Registry) -> Schema:
    """Return the JSON Schema (draft 2020-12) of a flow that uses this registry's handlers."""
    handlers = dict(sorted(registry.handlers.items()))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "fsmbot flow",
        "type": "object",
        "additionalProperties": False,
        "required": ["start", "nodes"],
        "properties": {
            "name": {**_NAME, "description": "The flow's name; by default the file's."},
            "description": {**_NAME, "description": "What the conversation is for."},
            "start": {**_NAME, "not": {"const": END}, "description": "The node that comes first."},
            "on_error": {**_NAME, "description": "The node that takes over when a handler fails."},
            "max_steps": {
                "type": "integer",
                "minimum": 1,
                "default": MAX_STEPS,
                "description": "How many nodes one turn may visit.",
            },
            "resources": _resources(registry),
            "nodes": {
                "type": "object",
                "minProperties": 1,
                "propertyNames": {"not": {"const": END}, "minLength": 1},
                "properties": {name: _named_node(name) for name in handlers},
                "additionalProperties": {"$ref": "#/$defs/any_node"},
            },
        },
        "$defs": {
            **{f"node_{name}": _node(handler) for name, handler in handlers.items()},
            "any_node": _any_node(list(handlers)),
        },
    }


def _named_node(name: str) -> Schema:
    """A node that bears a handler's name is that handler, unless it names another."""
    return {
        "if": {"required": ["handler"]},
        "then": {"$ref": "#/$defs/any_node"},
        "else": {"$ref": f"#/$defs/node_{name}"},
    }


def _any_node(names: list[str]) -> Schema:
    """A node with another name says which handler it is."""
    return {
        "type": "object",
        "required": ["handler", "next"],
        "properties": {"handler": {"enum": names}},
        "allOf": [
            {
                "if": {"properties": {"handler": {"const": name}}, "required": ["handler"]},
                "then": {"$ref": f"#/$defs/node_{name}"},
            }
            for name in names
        ],
    }


def _node(handler: Handler) -> Schema:
    """The keys of one handler's nodes."""
    reserved: Schema = {
        "handler": {"const": handler.name, "description": "The handler of this node."},
        "next": _next(handler),
        "on_error": {**_NAME, "description": "The node that takes over when this one fails."},
        "description": {**_NAME, "description": "What the node is for."},
    }
    if handler.listens:
        reserved["remember"] = {**_NAME, "description": "Keep the user's answer in memory as this."}
    return {
        "type": "object",
        "description": inspect.getdoc(handler.function) or handler.name,
        "additionalProperties": False,
        "required": ["next", *_required(handler.settings.values())],
        "properties": {**reserved, **{s.name: _setting(s) for s in handler.settings.values()}},
    }


def _next(handler: Handler) -> Schema:
    """One target, or a map that covers the outcomes."""
    target: Schema = {**_NAME, "description": f"The node that follows, or '{END}'."}
    if not handler.outcomes:
        return target
    names = list(handler.outcomes)
    routes: Schema = {
        "type": "object",
        "additionalProperties": False,
        "properties": dict.fromkeys([*names, OTHERWISE], _NAME),
        "if": {"required": [OTHERWISE]},
        "then": {"not": {"required": names}},  # it would cover nothing
        "else": {"required": names},
        "description": f"A node for each outcome ({', '.join(names)}); '{OTHERWISE}' covers the rest.",
    }
    return {"anyOf": [target, routes]}


def _resources(registry: Registry) -> Schema:
    return {
        "type": "object",
        "additionalProperties": False,
        "description": "Settings of what the sessions share; paths are relative to the flow file.",
        "properties": {name: _resource(r) for name, r in sorted(registry.resources.items())},
    }


def _resource(resource: Resource) -> Schema:
    return {
        "type": "object",
        "description": inspect.getdoc(resource.function) or resource.name,
        "additionalProperties": False,
        "required": _required(resource.settings.values()),
        "properties": {s.name: _setting(s) for s in resource.settings.values()},
    }


def _required(settings: Iterable[Setting]) -> list[str]:
    return [setting.name for setting in settings if setting.required]


def _setting(setting: Setting) -> Schema:
    schema = setting_schema(setting.type)
    if isinstance(setting.default, (str, int, float, bool, list, dict)):
        schema["default"] = setting.default
    return schema
