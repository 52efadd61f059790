"""The slash commands, as one table: what each is called, takes and does.

Help and completion derive from the table. A command gets the chat and the words after its name, and
returns lines; it prints nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec

from fsmbot import explain, spoken
from fsmbot.changes import changes
from fsmbot.conversation import Chat
from fsmbot.errors import FsmbotError, StateError
from fsmbot.events import Event
from fsmbot.nearby import suggest
from fsmbot.private import write_private


class Reply(msgspec.Struct, frozen=True):
    """What a command answers: lines, then what the bot says; and whether the user wants to leave."""

    lines: tuple[str, ...] = ()
    events: Iterable[Event] = ()
    leave: bool = False


Run = Callable[[Chat, str], Reply]


class Command(msgspec.Struct, frozen=True):
    """One command; the first line of its function's docstring is its help."""

    name: str
    takes: str
    run: Run

    @property
    def usage(self) -> str:
        """How it is typed."""
        return f"{self.name} {self.takes}".rstrip()

    @property
    def summary(self) -> str:
        """What it does, in one line."""
        return (self.run.__doc__ or "").partition("\n")[0].rstrip(".")


COMMANDS: dict[str, Command] = {}
"""Every command by its name, in the order in which help shows them."""

ALIASES = {f"/{name}": f"/{command}" for name, command in spoken.ALIASES.items()}
"""Other names of commands."""


def command(name: str, takes: str = "") -> Callable[[Run], Run]:
    """Enter a function in the table; `takes` tells what may follow the name."""

    def register(run: Run) -> Run:
        COMMANDS[name] = Command(name, takes, run)
        return run

    return register


def is_command(text: str) -> bool:
    """Return whether what was typed is a command and no message."""
    text = text.lstrip()
    return text.startswith("/") and not text.startswith("//")


def message(text: str) -> str:
    """Return the message that was typed: two slashes at its beginning stand for one."""
    start = len(text) - len(text.lstrip())
    return text[:start] + text[start + 1 :] if text.startswith("//", start) else text


def run(chat: Chat, text: str) -> Reply:
    """Run the command that was typed; one that is unknown is answered with a suggestion."""
    name, _, rest = text.strip().partition(" ")
    found, rest = COMMANDS.get(ALIASES.get(name, name)), rest.strip()
    if found is None:
        hint = suggest(name, [*COMMANDS, *ALIASES], shown=COMMANDS)
        return Reply(
            (
                f"unknown command '{explain.shorten(name)}'{hint}",
                "(begin with // to send a message that starts with a slash)",
            )
        )
    if rest and not found.takes:
        return Reply((f"{name} takes nothing more, and found '{explain.shorten(rest)}'",))
    return found.run(chat, rest)


@command("/help")
def _help(chat: Chat, rest: str) -> Reply:
    """Show the commands and keys."""
    width = max(len(entry.usage) for entry in COMMANDS.values())
    lines = [f"{entry.usage:{width}}  {entry.summary}" for entry in COMMANDS.values()]
    keys = (
        "Alt-Enter begins a new line, Ctrl-R searches the history, Ctrl-C stops an answer, Ctrl-D leaves.",
        "A message that begins with // is sent with a single slash.",
    )
    return Reply((*_flow_help(chat), *lines, "", *keys))


def _flow_help(chat: Chat) -> Iterator[str]:
    """Yield what the flow itself says of help, and the words by which it can be told something."""
    worded = chat.session.flow.commands
    if spoken.HELP in worded:
        yield worded[spoken.HELP].say
    for name, entry in worded.items():
        words = ", ".join(f'"{phrase}"' for phrase in entry.phrases)
        yield f"say {words}: {name}"
    if worded:
        yield ""


@command("/state")
def _state(chat: Chat, rest: str) -> Reply:
    """Show node, status, memory and turns."""
    return Reply(tuple(explain.state(chat)))


@command("/why")
def _why(chat: Chat, rest: str) -> Reply:
    """Explain the last turn: nodes, scores, outcomes."""
    if chat.last is None:
        return Reply(("nothing was said yet, so there is nothing to explain",))
    return Reply(tuple(explain.why(chat.last)))


@command("/back")
def _back(chat: Chat, rest: str) -> Reply:
    """Take the last message back, and ask again (also /undo)."""
    try:
        taken = chat.undo()
    except StateError as error:
        return Reply((f"the last turn cannot be taken back: {error}",))
    if taken is None:
        return Reply(("there is no turn to take back",))
    return Reply((f"taken back: {explain.shorten(taken)}",), chat.session.repeat(1))


@command("/restart")
def _restart(chat: Chat, rest: str) -> Reply:
    """Begin a new conversation (also /reset)."""
    chat.begin()
    return Reply(("a new conversation begins",))


@command("/repeat")
def _repeat(chat: Chat, rest: str) -> Reply:
    """Say again what the bot said last."""
    if not chat.session.state.history:
        return Reply(("nothing was said yet",))
    return Reply(events=chat.session.repeat())


@command("/reload")
def _reload(chat: Chat, rest: str) -> Reply:
    """Take the edited flow file and keep the conversation."""
    before, node = chat.flow, chat.session.state.node
    try:
        goes_on = chat.reload()
    except FsmbotError as error:
        return Reply((*error.pointed().split("\n"), "the flow that was loaded before goes on"))
    if not goes_on:
        return Reply(
            (
                f"{chat.flow.source} is loaded, and has no listening node '{node}' any more:",
                "this conversation ends in the old flow, and the next takes the new; /restart begins it now",
            )
        )
    changed = list(changes(before, chat.flow))
    what = "is loaded" if changed else "is loaded; nothing in it has changed"
    return Reply((f"{chat.flow.source} {what}", *(f"  {line}" for line in changed)))


@command("/save", "[--force] FILE")
def _save(chat: Chat, rest: str) -> Reply:
    """Write the conversations so far to a Markdown file."""
    return _write("/save", rest, lambda path: explain.markdown(chat.flow.name, chat.talks()))


@command("/save-test", "[--force] FILE")
def _save_test(chat: Chat, rest: str) -> Reply:
    """Write the conversations so far to a test file."""
    from fsmbot.testing.record import record
    from fsmbot.testing.script import SUFFIX

    if not rest.endswith(SUFFIX):
        return Reply((f"usage: /save-test [--force] FILE, with a FILE whose name ends in {SUFFIX}",))
    return _write("/save-test", rest, lambda path: record(chat.played(), chat.flow, path))


def _write(command: str, rest: str, text: Callable[[Path], str]) -> Reply:
    """Write the text to the file that a command was given, `--force` replacing one that exists."""
    force = rest.startswith("--force ")
    name = rest.removeprefix("--force ").strip()
    if not name or name == "--force":
        return Reply((f"usage: {command} [--force] FILE",))
    path = Path(os.path.expanduser(name))
    try:
        write_private(path, text(path), overwrite=force)
    except FileExistsError:
        return Reply((f"{path} exists; to replace it: {command} --force {name}",))
    except (FsmbotError, OSError, ValueError) as error:
        return Reply((f"{path} cannot be written: {getattr(error, 'strerror', None) or error}",))
    return Reply((f"saved to {path}",))


@command("/quit")
def _quit(chat: Chat, rest: str) -> Reply:
    """Leave."""
    return Reply(leave=True)
