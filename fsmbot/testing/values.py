"""Values of the expected kinds out of a tree; what is wrong with one is noted with its place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from fsmbot.errors import Problem
from fsmbot.flowfile.settings import describe
from fsmbot.flowfile.yamltree import Tree
from fsmbot.nearby import Guesses, suggest


@dataclass
class Values:
    """Reads values, and goes on after a mistake.

    guesses: where suggestions come from, until it is enough of them.
    """

    problems: list[Problem] = field(default_factory=list)
    guesses: Guesses = field(default_factory=Guesses)

    def note(self, tree: Tree, message: str) -> None:
        """Keep a mistake."""
        self.problems.append(tree.problem(message))

    def known_keys(self, tree: Tree, what: str, known: Iterable[str]) -> None:
        """Note every key that has no meaning."""
        known = tuple(known)
        for name, place in tree.keys.items():
            if name not in known:
                self.note(place, f"{what} has no key '{name}'" + suggest(name, known))

    def text(self, item: Tree, what: str, key: Tree | None = None, *, empty: bool = False) -> str | None:
        """Return a text, which must hold more than spaces unless `empty`."""
        if isinstance(item.value, str) and (empty or item.value.strip()):
            return item.value
        if isinstance(item.value, str):
            self.note(item, f"{what} must be text that is not empty")
        else:
            quote = "; put it in quotes" if isinstance(item.value, (bool, int, float)) else ""
            self.wrong(item, f"{what} must be text", key, quote)
        return None

    def texts(
        self, item: Tree, what: str, key: Tree | None = None, *, empty: bool = False
    ) -> list[tuple[Tree, str]]:
        """Return one text, or those of a list, each with its place."""
        if isinstance(item.value, list) and not item.value:
            self.note(item, f"{what} is an empty list; write a text, or remove it")
            return []
        items = item.value if isinstance(item.value, list) else [item]
        found = [(one, self.text(one, what, None if one is not item else key, empty=empty)) for one in items]
        return [(one, text) for one, text in found if text is not None]

    def mapping(self, item: Tree, what: str, key: Tree | None = None) -> dict[str, Tree]:
        """Return a map, or an empty one."""
        if isinstance(item.value, dict):
            if "" in item.keys:
                self.note(item.keys[""], f"{what}: a key cannot be empty")
            return item.value
        self.wrong(item, f"{what} must be a map", key)
        return {}

    def names(self, item: Tree, what: str, key: Tree | None = None) -> list[Tree]:
        """Return the members of a list of names, or an empty list."""
        if isinstance(item.value, list):
            return item.value
        self.wrong(item, f"{what} must be a list of names", key)
        return []

    def wrong(self, item: Tree, rule: str, key: Tree | None = None, advice: str = "") -> None:
        """Note what was found instead; where nothing was, it stands at the key."""
        place = key if key is not None and item.value is None else item
        self.note(place, f"{rule}, not {describe(item)}{advice}")
