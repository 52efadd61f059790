"""A flow as plain data that can be drawn: shapes, arrows between them, and marks of what was visited.

`diagram` writes a picture as Mermaid or DOT text, and `render` draws the latter.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from textwrap import shorten
from typing import Literal, NamedTuple

from fsmbot.contract import END
from fsmbot.flow import OTHERWISE, Flow, Node, Place
from fsmbot.flowfile.subflows import MAX_DEPTH

Kind = Literal["start", "listens", "decides", "speaks", "subflow", "end"]

START = ""
"""The name of the shape where a conversation begins, which is no node."""

MAX_TOOLTIP = 200
"""Characters of one setting that a tooltip shows."""


class Route(NamedTuple):
    """A way that a conversation went: from a node by its outcome, or by its failure, to the next."""

    source: str
    outcome: str
    target: str
    failure: bool = False


@dataclass(frozen=True)
class Shape:
    """One node of the picture.

    handler: the handler's name where it is another than the title.
    group: the subflows in which the node stands, the outermost first.
    mark: whether it was visited; None where nobody asks.
    """

    name: str
    title: str
    kind: Kind
    tooltip: str = ""
    group: tuple[str, ...] = ()
    mark: bool | None = None
    handler: str = ""


@dataclass(frozen=True)
class Edge:
    """One arrow; `label` is the outcome, "" where there is one way out. `mark` as in Shape.

    opens: whether it leads into a flow, to the first node, which is no route of its own.
    """

    source: str
    target: str
    label: str
    failure: bool = False
    mark: bool | None = None
    opens: bool = False


@dataclass(frozen=True)
class Picture:
    """All there is to draw; `legend` says in a line how much of it was visited."""

    title: str
    nodes: tuple[Shape, ...]
    edges: tuple[Edge, ...]
    legend: str = ""


def picture(flow: Flow, depth: int = MAX_DEPTH) -> Picture:
    """Return the picture of a flow: its start, its nodes in the order of the file, its ends.

    The nodes of a subflow stand in a group of their own, with the node that runs it and its ends.
    depth: how many levels of subflows are opened so; a closed one is a single node.
    """
    start = Shape(START, "start", "start", flow.description)
    arrows = (Edge(START, flow.start, "", opens=True), *edges(flow, depth))
    reached = {edge.target for edge in arrows}
    ends = (Shape(end, end, "end") for end in flow.ends if end in reached)
    places = (place for place in flow.places.values() if _is_shown(place, depth))
    return Picture(flow.name, (start, *(_shape(place, depth) for place in places), *ends), arrows)


def _is_shown(place: Place, depth: int) -> bool:
    return len(place.scope) + (place.door == "out") <= depth


def edges(flow: Flow, depth: int = MAX_DEPTH) -> Iterator[Edge]:
    """Yield the routes of a flow in the order of the file, those of subflows after the node that runs
    them; a flow's own on_error comes last."""
    yield from _edges(flow, "", depth)


def _edges(flow: Flow, prefix: str, depth: int) -> Iterator[Edge]:
    for node in flow.nodes.values():
        path = prefix + node.name
        if node.flow is not None and depth > 0:
            yield Edge(path, f"{path}/{node.flow.start}", "", opens=True)
            yield from _edges(node.flow, f"{path}/", depth - 1)
        for outcome, target in _routes(node):
            yield Edge(_way_out(path, node, outcome, depth), prefix + target, outcome)
        if node.on_error is not None:
            yield Edge(path, prefix + node.on_error, "error", failure=True)
    if flow.on_error is not None:
        yield Edge(prefix.removesuffix("/"), prefix + flow.on_error, "any error", failure=True)


def _routes(node: Node) -> Iterable[tuple[str, str]]:
    """Return (outcome, target) as written: one target for all outcomes, and `otherwise`, are one arrow."""
    if node.flow is not None and node.flow.outcomes:
        return node.routes().items()  # each begins at an end of its own
    return node.written.items()


def _way_out(path: str, node: Node, outcome: str, depth: int) -> str:
    """Return where a route begins: at an end of the flow that the node runs, if that is shown."""
    return path if node.flow is None or depth == 0 else f"{path}/{outcome or END}"


def marked(picture: Picture, nodes: Collection[str], routes: Iterable[Route]) -> Picture:
    """Return the picture with what was visited marked, and a legend that counts it.

    A route marks the arrow without an outcome as well, and one taken on failure the flow's own
    on_error where its node has none.
    """
    taken = defaultdict(list)
    for route in {Route(*route) for route in routes}:
        taken[route.target, route.failure].append(route)
    guarded = {edge.source for edge in picture.edges if edge.failure}
    named = {(edge.source, edge.label) for edge in picture.edges}
    arrows = tuple(
        replace(
            edge,
            mark=edge.target in nodes
            if edge.opens
            else any(_is_along(route, edge, guarded, named) for route in taken[edge.target, edge.failure]),
        )
        for edge in picture.edges
    )
    touched = {name for edge in arrows if edge.mark for name in (edge.source, edge.target)}
    shapes = tuple(
        replace(shape, mark=shape.name in (nodes if _is_node(shape) else touched)) for shape in picture.nodes
    )
    return Picture(picture.title, shapes, arrows, _legend(shapes, arrows))


def _is_along(route: Route, edge: Edge, guarded: Collection[str], named: Collection[tuple[str, str]]) -> bool:
    """Return whether a route to the edge's target went along it.

    guarded: the nodes with an on_error. named: the outcomes that have an arrow of their own.
    """
    if not (_begins(route, edge) or (_catches_all(edge) and route.source not in guarded)):
        return False
    if edge.failure or edge.label in ("", route.outcome):
        return True
    return edge.label == OTHERWISE and (route.source, route.outcome) not in named


def _begins(route: Route, edge: Edge) -> bool:
    """Return whether the route begins where the arrow does: a subflow is left at one of its ends."""
    return edge.source in (route.source, f"{route.source}/{route.outcome or END}")


def _catches_all(edge: Edge) -> bool:
    """Return whether this is a flow's own on_error, which stands for every node without one."""
    return edge.label == "any error"


def _legend(shapes: Iterable[Shape], arrows: Iterable[Edge]) -> str:
    nodes = [bool(shape.mark) for shape in shapes if _is_node(shape)]
    routes = [bool(edge.mark) for edge in arrows if not edge.opens]
    return f"visited {sum(nodes)} of {len(nodes)} nodes, {sum(routes)} of {len(routes)} routes"


def _is_node(shape: Shape) -> bool:
    """Return whether a conversation visits the shape, as it does not the start and the end."""
    return shape.kind not in ("start", "end")


def ids_of(picture: Picture) -> dict[str, str]:
    """Return plain ids for the shapes, as names may hold anything."""
    inner = [shape.name for shape in picture.nodes if shape.name not in (START, END)]
    return {START: "begin", **{name: f"n{i}" for i, name in enumerate(inner, 1)}, END: "finish"}


def blocks(shapes: Iterable[Shape], depth: int = 0) -> Iterator[Shape | list[Shape]]:
    """Yield the shapes of one level in their order, and where a group begins, all that stands in it."""
    shapes, groups = list(shapes), defaultdict(list)
    for shape in shapes:
        if len(shape.group) > depth:
            groups[shape.group[depth]].append(shape)
    for shape in shapes:
        if len(shape.group) == depth:
            yield shape
        elif shape is groups[shape.group[depth]][0]:
            yield groups[shape.group[depth]]


def _shape(place: Place, depth: int) -> Shape:
    node = place.node
    if place.door == "out":
        end = place.path.rpartition("/")[2]
        return Shape(place.path, end, "end", group=(*place.scope, node.name))
    other = "" if node.name == node.handler.name else node.handler.name
    opened = place.door and len(place.scope) < depth
    group = (*place.scope, node.name) if opened else place.scope
    return Shape(place.path, node.name, _kind(node), _tooltip(node), group=group, handler=other)


def _kind(node: Node) -> Kind:
    if node.flow is not None:
        return "subflow"
    if node.listens:
        return "listens"
    return "decides" if node.outcomes else "speaks"


def _tooltip(node: Node) -> str:
    """Return in a few lines what the node does, and the texts that it was given."""
    lines = [node.description or ("" if node.flow else node.handler.summary)]
    for name, value in node.settings.items():
        texts = value if isinstance(value, (list, tuple)) else [value]
        said = " | ".join(text for text in texts if isinstance(text, str))
        if said:
            lines.append(f"{name}: {shorten(said, MAX_TOOLTIP, placeholder=' …')}")
    return "\n".join(filter(None, lines))
