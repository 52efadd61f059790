"""/save-test in a conversation, and the turns that a chat keeps for it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from fsmbot import commands
from fsmbot.conversation import Chat
from fsmbot.errors import HandlerError
from fsmbot.flow import Flow
from fsmbot.testing.reader import parse_script
from fsmbot.testing.runner import run_script


@pytest.fixture
def chat(sample: Flow) -> Chat:
    """A chat that has said its opening words."""
    chat = Chat(sample)
    list(chat.start())
    return chat


def talk(chat: Chat, *lines: str) -> None:
    """Say some lines as a REPL does."""
    for line in lines:
        if chat.ended:
            chat.begin()
            list(chat.start())
        list(chat.send(line))


def said(chat: Chat) -> list[list[str | None]]:
    """Return what the user said in each conversation; None is the opening."""
    return [[turn.user for turn in turns] for turns in chat.played()]


def test_a_chat_keeps_the_turns_of_all_its_conversations(chat: Chat) -> None:
    """The opening first, then the user's, with the memory after each."""
    talk(chat, "4", "boom", "a")
    assert said(chat) == [[None, "4", "boom"], [None, "a"]]
    assert [turn.memory for turn in chat.played()[0]] == [
        {},
        {"last": "4", "sum": 4},
        {"last": "boom", "sum": 4},
    ]


def test_undo_drops_turns_again_also_across_conversations(chat: Chat) -> None:
    """What was taken back is in no recording."""
    talk(chat, "4", "boom")
    chat.begin()
    list(chat.start())
    assert chat.undo() == "boom"
    assert said(chat) == [[None, "4"]]
    talk(chat, "5")
    assert said(chat) == [[None, "4", "5"]]


def test_turns_that_failed_or_were_left_early_are_not_kept(doctor_flow: Flow) -> None:
    """Only what the conversation has taken in; a new one's opening is kept even without an answer."""
    chat = Chat(doctor_flow)
    events = chat.start()
    next(events)
    events.close()  # type: ignore[attr-defined]
    assert said(chat) == [[]]
    with pytest.raises(HandlerError):
        list(chat.send("a pain crash"))
    assert said(chat) == [[None]]
    list(chat.send("hello"))
    assert said(chat) == [[None, "hello"]]


def test_a_conversation_without_a_message_is_not_kept(chat: Chat) -> None:
    """/reset before anything was said leaves nothing behind."""
    chat.begin()
    list(chat.start())
    talk(chat, "a")
    assert said(chat) == [[None, "a"]]


def test_reload_keeps_the_turns_of_a_conversation_that_goes_on(doctor_flow: Flow, flow_file: Path) -> None:
    """And begins anew with one that has no message yet."""
    flow_file.write_text(flow_file.read_text().replace("next: end", "next: ask_user"))
    chat = Chat(doctor_flow)
    chat.reload()
    list(chat.start())
    chat.reload()
    assert said(chat) == [[]]
    list(chat.start())
    talk(chat, "hello")
    chat.reload()
    assert said(chat) == [[None, "hello"]]


def run(chat: Chat, text: str) -> str:
    """Return what a command answers."""
    return "\n".join(commands.run(chat, text).lines)


def test_save_test_writes_a_test_that_passes(chat: Chat, sample: Flow, tmp_path: Path) -> None:
    """All conversations so far, for the owner alone."""
    talk(chat, "4", "13", "boom", "a")
    path = tmp_path / "my talk.test.yaml"
    old = os.umask(0)
    try:
        assert run(chat, f"/save-test {path}") == f"saved to {path}"
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    result = run_script(parse_script(path.read_text(), str(path), sample))
    assert [case.case.name for case in result.results] == ["conversation 1", "conversation 2"]
    assert result.failures == []


def test_save_test_overwrites_only_when_told_so(chat: Chat, tmp_path: Path) -> None:
    """As /save does."""
    talk(chat, "a")
    path = tmp_path / "x.test.yaml"
    path.write_text("precious")
    assert run(chat, f"/save-test {path}") == f"{path} exists; to replace it: /save-test --force {path}"
    assert path.read_text() == "precious"
    assert run(chat, f"/save-test --force {path}").startswith(f"saved to {path}")
    assert path.read_text().startswith("# Recorded")


@pytest.mark.parametrize("name", ["", " --force", " talk.yaml", " --force x"])
def test_save_test_wants_a_name_that_is_found_again(chat: Chat, name: str) -> None:
    """A file of another name would never be run."""
    assert run(chat, f"/save-test{name}") == (
        "usage: /save-test [--force] FILE, with a FILE whose name ends in .test.yaml"
    )


def test_save_test_tells_what_stands_in_the_way(chat: Chat, tmp_path: Path) -> None:
    """Nothing said yet, or a folder that is not there; no file is left behind."""
    path = tmp_path / "x.test.yaml"
    assert (
        run(chat, f"/save-test {path}")
        == f"{path} cannot be written: nothing was said yet, so there is nothing to record"
    )
    assert not path.exists()
    talk(chat, "a")
    assert "cannot be written: No such file" in run(chat, "/save-test /nowhere/x.test.yaml")
