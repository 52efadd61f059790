"""The README's figures: each stands in results.json, and is written into the README from there.

A block between `<!-- figures:NAME -->` and `<!-- /figures -->` is made of BLOCKS[NAME].
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from suite.markdown import shown
from suite.results import ROOT, figure

README = ROOT / "README.md"
MARKED = re.compile(r"(<!-- figures:([\w-]+) -->\n).*?(<!-- /figures -->)", re.DOTALL)


def renew(known: Mapping[str, Any]) -> None:
    """Write the figures of results.json into the README."""
    text = README.read_text(encoding="utf-8")
    README.write_text(renewed(text, known), encoding="utf-8")


def renewed(text: str, known: Mapping[str, Any]) -> str:
    """Return a text with its marked blocks made anew."""
    return MARKED.sub(lambda found: found[1] + block(found[2], known) + found[3], text)


def block(name: str, known: Mapping[str, Any]) -> str:
    """Return a block of two columns: words, and figures; a line that was not measured is left out."""
    lines = ["| | |", "| --- | ---: |"]
    for words, template in BLOCKS[name]:
        filled = fill(template, known)
        if filled:
            lines.append(f"| {words} | {filled} |")
    return "\n".join([*lines, "", *_origins(BLOCKS[name], known), ""])


def fill(template: str, known: Mapping[str, Any]) -> str:
    """Return a template with its {subject/table/row/column} filled; "" where one was not measured."""
    missing = False

    def put(found: re.Match[str]) -> str:
        nonlocal missing
        path, _, factor = found[1].partition("*")
        value = figure(known, path.split("|"))
        missing = missing or value is None
        return shown(value * float(factor or 1) if isinstance(value, float) else value)

    filled = re.sub(r"\{([^}]+)\}", put, template)
    return "" if missing else filled


def _origins(rows: Sequence[tuple[str, str]], known: Mapping[str, Any]) -> list[str]:
    """Return one line a machine: which subjects were measured there, and when."""
    subjects = {path.split("|")[0] for _, template in rows for path in re.findall(r"\{([^}]+)\}", template)}
    lines: dict[str, list[str]] = {}
    for subject in sorted(subjects & known.keys()):
        stored = known[subject]
        where = f"{stored['machine']}, Python {stored['python']}"
        lines.setdefault(where + (", a quick run" if stored["quick"] else ""), []).append(subject)
    return [f"({', '.join(names)}: {where}.)" for where, names in lines.items()]


BLOCKS: dict[str, Sequence[tuple[str, str]]] = {}
