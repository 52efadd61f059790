"""The table of figures is the one that the tests wrote."""

from __future__ import annotations

import ast
from pathlib import Path

import table

HERE = Path(__file__).parent


def promises() -> set[tuple[int, str]]:
    """Return point and promise of every test that is marked with one."""
    found = set()
    for path in HERE.glob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.promise":
                point, promise = (ast.literal_eval(argument) for argument in node.args)
                found.add((point, promise))
    return found


def test_every_promise_has_its_figure_in_the_table() -> None:
    """And the table holds no figure of a test that is gone."""
    assert set(table.read(HERE.parent / "RELIABILITY.md")) == promises()
