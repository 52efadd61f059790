"""A flow is edited under a saved session: it goes on, or says which node is missing."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from fsmbot.channels import run_plain
from fsmbot.events import Listening
from fsmbot.flow import Flow
from fsmbot.loader import load_flow
from fsmbot.stores.sqlite import SQLiteStore
from fsmbot.turn import State

FLOWS = Path(__file__).parent.parent.parent / "flows"
NAMES = ("doctor", "clinic", "faq", "intake")


def renamed(text: str, node: str) -> str:
    """Return a flow file in which a node has another name, wherever it is named; the handler stays."""
    tree = yaml.compose(text)
    top = entries(tree)
    targets = [top["start"], *([top["on_error"]] if "on_error" in top else [])]
    for key, value in top["nodes"].value:
        inner = entries(value)
        if key.value == node:
            key.value = f"{node}_anew"
            if not {"handler", "flow"} & set(inner):
                value.value.append((scalar("handler"), scalar(node)))
        targets += [inner[name] for name in ("next", "on_error") if name in inner]
    for target in targets:
        for leaf in entries(target).values() if isinstance(target, yaml.MappingNode) else [target]:
            if leaf.value == node:
                leaf.value = f"{node}_anew"
    return yaml.serialize(tree, width=10_000).replace(f"{node}/", f"{node}_anew/")  # what it remembers


def entries(tree: yaml.Node) -> dict[str, yaml.Node]:
    """Return the values of a map by their keys."""
    return {key.value: value for key, value in tree.value} if isinstance(tree, yaml.MappingNode) else {}


def scalar(text: str) -> yaml.ScalarNode:
    """Return a node of text."""
    return yaml.ScalarNode("tag:yaml.org,2002:str", text)


def edited(folder: Path, name: str, node: str) -> Flow:
    """Return one of the flows with a node of another name, read from a file beside its subflows."""
    path = folder / f"{name}.yaml"
    path.write_text(renamed((FLOWS / f"{name}.yaml").read_text(), node))
    return load_flow(path)


def waits(flow: Flow) -> Iterator[str]:
    """Yield the paths of all the nodes at which a session may wait."""
    return (path for path, step in flow.steps.items() if step.listens)


def goes_on(store: SQLiteStore, before: Flow, waiting: str, after: Flow) -> str:
    """Let a session that waits at a node of one flow go on in another; return what is said without
    any message."""
    store.rewind("ada", -1)
    state = State(waiting, "listening", flow=before.fingerprint)
    store.commit("ada", state, [Listening(waiting)])
    out, err = io.StringIO(), io.StringIO()
    run_plain(after, io.BytesIO(), out, err, store=store, name="ada")
    kept = store.load("ada")
    assert kept == state
    return out.getvalue() + err.getvalue()


@pytest.mark.promise(
    3, "a flow edited under a saved session: it resumes, or names the lost node and offers /reset"
)
def test_every_node_that_waits_under_every_renaming(tmp_path: Path, reached: Callable[[str], None]) -> None:
    """Every listening node of the example flows, each with every top-level node renamed."""
    for path in FLOWS.glob("*.yaml"):
        (tmp_path / path.name).write_text(path.read_text())
    store, resumed, named = SQLiteStore(tmp_path / "s.db"), 0, 0
    for name in NAMES:
        before = load_flow(FLOWS / f"{name}.yaml")
        for node in before.nodes:
            after = edited(tmp_path, name, node)
            for waiting in waits(before):
                told = goes_on(store, before, waiting, after)
                if waiting in after.steps:
                    assert told == f"note: flow '{before.name}' has changed since this session's last turn\n"
                    resumed += 1
                else:
                    assert f"waits at node '{waiting}', which is no longer a listening node" in told
                    assert told.endswith("or begin anew (/reset)\n")
                    named += 1
    assert named > 10
    reached(f"{resumed + named:,} of {resumed + named:,}: {resumed:,} resumed and told, {named:,} named")
