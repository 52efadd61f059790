"""A flow, or a picture of it, as text: Mermaid (https://mermaid.js.org) or DOT (https://graphviz.org).

In Mermaid listening nodes are drawn round, deciding ones as diamonds; a route taken on failure is
dashed. What was visited is green, and what was not is pale.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

from fsmbot.drawing.dot import GREEN, PALE, PALE_FILL, PALE_TEXT, digraph
from fsmbot.drawing.picture import START, Edge, Picture, Shape, blocks, edges, ids_of, marked, picture
from fsmbot.flow import Flow
from fsmbot.text import safe_line

__all__ = ["Edge", "Picture", "Shape", "dot", "edges", "marked", "mermaid", "picture"]


def mermaid(drawn: Flow | Picture) -> str:
    """Return the Mermaid flowchart of a flow or picture."""
    seen = drawn if isinstance(drawn, Picture) else picture(drawn)
    ids = ids_of(seen)
    lines = [*_title(seen), "flowchart TD"]
    shapes, arrows = seen.nodes, seen.edges
    if arrows and arrows[0].source == START:  # the start is declared by the arrow from it
        lines.append(f"    {ids[START]}(( )) --> {ids[arrows[0].target]}")
        shapes, arrows = tuple(s for s in shapes if s.name != START), arrows[1:]
    lines += _shapes(shapes, ids, 0)
    lines += [_arrow(edge, ids) for edge in arrows]
    return "\n".join([*lines, *_marks(seen, ids)]) + "\n"


def dot(drawn: Flow | Picture) -> str:
    """Return the DOT digraph of a flow or picture, styled to be drawn."""
    return digraph(drawn if isinstance(drawn, Picture) else picture(drawn))


_BRACKETS = {
    "listens": ("([", "])"),
    "decides": ("{", "}"),
    "speaks": ("[", "]"),
    "subflow": ("[[", "]]"),
    "end": ("(((", ")))"),
}


def _title(seen: Picture) -> list[str]:
    """Return the title with the legend; a picture without marks has none."""
    if not seen.legend:
        return []
    title = safe_line(f"{seen.title}: {seen.legend}")
    return ["---", f"title: {json.dumps(title, ensure_ascii=False)}", "---"]


def _shapes(shapes: Iterable[Shape], ids: Mapping[str, str], depth: int) -> Iterator[str]:
    """Yield the shapes, those of a group between `subgraph` and `end`."""
    indent = "    " * (depth + 1)
    for block in blocks(shapes, depth):
        if isinstance(block, Shape):
            yield f"{indent}{ids[block.name]}{_bracketed(block)}"
        else:
            first = block[0]
            yield f'{indent}subgraph {ids[first.name]}_{depth}["{_entities(first.group[depth])}"]'
            yield from _shapes(block, ids, depth + 1)
            yield f"{indent}end"


def _bracketed(shape: Shape) -> str:
    if shape.kind == "start":
        return "(( ))"
    left, right = _BRACKETS[shape.kind]
    other = f" ({shape.handler})" if shape.handler else ""
    return f'{left}"{_entities(shape.title + other)}"{right}'


def _arrow(edge: Edge, ids: Mapping[str, str]) -> str:
    line = "-.->" if edge.failure else "-->"
    label = f'|"{_entities(edge.label)}"|' if edge.label else ""
    return f"    {ids[edge.source]} {line}{label} {ids[edge.target]}"


def _marks(seen: Picture, ids: Mapping[str, str]) -> Iterator[str]:
    """Yield the styles of what was visited and of what was not; arrows go by their number."""
    for mark, name, line, inside in (
        (True, "visited", f"stroke:{GREEN},stroke-width:3px", ""),
        (False, "pale", f"stroke:{PALE},color:{PALE_TEXT}", f",fill:{PALE_FILL}"),
    ):
        shapes = ",".join(ids[shape.name] for shape in seen.nodes if shape.mark is mark)
        arrows = ",".join(str(i) for i, edge in enumerate(seen.edges) if edge.mark is mark)
        if shapes:
            yield f"    classDef {name} {line}{inside}"
            yield f"    class {shapes} {name}"
        if arrows:
            yield f"    linkStyle {arrows} {line}"


def _entities(text: str) -> str:
    """Escape what Mermaid would read as markup."""
    special = {"&": "#amp;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "#": "#35;"}
    return "".join(special.get(character, character) for character in safe_line(text))
