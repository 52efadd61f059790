"""Corpora: files of texts, read as a configuration names them."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from fsmbot.errors import ConfigError
from fsmbot.vectors import words_of
from trainer.rows import hub_rows

Side = Literal["medical", "everyday"]

_SENTENCE_END = re.compile(r"(?<=[.?!])\s+")


class Corpus(msgspec.Struct, forbid_unknown_fields=True):
    """Texts of one file or of a data set of the hub.

    path: .txt or .jsonl, either also .gz; or hub: the id of a data set, with its split and revision.
    fields: which columns hold texts, of rows that have columns.
    side: what its texts count as. sample: at most how many of them the gate learns from.
    skip: rows to leave out, by column and values. strip: openings to cut off, in any case.
    source, licence: for the card.
    """

    side: Side
    path: str = ""
    hub: str = ""
    split: str = "train"
    revision: str = ""
    fields: list[str] = []
    sample: Annotated[int, msgspec.Meta(ge=0)] = 0
    skip: dict[str, list[str]] = {}
    strip: list[str] = []
    source: str = ""
    licence: str = ""

    @property
    def name(self) -> str:
        """What progress and cards call it."""
        return self.path or self.hub


def read_texts(corpus: Corpus, folder: Path) -> list[str]:
    """Return the corpus's texts, in order, empty ones left out. Raises ConfigError."""
    try:
        texts = [_strip(text, corpus.strip) for text in _texts(corpus, folder)]
    except (OSError, EOFError, ValueError, RuntimeError) as error:
        raise ConfigError(
            f"corpus {folder / corpus.path} cannot be read ({error}); check `path`, or say --data FOLDER"
        ) from error
    if not any(texts):
        raise ConfigError(f"corpus {corpus.name} holds no text; check `fields` and `skip`")
    return [text for text in texts if text]


def sentences(text: str) -> list[list[str]]:
    """Split a text into sentences of words; those of one word teach Word2Vec nothing."""
    split = (words_of(part) for part in _SENTENCE_END.split(text))
    return [words for words in split if len(words) > 1]


def _texts(corpus: Corpus, folder: Path) -> Iterator[str]:
    if corpus.hub:
        for number, row in hub_rows(corpus.hub, corpus.split, corpus.revision):
            yield from _columns(corpus, row, f"{corpus.hub}:{number}")
        return
    path = folder / Path(corpus.path).expanduser()
    name = path.name.removesuffix(".gz")
    if not name.endswith((".txt", ".jsonl")):
        raise ConfigError(f"corpus {path}: expected a .txt or .jsonl file, .gz or not")
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if name.endswith(".txt"):
                yield line.strip()
            elif line.strip():
                yield from _columns(corpus, _json(line, f"{path}:{number}"), f"{path}:{number}")


def _json(line: str, where: str) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise ConfigError(f"{where}: this line is no JSON ({error})") from error


def _columns(corpus: Corpus, row: Any, where: str) -> Iterator[str]:
    if not isinstance(row, dict) or not corpus.fields or not all(f in row for f in corpus.fields):
        raise ConfigError(f"{where}: expected an object with the columns in `fields`")
    if not any(row.get(column) in values for column, values in corpus.skip.items()):
        yield from (str(row[field]).strip() for field in corpus.fields)


def _strip(text: str, openings: list[str]) -> str:
    """Cut off openings such as "Question:", also several in a row."""
    cut = True
    while cut:
        cut = False
        for opening in openings:
            if text.lower().startswith(opening.lower()):
                text, cut = text[len(opening) :].lstrip(), True
    return text
