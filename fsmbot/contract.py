"""The handler contract, read off a function's signature.

    def handler(turn, resource_a, resource_b, *, setting: type = default) -> outcomes

What follows `turn` by position is injected by name; what is keyword-only is filled from YAML;
the `Literal` of the return annotation is where it can go. Yield what you say, return where to go.
"""

from __future__ import annotations

import collections.abc
import inspect
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from fsmbot.errors import RegistrationError

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

_STREAMS = (
    collections.abc.Generator,
    collections.abc.Iterator,
    collections.abc.Iterable,
)
_EXPLAINS = re.compile(r"(\w+): (.+)")
_CONTRACT = (
    "a handler is `def name(turn, resource, *, setting: type = default)`, annotated "
    '`-> Iterator[str]` (it yields what it says), `-> Literal["a", "b"]` (it returns where to go), '
    '`-> Generator[str, None, Literal["a", "b"]]` (both) or `-> None`'
)


@dataclass(frozen=True)
class Setting:
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
        return _marked(self.type, mark)

    def convert(self, value: object) -> Any:
        """Return `value` checked against the type; raises msgspec.ValidationError."""
        return convert(value, self.type)


def bare(annotation: Any) -> Any:
    """Return the class behind an annotation: dict for Annotated[dict[str, int], ...]."""
    while typing.get_origin(annotation) is Annotated:
        annotation = annotation.__origin__
    return typing.get_origin(annotation) or annotation


def _marked(annotation: Any, mark: str) -> bool:
    metas = getattr(annotation, "__metadata__", ())
    if any(isinstance(m, msgspec.Meta) and (m.extra or {}).get(mark) for m in metas):
        return True
    return any(_marked(part, mark) for part in typing.get_args(annotation))


@dataclass(frozen=True)
class Handler:
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
    return _inlined(schema, definitions)  # type: ignore[no-any-return]


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


def read_handler(
    function: Callable[..., Any],
    name: str,
    *,
    listens: bool = False,
    pure: bool = False,
    outcomes_of: str = "",
) -> Handler:
    """Read a function as a handler; raises RegistrationError that shows signature and contract."""
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise refusal(function, "an async function cannot be a handler; write a plain `def`")
    if name == END:
        raise refusal(function, f"'{END}' is the name of the end of a conversation")
    parameters = list(inspect.signature(function).parameters.values())
    if not parameters or parameters[0].kind is parameters[0].KEYWORD_ONLY:
        raise refusal(function, "its first parameter must be the turn")
    resources = tuple(_resource(function, p) for p in parameters[1:] if p.kind != p.KEYWORD_ONLY)
    settings = read_settings(function)
    streams, outcomes = _read_return(function, free=bool(outcomes_of))
    if listens and (outcomes or outcomes_of):
        raise refusal(function, "a listening handler has one way out, so it returns no outcome")
    if outcomes_of:
        _check_outcomes_of(function, outcomes_of, settings, outcomes)
    return Handler(name, function, listens, pure, streams, outcomes, resources, settings, outcomes_of)


def _check_outcomes_of(
    function: Callable[..., Any], name: str, settings: Mapping[str, Setting], outcomes: tuple[str, ...]
) -> None:
    """Check that the outcomes can be the keys of a setting, and are named nowhere else."""
    if outcomes:
        raise refusal(function, f"its outcomes are the keys of '{name}', so annotate what it returns as str")
    if name not in settings:
        raise refusal(function, f"outcomes_of names '{name}', which is none of its settings")
    if bare(settings[name].type) is not dict:
        raise refusal(function, f"its outcomes are the keys of '{name}', so that must be a dict[str, ...]")


def _resource(function: Callable[..., Any], parameter: inspect.Parameter) -> str:
    """Check one positional parameter after `turn`, and return the resource it names."""
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        raise refusal(function, f"'*{parameter.name}' says neither resource nor setting; name each")
    if parameter.default is not parameter.empty:
        raise refusal(
            function,
            f"parameter '{parameter.name}' has a default but is not keyword-only; "
            "put `*,` before it if it is a setting, or drop the default if it is a resource",
        )
    return parameter.name


def read_settings(function: Callable[..., Any]) -> dict[str, Setting]:
    """Return the keyword-only parameters of a function as settings, by name."""
    keyword = [p for p in inspect.signature(function).parameters.values() if p.kind == p.KEYWORD_ONLY]
    hints = _hints(function, [p.name for p in keyword])
    explained = _explained(function)
    settings = {}
    for parameter in keyword:
        name, required = parameter.name, parameter.default is parameter.empty
        if name in RESERVED_KEYS:
            raise refusal(function, f"'{name}' is a reserved key of flow files; name the setting otherwise")
        if name not in hints:
            raise refusal(function, f"setting '{name}' needs a type, such as `{name}: str`")
        _check_type(function, name, hints[name])
        default = None if required else parameter.default
        settings[name] = Setting(name, hints[name], required, default, explained.get(name, ""))
    return settings


def _explained(function: Callable[..., Any]) -> dict[str, str]:
    """Return what the docstring's lines of `name: what it is` say, with the lines that go on below."""
    found: dict[str, str] = {}
    name = ""
    for line in (inspect.getdoc(function) or "").splitlines()[1:]:
        start = _EXPLAINS.fullmatch(line)
        if start:
            name, found[start[1]] = start[1], start[2]
        elif name and line.startswith(" "):
            found[name] += f" {line.strip()}"
        else:
            name = ""
    return found


def _check_type(function: Callable[..., Any], name: str, annotation: Any) -> None:
    """Refuse a setting whose type YAML could never fill."""
    try:
        setting_schema(annotation)
    except (TypeError, NotImplementedError) as error:
        raise refusal(
            function, f"setting '{name}' has type {annotation!r}, which a flow file cannot hold"
        ) from error


def _read_return(function: Callable[..., Any], free: bool) -> tuple[bool, tuple[str, ...]]:
    """Return whether the function yields speech, and its outcomes (empty: one way out).

    free: any text may be returned, as a setting names the outcomes.
    """
    hints = _hints(function, ["return"])
    if "return" not in hints:
        raise refusal(function, "its return annotation is missing")
    annotation = hints["return"]
    origin = typing.get_origin(annotation) or annotation
    streams = origin in _STREAMS
    if inspect.isgeneratorfunction(function) and not streams:
        raise refusal(function, "it yields, so it must be annotated as an Iterator or a Generator")
    arguments = typing.get_args(annotation)
    if streams and (not arguments or arguments[0] is not str):
        raise refusal(function, "what it yields must be annotated as str")
    result = arguments[2] if streams and len(arguments) == 3 else annotation
    if free and result is str:
        return streams, ()
    return streams, _outcomes(function, result, streams)


def _outcomes(function: Callable[..., Any], annotation: Any, streams: bool) -> tuple[str, ...]:
    """Return the strings of a Literal; a stream or None has no outcomes."""
    if typing.get_origin(annotation) is Literal:
        values = typing.get_args(annotation)
        if not all(isinstance(value, str) for value in values):
            raise refusal(function, "every outcome in its Literal must be a string")
        return tuple(values)
    if annotation is None or annotation is type(None) or streams:
        return ()
    raise refusal(function, f"its return annotation is {annotation!r}")


def _hints(function: Callable[..., Any], names: Iterable[str]) -> dict[str, Any]:
    """Resolve only the named annotations, so that resources may be annotated with what is
    imported for type checking alone."""
    annotations = getattr(function, "__annotations__", {})
    wanted = {name: annotations[name] for name in names if name in annotations}
    if not any(isinstance(value, str) for value in wanted.values()):
        return wanted
    holder = types.SimpleNamespace(__annotations__=wanted)
    scope = getattr(inspect.unwrap(function), "__globals__", {})
    try:
        return typing.get_type_hints(holder, scope, include_extras=True)
    except (NameError, TypeError, AttributeError, SyntaxError) as error:
        raise refusal(function, f"an annotation cannot be resolved: {error}") from error


def refusal(function: Callable[..., Any], reason: str) -> RegistrationError:
    """Build the error for a function that breaks the contract."""
    try:
        signature = f"{function.__name__}{inspect.signature(function)}"
    except (TypeError, ValueError):
        signature = repr(function)
    return RegistrationError(
        f"{place_of(function)} cannot be registered: {reason}\n"
        f"  found:    def {signature}\n  expected: {_CONTRACT}"
    )
