"""The handler contract, read off a function's signature.

    def handler(turn, resource_a, resource_b, *, setting: type = default) -> outcomes

What follows `turn` by position is injected by name; what is keyword-only is filled from YAML;
the `Literal` of the return annotation is where it can go. Yield what you say, return where to go.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import msgspec

RESERVED_KEYS = (
    "handler",
    "flow",
    "next",
    "on_error",
    "timeout",
    "retry",
    "remember",
    "description",
)
"""Keys of a node in a flow file that are never settings of its handler."""

END = "end"
"""The target that finishes a conversation; no node or handler may take this name."""

OTHER = "other"
"""The outcome of a handler with `outcomes_of` when none of the keys fits."""

Text = Annotated[str, msgspec.Meta(extra={"filled": True})]
"""The type of a setting whose `{name}` is filled from memory, by `fsmbot.fill`; its names are checked."""

Remembered = Annotated[str, msgspec.Meta(extra={"remembered": True})]
"""The type of a setting that is a name in memory; the name is checked."""

Remembers = Annotated[str, msgspec.Meta(extra={"remembers": True})]
"""The type of a setting that is the name under which the handler remembers something."""


class Setting(msgspec.Struct, frozen=True, dict=True):
    """One keyword-only parameter: its type, and its default unless it is required.

    help: what the docstring says of it.
    """

    name: str
    type: Any
    required: bool
    default: Any = None
    help: str = ""

    def marked(self, mark: str) -> bool:
        """Return whether the type is, or holds, one with this mark: filled, remembered or remembers."""
        return mark in self._marks

    @cached_property
    def _marks(self) -> frozenset[str]:
        return frozenset(_marks(self.type))

    def convert(self, value: object) -> Any:
        """Return `value` checked against the type; raises msgspec.ValidationError."""
        return convert(value, self.type)


def bare(annotation: Any) -> Any:
    """Return the class behind an annotation: dict for Annotated[dict[str, int], ...]."""
    while typing.get_origin(annotation) is Annotated:
        annotation = annotation.__origin__
    return typing.get_origin(annotation) or annotation


def _marks(annotation: Any) -> Iterator[str]:
    """Yield the marks of a type and of those inside it."""
    for meta in getattr(annotation, "__metadata__", ()):
        yield from (meta.extra or {}) if isinstance(meta, msgspec.Meta) else ()
    for part in typing.get_args(annotation):
        yield from _marks(part)


class Handler(msgspec.Struct, frozen=True):
    """What the engine, the loader and the schema need to know of a handler.

    outcomes_of: the setting whose keys are the outcomes, beside `other`; "" where the Literal tells.
    """

    name: str
    function: Callable[..., Any]
    listens: bool
    pure: bool
    streams: bool
    outcomes: tuple[str, ...]
    resources: tuple[str, ...]
    settings: Mapping[str, Setting]
    outcomes_of: str = ""

    def outcomes_with(self, settings: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the outcomes of a node that gives the handler these settings."""
        if not self.outcomes_of:
            return self.outcomes
        return (*settings.get(self.outcomes_of, ()), OTHER)

    @property
    def summary(self) -> str:
        """The first line of the docstring, or ""."""
        import inspect  # 5 ms, and only what describes handlers needs it

        return (inspect.getdoc(self.function) or "").partition("\n")[0]

    @property
    def place(self) -> str:
        """Where the function stands, for messages."""
        return place_of(self.function)


def convert(value: object, annotation: Any) -> Any:
    """Return plain data checked against a setting's type; raises msgspec.ValidationError."""
    return msgspec.convert(value, annotation, dec_hook=_to_path)


def _to_path(wanted: type, value: object) -> Path:
    """Convert to the one type that settings may have besides msgspec's own."""
    if wanted is Path and isinstance(value, str):
        return Path(value)
    raise TypeError("expected a path as text")


def setting_schema(annotation: Any) -> dict[str, Any]:
    """Return the JSON Schema of a setting's type; raises TypeError where YAML cannot hold it."""

    def hook(wanted: type) -> dict[str, Any]:
        if wanted is Path:
            return {"type": "string", "format": "path"}
        raise NotImplementedError

    schema = msgspec.json.schema(annotation, schema_hook=hook)
    definitions = schema.pop("$defs", {})
    try:
        return _inlined(schema, definitions)  # type: ignore[no-any-return]
    except RecursionError:
        raise TypeError("a type that holds itself") from None


def _inlined(schema: Any, definitions: Mapping[str, Any]) -> Any:
    """Put definitions where they are referred to, as the schema becomes part of a larger one."""
    if isinstance(schema, list):
        return [_inlined(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    return {key: _inlined(item, definitions) for key, item in schema.items()}


def place_of(function: Callable[..., Any]) -> str:
    """Return `module.name (file:line)` of a function."""
    name = f"{function.__module__}.{function.__qualname__}"
    code = getattr(function, "__code__", None)
    return f"{name} ({code.co_filename}:{code.co_firstlineno})" if code else name
