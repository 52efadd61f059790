"""The REPL, driven without a terminal: keys come from a pipe, output goes to a string."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.data_structures import Size
from prompt_toolkit.document import Document
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.layout.controls import BufferControl
from prompt_toolkit.layout.processors import TransformationInput
from prompt_toolkit.output import DummyOutput
from prompt_toolkit.output.vt100 import Vt100_Output

from fsmbot import history as history_module
from fsmbot.events import Event, Said
from fsmbot.flow import Flow
from fsmbot.history import PrivateHistory, default_path
from fsmbot.line_editor import MAX_STACK, SafeInput, make_prompt
from fsmbot.loader import load_flow, parse_flow
from fsmbot.repl import Repl
from fsmbot.session import Session
from fsmbot.stores import SQLiteStore
from fsmbot.terminal import Screen, fence, interrupts_only

ENTER, ALT_ENTER, CTRL_C, CTRL_D, UP = "\r", "\x1b\r", "\x03", "\x04", "\x1b[A"


@pytest.fixture(autouse=True)
def state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder of the test's own, and a terminal that can do what most can."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("PROMPT_TOOLKIT_NO_CPR", "1")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("NO_COLOR", raising=False)
    return tmp_path / "state"


@pytest.fixture
def keys() -> Iterator[PipeInput]:
    """The keys that a user presses."""
    with create_pipe_input() as pipe:
        yield pipe


class Talk:
    """A REPL with its output."""

    def __init__(self, flow: Flow, keys: PipeInput, **options: Any) -> None:
        self.out = io.StringIO()
        output = Vt100_Output(self.out, lambda: Size(rows=24, columns=300), term="xterm-256color")
        self.repl = Repl(flow, input=keys, output=output, **options)
        self.keys = keys

    def type(self, *typed: str) -> str:
        """Press keys and then Ctrl-D, and return what was printed (prompts and escapes left out)."""
        self.keys.send_text("".join(typed) + CTRL_D)
        assert self.repl.run() == 0
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|\r", "", self.out.getvalue())


def said(shown: str) -> list[str]:
    """Return the lines that the bot said."""
    return re.findall(r"bot> (.*)\n", shown)


PROMPT = "What would you like to ask?"
GREETING = "Nice to hear from you! I am an AI that answers questions about health; ask me whenever you like."


def test_one_conversation_follows_the_other_until_ctrl_d(doctor_flow: Flow, keys: PipeInput) -> None:
    """Each ends with its answer, and a new one begins."""
    shown = Talk(doctor_flow, keys).type("hello", ENTER, "a pain", ENTER)
    assert said(shown) == [PROMPT, GREETING, PROMPT, "See a doctor.", PROMPT]


def test_it_runs_without_any_output_at_all(doctor_flow: Flow, keys: PipeInput) -> None:
    """Input and output are injected; nothing else is written to."""
    keys.send_text("hello" + ENTER + CTRL_D)
    repl = Repl(doctor_flow, input=keys, output=DummyOutput())
    assert repl.run() == 0
    assert repl.chat.last is not None
    assert repl.chat.last.text == "hello"


def test_the_flow_introduces_itself(doctor_flow: Flow, keys: PipeInput) -> None:
    """Name and description come first, then how to get help and how to leave."""
    shown = Talk(doctor_flow, keys).type()
    assert "doctor: Answers one question about health" in shown
    assert shown.index("/help") < shown.index(PROMPT)


def test_empty_lines_are_no_messages(doctor_flow: Flow, keys: PipeInput) -> None:
    """Enter alone, or after spaces, asks again."""
    assert said(Talk(doctor_flow, keys).type(ENTER, "   ", ENTER)) == [PROMPT]


def test_alt_enter_begins_a_new_line(doctor_flow: Flow, keys: PipeInput) -> None:
    """A message may have several lines."""
    talk = Talk(doctor_flow, keys)
    talk.type("hello", ALT_ENTER, "there", ENTER)
    assert talk.repl.chat.last is not None
    assert talk.repl.chat.last.text == "hello\nthere"


def test_a_pasted_text_waits_for_enter(doctor_flow: Flow, keys: PipeInput) -> None:
    """Line breaks in it do not send it."""
    talk = Talk(doctor_flow, keys)
    talk.type("\x1b[200~hello\r\nthere\rdoc\n\x1b[201~", "!", ENTER)
    assert talk.repl.chat.last is not None
    assert talk.repl.chat.last.text == "hello\nthere\ndoc\n!"


def test_ctrl_c_clears_the_line(doctor_flow: Flow, keys: PipeInput) -> None:
    """What was typed is gone, and the REPL goes on."""
    shown = Talk(doctor_flow, keys).type("a pain", CTRL_C, "hello", ENTER)
    assert said(shown) == [PROMPT, GREETING, PROMPT]


def test_ctrl_c_in_an_answer_keeps_what_came(doctor_flow: Flow, keys: PipeInput) -> None:
    """The answer is cut, marked as stopped, and belongs to the conversation."""
    talk = Talk(doctor_flow, keys)
    assert "See a  [stopped]" in said(talk.type("pain interrupt", ENTER))
    assert talk.repl.chat.past[0][-1].text == "See a "


def test_ctrl_c_while_a_piece_is_printed_is_no_different(
    doctor_flow: Flow, keys: PipeInput, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where exactly the key strikes does not matter."""
    show, pressed = Screen.show, iter([True])

    def show_and_press(screen: Screen, event: Event) -> None:
        show(screen, event)
        if isinstance(event, Said) and event.node == "ask_doctor" and next(pressed, False):
            raise KeyboardInterrupt

    monkeypatch.setattr(Screen, "show", show_and_press)
    talk = Talk(doctor_flow, keys)
    assert "See a  [stopped]" in said(talk.type("a pain", ENTER))
    assert talk.repl.chat.past[0][-1].text == "See a "


def test_ctrl_c_strikes_only_while_the_bot_speaks() -> None:
    """Between answer and prompt it is ignored, and afterwards it is what it was before."""
    before, speaking = signal.getsignal(signal.SIGINT), False
    with interrupts_only(lambda: speaking):
        signal.raise_signal(signal.SIGINT)
        speaking = True
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_pressed_twice_stops_no_more_than_the_answer(
    doctor_flow: Flow, keys: PipeInput, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second one strikes while the first is still being told, and the talk goes on."""

    registry, note = doctor_flow.registry, Screen.note

    @registry.handler(name="ponder")
    def ponder(turn: Any) -> None:
        signal.raise_signal(signal.SIGINT)

    def struck(screen: Screen, line: str) -> None:
        if line == "(stopped)":
            signal.raise_signal(signal.SIGINT)
        note(screen, line)

    monkeypatch.setattr(Screen, "note", struck)
    text = "{start: ask_user, nodes: {ask_user: {next: ponder}, ponder: {next: end}}}"
    shown = Talk(parse_flow(text, registry=registry), keys).type("a pain", ENTER, "hello", ENTER)
    assert shown.count("(stopped)") == 2


def test_ctrl_c_before_any_answer_takes_the_message_back(doctor_flow: Flow, keys: PipeInput) -> None:
    """The conversation stands where it stood, and the user is told."""
    registry = doctor_flow.registry

    @registry.handler(name="ponder")
    def ponder(turn: Any) -> None:
        raise KeyboardInterrupt

    text = "{start: ask_user, nodes: {ask_user: {next: ponder}, ponder: {next: end}}}"
    flow = parse_flow(text, registry=registry)
    talk = Talk(flow, keys)
    shown = talk.type("hm", ENTER)
    assert "(stopped)\n(your message was taken back; the Up key brings it" in shown
    assert talk.repl.chat.session.state.turn == 0


def test_a_failing_handler_does_not_end_the_repl(doctor_flow: Flow, keys: PipeInput) -> None:
    """The reason is shown, and the next message is taken where the conversation stood."""
    shown = Talk(doctor_flow, keys).type("pain crash", ENTER, "a pain", ENTER)
    assert "node 'ask_doctor'" in shown
    assert (
        "ValueError: the doctor broke (conftest.py:77)\n(your message was taken back; the Up key brings it"
        in shown
    )
    assert said(shown) == [PROMPT, "See a ", "See a doctor.", PROMPT]


def test_our_own_mistakes_are_not_swallowed(
    doctor_flow: Flow, keys: PipeInput, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exception that no handler raised is a bug, and comes out."""
    monkeypatch.setattr("fsmbot.commands.run", lambda chat, text: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        Talk(doctor_flow, keys).type("/why", ENTER)


def test_a_message_that_is_too_long_is_refused_and_kept_in_the_history(
    doctor_flow: Flow, keys: PipeInput, state_home: Path
) -> None:
    """Nothing that was typed is lost."""
    long = "a" * 20_001
    shown = Talk(doctor_flow, keys).type(f"\x1b[200~{long}\x1b[201~", ENTER)
    assert "the message has 20,001 characters; at most 20,000 are read" in shown
    assert json.loads((state_home / "fsmbot" / "history").read_text()) == long


def test_a_paste_of_10_mb_is_refused_in_time(doctor_flow: Flow, keys: PipeInput) -> None:
    """It neither blocks the terminal nor fills the memory."""
    talk = Talk(doctor_flow, keys, history=False)
    paste = f"\x1b[200~{'a' * 10_000_000}\x1b[201~"
    typing = threading.Thread(target=keys.send_text, args=[paste + ENTER + CTRL_D])
    typing.start()
    assert talk.repl.run() == 0
    typing.join()
    assert re.search(r"the message has 21,\d+ characters; at most 20,000 are read", talk.out.getvalue())


def test_slash_commands_are_answered(doctor_flow: Flow, keys: PipeInput) -> None:
    """What a command returns is printed, and two slashes send one."""
    talk = Talk(doctor_flow, keys)
    shown = talk.type("//hello", ENTER, "/why", ENTER, "/nonsense", ENTER)
    assert "you said: /hello\n" in shown
    assert "check_greeting  greeting -> ans_greeting" in shown
    assert "unknown command '/nonsense'" in shown


def test_reset_opens_a_new_conversation(doctor_flow: Flow, keys: PipeInput) -> None:
    """Its opening words are said at once."""
    assert said(Talk(doctor_flow, keys).type("/reset", ENTER)) == [PROMPT, PROMPT]


def test_back_and_repeat_say_the_question_again(doctor_flow: Flow, keys: PipeInput) -> None:
    """The bot speaks, not the program: as it did the first time."""
    shown = Talk(doctor_flow, keys).type("/repeat", ENTER, "/back", ENTER, "hello", ENTER, "/undo", ENTER)
    assert said(shown) == [PROMPT, PROMPT, GREETING, PROMPT, PROMPT]
    assert "there is no turn to take back" in shown
    assert "taken back: hello" in shown


SPOKEN = """\
start: ask_user
commands:
  help: {words: [what can you do], say: I echo.}
  restart: {words: [start over]}
nodes:
  ask_user: {remember: said, next: say}
  say: {text: "You said {said}", next: ask_user}
"""


def test_spoken_commands_are_obeyed(keys: PipeInput) -> None:
    """A plain user needs no slash; nothing is said to be taken back, and /help tells the words."""
    talk = Talk(parse_flow(SPOKEN), keys)
    shown = talk.type("what can you do", ENTER, "a", ENTER, "Start over.", ENTER, "/help", ENTER)
    assert said(shown) == [PROMPT, "I echo.", "You said a", PROMPT, PROMPT]
    assert "your message was taken back" not in shown
    assert 'say "start over": restart' in shown


def watched(path: Path, keys: PipeInput, edit: str, typed: str) -> tuple[Talk, str]:
    """Talk while a flow file is edited, and return the talk with what was printed."""
    path.write_text(SPOKEN)
    talk = Talk(load_flow(path), keys, watch=[])

    def type_and_edit() -> None:
        try:
            keys.send_text("hello" + ENTER)
            wait_until(lambda: shown_by(talk).count(PROMPT) == 2)
            keys.send_text(typed)
            time.sleep(0.1)
            path.write_text(edit)
            wait_until(lambda: re.search("f.yaml is loaded|goes on", shown_by(talk)) is not None)
        finally:
            keys.send_text(ENTER + CTRL_D)

    thread = threading.Thread(target=type_and_edit)
    thread.start()
    assert talk.repl.run() == 0
    thread.join()
    return talk, shown_by(talk)


def shown_by(talk: Talk) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|\r", "", talk.out.getvalue())


def wait_until(true: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def test_an_edit_is_loaded_while_the_prompt_is_up(tmp_path: Path, keys: PipeInput) -> None:
    """What changed is told; node, memory and the half-typed message stay."""
    path = tmp_path / "f.yaml"
    talk, shown = watched(path, keys, SPOKEN.replace("You said", "I heard"), "half ")
    assert "f.yaml is loaded\n  node 'say': text: 'You said {said}' -> 'I heard {said}'" in shown
    assert said(shown)[-2:] == ["I heard half ", PROMPT]
    assert talk.repl.chat.session.state.turn == 2


def test_a_broken_edit_is_reported_and_the_old_flow_goes_on(tmp_path: Path, keys: PipeInput) -> None:
    """With line, column and a caret below the mistake."""
    path = tmp_path / "f.yaml"
    _, shown = watched(path, keys, SPOKEN.replace("next: say}", "next: sya}"), "half ")
    assert (
        f"{path}:6:36: node 'ask_user': next goes to unknown node 'sya'; did you mean 'say'?\n"
        "      ask_user: {remember: said, next: sya}\n"
        "                                       ^\n"
        "the flow that was loaded before goes on" in shown
    )
    assert said(shown)[-2:] == ["You said half ", PROMPT]


def test_quit_leaves_with_0(doctor_flow: Flow, keys: PipeInput) -> None:
    """As Ctrl-D does; what follows is not read."""
    assert said(Talk(doctor_flow, keys).type("/quit", ENTER, "hello", ENTER)) == [PROMPT]


def test_commands_are_completed(doctor_flow: Flow, keys: PipeInput) -> None:
    """Tab finishes the name of a command."""
    from prompt_toolkit.completion import CompleteEvent
    from prompt_toolkit.document import Document

    from fsmbot.line_editor import CommandCompleter

    def offered(text: str) -> list[str]:
        return [c.text for c in CommandCompleter().get_completions(Document(text), CompleteEvent())]

    assert offered("/re") == ["/restart", "/repeat", "/reload"]
    assert len(offered("/")) >= 8
    assert offered("re") == offered("//") == offered("/save ") == []


def test_a_flow_that_never_listens_ends_by_itself(doctor_flow: Flow, keys: PipeInput) -> None:
    """There is nothing to wait for, so the REPL ends with 0."""
    text = "{start: a, nodes: {a: {handler: say, text: hi, next: end}}}"
    flow = parse_flow(text, registry=doctor_flow.registry)
    talk = Talk(flow, keys)
    assert talk.repl.run() == 0
    assert "hi" in talk.out.getvalue()


def test_a_failing_opening_leaves_the_commands(doctor_flow: Flow, keys: PipeInput) -> None:
    """The failure is shown once for each attempt; /reload can mend the flow."""
    registry = doctor_flow.registry

    @registry.handler
    def fail(turn: Any) -> None:
        raise ValueError("not today")

    text = "{start: fail, nodes: {fail: {next: ask_user}, ask_user: {next: end}}}"
    flow = parse_flow(text, registry=registry)
    shown = Talk(flow, keys).type("/state", ENTER)
    assert shown.count("ValueError: not today") == 1
    assert "status: new" in shown


def test_hostile_text_reaches_no_terminal(doctor_flow: Flow, keys: PipeInput) -> None:
    """Typed, echoed by a command and shown in the toolbar: none of it steers the terminal."""
    hostile = "\u202epain\u200b\x9b31m \ufeff\u2066"
    talk = Talk(doctor_flow, keys)
    talk.type(f"\x1b[200~{hostile}\x1b[201~", ENTER, "/why", ENTER, "/undo", ENTER, UP, UP, CTRL_C)
    assert "pain" in talk.out.getvalue()
    assert not re.search("[\x80-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]", talk.out.getvalue())


@pytest.mark.parametrize(
    ("written", "shown"),
    [("a\x9b\u202e", "a\ufffd\ufffd"), ("\r", "\r"), ("x\ry", "x\ufffdy"), ("a\nb\r\n", "a\r\nb\r\n")],
)
def test_the_last_step_before_the_terminal_is_safe(written: str, shown: str) -> None:
    """Whoever writes content, of prompt_toolkit's parts too; the cursor may still be moved."""
    out = io.StringIO()
    output = fence(Vt100_Output(out, lambda: Size(24, 80)), dumb=False)
    output.write(written)
    output.flush()
    assert out.getvalue() == shown


def test_a_dumb_terminal_has_no_cursor_to_move() -> None:
    """A carriage return on its own comes from the user there, as prompt_toolkit draws nothing."""
    out = io.StringIO()
    fence(output := Vt100_Output(out, lambda: Size(24, 80)), dumb=True).write("\r")
    output.flush()
    assert out.getvalue() == "\ufffd"


def test_ctrl_c_while_the_spinner_starts_leaves_none_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread is waited for when it starts, which is when an interrupt is likeliest to come."""
    out = io.StringIO()
    screen = Screen(Vt100_Output(out, lambda: Size(24, 80)), dumb=False)
    begin = threading.Thread.start

    def interrupted(thread: threading.Thread) -> None:
        begin(thread)
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        screen.wait(lambda: "thinking...")
    screen.end()
    assert not [thread for thread in threading.enumerate() if thread.name == "spinner" and _outlives(thread)]
    assert "thinking" not in out.getvalue()


def _outlives(thread: threading.Thread) -> bool:
    thread.join(1)
    return thread.is_alive()


def test_a_heap_of_marks_is_laid_out_at_once() -> None:
    """30,000 accents on a letter would take prompt_toolkit minutes; all but the first are shown beside it."""
    typed = "a" + "\u0301" * 30_000 + "\u1161" * 40 + "b"
    line = TransformationInput(BufferControl(), Document(typed), 0, lambda i: i, [("", typed)], 80, 24)
    ((_, shown),) = SafeInput().apply_transformation(line).fragments
    assert shown == "a" + "\u0301" * MAX_STACK + "\ufffd" * (30_040 - MAX_STACK) + "b"


def test_typed_text_is_made_safe_before_it_is_laid_out(keys: PipeInput) -> None:
    """What is shown has the width that the cursor reckons with: a mark is one column wide."""
    typed = "a\u200b\u202eb"
    line = TransformationInput(BufferControl(), Document(typed), 0, lambda i: i, [("", typed)], 80, 24)
    assert SafeInput().apply_transformation(line).fragments == [("", "a\ufffd\ufffdb")]
    with create_app_session(keys, DummyOutput()):
        prompt = make_prompt(InMemoryHistory(), lambda: "")
    assert any(isinstance(processor, SafeInput) for processor in prompt.input_processors or [])


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_no_colours_where_none_are_wanted(
    doctor_flow: Flow, keys: PipeInput, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """NO_COLOR leaves no colour, a dumb terminal gets no escape sequence at all."""
    monkeypatch.setenv(name, value)
    talk = Talk(doctor_flow, keys)
    assert GREETING in talk.type("hello", ENTER)
    assert not re.search(r"\x1b\[[0-9;]*[349][0-7][;m]", talk.out.getvalue())
    if value == "dumb":
        assert "\x1b" not in talk.out.getvalue()


def test_typing_a_medical_question_loads_the_doctor(doctor_flow: Flow, keys: PipeInput) -> None:
    """The load begins while the message is still being typed; a greeting loads nothing."""
    Talk(doctor_flow, keys).type("hello", ENTER)
    assert "doctor" not in dict(doctor_flow.shared.built())
    doctor, keys_left = doctor_flow.shared["doctor"], keys.send_text
    leave = threading.Thread(target=lambda: doctor.preloaded.wait(10) and keys_left(CTRL_C + CTRL_D))
    leave.start()
    keys.send_text("a pain")
    assert Talk(doctor_flow, keys).repl.run() == 0
    assert doctor.preloads == 1


def test_the_toolbar_tells_node_and_model(doctor_flow: Flow, keys: PipeInput) -> None:
    """It names the flow, where the conversation waits, and what is loaded, building nothing."""
    talk = Talk(doctor_flow, keys)
    list(talk.repl.chat.start())
    assert talk.repl._toolbar() == "doctor | at ask_user"
    doctor_flow.shared["doctor"].status = "loading\x1b[2J\n"
    assert talk.repl._toolbar() == "doctor | at ask_user | doctor: loading\ufffd[2J "


def mode(path: Path) -> int:
    """Return the permission bits of a file."""
    return stat.S_IMODE(path.stat().st_mode)


def test_the_history_is_for_its_owner_alone(doctor_flow: Flow, keys: PipeInput, state_home: Path) -> None:
    """Under umask 000 the file is 0600 and its folders are 0700."""
    old = os.umask(0)
    try:
        Talk(doctor_flow, keys).type("hello", ENTER, "/why", ENTER)
    finally:
        os.umask(old)
    path = state_home / "fsmbot" / "history"
    assert [mode(p) for p in (path, path.parent, state_home)] == [0o600, 0o700, 0o700]
    assert list(PrivateHistory().load_history_strings()) == ["/why", "hello"]


def test_a_history_that_others_could_read_is_closed(state_home: Path) -> None:
    """A file of mode 0644 in a folder of mode 0755 is made private before anything is added."""
    path = state_home / "fsmbot" / "history"
    path.parent.mkdir(parents=True)
    path.touch(0o644)
    PrivateHistory()
    assert (mode(path), mode(path.parent)) == (0o600, 0o700)


def test_no_history_writes_nothing(doctor_flow: Flow, keys: PipeInput, state_home: Path) -> None:
    """`--no-history`: the Up key works within the run, and no file or folder is made."""
    talk = Talk(doctor_flow, keys, history=False)
    talk.type("hello", ENTER)
    assert talk.repl._history.get_strings() == ["hello"]
    assert not state_home.exists()


def test_any_text_survives_the_history(tmp_path: Path) -> None:
    """Line breaks, control characters and lone surrogates come back as they were."""
    texts = ["two\nlines", "\x1b[31m\x00", "\ud800", "é 🙂", ""]
    written = PrivateHistory(tmp_path / "h")
    for text in texts:
        written.store_string(text)
    assert list(PrivateHistory(tmp_path / "h").load_history_strings()) == texts[::-1]


def test_a_damaged_history_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    """Lines that were cut short or are not ours are passed over."""
    path = tmp_path / "h"
    path.write_bytes(b'"good"\n"cut\n{}\n\xff\xfe\n"also good"\n')
    assert list(PrivateHistory(path).load_history_strings()) == ["also good", "good"]


def test_the_history_does_not_grow_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file twice as long as what is read is cut to its end, and stays private."""
    monkeypatch.setattr(history_module, "MAX_BYTES", 1000)
    path = tmp_path / "h"
    path.write_text("".join(f'"message {n}"\n' for n in range(500)))
    kept = list(PrivateHistory(path).load_history_strings())
    assert kept[0] == "message 499"
    assert path.stat().st_size <= 1000
    assert mode(path) == 0o600


def test_a_history_that_cannot_be_written_is_told_and_kept_in_memory(
    doctor_flow: Flow, keys: PipeInput, state_home: Path
) -> None:
    """The conversation matters more than its history."""
    state_home.write_text("a file where a folder should be")
    talk = Talk(doctor_flow, keys)
    shown = talk.type("hello", ENTER, "hello", ENTER)
    assert shown.count("the history is kept in memory only: ") == 1
    assert said(shown).count(GREETING) == 2
    assert talk.repl._history.get_strings() == ["hello"]


def test_the_history_follows_the_xdg_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """`$XDG_STATE_HOME` if it is absolute, else `~/.local/state`."""
    monkeypatch.setenv("XDG_STATE_HOME", "relative/path")
    monkeypatch.setenv("HOME", "/home/me")
    assert default_path() == Path("/home/me/.local/state/fsmbot/history")
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert default_path() == Path("/state/fsmbot/history")


def test_a_named_session_goes_on_at_the_terminal(doctor_flow: Flow, tmp_path: Path) -> None:
    """What was waiting is said again, and no handler runs for it; the toolbar tells the name."""
    talks = []
    for typed in ("hello", "a pain"):
        with create_pipe_input() as keys:
            talk = Talk(doctor_flow, keys, store=SQLiteStore(tmp_path / "s.db"), name="ada")
            talks.append(talk.type(typed, ENTER))
            assert "doctor | session ada | at" in talk.repl._toolbar()
    assert "goes on" not in talks[0]
    assert "(session 'ada' goes on after 0 messages)\nbot> What would you like to ask?" in talks[1]
    assert said(talks[1]) == [PROMPT, "See a doctor.", PROMPT]


def test_a_session_whose_node_is_gone_waits_for_reset(doctor_flow: Flow, tmp_path: Path) -> None:
    """It is named, messages are refused, and /reset begins anew."""
    store = SQLiteStore(tmp_path / "s.db")
    other = parse_flow("start: ask\nnodes:\n  ask: {handler: ask_user, next: end}\n")
    list(Session(other, store=store, session_id="ada").start())
    with create_pipe_input() as keys:
        shown = Talk(doctor_flow, keys, store=store, name="ada").type("a pain", ENTER, "/reset", ENTER)
    gone = (
        "waits at node 'ask', which is no longer a listening node of flow 'doctor'; restore it, or begin anew"
    )
    assert shown.count(gone) == 2
    assert said(shown) == [PROMPT]


def test_who_is_overtaken_sees_where_the_session_stands(doctor_flow: Flow, tmp_path: Path) -> None:
    """The message is refused and can be brought back; then the conversation goes on from there."""
    store = SQLiteStore(tmp_path / "s.db")
    first = Session(doctor_flow, store=store, session_id="ada")
    list(first.start())
    with create_pipe_input() as keys:
        late = Talk(doctor_flow, keys, store=store, name="ada")
        list(first.send("hello"))
        list(first.anew().start())
        shown = late.type("a pain", ENTER, "a pain", ENTER)
    _, told, after = shown.partition("has gone on elsewhere")
    assert told
    assert "(session 'ada' goes on after 0 messages)\nbot> What would you like to ask?" in after
    assert "(your message was taken back; the Up key brings it, to be sent again)" in after
    assert said(shown) == [PROMPT, PROMPT, "See a doctor.", PROMPT]
