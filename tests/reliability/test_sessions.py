"""Sessions in a store outlive their programs: nothing acknowledged is lost, and nothing is half."""

from __future__ import annotations

import itertools
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fsmbot.doctor.fakes import FakeDoctor
from fsmbot.errors import StoreError
from fsmbot.events import Ended, Interrupted, Listening, Said
from fsmbot.loader import load_flow, parse_flow
from fsmbot.session import Session
from fsmbot.stores.sqlite import SQLiteStore

DOCTOR = Path(__file__).parent.parent.parent / "flows" / "doctor.yaml"
FLOW = (
    "start: ask\nnodes:\n  ask: {handler: ask_user, prompt: Yes?, remember: last, next: say}\n"
    "  say: {text: 'Noted, {last}.', next: ask}\n"
)
QUESTION = "What would you like to ask?"
UNANSWERED = [Interrupted("ask"), Listening("ask")]
TALKER = f"""
import itertools, sys
from fsmbot.loader import parse_flow
from fsmbot.session import Session
from fsmbot.stores import SQLiteStore
session = Session.resume(parse_flow({FLOW!r}), SQLiteStore(sys.argv[1]), "ada")
for number in itertools.count(int(sys.argv[2])):
    session.say(f"message {{number}}")
    print(number, flush=True)
"""
"""Talks without end, and says the number of each message once its turn is acknowledged."""


def kill_at_random(db: Path, first: int, chance: random.Random) -> int:
    """Let a talker talk from a message on, kill it at some instant, and return the last one acknowledged."""
    command = [sys.executable, "-c", TALKER, str(db), str(first)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as talker:
        assert talker.stdout is not None
        heard = [talker.stdout.readline()]
        time.sleep(chance.uniform(0, 0.03))
        talker.send_signal(signal.SIGKILL)
        heard += talker.stdout.readlines()
    return int([line for line in heard if line.endswith("\n")][-1])


def killed(db: Path, kills: int) -> str:
    """Kill talkers again and again, then hold what they acknowledged against what is stored."""
    chance, acknowledged, first = random.Random(7), set[int](), 0
    for _ in range(kills):
        last = kill_at_random(db, first, chance)
        acknowledged |= set(range(first, last + 1))
        first = last + 2  # the next one may be stored, or noted, without having been acknowledged
    store = SQLiteStore(db)
    turns = store.turns("ada")
    assert [turn.state.turn for turn in turns] == list(range(len(turns)))
    said = {int(turn.user.split()[1]): turn for turn in turns if turn.user}
    whole = {number for number, turn in said.items() if len(turn.messages) == 3}
    noted = {number for number, turn in said.items() if turn.events == UNANSWERED}
    assert acknowledged - whole == set()
    assert set(said) - whole == noted
    history = store.load("ada")
    assert history is not None
    assert [m for turn in turns for m in turn.messages] == list(history.history)
    with sqlite3.connect(db) as plain:
        assert plain.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    return (
        f"{kills} kills, {len(acknowledged):,} turns acknowledged: 0 lost, 0 half, integrity ok; "
        f"{len(noted)} messages were kept as interrupted"
    )


def test_a_few_kills_lose_nothing(tmp_path: Path) -> None:
    """The short version: what was acknowledged is stored, whole, and in order."""
    killed(tmp_path / "s.db", 8)


@pytest.mark.hard
@pytest.mark.timeout(1200)
@pytest.mark.promise(1, "300 SIGKILLs while turns are written: no acknowledged turn is lost, none is half")
def test_300_kills_lose_nothing(tmp_path: Path, reached: Callable[[str], None]) -> None:
    """The long version."""
    reached(killed(tmp_path / "s.db", 300))


ASKER = f"""
import sys, time
from fsmbot.loader import load_flow
from fsmbot.session import Session
from fsmbot.stores import SQLiteStore
class Doctor:
    def answer(self, text, history=(), *, max_new_tokens=256):
        print("asked", flush=True)
        yield "Rest "
        time.sleep(60)
session = Session.resume(load_flow({str(DOCTOR)!r}), SQLiteStore(sys.argv[1]), "ada", {{"doctor": Doctor()}})
session.say("I have a headache")
"""


@pytest.mark.promise(1, "a kill inside ask_doctor: the message is kept and marked, and not asked again")
def test_a_kill_inside_ask_doctor(tmp_path: Path, reached: Callable[[str], None]) -> None:
    """On restart the user's message is there, the user is told, and the doctor is asked only when the
    user asks again."""
    db, rounds = tmp_path / "s.db", 5
    doctor = FakeDoctor(["Drink water."])
    for number in range(1, rounds + 1):
        with subprocess.Popen([sys.executable, "-c", ASKER, str(db)], stdout=subprocess.PIPE) as asker:
            assert asker.stdout is not None
            assert asker.stdout.readline() == b"asked\n"
            asker.send_signal(signal.SIGKILL)
        store = SQLiteStore(db)
        session = Session.resume(load_flow(DOCTOR), store, "ada", {"doctor": doctor})
        assert session.state.history[-1].text == "I have a headache"
        assert "got no answer, as the program was stopped; send it again" in session.notice
        assert [type(event) for event in store.turns("ada")[-1].events] == [Interrupted, Listening]
        assert (session.state.node, session.state.turn, len(doctor.asked)) == ("ask_user", number, 0)
        assert [event.text for event in session.repeat() if isinstance(event, Said)] == [QUESTION]
        assert Session.resume(load_flow(DOCTOR), store, "ada").notice == ""
    assert "Drink water." in session.say("I have a headache")
    assert len(doctor.asked) == 1
    reached(f"{rounds} of {rounds} kills: message kept, turn marked, doctor asked 0 times by itself")


def test_a_message_that_is_being_answered_elsewhere_is_not_interrupted(tmp_path: Path) -> None:
    """A second program leaves the turn of a living one alone."""
    db = tmp_path / "s.db"
    with subprocess.Popen([sys.executable, "-c", ASKER, str(db)], stdout=subprocess.PIPE) as asker:
        assert asker.stdout is not None
        assert asker.stdout.readline() == b"asked\n"
        session = Session.resume(load_flow(DOCTOR), SQLiteStore(db), "ada")
        assert (session.notice, session.state.turn) == ("", 0)
        asker.kill()


def test_a_living_program_is_known_beside_a_store_that_was_made_anew(tmp_path: Path) -> None:
    """Somebody removes all files of a store while a program runs that uses it, and it makes them again."""
    db = tmp_path / "s.db"
    for _ in range(2):
        for path in tmp_path.iterdir():
            path.unlink()
        store = SQLiteStore(db)
        Session.resume(parse_flow(FLOW), store, "ada").say("hello")
        store.begin("ada", 2, "how are you?")
    look = f"from fsmbot.stores import SQLiteStore; print(SQLiteStore({str(db)!r}).interrupted('ada'))"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert done.stdout == "None\n"


SHARER = f"""
import sys, threading
from fsmbot.errors import ConflictError
from fsmbot.loader import parse_flow
from fsmbot.session import Session
from fsmbot.stores import SQLiteStore
flow, store, mine, turns = parse_flow({FLOW!r}), SQLiteStore(sys.argv[1]), sys.argv[2], int(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
def talk(thread):
    for number in range(turns):
        while True:
            session = Session.resume(flow, store, "ada")
            try:
                session.say(f"{{mine}} {{thread}} {{number}}")
            except ConflictError:
                continue
            break
threads = [threading.Thread(target=talk, args=(n,)) for n in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""


def shared(db: Path, turns: int) -> str:
    """Let two processes with eight threads each talk in one session, `turns` messages in all."""
    each = turns // 16
    commands = [[sys.executable, "-c", SHARER, str(db), name, str(each)] for name in ("a", "b")]
    sharers = [
        subprocess.Popen(c, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for c in commands
    ]
    for sharer in sharers:
        assert sharer.stdout is not None
        assert sharer.stdout.readline() == "ready\n"
    assert [sharer.communicate("go\n") and sharer.returncode for sharer in sharers] == [0, 0]
    stored = SQLiteStore(db).turns("ada")
    said = [turn.user for turn in stored if turn.user]
    wanted = {" ".join(map(str, who)) for who in itertools.product("ab", range(8), range(each))}
    assert len(said) == len(wanted)
    assert set(said) == wanted
    assert [turn.state.turn for turn in stored] == list(range(len(said) + 1))
    return f"{len(said):,} turns of 16 threads in 2 processes: none lost, none numbered twice"


def test_threads_and_processes_share_a_session(tmp_path: Path) -> None:
    """The short version: every turn is there once, under its own number."""
    shared(tmp_path / "s.db", 48)


@pytest.mark.hard
@pytest.mark.timeout(600)
@pytest.mark.promise(2, "two processes with eight threads each on one session: 1,000 turns")
def test_a_thousand_shared_turns(tmp_path: Path, reached: Callable[[str], None]) -> None:
    """The long version."""
    reached(shared(tmp_path / "s.db", 1008))


FILLER = f"""
import resource, signal, sys
from fsmbot.errors import StoreError
from fsmbot.loader import parse_flow
from fsmbot.session import Session
from fsmbot.stores import SQLiteStore
session = Session.resume(parse_flow({FLOW!r}), SQLiteStore(sys.argv[1]), "ada")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
try:
    for number in range(10_000):
        events = list(session.send(f"message {{number}} " + "x" * 500))
        print(type(events[-1]).__name__, flush=True)
except StoreError as error:
    print(error)
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that others may look into, which those of pytest are not."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.promise(2, "disk full, read-only, locked: a clear error and no false acknowledgement")
def test_trouble_with_the_file(tmp_path: Path, open_folder: Path, reached: Callable[[str], None]) -> None:
    """Each kind is told in words, the turn is taken back, and the next one works once all is well."""
    told = [*map(full(tmp_path), (40_000, 65_000, 100_000)), read_only(open_folder), locked(tmp_path)]
    reached(f"{len(told)} of {len(told)} told: 3 sizes of disk, read-only, locked; 0 false acknowledgements")


def full(folder: Path) -> Callable[[int], str]:
    """Return a function that fills a file up to its size, and returns what was told then."""

    def fill(size: int) -> str:
        db = folder / f"{size}.db"
        SQLiteStore(db).close()
        done = subprocess.run([sys.executable, "-c", FILLER, db, str(size)], capture_output=True, text=True)
        *rested, told = done.stdout.splitlines()
        assert done.stderr == ""
        assert "cannot be written" in told
        assert "disk" in told
        store = SQLiteStore(db)
        assert [turn.state.turn for turn in store.turns("ada")] == list(range(len(rested) + 1))
        assert set(rested) == {"Listening"}
        session = Session.resume(parse_flow(FLOW), store, "ada")
        assert session.say("again") == "Noted, again.\nYes?"
        return told

    return fill


def read_only(folder: Path) -> str:
    """Take the right to write away, in a process that is no superuser."""
    db = folder / "r.db"
    with SQLiteStore(db)._db as opened:
        opened.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.chmod(0o444)
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:  # pragma: no cover - in the child
        try:
            if os.getuid() == 0:
                os.setuid(65534)
            store = SQLiteStore(db)
            list(Session(parse_flow(FLOW), store=store, session_id="ada").start())
        except StoreError as error:
            os.write(writer, str(error).encode())
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with open(reader, encoding="utf-8") as pipe:
        told = pipe.read()
    assert "cannot be" in told
    assert "written" in told
    db.chmod(0o600)
    assert SQLiteStore(db).names() == []
    return told


def locked(folder: Path) -> str:
    """Hold the file in another connection, and let go again."""
    db = folder / "l.db"
    session = Session(parse_flow(FLOW), store=SQLiteStore(db, patience=0.1), session_id="ada")
    session.say("one")
    before, other = session.state, sqlite3.connect(db, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    seen = []
    with pytest.raises(StoreError, match="another program holds it") as caught:
        seen.extend(session.send("two"))
    assert not any(isinstance(event, (Listening, Ended)) for event in seen)
    assert session.state is before
    other.execute("COMMIT")
    assert session.say("two") == "Noted, two.\nYes?"
    return str(caught.value)
