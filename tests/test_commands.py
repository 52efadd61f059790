"""The slash commands: a table that help derives from, and values that a REPL may print."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from fsmbot import commands
from fsmbot.conversation import Chat
from fsmbot.errors import HandlerError
from fsmbot.events import Event, Routed, Said
from fsmbot.flow import Flow


@pytest.fixture
def chat(doctor_flow: Flow) -> Chat:
    """A chat on the reference flow that has said its opening words."""
    chat = Chat(doctor_flow)
    list(chat.start())
    return chat


def say(chat: Chat, text: str) -> list[Event]:
    """Send a message as a REPL does: a conversation that ended is followed by a new one."""
    if chat.ended:
        chat.begin()
        list(chat.start())
    return list(chat.send(text))


def run(chat: Chat, text: str) -> str:
    """Return what a command answers."""
    return "\n".join(commands.run(chat, text).lines)


def timeless(line: str) -> str:
    """Return a line of /why with T in place of the time, which is never the same."""
    return re.sub(r"[\d.]+ (µs|ms|s)\)$", "T)", line)


def test_help_shows_every_command_of_the_table(chat: Chat) -> None:
    """Help is derived, so no command is forgotten; each has a summary."""
    wanted = {"/help", "/state", "/why", "/back", "/restart", "/repeat", "/reload", "/save", "/quit"}
    assert wanted <= commands.COMMANDS.keys()
    for entry in commands.COMMANDS.values():
        assert entry.summary
        assert f"{entry.usage} " in run(chat, "/help")


def test_an_unknown_command_is_answered_with_a_suggestion(chat: Chat) -> None:
    """A typing mistake costs nothing, and is not sent as a message."""
    assert "unknown command '/undoo'; did you mean '/undo'?" in run(chat, "/undoo")
    assert "known: /help, " in run(chat, "/")
    assert "// to send a message that starts with a slash" in run(chat, "/usr/bin hurts")


@pytest.mark.parametrize(
    ("typed", "command", "message"),
    [
        ("/help", True, "/help"),
        (" /why", True, " /why"),
        ("//help", False, "/help"),
        ("a / b", False, "a / b"),
    ],
)
def test_two_slashes_send_one(typed: str, command: bool, message: str) -> None:
    """Every message can be sent, one that begins with a slash too."""
    assert commands.is_command(typed) is command
    assert commands.message(typed) == message


def test_a_command_that_takes_nothing_says_so(chat: Chat) -> None:
    """`/undo 3` does not silently undo one."""
    say(chat, "hello")
    assert run(chat, "/undo 3") == "/undo takes nothing more, and found '3'"
    assert chat.ended


def test_quit_leaves(chat: Chat) -> None:
    """Only /quit asks to leave."""
    assert commands.run(chat, "/quit").leave
    assert not commands.run(chat, "/help").leave


def test_why_explains_nodes_scores_and_outcomes(chat: Chat) -> None:
    """The last turn is told node by node, also after a new conversation has begun."""
    say(chat, "a pain")
    chat.begin()
    list(chat.start())
    assert list(map(timeless, run(chat, "/why").split("\n"))) == [
        "you said: a pain",
        "  ask_user       -> check_medical",
        "  check_medical  medical -> ask_doctor  (score 0.931; words pain; T)",
        "  ask_doctor     -> end  (said 13 characters; T)",
        "the conversation ended",
    ]


def test_why_tells_a_failure(chat: Chat) -> None:
    """A turn that failed is explained with its reason, and that it was taken back."""
    with pytest.raises(HandlerError):
        say(chat, "pain crash")
    lines = run(chat, "/why").split("\n")
    assert "check_medical  medical -> ask_doctor" in lines[2]
    assert lines[-2].endswith("ValueError: the doctor broke (conftest.py:77)")
    assert lines[-1] == "the turn was taken back; the conversation stands where it stood"


def test_why_tells_a_stopped_answer(chat: Chat) -> None:
    """An answer that Ctrl-C cut short says so."""
    say(chat, "pain interrupt")
    assert "ask_doctor     -> end  (said 6 characters; stopped by you; " in run(chat, "/why")


def test_why_has_nothing_to_explain_at_first(chat: Chat) -> None:
    """Before any message there is no turn."""
    assert run(chat, "/why") == "nothing was said yet, so there is nothing to explain"


def test_why_keeps_a_long_message_short(chat: Chat) -> None:
    """A message of many lines does not flood the screen."""
    say(chat, "line\n" * 1000)
    assert len(run(chat, "/why").split("\n")[0]) < 300


def test_state_tells_node_status_turns_and_memory(chat: Chat) -> None:
    """All of a conversation's state, and the status of what is loaded."""
    assert chat.resources["doctor"].status == "not loaded"
    assert run(chat, "/state").split("\n") == [
        f"flow:   doctor ({chat.flow.source})",
        "node:   ask_user",
        "status: listening",
        "turns:  0",
        "memory: empty",
        "doctor: not loaded",
    ]


def test_undo_returns_to_before_the_message(chat: Chat) -> None:
    """Node, history and transcript are as they were, into the conversation that had ended."""
    before = chat.session.state
    say(chat, "hello")
    chat.begin()
    list(chat.start())
    assert run(chat, "/undo") == "taken back: hello"
    assert chat.session.state is before
    assert chat.talks() == (before.history,)
    assert chat.last is None


def test_undo_goes_back_step_by_step(chat: Chat) -> None:
    """Each /undo takes one more message back, until there is none; failed turns do not count."""
    say(chat, "hello")
    say(chat, "a pain")
    with pytest.raises(HandlerError):
        say(chat, "pain crash")
    answers = [run(chat, "/undo") for _ in range(3)]
    assert answers == ["taken back: a pain", "taken back: hello", "there is no turn to take back"]


def test_reset_begins_a_new_conversation(chat: Chat) -> None:
    """The old one stays in the transcript, and /undo still leads back to it."""
    say(chat, "hello")
    run(chat, "/reset")
    assert chat.session.state.status == "new"
    assert [len(talk) for talk in chat.talks()] == [3, 0]
    assert run(chat, "/undo") == "taken back: hello"


def test_an_answer_can_be_stopped_through_a_chat(chat: Chat) -> None:
    """KeyboardInterrupt thrown into the events reaches the session, which keeps what came."""
    events = chat.send("a pain")
    while not isinstance(next(events), Said):
        pass
    stopped = events.throw(KeyboardInterrupt())
    assert isinstance(stopped, Routed)
    assert stopped.stopped
    list(events)
    assert chat.session.state.history[-1].text == "See a "


@pytest.fixture
def long_chat(flow_file: Path, doctor_flow: Flow) -> Chat:
    """A chat that goes on after each answer, one message old."""
    flow_file.write_text(flow_file.read_text().replace("next: end", "next: ask_user"))
    chat = Chat(doctor_flow)
    chat.reload()
    list(chat.start())
    list(chat.send("hello"))
    return chat


def test_reload_takes_the_edit_and_keeps_the_conversation(long_chat: Chat, flow_file: Path) -> None:
    """Node, memory, history and loaded resources stay; the new text is said from now on."""
    state, doctor = long_chat.session.state, long_chat.resources["doctor"]
    flow_file.write_text(
        flow_file.read_text().replace("ans_greeting:   {", "ans_greeting:   {text: Good day, ")
    )
    assert run(long_chat, "/reload") == (
        f"{flow_file} is loaded\n  node 'ans_greeting': text: 'Good day' is new"
    )
    assert long_chat.session.state is state
    assert long_chat.resources["doctor"] is doctor
    assert Said("ans_greeting", "Good day") in say(long_chat, "hello")


def test_reload_of_a_broken_edit_changes_nothing(long_chat: Chat, flow_file: Path) -> None:
    """The mistakes are shown with their places, and the old flow goes on."""
    flow_file.write_text(flow_file.read_text().replace("medical: ask_doctor", "medical: ask_docter"))
    answer = run(long_chat, "/reload").split("\n")
    assert "goes to unknown node 'ask_docter'; did you mean 'ask_doctor'?" in answer[0]
    assert answer[-1] == "the flow that was loaded before goes on"
    assert Said("ask_doctor", "doctor.") in say(long_chat, "a pain")


def test_reload_without_the_node_lets_the_old_flow_end_the_conversation(
    long_chat: Chat, flow_file: Path
) -> None:
    """The user is told, may go on or /restart, and the next conversation takes the new flow."""
    text = flow_file.read_text().replace("ask_user", "ask").replace("ask:\n", "ask:\n    handler: ask_user\n")
    flow_file.write_text(text)
    assert "has no listening node 'ask_user' any more" in run(long_chat, "/reload")
    assert "reload: the next conversation takes the edited flow" in run(long_chat, "/state")
    assert Said("ask_doctor", "doctor.") in say(long_chat, "a pain")
    run(long_chat, "/reset")
    list(long_chat.start())
    assert long_chat.session.state.node == "ask"


def test_reload_may_be_told_how_to_load(doctor_flow: Flow, flow_file: Path) -> None:
    """Whoever changed the flow after loading can have the change applied again."""
    loads: Iterator[Flow] = iter([doctor_flow])
    flow_file.unlink()
    assert "nothing in it has changed" in run(Chat(doctor_flow, load=lambda: next(loads)), "/reload")


def test_save_writes_markdown_for_the_owner_alone(chat: Chat, tmp_path: Path) -> None:
    """All conversations are in it, and the mode is 0600 whatever the umask."""
    say(chat, "hello")
    say(chat, "a pain")
    old = os.umask(0)
    try:
        assert run(chat, f"/save {tmp_path}/my talk.md") == f"saved to {tmp_path}/my talk.md"
    finally:
        os.umask(old)
    path = tmp_path / "my talk.md"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = path.read_text()
    assert text.startswith("# Conversation with doctor\n\n## Conversation 1\n\n**Bot**\n\n> What would")
    assert "## Conversation 2" in text
    assert text.endswith("**You**\n\n> a pain\n\n**Bot**\n\n> See a doctor.\n")


def test_save_overwrites_only_when_told_so(chat: Chat, tmp_path: Path) -> None:
    """A file that exists is left alone; --force replaces it, and makes it private."""
    path = tmp_path / "talk.md"
    path.write_text("precious")
    path.chmod(0o644)
    assert run(chat, f"/save {path}") == f"{path} exists; to replace it: /save --force {path}"
    assert path.read_text() == "precious"
    assert run(chat, f"/save --force {path}") == f"saved to {path}"
    assert path.read_text().startswith("# Conversation")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_save_knows_the_home_folder(chat: Chat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`~` stands for the home folder, as in a shell."""
    monkeypatch.setenv("HOME", str(tmp_path))
    run(chat, "/save ~/talk.md")
    assert (tmp_path / "talk.md").exists()


@pytest.mark.parametrize("name", ["", " --force", " /nowhere/at/all.md", " .", " a\0b"])
def test_save_tells_what_stands_in_the_way(chat: Chat, name: str) -> None:
    """No name, a missing folder, a folder, a NUL: a line that says so."""
    answer = run(chat, f"/save{name}")
    assert answer.startswith("usage: ") or "cannot be written: " in answer or "exists" in answer


def test_a_message_cannot_pose_as_part_of_the_transcript(chat: Chat, tmp_path: Path) -> None:
    """Every message is a quotation, without control characters and HTML."""
    say(chat, "pain\n## Conversation 7\n\x1b[31m<script>")
    run(chat, f"/save {tmp_path}/talk.md")
    assert "\n> ## Conversation 7\n> \ufffd[31m\\<script>\n" in (tmp_path / "talk.md").read_text()


def test_reload_survives_handlers_that_cannot_be_imported(doctor_flow: Flow) -> None:
    """Whatever is wrong with the edit, it is told, and the flow that was loaded before goes on."""
    from fsmbot.errors import RegistrationError

    def broken() -> Flow:
        raise RegistrationError("handlers 'my.py' cannot be imported: SyntaxError")

    chat = Chat(doctor_flow, load=broken)
    list(chat.start())
    assert commands.run(chat, "/reload").lines == (
        "handlers 'my.py' cannot be imported: SyntaxError",
        "the flow that was loaded before goes on",
    )
    assert list(chat.send("hello"))
