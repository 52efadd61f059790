"""A named session is kept, and goes on where it was left: in pipes, and at a terminal."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fsmbot.channels import run_json, run_plain
from fsmbot.conversation import Chat
from fsmbot.errors import ConflictError, StateError
from fsmbot.events import Said
from fsmbot.flow import Flow
from fsmbot.loader import parse_flow
from fsmbot.session import Session
from fsmbot.stores import SQLiteStore

TEXT = (
    "start: ask\nnodes:\n  ask: {handler: ask_user, prompt: Yes?, remember: last, next: check}\n"
    "  check: {handler: match, cases: {bye: [bye]}, next: {bye: end, otherwise: say}}\n"
    "  say: {text: 'Noted, {last}.', next: ask}\n"
)
FLOW = parse_flow(TEXT)
RENAMED = parse_flow(TEXT.replace("ask:", "query:").replace("ask}", "query}").replace(": ask\n", ": query\n"))
CHANGED = parse_flow(TEXT.replace("Noted", "Well"))
GONE = "waits at node 'ask', which is no longer a listening node of flow '<flow>'; restore it, or begin anew"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SQLiteStore]:
    """An empty store."""
    opened = SQLiteStore(tmp_path / "s.db")
    yield opened
    opened.close()


def talk(store: SQLiteStore, data: bytes, flow: Flow = FLOW) -> tuple[int, str, str]:
    """Return exit code, output and errors of a run that goes on with the session "ada"."""
    out, err = io.StringIO(), io.StringIO()
    code = run_plain(flow, io.BytesIO(data), out, err, store=store, name="ada")
    return code, out.getvalue(), err.getvalue()


def test_a_session_goes_on_from_run_to_run(store: SQLiteStore) -> None:
    """The opening comes once; after the end, the next line begins the next conversation."""
    assert talk(store, b"one\n") == (0, "Yes?\nNoted, one.\nYes?\n", "")
    assert talk(store, b"two\nbye\n") == (0, "Noted, two.\nYes?\n", "")
    assert talk(store, b"three\n") == (0, "Yes?\nNoted, three.\nYes?\n", "")
    assert [(turn.user, turn.state.opening) for turn in store.turns("ada")] == [
        (None, 0), ("one", 0), ("two", 0), ("bye", 0), (None, 4), ("three", 4),
    ]  # fmt: skip


def test_a_restart_keeps_what_was_before(store: SQLiteStore) -> None:
    """/restart begins another conversation of the same session, and nothing is lost."""
    talk(store, b"one\n/restart\ntwo\n")
    assert [turn.user for turn in store.turns("ada")] == [None, "one", None, "two"]
    loaded = store.load("ada")
    assert loaded is not None
    assert [message.text for message in loaded.history] == ["Yes?", "two", "Noted, two.", "Yes?"]


def test_a_flow_that_was_edited_is_told_and_goes_on(store: SQLiteStore) -> None:
    """Where the node still listens, the conversation goes on in the new flow."""
    talk(store, b"one\n")
    code, out, err = talk(store, b"two\n", CHANGED)
    assert (code, out) == (0, "Well, two.\nYes?\n")
    assert err == "note: flow '<flow>' has changed since this session's last turn\n"


def test_a_node_that_is_gone_is_named_and_reset_offered(store: SQLiteStore) -> None:
    """Nothing is said to a session that cannot go on; /reset begins the next conversation of it."""
    talk(store, b"one\n")
    code, out, _ = talk(store, b"two\n/help\n", RENAMED)
    assert (code, out) == (1, f"session 'ada' {GONE} (/reset)\n" * 3)
    code, out, _ = talk(store, b"/reset\ntwo\n", RENAMED)
    assert out == f"session 'ada' {GONE} (/reset)\nYes?\nNoted, two.\nYes?\n"
    assert [turn.user for turn in store.turns("ada")] == [None, "one", None, "two"]


def test_notes_are_events_in_json(store: SQLiteStore) -> None:
    """A program that reads the events learns what a user would."""
    talk(store, b"one\n")
    out = io.StringIO()
    assert run_json(CHANGED, io.BytesIO(b""), out, store=store, name="ada") == 0
    assert json.loads(out.getvalue()) == {
        "event": "note", "message": "flow '<flow>' has changed since this session's last turn",
    }  # fmt: skip


class Elsewhere(io.BytesIO):
    """Input whose second line comes after another program has talked in the session."""

    def __init__(self, store: SQLiteStore) -> None:
        super().__init__(b"one\ntwo\nthree\n")
        self.store, self.lines = store, 0

    def readline(self, size: int | None = -1, /) -> bytes:
        self.lines += 1
        if self.lines == 2:
            Session.resume(FLOW, self.store, "ada").say("from elsewhere")
        return super().readline(size)


def test_a_session_that_went_on_elsewhere_is_taken_up_there(store: SQLiteStore) -> None:
    """The message is refused with the reason, nothing is overwritten, and the next one is answered."""
    out = io.StringIO()
    assert run_plain(FLOW, Elsewhere(store), out, io.StringIO(), store=store, name="ada") == 0
    lines = out.getvalue().splitlines()
    assert lines[3].startswith("session 'ada' has gone on elsewhere")
    assert lines[-2:] == ["Noted, three.", "Yes?"]
    assert [turn.user for turn in store.turns("ada")] == [None, "one", "from elsewhere", "three"]


def said(chat: Chat, text: str) -> list[str]:
    """Return the pieces that the bot says to a message."""
    return [event.text for event in chat.send(text) if isinstance(event, Said)]


def test_a_chat_goes_back_beyond_its_own_run(store: SQLiteStore) -> None:
    """/back takes back messages that an earlier run of the program sent."""
    talk(store, b"one\ntwo\n")
    chat = Chat(FLOW, store=store, name="ada")
    said(chat, "three")
    assert [chat.undo(), chat.undo(), chat.undo(), chat.undo()] == ["three", "two", "one", None]
    assert [turn.user for turn in store.turns("ada")] == [None]


def test_a_chat_takes_back_across_conversations(store: SQLiteStore) -> None:
    """The conversation that began since is forgotten, in the store too."""
    chat = Chat(FLOW, store=store, name="ada")
    list(chat.start())
    said(chat, "bye")
    chat.begin()
    list(chat.start())
    assert chat.undo() == "bye"
    assert said(chat, "one") == ["Noted, one.", "Yes?"]
    assert [turn.user for turn in store.turns("ada")] == [None, "one"]


def test_a_chat_that_is_overtaken_takes_up_what_is_there(store: SQLiteStore) -> None:
    """The message is refused once; the next one follows what was said elsewhere."""
    chat = Chat(FLOW, store=store, name="ada")
    list(chat.start())
    Session.resume(FLOW, store, "ada").say("from elsewhere")
    with pytest.raises(ConflictError, match="has gone on elsewhere"):
        said(chat, "one")
    assert chat.last is not None
    assert chat.last.taken_back
    assert said(chat, "two") == ["Noted, two.", "Yes?"]
    assert [turn.user for turn in store.turns("ada")] == [None, "from elsewhere", "two"]


def test_a_chat_whose_node_is_gone_waits_for_a_new_beginning(store: SQLiteStore) -> None:
    """It names the node until it is told to begin anew."""
    talk(store, b"one\n")
    chat = Chat(RENAMED, store=store, name="ada")
    assert GONE in chat.lost
    with pytest.raises(StateError, match="is no longer a listening node"):
        said(chat, "two")
    chat.begin()
    assert [event.text for event in chat.start() if isinstance(event, Said)] == ["Yes?"]
    assert chat.lost == ""


def run(*options: str, text: str = "", cwd: Path) -> tuple[int, str, str]:
    """Run the program with a state folder of the test's own."""
    done = subprocess.run(
        [sys.executable, "-m", "fsmbot", *options], input=text, capture_output=True, text=True, cwd=cwd,
        env={"XDG_STATE_HOME": str(cwd / "state"), "PYTHONPATH": str(Path(__file__).parent.parent)},
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def test_the_command_line_keeps_a_session(tmp_path: Path) -> None:
    """In the user's own file unless another is named."""
    (tmp_path / "flow.yaml").write_text(TEXT)
    ada = ("--flow", "flow.yaml", "--session", "ada")
    assert run(*ada, text="one\n", cwd=tmp_path)[0] == 0
    assert run(*ada, text="two\n", cwd=tmp_path)[1] == "Noted, two.\nYes?\n"
    assert (tmp_path / "state" / "fsmbot" / "sessions.db").is_file()
    named = ("--store", "my.db")
    assert run(*ada, *named, cwd=tmp_path)[1] == "Yes?\n"
    assert run("sessions", *named, cwd=tmp_path)[1].splitlines()[1].startswith("ada      1 ")


def test_a_home_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the folder, and the way out: another file."""
    (tmp_path / "flow.yaml").write_text(TEXT)
    (tmp_path / "state").write_text("a file where the folder should be")
    code, out, err = run("--flow", "flow.yaml", "--session", "ada", text="one\n", cwd=tmp_path)
    assert (code, out) == (2, "")
    assert f"the folder of sessions {tmp_path / 'state' / 'fsmbot'} cannot be made: " in err
    assert "name a file for them with --store FILE" in err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--session", "ada", "--no-history"], "--no-history keeps nothing: choose one"),
        (["--store", "my.db"], "name it with --session NAME"),
        (["--session", ""], "a session's name has 1 to 100"),
        (["--session", "a\x1b[31m"], "a session's name has 1 to 100"),
        (["--session", "x" * 101], "a session's name has 1 to 100"),
        (["--session", "ada", "--store", "no/folder/my.db"], "; make its folder first, or name"),
        (["--session", "ada", "--store", "flow.yaml"], "file is not a database; it is no session store"),
        (["--session", "ada", "--store", ":memory:"], "is a file, and ':memory:' names none"),
    ],
)
def test_what_cannot_be_kept_is_told(options: list[str], told: str, tmp_path: Path) -> None:
    """Before a word is said, with exit code 2 and no traceback."""
    (tmp_path / "flow.yaml").write_text(TEXT * 9)
    (tmp_path / "talk.yaml").write_text(TEXT)
    code, out, err = run("--flow", "talk.yaml", *options, text="one\n", cwd=tmp_path)
    assert (code, out) == (2, "")
    assert told in err
    assert "Traceback" not in err
    assert (tmp_path / "flow.yaml").read_text() == TEXT * 9
