"""What is different between two versions of a flow, in lines for whoever edits it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fsmbot.flow import Flow, Node
from fsmbot.limits import Retry

WIDTH = 60
"""Characters of a value that are shown before it is cut."""


def changes(old: Flow, new: Flow, prefix: str = "") -> Iterator[str]:
    """Yield a line for each node, key or setting that differs, those of subflows by their paths."""
    for name in (name for name in old.nodes if name not in new.nodes):
        yield f"node '{prefix}{name}' is gone"
    for name, node in new.nodes.items():
        if name not in old.nodes:
            yield f"node '{prefix}{name}' is new"
        else:
            yield from _node(f"{prefix}{name}", old.nodes[name], node)
    yield from _differences(f"flow '{new.name}': " if prefix else "", _outline(old), _outline(new))


def _outline(flow: Flow) -> dict[str, Any]:
    """Return a flow's own keys, those in maps by dotted names."""
    keys: dict[str, Any] = {
        "name": flow.name,
        "description": flow.description,
        "start": flow.start,
        "outcomes": list(flow.outcomes),
        "on_error": flow.on_error,
        "max_steps": flow.max_steps,
    }
    keys |= {f"memory.{name}": value for name, value in flow.memory.items()}
    for command in flow.commands.values():
        keys[f"commands.{command.name}.words"] = list(command.phrases)
        keys[f"commands.{command.name}.say"] = command.say
    for resource, settings in flow.resources.items():
        keys |= {f"resources.{resource}.{name}": value for name, value in settings.items()}
    return keys


def _node(path: str, old: Node, new: Node) -> Iterator[str]:
    yield from _differences(f"node '{path}': ", _keys(old), _keys(new))
    if old.flow is not None and new.flow is not None:
        yield from changes(old.flow, new.flow, f"{path}/")


def _keys(node: Node) -> dict[str, Any]:
    """Return a node's keys as they are written, the routes by outcome."""
    routes = {"next": node.next} if isinstance(node.next, str) else _dotted("next", node.next)
    retry = {} if node.retry is None else _dotted("retry", _plain(node.retry))
    return {
        "flow" if node.flow else "handler": node.handler.name,
        **routes,
        **node.settings,
        **retry,
        "on_error": node.on_error,
        "remember": node.remember,
        "timeout": node.timeout,
        "description": node.description or None,
    }


def _plain(retry: Retry) -> Mapping[str, Any]:
    return {"times": retry.times, "wait": retry.wait}


def _dotted(name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{name}.{key}": value for key, value in values.items()}


def _differences(where: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """Yield `where key: old -> new` for each value that differs; None stands for none."""
    for key in dict.fromkeys([*old, *new]):
        before, after = old.get(key), new.get(key)
        if before == after:
            continue
        if before is None:
            yield f"{where}{key}: {_shown(after)} is new"
        elif after is None:
            yield f"{where}{key}: {_shown(before)} is gone"
        else:
            yield f"{where}{key}: {_shown(before)} -> {_shown(after)}"


def _shown(value: Any) -> str:
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 3]}..."
