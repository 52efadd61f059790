"""Settings from YAML, checked against a signature, with messages in a flow author's words."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

import msgspec

from fsmbot.contract import Setting, bare, convert
from fsmbot.yamltree import Tree

Note = Callable[[Tree, str], None]
"""Takes the place of a mistake, and what it is."""

_EXPECTED = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "a map",
    "null": "nothing",
}


def convert_settings(
    owner: str, what: str, known: Mapping[str, Setting], given: Tree, skip: Iterable[str], note: Note
) -> dict[str, Any]:
    """Return the settings in the map `given`, converted; every mistake goes to `note`.

    owner and what name the node and its handler in messages; the keys in `skip` are no settings.
    """
    values = {}
    for name, item in given.value.items():
        if name in known:
            try:
                values[name] = known[name].convert(item.plain())
            except msgspec.ValidationError as error:
                for place, expected in misfits(item, known[name].type, str(error)):
                    note(place, f"{owner}: setting '{name}': {expected}")
        elif name not in skip:
            hint = suggest(name, [*known, *skip], shown=known) or "; it takes none"
            note(given.keys[name], f"{owner}: {what} has no setting '{name}'{hint}")
    for name, setting in known.items():
        if setting.required and name not in given.value:
            note(given, f"{owner}: {what} needs the setting '{name}'")
    return values


def misfits(tree: Tree, annotation: Any, reason: str) -> Iterator[tuple[Tree, str]]:
    """Yield the innermost parts of a value that do not fit its type, and what was expected there."""
    found = list(_inner_misfits(tree, annotation))
    yield from found or [(tree, f"{choices(annotation) or explain(reason)}, not {describe(tree)}")]


def _inner_misfits(tree: Tree, annotation: Any) -> Iterator[tuple[Tree, str]]:
    for option in _options(annotation):
        fields = _fields(option) if tree.is_map else {}
        for key, place in tree.keys.items():
            if fields and key not in fields:
                yield place, f"there is no key '{key}' here" + suggest(key, fields)
        for part, wanted in _parts(tree, option, fields):
            try:
                convert(part.plain(), wanted)
            except msgspec.ValidationError as error:
                yield from misfits(part, wanted, str(error))


def _fields(option: Any) -> dict[str, Any]:
    """Return the keys of a map that becomes a Struct, with their types."""
    if not (isinstance(option, type) and issubclass(option, msgspec.Struct)):
        return {}
    return {field.encode_name: field.type for field in msgspec.structs.fields(option)}


def _parts(tree: Tree, option: Any, fields: Mapping[str, Any]) -> list[tuple[Tree, Any]]:
    """Return the parts of a map or list with the types that they must have."""
    arguments = typing.get_args(option)
    if fields:
        return [(item, fields[key]) for key, item in tree.value.items() if key in fields]
    if tree.is_map and bare(option) is dict and arguments:
        return [(item, arguments[-1]) for item in tree.value.values()]
    if isinstance(tree.value, list) and bare(option) is list and arguments:
        return [(item, arguments[0]) for item in tree.value]
    return []


def _options(annotation: Any) -> list[Any]:
    """Return the members of a union, without what Annotated adds; else the type itself."""
    while typing.get_origin(annotation) is typing.Annotated:
        annotation = annotation.__origin__
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return [plain for option in typing.get_args(annotation) for plain in _options(option)]
    return [annotation]


def choices(wanted: Any) -> str:
    """Return "expected 'a' or 'b'" for a type that is one of a few words, else ""."""
    if typing.get_origin(wanted) is not typing.Literal:
        return ""
    return "expected " + " or ".join(repr(value) for value in typing.get_args(wanted))


def suggest(word: str, names: Iterable[str], shown: Iterable[str] | None = None) -> str:
    """Return "; did you mean 'x'?" for a near miss, else the known names (12 at most)."""
    names = list(names)
    near = get_close_matches(word, names, n=1)
    if near:
        return f"; did you mean '{near[0]}'?"
    listed = names if shown is None else list(shown)
    more = ", ..." if len(listed) > 12 else ""
    return f"; known: {', '.join(listed[:12])}{more}" if listed else ""


def describe(tree: Tree) -> str:
    """Return what a flow author wrote, short enough for a message."""
    value = tree.value
    if value is None:
        return "nothing"
    if isinstance(value, (dict, list)):
        return "a map" if isinstance(value, dict) else "a list"
    if isinstance(value, bool):
        return f"the boolean {str(value).lower()}"
    shown = repr(value)
    kind = "text" if isinstance(value, str) else "number"
    return f"the {kind} {shown if len(shown) <= 40 else shown[:37] + '...'}"


def explain(message: str) -> str:
    """Turn msgspec's words into a flow author's, such as "expected a number"."""
    message = message.partition(" - at `")[0]
    if not message.startswith("Expected `"):
        return message[0].lower() + message[1:]
    _, wanted, rest = message.split("`", 2)
    names = [_EXPECTED.get(name.strip(), name) for name in wanted.split("|")]
    bound = rest.partition(", got")[0].partition(" - at")[0]
    return "expected " + " or ".join(names) + bound
