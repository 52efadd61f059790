"""A flow draws as Mermaid and DOT text, whatever its names hold."""

from __future__ import annotations

from fsmbot.diagram import dot, edges, mermaid
from fsmbot.loader import parse_flow

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
    """Names are quoted for DOT; the routes are those of the flow."""
    text = dot(FLOW)
    assert 'n3 [shape=box, label="say \\"hi\\" <b> (say)"];' in text
    assert 'n2 -> n4 [label="error", style=dashed];' in text
    assert text.count(" -> ") == 1 + len(list(edges(FLOW)))
