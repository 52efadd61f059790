"""Settings from YAML, checked against a signature, with messages in a flow author's words."""

from __future__ import annotations

import re
import typing
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from fsmbot.contract import Setting, bare, convert
from fsmbot.flowfile.expected import expected, fields_of, mend, options, shown
from fsmbot.flowfile.yamltree import Tree
from fsmbot.nearby import nearest, suggest

Note = Callable[[Tree, str], None]
"""Takes the place of a mistake, and what it is."""

_OURS = re.compile("Expected `|Object |Invalid ")
"""How msgspec begins its own messages, other than those of a type's `__post_init__`."""


def settle_keys(
    tree: Tree, known: Collection[str], note: Note, what: str, listed: Iterable[str]
) -> list[Tree]:
    """Note every key that is not known, and read on by the name that it was meant to be.

    what: what has no such key, for messages; listed: the names to show. Returns the values of the keys
    that nobody can guess.
    """
    lost = []
    for key in [key for key in tree.keys if key not in known]:
        free = [name for name in known if name not in tree.value]
        note(tree.keys[key], f"{what} '{key}'" + unknown_key(tree, key, free, listed))
        near = nearest(key, free)
        if near:
            tree.rename(key, near)
        else:
            lost.append(tree.value[key])
    return lost


def unknown_key(tree: Tree, key: str, names: Collection[str], listed: Iterable[str]) -> str:
    """Return what to do about a key that is not known."""
    item, place = tree.value[key], tree.keys[key]
    bare_word = item.value is None and (item.line, item.column) == (place.line, place.column + len(key))
    pair = re.fullmatch(r"(\w+)(?:\s*[:=]\s*|\s+)(.+)", key) if bare_word else None
    if pair and pair[1] in names:
        return f"; write `{pair[1]}: {pair[2]}`, with a colon and a space after the key"
    if bare_word:
        return "; put a text with a comma in quotes, or write a key with ': ' and its value"
    return suggest(key, names, listed) or "; it takes none"


def convert_settings(
    owner: str, what: str, known: Mapping[str, Setting], given: Tree, note: Note
) -> dict[str, Any]:
    """Return the settings in the map `given`, converted; every mistake goes to `note`.

    owner and what name the node and its handler in messages; other keys are passed over.
    """
    values = {}
    for name, setting in known.items():
        item = given.value.get(name)
        if item is None and setting.required:
            note(given, f"{owner}: {what} needs the setting '{name}', which is {expected(setting.type)}")
        elif item is not None:
            try:
                values[name] = setting.convert(item.plain())
            except msgspec.ValidationError as error:
                for place, message in misfits(item, setting.type, str(error), _default(setting)):
                    note(place, f"{owner}: setting '{name}': {message}")
    return values


def _default(setting: Setting) -> str:
    """Say what the setting is when it is left out, where that is short."""
    return f" ({shown(setting.default)} if left out)" if isinstance(setting.default, (int, float)) else ""


def misfits(tree: Tree, annotation: Any, reason: str, default: str = "") -> Iterator[tuple[Tree, str]]:
    """Yield the innermost parts of a value that do not fit its type, and what was expected there."""
    whole = True
    for inner in _inner_misfits(tree, annotation):
        whole = False
        yield inner
    if whole:
        ours = _OURS.match(reason)
        yield tree, misfit(tree, annotation, default) if ours else reason.partition(" - at `")[0]


def misfit(tree: Tree, annotation: Any, default: str = "") -> str:
    """Return what was expected, what was found, and how to mend it."""
    return f"expected {expected(annotation)}{default}{instead(tree)}{mend(tree, annotation)}"


def _inner_misfits(tree: Tree, annotation: Any) -> Iterator[tuple[Tree, str]]:
    for option, _ in options(annotation):
        fields = fields_of(option) if tree.is_map else {}
        for key, place in tree.keys.items():
            if fields and key not in fields:
                free = [name for name in fields if name not in tree.value]
                yield place, f"there is no key '{key}' here" + unknown_key(tree, key, free, fields)
        for part, wanted in [*_keys(tree, option), *_parts(tree, option, fields)]:
            try:
                convert(part.plain(), wanted)
            except msgspec.ValidationError as error:
                yield from misfits(part, wanted, str(error))


def _keys(tree: Tree, option: Any) -> list[tuple[Tree, Any]]:
    """Return the keys of a map that may have any, with the type that they must have."""
    arguments = typing.get_args(option)
    return [(key, arguments[0]) for key in tree.keys.values()] if bare(option) is dict and arguments else []


def _parts(tree: Tree, option: Any, fields: Mapping[str, Any]) -> list[tuple[Tree, Any]]:
    """Return the parts of a map or list with the types that they must have."""
    arguments = typing.get_args(option)
    if fields:
        return [(item, fields[key]) for key, item in tree.value.items() if key in fields]
    if tree.is_map and bare(option) is dict and arguments:
        return [(item, arguments[-1]) for item in tree.value.values()]
    if isinstance(tree.value, list) and bare(option) in (list, tuple) and arguments:
        return [(item, arguments[0]) for item in tree.value]
    return []


def instead(tree: Tree) -> str:
    """Return ", not " and what was found, for the end of a message."""
    return ", but there is no value" if tree.value is None else f", not {describe(tree)}"


def describe(tree: Tree) -> str:
    """Return what a flow author wrote, short enough for a message."""
    value = tree.value
    if value is None:
        return "nothing"
    if isinstance(value, (dict, list)):
        kind = "map" if isinstance(value, dict) else "list"
        return f"a {kind}" if value else f"an empty {kind}"
    if isinstance(value, bool):
        return f"the boolean {str(value).lower()}"
    shown = repr(value)
    kind = "text" if isinstance(value, str) else "number"
    return f"the {kind} {shown if len(shown) <= 40 else shown[:37] + '...'}"
