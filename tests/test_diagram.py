"""A flow draws as Mermaid and DOT text, whatever its names hold, with marks where it was visited."""

from __future__ import annotations

from pathlib import Path

import pytest

from fsmbot.drawing.diagram import dot, edges, mermaid
from fsmbot.drawing.picture import Edge, Picture, Route, Shape, marked, picture
from fsmbot.drawing.visits import visits
from fsmbot.flow import Flow
from fsmbot.loader import parse_flow
from fsmbot.session import Session

FLOW = parse_flow("""\
name: demo
start: ask_user
on_error: sorry
nodes:
  ask_user: {next: check_greeting}
  check_greeting: {next: {greeting: "say \\"hi\\" <b>", other: end}, on_error: sorry}
  'say "hi" <b>': {handler: say, text: hi, next: end}
  sorry: {handler: say, text: Sorry, next: end}
""")


def test_mermaid_shows_shapes_outcomes_and_failures() -> None:
    """Listening nodes are round, deciding ones diamonds, failures dashed, markup is escaped."""
    assert (
        mermaid(FLOW)
        == """\
flowchart TD
    begin(( )) --> n1
    n1(["ask_user"])
    n2{"check_greeting"}
    n3["say #quot;hi#quot; #lt;b#gt; (say)"]
    n4["sorry (say)"]
    finish((("end")))
    n1 --> n2
    n2 -->|"greeting"| n3
    n2 -->|"other"| finish
    n2 -.->|"error"| n4
    n3 --> finish
    n4 --> finish
    begin -.->|"any error"| n4
"""
    )


def test_dot_shows_the_same_graph() -> None:
    """Names are quoted for DOT; the routes are those of the flow, and failures dashed and red."""
    text = dot(FLOW)
    assert 'n1 [label=<ask_user>, tooltip="Ask the user something, and wait for the answer."' in text
    assert "n3 [label=<say &quot;hi&quot; &lt;b&gt;<br/><font point-size=" in text
    (failure,) = [line for line in text.splitlines() if line.startswith("    n2 -> n4 ")]
    assert 'label=" error "' in failure
    assert 'style="dashed", color="#c62828"' in failure
    assert text.count(" -> ") == 1 + len(list(edges(FLOW)))


def test_a_tooltip_says_what_a_node_does() -> None:
    """Its description, or else its handler's summary; then the texts that it was given, shortened."""
    flow = parse_flow(f"""\
name: told
description: Greets.
start: a
nodes:
  a: {{handler: ask_user, prompt: Who is there?, next: b}}
  b: {{handler: say, description: Greets by name., text: [Hi!, "Hello,\\nyou!"], next: c}}
  c: {{handler: say, text: {"word " * 100}, next: end}}
""")
    tooltips = {shape.name: shape.tooltip for shape in picture(flow).nodes}
    assert tooltips["a"] == "Ask the user something, and wait for the answer.\nprompt: Who is there?"
    assert tooltips["b"] == "Greets by name.\ntext: Hi! | Hello, you!"
    assert tooltips[""] == "Greets."
    assert tooltips["c"].endswith("word …")
    assert len(tooltips["c"]) < 300


NESTED = Picture(
    "nested",
    (
        Shape("", "start", "start"),
        Shape("hello", "hello", "speaks", handler="say"),
        Shape("chat/ask", "ask", "listens", group=("chat",)),
        Shape("chat/deep/say", "say", "speaks", group=("chat", "deep")),
        Shape("pay", "pay", "subflow"),
        Shape("chat/check", "check", "decides", group=("chat",)),
        Shape("end", "end", "end"),
    ),
    (
        Edge("", "hello", ""),
        Edge("hello", "chat/ask", ""),
        Edge("chat/ask", "chat/check", ""),
        Edge("chat/check", "chat/deep/say", "yes"),
        Edge("chat/check", "pay", "no"),
        Edge("chat/deep/say", "chat/ask", ""),
        Edge("pay", "end", "paid"),
    ),
)


def test_mermaid_nests_groups() -> None:
    """A group stands where its first node does, with all its nodes and inner groups."""
    assert (
        mermaid(NESTED)
        == """\
flowchart TD
    begin(( )) --> n1
    n1["hello (say)"]
    subgraph n2_0["chat"]
        n2(["ask"])
        subgraph n3_1["deep"]
            n3["say"]
        end
        n5{"check"}
    end
    n4[["pay"]]
    finish((("end")))
    n1 --> n2
    n2 --> n5
    n5 -->|"yes"| n3
    n5 -->|"no"| n4
    n3 --> n2
    n4 -->|"paid"| finish
"""
    )


def test_dot_nests_groups() -> None:
    """Groups are clusters, one within the other, and a subflow has a double border."""
    lines = [line.strip().partition(" [")[0] for line in dot(NESTED).splitlines()]
    first = lines.index("subgraph cluster_n2_0 {")
    inside = [line for line in lines[first : lines.index("n4")] if line in ("n2", "n3", "n5", "}")]
    assert inside == ["n2", "n3", "}", "n5", "}"]
    assert lines[lines.index("n3") - 3] == "subgraph cluster_n3_1 {"
    assert 'n4 [label=<pay>, tooltip="pay", shape="box", peripheries="2"' in dot(NESTED)


VISITED = marked(
    picture(FLOW),
    {"ask_user", "check_greeting", "sorry"},
    {Route("ask_user", "", "check_greeting"), Route("check_greeting", "error", "sorry", failure=True)},
)


def test_marks_and_legend_tell_what_was_visited() -> None:
    """Nodes, routes, the start and the end; the legend counts those of the flow."""
    assert {shape.name for shape in VISITED.nodes if shape.mark} == {
        "",
        "ask_user",
        "check_greeting",
        "sorry",
    }
    assert [(e.source, e.target, e.label) for e in VISITED.edges if e.mark] == [
        ("", "ask_user", ""),
        ("ask_user", "check_greeting", ""),
        ("check_greeting", "sorry", "error"),
    ]
    assert all(thing.mark is not None for thing in (*VISITED.nodes, *VISITED.edges))
    assert VISITED.legend == "visited 3 of 4 nodes, 2 of 7 routes"


def test_an_arrow_for_every_outcome_is_marked_by_any() -> None:
    """`next: a` of a deciding node is one arrow, whatever the outcome was."""
    flow = parse_flow("""\
name: same
start: ask_user
nodes:
  ask_user: {next: check_greeting}
  check_greeting: {next: end}
""")
    seen = marked(picture(flow), {"check_greeting"}, {Route("check_greeting", "other", "end")})
    assert [e.source for e in seen.edges if e.mark] == ["check_greeting"]
    assert [s.name for s in seen.nodes if s.mark] == ["check_greeting", "end"]


def test_a_failure_without_a_route_of_its_own_takes_that_of_the_flow() -> None:
    """The flow's on_error is marked by nodes that have none, and by no other."""
    own = marked(picture(FLOW), set(), {Route("check_greeting", "error", "sorry", failure=True)})
    assert [e.label for e in own.edges if e.mark] == ["error"]
    other = marked(picture(FLOW), set(), {Route("ask_user", "error", "sorry", failure=True)})
    assert [e.label for e in other.edges if e.mark] == ["any error"]


def test_a_failure_and_an_outcome_to_the_same_node_are_two_routes() -> None:
    """One of them marks its own arrow alone."""
    shapes = (Shape("", "start", "start"), Shape("a", "a", "speaks"), Shape("b", "b", "speaks"))
    arrows = (Edge("a", "b", ""), Edge("a", "b", "error", failure=True))
    for failure in (False, True):
        seen = marked(Picture("p", shapes, arrows), {"a"}, {Route("a", "error", "b", failure)})
        assert [edge.failure for edge in seen.edges if edge.mark] == [failure]


def test_mermaid_styles_what_was_visited() -> None:
    """By classes for nodes and by number for arrows, with the legend in the title."""
    lines = mermaid(VISITED).splitlines()
    assert lines[:4] == [
        "---",
        'title: "demo: visited 3 of 4 nodes, 2 of 7 routes"',
        "---",
        "flowchart TD",
    ]
    assert lines[-6:] == [
        "    classDef visited stroke:#2e7d32,stroke-width:3px",
        "    class begin,n1,n2,n4 visited",
        "    linkStyle 0,1,4 stroke:#2e7d32,stroke-width:3px",
        "    classDef pale stroke:#cfd8dc,color:#90a4ae,fill:#fafafa",
        "    class n3,finish pale",
        "    linkStyle 2,3,5,6,7 stroke:#cfd8dc,color:#90a4ae",
    ]
    assert [line for line in lines if "->" in line][4] == '    n2 -.->|"error"| n4'


def test_a_flow_without_marks_has_no_styles() -> None:
    """Where nobody asks what was visited, nothing is green or pale."""
    for text in (mermaid(FLOW), dot(FLOW)):
        assert "#2e7d32" not in text
        assert "#90a4ae" not in text
        assert "visited" not in text


def test_a_title_cannot_break_out_of_mermaid() -> None:
    """Quotes and line breaks of a flow's name stay inside the title."""
    text = mermaid(Picture('a"\n---\nb', VISITED.nodes, VISITED.edges, "legend"))
    assert text.splitlines()[:3] == ["---", 'title: "a\\" --- b: legend"', "---"]


INTAKE = """\
start: ask
outcomes: [done, left]
nodes:
  ask: {handler: ask_user, next: check}
  check: {handler: match, cases: {leave: [stop]}, next: {leave: left, other: done}, on_error: sorry}
  sorry: {handler: say, text: Sorry, next: left}
"""
WITH_SUBFLOW = """\
start: intake
nodes:
  intake: {flow: intake.yaml, next: {done: end, left: bye}, on_error: bye}
  bye: {handler: say, text: Bye, next: end}
"""


@pytest.fixture
def with_subflow(tmp_path: Path) -> Flow:
    """A flow that runs another."""
    (tmp_path / "intake.yaml").write_text(INTAKE)
    return parse_flow(WITH_SUBFLOW, str(tmp_path / "f.yaml"))


def arrows(seen: Picture) -> set[tuple[str, str, str]]:
    """Return (from, to, label) of each arrow."""
    return {(edge.source, edge.target, edge.label) for edge in seen.edges}


def test_a_subflow_is_drawn_open(with_subflow: Flow) -> None:
    """Its nodes and ends stand in a group; it is entered at its start, and left at its ends."""
    seen = picture(with_subflow)
    groups = {shape.name: shape.group for shape in seen.nodes}
    inside = {"intake", "intake/ask", "intake/check", "intake/sorry", "intake/done", "intake/left"}
    assert {name for name, group in groups.items() if group == ("intake",)} == inside
    assert arrows(seen) == {
        ("", "intake", ""),
        ("intake", "intake/ask", ""),
        ("intake/ask", "intake/check", ""),
        ("intake/check", "intake/left", "leave"),
        ("intake/check", "intake/done", "other"),
        ("intake/check", "intake/sorry", "error"),
        ("intake/sorry", "intake/left", ""),
        ("intake/done", "end", "done"),
        ("intake/left", "bye", "left"),
        ("intake", "bye", "error"),
        ("bye", "end", ""),
    }


def test_a_subflow_may_be_drawn_closed(with_subflow: Flow) -> None:
    """As one node, whose outcomes are the ends."""
    seen = picture(with_subflow, depth=0)
    assert [shape.name for shape in seen.nodes] == ["", "intake", "bye", "end"]
    assert ("intake", "bye", "left") in arrows(seen)
    assert not any(shape.group for shape in seen.nodes)


@pytest.mark.parametrize("depth", [0, 1])
def test_a_way_through_a_subflow_is_marked(with_subflow: Flow, depth: int) -> None:
    """Into it, through it, and out by the end that was reached."""
    session = Session(with_subflow)
    found = visits([*session.start(), *session.send("stop")])
    seen = marked(picture(with_subflow, depth), found.nodes, found.routes)
    walked = {(edge.source, edge.target) for edge in seen.edges if edge.mark}
    inside = {("intake", "intake/ask"), ("intake/ask", "intake/check"), ("intake/check", "intake/left")}
    left = ("intake/left", "bye") if depth else ("intake", "bye")
    assert walked == {("", "intake"), left, ("bye", "end")} | (inside if depth else set())
    dark = {shape.name for shape in seen.nodes if shape.mark is False}
    assert dark == ({"intake/sorry", "intake/done"} if depth else set())
