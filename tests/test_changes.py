"""Whoever edits a flow is told what the edit changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from fsmbot.changes import changes
from fsmbot.loader import parse_flow
from fsmbot.watching import Watch, sources

FLOW = """\
start: ask
commands: {back: {words: [go back]}}
nodes:
  ask: {handler: ask_user, prompt: Yes?, next: check}
  check: {handler: match, cases: {a: [x]}, next: {a: bye, other: ask}}
  bye: {handler: say, text: Bye, next: end}
"""


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("Yes?", "And?", "node 'ask': prompt: 'Yes?' -> 'And?'"),
        ("other: ask", "other: bye", "node 'check': next.other: 'ask' -> 'bye'"),
        ("a: bye, other: ask", "otherwise: bye", "node 'check': next.a: 'bye' is gone"),
        ("text: Bye,", "text: Bye, on_error: ask,", "node 'bye': on_error: 'ask' is new"),
        ("text: Bye,", "text: Bye, retry: {times: 2},", "node 'bye': retry.times: 2 is new"),
        ("start: ask", "start: bye", "start: 'ask' -> 'bye'"),
        ("[go back]", "[back up]", "commands.back.words: ['go back'] -> ['back up']"),
        ("start: ask", "memory: {x: 1}\nstart: ask", "memory.x: 1 is new"),
        ("handler: say, text: Bye", "handler: ans_greeting", "node 'bye': handler: 'say' -> 'ans_greeting'"),
        ("Yes?", "Yes" * 99, "node 'ask': prompt: 'Yes?' -> '" + "Yes" * 18 + "Ye..."),
    ],
)  # fmt: skip
def test_each_change_is_named(old: str, new: str, line: str) -> None:
    """Node, key, what it was and what it is."""
    edited = FLOW.replace(old, new)
    if old == "start: ask" and "bye" in new:
        edited = edited.replace("next: end", "next: ask")
    assert line in list(changes(parse_flow(FLOW), parse_flow(edited)))


def test_nodes_that_come_and_go_are_named() -> None:
    """A node with another name is one that went and one that came."""
    lines = list(changes(parse_flow(FLOW), parse_flow(FLOW.replace("bye", "leave"))))
    assert {"node 'bye' is gone", "node 'leave' is new"} <= set(lines)


def test_an_edit_that_changes_nothing_has_no_lines() -> None:
    """Comments and order of keys do not matter."""
    assert list(changes(parse_flow(FLOW), parse_flow("# a comment\n" + FLOW))) == []


def test_changes_in_a_subflow_are_named_by_path(tmp_path: Path) -> None:
    """The edit may be in a file that the flow runs."""
    (tmp_path / "inner.yaml").write_text(FLOW)
    text = "start: a\nnodes:\n  a: {flow: inner.yaml, next: end}\n"
    old = parse_flow(text, str(tmp_path / "f.yaml"))
    (tmp_path / "inner.yaml").write_text(FLOW.replace("Yes?", "And?"))
    new = parse_flow(text, str(tmp_path / "f.yaml"))
    assert list(changes(old, new)) == ["node 'a/ask': prompt: 'Yes?' -> 'And?'"]
    assert sources(new) == {tmp_path / "f.yaml", tmp_path / "inner.yaml"}


def test_a_watch_tells_each_edit_once(tmp_path: Path) -> None:
    """An edit, a deletion, and the file coming back; a file that is newly watched is no edit."""
    file, other = tmp_path / "a", tmp_path / "b"
    file.write_text("1")
    other.write_text("1")
    files = [file]
    watch = Watch(lambda: files)
    assert watch.changed() == []
    file.write_text("22")
    assert watch.changed() == [file]
    assert watch.changed() == []
    files.append(other)
    assert watch.changed() == []
    file.unlink()
    assert watch.changed() == [file]
    file.write_text("22")
    assert watch.changed() == [file]
