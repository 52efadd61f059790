"""How fast the shipped doctor answers on a CPU: tokens a second, and milliseconds to the first token.

    python bench/answering.py [--rounds 7] [--tokens 64] [--prompt 100] [--threads 2]
                              [--peers FOLDER] [--gguf FILE] [--out FILE.json]

All subjects but the last have the same NF4 weights with the adapter on, and get the same ids:

- fsmbot: `decode` with the stepper, as `LocalDoctor` answers.
- plain loop: `decode` with the model of transformers, as where there is no stepper.
- transformers.generate: the same model.
- llama.cpp: the base in Q4_1, the GGUF file that the base is made of, without the adapter. Its Python
  package is looked for in --peers too; the file is fetched from the package index where --gguf names none.

Greedy, without penalties, past the end token, so that all say equally many tokens. One process; subjects
take turns, so that a drift of the machine's speed hits them alike; a first round is left out. Speed is
counted from the first token on. The ratio is that of a round's fsmbot to its peer, in the median.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

OURS, LLAMA = "fsmbot", "llama.cpp (Q4_1, no adapter)"
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
    if stepper is None:
        sys.exit("this CPU has no fast step (AVX-512 with bfloat16 is needed): there is nothing to compare")
    greedy = Decoding(repetition_penalty=1.0, no_repeat_ngram=0)
    return {
        OURS: lambda ids, count: decode(stepper, ids, (), count, greedy),
        "plain loop": lambda ids, count: decode(model, ids, (), count, greedy),
        "transformers.generate": lambda ids, count: generated(model, ids, count),
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


def llama(threads: int, peers: Path | None, gguf: Path | None) -> Subject | None:
    """Return llama.cpp with the base, or None where its Python package is not installed."""
    if peers is not None:
        sys.path.append(str(peers))
    try:
        from llama_cpp import Llama
    except ImportError:
        return None
    with tempfile.TemporaryDirectory() as folder:
        from fsmbot.doctor.weights import wheel_file

        file = gguf or wheel_file(Path(folder))
        model = Llama(str(file), n_ctx=2048, n_threads=threads, n_threads_batch=threads, verbose=False)

    def say(ids: list[int], count: int) -> Iterator[int]:
        model.reset()
        tokens = model.generate(ids, temp=0.0, repeat_penalty=1.0)
        for _ in range(count):
            yield next(tokens)

    return say


def timed(subject: Subject, ids: list[int], count: int) -> dict[str, Any]:
    """Let a subject answer; return ms to the first token, tokens a second after it, and the ids."""
    start = time.perf_counter()
    said = [(token, getattr(token, "at", time.perf_counter())) for token in subject(ids, count)]
    first, last = said[0][1], said[-1][1]
    speed = (len(said) - 1) / (last - first)
    return {"first_ms": (first - start) * 1000, "speed": speed, "ids": [int(token) for token, _ in said]}


def measure(
    rounds: int = 7,
    tokens: int = 64,
    prompt_tokens: int = 100,
    threads: int = 2,
    peers: Path | None = None,
    gguf: Path | None = None,
) -> dict[str, Any]:
    """Let all subjects answer in turn; return medians, ratios and raw figures, as JSON holds them."""
    subjects, prompt = load(threads)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    other = llama(threads, peers, gguf)
    if other is not None:
        subjects[LLAMA] = other
    ids = prompt.question(QUESTION, budget=prompt_tokens)
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in subjects}
    for _ in range(rounds + 1):
        for name, subject in subjects.items():
            runs[name].append(timed(subject, ids, tokens))
    runs = {name: of_it[1:] for name, of_it in runs.items()}
    setup = {"prompt_tokens": len(ids), "tokens": tokens, "threads": threads, "rounds": rounds}
    return {**setup, "peak_mib": peak, "subjects": {n: summary(runs[n], runs[OURS]) for n in runs}}


def summary(runs: list[dict[str, Any]], ours: list[dict[str, Any]]) -> dict[str, Any]:
    """Return medians of one subject, how many times faster ours is, and how far its text is ours."""
    ratios = [mine["speed"] / its["speed"] for mine, its in zip(ours, runs, strict=True)]
    pairs = zip(ours[0]["ids"], runs[0]["ids"], strict=True)
    return {
        "speed": statistics.median(run["speed"] for run in runs),
        "first_ms": statistics.median(run["first_ms"] for run in runs),
        "ratio": statistics.median(ratios),
        "ratio_range": [min(ratios), max(ratios)],
        "same_tokens": next((i for i, (a, b) in enumerate(pairs) if a != b), len(runs[0]["ids"])),
    }


def table(found: dict[str, Any]) -> str:
    """Return the figures as a table of Markdown."""
    lines = [
        f"{found['prompt_tokens']} tokens of prompt, {found['tokens']} of answer, {found['threads']} threads,"
        f" {found['rounds']} rounds; {found['peak_mib']:.0f} MiB at most until all of ours is loaded",
        "",
        "| | tokens/s | ms to the first token | fsmbot is faster by | as fsmbot until |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name, row in found["subjects"].items():
        low, high = row["ratio_range"]
        ratio = f"{row['ratio']:.2f} ({low:.2f}-{high:.2f})"
        lines.append(
            f"| {name} | {row['speed']:.1f} | {row['first_ms']:.0f} | {ratio} | {row['same_tokens']} |"
        )
    if LLAMA not in found["subjects"]:
        lines.append(f"| {LLAMA} | not installed | | | |")
    return "\n".join(lines)


def main() -> None:
    """Measure, print the table, and write the figures if asked."""
    parser = argparse.ArgumentParser(description="How fast the shipped doctor answers.")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--tokens", type=int, default=64, help="of each answer")
    parser.add_argument("--prompt", type=int, default=100, help="tokens of the prompt")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--peers", type=Path, help="a folder where llama_cpp is installed")
    parser.add_argument("--gguf", type=Path, help="the base as a GGUF file")
    parser.add_argument("--out", type=Path, help="write all figures there as JSON")
    asked = parser.parse_args()
    found = measure(asked.rounds, asked.tokens, asked.prompt, asked.threads, asked.peers, asked.gguf)
    print(table(found))
    if asked.out:
        asked.out.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
