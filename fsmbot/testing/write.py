"""Plain data -> YAML that reads back as exactly the same data."""

from __future__ import annotations

from typing import Any

from fsmbot.flowfile.yamltree import read_tree
from fsmbot.text import safe

_WIDE = 1_000_000
"""Columns before a line is broken: none is."""


def to_yaml(data: Any) -> str:
    """Return a document of maps, lists, texts, numbers, booleans and nulls."""
    import yaml

    class Dumper(yaml.SafeDumper):
        """Writes no aliases, which the project's reader refuses, indents lists, and escapes what must
        not reach a terminal as it is."""

        def ignore_aliases(self, data: Any) -> bool:
            return True

        def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
            super().increase_indent(flow, False)

        def write_double_quoted(self, text: str, split: bool = True) -> None:
            self.allow_unicode = safe(text) == text
            super().write_double_quoted(text, split)
            self.allow_unicode = True

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=_style(value))

    Dumper.add_representer(str, text)
    dumped: str = yaml.dump(data, Dumper=Dumper, allow_unicode=True, width=_WIDE, sort_keys=False)
    return dumped


def _style(text: str) -> str | None:
    """Return how a text is to be written; None leaves it to PyYAML.

    Quoted is what is not safe to show, such as other line breaks than \\n, and what does not begin with
    a letter or an emoji: PyYAML takes `1e3` for text, but the project's reader takes it for a number.
    """
    if safe(text) != text or "\r" in text:
        return '"'
    if "\n" in text:
        return "|"
    return None if text[:1].isalpha() or text[:1] > "\uffff" else '"'


def readable(data: Any) -> bool:
    """Whether a test file can hold this: it reads back the same, with the same types."""
    tree, problems = read_tree(to_yaml(data).encode())
    return not problems and tree is not None and tree.plain() == data
