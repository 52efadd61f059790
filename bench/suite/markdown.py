"""Results as Markdown: tables for the terminal, and the whole of RESULTS.md."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from suite.results import Measured, Series, Table, Value, exponent
from suite.targets import Verdict

BENCH = Path(__file__).parent.parent
QUICK = "**A quick run: it shows that all runs, its figures are rough.**"


def shown(value: Value | None) -> str:
    """Return a figure as it is read: three digits, and none after the point from a hundred on."""
    if not isinstance(value, (int, float)):
        return value or ""
    if isinstance(value, int) or abs(value) >= 99.95 or not value:
        return f"{value:,.0f}"
    digits = 1 if abs(value) >= 9.995 else 2 if abs(value) >= 0.0995 else 4
    return f"{value:.{digits}f}"


def grid(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table whose first column holds words, and whose others hold figures."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def table(table: Table) -> str:
    """Return one table of figures, with what could not be measured below it."""
    columns = list(dict.fromkeys(column for row in table.rows.values() for column in row))
    head = [table.unit, *columns]
    rows = [[name, *(shown(row.get(column)) for column in columns)] for name, row in table.rows.items()]
    parts = [grid(head, rows)]
    parts += [f"Not measured: {name} ({why})." for name, why in table.missing.items()]
    return "\n\n".join(parts)


def growth(series: Series) -> str:
    """Return the points of a series, and with what power of the work each line grows."""
    rows = []
    for name, points in series.lines.items():
        told = ", ".join(f"{shown(int(x))}: {shown(y)}" for x, y in points)
        rows.append([name, told, f"{exponent(points):.2f}"])
    return grid([f"{series.y} by {series.x}", "points", "power"], rows)


def targets(found: Sequence[Verdict]) -> str:
    """Return what was to be reached, and what was."""
    head = ["target", "bound", "figure", "", "why"]
    return grid(head, [[v.text, v.bound, _figure(v), _word(v), v.reason] for v in found])


def _figure(verdict: Verdict) -> str:
    return f"{shown(verdict.value)} {verdict.unit}".strip() if verdict.value is not None else ""


def _word(verdict: Verdict) -> str:
    return "not measured" if verdict.value is None else "reached" if verdict.reached else "**missed**"


def report(known: Mapping[str, Any], found: Sequence[Verdict], plots: Mapping[str, Sequence[str]]) -> str:
    """Return RESULTS.md; plots: the files of each subject's pictures."""
    parts = ["# Results", INTRODUCTION, "## Targets", targets(found)]
    for subject, stored in known.items():
        parts += _subject(subject, stored, plots.get(subject, ()))
    return "\n\n".join(parts) + "\n"


INTRODUCTION = (
    "Written by `make bench` and `make bench-training` from [results.json](results.json); do not edit. "
    "`median`, and between what nine of ten rounds lie (`5%`, `95%`). `/ our turn` and the like are "
    "ratios to ours, each taken inside one round, then their median: above 1 ours is faster. "
    "A power of 1 is linear growth."
)


def _subject(subject: str, stored: Mapping[str, Any], plots: Sequence[str]) -> list[str]:
    """Return the parts of one subject."""
    measured = Measured.read(stored)
    parts = [f"## {subject.capitalize()}", origin(stored)]
    parts += [QUICK] if stored["quick"] else []
    parts += [_about(subject)]
    for one in measured.tables.values():
        parts += [f"### {one.title}", one.about, table(one)]
    for lines in measured.series.values():
        parts += [f"### {lines.title}", lines.about, growth(lines)]
    return [*filter(None, parts), *(f"![]({path})" for path in plots)]


def origin(stored: Mapping[str, Any]) -> str:
    """Return where, when and with what a subject was measured."""
    words = f"`{stored['command']}`, {stored['date']}, commit {stored['commit']}, Python {stored['python']}; "
    words += f"{stored['machine']}, load {stored['load']} at the start."
    named = ", ".join(f"{name} {version}" for name, version in stored["versions"].items())
    return words + (f" {named}." if named else "")


def _about(subject: str) -> str:
    """Return what the subject's module says of itself, without its first line and its commands."""
    text = ast.get_docstring(ast.parse((BENCH / f"{subject}.py").read_text(encoding="utf-8")))
    paragraphs = (text or "").strip().split("\n\n")[1:]
    return "\n\n".join(paragraph for paragraph in paragraphs if not paragraph.startswith("    "))
