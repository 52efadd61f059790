"""A real pseudo-terminal: the command line as its user sees it, on a screen of 80 by 24."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyte
import pytest

GENEROUS = 20.0
"""Seconds in which something will surely have appeared, however busy the machine is."""

HANDLERS = r"""
import logging, threading, time
from collections.abc import Iterator
from typing import Literal
from fsmbot import Turn, handler, resource

class Brain:
    status = "not loaded"
    def preload(self):
        if self.status == "not loaded":
            self.status = "loading"
            threading.Thread(target=self.load, daemon=True).start()
    def load(self):
        time.sleep(0.7)
        logging.getLogger("fsmbot.doctor").error("weights are old\x1b[2J")
        print("a stray line")
        self.status = "tiny model"

@resource
def brain() -> Brain:
    return Brain()

@handler(pure=True)
def route(turn: Turn) -> Literal["slow", "load", "other"]:
    turn.notes["score"] = 0.75
    return next((w for w in ("slow", "load") if w in turn.text), "other")

@handler
def slow(turn: Turn) -> Iterator[str]:
    for number in range(600):
        yield f"w{number} "
        time.sleep(0.05)

@handler
def load(turn: Turn, brain: Brain) -> Iterator[str]:
    brain.preload()
    while brain.status == "loading":
        time.sleep(0.01)
    yield "loaded."

@handler
def echo(turn: Turn) -> Iterator[str]:
    yield "You said: "
    yield turn.text
"""

FLOW = """
name: test
description: "A flow for tests. \\e]0;owned\\a"
start: ask_user
nodes:
  ask_user: {prompt: Yes?, next: route}
  route: {next: {slow: slow, load: load, other: echo}}
  slow: {next: end}
  load: {next: end}
  echo: {next: end}
"""


class Terminal:
    """The command line in a pseudo-terminal, with a screen that shows what it wrote."""

    def __init__(self, folder: Path, **environment: str) -> None:
        (folder / "my.py").write_text(HANDLERS)
        (folder / "f.yaml").write_text(FLOW)
        self.raw = b""
        self.screen = pyte.Screen(80, 24)
        self.screen.write_process_input = lambda data: self.type(data)  # answers to cursor requests
        self._stream = pyte.ByteStream(self.screen)
        command = [sys.executable, "-m", "fsmbot", "--flow", "f.yaml", "--handlers", "my.py"]
        variables = {**os.environ, "TERM": "xterm-256color", "XDG_STATE_HOME": str(folder), **environment}
        self.process, self._end = pty.fork()
        if self.process == 0:
            os.chdir(folder)
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
            os.execve(sys.executable, command, variables)

    def type(self, keys: str) -> None:
        """Press keys."""
        data = memoryview(keys.encode())
        while data:
            data = data[os.write(self._end, data) :]

    def text(self) -> str:
        """Return what the screen shows."""
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip()

    def wait(self, wanted: str | Callable[[str], Any]) -> str:
        """Wait until a pattern matches what the screen shows, and return the screen."""
        found = wanted if callable(wanted) else lambda text: re.search(wanted, text)
        deadline = time.monotonic() + GENEROUS
        while not found(self.text()):
            assert time.monotonic() < deadline, f"waited for {wanted!r} in vain:\n{self.text()}"
            self._read()
        return self.text()

    def wait_until(self, moment: float) -> None:
        """Let time pass."""
        while time.monotonic() < moment:
            self._read()

    def _read(self) -> bool:
        if not select.select([self._end], [], [], 0.01)[0]:
            return True
        try:
            data = os.read(self._end, 65_536)
        except OSError:  # Linux says so when the other end is closed
            return False
        self.raw += data
        self._stream.feed(data)
        return bool(data)

    def exit_code(self) -> int:
        """Leave by Ctrl-D, pressed again where a key fell between two prompts, and wait for the end."""
        deadline, pressed = time.monotonic() + GENEROUS, 0.0
        while self._read():
            assert time.monotonic() < deadline, f"the program did not end:\n{self.text()}"
            if time.monotonic() > pressed + 1:
                pressed = time.monotonic()
                with contextlib.suppress(OSError):  # it may be gone by now
                    self.type("\x04")
        self.process, process = 0, self.process
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])

    def close(self) -> None:
        """End a process that still runs."""
        if self.process:
            os.kill(self.process, 9)
            os.waitpid(self.process, 0)
        os.close(self._end)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    """A REPL that waits for the first message."""
    terminal = Terminal(tmp_path)
    try:
        terminal.wait(r"bot> Yes\?\nyou>(.|\n)*test \| at ask_user")
        yield terminal
    finally:
        terminal.close()


def answers(number: int) -> Callable[[str], bool]:
    """Return whether the screen shows a new prompt after this many conversations."""
    return lambda text: (
        text.count("(a new conversation)") == number
        and bool(re.search(r"conversation\)\nbot> Yes\?\nyou>(?!(.|\n)*\nyou>)", text))
    )


def test_a_message_is_answered_explained_and_left_behind(terminal: Terminal) -> None:
    """Type, read the reply, ask /why, complete a command, find the message again, leave with 0."""
    terminal.type("hi there\r")
    terminal.wait(answers(1))
    assert "you> hi there\nbot> You said: hi there\n" in terminal.text()
    terminal.type("/why\r")
    time = r"; [\d.]+ .?s\)"
    terminal.wait(rf"route +other -> echo +\(score 0\.75{time}\n +echo +-> end +\(said 18 characters{time}")
    terminal.type("/")
    terminal.wait("/save .*Write the conversations")
    terminal.type("bac\t")
    terminal.wait("you> /back")
    terminal.type("\r")
    terminal.wait("taken back: hi there")
    terminal.type("\x12hi")
    terminal.wait(r"reverse-i-search\)`hi': hi there")
    terminal.type("\r")
    terminal.wait(r"taken back: hi there\nbot> Yes\?\nyou> hi there")
    terminal.type("\r")
    terminal.wait(answers(2))
    assert terminal.exit_code() == 0


def test_ctrl_c_stops_a_slow_answer_and_the_talk_goes_on(terminal: Terminal) -> None:
    """Pieces are shown as they come; what came stays; keys typed meanwhile wait for the prompt."""
    terminal.type("slow\r")
    terminal.wait("bot> w0 w1 w2")
    terminal.type("\x03")
    shown = terminal.wait(answers(1))
    assert re.search(r"w2 .*\[stopped\]", shown.replace("\n", " "))
    terminal.type("lost\x03kept\r")
    shown = terminal.wait(answers(2))
    assert "You said: kept" in shown
    assert "lost" not in shown
    terminal.type("slow\r")
    terminal.wait(r"kept(.|\n)*bot> w0 w1 w2")
    terminal.type("typed ahead")
    seen = terminal.text()
    terminal.wait(lambda text: text != seen)
    assert "typed" not in terminal.text()
    os.kill(terminal.process, signal.SIGINT)
    terminal.wait("you> typed ahead")


def test_ctrl_c_never_ends_the_program(terminal: Terminal) -> None:
    """Pressed again and again, in an answer, between prompts and at one, it leaves the REPL alive."""
    for delay in range(40):
        terminal.type("/state\r" if delay % 4 else "slow\r")
        terminal.wait_until(time.monotonic() + delay / 1000)
        os.kill(terminal.process, signal.SIGINT)
    while "/quit" not in terminal.text():  # help is answered when all before it is done
        os.kill(terminal.process, signal.SIGINT)
        terminal.type("/help\r")
        terminal.wait_until(time.monotonic() + 0.2)
    while "You said: hi" not in terminal.text():
        terminal.type("hi\r")
        terminal.wait_until(time.monotonic() + 0.5)
    assert terminal.exit_code() == 0


def test_a_pasted_text_of_several_lines_is_one_message(terminal: Terminal) -> None:
    """It is shown as it will be sent, and waits for Enter."""
    terminal.type("\x1b[200~one\rtwo\nthree\x1b[201~")
    terminal.wait(r"you> one\n\.\.\.> two\n\.\.\.> three")
    assert "You said" not in terminal.text()
    terminal.type("\r")
    terminal.wait(r"bot> You said: one\ntwo\nthree\n")


def test_loading_begins_while_the_user_types_and_spoils_nothing(terminal: Terminal) -> None:
    """The toolbar tells, and what the loading thread logs or prints comes above the prompt."""
    terminal.type("please load")
    terminal.wait("brain: loading")
    shown = terminal.wait("brain: tiny model")
    shown = terminal.wait(r"a stray line\nyou> please load")
    assert "error: fsmbot.doctor: weights are old\ufffd[2J\n" in shown
    assert shown.count("please load") == 1


def test_a_spinner_tells_what_is_waited_for(terminal: Terminal) -> None:
    """It shows which resource is loading, makes way for the log, and leaves nothing behind."""
    terminal.type("load\r")
    terminal.wait("the brain is loading")
    shown = terminal.wait(answers(1))
    assert re.search(r"weights are old.*\n(a stray line\n)?bot> loaded\.\n", shown)
    assert "the brain is loading" not in shown


HOSTILE = "\x9b31m\x07\u202eevil\u202c\u200b\ufeff\u2066\U000e0041\x00"


def test_hostile_text_never_reaches_the_terminal(terminal: Terminal) -> None:
    """Message, answer, /why, /undo, history, search and description: a visible mark comes out."""
    terminal.type(f"\x1b[200~{HOSTILE}\x1b[201~\r")
    terminal.wait(answers(1))
    terminal.type("/why\r")
    terminal.wait("you said: .*evil")
    terminal.type("/undo\r")
    terminal.wait(r"taken back: .*evil.*\nbot> Yes\?\nyou>")
    terminal.type("\x1b[A\x1b[A\x1b[A\x03")
    terminal.type("\x12evil")
    terminal.wait("reverse-i-search")
    terminal.type("\x03")
    assert terminal.exit_code() == 0
    text = terminal.raw.decode()
    assert text.count("evil") >= 4
    unsafe = "[\x00\x07\x80-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f]"
    assert not re.search(unsafe, text)
    assert "\x1b]" not in text


def test_a_dumb_terminal_gets_plain_text(tmp_path: Path) -> None:
    """No escape sequence is written, and the talk works."""
    terminal = Terminal(tmp_path, TERM="dumb")
    try:
        terminal.wait("you>")
        terminal.type("hi\r")
        terminal.wait(answers(1))
        assert terminal.exit_code() == 0
        assert b"\x1b" not in terminal.raw
    finally:
        terminal.close()
