"""The keys of a map in a YAML file, read one by one: what does not fit is noted, and passed over.

Every reader takes the map, the key and the owner's name for messages, and returns None where the
key is absent or its value cannot be used.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any

from msgspec import Meta

from fsmbot.errors import Problem
from fsmbot.flowfile.expected import mend
from fsmbot.flowfile.settings import instead, settle_keys
from fsmbot.flowfile.yamltree import Tree


class Fields:
    """Reads keys, and collects every problem in `problems`."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems

    def note(self, tree: Tree, message: str) -> None:
        """Note a problem at a place."""
        self.problems.append(tree.problem(message))

    def text(self, tree: Tree, key: str, owner: str) -> str | None:
        """Return a text that is not empty."""
        item = tree.value.get(key)
        if item is None:
            return None
        if isinstance(item.value, str) and item.value:
            return item.value
        self._refuse(item, key, owner, "be text", str)
        return None

    def texts(self, tree: Tree, key: str, owner: str) -> list[Tree] | None:
        """Return a list of texts, none of them empty, each with its place."""
        item = tree.value.get(key)
        if item is None:
            return None
        if not isinstance(item.value, list) or not item.value:
            self._refuse(item, key, owner, "be a list of texts such as [one, two]", list)
            return None
        for wrong in (t for t in item.value if not (isinstance(t.value, str) and t.value)):
            self._refuse(wrong, key, owner, "hold texts", str)
        return [t for t in item.value if isinstance(t.value, str) and t.value]

    def whole(self, tree: Tree, key: str, owner: str, most: int | None = None) -> int | None:
        """Return a whole number from 1 to `most`."""
        item = tree.value.get(key)
        if item is None:
            return None
        if type(item.value) is int and 1 <= item.value <= (most or item.value):
            return item.value
        bound = f"from 1 to {most}" if most else "from 1"
        self._refuse(item, key, owner, f"be a whole number {bound}", Annotated[int, Meta(ge=1, le=most)])
        return None

    def seconds(self, tree: Tree, key: str, owner: str, most: float, zero: bool = False) -> float | None:
        """Return a number of seconds above 0 (or from 0) up to `most`."""
        item = tree.value.get(key)
        if item is None:
            return None
        if type(item.value) in (int, float) and (0 < item.value <= most or (zero and item.value == 0)):
            return float(item.value)
        bound = f"from 0 to {most:g}" if zero else f"above 0, at most {most:g}"
        seconds = Annotated[float, Meta(ge=0 if zero else None, gt=None if zero else 0, le=most)]
        self._refuse(item, key, owner, f"be a number of seconds {bound}", seconds)
        return None

    def mapping(self, tree: Tree, key: str, owner: str, such_as: str) -> Tree | None:
        """Return a map."""
        item: Tree | None = tree.value.get(key)
        if item is None or item.is_map:
            return item
        self._refuse(item, key, owner, f"be a map such as {such_as}", dict)
        return None

    def known(self, tree: Tree, keys: Collection[str], owner: str) -> list[Tree]:
        """Note every key that is none of those known; return the values of those that nobody can guess."""
        return settle_keys(tree, keys, self.note, f"{owner} has no key", keys)

    def _refuse(self, item: Tree, key: str, owner: str, what: str, kind: Any) -> None:
        """Note what a key must be or hold, what was found, and how to mend it."""
        self.note(item, f"{owner}: '{key}' must {what}{instead(item)}{mend(item, kind)}")
