"""A model that is dead, slow, empty or garbled: the user gets a fallback, and the conversation goes on.

The faults are put where a model has them: files, loading, the tokenizer, the forward pass. All else is real:
LocalDoctor, its prompt, its decoding, the flow, the channels.
"""

from __future__ import annotations

import ctypes
import dataclasses
import io
import json
import logging
import random
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import msgspec
import pytest

from fsmbot.channels import run_json, run_plain
from fsmbot.doctor import BrokenDoctor, LocalDoctor, generator
from fsmbot.doctor.artefact import Card, write_card
from fsmbot.doctor.decode import Decoding
from fsmbot.flow import Flow
from fsmbot.handlers.doctor import APOLOGY, CUT_OFF
from fsmbot.loader import load_flow, parse_flow
from fsmbot.registry import Registry, load_builtins
from fsmbot.session import Session

FILE = Path(__file__).parent.parent.parent / "flows" / "doctor.yaml"
ASKED = "I have a headache"
TEXT = "Drink plenty of water and rest for a day. It gets better soon. "
PATIENCE = 0.2
"""Seconds of silence that are granted to what is slow; the rest fails at once, on a busy machine later."""
BOUND = 20.0
"""Seconds within which a fallback must have come, whatever is wrong; most take a fraction of one."""


class Nameless(Exception):
    """An error that cannot even be told."""

    def __str__(self) -> str:
        raise ValueError("no message")


def torch_out_of_memory() -> BaseException:
    import torch

    return torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB\n\x1b[31mdetails")


EXCEPTIONS: list[Callable[[], BaseException]] = [
    lambda: RuntimeError("mat1 and mat2 shapes cannot be multiplied"), torch_out_of_memory, MemoryError,
    lambda: KeyError("model.embed_tokens"),
    lambda: ValueError("bad value\nTraceback (most recent call last):"),
    lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), StopIteration, SystemExit,
    lambda: OSError(28, "No space left on device"), lambda: PermissionError(13, "Permission denied"),
    lambda: ConnectionResetError("reset by peer"), lambda: TimeoutError("timed out"), AssertionError,
    lambda: TypeError("'NoneType' object is not callable"), lambda: AttributeError("no attribute 'logits'"),
    lambda: IndexError("index out of range in self"), RecursionError, ZeroDivisionError, EOFError, Nameless,
    lambda: Exception("\x1b]0;title\x07\u202eodd"),
]  # fmt: skip


class Scripted:
    """Stands in for the network: its scores make the decoding choose the given tokens, one by one.

    fault: called before the step of that number; it may raise, wait, or give other scores.
    """

    device = "cpu"

    def __init__(self, ids: list[int], size: int, at: int = -1, fault: Callable[[], Any] = bool) -> None:
        self.ids, self.size, self.at, self.fault, self.step = ids, size, at, fault, 0

    def __call__(self, **_: Any) -> Any:
        import torch

        number, self.step = self.step, self.step + 1
        scores = self.fault() if number == self.at or self.at == EACH else None
        if scores is None:
            scores = torch.zeros(self.size)
            scores[self.ids[min(number, len(self.ids) - 1)]] = 9.0
        return SimpleNamespace(logits=scores.reshape(1, 1, -1), past_key_values=None)


EACH = -2
"""A fault that happens at every step."""


@dataclasses.dataclass
class Kit:
    """What a fault is made of."""

    base: Path
    real: generator._Loaded
    folder: Path
    patch: pytest.MonkeyPatch
    released: threading.Event

    def doctor(
        self, text: str = TEXT, at: int = -1, fault: Callable[[], Any] = bool, **changes: Any
    ) -> LocalDoctor:
        """A loaded doctor that says a text, with a fault in its network, or another prompt or decoding."""
        prompt = self.real.prompt
        ids = [*prompt.content(text), prompt.end]
        return self.with_tokens(ids, at, fault, **changes)

    def with_tokens(
        self, ids: list[int], at: int = -1, fault: Callable[[], Any] = bool, **changes: Any
    ) -> LocalDoctor:
        """A loaded doctor that says these tokens."""
        plain = Decoding(repetition_penalty=1.0, no_repeat_ngram=0)
        size = self.real.model.config.vocab_size

        class Fresh(LocalDoctor):
            def _wait(doctor) -> Any:
                loaded = super()._wait()
                return dataclasses.replace(loaded, model=Scripted(ids, size, at, fault))

        doctor = Fresh(base=str(self.base), device="cpu")
        doctor._loaded = dataclasses.replace(self.real, **{"decoding": plain, **changes})
        doctor._loading, doctor._status = threading.Event(), "tiny"
        doctor._loading.set()
        return doctor

    def unloaded(self, load: Callable[..., Any]) -> LocalDoctor:
        """A doctor whose base is loaded by the given function."""
        self.patch.setattr(generator, "load_base", load)
        return LocalDoctor(base=str(self.base), device="cpu")

    def copied(self) -> Path:
        """A copy of the base's folder, to be damaged."""
        return Path(shutil.copytree(self.base, self.folder / "base"))

    def wait(self, *_: Any, **__: Any) -> None:
        """Hang, until the test is over."""
        self.released.wait(60)


def raising(make: Callable[[], BaseException]) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise make()

    return fail


def die() -> None:
    """Be killed from outside: the exception comes between any two instructions of this thread."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(threading.get_ident()), ctypes.py_object(SystemExit)
    )
    while True:
        pass


class Fault(NamedTuple):
    """One way in which a model may be broken; `patience` where the usual one would take too long."""

    kind: str
    name: str
    doctor: Callable[[Kit], Any]
    patience: float = 5.0


def dead() -> Iterator[Fault]:
    for make in EXCEPTIONS:
        name = type(make()).__name__
        yield Fault("dead", f"{name} while loading", lambda kit, make=make: kit.unloaded(raising(make)))
        yield Fault(
            "dead", f"{name} at the first token", lambda kit, make=make: kit.doctor(at=0, fault=raising(make))
        )
        yield Fault(
            "dead", f"{name} after 12 tokens", lambda kit, make=make: kit.doctor(at=12, fault=raising(make))
        )
    for package in ("torch", "transformers", "bitsandbytes"):
        error = ModuleNotFoundError(f"No module named '{package}'", name=package)
        yield Fault("dead", f"no {package}", lambda kit, error=error: kit.unloaded(raising(lambda: error)))
    yield Fault("dead", "killed while loading", lambda kit: kit.unloaded(lambda *_, **__: die()))
    yield Fault("dead", "killed while answering", lambda kit: kit.doctor(at=3, fault=die))
    yield Fault("dead", "a doctor of one's own raises", lambda kit: BrokenDoctor())
    yield Fault("dead", "a doctor of one's own raises half-way", lambda kit: BrokenDoctor(after=2))
    yield Fault("dead", "a doctor without an answer", lambda kit: object())
    for make in EXCEPTIONS[3:6]:
        name = type(make()).__name__
        yield Fault(
            "dead", f"the prompt: {name}", lambda kit, make=make: prompting(kit, question=raising(make))
        )
        yield Fault(
            "dead", f"the tokenizer: {name}", lambda kit, make=make: prompting(kit, decode=raising(make))
        )


def prompting(kit: Kit, **faults: Callable[..., Any]) -> LocalDoctor:
    """A doctor whose prompt format fails in one of its functions."""
    prompt = kit.real.prompt
    parts = {"question": prompt.question, "decode": prompt.decode, "stops": prompt.stops, **faults}
    return kit.doctor(prompt=SimpleNamespace(**parts))


def damaged() -> Iterator[Fault]:
    """Files that are not there, or not what they should be."""

    def base(name: str, damage: Callable[[Path], Any]) -> Fault:
        def build(kit: Kit) -> LocalDoctor:
            folder = kit.copied()
            damage(folder)
            return LocalDoctor(base=str(folder), device="cpu")

        return Fault("dead", f"base: {name}", build)

    def adapter(name: str, damage: Callable[[Path], Any], **card: Any) -> Fault:
        def build(kit: Kit) -> LocalDoctor:
            write_card(kit.folder, Card(base=str(kit.base), **card))
            damage(kit.folder)
            return LocalDoctor(adapter=str(kit.folder), device="cpu")

        return Fault("dead", f"artefact: {name}", build)

    yield base("no folder", shutil.rmtree)
    yield base("no config", lambda f: (f / "config.json").unlink())
    yield base("config is no JSON", lambda f: (f / "config.json").write_text("{"))
    yield base(
        "config of nothing known", lambda f: (f / "config.json").write_text('{"model_type": "nothing"}')
    )
    yield base("no weights", lambda f: (f / "model.safetensors").unlink())
    yield base("no bytes of weights", lambda f: (f / "model.safetensors").write_bytes(b""))
    yield base("half of the weights", lambda f: halve(f / "model.safetensors"))
    yield base("tokenizer is no JSON", lambda f: (f / "tokenizer.json").write_text("["))
    yield base("no tokenizer", lambda f: [path.unlink() for path in f.glob("*token*")])
    yield adapter("no card", lambda f: (f / "doctor.json").unlink())
    yield adapter("card is no JSON", lambda f: (f / "doctor.json").write_text("{"))
    yield adapter("card of a later version", bool, prompt_version=99)
    yield adapter("card of another format", bool, prompt_format="llama-2")
    yield adapter("adapter without a config", lambda f: (f / "adapter_model.safetensors").write_bytes(b"x"))


def halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def slow() -> Iterator[Fault]:
    yield Fault("slow", "no first token", lambda kit: kit.doctor(at=0, fault=kit.wait), PATIENCE)
    yield Fault("slow", "no token after 9", lambda kit: kit.doctor(at=9, fault=kit.wait), PATIENCE)
    yield Fault(
        "slow", "token by token", lambda kit: kit.doctor(at=EACH, fault=lambda: time.sleep(0.08)), 0.1
    )
    yield Fault("slow", "loads for ever", lambda kit: kit.unloaded(kit.wait), 0.1)
    yield Fault("slow", "loads for too long", impatient_loading, PATIENCE)
    yield Fault("slow", "hangs in the prompt", lambda kit: prompting(kit, question=kit.wait), PATIENCE)
    yield Fault("slow", "hangs in the tokenizer", lambda kit: prompting(kit, decode=kit.wait), PATIENCE)
    yield Fault("slow", "an answer that nobody reads", unread, PATIENCE)
    yield Fault("slow", "nothing, again and again", lambda kit: pieces(iter(lambda: "", None)), 0.05)
    yield Fault("slow", "a doctor of one's own hangs", lambda kit: pieces(map(kit.wait, "x")), PATIENCE)


def impatient_loading(kit: Kit) -> LocalDoctor:
    kit.patch.setattr(generator, "LOADING_SECONDS", 0.1)
    return kit.unloaded(kit.wait)


def unread(kit: Kit) -> LocalDoctor:
    """A doctor whose one place is taken by an answer that was begun and never read to its end."""
    doctor = kit.doctor()
    doctor.begun = doctor.answer("x")  # type: ignore[attr-defined]
    next(doctor.begun)  # type: ignore[attr-defined]
    return doctor


def pieces(given: Any) -> Any:
    """A doctor that gives anything at all as its pieces."""
    return SimpleNamespace(answer=lambda *_, **__: given, status="own")


def empty() -> Iterator[Fault]:
    yield Fault("empty", "the end at once", lambda kit: kit.doctor(""))
    yield Fault("empty", "spaces", lambda kit: kit.doctor("   \n\n  "))
    yield Fault("empty", "marks", lambda kit: kit.doctor("?! ... --- 1. 2. 3."))
    yield Fault("empty", "zero-width", lambda kit: kit.doctor("\u200b\u200d\ufeff"))
    yield Fault("empty", "special tokens", lambda kit: kit.with_tokens([kit.real.prompt.end] * 9))
    yield Fault(
        "empty", "half a character", lambda kit: kit.with_tokens([*kit.real.prompt.content("🫀")[:1]] * 30)
    )
    yield Fault("empty", "not a number", lambda kit: kit.doctor(at=EACH, fault=not_a_number))
    yield Fault("empty", "only a claim", lambda kit: kit.doctor("I am a licensed doctor."))
    yield Fault("empty", "only a dose", lambda kit: kit.doctor("Take 500 mg of it."))
    for name, given in {"no pieces": [], "empty pieces": [""] * 50, "line ends": ["\n"] * 50}.items():
        yield Fault("empty", name, lambda kit, given=given: pieces(given))


def not_a_number() -> Any:
    import torch

    return torch.full((400,), float("nan"))


def garbled() -> Iterator[Fault]:
    chance = random.Random(5)
    anything = "".join(
        chr(chance.choice([*range(0xA0, 0xD000), *range(0x10000, 0x18000)])) for _ in range(400)
    )
    controls = "".join(map(chr, [*range(1, 9), *range(14, 32), *range(127, 160)])) * 5
    texts = {
        "any characters": anything, "control characters": controls, "replacement characters": "a\ufffd" * 100,
        "one word": "water " * 200, "one letter": "a" * 300,
        "one phrase": "you should see a doctor soon, " * 50,
        "no spaces": "".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=5000)),
        "one sentence": TEXT * 40,
    }  # fmt: skip
    for name, text in texts.items():
        yield Fault("garbled", name, lambda kit, text=text: kit.doctor(text))
        yield Fault("garbled", f"{name} at once", lambda kit, text=text: pieces([text[:6000]]))
    given: dict[str, Any] = {
        "None": [None], "bytes": [b"Rest."], "numbers": [1, 2, 3], "a list": [["Rest."]],
        "half text": ["Rest. ", None],
        "no iterator": 5, "nothing": None, "five megabytes": ["a b c d " * 640_000],
        "endless words": (f"word{number} " for number in range(10**9)),
    }  # fmt: skip
    for name, odd in given.items():
        yield Fault("garbled", name, lambda kit, odd=odd: pieces(odd))
    yield Fault("garbled", "decoded to nothing", lambda kit: prompting(kit, decode=lambda ids: None))
    yield Fault("garbled", "decoded to bytes", lambda kit: prompting(kit, decode=lambda ids: b"Rest."))


FAULTS = [*dead(), *damaged(), *slow(), *empty(), *garbled()]


@pytest.fixture(scope="module")
def real(tiny_base: Path) -> generator._Loaded:
    """The tiny model, loaded as any other is."""
    doctor = LocalDoctor(base=str(tiny_base), device="cpu")
    doctor.preload()
    return doctor._wait()


@pytest.fixture
def kit(
    tiny_base: Path, real: generator._Loaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Kit]:
    """What is needed to make faults; what hangs is let go in the end."""
    released = threading.Event()
    yield Kit(tiny_base, real, tmp_path, monkeypatch, released)
    released.set()
    for thread in threading.enumerate():
        if thread.name in ("fsmbot node", "load-doctor"):
            thread.join(10)


def reference(patience: float) -> Flow:
    """The reference conversation, going round."""
    text = FILE.read_text(encoding="utf-8").replace("next: end", "next: ask_user")
    return parse_flow(text.replace("ask_doctor:     {", f"ask_doctor: {{patience: {patience}, "))


def in_message(flow: Flow, doctor: Any) -> str:
    """Return what a session says, and see that it goes on."""
    session = Session(flow, {"doctor": doctor})
    reply = session.say(ASKED).partition("\nWhat would you like to ask?")[0]
    assert "Nice to hear from you" in session.say("hello")
    return reply


def in_plain(flow: Flow, doctor: Any) -> str:
    """Return what is printed for the question to a user without a terminal."""
    out, err = io.StringIO(), io.StringIO()
    assert (
        run_plain(flow, io.BytesIO(f"{ASKED}\nhello\n".encode()), out, err, resources={"doctor": doctor}) == 0
    )
    assert err.getvalue() == ""
    first, rest = out.getvalue().split("What would you like to ask?\n")[1:3]
    assert "Nice to hear from you" in rest
    return first


def in_json(flow: Flow, doctor: Any) -> str:
    """Return the text of the events that answer the question."""
    out = io.StringIO()
    assert run_json(flow, io.BytesIO(f"{ASKED}\nhello\n".encode()), out, resources={"doctor": doctor}) == 0
    events = [json.loads(line) for line in out.getvalue().splitlines()]
    assert not [event for event in events if event["event"] in ("error", "failed")]
    assert any("Nice to hear from you" in event.get("text", "") for event in events)
    return "".join(e["text"] for e in events if e["event"] == "said" and e["node"] == "ask_doctor")


def in_terminal(flow: Flow, doctor: Any) -> str:
    """Return what stands on the screen for the question."""
    from prompt_toolkit.data_structures import Size
    from prompt_toolkit.input import create_pipe_input
    from prompt_toolkit.output.vt100 import Vt100_Output

    from fsmbot.repl import Repl

    out = io.StringIO()
    with create_pipe_input() as keys:
        output = Vt100_Output(out, lambda: Size(rows=24, columns=500), term="xterm-256color")
        keys.send_text(f"{ASKED}\rhello\r\x04")
        assert Repl(flow, input=keys, output=output, history=False, resources={"doctor": doctor}).run() == 0
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|\r", "", out.getvalue())
    assert "Nice to hear from you" in text
    return re.findall(r"bot> (.*?)\n(?=bot>|you>)", text, re.DOTALL)[1]  # type: ignore[no-any-return]


CHANNELS = [in_message, in_plain, in_json, in_terminal]


def endure(
    fault: Fault, kit: Kit, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> float:
    """Meet a fault in every channel: a fallback in time, no traceback, a line in the log, and on it goes.

    Returns how long the slowest took.
    """
    strays: list[object] = []
    slowest, flow = 0.0, reference(fault.patience)
    for channel in CHANNELS:
        with pytest.MonkeyPatch.context() as kit.patch, caplog.at_level(logging.WARNING, "fsmbot"):
            kit.patch.setattr(threading, "excepthook", strays.append)
            caplog.clear()
            doctor = fault.doctor(kit)
            started = time.monotonic()
            reply = channel(flow, doctor)
            slowest = max(slowest, time.monotonic() - started)
        assert " ".join(reply.split()).endswith((APOLOGY, CUT_OFF)), reply
        assert [record.name for record in caplog.records] == ["fsmbot.doctor"], caplog.text
        printed = capfd.readouterr()
        assert "Traceback" not in reply + printed.out + printed.err
        assert not any(record.exc_info for record in caplog.records)
        shutil.rmtree(kit.folder)
        kit.folder.mkdir()
    assert not strays
    assert slowest < BOUND
    return slowest


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A terminal that can do what most can, and a state folder of the test's own."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("PROMPT_TOOLKIT_NO_CPR", "1")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path.parent / "state"))


@pytest.mark.hard
@pytest.mark.timeout(1800)
@pytest.mark.promise(12, "100 and more faults of the model in four channels: a safe fallback, no traceback")
def test_every_fault_of_the_model_is_met_by_a_fallback(
    kit: Kit,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    reached: Callable[[str], None],
) -> None:
    """Dead, slow, empty or garbled: each in a session, in plain text, as JSON and at a terminal."""
    slowest = max(endure(fault, kit, caplog, capfd) for fault in FAULTS)
    kinds = ", ".join(
        f"{sum(f.kind == kind for f in FAULTS)} {kind}" for kind in ("dead", "slow", "empty", "garbled")
    )
    met = len(FAULTS) * len(CHANNELS)
    reached(f"{len(FAULTS)} faults ({kinds}): {met} fallbacks, each within {slowest:.0f} s, 0 tracebacks")


@pytest.mark.parametrize("fault", FAULTS[::8], ids=lambda fault: f"{fault.kind}: {fault.name}")
def test_a_fault_of_the_model_is_met_by_a_fallback(
    fault: Fault, kit: Kit, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Some of the faults; the rest of them takes longer."""
    endure(fault, kit, caplog, capfd)


def test_what_hangs_does_not_block_the_next_answer(kit: Kit) -> None:
    """An answer that was left behind inside a step holds its place for a while, and no longer."""
    kit.patch.setattr(generator, "HUNG_SECONDS", 0.3)
    hangs = [False, True]
    doctor = kit.doctor(at=3, fault=lambda: kit.wait() if hangs.pop() else None)
    session = Session(reference(1.0), {"doctor": doctor})
    assert session.say(ASKED).partition("\nWhat")[0].endswith(CUT_OFF)
    assert session.say(ASKED).startswith("Drink plenty of water")
    assert doctor.status == "tiny"


def test_an_answer_that_nobody_reads_gives_its_place_away(kit: Kit) -> None:
    """A reader that went away without a word does not hold up the others."""
    kit.patch.setattr(generator, "HUNG_SECONDS", 0.3)
    doctor = unread(kit)
    assert "".join(doctor.answer("x")).startswith("Drink plenty of water")


def test_one_failure_is_not_the_end_of_the_model(kit: Kit) -> None:
    """Out of memory once: the next question is answered, and the status is the model's name again."""
    fails = [False, True]
    doctor = kit.doctor(at=2, fault=lambda: raising(torch_out_of_memory)() if fails.pop() else None)
    session = Session(reference(PATIENCE), {"doctor": doctor})
    assert session.say(ASKED).partition("\nWhat")[0].endswith((APOLOGY, CUT_OFF))
    assert doctor.status == "tiny"
    assert session.say(ASKED).startswith("Drink plenty of water")


def test_a_model_that_loads_late_answers_the_next_question(kit: Kit) -> None:
    """The first one is not kept waiting for ever; loading goes on behind it."""
    load, go = generator.load_base, threading.Event()
    doctor = kit.unloaded(lambda *given, **named: go.wait(60) and load(*given, **named))
    session = Session(reference(0.02), {"doctor": doctor})
    assert session.say(ASKED).startswith(APOLOGY)
    assert doctor.status == "loading"
    go.set()
    assert list(doctor.answer("x", max_new_tokens=4))


def test_a_doctor_that_cannot_even_be_built() -> None:
    """Its handler is never called: `on_error` answers where the flow has it, and else a plain line."""
    registry = Registry(dict(load_builtins().handlers), dict(load_builtins().resources))
    registry.resources["doctor"] = msgspec.structs.replace(
        registry.resources["doctor"], function=raising(lambda: RuntimeError("no such service"))
    )
    clinic = Session(load_flow(FILE.with_name("clinic.yaml"), registry))
    assert "I cannot answer questions about health at the moment" in clinic.say(ASKED)
    out, err = io.StringIO(), io.StringIO()
    run_plain(load_flow(FILE, registry), io.BytesIO(f"{ASKED}\nhello\n".encode()), out, err)
    assert err.getvalue().startswith("error: flow 'doctor', node 'ask_doctor'")
    assert len(err.getvalue().splitlines()) == 1
    assert "Nice to hear from you" in out.getvalue()


def test_leaving_while_a_model_computes_is_quiet() -> None:
    """To unwind a thread that is inside the model's code would abort the program."""
    script = (
        "import sys, threading, time\n"
        "from fsmbot import cli\n"
        "from fsmbot.limits import in_time\n"
        "def compute():\n"
        "    import torch\n"
        "    yield 'x'\n"
        "    while True: torch.ones(200, 200) @ torch.ones(200, 200)\n"
        "pieces = in_time(compute, 60)\n"
        "next(pieces)\n"
        "threading.Thread(target=next, args=(pieces,), daemon=True).start()\n"
        "time.sleep(0.3)\n"
        "cli.main = lambda: 7\n"
        "cli.run()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stdout, done.stderr) == (7, "", "")
