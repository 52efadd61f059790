"""A hundred strings are said, answered, remembered and failed over: logs and traces have none of them."""

from __future__ import annotations

import logging
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from pseudo_terminal import ROOT, Terminal

from fsmbot import Session, load_flow
from fsmbot.errors import DoctorError, FsmbotError
from fsmbot.observe import Observed
from fsmbot.trace import Trace
from fsmbot.turn import Message

HANDLERS = """
import logging, os, signal, time
from collections.abc import Iterator
from typing import Literal
from fsmbot import Turn, handler, resource

class Nurse:
    status = "fake"

    def answer(self, text: str) -> Iterator[str]:
        yield "About "
        yield f"{text}: rest."

@resource
def nurse() -> Nurse:
    return Nurse()

Way = Literal["plain", "raises", "caught", "again", "late", "odd", "object", "bytes", "half", "killed"]

@handler
def pick(turn: Turn) -> Way:
    turn.notes["heard"] = turn.text
    return turn.text.split()[0]

@handler
def ask_nurse(turn: Turn, nurse: Nurse) -> Iterator[str]:
    yield from nurse.answer(turn.text)

@handler
def raises(turn: Turn) -> None:
    turn.memory["before"] = turn.text
    try:
        int(turn.text)
    except ValueError as error:
        raise KeyError(f"no {turn.text}") from error

@handler
def late(turn: Turn) -> None:
    time.sleep(0.2)
    raise ValueError(turn.text)

@handler
def odd(turn: Turn) -> Literal["a", "b"]:
    return turn.text

@handler
def remembers_an_object(turn: Turn) -> None:
    turn.memory["object"] = {1: {turn.text}, "x": object()}

@handler
def says_bytes(turn: Turn) -> Iterator[str]:
    yield turn.text.encode()

@handler
def says_half(turn: Turn) -> Iterator[str]:
    yield f"It is {turn.text}"
    raise RuntimeError(turn.text)

@handler
def is_killed(turn: Turn) -> None:
    os.kill(os.getpid(), signal.SIGKILL)
"""

FLOW = """
name: canaries
start: ask
nodes:
  ask: {handler: ask_user, prompt: Yes?, remember: last, next: pick}
  pick:
    next:
      plain: ask_nurse
      raises: raises
      caught: caught
      again: again
      late: late
      odd: odd
      object: object
      bytes: bytes
      half: half
      killed: killed
  ask_nurse: {next: say}
  say: {text: "You said {last}.", next: ask}
  raises: {next: ask}
  caught: {handler: raises, on_error: sorry, next: ask}
  again: {handler: raises, retry: {times: 1}, next: ask}
  late: {timeout: 0.05, next: ask}
  odd: {next: {a: ask, b: ask}}
  object: {handler: remembers_an_object, next: ask}
  bytes: {handler: says_bytes, next: ask}
  half: {handler: says_half, next: ask}
  killed: {handler: is_killed, next: ask}
  sorry: {handler: say, text: Sorry., next: ask}
"""

WAYS = ("plain", "raises", "caught", "again", "late", "odd", "object", "bytes", "half", "caught")
"""What becomes of a message: its first word."""

CANARIES = [f"canary-{number * 7919 % 100_003:05d}-bird" for number in range(1, 101)]


def messages() -> list[str]:
    """Return a hundred messages, each with a canary of its own."""
    return [f"{WAYS[number % len(WAYS)]} {canary}" for number, canary in enumerate(CANARIES)]


def birds(text: str) -> list[str]:
    """Return the canaries in a text, however it writes them."""
    flat = text.lower().replace("\\u002d", "-")
    return [canary for canary in CANARIES if canary in flat or canary.removeprefix("canary-") in flat]


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a flow and its handlers."""
    (tmp_path / "bot.yaml").write_text(FLOW)
    (tmp_path / "handlers.py").write_text(HANDLERS)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    for name in [name for name in os.environ if name.startswith("XDG_")]:
        monkeypatch.delenv(name)
    return tmp_path


def run(work: Path, *arguments: str, said: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Talk with the flow where no terminal is, its errors in a file."""
    command = [sys.executable, "-X", "dev", "-m", "fsmbot", "--flow", "bot.yaml", "--handlers", "handlers.py"]
    return subprocess.run(
        [*command, *arguments],
        cwd=work,
        input="\n".join(said) + "\n",
        capture_output=True,
        text=True,
        timeout=100,
    )


def test_the_messages_are_a_hundred(work: Path) -> None:
    """And the canaries would be found: with `--trace-text` all of them are in the trace."""
    assert len(set(CANARIES)) == len(messages()) == 100
    done = run(work, "--trace", "trace.jsonl", "--trace-text", said=messages())
    trace = (work / "trace.jsonl").read_text()
    assert len(birds(done.stdout + trace)) == 100
    assert len(birds(trace)) >= 90
    json_lines = run(work, "--json", said=messages()).stdout
    assert len(birds(json_lines)) == 100


@pytest.mark.promise(10, "0 of 100 canary strings in default logs and traces, failing handlers among them")
def test_no_canary_is_in_a_log_or_trace(work: Path, reached: Callable[[str], None]) -> None:
    """Piped, in JSON, in a stored session, at a terminal, where the program is killed or the trace full."""
    looked = {}
    for name, options in {
        "plain": [], "json": ["--json"], "spans": ["--otel"],
        "session": ["--session", "ada", "--store", "ada.db"],
    }.items():  # fmt: skip
        done = run(work, "--trace", f"{name}.jsonl", *options, said=messages())
        assert done.returncode == 1  # as handlers failed
        looked[f"{name}: stderr"] = done.stderr
        looked[f"{name}: trace"] = (work / f"{name}.jsonl").read_text()
    assert looked["plain: stderr"].count("error: flow 'canaries', node ") == 70
    full = run(work, "--trace", "/dev/full", said=messages())
    assert "trace cannot be written" in full.stderr
    looked["full: stderr"] = full.stderr
    looked["killed: stderr"] = killed(work)
    looked["terminal: stderr"] = at_a_terminal(work)
    assert {name: birds(text) for name, text in looked.items() if birds(text)} == {}
    kept = work / "home" / ".local" / "state" / "fsmbot" / "history"
    assert len(birds(kept.read_text())) > 10
    assert stat.filemode(kept.stat().st_mode) == "-rw-------"
    reached(f"0 of 100 in {len(looked)} logs and traces of {sum(map(len, looked.values())):,} characters")


def killed(work: Path) -> str:
    """Kill the program while it answers, and return what the next one says on stderr."""
    options = ("--session", "bob", "--store", "bob.db")
    dead = run(work, *options, said=[f"killed {CANARIES[0]}"])
    assert dead.returncode == -signal.SIGKILL
    again = run(work, *options, said=[f"plain {CANARIES[1]}"])
    assert "your last message got no answer" in again.stderr
    return dead.stderr + again.stderr


def at_a_terminal(work: Path) -> str:
    """Talk at a terminal with stderr in a file, and return what is in the file."""
    program = work / "python"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} "$@" 2>>{work}/stderr\n')
    program.chmod(0o700)
    before, sys.executable = sys.executable, str(program)
    try:
        terminal = Terminal(work, "--flow", "bot.yaml", "--handlers", "handlers.py", XDG_STATE_HOME="")
    finally:
        sys.executable = before
    with closing(terminal):
        terminal.wait("bot> Yes?", "you> ")
        for message in messages()[:20]:
            terminal.ask(message, message.split()[1])
        assert terminal.leave() == 0
    assert len(birds(terminal.raw.decode())) == 20
    return (work / "stderr").read_text()


class Quoting:
    """A doctor that quotes the question in all it says, and breaks off with an error that does."""

    status = "fake"

    def __init__(self, error: type[Exception], asked: list[str]) -> None:
        self.error, self.asked = error, asked

    def preload(self) -> None:
        """There is nothing to load."""

    def answer(
        self, text: str, history: Sequence[Message] = (), *, max_new_tokens: int = 256
    ) -> Iterator[str]:
        """Say a little, then fail."""
        self.asked.append(text)
        yield f"About {text}. "
        raise self.error(f"cannot answer {text!r}")


@pytest.mark.promise(10, "0 of 100 canary strings in logs, traces and spans where a doctor quotes and fails")
def test_no_canary_of_a_doctor_is_in_a_log_trace_or_span(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    reached: Callable[[str], None],
) -> None:
    """In a program of one's own, all loggers open, with observers that fail and quote as well."""
    pytest.importorskip("opentelemetry.sdk")
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from fsmbot.telemetry import Spans

    def quotes(seen: Observed) -> None:
        raise ValueError(str(seen.event) + str(seen.session.state))

    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace = Trace(tmp_path / "trace.jsonl")
    flow = load_flow(ROOT / "flows" / "doctor.yaml")
    asked: list[str] = []
    with caplog.at_level(logging.DEBUG):
        for number, canary in enumerate(CANARIES):
            doctor = Quoting((RuntimeError, DoctorError, KeyError, OSError)[number % 4], asked)
            session = Session(flow, {"doctor": doctor}, observers=[trace, Spans(provider), quotes])
            session.say(f"I have a headache and a fever since {canary} today")
    trace.close()
    looked = {
        "log": caplog.text, "stderr": capfd.readouterr().err, "trace": (tmp_path / "trace.jsonl").read_text(),
        "spans": "".join(span.to_json() for span in exporter.get_finished_spans()),
    }  # fmt: skip
    assert len(birds(" ".join(asked))) == 100
    assert caplog.text.count("the model failed") == 100
    assert "quotes failed: ValueError" in caplog.text
    assert {name: birds(text) for name, text in looked.items() if birds(text)} == {}
    size = sum(map(len, looked.values()))
    reached(f"0 of 100 in {len(looked)} logs, traces and spans of {size:,} characters")


def test_an_error_tells_its_words_where_somebody_looks_on(work: Path) -> None:
    """The words that a log leaves out are told by the error itself, and at a terminal."""
    from fsmbot.registry import import_handlers

    import_handlers(str(work / "handlers.py"))
    session = Session(load_flow(work / "bot.yaml"))
    with pytest.raises(FsmbotError) as caught:
        session.say(f"raises {CANARIES[0]}")
    assert CANARIES[0] in str(caught.value)
    assert birds(caught.value.for_log()) == []
    assert "node 'raises', session " in caught.value.for_log()
    assert "KeyError (handlers.py:" in caught.value.for_log()
