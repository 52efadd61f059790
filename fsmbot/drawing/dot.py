"""A picture as DOT (https://graphviz.org), styled so that it looks well when it is drawn.

Nodes that listen are round, those that decide have six sides, those that speak are boxes, and a
subflow has a double border; a route taken on failure is dashed and red. What was visited is green,
and what was not is pale.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Mapping

from fsmbot.drawing.picture import Edge, Picture, Shape, blocks, ids_of
from fsmbot.text import safe_line

GREEN, RED = "#2e7d32", "#c62828"
PALE, PALE_TEXT, PALE_FILL = "#cfd8dc", "#90a4ae", "#fafafa"
LINE, TEXT, NOTE = "#607d8b", "#263238", "#78909c"

MAX_TITLE = 22
"""Characters of a name on one line, where it can be broken."""

_FONT = "Helvetica,Arial,sans-serif"
_DEFAULTS = (
    # The ground is white, as pictures without one cannot be read on a dark page.
    f'    graph [bgcolor="white", pad="0.25", nodesep="0.35", ranksep="0.45", newrank="true", labelloc="t", '
    f'fontname="{_FONT}", fontsize="15", fontcolor="{TEXT}"];',
    f'    node [fontname="{_FONT}", fontsize="12", fontcolor="{TEXT}", style="filled", margin="0.16,0.08", '
    f'height="0.42", penwidth="1.2"];',
    f'    edge [fontname="{_FONT}", fontsize="10.5", fontcolor="{TEXT}", color="{LINE}", '
    f'arrowsize="0.75", penwidth="1.2"];',
)
_SHAPES: dict[str, dict[str, str]] = {
    "start": {"shape": "circle", "width": "0.18", "height": "0.18", "fillcolor": TEXT, "color": TEXT},
    "listens": {"shape": "box", "style": "filled,rounded", "fillcolor": "#e3f2fd", "color": "#1976d2"},
    "decides": {"shape": "hexagon", "margin": "0,0", "fillcolor": "#fff8e1", "color": "#ef9a00"},
    "speaks": {"shape": "box", "fillcolor": "#f3e5f5", "color": "#8e24aa"},
    "subflow": {"shape": "box", "peripheries": "2", "fillcolor": "#e0f2f1", "color": "#00897b"},
    "end": {"shape": "doublecircle", "margin": "0.02", "fillcolor": "#eceff1", "color": TEXT},
}
_MARKS: dict[bool | None, dict[str, str]] = {
    None: {},
    True: {"color": GREEN, "penwidth": "2.6"},
    False: {"color": PALE, "fontcolor": PALE_TEXT},
}


def digraph(picture: Picture) -> str:
    """Return the DOT text of a picture."""
    ids = ids_of(picture)
    lines = [f"digraph {_quoted(picture.title)} {{", *_DEFAULTS, f"    label=<{_heading(picture)}>;"]
    lines += _shapes(picture.nodes, ids, 0)
    lines += [f"    {ids[edge.source]} -> {ids[edge.target]}{_arrow(edge)};" for edge in picture.edges]
    return "\n".join([*lines, "}"]) + "\n"


def _heading(picture: Picture) -> str:
    """Return the title, with the legend below."""
    title = f"<b>{_markup(picture.title)}</b>"
    return f"{title}{_note(picture.legend, 12, NOTE)}" if picture.legend else title


def _note(text: str, size: int, colour: str) -> str:
    """Return a line in small letters below another."""
    return f'<br/><font point-size="{size}" color="{colour}">{_markup(text)}</font>'


def _shapes(shapes: Iterable[Shape], ids: Mapping[str, str], depth: int) -> Iterator[str]:
    """Yield the shapes, those of a group as a cluster."""
    indent = "    " * (depth + 1)
    for block in blocks(shapes, depth):
        if isinstance(block, Shape):
            yield f"{indent}{ids[block.name]}{_shape(block)};"
        else:
            first = block[0]
            yield f"{indent}subgraph cluster_{ids[first.name]}_{depth} {{"
            yield f'{indent}    graph [style="filled,rounded", fillcolor="#f7f9fa", color="#b0bec5", '
            yield f'{indent}        label={_quoted(first.group[depth])}, labeljust="l", fontsize="11"];'
            yield from _shapes(block, ids, depth + 1)
            yield f"{indent}}}"


def _shape(shape: Shape) -> str:
    label = '""' if shape.kind == "start" else _label(shape)
    pale = {"fillcolor": PALE_FILL} if shape.mark is False else {}
    style = {**_SHAPES[shape.kind], **_MARKS[shape.mark], **pale}
    return _attributes(label, _tooltip(shape.tooltip or shape.title), style)


def _label(shape: Shape) -> str:
    """Return the title, a long one in several lines, with the handler's name below."""
    title = "<br/>".join(map(_markup, _wrapped(safe_line(shape.title))))
    note = _note(shape.handler, 10, PALE_TEXT if shape.mark is False else NOTE) if shape.handler else ""
    return f"<{title}{note}>"


def _wrapped(title: str) -> list[str]:
    """Break a title after its underscores, hyphens, slashes and spaces; long words stay whole."""
    lines = [""]
    for word in re.split(r"(?<=[_\-/ ])", title):
        if lines[-1] and len(lines[-1] + word) > MAX_TITLE:
            lines.append("")
        lines[-1] += word
    return lines


def _arrow(edge: Edge) -> str:
    failure = {"style": "dashed", "color": RED, "fontcolor": RED} if edge.failure else {}
    by = f" ({edge.label})" if edge.label else ""
    tooltip = f"{edge.source or 'start'} → {edge.target}{by}"
    label = f" {edge.label} " if edge.label else ""  # it would touch its arrow else
    return _attributes(_quoted(label), _tooltip(tooltip), {**failure, **_MARKS[edge.mark]})


def _attributes(label: str, tooltip: str, style: Mapping[str, str]) -> str:
    named = {"label": label, "tooltip": tooltip, **{name: f'"{value}"' for name, value in style.items()}}
    return f" [{', '.join(f'{name}={value}' for name, value in named.items())}]"


def _quoted(text: str) -> str:
    """Return a line as a quoted string, in which Graphviz would read entities and escapes."""
    escaped = safe_line(text).replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _tooltip(text: str) -> str:
    """Return lines as one quoted string."""
    text = text.replace("\\", "⧵")  # Graphviz reads escapes in tooltips twice, so none can be right
    return '"' + "\\n".join(_quoted(line)[1:-1] for line in text.split("\n")) + '"'


def _markup(text: str) -> str:
    """Return a line as it stands in a label of markup, where escapes are read as well."""
    return html.escape(safe_line(text)).replace("\\", "\\\\")
