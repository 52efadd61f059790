"""The table of what the reliability tests counted, as Markdown."""

from __future__ import annotations

from pathlib import Path

Figures = dict[tuple[int, str], str]
"""What was reached, by point and promise."""

HEAD = """# What was counted

Written by `make test-hard`, which runs every test named here. The numbers of the points are those
under which the tests are grouped; each line is one test in `tests/reliability/`.

| point | promise | reached |
| --- | --- | --- |
"""


def read(path: Path) -> Figures:
    """Return the figures that a table holds, by point and promise; none if there is no table."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    return {(int(point), promise): told for point, promise, told in cells if point.isdecimal()}


def write(path: Path, figures: Figures) -> None:
    """Write a table, sorted by point."""
    path.write_text(HEAD + "\n".join(rows(figures)) + "\n", encoding="utf-8")


def rows(figures: Figures) -> list[str]:
    """Return the lines of a table."""
    return [f"| {point} | {promise} | {told} |" for (point, promise), told in sorted(figures.items())]
