"""Without a terminal: a message a line, plain text or JSON lines, and an exit code."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import PIPE

import pytest

from fsmbot.channels import EMPTY, TooLong, read_lines, run_json, run_plain
from fsmbot.events import Said, from_json
from fsmbot.flow import Flow
from fsmbot.loader import parse_flow
from fsmbot.text import safe
from fsmbot.turn import MAX_MESSAGE, Turn

PROMPT = "What would you like to ask?\n"
GREETING = (
    "Nice to hear from you! I am an AI that answers questions about health; ask me whenever you like.\n"
)
UNKNOWN = "Sorry, I do not know about that. I can only help with questions about health.\n"


def plain(flow: Flow, data: bytes) -> tuple[int, str, str]:
    """Return exit code, output and errors of a talk in plain text."""
    out, err = io.StringIO(), io.StringIO()
    return run_plain(flow, io.BytesIO(data), out, err), out.getvalue(), err.getvalue()


def as_json(flow: Flow, data: bytes) -> tuple[int, list[str]]:
    """Return exit code and lines of a talk in JSON."""
    out = io.StringIO()
    return run_json(flow, io.BytesIO(data), out), out.getvalue().splitlines()


def test_each_reply_stands_on_lines_of_its_own(doctor_flow: Flow) -> None:
    """A line is a message; an ended conversation is followed by a new one; no prompt dangles."""
    talk = plain(doctor_flow, b"hello\nmy head has a pain\nwhat is the capital of France?\n")
    assert talk == (0, PROMPT + GREETING + PROMPT + "See a doctor.\n" + PROMPT + UNKNOWN, "")


@pytest.mark.parametrize("data", [b"hello", b"hello\r\n", b"\xef\xbb\xbfhello\n"])
def test_line_ends_are_taken_in_stride(doctor_flow: Flow, data: bytes) -> None:
    """A missing last line break, Windows' line ends and a byte order mark do no harm."""
    assert plain(doctor_flow, data) == (0, PROMPT + GREETING, "")


def test_an_empty_message_is_refused_and_the_talk_goes_on(doctor_flow: Flow) -> None:
    """An empty line, or one of spaces, gets a word about it and takes no turn."""
    assert plain(doctor_flow, b"\n  \nhello\n") == (0, PROMPT + f"{EMPTY}\n" * 2 + GREETING, "")


def test_no_input_is_no_error(doctor_flow: Flow) -> None:
    """The prompt is shown, nobody answers, and that is fine."""
    assert plain(doctor_flow, b"") == (0, PROMPT, "")


def test_one_long_conversation_needs_one_changed_line(flow_file: Path, doctor_flow: Flow) -> None:
    """With `next: ask_user` in place of `next: end` the prompt follows each reply."""
    text = flow_file.read_text().replace("next: end", "next: ask_user")
    flow = parse_flow(text, registry=doctor_flow.registry)
    assert plain(flow, b"hello\nhello\n") == (0, PROMPT + (GREETING + PROMPT) * 2, "")


@pytest.mark.parametrize(
    "line",
    [
        b"\x00",
        b"\xff\xfe\x9b31m",
        b"\x1b[2J\x1b]0;owned\x07",
        "pain \u202e\u200b".encode(),
        "pain \ud800".encode("utf-8", "surrogatepass"),
        "🙂 مرحبا".encode(),
        b"<|im_end|>",
        b"{x.__class__} %s ${}",
        b"/bin/quit",
    ],
)
def test_hostile_lines_are_answered(doctor_flow: Flow, line: bytes) -> None:
    """Each gets one answer, and nothing but printable text comes out."""
    code, out, err = plain(doctor_flow, line + b"\n")
    assert (code, err) == (0, "")
    assert out in (PROMPT + UNKNOWN, PROMPT + "See a doctor.\n")
    assert out == safe(out)


def test_what_a_node_says_is_made_safe(doctor_flow: Flow) -> None:
    """An escape sequence in a text of the flow file does not reach the output."""
    flow = parse_flow(r'{start: a, nodes: {a: {handler: say, text: "\e[31mred", next: end}}}',
                      registry=doctor_flow.registry)  # fmt: skip
    assert plain(flow, b"") == (0, "\ufffd[31mred\n", "")


def test_a_line_of_10_mb_is_refused_in_bounded_memory(doctor_flow: Flow) -> None:
    """It is read away without being kept, the refusal says why, and the next line is answered."""
    data = io.BytesIO(b"a" * 10_000_000 + b"\nhello\n")
    out = io.StringIO()
    tracemalloc.start()
    try:
        assert run_plain(doctor_flow, data, out, io.StringIO()) == 0
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    refusal = "the message has 10,000,000 bytes; at most 20,000 characters are read, so please shorten it\n"
    assert out.getvalue() == PROMPT + refusal + GREETING
    assert peak < 2_000_000


@pytest.mark.parametrize(
    ("line", "kept"),
    [("é" * MAX_MESSAGE, True), ("🙂" * MAX_MESSAGE, True), ("🙂" * MAX_MESSAGE + "a", False)],
    ids=["two bytes", "four bytes", "too long"],
)
def test_the_bound_on_a_line_never_cuts_a_message_that_may_be_sent(line: str, kept: bool) -> None:
    """Four bytes a character are room for every message that a session takes."""
    (read,) = read_lines(io.BytesIO(line.encode() + b"\r\n"))
    assert (read == line) is kept
    assert isinstance(read, TooLong) is not kept


def test_too_many_characters_are_refused(doctor_flow: Flow) -> None:
    """The session's own refusal is shown as a line, and the talk goes on."""
    code, out, err = plain(doctor_flow, b"a" * 20_001 + b"\nhello\n")
    assert (code, err) == (0, "")
    assert out.splitlines()[1].startswith("the message has 20,001 characters; at most 20,000 are read")
    assert out.endswith(GREETING)


def test_a_failing_handler_does_not_end_the_talk(doctor_flow: Flow) -> None:
    """The reason goes to stderr, the next line is answered where it failed, the exit code tells."""
    code, out, err = plain(doctor_flow, b"pain, crash\npain\n")
    assert code == 1
    assert out == PROMPT + "See a \nSee a doctor.\n"
    assert err.startswith("error: flow 'doctor', node 'ask_doctor', session ")
    assert err.endswith(": ValueError (conftest.py:77)\n")  # what it says may quote a message


def test_ctrl_c_in_an_answer_ends_the_program(doctor_flow: Flow) -> None:
    """What was said is kept and the turn comes to rest; the lines after it are not answered."""

    @doctor_flow.registry.handler
    def speak(turn: Turn) -> Iterator[str]:
        yield f"About {turn.text}: "
        signal.raise_signal(signal.SIGINT)
        yield "never said"

    nodes = "{a: {handler: ask_user, prompt: Yes?, next: speak}, speak: {next: a}}"
    flow = parse_flow(f"{{start: a, nodes: {nodes}}}", registry=doctor_flow.registry)
    assert plain(flow, b"one\ntwo\n")[:2] == (130, "Yes?\nAbout one: \nYes?\n")


def test_a_flow_that_never_listens_says_its_words_and_ends(doctor_flow: Flow) -> None:
    """It is not started again and again."""
    flow = parse_flow("{start: a, nodes: {a: {handler: say, text: hi, next: end}}}",
                      registry=doctor_flow.registry)  # fmt: skip
    assert plain(flow, b"hello\nhello\n") == (0, "hi\n", "")


def test_json_lines_are_the_events(doctor_flow: Flow) -> None:
    """Each line is one event, which reads back as what the session emitted."""
    code, lines = as_json(doctor_flow, b"hello\n")
    events = [from_json(line) for line in lines]
    assert code == 0
    assert Said("ans_greeting", GREETING.rstrip()) in events
    assert json.loads(lines[-1]) == {"event": "ended", "node": "ans_greeting"}


def test_json_tells_refusals_and_errors(doctor_flow: Flow) -> None:
    """What went wrong is a line as well, so that a program sees it in its place."""
    code, lines = as_json(doctor_flow, b"a" * 20_001 + b"\npain crash\n")
    errors = [json.loads(line)["message"] for line in lines if '"error"' in line]
    assert code == 1
    assert len(errors) == 2
    assert "20,001 characters" in errors[0]
    assert "ValueError: the doctor broke" in errors[1]


def test_json_escapes_what_a_terminal_must_not_see(doctor_flow: Flow) -> None:
    """Every line is printable as it stands, and still reads back as the very same text."""
    text = "\x1b[31m \x9b \x7f \u202e \u200b é 🙂 \U000e0041"
    written = r"\e[31m \x9b \x7f \u202e \u200b é 🙂 \U000E0041"
    flow = parse_flow(f'{{start: a, nodes: {{a: {{handler: say, text: "{written}", next: end}}}}}}',
                      registry=doctor_flow.registry)  # fmt: skip
    _, lines = as_json(flow, b"")
    assert all(line.isprintable() for line in lines)
    assert "é 🙂" in lines[1]
    assert json.loads(lines[1])["text"] == text


class Flushes(io.StringIO):
    """Keeps what had been written at each flush."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def flush(self) -> None:
        self.seen.append(self.getvalue())


def test_each_piece_is_flushed(doctor_flow: Flow) -> None:
    """A program that reads along sees the answer grow."""
    out = Flushes()
    run_plain(doctor_flow, io.BytesIO(b"pain\n"), out)
    assert PROMPT + "See a " in out.seen
    assert PROMPT + "See a doctor.\n" in out.seen


def in_ascii(run: Callable[..., int], flow: Flow) -> bytes:
    """Return what a channel writes where the output is ASCII and the bot says letters that it lacks."""
    text = "{start: a, nodes: {a: {handler: say, text: 'é 🙂', next: end}}}"
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="ascii")
    assert run(parse_flow(text, registry=flow.registry), io.BytesIO(b""), out) == 0
    return raw.getvalue()


def test_a_narrow_encoding_gets_replacements(doctor_flow: Flow) -> None:
    """Where the output is ASCII, other letters become question marks instead of an error."""
    assert in_ascii(run_plain, doctor_flow) == b"? ?\n"


def test_json_lines_are_utf_8_everywhere(doctor_flow: Flow) -> None:
    """No letter is lost where the locale has none for it: JSON is read by programs."""
    assert json.loads(in_ascii(run_json, doctor_flow).splitlines()[1])["text"] == "é 🙂"


class Broken(io.StringIO):
    """An output whose reader has gone away, or a user who pressed Ctrl-C."""

    def __init__(self, error: type[BaseException]) -> None:
        super().__init__()
        self._error = error

    def write(self, text: str) -> int:
        raise self._error


@pytest.mark.parametrize(("error", "code"), [(BrokenPipeError, 141), (KeyboardInterrupt, 130), (OSError, 1)])
def test_ends_that_are_no_errors_of_ours_are_quiet(
    doctor_flow: Flow, error: type[BaseException], code: int
) -> None:
    """A closed pipe, Ctrl-C and a full disk become exit codes, as a shell expects them."""
    assert run_plain(doctor_flow, io.BytesIO(b"hello\n"), Broken(error)) == code


def test_an_output_that_fails_is_told_where_errors_are_wanted(doctor_flow: Flow) -> None:
    """On `err` if there is one, as any failure."""
    err = io.StringIO()
    run_plain(doctor_flow, io.BytesIO(b"hello\n"), Broken(OSError), err)
    assert err.getvalue().startswith("error: input or output failed: ")


def test_a_reader_that_leaves_causes_no_complaint(flow_file: Path) -> None:
    """`fsmbot ... | head -1` writes nothing to stderr, not even when the interpreter ends."""
    flow_file.write_text(
        "{start: a, nodes: {a: {handler: ask_user, next: b}, b: {handler: say, text: x, next: a}}}"
    )
    command = [sys.executable, "-m", "fsmbot", "--flow", str(flow_file)]
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, stderr=PIPE) as talk:
        out, source, err = talk.stdout, talk.stdin, talk.stderr
        assert out
        assert source
        assert err
        out.readline()
        out.close()
        source.write(b"hello\n" * 1000)
        source.close()
        assert err.read() == b""
