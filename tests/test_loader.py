"""Every mistake in a flow file is reported at once, at its line and column, with what to do."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fsmbot.errors import FlowError
from fsmbot.flow import Flow
from fsmbot.loader import load_flow, parse_flow
from fsmbot.registry import Registry
from fsmbot.turn import Turn

registry = Registry()


@registry.handler(listens=True)
def ask(turn: Turn, *, prompt: str = "?") -> Iterator[str]:
    yield prompt


@registry.handler
def check(
    turn: Turn, *, threshold: float = 0.5, words: list[str] | None = None
) -> Literal["medical", "other"]:
    return "other"


@registry.handler
def tell(turn: Turn, *, text: str, times: int = 1, tone: Literal["warm", "dry"] = "warm") -> Iterator[str]:
    yield text


@registry.resource
def doctor(*, adapter: Path | None = None) -> object: ...


def problems(text: str) -> list[str]:
    """Return the messages for a flow file, without the file's name."""
    with pytest.raises(FlowError) as caught:
        parse_flow(text, "f.yaml", registry)
    lines = str(caught.value).splitlines()
    assert all(line.startswith("f.yaml:") for line in lines)
    return [line.removeprefix("f.yaml:") for line in lines]


GOOD = """\
name: good
start: ask
nodes:
  ask: {prompt: Yes?, next: check}
  check: {threshold: 0.3, next: {medical: say_it, other: end}}
  say_it: {handler: tell, text: See a doctor, next: ask}
"""


def test_a_good_flow_loads() -> None:
    """A flow without mistakes comes back as frozen data with converted settings."""
    flow = parse_flow(GOOD, "f.yaml", registry)
    assert (flow.name, flow.start, list(flow.nodes)) == ("good", "ask", ["ask", "check", "say_it"])
    assert flow.nodes["check"].settings == {"threshold": 0.3}
    assert flow.nodes["check"].routes() == {"medical": "say_it", "other": "end"}
    with pytest.raises(TypeError):
        flow.nodes["new"] = flow.nodes["ask"]  # type: ignore[index]
    with pytest.raises(AttributeError):
        flow.start = "check"  # type: ignore[misc]


def test_every_mistake_is_reported_at_once_in_the_order_of_the_file() -> None:
    """One look shows all that must be mended."""
    text = """\
strat: ask
nodes:
  ask: {promt: Yes?, next: chek}
  check: {threshold: high, next: {medcal: tell, other: end}}
  tell: {next: end}
"""
    assert problems(text) == [
        "1:1: a flow has no key 'strat'; did you mean 'start'?",
        "3:9: node 'ask': handler 'ask' has no setting 'promt'; did you mean 'prompt'?",
        "3:28: node 'ask': next goes to unknown node 'chek'; did you mean 'check'?",
        "4:22: node 'check': setting 'threshold': expected a number (0.5 if left out), not the text 'high'",
        "4:35: node 'check': handler 'check' has no outcome 'medcal'; did you mean 'medical'?",
        "5:9: node 'tell': handler 'tell' needs the setting 'text', which is text",
    ]


def node(text: str) -> str:
    """Return a flow whose second node, in line 4, is under test."""
    return f"start: ask\nnodes:\n  ask: {{next: tested}}\n  tested: {text}\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "1:1: the file is empty; a flow file is a map with the keys 'name', 'start' and 'nodes'"),
        ("- a", "1:1: a flow file is a map with the keys 'name', 'start' and 'nodes'"),
        ("start: x", "1:1: 'nodes' must map each node's name to its keys, but there are none; such as "
                     "`greet: {handler: say, text: Hello!, next: end}`"),
        ("start: x\nnodes: 3", "2:8: 'nodes' must map each node's name to its keys, not the number 3; "
                               "such as `greet: {handler: say, text: Hello!, next: end}`"),
        ("start: asc\nnodes:\n  ask: {next: end}",
         "1:8: start names unknown node 'asc'; did you mean 'ask'?"),
        (node("{next: end}"), "4:3: node 'tested': unknown handler 'tested' (without 'handler:', a "
                              "node's name is its handler's); known: ask, check, tell (if it is "
                              "your own, name its module with --handlers)"),
        (node("{handler: tel, text: x, next: end}"),
         "4:21: node 'tested': unknown handler 'tel'; did you mean 'tell'? (if it is your own, name its "
         "module with --handlers)"),
        (node("{handler: 3, next: end}"), "4:21: node 'tested': 'handler' must be text, not the "
                                             "number 3; put it in quotes to make it text"),
        (node("{handler: tell, text: x}"), "4:3: node 'tested' has no 'next'; name the node that "
                                                         "follows, or 'end'"),
        (node("{handler: tell, text: x, next: true}"),
         "4:42: node 'tested': 'next' must lead to a node's name, not the boolean true"),
        (node("{handler: tell, text: x, next: {}}"),
         "4:42: node 'tested': 'next' is empty; name a node, or map each outcome to one"),
        (node("{handler: tell, text: x, next: [end]}"),
         "4:42: node 'tested': 'next' must lead to a node's name, not a list; write end "
         "without the brackets"),
        (node("{handler: tell, text: x, next: {medical: end}}"),
         "4:36: node 'tested': handler 'tell' has one way out; let next name one node"),
        (node("{handler: check, next: {medical: end}}"),
         "4:28: node 'tested': next does not cover outcome 'other'; add it, or 'otherwise' for the rest"),
        (node("{handler: check, next: {medical: end, other: end, otherwise: end}}"),
         "4:61: node 'tested': 'otherwise' covers nothing; every outcome is named already, so remove it"),
        (node("{handler: tell, text: [a], next: end}"),
         "4:33: node 'tested': setting 'text': expected text, not a list"),
        (node("{handler: tell, text: x, tone: c, next: end}"),
         "4:42: node 'tested': setting 'tone': expected 'warm' or 'dry', not the text 'c'"),
        (node("{handler: tell, text: x, times: 2.5, next: end}"),
         "4:43: node 'tested': setting 'times': expected a whole number (1 if left out), "
         "not the number 2.5"),
        (node("{handler: check, words: x, next: end}"),
         "4:35: node 'tested': setting 'words': expected a list of texts or nothing, "
         "not the text 'x'; write [x]"),
        (node("{handler: tell, text: x, next: end, timeout: 0}"),
         "4:56: node 'tested': 'timeout' must be a number of seconds above 0, at most 3600, "
         "not the number 0"),
        (node("{handler: tell, text: x, next: end, remember: a}"),
         "4:47: node 'tested': 'remember' keeps the user's answer, but handler 'tell' does not listen; "
         "remove it"),
        (node("{handler: tell, text: x, next: end, on_error: tsted}"),
         "4:57: node 'tested': on_error goes to unknown node 'tsted'; did you mean 'tested'?"),
        (node("{handler: tell, text: x, next: tested}"),
         "4:3: node 'tested': the loop tested -> tested never listens to the user; route it through a "
         "listening node such as ask_user"),
        (node("text"), "4:11: node 'tested' must be a map such as {next: end}, "
                       "not the text 'text'; did you mean {next: text}?"),
        ("start: ask\nnodes:\n  ask: {next: end}\n  end: {handler: ask, next: end}",
         "4:3: 'end' is the end of every conversation; name the node otherwise"),
        ("start: ask\nnodes:\n  ask: {next: end}\n  two: {handler: ask, next: end}",
         "4:3: node 'two' is never reached; route to it or remove it"),
        ("start: ask\nnodes:\n  ask: {next: end}\non_error: sory",
         "4:11: the flow's on_error goes to unknown node 'sory'; known: ask, end"),
        ("start: ask\nmax_steps: 0\nnodes:\n  ask: {next: end}",
         "2:12: the flow: 'max_steps' must be a whole number from 1, not the number 0"),
        ("start: ask\nresources: {docter: {}}\nnodes:\n  ask: {next: end}",
         "2:13: unknown resource 'docter'; did you mean 'doctor'?"),
        ("start: ask\nresources: {doctor: {adaptor: .}}\nnodes:\n  ask: {next: end}",
         "2:22: resource 'doctor' has no setting 'adaptor'; did you mean 'adapter'?"),
        ("start: ask\nnodes:\n  ask: {next: end}\n  ask: {next: end}",
         "4:3: key 'ask' is given twice; it stands already in line 3"),
        ("start: ask\nnodes:\n  true: {handler: ask, next: end}\n  ask: {next: end}",
         "3:3: key true is not text; put it in quotes"),
        ("start: ask\nnodes:\n\task: {next: end}",
         "3:1: a tab; indent with spaces"),
        ("start: &a ask\nnodes:\n  ask: {next: end}", "1:8: anchor '&a' is not allowed; remove it, or put a "
                                                    "text that begins with '&' in quotes"),
        ("start: *a", "1:8: alias '*a' is not allowed; write the value out, or put a text that begins "
                      "with '*' in quotes"),
        ("start: !!python/name:os.system ask\nnodes:\n  ask: {next: end}",
         "1:8: tag '!!python/name:os.system' is not allowed; remove it, or put a text that begins with "
         "'!' in quotes"),
        ("<<: {a: b}\nstart: ask\nnodes:\n  ask: {next: end}",
         "1:1: merge key '<<' is not allowed; write the keys out"),
        ("start: 'ask\n", "1:8: the quote that opens here is never closed"),
        ("start: a: b", "1:9: a second ':' in one line; put a text with ':' in it in quotes, or begin "
                        "a new line for each key"),
        ("start: a\n---\nstart: b", "2:1: a second document begins; a file holds one, so "
                                      "remove the '---'"),
        ("a: " + "[" * 50, "1:43: nested deeper than 40 levels"),
        ("a: \x07", "1:4: character U+0007 is not allowed; remove it"),
        ("#" * 1_000_001, "1:1: the file has more than 1,000,000 bytes, and no more are read"),
    ],
)  # fmt: skip
def test_each_mistake_has_its_message(text: str, expected: str) -> None:
    """What was expected, what was found, where, and what to do."""
    assert problems(text) == [expected]


def test_a_node_that_cannot_get_out_is_reported_beside_the_loop_it_runs_into() -> None:
    """A loop is named once; what only leads into it is told that there is no way out."""
    text = """\
start: a
nodes:
  a: {handler: tell, text: x, next: b}
  b: {handler: tell, text: x, next: c}
  c: {handler: tell, text: x, next: b}
"""
    assert problems(text) == [
        "3:3: node 'a': no way leads from it to a listening node or to 'end'",
        "4:3: node 'b': the loop b -> c -> b never listens to the user; route it through a listening "
        "node such as ask_user",
    ]


def test_yaml_traps_are_closed() -> None:
    """`yes`, `no`, `on`, `off`, octal and sexagesimal numbers stay the text that was written."""
    for word in ("yes", "no", "on", "off", "012", "12:30", "0x1f", "1_000", "2026-01-01"):
        flow = parse_flow(f"start: ask\nnodes:\n  ask: {{prompt: {word}, next: end}}", "f", registry)
        assert flow.nodes["ask"].settings["prompt"] == word


def test_on_stays_a_key_that_is_text() -> None:
    """An `on:` key is text like any other; it is what other tools call `next`."""
    assert problems("start: ask\nnodes:\n  ask: {on: end}") == [
        "3:9: node 'ask': handler 'ask' has no setting 'on'; did you mean 'next'?"
    ]


def test_files_that_cannot_be_read_are_flow_errors_too(tmp_path: Path) -> None:
    """A missing file, a folder and bytes that are not UTF-8 are named like any mistake."""
    with pytest.raises(FlowError, match=r"gone\.yaml:1:1: the file cannot be read: No such file"):
        load_flow(tmp_path / "gone.yaml")
    with pytest.raises(FlowError, match="the file cannot be read: Is a directory"):
        load_flow(tmp_path)
    (tmp_path / "latin.yaml").write_bytes("name: caf\u00e9".encode("latin-1"))
    with pytest.raises(FlowError, match=r"latin\.yaml:1:10: byte 0xe9 is not UTF-8"):
        load_flow(tmp_path / "latin.yaml")


def test_resource_paths_are_relative_to_the_flow_file(tmp_path: Path) -> None:
    """`adapter: ../mine` means the same from whichever folder the bot is started."""
    file = tmp_path / "flows" / "flow.yaml"
    file.parent.mkdir()
    (tmp_path / "mine").mkdir()
    file.write_text("start: ask\nresources: {doctor: {adapter: ../mine}}\nnodes:\n  ask: {next: end}\n")
    flow: Flow = load_flow(file, registry)
    assert flow.resources["doctor"]["adapter"].samefile(tmp_path / "mine")


def test_a_resource_path_that_does_not_exist_is_a_mistake(tmp_path: Path) -> None:
    """It is found when the flow is checked, not when the first user asks."""
    file = tmp_path / "flow.yaml"
    file.write_text("start: ask\nresources: {doctor: {adapter: gone}}\nnodes:\n  ask: {next: end}\n")
    with pytest.raises(FlowError, match=r"2:31: resource 'doctor': adapter: '.*gone' does not exist"):
        load_flow(file, registry)


@given(st.text(max_size=400))
def test_any_text_is_a_flow_or_a_flow_error(text: str) -> None:
    """No text leads to another error than FlowError."""
    with contextlib.suppress(FlowError):
        parse_flow(text, "f.yaml", registry)


_PIECES = st.sampled_from(
    ["start", "nodes", "ask", "next", "end", ":", " ", "\n", "\n  ", "{", "}", "[", "]", ",", "- ",
     "'", '"', "&a", "*a", "!!x", "<<", "|", ">", "#", "?", "%", "true", "1", "\t", "\x00", "\ud800"]
)  # fmt: skip


@given(st.lists(_PIECES, max_size=60).map("".join))
def test_any_heap_of_yaml_is_a_flow_or_a_flow_error(text: str) -> None:
    """The same holds for text that is nearly YAML."""
    test_any_text_is_a_flow_or_a_flow_error.hypothesis.inner_test(text)  # type: ignore[attr-defined]
