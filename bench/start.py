"""Starting: whole processes, from start to exit, to the first prompt, or to the first words.

Subjects take turns; the bare interpreter of each environment is the floor. fsmbot is imported in an
environment with what it needs and no more. The file cache is warm. The doctor's first words need the base
model in the cache (`python -m fsmbot.doctor fetch`); a question that takes 10 s to type is typed letter by
letter, evenly.

`llm chat` is asked with a key that is none, so that it comes to its prompt and no further. What
`transformers` loads is the same base in the same 4 bits, with the same adapter by peft, from the same
folder, and it generates one token.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from suite.environments import HERE, NotInstalled, installed, interpreter, say
from suite.machine import versions
from suite.processes import Terminal, peak, prompt_of, variables, whole
from suite.results import ROOT, Measured, Table, Value, spread

TALK = ["-m", "fsmbot", "--flow", "flows/doctor.yaml"]
QUESTION = "I have had a sore throat for three days, what can I do?"
TYPING_SECONDS = 10.0

IMPORTS = {
    "fsmbot": ("bare", "import fsmbot"),
    "transitions": ("engines", "from transitions import Machine"),
    "python-statemachine": ("engines", "from statemachine import StateChart"),
    "Burr": ("engines", "from burr.core import ApplicationBuilder"),
    "pydantic-graph 2": ("engines", "from pydantic_graph import GraphBuilder"),
    "LangGraph": ("engines", "from langgraph.graph import StateGraph"),
    "Chatsky": ("engines", "import chatsky"),
    "llm": ("llm", "import llm"),
    "scikit-learn (TF-IDF)": ("scikit-learn", "from sklearn.feature_extraction.text import TfidfVectorizer"),
    "transformers": ("", "from transformers import AutoModelForCausalLM"),
}


def first_words(typing: float) -> Callable[[], float]:
    """Return a function that returns the milliseconds from Enter to the doctor's first words.

    typing: how long the user takes to type the question, letter by letter, from the first prompt on.
    """

    def run() -> float:
        terminal = Terminal.of(sys.executable, *TALK)
        try:
            terminal.wait_for(b"you>")
            for letter in QUESTION:
                terminal.type(letter)
                time.sleep(typing / len(QUESTION))
            entered = time.perf_counter()
            terminal.type("\r")
            words = terminal.wait_for(b"bot> ", b"bot>\x1b")
            return words - (entered - terminal.started) * 1000
        finally:
            terminal.close()

    return run


def piped_words(*command: str, after: int) -> Callable[[], float]:
    """Return a function that returns the milliseconds from process start to the first words of an answer.

    The question is piped in; after: lines that come before the answer.
    """

    def run() -> float:
        given, start = variables(), time.perf_counter()
        process = subprocess.Popen(
            command, cwd=ROOT, env=given, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(QUESTION.encode() + b"\n")
        process.stdin.close()
        for _ in range(after):
            process.stdout.readline()
        said = os.read(process.stdout.fileno(), 1)
        milliseconds = (time.perf_counter() - start) * 1000
        process.kill()
        process.wait()
        process.stdout.close()
        if not said:
            raise NotInstalled("it says nothing")
        return milliseconds

    return run


def in_turns(subjects: Mapping[str, Callable[[], float]], rounds: int) -> tuple[Times, dict[str, str]]:
    """Run all subjects once to warm the file cache, then in rounds; return times, and what failed."""
    times: Times = {}
    missing: dict[str, str] = {}
    for number in range(rounds + 1):
        for name, run in subjects.items():
            if name in missing:
                continue
            try:
                milliseconds = run()
            except NotInstalled as error:
                missing[name] = str(error)
                say(f"{name} is left out: {error}")
                continue
            if number:
                times.setdefault(name, []).append(milliseconds)
    return times, missing


Times = dict[str, list[float]]


def imports(rounds: int) -> Table:
    """Time each import, and the bare interpreter of its environment just before it."""
    subjects: dict[str, Callable[[], float]] = {}
    missing = {}
    for name, (environment, code) in IMPORTS.items():
        try:
            python = interpreter(environment)
        except NotInstalled as error:
            missing[name] = str(error)
            continue
        subjects |= {f"bare {name}": whole(python, "-c", "pass"), name: whole(python, "-c", code)}
    times, failed = in_turns(subjects, rounds)
    rows: dict[str, dict[str, Value]] = {}
    for name in IMPORTS:
        if name in times:
            pairs = zip(times[name], times[f"bare {name}"], strict=True)
            over = statistics.median(one - bare for one, bare in pairs)
            rows[name] = {"over bare": over, **spread(times[name])}
    for row in rows.values():
        row["/ ours"] = float(row["over bare"]) / float(rows["fsmbot"]["over bare"])
    about = "A process that imports and ends; `over bare`: without the bare interpreter's time."
    return Table("Imports", "ms", about, rows, missing | failed, bars="over bare")


def commands(rounds: int) -> Table:
    """Time the commands of a user, and llm's prompt."""
    ours = sys.executable
    subjects = {
        "bare interpreter": whole(ours, "-c", "pass"),
        "fsmbot --help": whole(ours, "-m", "fsmbot", "--help"),
        "fsmbot check flows/doctor.yaml": whole(ours, "-m", "fsmbot", "check", "flows/doctor.yaml"),
        "first prompt": prompt_of(b"you>", ours, *TALK),
        "a greeting answered, piped": whole(ours, *TALK, said="hello\n"),
    }
    missing = {}
    try:
        python = interpreter("llm")
        llm = [str(Path(python).with_name("llm")), "chat", "-m", "gpt-4o-mini", "--key", "none"]
        subjects["llm chat: first prompt"] = prompt_of(b"> ", python, *llm)
    except NotInstalled as error:
        missing["llm chat"] = str(error)
    times, failed = in_turns(subjects, rounds)
    rows = {name: spread(values) for name, values in times.items()}
    return Table("Commands", "ms", "From the shell.", rows, missing | failed, bars="median")


def doctor(rounds: int) -> Table:
    """Time the doctor's first words, and the usual way to the same model's first token."""
    ours, theirs = [sys.executable, *TALK], [sys.executable, *usual_way()]
    subjects = {
        "fsmbot: from the shell to the doctor's first words, piped": piped_words(*ours, after=1),
        "transformers and peft: from the shell to the first token": piped_words(*theirs, after=0),
        "fsmbot: first words, asked at once": first_words(0.0),
        f"fsmbot: first words, after {TYPING_SECONDS:.0f} s of typing": first_words(TYPING_SECONDS),
    }
    times, missing = in_turns(subjects, rounds)
    rows = {name: spread(values) for name, values in times.items()}
    about = "The model is in the cache. From the shell, or, on a terminal, from the Enter key on."
    return Table("The doctor's first words", "ms", about, rows, missing, bars="median")


def usual_way() -> list[str]:
    """Return the script that loads the same model without fsmbot, and where its parts are."""
    from fsmbot.doctor.artefact import SHIPPED
    from fsmbot.doctor.weights import DEFAULT_BASE, quantized_folder

    return [str(HERE / "peers" / "usual_way.py"), str(quantized_folder(DEFAULT_BASE)), str(SHIPPED)]


def peaks() -> Table:
    """Return the largest resident memory of a whole conversation with the doctor, and of the usual way."""
    rows: dict[str, dict[str, Value]] = {
        "fsmbot: a greeting answered": {"MB": peak([sys.executable, *TALK], "hello\n")},
        "fsmbot: a question answered": {"MB": peak([sys.executable, *TALK], QUESTION + "\n")},
        "transformers and peft: one token": {"MB": peak([sys.executable, *usual_way()], QUESTION + "\n")},
    }
    return Table("Memory", "", "The largest resident set of the process.", rows, bars="MB")


def measure(quick: bool = False) -> Measured:
    """Measure all of it: some seven minutes, quick some two."""
    rounds = 3 if quick else 20
    tables = {
        "imports": imports(rounds),
        "commands": commands(rounds),
        "doctor": doctor(1 if quick else 5),
        "memory": peaks(),
    }
    used = versions("prompt_toolkit", "torch", "transformers", "peft", "bitsandbytes") | installed("llm")
    return Measured(tables, versions=used)
