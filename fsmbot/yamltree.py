"""YAML text as a tree that remembers where everything stands, with YAML 1.1's traps closed.

PyYAML's event stream is walked once: no object is ever built from a tag, aliases and merge keys
are refused before they can expand, and size and depth are bounded. Only `true` and `false` are
booleans; `yes`, `no`, `on`, `off`, `012` and `12:30` stay text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from fsmbot.errors import Problem

MAX_BYTES = 1_000_000
MAX_DEPTH = 40

_INT = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})(\.[0-9]{1,30})?([eE][-+]?[0-9]{1,3})?")
_CONSTANTS = {"true": True, "false": False, "null": None, "~": None, "": None}


@dataclass
class Tree:
    """One value with its place: a scalar, a list of trees, or a dict of key -> (key tree, tree)."""

    line: int
    column: int
    value: Any = None
    keys: dict[str, Tree] = field(default_factory=dict)

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

    def problem(self, message: str) -> Problem:
        """Return a problem that stands here."""
        return Problem(self.line, self.column, message)


class _Refused(Exception):
    """Reading cannot go on."""

    def __init__(self, line: int, column: int, message: str) -> None:
        self.problem = Problem(line, column, message)


def read_tree(data: bytes) -> tuple[Tree | None, list[Problem]]:
    """Read one YAML document: the tree (None if it cannot be read), and every mistake found."""
    try:
        text = _decode(data)
        reader = _Reader(text)
        return reader.document(), reader.problems
    except _Refused as refused:
        return None, [refused.problem]


def _decode(data: bytes) -> str:
    if len(data) > MAX_BYTES:
        raise _Refused(1, 1, f"the file has {len(data):,} bytes; at most {MAX_BYTES:,} are read")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8", "replace")
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        raise _Refused(
            line, column, f"byte 0x{data[error.start]:02x} is not UTF-8; save the file as UTF-8"
        ) from None


def with_excerpts(problems: list[Problem], data: bytes) -> list[Problem]:
    """Give each problem of this file the line where it stands."""
    lines = data[: MAX_BYTES + 1].decode("utf-8-sig", "replace").split("\n")
    return [
        p if p.source or p.line > len(lines) else replace(p, excerpt=lines[p.line - 1].rstrip("\r"))
        for p in problems
    ]


class _Reader:
    """Builds the tree from parser events; the stack is a list, so depth costs no recursion."""

    def __init__(self, text: str) -> None:
        self.problems: list[Problem] = []
        self._text = text

    def document(self) -> Tree | None:
        """Return the one document's tree, or None for an empty file."""
        import yaml

        root: Tree | None = None
        stack: list[tuple[Tree, Tree | None]] = []  # a collection, and the key that waits for a value
        for event in self._events():
            line, column = event.start_mark.line + 1, event.start_mark.column + 1
            if isinstance(event, yaml.DocumentStartEvent) and root is not None:
                raise _Refused(line, column, "a second document begins; a file holds one")
            if isinstance(event, yaml.CollectionEndEvent):
                stack.pop()
            if not isinstance(event, yaml.NodeEvent):
                continue
            tree = self._tree(event, line, column)
            if stack:
                stack[-1] = (stack[-1][0], self._attach(*stack[-1], tree))
            else:
                root = tree
            if isinstance(event, yaml.CollectionStartEvent):
                stack.append((tree, None))
            if len(stack) > MAX_DEPTH:
                raise _Refused(line, column, f"nested deeper than {MAX_DEPTH} levels")
        return root

    def _events(self) -> Iterator[Any]:
        """Yield parser events; what the parser refuses becomes a problem with its place."""
        import yaml

        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        try:
            yield from yaml.parse(self._text, Loader=loader)
        except yaml.MarkedYAMLError as error:
            unclosed = "end of stream" in (error.problem or "") and error.context_mark
            mark = unclosed or error.problem_mark or error.context_mark
            place = (mark.line + 1, mark.column + 1) if mark else (1, 1)
            raise _Refused(*place, _explain(error.problem or str(error))) from None
        except yaml.reader.ReaderError as error:
            before = self._text[: error.position]
            line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
            raise _Refused(
                line, column, f"character U+{_code_point(error.character):04X} is not allowed; remove it"
            ) from None

    def _tree(self, event: Any, line: int, column: int) -> Tree:
        """Turn one node event into a tree without children; refuse aliases, anchors and tags."""
        import yaml

        if isinstance(event, yaml.AliasEvent):
            raise _Refused(line, column, f"alias '*{event.anchor}' is not allowed; write the value out")
        if event.anchor is not None:
            raise _Refused(line, column, f"anchor '&{event.anchor}' is not allowed; remove it")
        if event.tag is not None:
            raise _Refused(line, column, f"tag '{event.tag}' is not allowed; a flow file is plain data")
        if isinstance(event, yaml.ScalarEvent):
            return Tree(line, column, event.value if event.style else _scalar(event.value))
        return Tree(line, column, {} if isinstance(event, yaml.MappingStartEvent) else [])

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
        if not isinstance(key.value, str) or not key.value:
            shown = "a list or map" if isinstance(key.value, (dict, list)) else _yaml(key.value)
            self.problems.append(key.problem(f"key {shown} is not text; put it in quotes"))
        elif key.value == "<<":
            self.problems.append(key.problem("merge key '<<' is not allowed; write the keys out"))
        elif key.value in parent.value:
            first = parent.keys[key.value]
            self.problems.append(
                key.problem(f"key '{key.value}' is given twice; it stands already in line {first.line}")
            )
        else:
            return key.value
        return None


def _scalar(text: str) -> Any:
    """Return the value of an unquoted scalar: a constant, a decimal number, or text."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        number = float(text)
        return int(number) if number.is_integer() else number  # as in JSON Schema, 1.0 is a whole number
    return text


def _yaml(value: object) -> str:
    """Return a scalar as a flow author would have written it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return repr(value)


def _code_point(character: object) -> int:
    """Return the code point that PyYAML reports, which is a string or a number."""
    return ord(character) if isinstance(character, str) else int(str(character))


def _explain(problem: str) -> str:
    """Add what to do to the parser's terser words."""
    hints = {
        "found character that cannot start any token": "a tab or a stray character; indent with "
        "spaces, and put text with special characters in quotes",
        "found character '\\t' that cannot start any token": "a tab; indent with spaces",
        "mapping values are not allowed": "a second ':' on one line; put the text in quotes",
        "did not find expected key": "check the indentation and the quotes of the lines above",
        "could not find expected ':'": "a key needs ': ' after it",
        "found unexpected end of stream": "the quote that opens here is never closed",
        "did not find expected ',' or": "a bracket is not closed, or a comma is missing",
    }
    for words, hint in hints.items():
        if words in problem:
            return f"{problem} ({hint})"
    return problem
