"""The doctor's answers on a CPU: tokens a second, and milliseconds to the first token.

All subjects but the last have the same NF4 weights with the adapter on, and get the same ids: fsmbot's
stepper, as `LocalDoctor` answers; the plain loop, as where there is no stepper; `generate` of
transformers. llama.cpp has the base in Q4_1, the GGUF file that our base is made of, without the adapter;
it is built with every kernel for this CPU, and a header that mends what GCC 12 gets wrong about AMX.
Ours has read the prompt's beginning before, which is the same for every question (the table says how many
tokens), as it has in use; the others have no such thing in the calls that one would write.
Greedy, without penalties, past the end token, so that all say equally many tokens. Subjects take turns,
llama.cpp in its own process; a first round is left out. Speed is counted from the first token on.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from suite.environments import HERE, NotInstalled, beside_ours, pinned, say
from suite.machine import versions
from suite.results import Measured, Table, Value, ratio, spread

OURS, PLAIN, GENERATE = "fsmbot", "fsmbot, the plain loop", "transformers.generate"
LLAMA = "llama.cpp (Q4_1, no adapter)"
PROMPT, TOKENS, THREADS = 100, 64, 2
QUESTION = "I have had a sore throat for three days, and now my ears hurt too. What can I do about it? " * 40

Subject = Callable[[list[int], int], Iterator[int]]
"""Takes the prompt's ids and how many tokens to say; yields them as they come."""


def load(threads: int) -> tuple[dict[str, Subject], Any]:
    """Return the subjects that share our weights, and the prompt format."""
    import torch

    from fsmbot.doctor.adapter import with_adapter
    from fsmbot.doctor.artefact import SHIPPED, read_card
    from fsmbot.doctor.base import load_base
    from fsmbot.doctor.decode import Decoding, decode
    from fsmbot.doctor.prompt import Prompt
    from fsmbot.doctor.quiet import quiet
    from fsmbot.doctor.stepper import stepper_for

    torch.set_num_threads(threads)
    card = read_card(SHIPPED)
    base = load_base(card.base, card.revision, device="cpu")
    with quiet():
        model = with_adapter(base.model, SHIPPED)
    prompt = Prompt(base.tokenizer, card.system)
    stepper = stepper_for(model, prompt.prefix)
    greedy = Decoding(repetition_penalty=1.0, no_repeat_ngram=0)
    ours = stepper or model  # a CPU without AVX-512 and bfloat16 has the plain loop alone
    return {
        OURS: lambda ids, count: decode(ours, ids, (), count, greedy),
        PLAIN: lambda ids, count: decode(model, ids, (), count, greedy),
        GENERATE: lambda ids, count: generated(model, ids, count),
    }, prompt


def generated(model: Any, ids: list[int], count: int) -> Iterator[int]:
    """Yield what `generate` says, each token with the time when it came."""
    import torch

    class Times:
        """A streamer that only looks at the clock; the prompt comes first."""

        def __init__(self) -> None:
            self.said: list[float] = []

        def put(self, _: Any) -> None:
            self.said.append(time.perf_counter())

        def end(self) -> None:
            """Nothing is left to be said."""

    times = Times()
    out = model.generate(
        input_ids=torch.tensor([ids]), attention_mask=torch.ones(1, len(ids)), streamer=times,
        max_new_tokens=count, do_sample=False, eos_token_id=None, repetition_penalty=1.0,
    )  # fmt: skip
    for token, at in zip(out[0, len(ids) :].tolist(), times.said[1:], strict=True):
        yield Timed(token, at)


class Timed(int):
    """A token that knows when it came."""

    at: float

    def __new__(cls, token: int, at: float) -> Timed:
        """Make one."""
        timed = super().__new__(cls, token)
        timed.at = at
        return timed


@contextmanager
def llama(threads: int) -> Iterator[Subject]:
    """Give llama.cpp with the base; raises NotInstalled, also where what was built crashes.

    It sets a thread's AMX tiles once, and PyTorch sets others in the same threads: hence its own process.
    """
    peers = str(beside_ours("llama-cpp"))
    from fsmbot.doctor.weights import wheel_file

    with tempfile.TemporaryDirectory() as folder:
        script, file = str(HERE / "peers" / "llama.py"), str(wheel_file(Path(folder)))
        with subprocess.Popen(
            [sys.executable, script, peers, file, str(threads)], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        ) as process:  # fmt: skip
            speak = partial(spoken, process)
            list(speak([1, 2, 3], 1))
            yield speak


def spoken(process: subprocess.Popen[str], ids: list[int], count: int) -> Iterator[int]:
    """Yield what a process says, each token with the time when it came, on the clock that all share."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps([ids, count]) + "\n")
    process.stdin.flush()
    line = process.stdout.readline()
    if not line:
        raise NotInstalled(f"it ends with {process.wait()} at its first token here")
    for token, at in json.loads(line):
        yield Timed(token, at)


def timed(subject: Subject, ids: list[int], count: int) -> dict[str, float]:
    """Let a subject answer; return ms to the first token, ms a token after it, and how many tokens."""
    start = time.perf_counter()
    said = [getattr(token, "at", time.perf_counter()) for token in subject(ids, count)]
    return {"first": (said[0] - start) * 1000, "token": (said[-1] - said[0]) / (len(said) - 1) * 1000}


def take_turns(
    subjects: dict[str, Subject], ids: list[int], rounds: int
) -> dict[str, list[dict[str, float]]]:
    """Let all subjects answer in rounds; return what each took, round by round."""
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in subjects}
    for _ in range(rounds):
        for name, subject in subjects.items():
            runs[name].append(timed(subject, ids, TOKENS))
    return runs


def measure(quick: bool = False) -> Measured:
    """Let all subjects answer in turn: some three minutes, quick one."""
    subjects, prompt = load(THREADS)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    ids = prompt.question(QUESTION, budget=PROMPT)
    missing: dict[str, str] = {}
    with ExitStack() as running:
        try:
            subjects[LLAMA] = running.enter_context(llama(THREADS))
        except NotInstalled as error:
            say(f"{LLAMA} is left out: {error}")
            missing[LLAMA] = str(error)
        runs = take_turns(subjects, ids, (2 if quick else 15) + 1)
    rows = {name: row(own[1:], runs[OURS][1:]) for name, own in runs.items()}
    about = (
        f"{len(ids)} tokens of prompt, of which ours has computed {len(prompt.prefix)} before; "
        f"{TOKENS} of answer, {THREADS} threads."
    )
    tables = {
        "speed": Table("An answer", "ms a token", about, rows, missing, bars="tokens/s"),
        "memory": Table("Memory", "MiB", "At its most, once all of ours is loaded.", {OURS: {"peak": peak}}),
    }
    used = versions("torch", "transformers", "peft", "bitsandbytes")
    return Measured(tables, versions=used | ({} if missing else pinned("llama-cpp")))


def row(own: list[dict[str, float]], ours: list[dict[str, float]]) -> dict[str, Value]:
    """Return the figures of one subject beside ours."""
    steps, mine = [run["token"] for run in own], [run["token"] for run in ours]
    return {
        **spread(steps),
        "tokens/s": 1000 / statistics.median(steps),
        "first token, ms": statistics.median(run["first"] for run in own),
        "/ ours": ratio(steps, mine),
    }
