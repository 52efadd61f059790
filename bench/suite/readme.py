"""The README's figures: each stands in results.json, and is written into the README from there.

What stands between `<!-- figures:NAME -->` and `<!-- /figures -->` is made of BLOCKS[NAME].
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from suite.blocks import BLOCKS, Block
from suite.markdown import grid, shown
from suite.results import ROOT, figure

README = ROOT / "README.md"
MARKED = re.compile(r"(<!-- figures:([\w-]+) -->\n).*?(<!-- /figures -->)", re.DOTALL)
FIGURE = re.compile(r"\{([^{}]+)\}")
"""A place for a figure: `{subject|table|row|column}`, and `*factor` where another unit reads better."""


def renew(known: Mapping[str, Any]) -> None:
    """Write the figures of results.json into the README."""
    text = README.read_text(encoding="utf-8")
    README.write_text(renewed(text, known), encoding="utf-8")


def renewed(text: str, known: Mapping[str, Any]) -> str:
    """Return a text with its marked blocks made anew."""
    return MARKED.sub(lambda found: f"{found[1]}{shaped(BLOCKS[found[2]], known)}\n{found[3]}", text)


def shaped(block: Block, known: Mapping[str, Any]) -> str:
    """Return a block as Markdown; a row of which nothing was measured is left out."""
    rows = []
    for words, *templates in block.rows:
        filled = [fill(template, known) for template in templates]
        rows += [[words, *filled]] if any(filled) else []
    if block.anywhere:
        return grid(block.head, rows)
    templates = (template for _, *row in block.rows for template in row)
    return "\n\n".join([origins(templates, known), grid(block.head, rows)])


def fill(template: str, known: Mapping[str, Any]) -> str:
    """Return a template with its figures; "" where one of them was not measured."""
    found = {place: placed(place, known) for place in FIGURE.findall(template)}
    if "" in found.values():
        return ""
    return FIGURE.sub(lambda place: found[place[1]], template)


def placed(place: str, known: Mapping[str, Any]) -> str:
    """Return one figure as it is read, "" where it was not measured."""
    path, _, factor = place.partition("*")
    value = figure(known, path.split("|"))
    if isinstance(value, (int, float)) and factor:
        return shown(float(value * float(factor)))
    return shown(value)


def origins(templates: Iterable[str], known: Mapping[str, Any]) -> str:
    """Return where the subjects were measured, and when."""
    subjects = {place.split("|")[0] for template in templates for place in FIGURE.findall(template)}
    places: dict[str, list[str]] = {}
    for subject in sorted(subjects & known.keys()):
        stored = known[subject]
        rough = ", a quick run, so rough" if stored["quick"] else ""
        places.setdefault(f"{stored['machine']}, Python {stored['python']}{rough}", []).append(subject)
    several = len(places) > 1
    told = [f"{where} ({', '.join(names)})" if several else where for where, names in places.items()]
    return f"Measured on {'; on '.join(told)}:"
