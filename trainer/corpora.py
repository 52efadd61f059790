"""Corpora: files of texts, read as a configuration names them."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from fsmbot.errors import ConfigError
from fsmbot.vectors import words_of

Side = Literal["medical", "everyday"]

_SENTENCE_END = re.compile(r"(?<=[.?!])\s+")


class Corpus(msgspec.Struct, forbid_unknown_fields=True):
    """One file of texts.

    path: .txt or .jsonl, either also .gz; fields: which columns of a .jsonl hold texts.
    side: what its texts count as. sample: at most how many of them the gate learns from.
    skip: rows to leave out, by column and values. strip: openings to cut off, in any case.
    source, licence: for the card.
    """

    path: str
    side: Side
    fields: list[str] = []
    sample: int = 0
    skip: dict[str, list[str]] = {}
    strip: list[str] = []
    source: str = ""
    licence: str = ""


def read_texts(corpus: Corpus, folder: Path) -> list[str]:
    """Return the corpus's texts, in order, empty ones left out. Raises ConfigError."""
    path = folder / corpus.path
    try:
        texts = [_strip(text, corpus.strip) for text in _texts(corpus, path)]
    except (OSError, EOFError, UnicodeError) as error:
        raise ConfigError(
            f"corpus {path} cannot be read ({error}); check `path`, or say --data FOLDER"
        ) from error
    if not any(texts):
        raise ConfigError(f"corpus {path} holds no text; check `fields` and `skip`")
    return [text for text in texts if text]


def sentences(text: str) -> list[list[str]]:
    """Split a text into sentences of words; those of one word teach Word2Vec nothing."""
    split = (words_of(part) for part in _SENTENCE_END.split(text))
    return [words for words in split if len(words) > 1]


def _texts(corpus: Corpus, path: Path) -> Iterator[str]:
    name = path.name.removesuffix(".gz")
    if not name.endswith((".txt", ".jsonl")):
        raise ConfigError(f"corpus {path}: expected a .txt or .jsonl file, .gz or not")
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if name.endswith(".txt"):
                yield line.strip()
            elif line.strip():
                yield from _columns(corpus, line, f"{path}:{number}")


def _columns(corpus: Corpus, line: str, where: str) -> Iterator[str]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise ConfigError(f"{where}: this line is no JSON ({error})") from error
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
