"""Rows of dialogues from files and from the hub, whatever their format."""

from __future__ import annotations

import csv
import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fsmbot.errors import ConfigError, MissingExtra, first_line
from trainer.config import Source

FORMATS = (".jsonl", ".jsonl.gz", ".csv", ".parquet")


@dataclass(frozen=True)
class Row:
    """One row: question, answer, all its text columns, and where it stands."""

    question: str
    answer: str
    place: str
    columns: Mapping[str, str] = field(default_factory=dict)


def read_rows(source: Source, folder: Path) -> Iterator[Row]:
    """Yield a source's rows in order; raises ConfigError that names file and row, or the hub's id."""
    if source.hub:
        yield from _from(source, source.hub, hub_rows(source.hub, source.split, source.revision))
        return
    path = folder / Path(source.path).expanduser()
    yield from _from(source, str(path), file_rows(path))


def file_rows(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield a file's rows, each an object by column, with its line (Parquet: row) counted from 1.

    Raises ConfigError that names file and row.
    """
    readers = {".jsonl": _jsonl, ".jsonl.gz": _jsonl, ".csv": _csv, ".parquet": _parquet}
    ending = next((e for e in FORMATS if path.name.endswith(e)), None)
    if ending is None:
        raise ConfigError(f"{path}: expected a file that ends in {', '.join(FORMATS)}")
    try:
        yield from readers[ending](path)
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 ({error.reason}); save it as UTF-8") from error
    except (OSError, EOFError, zlib.error) as error:
        raise ConfigError(f"{path}: cannot be read: {error}; check the name and the file") from error


def _from(source: Source, name: str, rows: Iterator[tuple[int, Any]]) -> Iterator[Row]:
    """Pick the columns out of each row."""
    found = False
    for number, row in rows:
        found = True
        if not isinstance(row, dict):
            raise ConfigError(f"{name}:{number}: expected an object with columns, not {type(row).__name__}")
        for column in (source.question, source.answer):
            if column not in row:
                known = ", ".join(map(repr, row))
                raise ConfigError(
                    f"{name}:{number}: no column '{column}'; it has {known}; "
                    "name the columns with `question:` and `answer:`"
                )
        columns = {k: v for k, v in row.items() if isinstance(v, str)}
        yield Row(
            columns.get(source.question, ""), columns.get(source.answer, ""), f"{name}:{number}", columns
        )
    if not found:
        raise ConfigError(f"{name}: holds no rows; check the file or the split")


def _jsonl(path: Path) -> Iterator[tuple[int, Any]]:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                yield number, json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
            except UnicodeDecodeError as error:
                raise ConfigError(
                    f"{path}:{number}: byte {error.start} is not UTF-8; mend the row"
                ) from error
            except (ValueError, RecursionError) as error:
                raise ConfigError(f"{path}:{number}: not a JSON row: {error}") from error


def _csv(path: Path) -> Iterator[tuple[int, Any]]:
    csv.field_size_limit(10_000_000)  # answers can be long
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        try:
            for row in reader:
                if None in row:
                    raise ConfigError(
                        f"{path}:{reader.line_num}: more cells than columns; put text with commas in quotes"
                    )
                yield reader.line_num, row
        except csv.Error as error:
            raise ConfigError(f"{path}:{reader.line_num}: not CSV: {error}") from error


def _parquet(path: Path) -> Iterator[tuple[int, Any]]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise MissingExtra("pyarrow", "train", "reading Parquet files") from None
    try:
        file = pyarrow.parquet.ParquetFile(path)
        number = 0
        for batch in file.iter_batches():
            for row in batch.to_pylist():
                number += 1
                yield number, row
    except pyarrow.ArrowException as error:
        raise ConfigError(f"{path}: not a Parquet file: {error}") from error


def hub_rows(hub: str, split: str, revision: str) -> Iterator[tuple[int, Any]]:
    """Yield the rows of a data set of the hub, counted from 1; raises ConfigError, MissingExtra.

    It is cached, so a second run needs no network.
    """
    try:
        import datasets
    except ImportError:
        raise MissingExtra("datasets", "train", "reading data sets of the hub") from None
    try:
        loaded = datasets.load_dataset(hub, split=split, revision=revision or None)
    except Exception as error:  # the hub's client raises of many kinds
        raise ConfigError(
            f"data set '{hub}' cannot be had: {first_line(error)}; check the id and the network, "
            "log in with `hf auth login` if it is gated, or download it and name the file with `path:`"
        ) from error
    yield from enumerate(loaded, 1)
