"""What a YAML parser refuses, in the words of somebody who writes a flow file.

A parser tells where it could not go on; the slip is often before that: a quote that was never
closed, a line without its colon. One function below for each kind of slip finds the place to mend.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from typing import Any

import msgspec

from fsmbot.errors import Problem

Spot = tuple[int, int]
"""Line and column, counted from 0."""

_LINE_END = re.compile(r"\r\n|[\n\r\x85\u2028\u2029]")
_COLON = re.compile(r":(?=\s|$)")
_COMMENT = re.compile(r"(?<!\S)#.*")
_PAIR = re.compile(r"([\w/-]+)\s*[:=：]?\s*(.*)")
_CLOSERS = {"[": "]", "{": "}"}


class Stop(msgspec.Struct, frozen=True):
    """Where a parser stopped, and why.

    since: where it began to read what it was reading. quoted: first and last spot of the quoted text
    that it read last. outline: the keys that may begin a line at the left edge, where they are known.
    """

    words: str
    lines: Sequence[str]
    at: Spot
    since: Spot
    quoted: tuple[Spot, Spot] | None
    outline: Collection[str]

    @property
    def line(self) -> str:
        """The line where the parser stopped."""
        return self.lines[self.at[0]]

    @property
    def character(self) -> str:
        """The character where it stopped, or "" at the end of a line."""
        return self.line[self.at[1] : self.at[1] + 1]

    @property
    def first(self) -> str:
        """The character with which began what it was reading."""
        return self.lines[self.since[0]][self.since[1] : self.since[1] + 1]

    def above(self, number: int, less_than: int = 10_000) -> int | None:
        """Return the nearest line above one that is no comment and indented less, if there is one."""
        for index in range(number - 1, -1, -1):
            text = self.lines[index].strip()
            if text and not text.startswith("#") and _indent(self.lines[index]) < less_than:
                return index
        return None


def split_lines(text: str) -> list[str]:
    """Return the lines of a text as a YAML parser counts them."""
    return _LINE_END.split(text)


def explain(error: Any, text: str, quoted: Any, outline: Collection[str]) -> Problem:
    """Return what is wrong with a text that a parser refused, where to mend it, and how.

    quoted: the event of the quoted text that was read last, or None.
    """
    mark = error.problem_mark or error.context_mark
    at = (mark.line, mark.column)
    since = error.context_mark or mark
    span = quoted and tuple((m.line, m.column) for m in (quoted.start_mark, quoted.end_mark))
    words = f"{error.context or ''}: {error.problem}"
    stop = Stop(words, [*split_lines(text), ""], at, (since.line, since.column), span, outline)
    (line, column), message = _odd_space(stop) or _judge(stop)
    if line == len(stop.lines) - 1:  # a parser ends a last line that has no line break
        line, column = line - 1, len(stop.lines[line - 1])
    return Problem(line + 1, column + 1, message)


def _judge(stop: Stop) -> tuple[Spot, str]:
    for words, judge in _KINDS:
        if re.search(words, stop.words):
            return judge(stop)
    return stop.at, f"{stop.words.partition(': ')[2]}; put texts with special characters in quotes"


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _spaces(count: int) -> str:
    return "1 space" if count == 1 else f"{count} spaces"


def _odd_space(stop: Stop) -> tuple[Spot, str] | None:
    """Find a space that only looks like one, where the parser stopped or in the line above."""
    for index in (stop.at[0], stop.above(stop.at[0])):
        for column, letter in enumerate(stop.lines[index] if index is not None else ""):
            if index is not None and letter.isspace() and letter not in " \t":
                return (index, column), f"a space of another kind (U+{ord(letter):04X}); type a plain space"
    return None


def _colon(stop: Stop) -> tuple[Spot, str]:
    """A ':' where none may be: in a text, after a line without one, or in a line indented too far."""
    first = _COLON.search(stop.line)
    if first and first.start() < stop.at[1]:
        curly = "; the quotes “ ” do not count, use ' or \"" if "“" in stop.line else ""
        return stop.at, "a second ':' in one line; put a text with ':' in it in quotes, or begin a new " + (
            f"line for each key{curly}"
        )
    start, above = stop.at[0], stop.above(stop.at[0])
    while above is not None and not _COLON.search(stop.lines[above]):
        start, above = above, stop.above(above)
    if above is None or not _COLON.split(stop.lines[above], maxsplit=1)[1].strip():
        return _no_colon(stop, start)
    column = _indent(stop.line)
    return (stop.at[0], column), (
        f"indented by {_spaces(column)}, deeper than line {above + 1}, which holds a text already; "
        f"indent it by {_indent(stop.lines[above])} like that line"
    )


def _no_colon(stop: Stop, number: int) -> tuple[Spot, str]:
    """A line without a key and a colon."""
    line = stop.lines[number]
    spot, text, above = (number, _indent(line)), line.strip(), stop.above(number)
    if text.startswith("//"):
        return spot, "a comment begins with '#', not with '//'"
    before = stop.lines[above] if above is not None else ""
    if before.startswith(" " * spot[1] + "- "):
        return spot, "this line stands in a list, so it must begin with '- '"
    pair = _PAIR.fullmatch(text)
    form = f"{pair[1]}: {pair[2]}".strip() if pair else "key: value"
    return spot, f"no ': ' in this line; write `{form}`, with a colon and a space after the key"


def _simple_key(stop: Stop) -> tuple[Spot, str]:
    return _no_colon(stop, stop.since[0])


def _no_key(stop: Stop) -> tuple[Spot, str]:
    """Something other than the next key: the rest of a line, or a line that is indented wrongly."""
    before = stop.line[: stop.at[1]].rstrip()
    if before:
        return _rest_of_line(stop, before[-1])
    if re.search("block (collection|sequence)", stop.words):
        return stop.at, (
            f"a list begins in line {stop.since[0] + 1}, so this line must begin with '- '; if it is "
            "a key, remove the '- ' there"
        )
    if stop.character == ":":
        return stop.at, "a key is missing before this ':'"
    return _indented(stop, stop.at[0], stop.at[1])


def _rest_of_line(stop: Stop, last: str) -> tuple[Spot, str]:
    """A value is complete, and the line goes on."""
    if stop.quoted and stop.quoted[0][0] < stop.quoted[1][0] == stop.at[0]:
        return stop.quoted[0], f"the quote that opens here is closed only in line {stop.at[0] + 1}; close it"
    if stop.character in ("}", "]"):
        return stop.at, f"one '{stop.character}' too many; remove it"
    if last in "}]":
        return stop.at, f"the line goes on after '{last}'; put a text with brackets in quotes as a whole"
    other = "single" if last == '"' else "double"
    return stop.at, (
        f"the line goes on after the closing quote; put a text with {last} in it in {other} quotes"
        if last in "'\""
        else "the line should have ended here; put the text in quotes"
    )


def _indented(stop: Stop, number: int, width: int) -> tuple[Spot, str]:
    """A line that is indented like none that it could belong with."""
    parent = stop.above(number, width)
    deeper = stop.above(number)
    if parent is None or deeper is None:
        return stop.at, f"indented by {_spaces(width)}, unlike the lines before; indent it like them"
    if _strays(stop, parent, width):
        return (parent, 0), (
            "this line begins at the left edge, but those before and after it are indented by "
            f"{_spaces(width)}; indent it like them"
        )
    while (higher := stop.above(deeper, _indent(stop.lines[deeper]))) is not None and higher > parent:
        deeper = higher
    near, far = _indent(stop.lines[parent]), _indent(stop.lines[deeper])
    return stop.at, (
        f"indented by {_spaces(width)}, but line {parent + 1} by {near}"
        + (f" and line {deeper + 1} by {far}; indent it like one of them" if deeper != parent else
           ", which it cannot stand below; indent it like that line")
    )  # fmt: skip


def _strays(stop: Stop, parent: int, width: int) -> bool:
    """Say whether a line at the left edge was meant to stand among indented ones."""
    line = stop.lines[parent]
    known = _COLON.split(line, maxsplit=1)[0] in stop.outline or not stop.outline
    above = stop.above(parent, width + 1)
    return not known and _indent(line) == 0 and above is not None and _indent(stop.lines[above]) == width


def _bracket(stop: Stop) -> tuple[Spot, str]:
    """Brackets that do not close, or close otherwise, or lack a comma."""
    opener = stop.first
    closer = _CLOSERS.get(opener, "]")
    if stop.character in ("}", "]"):
        return stop.at, f"'{stop.character}' closes what '{opener}' opens in line {stop.since[0] + 1}; " + (
            f"write '{closer}'"
        )
    left = _indent(stop.lines[stop.since[0]])
    if _at_end(stop) or (stop.at[0] > stop.since[0] and _indent(stop.line) <= left):
        return (
            stop.since,
            f"the '{opener}' that opens here is never closed; write '{closer}' after its content",
        )
    if stop.character == ":":
        return stop.at, "a second ':' without a comma between; a comma is missing, or the text needs quotes"
    return stop.at, "a comma is missing before this"


def _at_end(stop: Stop) -> bool:
    rest = [stop.line[stop.at[1] :], *stop.lines[stop.at[0] + 1 :]]
    return not any(line.strip() for line in rest)


def _no_content(stop: Stop) -> tuple[Spot, str]:
    """Nothing where a list or map in brackets needs a value."""
    if _at_end(stop):
        return _last_open(stop), "the bracket that opens here is never closed"
    return stop.at, f"a value is missing before this '{stop.character}'; write it, or remove the comma"


def _last_open(stop: Stop) -> Spot:
    """Return the last bracket that is still open at the end."""
    found = [stop.at]
    for number, line in enumerate(stop.lines):
        for column, letter in enumerate(_COMMENT.sub("", line)):
            if letter in "[{":
                found.append((number, column))
            elif letter in "]}" and len(found) > 1:
                found.pop()
    return found[-1]


def _first_letter(stop: Stop) -> tuple[Spot, str]:
    """A text that begins with a character that means something else to YAML."""
    return stop.since, f"a text cannot begin with '{stop.first}'; put it in quotes"


def _letter_here(stop: Stop) -> tuple[Spot, str]:
    if "\t" in stop.line[: stop.at[1] + 1] or "tab" in stop.words:
        return (stop.at[0], max(stop.line.find("\t"), 0)), "a tab; indent with spaces"
    return stop.at, f"a text cannot begin with '{stop.character}'; put it in quotes"


def _block_text(stop: Stop) -> tuple[Spot, str]:
    return stop.since, f"after '{stop.first}' a text begins in the next line; if it is part of it, use quotes"


def _backslash(stop: Stop) -> tuple[Spot, str]:
    column = stop.line.rfind("\\", 0, stop.at[1] + 1)
    return (stop.at[0], max(column, 0)), (
        "a backslash in double quotes begins a special character; put the text in single quotes"
    )


def _after_end(stop: Stop) -> tuple[Spot, str]:
    if stop.character in ("}", "]"):
        return stop.at, f"one '{stop.character}' too many; remove it"
    return stop.at, "the document ends before this; remove the '...' or the bracket that ends it"


_KINDS: tuple[tuple[str, Callable[[Stop], tuple[Spot, str]]], ...] = (
    ("mapping values are not", _colon),
    ("could not find expected ':'", _simple_key),
    ("quoted scalar: found unexpected (end|document)", lambda stop: (
        stop.since, "the quote that opens here is never closed")),
    ("quoted scalar: .*(escape|hex)", _backslash),
    ("expected (key|'-' indicator)|expected <block end>", _no_key),
    ("expected ',' or", _bracket),
    ("node content", _no_content),
    ("while scanning an? (alias|anchor)|a tag|block scalar: .*(indent|header)", _first_letter),
    ("comment or", _block_text),
    ("tab character|cannot start any token|keys are not allowed", _letter_here),
    ("unexpected ':'", lambda stop: (
        stop.at, "a ':' before a bracket or comma; write its value after it, or put the text in quotes")),
    ("entries are not allowed", lambda stop: (
        stop.at, "a list begins in the line below its key; put a text that begins with '- ' in quotes")),
    ("<document start>", _after_end),
    ("directive", lambda stop: (stop.since, "a line cannot begin with '%'; a comment begins with '#'")),
)  # fmt: skip
"""What the parser says (either of PyYAML's), and who knows what is behind it."""
