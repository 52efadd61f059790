"""Which nodes and routes were walked, and which are missing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from fsmbot.events import Failed, Routed
from fsmbot.flow import Flow
from fsmbot.loader import parse_flow
from fsmbot.session import Session
from fsmbot.testing.coverage import Route, coverage_of, parts_of, walked
from fsmbot.testing.runner import ScriptResult


def test_every_node_and_every_way_out_of_it_counts(sample: Flow) -> None:
    """Outcomes, ways on failure, and the flow's own on_error once."""
    assert [str(part) for part in parts_of(sample)] == [
        *("ask", "sort", "count", "echo", "oops", "sorry"),
        "ask -> sort",
        "sort number -> count",
        "sort word -> echo",
        "count -> ask",
        "count on_error -> oops",
        "echo -> ask",
        "oops -> ask",
        "sorry -> end",
        "any node on_error -> sorry",
    ]


def test_routes_count_as_they_are_written(sample: Flow) -> None:
    """One target for all outcomes is one route, and so is `otherwise`; any outcome of it covers it."""
    rest = {"number": "count", "otherwise": "echo"}
    for written, outcome in (("echo", ""), (rest, "otherwise")):
        nodes = {**sample.nodes, "sort": msgspec.structs.replace(sample.nodes["sort"], next=written)}
        flow, route = msgspec.structs.replace(sample, nodes=nodes), Route("sort", outcome, "echo")
        assert [part for part in parts_of(flow) if str(part).startswith("sort ")][-1] == route
        assert route in set(walked(flow, [Routed("sort", "word", "echo")]))


INNER = """\
start: say
on_error: sorry
nodes:
  say: {text: Hello, next: end}
  sorry: {handler: say, text: Sorry, next: end}
"""
OUTER = "start: hi\nnodes:\n  hi: {flow: inner.yaml, next: ask_user}\n  ask_user: {next: hi}\n"


def test_a_subflow_is_covered_with_the_flow_that_runs_it(tmp_path: Path) -> None:
    """Its nodes and routes by their paths; failures inside by the on_error that took over."""
    (tmp_path / "inner.yaml").write_text(INNER)
    flow = parse_flow(OUTER, str(tmp_path / "outer.yaml"))
    assert [str(part) for part in parts_of(flow)] == [
        *("hi", "hi/say", "hi/sorry", "ask_user"),
        "hi/say -> hi/end",
        "hi/sorry -> hi/end",
        "hi on_error -> hi/sorry",
        "hi -> ask_user",
        "ask_user -> hi",
    ]
    events = [*Session(flow).start(), Failed("hi/say", "ValueError: x", "hi/sorry")]
    missing = coverage_of(flow, walked(flow, events)).missing
    assert [str(part) for part in missing] == ["hi/sorry", "hi/sorry -> hi/end", "ask_user -> hi"]


def test_a_subflow_with_tests_of_its_own_counts_as_one_node(tmp_path: Path) -> None:
    """It is covered there, and not once more by every flow that runs it."""
    (tmp_path / "inner.yaml").write_text(INNER)
    (tmp_path / "inner.test.yaml").write_text("tests: {}")
    flow = parse_flow(OUTER, str(tmp_path / "outer.yaml"))
    assert [str(part) for part in parts_of(flow)] == ["hi", "ask_user", "hi -> ask_user", "ask_user -> hi"]


def test_a_way_that_nobody_can_take_does_not_count(sample: Flow) -> None:
    """A node's on_error that names itself, and the flow's where every node has its own."""
    nodes = {
        name: msgspec.structs.replace(node, on_error="sorry" if name != "oops" else "oops")
        for name, node in sample.nodes.items()
    }
    failures = [p for p in parts_of(msgspec.structs.replace(sample, nodes=nodes)) if isinstance(p, Route)]
    assert Route("", "", "sorry", failure=True) not in failures
    assert not [route for route in failures if route.failure and route.source == "oops"]


def test_what_was_walked_is_told_apart_from_what_was_not(run: Callable[[str], ScriptResult]) -> None:
    """A failure covers the node's own on_error, or else the flow's."""
    covered = run('tests: {t: [{user: "13"}, {user: a}]}').coverage
    assert [str(part) for part in covered.missing] == [
        "sorry",
        "count -> ask",
        "sorry -> end",
        "any node on_error -> sorry",
    ]
    assert str(covered) == "5 of 6 nodes, 6 of 9 routes (73%)"
    covered = run('tests: {t: [{user: "13"}, {user: "1"}, {user: a}, {user: boom}]}').coverage
    assert covered.missing == []
    assert covered.percent == 100


def test_percent_is_rounded_down(sample: Flow) -> None:
    """99.9% never reads as all of it."""
    parts = parts_of(sample)
    assert "93%" in str(coverage_of(sample, parts[:-1]))
    assert 93.3 < coverage_of(sample, parts[:-1]).percent < 93.4


def test_names_of_nodes_are_opaque(sample: Flow) -> None:
    """A node may be called chat/ask, and one that the flow does not know breaks nothing."""
    from fsmbot.events import Entered, Failed

    events = [Entered("chat/ask"), Failed("chat/ask", "x", "sorry")]
    assert list(walked(sample, events)) == ["chat/ask", Route("", "", "sorry", failure=True)]
