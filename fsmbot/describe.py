"""What `fsmbot handlers` prints: each handler with its outcomes, settings and resources."""

from __future__ import annotations

from typing import Any

from fsmbot.contract import Handler, Setting
from fsmbot.registry import Registry


def describe_handlers(registry: Registry) -> str:
    """Return a paragraph for each handler, in the order of their names."""
    return "".join(_handler(handler) for _, handler in sorted(registry.handlers.items()))


def _handler(handler: Handler) -> str:
    lines = [f"{handler.name}  {handler.summary}".rstrip()]
    if handler.listens:
        lines.append("    listens   then waits for the user's message")
    if handler.outcomes:
        lines.append(f"    outcomes  {' | '.join(handler.outcomes)}")
    lines += [f"    setting   {_setting(setting)}" for setting in handler.settings.values()]
    if handler.resources:
        lines.append(f"    resources {', '.join(handler.resources)}")
    return "\n".join(lines) + "\n"


def _setting(setting: Setting) -> str:
    """Return `name: type = default` as in the signature."""
    default = "" if setting.required else f" = {setting.default!r}"
    return f"{setting.name}: {_type_name(setting.type)}{default}"


def _type_name(annotation: Any) -> str:
    """Return `str` for <class 'str'>, and other annotations as they are written."""
    return (
        annotation.__name__
        if isinstance(annotation, type) and not hasattr(annotation, "__origin__")
        else str(annotation).replace("typing.", "")
    )
