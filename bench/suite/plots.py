"""Plots of the results: small SVG files, the same for the same figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from suite.results import Measured, Series, Table

OURS, THEIRS = "#1b7837", "#9a9a9a"
LINES = ("#1b7837", "#762a83", "#e08214", "#2166ac", "#b2182b", "#555555")


def draw(subject: str, measured: Measured, folder: Path) -> list[str]:
    """Draw the tables with bars and the series of one subject; return the files, seen from the folder."""
    figures = {name: _bars(table) for name, table in measured.tables.items() if table.bars and table.rows}
    figures |= {name: _lines(series) for name, series in measured.series.items()}
    (folder / "plots").mkdir(exist_ok=True)
    files = []
    for name, figure in figures.items():
        file = f"plots/{subject}-{name.replace(' ', '-')}.svg"
        figure.savefig(folder / file, metadata={"Date": None, "Creator": None})
        files.append(file)
    return files


def _figure(height: float) -> tuple[Any, Any]:
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "fsmbot", "svg.fonttype": "none", "font.size": 9})
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, height), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _bars(table: Table) -> Any:
    """Draw one column, the largest at the bottom; the scale is logarithmic, as peers differ by far."""
    from suite.markdown import shown

    rows = {name: row[table.bars] for name, row in table.rows.items() if table.bars in row}
    figure, axes = _figure(0.8 + 0.26 * len(rows))
    names = sorted(rows, key=lambda name: rows[name])
    colours = [OURS if "fsmbot" in name else THEIRS for name in names]
    drawn = axes.barh(names, [rows[name] for name in names], color=colours, log=True)
    axes.bar_label(drawn, [shown(rows[name]) for name in names], padding=3)
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.set_title(f"{table.title}: {table.bars}, {table.unit}".rstrip(" ,"), loc="left")
    return figure


def _lines(series: Series) -> Any:
    """Draw the lines on logarithmic scales, where a straight line at 45 degrees is linear growth."""
    figure, axes = _figure(3.2)
    for colour, (name, points) in zip(LINES, series.lines.items(), strict=False):
        xs, ys = zip(*points, strict=True)
        axes.plot(xs, ys, marker="o", markersize=3, color=colour, label=name)
        axes.plot(xs, [ys[-1] * x / xs[-1] for x in xs], ":", color=colour, linewidth=0.8)
    axes.set(xscale="log", yscale="log", xlabel=series.x, ylabel=series.y)
    axes.set_title(f"{series.title} (dotted: linear)", loc="left")
    axes.legend(frameon=False)
    return figure
