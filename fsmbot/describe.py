"""What `fsmbot handlers` prints: each handler with its outcomes, settings and resources."""

from __future__ import annotations

import json
from textwrap import wrap
from typing import Any

from fsmbot.contract import OTHER, Handler, Setting
from fsmbot.flowfile.expected import expected
from fsmbot.registry import Registry

WIDTH = 110
INDENT = " " * 16
"""How the help of a setting is set off."""


def describe_handlers(registry: Registry) -> str:
    """Return a paragraph for each handler, in the order of their names."""
    return "".join(_handler(handler) for _, handler in sorted(registry.handlers.items()))


def _handler(handler: Handler) -> str:
    lines = [f"{handler.name}  {handler.summary}".rstrip()]
    if handler.listens:
        lines.append("    listens   then waits for the user's message")
    if handler.outcomes_of:
        lines.append(f"    outcomes  the keys of {handler.outcomes_of} | {OTHER}")
    elif handler.outcomes:
        lines.append(f"    outcomes  {' | '.join(handler.outcomes)}")
    for setting in handler.settings.values():
        lines += _setting(setting)
    if handler.resources:
        lines.append(f"    resources {', '.join(handler.resources)}")
    return "\n".join(lines) + "\n"


def _setting(setting: Setting) -> list[str]:
    """Return what the setting may hold, what it is if left out, and what the docstring says of it."""
    default = "required" if setting.required else f"default {_shown(setting.default)}"
    lines = [f"    setting   {setting.name}: {expected(setting.type)} ({default})"]
    return lines + wrap(setting.help, WIDTH, initial_indent=INDENT, subsequent_indent=INDENT)


def _shown(default: Any) -> str:
    """Return a default as a flow file would have it."""
    return "none" if default is None else json.dumps(default, ensure_ascii=False, default=str)
