"""The terminal as the REPL sees it: safe output, the bot's messages in their own look, a spinner."""

from __future__ import annotations

import itertools
import os
import signal
import sys
import termios
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.input import Input
from prompt_toolkit.output import ColorDepth, Output
from prompt_toolkit.patch_stdout import StdoutProxy
from prompt_toolkit.renderer import print_formatted_text
from prompt_toolkit.styles import Style
from prompt_toolkit.utils import get_cwidth

from fsmbot.events import Event, Routed, Said
from fsmbot.text import safe
from fsmbot.wrapping import Wrap

STYLE = Style.from_dict(
    {
        "you": "ansigreen bold",
        "bot": "ansicyan bold",
        "note": "ansibrightblack",
        "problem": "ansired",
        "bottom-toolbar": "noreverse ansibrightblack",
    }
)

FRAMES, FRAME_SECONDS = "|/-\\", 0.1
GRACE_SECONDS = 0.15
"""How long a node may be silent before the spinner shows."""


def fence(output: Output, *, dumb: bool) -> Output:
    """Make the last step before the terminal refuse what is unsafe, wherever it comes from.

    prompt_toolkit writes all content by `write`, and its own escape sequences by `write_raw`, which
    a dumb terminal cannot take at all; only the carriage return alone, which moves the cursor of
    another, comes by `write`.
    """
    write = output.write

    def write_safe(data: str) -> None:
        write(data if data == "\r" and not dumb else safe(data).replace("\n", "\r\n"))

    output.write = write_safe  # type: ignore[method-assign]
    if dumb:
        output.write_raw = lambda data: None  # type: ignore[method-assign]
    return output


def color_depth() -> ColorDepth | None:
    """Return the depth without colours where NO_COLOR asks for it (https://no-color.org)."""
    return ColorDepth.DEPTH_1_BIT if os.environ.get("NO_COLOR") else None


class Screen:
    """Prints messages and notes; `dumb` terminals get bare text."""

    def __init__(self, output: Output, *, dumb: bool) -> None:
        self.output, self.dumb = output, dumb
        self._lock = threading.RLock()
        self._message: Wrap | None = None
        self._at_line_start = True
        self._spinner: Spinner | None = None

    def show(self, event: Event) -> None:
        """Print a piece of a message; any other event ends the message."""
        with self._lock:
            if isinstance(event, Said):
                self._say(event.text)
                return
            self._end_word()
            if isinstance(event, Routed) and event.stopped:
                self._print(" [stopped]", "class:note")
            self.end()

    def _say(self, text: str) -> None:
        if not text:
            return
        self.stop_waiting()
        if self._message is None:
            self._print("bot> ", "class:bot")
            self._message = self._wrap(column=5)
        self._print(self._message.feed(safe(text)))

    def _wrap(self, column: int = 0) -> Wrap:
        return Wrap(0 if self.dumb else self.output.get_size().columns, column)

    def _end_word(self) -> None:
        if self._message is not None:
            self._print(self._message.rest())

    def end(self) -> None:
        """End the message that is being printed, if any."""
        with self._lock:
            self.stop_waiting()
            self._end_word()
            if not self._at_line_start:
                self._print("\n")
            self._message = None

    def note(self, text: str, style: str = "class:note") -> None:
        """Print a line of the program's own."""
        with self._lock:
            self.end()
            self._print(self._wrap().feed(safe(text) + "\n"), style)

    def problem(self, text: str) -> None:
        """Print what went wrong."""
        self.note(text, "class:problem")

    def interject(self, line: str) -> None:
        """Print a line that another thread reports, above the spinner or amid a message."""
        with self._lock:
            if self._spinner is not None:
                self._spinner.clear()
            elif not self._at_line_start:
                self._print("\n")
            self._print(line + "\n", "class:problem")
            if self._message is not None:
                self._message.column = 0

    def wait(self, what: Callable[[], str]) -> None:
        """Show a spinner, with what is waited for, until something else is printed."""
        with self._lock:
            if self._spinner is None and self._at_line_start and not self.dumb:
                self._spinner = Spinner(self.output, self._lock, what)
                self._spinner.start()  # now that Ctrl-C finds it, and can have it stopped

    def stop_waiting(self) -> None:
        """Take the spinner away."""
        with self._lock:
            if self._spinner is not None:
                self._spinner.stop()
                self._spinner = None

    def _print(self, text: str, style: str = "") -> None:
        if not text:
            return
        text = safe(text)
        self._at_line_start = text.endswith("\n")
        if self.dumb:
            self.output.write(text)
            self.output.flush()
        else:
            shown = FormattedText([(style, text)])
            print_formatted_text(self.output, shown, STYLE, color_depth=color_depth())


class Spinner:
    """Turns on a line of its own, in a thread, from its start until it is stopped."""

    def __init__(self, output: Output, lock: threading.RLock, what: Callable[[], str]) -> None:
        self._output, self._lock, self._what = output, lock, what
        self._stopped = threading.Event()
        self._drawn = False

    def start(self) -> None:
        """Begin to turn, after a moment."""
        threading.Thread(target=self._turn, name="spinner", daemon=True).start()

    def stop(self) -> None:
        """Stop, and leave the line empty; the caller holds the lock."""
        self._stopped.set()
        if self._drawn:
            self.clear()
            self._output.show_cursor()
            self._output.flush()

    def clear(self) -> None:
        """Leave the line empty until the next frame; the caller holds the lock."""
        if self._drawn:
            self._draw("")

    def _turn(self) -> None:
        self._stopped.wait(GRACE_SECONDS)
        for frame in itertools.cycle(FRAMES):
            with self._lock:
                if self._stopped.is_set():
                    return
                if not self._drawn:
                    self._output.hide_cursor()
                self._drawn = True
                self._draw(f"{frame} {self._what()}")
            self._stopped.wait(FRAME_SECONDS)

    def _draw(self, text: str) -> None:
        columns = self._output.get_size().columns
        while text and get_cwidth(text) >= columns:
            text = text[:-1]
        self._output.write_raw("\r")
        self._output.erase_end_of_line()
        self._output.write(safe(text, keep=""))
        self._output.flush()


@contextmanager
def strays_above_prompt() -> Iterator[None]:
    """While the prompt is up, print above it what other threads write to stdout or stderr.

    A stream that is redirected to a file is left alone.
    """
    streams = {name: getattr(sys, name) for name in ("stdout", "stderr")}
    shown = [name for name, stream in streams.items() if stream is not None and stream.isatty()]
    if not shown:
        yield
        return
    with StdoutProxy() as proxy:
        try:
            for name in shown:
                setattr(sys, name, cast(Any, proxy))
            yield
        finally:
            for name in shown:
                setattr(sys, name, streams[name])


@contextmanager
def keys_wait(input: Input) -> Iterator[None]:
    """Between prompts, keys are not echoed into what the bot says, nor edited by the system; they
    wait for the next prompt as they are. Ctrl-C interrupts as ever."""
    try:
        number = input.fileno()
        before = termios.tcgetattr(number)
    except (NotImplementedError, OSError, termios.error):
        yield  # not a terminal
        return
    waiting = [*before[:3], before[3] & ~(termios.ECHO | termios.ICANON), *before[4:]]
    termios.tcsetattr(number, termios.TCSANOW, waiting)
    try:
        yield
    finally:
        termios.tcsetattr(number, termios.TCSANOW, before)


@contextmanager
def interrupts_only(when: Callable[[], bool]) -> Iterator[None]:
    """Let Ctrl-C raise KeyboardInterrupt only at times; at others, it must not end the program."""

    def on_interrupt(number: int, frame: object) -> None:
        if when():
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield  # Python delivers signals to the main thread alone
        return
    before = signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
