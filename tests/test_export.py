"""`fsmbot sessions export`: a stored session as a test file or as Markdown."""

from __future__ import annotations

import stat
from contextlib import closing
from pathlib import Path

import pytest

from fsmbot.cli import main
from fsmbot.doctor.fakes import FakeDoctor
from fsmbot.errors import StoreError
from fsmbot.loader import load_flow
from fsmbot.session import Session
from fsmbot.stores import SQLiteStore
from fsmbot.turn import Message

FLOW = Path(__file__).parent.parent / "flows" / "doctor.yaml"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A store beside a copy of the flow, with two sessions, in the current folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "doctor.yaml").write_text(FLOW.read_text())
    store = SQLiteStore("s.db")
    flow = load_flow("doctor.yaml")
    for name in ("ada", "bob"):
        doctor = FakeDoctor([f"Rest, {name}."])
        Session(flow, {"doctor": doctor}, store=store, session_id=name).say("I have a headache")
    store.close()
    return "s.db"


def test_a_store_gives_back_its_turns(store: str) -> None:
    """The opening has no user; messages, events and state are those of the turn."""
    opening, answer = SQLiteStore(store).turns("ada")
    assert (opening.user, opening.state.status) == (None, "listening")
    assert opening.messages == [Message("bot", "What would you like to ask?")]
    assert (answer.user, answer.state.status) == ("I have a headache", "ended")
    assert [message.role for message in answer.messages] == ["user", "bot"]
    assert type(answer.events[-1]).__name__ == "Ended"
    assert SQLiteStore(store).turns("nobody") == []


def test_a_damaged_turn_is_a_store_error(store: str) -> None:
    """It names the store, and is no crash."""
    opened = SQLiteStore(store)
    opened._db.execute("UPDATE turns SET events = '[{}]'")
    with pytest.raises(StoreError, match=r"s\.db cannot be read"):
        opened.turns("ada")


def test_a_session_becomes_a_test_that_passes(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Printed, or written to a new file for the owner alone; then it runs."""
    assert main(["sessions", "export", "ada", "--store", store, "--as-test", "--flow", "doctor.yaml"]) == 0
    printed = capsys.readouterr().out
    assert "flow: doctor.yaml\n" in printed
    assert "I have a headache: Rest, ada." in printed
    to = ["--as-test", "--flow", "doctor.yaml", "-o", "ada.test.yaml"]
    assert main(["sessions", "export", "ada", "--store", store, *to]) == 0
    path = Path("ada.test.yaml")
    assert path.read_text() == printed
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert main(["sessions", "export", "bob", "--store", store, "--as-test", "-o", "doctor.test.yaml"]) == 0
    assert main(["test", "."]) == 0
    assert "2 tests in 2 files, 0 failed" in capsys.readouterr().out


def test_a_file_is_never_overwritten(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Nor is a test written under a name that would never be found."""
    Path("x.test.yaml").write_text("precious")
    assert main(["sessions", "export", "ada", "--store", store, "--as-test", "-o", "x.test.yaml"]) == 2
    assert capsys.readouterr().err == "x.test.yaml exists; remove it, or choose another name\n"
    assert Path("x.test.yaml").read_text() == "precious"
    assert main(["sessions", "export", "ada", "--store", store, "--as-test", "-o", "x.yaml"]) == 2
    assert "the name of a test file ends in .test.yaml" in capsys.readouterr().err


def test_an_unknown_session_lists_the_known_ones(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    """In one line, with exit code 2."""
    assert main(["sessions", "export", "zoe", "--store", store, "--as-test"]) == 2
    assert capsys.readouterr().err == "the session store s.db has no session 'zoe'; known: ada, bob\n"
    assert main(["sessions", "export", "adda", "--store", store]) == 2
    assert "did you mean 'ada'?" in capsys.readouterr().err


def test_a_store_that_is_not_there_is_not_created(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Looking changes nothing."""
    assert main(["sessions", "export", "ada", "--store", str(tmp_path / "no.db"), "--as-test"]) == 2
    assert (
        capsys.readouterr().err
        == f"the session store {tmp_path}/no.db does not exist; --session NAME makes one\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_store_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line, exit code 2."""
    (tmp_path / "x.db").write_text("this is no database, but it is long enough to look at" * 20)
    assert main(["sessions", "export", "ada", "--store", str(tmp_path / "x.db")]) == 2
    assert "x.db cannot be opened" in capsys.readouterr().err


def test_a_flow_that_has_changed_since_is_noted(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The recording is made all the same, as that may be why it is wanted."""
    changed = FLOW.read_text().replace("prompt: What", "prompt: Whatever")
    Path("doctor.yaml").write_text(changed)
    assert main(["sessions", "export", "ada", "--store", store, "--as-test", "--flow", "doctor.yaml"]) == 0
    out, err = capsys.readouterr()
    assert err == "note: doctor.yaml is not as it was when this session ran\n"
    assert "tests:" in out


def test_a_flow_that_changed_in_between_is_noted(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The last conversation ran in the flow as it is, and the others may not be walkable in it."""
    text = FLOW.read_text().replace("prompt: What", "prompt: Whatever")
    Path("doctor.yaml").write_text(text)
    with closing(SQLiteStore(store)) as opened:
        list(Session.resume(load_flow("doctor.yaml"), opened, "ada").anew().start())
    assert main(["sessions", "export", "ada", "--store", store, "--as-test", "--flow", "doctor.yaml"]) == 0
    assert "is not as it was when this session ran" in capsys.readouterr().err


def test_without_as_test_it_is_markdown(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    """As /save writes it."""
    assert main(["sessions", "export", "ada", "--store", store]) == 0
    out = capsys.readouterr().out
    assert out.startswith("# Conversation with ada\n\n**Bot**\n\n> What would you like to ask?\n\n**You**\n")


def test_a_session_that_was_restarted_becomes_a_test_that_passes(
    store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the command said belongs to no turn of the conversation that it began."""
    Path("talk.yaml").write_text(
        "start: ask_user\ncommands: {restart: {words: [start over], say: From the beginning.}}\n"
        "nodes:\n  ask_user: {remember: it, next: say}\n  say: {text: 'You said {it}', next: ask_user}\n"
    )
    opened = SQLiteStore(store)
    session = Session(load_flow("talk.yaml"), store=opened, session_id="cy")
    for text in ("one", "start over", "two"):
        session.say(text)
    opened.close()
    assert main(["sessions", "export", "cy", "--store", store, "--as-test", "-o", "talk.test.yaml"]) == 0
    assert "From the beginning" not in Path("talk.test.yaml").read_text()
    assert main(["test", "talk.yaml"]) == 0, capsys.readouterr().out
