"""A flow as a diagram in text: Mermaid (https://mermaid.js.org) or DOT (https://graphviz.org).

Listening nodes are drawn round, deciding ones as diamonds; a route taken on failure is dashed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fsmbot.contract import END
from fsmbot.flow import Flow, Node
from fsmbot.text import safe_line


@dataclass(frozen=True)
class Edge:
    """One arrow of the diagram; `label` is the outcome, "" where there is one way out."""

    source: str
    target: str
    label: str
    failure: bool = False


def edges(flow: Flow) -> Iterator[Edge]:
    """Yield the routes of a flow in the order of the file; the flow's own on_error comes last."""
    for node in flow.nodes.values():
        if isinstance(node.next, str):
            yield Edge(node.name, node.next, "")
        else:
            for outcome, target in node.routes().items():
                yield Edge(node.name, target, outcome)
        if node.on_error is not None:
            yield Edge(node.name, node.on_error, "error", failure=True)
    if flow.on_error is not None:
        yield Edge("", flow.on_error, "any error", failure=True)


def mermaid(flow: Flow) -> str:
    """Return the flow as a Mermaid flowchart."""
    ids = _ids(flow)
    lines = ["flowchart TD", f"    {ids['']}(( )) --> {ids[flow.start]}"]
    for node in flow.nodes.values():
        left, right = _MERMAID_SHAPES[_kind(node)]
        lines.append(f'    {ids[node.name]}{left}"{_entities(_title(node))}"{right}')
    lines.append(f'    {ids[END]}((("end")))')
    for edge in edges(flow):
        arrow = "-.->" if edge.failure else "-->"
        label = f'|"{_entities(edge.label)}"|' if edge.label else ""
        lines.append(f"    {ids[edge.source]} {arrow}{label} {ids[edge.target]}")
    return "\n".join(lines) + "\n"


def dot(flow: Flow) -> str:
    """Return the flow as a DOT digraph."""
    ids = _ids(flow)
    lines = [
        f"digraph {_quoted(flow.name)} {{",
        '    node [fontname="Helvetica"]; edge [fontname="Helvetica", fontsize=11];',
        f"    {ids['']} [shape=point];",
        f'    {ids[END]} [shape=doublecircle, label="end"];',
    ]
    for node in flow.nodes.values():
        shape = _DOT_SHAPES[_kind(node)]
        lines.append(f"    {ids[node.name]} [{shape}, label={_quoted(_title(node))}];")
    lines.append(f"    {ids['']} -> {ids[flow.start]};")
    for edge in edges(flow):
        style = ", style=dashed" if edge.failure else ""
        lines.append(f"    {ids[edge.source]} -> {ids[edge.target]} [label={_quoted(edge.label)}{style}];")
    return "\n".join([*lines, "}"]) + "\n"


_MERMAID_SHAPES = {"listens": ("([", "])"), "decides": ("{", "}"), "speaks": ("[", "]")}
_DOT_SHAPES = {
    "listens": 'shape=box, style="rounded"',
    "decides": "shape=diamond",
    "speaks": "shape=box",
}


def _kind(node: Node) -> str:
    if node.listens:
        return "listens"
    return "decides" if node.handler.outcomes else "speaks"


def _title(node: Node) -> str:
    """Return the node's name, with the handler's where that is another."""
    same = node.name == node.handler.name
    return node.name if same else f"{node.name} ({node.handler.name})"


def _ids(flow: Flow) -> dict[str, str]:
    """Return plain ids, as names may hold anything; "" is the start and END the end."""
    ids = {name: f"n{i}" for i, name in enumerate(flow.nodes, 1)}
    return {"": "begin", **ids, END: "finish"}


def _quoted(text: str) -> str:
    escaped = safe_line(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _entities(text: str) -> str:
    """Escape what Mermaid would read as markup."""
    special = {"&": "#amp;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "#": "#35;"}
    return "".join(special.get(character, character) for character in safe_line(text))
