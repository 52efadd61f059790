"""A JSON Schema of flow files, made from the registered handlers' signatures and docstrings.

Editors that know the YAML language server complete, explain and check flow files with it. What only
the whole file can tell (a target that is no node, a loop, a node that is never reached, the outcomes
that a setting names) is left to `fsmbot check`.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

import msgspec

from fsmbot.contract import END, Handler, Setting, setting_schema
from fsmbot.flow import MAX_STEPS, OTHERWISE
from fsmbot.limits import MAX_TIMEOUT, MAX_TIMES, MAX_WAIT
from fsmbot.registry import Registry, Resource
from fsmbot.spoken import COMMANDS, HELP

Schema = dict[str, Any]

_NAME: Schema = {"type": "string", "minLength": 1}
_TARGET: Schema = {**_NAME, "examples": [END]}
"""Where a route leads; an editor offers the end, as it cannot know the nodes."""

_HANDLER = "The handler of this node."
_FLOW = "The flow to run: a file in this flow's folder or below."
_NODE_NAME: Schema = {"not": {"enum": [END]}, "minLength": 1, "pattern": "^[^/]+$"}


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
            **_outline(),
            "commands": _commands(),
            "resources": _resources(registry),
            "nodes": {
                "type": "object",
                "description": "The nodes by name; a node's name is its handler's, unless it says otherwise.",
                "minProperties": 1,
                "propertyNames": _NODE_NAME,
                "properties": {name: _named_node(name) for name in handlers},
                "additionalProperties": {"$ref": "#/$defs/any_node"},
            },
        },
        "$defs": {
            **{f"node_{name}": _node(handler) for name, handler in handlers.items()},
            "flow_node": _flow_node(),
            "any_node": _any_node(list(handlers)),
        },
    }


def _outline() -> Schema:
    """The keys that say what the conversation is and how it runs."""
    return {
        "name": _described(_NAME, "The flow's name; by default the file's."),
        "description": _described(_NAME, "What the conversation is for."),
        "start": _described({**_NAME, "not": {"const": END}}, "The node that comes first."),
        "outcomes": {
            "type": "array",
            "items": {**_NAME, "not": {"const": END}, "pattern": "^[^/]+$"},
            "minItems": 1,
            "uniqueItems": True,
            "description": "The ends of this flow, as targets; a flow that runs it routes each.",
        },
        "on_error": _described(_NAME, "The node that takes over when a handler fails."),
        "max_steps": {
            "type": "integer",
            "minimum": 1,
            "default": MAX_STEPS,
            "description": "How many nodes one turn may visit.",
        },
        "memory": {
            "type": "object",
            "description": "What is in memory when a conversation begins, such as {name: friend}.",
        },
    }


def _described(schema: Schema, text: str) -> Schema:
    return {**schema, "description": text}


def _commands() -> Schema:
    """What a user may say anywhere."""
    does = {
        "help": "says what the bot can do",
        "restart": "begins the conversation anew",
        "repeat": "says again what the bot said last",
        "back": "returns to before the last message",
    }
    return {
        "type": "object",
        "description": "What a user may say anywhere in the conversation, in plain words.",
        "additionalProperties": False,
        "properties": {name: _command(name, f"This {does[name]}.") for name in COMMANDS},
    }


def _command(name: str, description: str) -> Schema:
    words = {"type": "array", "items": {"type": "string", "pattern": r"[^\s!-/:-@\[-`{-~]"}, "minItems": 1}
    return {
        "type": "object",
        "description": description,
        "additionalProperties": False,
        "required": ["words", "say"] if name == HELP else ["words"],
        "properties": {
            "words": _described(words, "The messages that give the command, capitals and marks aside."),
            "say": _described(_NAME, "What the bot says to it, before anything else."),
        },
    }


def _named_node(name: str) -> Schema:
    """A node that bears a handler's name is that handler, unless it names another."""
    return {
        "if": {"anyOf": [{"required": ["handler"]}, {"required": ["flow"]}]},
        "then": {"$ref": "#/$defs/any_node"},
        "else": {"$ref": f"#/$defs/node_{name}"},
    }


def _any_node(names: list[str]) -> Schema:
    """A node with another name says which handler it is, or which flow it runs."""
    return {
        "type": "object",
        # outside of the branches, as editors offer nothing from a branch that is not taken yet
        "properties": {"handler": {"description": _HANDLER}, "flow": {"description": _FLOW}},
        "if": {"required": ["flow"]},
        "then": {"$ref": "#/$defs/flow_node"},
        "else": {
            "required": ["handler", "next"],
            "properties": {"handler": {"enum": names, "description": _HANDLER}},
            "allOf": [
                {
                    "if": {"properties": {"handler": {"const": name}}, "required": ["handler"]},
                    "then": {"$ref": f"#/$defs/node_{name}"},
                }
                for name in names
            ],
        },
    }


def _flow_node() -> Schema:
    """The keys of a node that runs another flow."""
    routes: Schema = {"type": "object", "additionalProperties": _TARGET, "minProperties": 1}
    file = {"type": "string", "pattern": r"^[^/].*\.ya?ml$", "not": {"pattern": r"(^|/)\.\.(/|$)"}}
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["flow", "next"],
        "properties": {
            "flow": _described(file, _FLOW),
            "next": {
                "anyOf": [_TARGET, routes],
                "description": "A node, or one for each outcome of that flow.",
            },
            **_common(),
        },
    }


def _common() -> Schema:
    return {
        "on_error": _described(_NAME, "The node that takes over when this one fails."),
        "description": _described(_NAME, "What the node is for."),
    }


def _node(handler: Handler) -> Schema:
    """The keys of one handler's nodes."""
    reserved: Schema = {
        "handler": {"const": handler.name, "description": _HANDLER},
        "next": _next(handler),
        **_common(),
        "timeout": {
            "type": "number",
            "exclusiveMinimum": 0,
            "maximum": MAX_TIMEOUT,
            "description": "Seconds within which the next piece, or the outcome, must come.",
        },
        "retry": _retry(),
    }
    if handler.listens:
        reserved["remember"] = _described(_NAME, "Keep the user's answer in memory as this.")
    return {
        "type": "object",
        "description": inspect.getdoc(handler.function) or handler.name,
        "additionalProperties": False,
        "required": ["next", *_required(handler.settings.values())],
        "properties": {**reserved, **{s.name: _setting(s) for s in handler.settings.values()}},
    }


def _retry() -> Schema:
    return {
        "type": "object",
        "description": "Try again when the handler fails before it has said anything.",
        "additionalProperties": False,
        "required": ["times"],
        "properties": {
            "times": {"type": "integer", "minimum": 1, "maximum": MAX_TIMES, "description": "How often."},
            "wait": {
                "type": "number",
                "minimum": 0,
                "maximum": MAX_WAIT,
                "default": 0,
                "description": "Seconds between.",
            },
        },
    }


def _next(handler: Handler) -> Schema:
    """One target, or a map that covers the outcomes."""
    target: Schema = _described(_TARGET, f"The node that follows, or '{END}'.")
    if handler.outcomes_of:
        text = f"A node for each key of {handler.outcomes_of}, and for other; '{OTHERWISE}' covers the rest."
        routes = {"type": "object", "minProperties": 1, "additionalProperties": _TARGET, "description": text}
        return {"anyOf": [target, routes]}
    if not handler.outcomes:
        return target
    names = list(handler.outcomes)
    routes = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            **{name: _described(_TARGET, f"The node that follows if it is '{name}'.") for name in names},
            OTHERWISE: _described(_TARGET, "The node that follows each outcome that is not named."),
        },
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
    if setting.help:
        schema["description"] = setting.help
    default = _plain(setting.default)
    return schema if default is None else {**schema, "default": default}


def _plain(default: Any) -> Any:
    """Return a default as JSON has it, or None where it is none or JSON has nothing for it."""
    try:
        return msgspec.json.decode(msgspec.json.encode(default, enc_hook=str))
    except (TypeError, ValueError, msgspec.MsgspecError):
        return None
