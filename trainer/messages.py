"""Labelled messages: files with a column `text` and a column `label`, medical, everyday or greeting."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fsmbot.errors import ConfigError
from fsmbot.nearby import suggest
from trainer.rows import file_rows

LABELS = {"medical": "medical", "everyday": "everyday", "other": "everyday", "greeting": "greeting"}


@dataclass(frozen=True)
class Message:
    """A message, its label (a value of LABELS), where it stands, and all its columns."""

    text: str
    label: str
    place: str
    columns: Any

    def column(self, name: str) -> str:
        """Return another column's text; raises ConfigError that names file and row."""
        return _cell(self.columns, name, self.place)


def read_messages(path: Path) -> Iterator[Message]:
    """Yield a file's messages in order; raises ConfigError that names file and row."""
    found = False
    for number, row in file_rows(path):
        found, place = True, f"{path}:{number}"
        yield Message(_cell(row, "text", place), _label(_cell(row, "label", place), place), place, row)
    if not found:
        raise ConfigError(f"{path}: holds no rows; give one message a row, with its label")


def _cell(row: Any, column: str, place: str) -> str:
    if not isinstance(row, dict) or column not in row:
        known = ", ".join(map(repr, row)) if isinstance(row, dict) else type(row).__name__
        raise ConfigError(f"{place}: expected a column '{column}'; it has {known}")
    if not isinstance(row[column], str):
        found = "nothing" if row[column] is None else type(row[column]).__name__
        raise ConfigError(f"{place}: expected text in the column '{column}', found {found}")
    return str(row[column])


def _label(label: str, place: str) -> str:
    try:
        return LABELS[label.strip().lower()]
    except KeyError:
        raise ConfigError(f"{place}: '{label}' is no label{suggest(label, LABELS)}") from None
