"""YAML text as a tree that remembers where everything stands, with YAML 1.1's traps closed.

PyYAML's event stream is walked once: no object is ever built from a tag, aliases and merge keys
are refused before they can expand, and size, depth and the number of values are bounded. Only
`true` and `false` are booleans; `yes`, `no`, `on`, `off`, `012` and `12:30` stay text.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from fsmbot.errors import FlowError, Problem
from fsmbot.flowfile.problems import Problems, TooMany
from fsmbot.flowfile.room import MAX_VALUES, Room
from fsmbot.flowfile.scalars import scalar, written
from fsmbot.flowfile.yamlerrors import explain, split_lines

MAX_BYTES = 1_000_000
MAX_DEPTH = 40
MAX_KEY = 1_000
"""How many characters a key may have; YAML itself allows 1,024 before a ':'."""

MAX_STRAY = 10
"""How many forbidden characters are reported."""

_FORBIDDEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufeff\ufffe\uffff]")

_QUOTES = ("'", '"')


class Tree(msgspec.Struct):
    """One value with its place: a scalar, a list of trees, or a dict of trees by key.

    keys: of a dict, the keys with their places.
    """

    line: int
    column: int
    value: Any = None
    keys: dict[str, Tree] = {}

    @property
    def is_map(self) -> bool:
        """Whether this is a mapping."""
        return isinstance(self.value, dict)

    def plain(self) -> Any:
        """Return the value as ordinary Python data, without places."""
        if isinstance(self.value, dict):
            return {key: item.plain() for key, item in self.value.items()}
        if isinstance(self.value, list):
            return [item.plain() for item in self.value]
        return self.value

    def rename(self, key: str, name: str) -> None:
        """Call a key of this map otherwise; it keeps its place among the others."""
        self.value = {name if old == key else old: item for old, item in self.value.items()}
        self.keys = {name if old == key else old: place for old, place in self.keys.items()}

    def move(self, key: str, other: Tree) -> None:
        """Move a key of this map into another, which may be empty; what has that key there stays."""
        if other.value is None:
            other.value = {}
        item, place = self.value.pop(key), self.keys.pop(key)
        other.value.setdefault(key, item)
        other.keys.setdefault(key, place)

    def words(self) -> set[str]:
        """Return all texts and keys in this."""
        if isinstance(self.value, str):
            return {self.value}
        inner = self.value.values() if self.is_map else self.value if isinstance(self.value, list) else ()
        return {*self.keys, *(word for tree in inner for word in tree.words())}

    def problem(self, message: str) -> Problem:
        """Return a problem that stands here."""
        return Problem(self.line, self.column, message)


class _Refused(Exception):
    """Reading cannot go on."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem


def read_file(path: Path) -> bytes:
    """Return what a file holds, of a too long one just enough to tell; raises FlowError."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise FlowError(str(path), [Problem(1, 1, f"the file cannot be read: {reason}")]) from error


def is_file(path: Path) -> bool:
    """Say whether there is a file that can be read to its end: no folder, device or pipe."""
    try:
        return path.is_file()
    except (OSError, ValueError):  # such as a name that is too long
        return False


def read_tree(
    data: bytes, outline: Collection[str] = (), room: Room | None = None
) -> tuple[Tree | None, list[Problem]]:
    """Read one YAML document: the tree (None if it cannot be read), and every mistake found.

    outline: the keys of the outermost map, where they are known; they help to tell which line of
    several is indented wrongly. room: what may be read, where other files were read before.
    """
    problems = Problems()
    try:
        text = _decode(data)
        problems += _stray_characters(text)
        reader = _Reader(text, outline, problems, room or Room())
        return (None if problems else reader.document()), problems
    except TooMany:
        return None, problems
    except _Refused as refused:
        return None, [*problems, refused.problem]


def _decode(data: bytes) -> str:
    if len(data) > MAX_BYTES:
        raise _Refused(Problem(1, 1, f"the file has more than {MAX_BYTES:,} bytes, and no more are read"))
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        read = error.object[: error.start].decode("utf-8")  # without a byte order mark, as its places
        line, column = _end(read)
        found = f"byte 0x{error.object[error.start]:02x} is not UTF-8; save the file as UTF-8"
        raise _Refused(Problem(line, column, found)) from None


def _end(text: str, line: int = 1, column: int = 1) -> tuple[int, int]:
    """Return line and column of what follows a text that begins at a place."""
    lines = split_lines(text)
    return line + len(lines) - 1, len(lines[-1]) + (1 if len(lines) > 1 else column)


def _stray_characters(text: str) -> Iterator[Problem]:
    """Yield the first characters that YAML forbids; most of them cannot be seen."""
    done, line, column = 0, 1, 1
    for match in islice(_FORBIDDEN.finditer(text), MAX_STRAY):
        line, column = _end(text[done : match.start()], line, column)
        done = match.start()
        yield Problem(line, column, f"character U+{ord(match[0]):04X} is not allowed; remove it")


class _Reader:
    """Builds the tree from parser events; the stack is a list, so depth costs no recursion."""

    def __init__(self, text: str, outline: Collection[str], problems: list[Problem], room: Room) -> None:
        import yaml

        self.problems = problems
        self._yaml, self._text, self._outline, self._room = yaml, text, outline, room

    def document(self) -> Tree | None:
        """Return the one document's tree, or None for an empty file."""
        yaml, root = self._yaml, None
        stack: list[tuple[Tree, Tree | None]] = []  # a collection, and the key that waits for a value
        for event in self._events():
            if isinstance(event, yaml.NodeEvent):
                tree = self._tree(event)
                if stack:
                    parent, key = stack[-1]
                    stack[-1] = (parent, self._attach(parent, key, tree))
                else:
                    root = tree
                if isinstance(event, yaml.CollectionStartEvent):
                    stack.append((tree, None))
                if len(stack) > MAX_DEPTH:
                    raise _Refused(tree.problem(f"nested deeper than {MAX_DEPTH} levels"))
            elif isinstance(event, yaml.CollectionEndEvent):
                stack.pop()
            elif isinstance(event, yaml.DocumentStartEvent):
                self._begins(event, root)
        return root

    def _events(self) -> Iterator[Any]:
        """Yield parser events; what the parser refuses becomes a problem with its place."""
        yaml = self._yaml
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        quoted = None
        try:
            for event in yaml.parse(self._text, Loader=loader):
                if isinstance(event, yaml.ScalarEvent) and event.style in _QUOTES:
                    quoted = event
                yield event
        except yaml.MarkedYAMLError as error:
            raise _Refused(explain(error, self._text, quoted, self._outline)) from None

    def _begins(self, event: Any, root: Tree | None) -> None:
        """Refuse a second document, and shorthands for tags, each of which may stand for a huge one."""
        place = Tree(event.start_mark.line + 1, event.start_mark.column + 1)
        if root is not None:
            raise _Refused(place.problem("a second document begins; a file holds one, so remove the '---'"))
        if event.tags:
            raise _Refused(place.problem("a line '%TAG' is not allowed; remove it"))

    def _tree(self, event: Any) -> Tree:
        """Turn one node event into a tree without children; refuse aliases, anchors and tags."""
        yaml, mark = self._yaml, event.start_mark
        tree = Tree(mark.line + 1, mark.column + 1)
        self._room.values -= 1
        if self._room.values < 0:
            raise _Refused(tree.problem(f"more than {MAX_VALUES:,} keys and values, with those of subflows"))
        if isinstance(event, yaml.AliasEvent):
            message = f"alias '*{event.anchor}' is not allowed; write the value out{_or_quote('*')}"
            raise _Refused(tree.problem(message))
        if event.anchor is not None:
            self._note(tree, f"anchor '&{event.anchor}' is not allowed; remove it{_or_quote('&')}")
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            self._note(tree, f"tag '{tag}' is not allowed; remove it{_or_quote('!')}")
        if isinstance(event, yaml.ScalarEvent):
            tree.value = event.value if event.style else scalar(event.value)
        else:
            tree.value = {} if isinstance(event, yaml.MappingStartEvent) else []
        return tree

    def _note(self, tree: Tree, message: str) -> None:
        self.problems.append(tree.problem(message))

    def _attach(self, parent: Tree, key: Tree | None, tree: Tree) -> Tree | None:
        """Put a tree into its parent; return the key that now waits for its value, if any."""
        if isinstance(parent.value, list):
            parent.value.append(tree)
            return None
        if key is None:
            return tree
        name = self._key(parent, key)
        if name is not None:
            parent.keys[name], parent.value[name] = key, tree
        return None

    def _key(self, parent: Tree, key: Tree) -> str | None:
        """Return the key's name, or note why it cannot be one."""
        if isinstance(key.value, (dict, list)):
            message = "a key cannot be a list or map; put a text that begins with '{' or '[' in quotes"
            raise _Refused(key.problem(message))
        name = key.value if isinstance(key.value, str) else written(key.value)
        if name != key.value:
            self._note(key, f"key {name} is not text; put it in quotes")
        if name == "<<":
            self._note(key, "merge key '<<' is not allowed; write the keys out")
        elif len(name) > MAX_KEY:
            self._note(key, f"a key of {len(name):,} characters; at most {MAX_KEY:,} are read")
        elif name in parent.value:
            line = parent.keys[name].line
            self._note(key, f"key '{name}' is given twice; it stands already in line {line}")
        else:
            return name
        return None


def _or_quote(mark: str) -> str:
    return f", or put a text that begins with '{mark}' in quotes"
