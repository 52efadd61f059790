"""What a setting may hold, and how to mend what it does not: both in a flow author's words."""

from __future__ import annotations

import re
import types
import typing
from math import isfinite
from pathlib import Path
from typing import Any

import msgspec

from fsmbot.contract import bare, convert
from fsmbot.flowfile.yamltree import Tree

_NAMES = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    type(None): "nothing",
    Path: "a path as text",
}
_MANY = {str: "texts", int: "whole numbers", float: "numbers", Path: "paths"}
_UNITS = {
    "": 1,
    "%": 0.01,
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hour", "hours"), 3600),
}
_YES_NO = {"yes": True, "on": True, "true": True, "no": False, "off": False, "false": False}
MOST_DIGITS = 18
"""Digits of a number that may have been written otherwise."""

_MEASURE = re.compile(r"([-+]?[\d.,_ ]*\d)\s*([a-z]*|%)")
_THOUSANDS = re.compile(r"[-+]?\d{1,3}(?:[,_ ]\d{3})+")


def expected(annotation: Any) -> str:
    """Return what a value of this type is: "a number from 0 to 1", "text or a list of texts"."""
    names = list(dict.fromkeys(_named(option, metas) for option, metas in options(annotation)))
    return (", or " if any(" or " in name for name in names) else " or ").join(names)


def shown(value: float | bool) -> str:
    """Return a number, true or false as a flow author writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isfinite(value) and value == int(value) else str(value)


def options(annotation: Any, metas: tuple[Any, ...] = ()) -> list[tuple[Any, tuple[Any, ...]]]:
    """Return the members of a union, each with what Annotated says of it; else the type itself."""
    if typing.get_origin(annotation) is typing.Annotated:
        return options(annotation.__origin__, (*annotation.__metadata__, *metas))
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return [one for option in typing.get_args(annotation) for one in options(option, metas)]
    if annotation is msgspec.UnsetType:
        return []  # it stands for a key that is left out
    return [(annotation, metas)]


def fields_of(option: Any) -> dict[str, Any]:
    """Return the keys of a map that becomes a Struct, with their types; else nothing."""
    if not (isinstance(option, type) and issubclass(option, msgspec.Struct)):
        return {}
    return {field.encode_name: field.type for field in msgspec.structs.fields(option)}


def _named(option: Any, metas: tuple[Any, ...]) -> str:
    """Name one type with its bounds."""
    arguments, keys = typing.get_args(option), fields_of(option)
    some = any(getattr(meta, "min_length", None) for meta in metas)
    if typing.get_origin(option) is typing.Literal:
        return " or ".join(repr(value) for value in arguments)
    if bare(option) in (list, tuple):
        return f"a list{_contents(arguments, some)}"
    if keys:
        *first, last = (f"'{key}'" for key in keys)
        return "a map with " + " or ".join(filter(None, (", ".join(first), last)))
    if bare(option) is dict:
        return "a map" + " that is not empty" * some
    name = _NAMES.get(option, "a value of another kind")
    return name + (" that is not empty" * some if option is str else _bounds(metas))


def _contents(arguments: tuple[Any, ...], some: bool) -> str:
    """Say what a list holds, where there is a plain word for it."""
    count = " of one or more" if some else " of"
    kinds = [
        _MANY.get(option, "")
        for argument in arguments
        if argument is not ...
        for option, _ in options(argument)
    ]
    return f"{count} {' or '.join(kinds)}" if kinds and all(kinds) else " that is not empty" * some


def _bounds(metas: tuple[Any, ...]) -> str:
    """Say between which numbers a number must lie."""
    given = {name: getattr(m, name) for m in metas for name in ("ge", "gt", "le", "lt")
             if getattr(m, name, None) is not None}  # fmt: skip
    if set(given) == {"ge", "le"}:
        return f" from {shown(given['ge'])} to {shown(given['le'])}"
    words = {"ge": "of at least", "gt": "above", "le": "of at most", "lt": "below"}
    said = [f"{words[name]} {shown(bound)}" for name, bound in given.items()]
    return " " + " and ".join(said) if said else ""


def mend(tree: Tree, annotation: Any) -> str:
    """Return "; " and how a value that does not fit could be made to, or ""."""
    value, kinds = tree.value, [typing.get_origin(kind) or kind for kind, _ in options(annotation)]
    if isinstance(value, str):
        return _mend_text(value, annotation, kinds)
    if str in kinds and isinstance(value, (bool, int, float)):
        return "; put it in quotes to make it text"
    if str in kinds and isinstance(value, dict) and value and all(t.value is None for t in value.values()):
        return "; put a text that begins with '{' in quotes"
    return ""


def _mend_text(text: str, annotation: Any, kinds: list[Any]) -> str:
    if list in kinds and str not in kinds and text:
        return "; in a list a '-' needs a space after it" if text[0] == "-" else f"; write [{text}]"
    meant = _YES_NO.get(text.casefold()) if bool in kinds else _number(text)
    if meant is None or not _fits(meant, annotation):
        return ""
    return f"; did you mean {shown(meant)}?"


def _fits(value: object, annotation: Any) -> bool:
    try:
        convert(value, annotation)
    except msgspec.ValidationError:
        return False
    return True


def _number(text: str) -> float | int | None:
    """Return the number that a text was meant to be: "0,4", ".5", "40%", "1_000", "2 minutes"."""
    found = _MEASURE.fullmatch(text.strip().casefold())
    if found is None or found[2] not in _UNITS:
        return None
    digits = re.sub("[,_ ]", "", found[1]) if _THOUSANDS.fullmatch(found[1]) else found[1].replace(",", ".")
    if len(digits) > MOST_DIGITS:
        return None
    try:
        number = round(float(digits) * _UNITS[found[2]], 9)
    except ValueError:
        return None
    return int(number) if number.is_integer() else number
