"""What looks like a template is text, wherever it comes from and wherever it goes: nothing evaluates it."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from fsmbot import Turn, logs
from fsmbot.conversation import Chat
from fsmbot.doctor import FakeDoctor
from fsmbot.errors import FlowError, HandlerError
from fsmbot.explain import markdown, state, why
from fsmbot.loader import parse_flow
from fsmbot.placeholders import fill
from fsmbot.registry import Registry, load_builtins
from fsmbot.session import Session
from fsmbot.testing.record import record
from fsmbot.trace import Trace

TEMPLATES = [
    *("{x.__class__}", "{text.__class__.__mro__}", "{0.__init__.__globals__}", "{0}", "{}", "{!r}"),
    *("{x!r:>99}", "{name[0]}", "{turn}", "{self}", "{x}", "{{x}}", "{{{x}}}", "{{7*7}}", "{{ 7*7 }}"),
    *("{%if 1%}49{%endif%}", "{# c #}", "{{x.__class__}}", "{{cycler.__init__.__globals__.os.popen('id')}}"),
    *("{{messages[0]}}", "${x}", "${7*7}", "$x", "$(id)", "`id`", "$((7*7))", "#{7*7}", "<%= 7*7 %>"),
    *("[[${7*7}]]", "@{7*7}", "*{x}", "%s", "%(x)s", "%d %n %c", "%99999999d", "%%", "%", r"{\x7d"),
    *(r"\N{BULLET}", r"\x41", r"\u0041", "&#49;", "=7*7", "=HYPERLINK(1)", "<?php 7*7 ?>"),
    *("<!--#exec cmd=id-->", "!!python/object/apply:os.system [id]", "*x", "&x", "!x", "<<: *x", "- x"),
    *("? x", "x: 49", "| x", "> x", "# x", "'x", '"x', "yes", "0x31", "1_0"),
]
"""Of Python's format and %, Jinja, shells, Ruby, ERB, Spring, sheets, PHP, SSI and YAML."""

FLOW = """
name: test
start: ask
memory: {x: SECRET}
nodes:
  ask: {handler: ask_user, prompt: Yes?, next: keep}
  keep: {handler: take, keep: name, after: [my name is], next: {taken: hello, nothing: ask, long: ask}}
  hello: {handler: say, text: "Hello {name}!", next: ask_doctor}
  ask_doctor: {question: "{name} asks about {name}", next: end}
"""

EVALUATED = re.compile(r"SECRET|\b49\b|<class|globals|uid=|\bTurn\(")
"""What would come out if something were evaluated."""


def is_text(shown: str, template: str) -> None:
    """Assert that a template came out as it is, and nothing of what it might stand for."""
    assert template in shown
    assert not EVALUATED.search(shown.replace(template, ""))


def registry() -> Registry:
    """Return the built-in handlers, and one that fails with the message."""
    known = load_builtins()
    own = Registry(dict(known.handlers), dict(known.resources))

    @own.handler
    def fails(turn: Turn) -> Iterator[str]:
        raise ValueError(turn.text)
        yield ""

    return own


def places(template: str, folder: Path) -> Iterator[str]:
    """Yield what comes out at each place that a message reaches."""
    doctor, chat = said(template, folder)
    assert chat.last is not None
    yield "".join(event.text for event in chat.last.events if hasattr(event, "text"))
    yield doctor.asked[0]
    yield "".join(json.loads(line).get("text", "") for line in (folder / "trace").read_text().splitlines())
    yield why(chat.last)[0]
    memory = next(line for line in state(chat) if line.startswith("memory:"))
    yield json.loads(memory.partition(" ")[2])["name"]
    yield markdown(f"A{template}B", chat.talks()).replace("\\<", "<")
    recorded = yaml.safe_load(record(chat.played()))
    yield recorded["tests"]["conversation 1"]["talk"][-1]["user"]


def said(template: str, folder: Path) -> tuple[FakeDoctor, Chat]:
    """Have a conversation in which the template is somebody's name."""
    doctor = FakeDoctor()
    flow = parse_flow(FLOW, registry=registry())
    chat = Chat(flow, {"doctor": doctor}, observers=[Trace(folder / "trace", text=True)])
    for _ in [*chat.start(), *chat.send(f"my name is A{template}B")]:
        pass
    return doctor, chat


@pytest.mark.promise(7, "template look-alikes in messages, memory, traces, recordings: none is evaluated")
def test_templates_in_messages_are_text(tmp_path: Path, reached: Callable[[str], None]) -> None:
    """Said, remembered, filled into texts and questions, explained, traced, saved and recorded."""
    count = 0
    for number, template in enumerate(TEMPLATES):
        folder = tmp_path / str(number)
        folder.mkdir()
        for shown in places(template, folder):
            is_text(shown, f"A{template}B")
            count += 1
    reached(f"{len(TEMPLATES)} look-alikes at {count // len(TEMPLATES)} places, 0 evaluated")


@pytest.mark.parametrize("template", TEMPLATES)
def test_templates_in_logs_and_errors_are_text(template: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A log takes them as message and as argument; a failing handler's words are told as they are."""
    root = logging.getLogger()
    before = list(root.handlers), root.level
    try:
        logs.setup()
        logging.getLogger("x").warning(template)
        logging.getLogger("x").error("%s and %(x)s", {"x": template})
    finally:
        root.handlers[:], root.level = before
        logging.captureWarnings(False)
    first, *_ = capsys.readouterr().err.splitlines()
    assert first == f"warning: x: {template}"
    text = "start: ask\nnodes: {ask: {handler: ask_user, next: fails}, fails: {next: end}}"
    session = Session(parse_flow(text, registry=registry()))
    with pytest.raises(HandlerError) as raised:
        session.say(template)
    assert f"ValueError: {template} (" in str(raised.value)


@pytest.mark.parametrize("template", TEMPLATES)
def test_templates_in_flows_are_text(template: str) -> None:
    """A flow's own texts are filled with names in memory; names and targets are never."""
    memory = {"x": "SECRET", "name": [1], "turn": Turn(), "text": object()}
    if template not in ("{x}", "{{x}}", "{{{x}}}", "${x}", "*{x}", "{turn}"):
        assert fill(template, memory) == template
    flow = {"name": template, "start": "ask", "memory": {"x": "SECRET"}, "nodes": {}}
    flow["nodes"] = {"ask": {"handler": "ask_user", "next": template}}
    with pytest.raises(FlowError) as raised:
        parse_flow(json.dumps(flow), registry=registry())
    is_text(str(raised.value), template)


@pytest.mark.parametrize("template", TEMPLATES)
def test_templates_are_text_to_the_models_own_template(tokenizer: Any, template: str) -> None:
    """The chat template is Jinja; what people, the bot and the system prompt say never goes through it."""
    pytest.importorskip("transformers")
    from fsmbot.doctor.prompt import Prompt
    from fsmbot.turn import Message

    talk = [Message("user", f"1{template}"), Message("bot", f"2{template}")]
    ids = Prompt(tokenizer, f"0{template}").question(f"3{template}", talk)
    shown = tokenizer.decode(ids, clean_up_tokenization_spaces=False)
    assert [number for number in range(4) if f"{number}{template}<|im_end|>" in shown] == [0, 1, 2, 3]


def test_braces_of_a_flow_are_filled_once() -> None:
    """What a user said is not read again, whatever it is filled into; doubled braces stay braces."""
    memory = {"name": "{x}", "x": "SECRET"}
    assert fill("{name} {{x}} {{name}} {name}", memory) == "{x} {x} {name} {x}"
