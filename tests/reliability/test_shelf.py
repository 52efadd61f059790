"""`fsmbot sessions`: stored sessions are listed, exported, and deleted for good."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fsmbot.cli import main
from fsmbot.errors import StoreError
from fsmbot.loader import parse_flow
from fsmbot.session import Session
from fsmbot.stores import SQLiteStore

FLOW = parse_flow(
    "start: ask\nnodes:\n  ask: {handler: ask_user, prompt: Yes?, remember: last, next: check}\n"
    "  check: {handler: match, cases: {bye: [bye]}, next: {bye: end, otherwise: say}}\n"
    "  say: {text: 'Noted, {last}.', next: ask}\n"
)


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder of the test's own, with a state folder in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def store() -> SQLiteStore:
    """A store in s.db with two sessions, one of which has two conversations."""
    store = SQLiteStore("s.db")
    ada = Session.resume(FLOW, store, "ada")
    ada.say("one")
    ada.say("bye")
    ada.anew().say("two")
    Session.resume(FLOW, store, "bob").say("three")
    return store


def interrupt(store: SQLiteStore, text: str) -> None:
    """Leave a message of ada's as a process that is gone would."""
    store.begin("ada", 5, text)
    store._db.execute("UPDATE notes SET writer = writer + 1")
    assert "got no answer" in Session.resume(FLOW, store, "ada").notice


def sessions(capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, str, str]:
    """Run `fsmbot sessions`, and return exit code, output and errors."""
    code = main(["sessions", *options])
    return code, *capsys.readouterr()


def test_sessions_are_listed(store: SQLiteStore, capsys: pytest.CaptureFixture[str]) -> None:
    """The last used one first, with what there is of each."""
    code, out, _ = sessions(capsys, "list", "--store", "s.db")
    head, *rows = [line.split() for line in out.splitlines()]
    assert (code, head) == (0, ["session", "conversations", "turns", "last", "used", "stands"])
    assert [row[:3] + row[5:] for row in rows] == [
        ["bob", "1", "2", "waits", "at", "ask"],
        ["ada", "2", "5", "waits", "at", "ask"],
    ]
    assert sessions(capsys, "--store", "s.db")[1] == out


def test_where_there_is_no_session_none_is_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Looking makes no file."""
    path = tmp_path / "state" / "fsmbot" / "sessions.db"
    assert sessions(capsys) == (0, f"no sessions: {path} does not exist\n", "")
    assert not path.exists()


def test_a_session_is_exported_as_json(store: SQLiteStore, capsys: pytest.CaptureFixture[str]) -> None:
    """Every turn of every conversation; what a terminal must not see comes in escapes."""
    interrupt(store, "red \x1b[31m\u202e")
    code, out, _ = sessions(capsys, "export", "ada", "--json", "--store", "s.db")
    assert (code, "\x1b" in out, "\u202e" in out) == (0, False, False)
    found = json.loads(out)
    turns = [[turn["user"] for turn in talk["turns"]] for talk in found["conversations"]]
    assert (found["session"], turns) == ("ada", [[None, "one", "bye"], [None, "two", "red \x1b[31m\u202e"]])
    last = found["conversations"][1]["turns"]
    assert [turn["interrupted"] for turn in last] == [False, False, True]
    assert last[1]["bot"] == ["Noted, two.", "Yes?"]
    assert last[1]["events"][-1] == {"event": "listening", "node": "ask"}


def test_an_interrupted_message_is_marked(
    store: SQLiteStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Markdown shows that it got no answer; a test, which could expect nothing of it, leaves it out."""
    interrupt(store, "hello?")
    assert sessions(capsys, "export", "ada", "--store", "s.db")[1].endswith("> hello?\n\n*(no answer)*\n")
    written = sessions(capsys, "export", "ada", "--as-test", "--store", "s.db")[1]
    assert "two" in written
    assert "hello" not in written


def test_a_session_is_deleted_for_good(store: SQLiteStore, capsys: pytest.CaptureFixture[str]) -> None:
    """No word of it is left in the file or in the files beside it, and the others are as they were."""
    session = Session.resume(FLOW, store, "canary-name")
    for number in range(50):
        session.say(f"canary-{number} " + "x" * (100 * number))
    session.back()
    store.begin("canary-name", session.coming, "canary-note")
    store.close()
    before = sessions(capsys, "export", "ada", "--json", "--store", "s.db")
    assert any(b"canary" in path.read_bytes() for path in Path().glob("s.db*"))
    told = "session 'canary-name' is deleted from s.db\n"
    assert sessions(capsys, "delete", "canary-name", "--store", "s.db") == (0, told, "")
    assert [path for path in Path().glob("s.db*") if b"canary" in path.read_bytes()] == []
    assert sessions(capsys, "export", "ada", "--json", "--store", "s.db") == before
    assert not list(Path().glob("*canary*"))


@pytest.mark.promise(4, "deleted sessions: words left in the store's files")
def test_nothing_is_left_of_many_deleted_sessions(store: SQLiteStore, reached: Callable[[str], None]) -> None:
    """Also where other sessions lie between them, and were written meanwhile."""
    for number in range(100):
        session = Session.resume(FLOW, store, f"s{number}")
        session.say(f"{'canary' if number % 2 else 'keeper'}-{number} " * (number + 1))
    for number in range(1, 100, 2):
        assert store.delete(f"s{number}")
    store.close()
    left = sum(path.read_bytes().count(b"canary") for path in Path().glob("s.db*"))
    assert left == 0
    assert len(SQLiteStore("s.db").names()) == 52
    reached("50 sessions deleted among 102: 0 of their words left in 4 files")


def test_while_another_program_reads_the_rest_is_told(
    store: SQLiteStore, capsys: pytest.CaptureFixture[str]
) -> None:
    """The session is gone, and the user learns that words are still in the log, and how they go: by the
    same command again, though that program still has the file open."""
    Session.resume(FLOW, store, "ada").say("canary")
    reader = sqlite3.connect("s.db", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM turns").fetchall()
    impatient = SQLiteStore("s.db", patience=0.1)
    with pytest.raises(
        StoreError, match=r"'ada' is deleted from s\.db, but another program is using the file"
    ):
        impatient.delete("ada")
    assert impatient.names() == ["bob"]
    assert any(b"canary" in path.read_bytes() for path in Path().glob("s.db*"))
    reader.execute("COMMIT")
    assert sessions(capsys, "delete", "ada", "--store", "s.db")[0] == 2
    assert [path for path in Path().glob("s.db*") if b"canary" in path.read_bytes()] == []
    assert not impatient.delete("ada")


def test_what_could_not_be_wiped_goes_with_the_next_use_of_the_file(
    store: SQLiteStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The advice holds: once the reader is gone, `fsmbot sessions` leaves no word of the session."""
    store.close()
    reader = sqlite3.connect("s.db", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM turns").fetchall()
    impatient = SQLiteStore("s.db", patience=0.1)
    with pytest.raises(StoreError, match="once that is mended, `fsmbot sessions` wipes them"):
        impatient.delete("ada")
    impatient.close()
    reader.close()
    assert "ada" not in sessions(capsys, "--store", "s.db")[1]
    left = b"".join(path.read_bytes() for path in tmp_path.glob("s.db*"))
    assert b"Noted, two." not in left
    assert b"Noted, three." in left


def test_an_unknown_session_deletes_nothing(store: SQLiteStore, capsys: pytest.CaptureFixture[str]) -> None:
    """One wrong name stops the command before anything is deleted."""
    told = "the session store s.db has no session 'bop'; did you mean 'bob'?\n"
    assert sessions(capsys, "delete", "ada", "bop", "--store", "s.db") == (2, "", told)
    assert store.names() == ["ada", "bob"]
    assert sessions(capsys, "delete", "ada", "--store", "no.db")[0] == 2


def test_a_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    """It is refused, and stays byte for byte what it was."""
    with sqlite3.connect("other.db") as other:
        other.execute("CREATE TABLE turns (mine TEXT)")
    other.close()
    Path("other.db").chmod(0o644)
    before = Path("other.db").read_bytes()
    with pytest.raises(StoreError, match=r"other\.db is a database of another program"):
        SQLiteStore("other.db")
    assert (Path("other.db").read_bytes(), Path("other.db").stat().st_mode & 0o777) == (before, 0o644)


@pytest.mark.parametrize("damage", ["state = '{'", "at = 'noon'", "at = 1e18"])
@pytest.mark.parametrize("command", [["list"], ["export", "ada", "--json"]])
def test_a_damaged_row_is_told(
    store: SQLiteStore, capsys: pytest.CaptureFixture[str], damage: str, command: list[str]
) -> None:
    """A store that something else wrote into gives an error in words, and no traceback."""
    store._db.execute(f"UPDATE turns SET {damage}")
    code, out, err = sessions(capsys, *command, "--store", "s.db")
    assert (code, out) == (2, "")
    assert err.startswith("the session store s.db cannot be read: ")


def test_a_store_of_a_later_version_is_refused(store: SQLiteStore) -> None:
    """Rather than read wrongly."""
    store._db.execute("PRAGMA user_version=2")
    with pytest.raises(StoreError, match="is of version 2, and this fsmbot knows version 1"):
        SQLiteStore("s.db")


def test_many_may_open_a_new_store_at_once(tmp_path: Path) -> None:
    """Whoever comes first makes it, and all can use it."""
    script = (
        "import sys, threading; from fsmbot.stores import SQLiteStore; sys.stdin.readline()\n"
        "opened = []\n"
        "def open_it(): opened.append(SQLiteStore('new.db'))\n"
        "threads = [threading.Thread(target=open_it) for _ in range(8)]\n"
        "[t.start() for t in threads]; [t.join() for t in threads]; print(len(opened))"
    )
    command, pipe = [sys.executable, "-c", script], subprocess.PIPE
    openers = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(3)]
    assert [opener.communicate("go\n")[0] for opener in openers] == ["8\n"] * 3
