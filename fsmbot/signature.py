"""Reading a function as a handler or resource, off its signature and docstring; what breaks the
contract is refused with the signature found, and the one expected."""

from __future__ import annotations

import collections.abc
import inspect
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

import msgspec

from fsmbot.contract import END, RESERVED_KEYS, Handler, Setting, bare, convert, place_of, setting_schema
from fsmbot.errors import RegistrationError

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
        default = None if required else _default(function, parameter, hints[name])
        settings[name] = Setting(name, hints[name], required, default, explained.get(name, ""))
    return settings


def _default(function: Callable[..., Any], parameter: inspect.Parameter, annotation: Any) -> Any:
    """Return a setting's default, which must be of its type; None may stand for "not given"."""
    try:
        if parameter.default is not None:
            convert(parameter.default, annotation)
    except msgspec.ValidationError as error:
        shown = f"{parameter.name} = {parameter.default!r}"
        raise refusal(function, f"the default of setting `{shown}` is not of its type: {error}") from error
    return parameter.default


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
