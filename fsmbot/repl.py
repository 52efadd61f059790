"""The REPL: one conversation after the other at a terminal, until the user leaves.

prompt_toolkit lives here, in `line_editor`, `terminal` and `history`, and nowhere else. What can be done
with a conversation is in `conversation` and `commands`; here it is read and shown.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from fsmbot.errors import MissingExtra

try:
    from prompt_toolkit.application import create_app_session, get_app, get_app_session
    from prompt_toolkit.buffer import Buffer
    from prompt_toolkit.enums import DEFAULT_BUFFER
    from prompt_toolkit.history import History, InMemoryHistory
    from prompt_toolkit.input import Input
    from prompt_toolkit.output import Output
    from prompt_toolkit.patch_stdout import StdoutProxy
    from prompt_toolkit.utils import is_dumb_terminal
except ModuleNotFoundError as missing:
    raise MissingExtra("prompt_toolkit", "chat", "chatting at a terminal") from missing

from fsmbot import commands, explain, logs
from fsmbot.conversation import Chat
from fsmbot.errors import ConflictError, FsmbotError, StateError
from fsmbot.events import Entered, Event
from fsmbot.flow import Flow
from fsmbot.foresight import Foresight
from fsmbot.history import PrivateHistory
from fsmbot.line_editor import limit_paste, make_prompt
from fsmbot.observe import Observer
from fsmbot.session import Session
from fsmbot.stores import Store
from fsmbot.terminal import Screen, fence, interrupts_only, keys_wait, strays_above_prompt
from fsmbot.text import safe_line
from fsmbot.watching import Watch, sources

EDITED = "\0edited"
"""What the prompt returns in place of a message when a watched file was edited."""

LOOK_SECONDS = 0.3
"""How often watched files are looked at."""

HINT = "/help shows the commands, Alt-Enter begins a new line, Ctrl-C stops an answer, Ctrl-D leaves."


class Repl:
    """Talks with one user about one flow; `run()` returns the exit code.

    resources: ready objects by name, for example a fake doctor. load: reads the flow again for
    `/reload`. history: whether typed lines are kept in a file. watch: whether an edit of the flow is
    loaded at once, and of which other files. store, name: the session to keep and to go on with.
    observers: see `fsmbot.observe`. input, output: for tests.
    """

    def __init__(
        self,
        flow: Flow,
        *,
        history: bool = True,
        resources: Mapping[str, Any] | None = None,
        load: Callable[[], Flow] | None = None,
        watch: Sequence[Path] | None = None,
        store: Store | None = None,
        name: str = "",
        observers: Sequence[Observer] = (),
        input: Input | None = None,
        output: Output | None = None,
    ) -> None:
        self.chat = Chat(flow, resources, load, store=store, name=name, observers=observers)
        self._watch = None if watch is None else Watch(lambda: [*sources(self.chat.flow), *watch])
        self._draft, self._edited = "", list[Path]()
        self._history: History = PrivateHistory() if history else InMemoryHistory()
        self._input, self._output = input, output
        self._foresight = Foresight(lambda: self.chat.session)
        self._named = [f"session {name}"] if name else []
        self._opened: Session | None = None
        self._told = self._playing = False

    def run(self) -> int:
        """Talk until the user leaves, or the flow has nothing to wait for."""
        with self._terminal(), closing(self._foresight):
            self._banner()
            while self._open():
                text = self._ask()
                if text is EDITED:
                    self._screen.note(f"({', '.join(file.name for file in self._edited)} edited)")
                    self._take("/reload")
                elif text is None or not self._take(text):
                    break
        return 0

    @contextmanager
    def _terminal(self) -> Iterator[None]:
        """Set up input, output and log for the time of the run."""
        log = logs.shown_by(self._log) if sys.stderr and sys.stderr.isatty() else nullcontext()
        with log, self._app_session():
            session, dumb = get_app_session(), is_dumb_terminal()
            limit_paste(session.input)
            self._screen = Screen(fence(session.output, dumb=dumb), dumb=dumb)
            self._prompt = make_prompt(self._history, self._toolbar)
            self._prompt.default_buffer.on_text_changed += self._typed
            with keys_wait(session.input), interrupts_only(self._interrupted):
                yield

    def _app_session(self) -> AbstractContextManager[object]:
        """Return prompt_toolkit's session for the injected input and output, else its default one,
        which alone other threads can see when they print above the prompt."""
        if self._input is None and self._output is None:
            return nullcontext()
        return create_app_session(self._input, self._output)

    def _log(self, line: str) -> None:
        """Show a log line where it spoils nothing: above the prompt, or above the spinner."""
        if isinstance(sys.stderr, StdoutProxy):
            logs.to_stderr(line)
        else:
            self._screen.interject(line)

    def _banner(self) -> None:
        flow = self.chat.flow
        self._screen.note(f"{flow.name}: {flow.description}" if flow.description else flow.name)
        self._screen.note(HINT)
        self._tell_history_problem()
        self._take_up()

    def _take_up(self) -> None:
        """Tell what is known of a session that goes on, and say again what waits for an answer."""
        session = self.chat.session
        if session.notice:
            self._screen.note(f"({session.notice})")
        if self.chat.lost:
            self._screen.problem(f"{self.chat.lost} (/reset)")
        elif session.state.status == "listening":
            self._screen.note(f"(session '{session.id}' goes on after {_messages(session.state.answered)})")
            self._play(session.repeat(1))

    def _tell_history_problem(self) -> None:
        """Tell once why typed lines are not kept in the file."""
        problem = getattr(self._history, "problem", "")
        if problem and not self._told:
            self._told = True
            self._screen.problem(problem)

    def _open(self) -> bool:
        """Start the conversation where that is due; return False if it never listens."""
        if self.chat.ended:
            self.chat.begin()
            self._screen.note("(a new conversation)")
        if self.chat.lost:
            return True
        if self.chat.session.state.status == "new" and self._opened is not self.chat.session:
            self._opened = self.chat.session  # tried once, should it fail
            self._play(self.chat.start())
            return not self.chat.ended
        return True

    def _take(self, text: str) -> bool:
        """Run a command or send a message; return False if the user wants to leave."""
        self._tell_history_problem()
        if commands.is_command(text):
            reply = commands.run(self.chat, text)
            for line in reply.lines:
                self._screen.note(line)
            self._play(iter(reply.events))
            return not reply.leave
        if text.strip():
            self._play(self.chat.send(commands.message(text)))
            if self.chat.last is not None and self.chat.last.taken_back:
                self._screen.note("(your message was taken back; the Up key brings it, to be sent again)")
        elif text:
            self._screen.note("(an empty message; write your question, or /help)")
        return True

    def _play(self, events: Iterator[Event]) -> None:
        """Show a turn as it happens; a failure is shown, and leaves the conversation where it was."""
        try:
            self._playing = True
            self._show(events)
        except KeyboardInterrupt:
            self._playing = False
            self._screen.note("(stopped)")
        except FsmbotError as error:
            self._screen.problem(str(error) if isinstance(error, StateError) else f"error: {error}")
            if isinstance(error, ConflictError):  # the chat has taken up what stands in the store
                self._take_up()
        finally:
            self._playing = False
            self._screen.end()

    def _show(self, events: Iterator[Event]) -> None:
        """Show each event; Ctrl-C stops the node that speaks and keeps what it said."""
        event = next(events, None)
        while event is not None:
            try:
                self._screen.show(event)
                if isinstance(event, Entered):
                    self._screen.wait(lambda node=event.node: self._waiting_for(node))  # type: ignore[misc]
                event = next(events, None)
            except KeyboardInterrupt as stop:
                assert isinstance(events, Generator)
                self._playing = True  # what is said to that may be stopped as well
                event = events.throw(stop)

    def _interrupted(self) -> bool:
        """Say whether Ctrl-C is to stop what is being shown; once, as it may be pressed twice."""
        playing, self._playing = self._playing, False
        return playing

    def _waiting_for(self, node: str) -> str:
        """Return what the spinner says: which of the node's resources is loading, if one is."""
        needed = self.chat.session.flow.places[node].node.handler.resources
        for name, status in explain.statuses(self.chat.resources):
            if name in needed and status == "loading":
                return f"the {name} is loading..."
        return "thinking..."

    def _ask(self) -> str | None:
        """Return what the user typed, or None at the end of the input."""
        while True:
            try:
                with strays_above_prompt():
                    draft, self._draft = self._draft, ""
                    return self._prompt.prompt(default=draft, pre_run=self._begin_line)
            except KeyboardInterrupt:
                continue
            except EOFError:
                return None

    def _begin_line(self) -> None:
        """Make the prompt ready; after one that ended amid a search of the history it would stay there."""
        get_app().layout.focus(DEFAULT_BUFFER)
        self._look_for_edits()

    def _look_for_edits(self) -> None:
        """While the prompt is up, end it when a watched file is edited, and keep what was typed."""
        app = get_app()
        app.erase_when_done, self._edited = False, []

        async def look() -> None:
            while self._watch is not None:
                await asyncio.sleep(LOOK_SECONDS)
                self._edited = self._watch.changed() or self._edited
                if self._edited and not app.is_done:
                    self._draft, app.erase_when_done = app.current_buffer.text, True
                    app.exit(result=EDITED)
                    return

        if self._watch is not None:
            app.create_background_task(look())

    def _typed(self, buffer: Buffer) -> None:
        if not commands.is_command(buffer.text):
            self._foresight.draft(commands.message(buffer.text))

    def _toolbar(self) -> str:
        """Return where the conversation stands, and what the model does."""
        state = self.chat.session.state
        parts = [
            self.chat.session.flow.name,
            *self._named,
            f"at {state.node or self.chat.session.flow.start}",
        ]
        parts += [f"{name}: {status}" for name, status in explain.statuses(self.chat.resources)]
        return safe_line(" | ".join(parts))


def _messages(count: int) -> str:
    return f"{count:,} message{'s' * (count != 1)}"
