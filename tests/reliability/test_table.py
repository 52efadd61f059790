"""The table of figures is the one that the tests wrote."""

from __future__ import annotations

import ast
from pathlib import Path

HERE = Path(__file__).parent


def promises() -> set[tuple[str, str]]:
    """Return point and promise of every test that is marked with one."""
    found = set()
    for path in HERE.glob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.promise":
                point, promise = (ast.literal_eval(argument) for argument in node.args)
                found.add((str(point), promise))
    return found


def test_every_promise_has_its_figure_in_the_table() -> None:
    """And the table holds no figure of a test that is gone."""
    lines = (HERE.parent / "RELIABILITY.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line[:3] > "| -"]
    listed = {(point, promise) for point, promise, _ in rows if point.isdecimal()}
    assert listed == promises()
