"""What a benchmark gives back, and the file where it is kept.

results.json holds, for each subject, where, when and how it was measured, and its tables and series.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
RESULTS = "results.json"
Value = float | int | str


@dataclass(frozen=True)
class Table:
    """Figures of several things that were measured alike.

    rows: name -> column -> figure. missing: what could not be measured, and why. bars: the column that
    is drawn, if one is.
    """

    title: str
    unit: str
    about: str
    rows: dict[str, dict[str, Value]]
    missing: dict[str, str] = field(default_factory=dict)
    bars: str = ""


@dataclass(frozen=True)
class Series:
    """How figures grow with the work: name of a line -> points (work, figure)."""

    title: str
    x: str
    y: str
    about: str
    lines: dict[str, list[tuple[float, float]]]


@dataclass(frozen=True)
class Measured:
    """All that one subject has measured; versions: of what was compared."""

    tables: dict[str, Table]
    series: dict[str, Series] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    def stored(self) -> dict[str, Any]:
        """Return it as it stands in results.json."""
        return asdict(self)

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> Measured:
        """Take it back from results.json."""
        tables = {name: Table(**table) for name, table in stored["tables"].items()}
        series = {name: Series(**lines) for name, lines in stored.get("series", {}).items()}
        return cls(tables, series, stored.get("versions", {}))


def spread(values: Sequence[float]) -> dict[str, Value]:
    """Return the median, and between what nine of ten values lie."""
    ordered = sorted(values)
    edge = len(ordered) // 20
    return {"median": statistics.median(ordered), "5%": ordered[edge], "95%": ordered[-1 - edge]}


def ratio(values: Sequence[float], base: Sequence[float]) -> float:
    """Return the median of the ratios, each taken inside one round."""
    return statistics.median(value / one for value, one in zip(values, base, strict=True))


def exponent(points: Sequence[Sequence[float]]) -> float:
    """Return the power of the work with which a line grows over its last quarter of the range: 1 is linear.

    Small work is all overhead, so the slope is taken from the largest work to the one nearest a quarter.
    """
    (*before, (most, largest)) = points
    work, figure = min(before, key=lambda point: abs(math.log(point[0] * 4 / most)))
    return math.log(largest / figure) / math.log(most / work)


def load(folder: Path) -> dict[str, Any]:
    """Return what is kept so far, by subject."""
    path = folder / RESULTS
    known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return known


def merge(folder: Path, subject: str, stamp: Mapping[str, Any], measured: Measured) -> dict[str, Any]:
    """Put one subject in place of what was kept of it; return all."""
    known = load(folder) | {subject: {**stamp, **measured.stored()}}
    ordered = dict(sorted(known.items()))
    text = json.dumps(rounded(ordered), indent=1, ensure_ascii=False)
    (folder / RESULTS).write_text(text + "\n", encoding="utf-8")
    return ordered


def rounded(value: Any) -> Any:
    """Return figures to five digits; more are noise."""
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(inner) for inner in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value


def figure(known: Mapping[str, Any], path: Sequence[str]) -> Value | None:
    """Return one figure by subject, table, row and column; None where it was not measured."""
    subject, table, row, column = path
    tables = known.get(subject, {}).get("tables", {})
    value: Value | None = tables.get(table, {}).get("rows", {}).get(row, {}).get(column)
    return value
