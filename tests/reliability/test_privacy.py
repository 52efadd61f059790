"""What conversations leave on the disk is their owner's alone, and nothing at all where nothing is wanted."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from pseudo_terminal import ROOT, Terminal

FLOW = """
start: ask
nodes:
  ask: {handler: ask_user, prompt: Yes?, next: say}
  say: {text: Well., next: ask}
"""
TESTS = "tests:\n  it answers:\n    - user: my secret\n      says: Well.\n"

EARS = """
import os, sys
_SHOWN = os.dup(int(os.environ["HEARD"]))
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_NOWHERE = ("/dev/null", "/dev/tty", "/dev/pts", "/dev/ptmx")
_CHANGES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate",
            "os.mkfifo", "os.chmod", "os.utime", "shutil.", "tempfile.", "sqlite3.connect", "subprocess.",
            "os.fork", "os.posix_spawn", "os.system", "socket.connect")

def hear(event, arguments):
    if event == "open":
        path, mode, flags = arguments
        if isinstance(path, int) or not flags & _WRITES or str(path).startswith(_NOWHERE):
            return
    elif not event.startswith(_CHANGES):
        return
    os.write(_SHOWN, f"{event} {arguments!r}\\n".encode())

sys.addaudithook(hear)
"""
"""A sitecustomize.py: whatever Python opens to write, makes, moves, runs or calls is told, wherever it is."""


@contextmanager
def everybody_may() -> Iterator[None]:
    """Let programs started here make files that all can read and write, as umask 000 does."""
    before = os.umask(0)
    try:
        yield
    finally:
        os.umask(before)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place with a home, a folder for temporary files, and one to work in, where a flow lies."""
    for name in ("home", "temporary", "work"):
        (tmp_path / name).mkdir(mode=0o700)
    (tmp_path / "work" / "bot.yaml").write_text(FLOW)
    (tmp_path / "work" / "bot.test.yaml").write_text(TESTS)
    for name in [name for name in os.environ if name.startswith("XDG_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")  # what Python keeps of its modules is no conversation
    return tmp_path


def talk(world: Path, *arguments: str) -> closing[Terminal]:
    """Begin to talk at a terminal, under umask 000."""
    with everybody_may():
        return closing(Terminal(world / "work", *arguments, XDG_STATE_HOME=""))


def fsmbot(world: Path, *arguments: str, said: str = "") -> subprocess.CompletedProcess[str]:
    """Run the program under umask 000, piped."""
    command = [sys.executable, "-m", "fsmbot", *arguments]
    return subprocess.run(
        command, cwd=world / "work", input=said, capture_output=True, text=True, timeout=60, umask=0
    )


def everything(world: Path) -> dict[str, os.stat_result]:
    """Return all there is below a place, by name."""
    return {str(path.relative_to(world)): path.lstat() for path in world.rglob("*")}


def modes(world: Path, before: dict[str, os.stat_result]) -> dict[str, str]:
    """Return the modes of what is new, such as -rw-------."""
    return {
        name: stat.filemode(found.st_mode) for name, found in everything(world).items() if name not in before
    }


def misplaced(found: dict[str, str]) -> dict[str, str]:
    """Return what others may read or write."""
    return {name: mode for name, mode in found.items() if mode not in ("-rw-------", "drwx------")}


@pytest.mark.promise(10, "under umask 000 every file of a conversation is 0600, every folder made is 0700")
def test_what_is_kept_is_kept_private(world: Path, reached: Callable[[str], None]) -> None:
    """History, saved talks, traces, stores with all that lies beside them, exports, results of tests."""
    before = everything(world)
    with talk(world, "--flow", "bot.yaml", "--trace", "trace.jsonl") as terminal:
        terminal.wait("bot> Yes?", "you> ")
        terminal.ask("my secret")
        terminal.ask("/save talk.md", "saved to talk.md")
        terminal.ask("/save-test talk.test.yaml", "saved to talk.test.yaml")
        assert misplaced(modes(world, before)) == {}
        assert terminal.leave() == 0
    with talk(world, "--flow", "bot.yaml", "--session", "ada") as terminal:
        terminal.wait("bot> Yes?", "you> ")
        terminal.ask("my secret")
        during = modes(world, before)
        assert misplaced(during) == {}
        assert terminal.leave() == 0
    for form in (
        ["-o", "a.md"],
        ["--json", "-o", "a.json"],
        ["--as-test", "--flow", "bot.yaml", "-o", "a.test.yaml"],
    ):
        assert fsmbot(world, "sessions", "export", "ada", *form).returncode == 0
    assert fsmbot(world, "test", "bot.yaml", "--junit", "results.xml").returncode == 0
    assert fsmbot(world, "--flow", "bot.yaml", "--trace", "piped.jsonl", said="my secret\n").returncode == 0
    found = during | modes(world, before)
    assert misplaced(found) == {}
    state = "home/.local/state/fsmbot"
    assert {
        f"{state}/{name}" for name in ("history", "sessions.db", "sessions.db-wal", "sessions.db-shm")
    } <= set(found)
    assert {"home/.local", "home/.local/state", state} <= set(found)
    made = (
        "talk.md",
        "talk.test.yaml",
        "trace.jsonl",
        "piped.jsonl",
        "a.md",
        "a.json",
        "a.test.yaml",
        "results.xml",
    )
    assert {f"work/{name}" for name in made} <= set(found)
    files = sum(mode[0] == "-" for mode in found.values())
    reached(f"{files} of {files} files and {len(found) - files} of {len(found) - files} folders")


@pytest.mark.parametrize("name", ["home/.local/state/fsmbot/history", "work/trace.jsonl", "work/store.db"])
def test_what_others_could_read_before_they_can_no_more(world: Path, name: str) -> None:
    """A file that was made with other rights, by hand or by another program, gets the right ones."""
    path = world / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(0o644)
    path.chmod(0o666)
    with talk(
        world, "--flow", "bot.yaml", "--trace", "trace.jsonl", "--session", "ada", "--store", "store.db"
    ) as terminal:
        terminal.wait("bot> Yes?", "you> ")
        terminal.ask("my secret")
        assert terminal.leave() == 0
    assert stat.filemode(path.stat().st_mode) == "-rw-------"


def test_a_store_made_by_a_program_is_private(world: Path) -> None:
    """Also by its public name, with a session that is under way."""
    code = (
        "import os; from fsmbot import Session, load_flow; from fsmbot.stores import SQLiteStore\n"
        "session = Session(load_flow('bot.yaml'), store=SQLiteStore('own.db'), session_id='ada')\n"
        "session.say('my secret')\n"
        "for name in os.listdir():\n"
        "    if name.startswith('own'): print(name, oct(os.stat(name).st_mode))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=world / "work", capture_output=True, text=True, timeout=60, umask=0
    )
    assert done.returncode == 0, done.stderr
    found = dict(line.split() for line in done.stdout.splitlines())
    assert {"own.db", "own.db-wal", "own.db-shm"} <= set(found)
    assert set(found.values()) == {"0o100600"}


def test_nothing_is_written_through_a_link(world: Path) -> None:
    """Whoever could put a link in the way would choose which file is written over."""
    victim = world / "home" / "victim"
    victim.write_text("as it was")
    victim.chmod(0o644)
    state = world / "home" / ".local" / "state" / "fsmbot"
    state.mkdir(parents=True)
    (state / "history").symlink_to(victim)
    for name in ("t.jsonl", "s.md", "s.test.yaml", "r.xml"):
        (world / "work" / name).symlink_to(victim)
    traced = fsmbot(world, "--flow", "bot.yaml", "--trace", "t.jsonl", said="hello\n")
    assert traced.returncode == 2
    assert "it is a link to another file; remove it, or name that file" in traced.stderr
    assert fsmbot(world, "test", "bot.yaml", "--junit", "r.xml").returncode == 1
    with talk(world, "--flow", "bot.yaml") as terminal:
        terminal.wait("kept in memory only", "link to another file", "you> ")
        terminal.ask("my secret")
        for command in ("/save s.md", "/save-test s.test.yaml"):
            terminal.ask(command, "exists; to replace it")
        for command in ("/save --force s.md", "/save-test --force s.test.yaml"):
            terminal.ask(command, "cannot be written: it is a link")
        assert terminal.leave() == 0
    assert victim.read_text() == "as it was"
    assert stat.filemode(victim.stat().st_mode) == "-rw-r--r--"


def test_a_pipe_in_the_way_is_not_waited_for(world: Path) -> None:
    """In place of the history, or of a file that is to be replaced."""
    state = world / "home" / ".local" / "state" / "fsmbot"
    state.mkdir(parents=True)
    os.mkfifo(state / "history")
    os.mkfifo(world / "work" / "s.md")
    with talk(world, "--flow", "bot.yaml") as terminal:
        terminal.wait("kept in memory only", "you> ")
        terminal.ask("/save --force s.md", "cannot be written")
        terminal.ask("my secret")
        assert terminal.leave() == 0


class Heard:
    """Programs that tell whatever they write, and whether anything below a place has changed since."""

    def __init__(self, world: Path) -> None:
        self.world = world
        (world / "ears").mkdir()
        (world / "ears" / "sitecustomize.py").write_text(EARS)
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)
        os.set_inheritable(self.writer, True)
        self.environment = {"HEARD": str(self.writer), "PYTHONPATH": f"{world / 'ears'}{os.pathsep}{ROOT}"}
        self.before = self.found()

    def found(self) -> dict[str, tuple[int, ...]]:
        """Return all there is; a file that came and went has changed its folder."""
        known = everything(self.world)
        return {name: (s.st_ino, s.st_mode, s.st_size, s.st_mtime_ns) for name, s in known.items()}

    def told(self) -> list[str]:
        """Return what was written to, and what has changed."""
        heard = b""
        while True:
            try:
                heard += os.read(self.reader, 1 << 16)
            except BlockingIOError:
                break
        now = self.found()
        changed = [name for name in {*now, *self.before} if now.get(name) != self.before.get(name)]
        return [*heard.decode().splitlines(), *changed]

    def run(self, *arguments: str, said: str) -> subprocess.CompletedProcess[str]:
        """Run the program, piped."""
        return subprocess.run(
            [sys.executable, "-m", "fsmbot", *arguments], cwd=self.world / "work", input=said, text=True,
            capture_output=True, timeout=120, umask=0, pass_fds=(self.writer,),
            env={**os.environ, **self.environment},
        )  # fmt: skip


@contextmanager
def listening(world: Path) -> Iterator[Heard]:
    """Listen from now on to programs started here."""
    heard = Heard(world)
    yield heard
    os.close(heard.reader)
    os.close(heard.writer)


@pytest.fixture
def heard(world: Path) -> Iterator[Heard]:
    with listening(world) as found:
        yield found


TYPED = {
    "my secret": "Well.", "two\nlines": "Well.", "/state": "turns", "/why": "you said", "/back": "taken back",
    "/help": "Ctrl-R", "/restart": "a new conversation",
}  # fmt: skip
"""What is typed at the terminal, and a piece of what comes of it."""

DOCTOR = str(ROOT / "flows" / "doctor.yaml")


@pytest.mark.promise(10, "--no-history writes nothing, and neither does a piped conversation")
def test_no_history_writes_nothing(heard: Heard, reached: Callable[[str], None]) -> None:
    """No file is opened to write, made, moved or removed, wherever; at a terminal, piped, and in JSON."""
    pytest.importorskip("numpy")
    with everybody_may():
        terminal = Terminal(
            heard.world / "work", "--flow", "bot.yaml", "--no-history", XDG_STATE_HOME="", **heard.environment
        )
    with closing(terminal):
        terminal.wait("bot> Yes?", "you> ")
        for message, answer in TYPED.items():
            terminal.ask(message, answer)
        terminal.type("\x12secret\r\r")  # Ctrl-R looks for it in what was typed before
        terminal.wait("Well.")
        assert terminal.leave() == 0
    assert heard.told() == []
    for arguments in (["--flow", "bot.yaml"], ["--flow", "bot.yaml", "--no-history"], ["--flow", DOCTOR]):
        for form in ([], ["--json"]):
            done = heard.run(*arguments, *form, said="hiya\n/state\nmy secret\n")
            assert (done.returncode, done.stderr) == (0, "")
            assert heard.told() == []
    reached("7 conversations: 0 files opened to write, made, moved or removed")


def test_the_ears_would_have_heard_it(heard: Heard) -> None:
    """With history, a trace or a session there is something to hear."""
    with closing(
        Terminal(heard.world / "work", "--flow", "bot.yaml", XDG_STATE_HOME="", **heard.environment)
    ) as terminal:
        terminal.wait("bot> Yes?", "you> ")
        assert terminal.leave() == 0
    assert any("history" in line and line.startswith("open") for line in heard.told())
    heard.run("--flow", "bot.yaml", "--session", "ada", "--store", "s.db", said="hello\n")
    told = heard.told()
    assert any(line.startswith("sqlite3.connect") for line in told)
    assert "work/s.db" in told


@pytest.mark.hard
@pytest.mark.timeout(300)
@pytest.mark.promise(10, "--no-history with a model that is loaded and asked: nothing is written either")
def test_no_history_writes_nothing_with_a_model(
    world: Path, tokenizer: Any, reached: Callable[[str], None]
) -> None:
    """But that Python tries whether it could: a file of four bytes in TMPDIR, removed at once."""
    pytest.importorskip("safetensors")
    from tiny_doctor import write_adapter, write_base

    doctor = write_adapter(world / "doctor", write_base(world / "base", tokenizer))
    with listening(world) as heard:
        question = "How can I lower my blood pressure without medicine?\n"
        for form in ([], ["--json"]):
            done = heard.run("--no-history", "--doctor", str(doctor), *form, said=question)
            assert done.returncode == 0
            assert "load" not in done.stderr  # so there was a model, if one that talks nonsense
        told = heard.told()
    made = [line for line in told if not (line.startswith("os.mkdir") and Path(line.split("'")[1]).is_dir())]
    tries = [line for line in made if f"'{world / 'temporary'}/" in line]
    assert [line for line in made if line not in tries] == ["temporary"]
    assert [line.split()[0] for line in tries] == ["open", "os.remove"] * 2
    reached("2 answers: 0 files left, or written with anything; Python tried TMPDIR twice with 4 bytes")
