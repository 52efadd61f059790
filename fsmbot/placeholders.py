"""Texts with places to fill from memory: "Hello {name}" says the name that was remembered.

A placeholder is a name in memory between braces, and nothing more: no attribute, no format, no
expression is ever looked up. What is filled in is not read again, and `{{name}}` stands for the
braces themselves. A subflow's memory is reached by a slash: `{intake/age}`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_PLACEHOLDER = re.compile(r"\{\{([\w/-]+)\}\}|\{([^\W\d][\w/-]*)\}")
_ESCAPED, _NAME = 1, 2


def fill(text: str, memory: Mapping[str, Any]) -> str:
    """Return the text with each `{name}` that is in memory filled in; others stay as they are."""
    if "{" not in text:
        return text
    return _PLACEHOLDER.sub(lambda found: _filling(found, memory), text)


def placeholders(text: str) -> Iterator[str]:
    """Yield the names that a text takes from memory."""
    for found in _PLACEHOLDER.finditer(text):
        if found[_NAME]:
            yield found[_NAME]


def lookup(name: str, memory: Mapping[str, Any]) -> Any:
    """Return what is remembered under a name, or None; "a/b" is b in what subflow a remembered."""
    value: Any = memory
    for part in name.split("/"):
        if not isinstance(value, Mapping) or part not in value:
            return None
        value = value[part]
    return value


def _filling(found: re.Match[str], memory: Mapping[str, Any]) -> str:
    if found[_ESCAPED] is not None:
        return f"{{{found[_ESCAPED]}}}"
    value = lookup(found[_NAME], memory)
    return found[0] if value is None else shown(value)


def shown(value: Any) -> str:
    """Return a remembered value as a sentence would have it: 3, not 3.0; yes, not True."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else str(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {shown(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(map(shown, value))
    return str(value)
