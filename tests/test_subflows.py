"""A node may run another flow: its ends are outcomes, its memory is its own, its nodes have paths."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fsmbot.errors import FlowError, HandlerError, StateError
from fsmbot.events import Ended, Entered, Failed, Listening, Routed, Said
from fsmbot.flow import Flow
from fsmbot.flowfile.room import MAX_NODES
from fsmbot.loader import load_flow
from fsmbot.registry import Registry, load_builtins
from fsmbot.session import Session
from fsmbot.turn import State, Turn

INTAKE = """\
start: ask_name
outcomes: [done, left]
memory: {tries: none}
nodes:
  ask_name: {handler: ask_user, prompt: Your name?, remember: name, next: check}
  check: {handler: match, cases: {leave: [never mind]}, next: {leave: left, other: thank}}
  thank: {handler: say, text: "Thanks, {name}.", next: done}
"""
OUTER = """\
start: intake
nodes:
  intake: {flow: intake.yaml, next: {done: greet, left: again}}
  greet: {handler: say, text: "You are {intake/name}.", next: again}
  again: {handler: ask_user, prompt: Again?, remember: wish, next: intake}
"""


@pytest.fixture
def write(tmp_path: Path) -> Any:
    """A function that writes flow files and loads the first of them."""

    def load(registry: Registry | None = None, **files: str) -> Flow:
        for name, text in files.items():
            (tmp_path / f"{name}.yaml").write_text(text)
        return load_flow(tmp_path / f"{next(iter(files))}.yaml", registry)

    return load


def test_a_subflow_is_entered_and_left_like_a_node(write: Any) -> None:
    """Its nodes are named by their paths, and the node that runs it is left by the outcome."""
    session = Session(write(outer=OUTER, intake=INTAKE))
    assert list(session.start()) == [
        Entered("intake"),
        Entered("intake/ask_name"),
        Said("intake/ask_name", "Your name?"),
        Listening("intake/ask_name"),
    ]
    assert list(session.send("Ada")) == [
        Routed("intake/ask_name", "", "intake/check"),
        Entered("intake/check"),
        Routed("intake/check", "other", "intake/thank"),
        Entered("intake/thank"),
        Said("intake/thank", "Thanks, Ada."),
        Routed("intake/thank", "", "intake/done"),
        Routed("intake", "done", "greet"),
        Entered("greet"),
        Said("greet", "You are Ada."),
        Routed("greet", "", "again"),
        Entered("again"),
        Said("again", "Again?"),
        Listening("again"),
    ]


def test_each_end_is_an_outcome_of_its_own(write: Any) -> None:
    """The end that was reached decides where the outer flow goes."""
    session = Session(write(outer=OUTER, intake=INTAKE))
    assert session.say("never mind") == "Again?"


def test_a_subflow_has_a_memory_of_its_own(write: Any) -> None:
    """It lies under the node's name, begins as the subflow says each time, and stays to be read."""
    session = Session(write(outer=OUTER, intake=INTAKE))
    session.say("Ada")
    assert session.state.memory == {"intake": {"tries": "none", "name": "Ada"}}
    session.say("yes")
    assert session.state.memory == {"wish": "yes", "intake": {"tries": "none"}}


def test_a_session_resumes_inside_a_subflow(write: Any) -> None:
    """State goes through JSON at a node within, with both memories."""
    flow = write(outer=OUTER, intake=INTAKE)
    first = Session(flow)
    first.say("Ada")
    first.say("yes")
    second = Session(flow, state=State.from_json(first.state.to_json()))
    assert second.state.node == "intake/ask_name"
    assert second.say("Bob") == "Thanks, Bob.\nYou are Bob.\nAgain?"
    assert second.state.memory["wish"] == "yes"


def test_a_flow_with_named_ends_also_runs_by_itself(write: Any) -> None:
    """The last event says by which end it ended."""
    session = Session(write(intake=INTAKE))
    assert list(session.send("Ada"))[-1] == Ended("thank", "done")
    assert session.state.status == "ended"


def test_a_subflow_without_named_ends_has_one_way_out(write: Any) -> None:
    """Its end is the outer flow's next."""
    outer = "start: hello\nnodes:\n  hello: {flow: hello.yaml, next: end}\n"
    flow = write(outer=outer, hello="start: say\nnodes:\n  say: {text: Hello, next: end}\n")
    assert list(Session(flow).start())[2:] == [
        Said("hello/say", "Hello"),
        Routed("hello/say", "", "hello/end"),
        Routed("hello", "", "end"),
        Ended("hello"),
    ]


def failing() -> Registry:
    """Return a registry with a handler that fails."""
    registry = Registry(dict(load_builtins().handlers))

    @registry.handler
    def fail(turn: Turn) -> Iterator[str]:
        turn.memory["touched"] = True
        yield "I am about to "
        raise ValueError("break")

    return registry


FAILING = (
    "start: fail\n{top}nodes:\n  fail: {{next: end{own}}}\n  own: {{handler: say, text: Mine, next: end}}\n"
)


@pytest.mark.parametrize(
    ("top", "own", "outer", "target"),
    [
        ("", ", on_error: own", "", "in/own"),
        ("on_error: own\n", "", "", "in/own"),
        ("", "", ", on_error: sorry", "sorry"),
    ],
)
def test_a_failure_inside_goes_to_the_nearest_on_error(
    write: Any, top: str, own: str, outer: str, target: str
) -> None:
    """First the node's, then its flow's, then that of the node that runs the flow."""
    inner = FAILING.format(top=top, own=own)
    if target == "sorry":
        inner = inner.replace("  own: {handler: say, text: Mine, next: end}\n", "")
    text = f"start: in\nnodes:\n  in: {{flow: inner.yaml, next: end{outer}}}\n"
    text += "  sorry: {handler: say, text: Sorry, next: end}\n" if outer else ""
    events = list(Session(write(failing(), outer=text, inner=inner)).start())
    assert Failed("in/fail", "ValueError: break", target) in events
    assert isinstance(events[-1], Ended)


def test_a_failure_that_nobody_takes_over_names_the_path(write: Any) -> None:
    """The error says which node of which subflow it was."""
    inner = "start: fail\nnodes:\n  fail: {next: end}\n"
    flow = write(failing(), outer="start: in\nnodes:\n  in: {flow: inner.yaml, next: end}\n", inner=inner)
    with pytest.raises(HandlerError, match="node 'in/fail'"):
        list(Session(flow).start())


def problems(write: Any, **files: str) -> list[str]:
    """Return the mistakes, without the folder."""
    with pytest.raises(FlowError) as caught:
        write(**files)
    folder = str(Path(caught.value.source).parent)
    return [line.replace(f"{folder}/", "") for line in str(caught.value).splitlines()]


def test_the_mistakes_of_a_subflow_are_reported_where_they_stand(write: Any) -> None:
    """With its own file, line and column, after those of the flow that runs it."""
    assert problems(write, outer=OUTER, intake=INTAKE.replace("other: thank}", "other: thnk}")) == [
        "outer.yaml:3:18: node 'intake': flow 'intake.yaml' has a mistake",
        "intake.yaml:6:84: node 'check': outcome 'other' goes to unknown node 'thnk'; did you mean 'thank'?",
    ]


def test_every_outcome_of_a_subflow_must_be_routed(write: Any) -> None:
    """As for a handler: none is forgotten, none made up."""
    changed = OUTER.replace("{done: greet, left: again}", "{done: greet, lft: again}")
    assert problems(write, outer=changed, intake=INTAKE) == [
        "outer.yaml:3:51: node 'intake': flow 'intake.yaml' has no outcome 'lft'; did you mean 'left'?"
    ]


LOOP = "start: a\nnodes:\n  a: {flow: b.yaml, next: end}\n"


def test_flows_never_run_in_a_circle(write: Any) -> None:
    """The circle is named."""
    lines = problems(write, a=LOOP, b=LOOP.replace("b.yaml", "a.yaml"))
    assert lines[-1] == "b.yaml:3:13: node 'a': a flow cannot run itself: a.yaml -> b.yaml -> a.yaml"


def test_flows_are_no_deeper_than_a_limit(write: Any) -> None:
    """Eight flows may run inside one another, not nine."""
    say = "start: say\nnodes:\n  say: {text: Deep, next: end}\n"
    files = {f"f{i}": LOOP.replace("b.yaml", f"f{i + 1}.yaml") for i in range(8)}
    flow = write(**files, f8=say)
    assert Said("a/" * 8 + "say", "Deep") in Session(flow).start()
    assert "a/" * 8 + "say" in flow.places
    files = {f"f{i}": LOOP.replace("b.yaml", f"f{i + 1}.yaml") for i in range(9)}
    assert "would be more than 8 flows deep" in problems(write, **files, f9=say)[-1]


def test_a_few_small_files_do_not_make_a_huge_flow(write: Any) -> None:
    """Seven files that each run the next ten times would be ten million nodes; it is refused at once."""
    nodes = "".join(
        f"  n{i}: {{flow: NEXT.yaml, next: {f'n{i + 1}' if i < 9 else 'end'}}}\n" for i in range(10)
    )
    files = {f"f{i}": "start: n0\nnodes:\n" + nodes.replace("NEXT", f"f{i + 1}") for i in range(7)}
    lines = problems(write, **files, f7="start: say\nnodes:\n  say: {text: x, next: end}\n")
    assert f"at most {MAX_NODES:,} may be" in "\n".join(lines)


@pytest.mark.parametrize(
    "name", ["../secret.yaml", "/etc/passwd", "sub/../../secret.yaml", "link/secret.yaml"]
)
def test_no_file_outside_of_the_folder_is_read(tmp_path: Path, name: str) -> None:
    """Neither by dots, nor absolutely, nor through a link; nothing of the file is shown."""
    (tmp_path / "secret.yaml").write_text("canary: true")
    flows = tmp_path / "flows"
    (flows / "sub").mkdir(parents=True)
    (flows / "link").symlink_to(tmp_path)
    (flows / "f.yaml").write_text(LOOP.replace("b.yaml", name))
    with pytest.raises(FlowError) as caught:
        load_flow(flows / "f.yaml")
    assert len(caught.value.problems) == 1
    assert "canary" not in str(caught.value)


def test_a_silent_loop_through_a_subflow_is_found(write: Any) -> None:
    """The checks see through the flows that a flow runs."""
    outer = "start: a\nnodes:\n  a: {flow: hello.yaml, next: b}\n  b: {handler: say, text: x, next: a}\n"
    assert problems(write, outer=outer, hello="start: say\nnodes:\n  say: {text: Hello, next: end}\n") == [
        "outer.yaml:3:3: node 'a': the loop a -> a/say -> a/end -> b -> a never listens to the user; "
        "route it through a listening node such as ask_user"
    ]


def test_a_loop_through_a_listening_subflow_is_fine(write: Any) -> None:
    """What listens inside lets the loop rest."""
    assert write(outer=OUTER, intake=INTAKE).start == "intake"


def test_nothing_is_remembered_where_a_subflow_remembers(write: Any) -> None:
    """One of the two would be lost."""
    lines = problems(write, outer=OUTER.replace("remember: wish", "remember: intake"), intake=INTAKE)
    assert lines == [
        "outer.yaml:5:56: node 'again': 'intake' is where the flow of node 'intake' remembers; "
        "choose another name"
    ]


def test_a_state_inside_a_subflow_that_is_gone_is_refused(write: Any) -> None:
    """As for any node that no longer stands."""
    session = Session(write(outer=OUTER, intake=INTAKE))
    list(session.start())
    changed = write(outer=OUTER, intake=INTAKE.replace("ask_name", "ask_it"))
    with pytest.raises(StateError, match="waits at node 'intake/ask_name'"):
        Session(changed, state=session.state)


def test_settings_of_resources_come_from_the_outer_flow_first(write: Any, tmp_path: Path) -> None:
    """A subflow's settings count where the flow that runs it has none."""
    for name in ("mine", "yours"):
        (tmp_path / name).mkdir()
    inner = "start: say\nresources: {doctor: {adapter: mine}, vectors: {path: mine}}\n"
    inner += "nodes:\n  say: {text: x, next: end}\n"
    outer = "start: a\nresources: {doctor: {adapter: yours}}\nnodes:\n  a: {flow: inner.yaml, next: end}\n"
    flow = write(outer=outer, inner=inner)
    assert flow.resources["doctor"]["adapter"] == tmp_path / "yours"
    assert flow.resources["vectors"]["path"] == tmp_path / "mine"


def test_a_failing_error_node_is_taken_over_from_outside(write: Any) -> None:
    """The flow's own on_error cannot take over its own failure; that of the flow around can."""
    inner = "start: fail\non_error: fail\nnodes:\n  fail: {next: end}\n"
    outer = "start: in\non_error: rescue\nnodes:\n  in: {flow: inner.yaml, next: end}\n"
    outer += "  rescue: {handler: say, text: Here I am, next: end}\n"
    events = list(Session(write(failing(), outer=outer, inner=inner)).start())
    assert Failed("in/fail", "ValueError: break", "rescue") in events
    assert Said("rescue", "Here I am") in events


def test_a_form_may_be_tried_again_after_a_failure(write: Any) -> None:
    """`on_error` of a node that runs a listening flow is no silent loop."""
    outer = "start: form\nnodes:\n  form: {flow: intake.yaml, next: end, on_error: sorry}\n"
    outer += "  sorry: {handler: say, text: Once more, next: form}\n"
    assert "sorry" in write(outer=outer, intake=INTAKE).nodes


def test_max_steps_counts_nodes_and_no_doors(write: Any) -> None:
    """Going into a flow and out of it is no visit."""
    outer = "start: a\nmax_steps: 2\nnodes:\n  a: {flow: hello.yaml, next: b}\n"
    outer += "  b: {handler: say, text: B, next: end}\n"
    flow = write(outer=outer, hello="start: say\nnodes:\n  say: {text: Hello, next: end}\n")
    assert isinstance(list(Session(flow).start())[-1], Ended)


def test_the_depth_does_not_depend_on_the_order(write: Any) -> None:
    """A flow that was read already, for a place where it fits, is still too deep elsewhere."""
    chain = {f"c{i}": LOOP.replace("b.yaml", f"c{i + 1}.yaml") for i in range(1, 8)}
    chain["c8"] = "start: say\nnodes:\n  say: {text: Deep, next: end}\n"
    chain["w1"] = LOOP.replace("b.yaml", "c1.yaml")
    first, second = "x: {flow: c1.yaml, next: y}", "y: {flow: w1.yaml, next: end}"
    both = f"start: x\nnodes:\n  {first}\n  {second}\n"
    turned = f"start: y\nnodes:\n  {second.replace('end', 'x')}\n  {first.replace('next: y', 'next: end')}\n"
    assert "more than 8 flows deep" in "\n".join(problems(write, outer=both, **chain))
    assert "more than 8 flows deep" in "\n".join(problems(write, outer=turned, **chain))


def test_subflows_must_agree_about_what_they_share(write: Any, tmp_path: Path) -> None:
    """There is one of each resource; where two flows want it otherwise, the outer one has to say."""
    for name in ("mine", "yours"):
        (tmp_path / name).mkdir()
    inner = "start: say\nresources: {doctor: {adapter: ADAPTER}}\nnodes:\n  say: {text: x, next: end}\n"
    files = {"one": inner.replace("ADAPTER", "mine"), "two": inner.replace("ADAPTER", "yours")}
    outer = "start: a\nnodes:\n  a: {flow: one.yaml, next: b}\n  b: {flow: two.yaml, next: end}\n"
    (line,) = problems(write, outer=outer, **files)
    assert line.startswith("outer.yaml:4:3: node 'b': its flow sets resource 'doctor' otherwise")
    flow = write(outer="resources: {doctor: {adapter: yours}}\n" + outer, **files)
    assert flow.resources["doctor"]["adapter"] == tmp_path / "yours"
