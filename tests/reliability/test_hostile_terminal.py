"""A thousand hostile strings meet the real program in a real pseudo-terminal, at every place where text
comes out. What they would do to a terminal does not happen, and what they are can be seen.

Whatever prompt_toolkit writes to move the cursor is taken away from the very bytes that came out; what
is left holds each string with replacements for its hostile characters.
"""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from hostile import STRINGS, batches, check, marked, written
from pseudo_terminal import Terminal, visible

HANDLERS = r"""
import json, logging, sys, threading, time, warnings
from collections.abc import Iterator
from pathlib import Path
from fsmbot import Turn, handler, resource

BATCHES = json.loads(Path("batches.json").read_text())

class Model:
    status = "idle"

@resource
def model() -> Model:
    return Model()

def later(text):
    time.sleep(0.05)  # the prompt is up by then
    logging.getLogger("x").error(text)
    print(text)
    print(text, file=sys.stderr)
    raise ValueError(text)

@handler
def act(turn: Turn, model: Model) -> Iterator[str]:
    what, _, number = turn.text.partition(" ")
    strings = BATCHES[int(number)] if number.isdigit() else []
    text = " ".join(strings)
    if what == "answer":
        yield text
    elif what == "pieces":
        yield from text
    elif what == "error":
        raise ValueError(text)
    elif what == "log":
        logging.getLogger(text).warning(text)
        logging.getLogger("x").error("%s", text)
        warnings.warn(text, stacklevel=1)
        yield "logged"
    elif what == "print":
        print(text)
        print(text, file=sys.stderr, flush=True)
        yield "printed"
    elif what == "thread":
        threading.Thread(target=later, args=[text]).start()
        yield "begun"
    elif what == "note":
        turn.notes.update({text: text for text in strings})
    elif what == "memory":
        turn.memory["all"] = text.encode("utf-8", "replace").decode()
        turn.memory[turn.memory["all"]] = 1
    elif what == "toolbar":
        model.status = text
    else:
        yield f"You said: {turn.text}"
"""

FLOW = """
name: test
description: a flow for tests
start: ask
nodes:
  ask: {handler: ask_user, prompt: Yes?, next: act}
  act: {next: ask}
"""

Start = Callable[..., Terminal]
Group = Sequence[int]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """A function that starts the program with groups of strings, and waits for the first prompt."""
    opened: list[Terminal] = []
    (tmp_path / "my.py").write_text(HANDLERS)
    (tmp_path / "flow.yaml").write_text(FLOW)

    def run(groups: Sequence[Group], **environment: str) -> Terminal:
        (tmp_path / "batches.json").write_text(json.dumps([list(map(marked, group)) for group in groups]))
        opened.append(Terminal(tmp_path, "--flow", "flow.yaml", "--handlers", "my.py", **environment))
        opened[-1].wait("you> ")
        return opened[-1]

    yield run
    for terminal in opened:
        terminal.close()


Play = Callable[[Terminal, int, Group], str]


def by_message(terminal: Terminal, number: int, group: Group) -> str:
    """Paste the strings as a message, which is answered."""
    return terminal.ask(written(group), f"|{group[-1]}>").replace("...> ", "")  # a further line begins so


def by_handler(what: str, until: str = "bot> Yes?", *, command: str = "", last: bool = False) -> Play:
    """Return a function that has the handler do something with the strings; a command may follow."""

    def play(terminal: Terminal, number: int, group: Group) -> str:
        wanted = f"|{group[-1]}>" if last else "| at ask"
        shown = terminal.ask(f"{what} {number}", "bot> Yes?" if command else until, last=wanted)
        return terminal.ask(command, until) if command else shown

    return play


def by_thread(terminal: Terminal, number: int, group: Group) -> str:
    """Have another thread log, print and fail while the prompt is up."""
    begun, last = len(terminal.raw), f"|{group[-1]}>"
    terminal.ask(f"thread {number}")
    return terminal.wait("error: x: ", last, last, last, "Traceback", last, start=begun)


def by_flow(terminal: Terminal, number: int, group: Group) -> str:
    """Make the strings names and texts of a flow, of its nodes and of a spoken command."""
    texts = [marked(number).encode("utf-8", "replace").decode() for number in group]  # what a file can hold
    text, last = " ".join(texts), f"|{group[-1]}>"
    nodes: dict[str, object] = {
        name: {"handler": "say", "text": name, "next": following}
        for name, following in zip(texts, [*texts[1:], "ask"], strict=True)
    }
    nodes["ask"] = {"handler": "ask_user", "prompt": text, "next": texts[0]}
    flow = {"name": text, "description": text, "start": "ask", "max_steps": 9_999, "nodes": nodes}
    flow["commands"] = {"help": {"words": [text], "say": text}}
    (terminal.folder / "flow.yaml").write_text(as_yaml(flow))
    messages = {"/reload": "is loaded", "/help": last, "go": last, "/why": "you said", "/state": "flow:"}
    return "".join(terminal.ask(message, until) for message, until in messages.items())


def as_yaml(data: object) -> str:
    """Return data as JSON, but with YAML's long escapes, as YAML reads no pair of short ones."""
    return re.sub(r"[^ -~]", lambda c: f"\\U{ord(c[0]):08x}", json.dumps(data, ensure_ascii=False))


def by_file_name(terminal: Terminal, number: int, group: Group) -> str:
    """Name a file with the strings, which is saved, or cannot be."""
    return terminal.ask(f"/save {written(group)}", f"|{group[-1]}>").replace("...> ", "")


PLACES: dict[str, tuple[Play, int]] = {
    "message": (by_message, 2),
    "answer": (by_handler("answer"), 1),
    "pieces": (by_handler("pieces"), 1),
    "error": (by_handler("error", "the Up key"), 1),
    "log": (by_handler("log"), 4),
    "print": (by_handler("print"), 2),
    "thread": (by_thread, 4),
    "notes": (by_handler("note", "you said", command="/why"), 2),
    "memory": (by_handler("memory", "memory:", command="/state"), 2),
    "toolbar": (by_handler("toolbar", last=True), 1),
    "flow": (by_flow, 6),
}
"""How strings come out at each place, and how often at the least."""


@pytest.mark.parametrize("place", PLACES)
def test_hostile_strings_come_out_harmless(start: Start, place: str) -> None:
    """Typed, answered, streamed letter by letter, raised, logged or printed before and while the prompt
    is up, noted for /why, remembered for /state, told by the toolbar, named by a flow: a replacement is
    all that shows.
    """
    play, times = PLACES[place]
    groups = batches()
    terminal = start(groups)
    for number, group in enumerate(groups):
        check(play(terminal, number, group), group, times=times)
    assert "\x1b]" not in visible(terminal.raw), "no title is set, nor anything else that is no layout"


def test_hostile_history_comes_back_harmless(tmp_path: Path, start: Start) -> None:
    """Lines of the history file, recalled by the Up key and found by Ctrl-R, are shown as safe text."""
    assert recalled(tmp_path, start, batches()) == len(STRINGS)


def recalled(folder: Path, start: Start, groups: Sequence[Group]) -> int:
    """Recall groups of strings from the history file, and return how many came out harmless."""
    kept = folder / "fsmbot" / "history"
    kept.parent.mkdir(exist_ok=True)
    kept.write_text("".join(json.dumps(written(group)) + "\n" for group in groups))
    terminal = start(groups)
    terminal.wait("| at ask")
    for group in reversed(groups):
        begun = len(terminal.raw)
        terminal.type("\x1b[A\x0c")  # the Up key; Ctrl-L draws all anew
        check(terminal.wait(f"|{group[-1]}>", "| at ask", start=begun), group)
    terminal.type("\x03\x12<0|")
    terminal.wait("reverse-i-search", "<0|", "|0>")
    visible(terminal.raw)
    return sum(map(len, groups))


def test_hostile_file_names_are_shown_harmless(start: Start) -> None:
    """Of a file that /save wrote, or could not write; and the name of a command that there is not."""
    terminal, groups = start([]), batches(99, 120)[::9]
    for number, group in enumerate(groups):
        check(by_file_name(terminal, number, group), group, times=2)
        check(terminal.ask(f"/{written(group)}", "unknown command").replace("...> ", ""), group)
    visible(terminal.raw)


KEYS = [
    *(b"\x9b31m", b"\x9d0;title\x9c", b"\xc0\x9b", b"\xe0\x80\x9b", b"\xf0\x82\x82\xac", b"\xed\xa0\x80"),
    *(b"\xff\xfe", b"\xe2\x80", b"\xf4\x90\x80\x80", b"\xc2\x9b31m", b"\xe2\x80\xae", b"\x1b]0;title\x07"),
    *(b"\x1b[31m", b"\x11\x1b[31m", b"\x11\r", b"\x11\x07", b"\x16\x1b", b"\x1bP+q\x1b\\", b"\x1b[6n"),
    *(
        b"\x1b[I\x1b[O",
        b"\x1b[M   ",
        b"\x1b[<0;1;1M",
        b"\x1b[<;M",
        b"\x1b[1;1R",
        b"\x1b[200~\x1b[201~\x1b[31m",
    ),
]
"""Bytes that no terminal sends: bare C1 controls, overlong and broken UTF-8, sequences, quoted controls,
a paste that ends too early."""


def test_hostile_keys_come_out_harmless(start: Start) -> None:
    """Typed byte by byte, and not pasted; the program goes on, whatever they did to the line."""
    terminal = start([])
    for keys in KEYS:
        terminal.type(b"<" + keys + b">")
        terminal.type(b"\x05\x15\x0b\x03")  # to the line's end, and away with it
    assert "You said: still here" in terminal.ask("still here")
    assert "nhandled exception" not in visible(terminal.raw)
    assert terminal.leave() == 0


def test_a_dumb_terminal_gets_nothing_that_steers(start: Start) -> None:
    """No sequence at all, and of what is typed, quoted or answered only replacements."""
    groups = batches()
    terminal = start(groups, TERM="dumb")
    for number, group in enumerate(groups):
        begun = len(terminal.raw)
        terminal.type(f"answer {number}\r")
        check(terminal.wait(f"|{group[-1]}>", "you> ", start=begun), group)
    terminal.read(0.5)  # else the system might take Ctrl-Q, which quotes the next key
    terminal.type("\x11\r\x11\x1b\x11\x9b\r")
    raw = terminal.wait("bot> You said: ", "you> ")
    assert terminal.leave() == 0
    assert b"\x1b" not in terminal.raw
    assert not re.search("\r(?!\r?\n)", raw)


@pytest.mark.hard
@pytest.mark.timeout(3_600)
@pytest.mark.promise(6, "hostile strings, one at a time, at each place of a pseudo-terminal: none steers it")
def test_each_hostile_string_alone_comes_out_harmless(
    tmp_path: Path, start: Start, reached: Callable[[str], None]
) -> None:
    """All strings at all places, each by itself; where one takes several messages, ten together."""
    alone, few = batches(1), batches(10)
    for place, (play, times) in PLACES.items():
        groups = few if place in ("thread", "notes", "memory", "flow") else alone
        terminal = start(groups)
        for number, group in enumerate(groups):
            check(play(terminal, number, group), group, times=times)
            visible(terminal.raw)
            terminal.raw = b""
        terminal.close()
    count = recalled(tmp_path, start, alone)
    reached(f"{count:,} strings at {len(PLACES) + 1} places, 0 hostile characters came out")


@pytest.mark.hard
@pytest.mark.timeout(600)
@pytest.mark.promise(6, "random keys in a pseudo-terminal: no traceback, nothing steers it, it goes on")
def test_random_keys_neither_steer_nor_break(start: Start, reached: Callable[[str], None]) -> None:
    """Bytes, sequences and Ctrl-C at random; after each round a message is answered."""
    rounds, chance = 40, random.Random(6)
    for _ in range(rounds):
        terminal = start([])
        for _ in range(150):
            terminal.type(random_keys(chance))
            terminal.read(0.002)
        come_to_rest(terminal)
        assert "You said:" in terminal.ask("still here"), terminal.raw[-2_000:]
        assert "nhandled exception" not in visible(terminal.raw)
        terminal.close()
    reached(f"{rounds * 150:,} keys or sequences, 0 came out as they are, 0 tracebacks")


def come_to_rest(terminal: Terminal) -> None:
    """End whatever the keys have begun: a sequence, a quoted key, a paste, a search, a line."""
    for keys in ("", "\x1b[201~", "\x1b[201~\x07\x07\r", "\x03"):
        terminal.type(keys)
        patience = time.monotonic() + 0.7  # longer than prompt_toolkit waits for the rest of a sequence
        while time.monotonic() < patience:
            terminal.read(0.1)


def random_keys(chance: random.Random) -> bytes:
    """Return some bytes, but no Ctrl-D, nor what stops a program or its output at a terminal."""
    anything = bytes(chance.choices(range(256), k=chance.randrange(1, 12)))
    sequence = b"\x1b[" + bytes(chance.choices(b"0123456789;?<>=!mMRtnIOABCDHFuz~", k=chance.randrange(1, 8)))
    keys = chance.choice(
        [anything, sequence, chance.choice([b"\x12", b"\x18", b"\x11", b"\x1b", b"\x03", b"\r"])]
    )
    return re.sub(rb"[\x04\x13\x1a\x1c]|\x1b\[200~", b"", keys)
