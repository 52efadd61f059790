"""The training loop, against TRL, transformers.Trainer and a plain loop, on a CPU: speed, memory, and whether
the loss is right.

The embedded base in NF4, LoRA r=16 on all linear layers, 256 tokens, 8 dialogues a step, one pass over
the same dialogues with the same prompt and the same first adapter, at a constant rate:

- ours: `trainer.loop.train` with the shipped configuration, but for the size of a batch, the rate, and
  parts of 512 tokens instead of 2,048, which take less memory and hardly more time.
- TRL: SFTTrainer on prompt/completion messages. Set are max_length, learning_rate and its schedule
  (constant), one epoch, the LoRA, use_cpu, sequential sampling (so that its steps see the dialogues
  that ours see), a log every step, no saving and no bars. All else is its default: 8 dialogues a step
  padded to the longest, bfloat16, gradient checkpointing.
- TRL, packing: the same with packing, 4 rows of 256 tokens a step: some ten dialogues.
- transformers.Trainer: the model as `prepare_model_for_kbit_training` makes it, which turns gradient
  checkpointing on; batches padded to the longest, bfloat16.
- a plain loop: the same model, gradient checkpointing included, in a loop of ten lines, bfloat16 by autocast.
- float32: what the loss should be. Every weight dequantized to float32, peft's own forward pass, batches
  padded on the right. Slow and large; run once, for the first 10 steps.

Every run is a process of its own. Subjects take turns, so that a drift of the machine's speed hits
them alike; the first step is left out. A useful token is one that is not padding. TRL also learns the
newline after each answer, and is given credit for it. Peak memory is the largest resident set of the
whole process, loading included. TRL is installed by itself into a folder of its own: what it needs is
ours already, so that both sides compute with the same torch, transformers and bitsandbytes.

The floor is what no exact step can do without: every token through every frozen weight, forward and back,
and every answer token through the head, timed alone in the loop's own type and parts.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from suite.environments import HERE, NotInstalled, beside_ours, last_words, pinned, say
from suite.machine import versions
from suite.results import ROOT, Measured, Series, Table, Value
from suite.workers import scratch

DATA = Path(os.environ.get("DOCTOR_QA", ROOT.parent / "shared" / "data" / "doctor_qa_train.jsonl.gz"))
"""Dialogues with columns input and output; DOCTOR_QA names others."""
OURS, TRUTH = "ours", "fp32"
SUBJECTS = {
    OURS: "ours",
    "trl": "TRL",
    "trl-packing": "TRL, packing",
    "trainer": "transformers.Trainer",
    "plain": "a plain loop",
}
RATE = 2e-4


@dataclass(frozen=True)
class Result:
    """What one process did, step by step: the loss, the useful tokens, and when the step was over (s).

    loaded, peak: MiB of memory before the first step, and at most.
    """

    losses: list[float]
    tokens: list[int]
    times: list[float]
    loaded: float
    peak: float

    @property
    def speed(self) -> float:
        """Useful tokens a second, without the first step."""
        return sum(self.tokens[1:]) / (self.times[-1] - self.times[0])


def measure(quick: bool = False) -> Measured:
    """Measure all of it: some twenty minutes, quick some four."""
    if not DATA.exists():
        raise NotInstalled(
            f"{DATA} is not there; DOCTOR_QA names another file of JSON lines with texts `input` and `output`"
        )
    folder = Path(tempfile.mkdtemp(dir=scratch()))
    try:
        setup = {"data": str(DATA.resolve()), "steps": 3 if quick else 11, "rate": RATE}
        (folder / "setup.json").write_text(json.dumps(setup))
        say("; ".join(f"{value} {name}" for name, value in run("prepare", folder).items()))
        results, missing = runs(folder, 1 if quick else 3)
        tables = {"speed": speeds(results, missing), "losses": losses(results)}
        about = "A step of ours and its floor, then its work by kind, under the profiler, which slows it."
        tables["profile"] = Table("Where a step goes", "", about, run("profile", folder))
        points = {"a step of two dialogues": run("lengths", folder)}
    finally:
        shutil.rmtree(folder)
    series = {"length": Series("Training on longer dialogues", "tokens a dialogue", "seconds", "", points)}
    used = versions("torch", "transformers", "peft", "bitsandbytes", "accelerate")
    return Measured(tables, series, used | pinned("trl"))


def run(subject: str, folder: Path) -> Any:
    """Run one subject in a process of its own; return what it printed last. Raises NotInstalled."""
    path = [ROOT, beside_ours("trl")] if subject.startswith("trl") else [ROOT]
    variables = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, path)),
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
    }
    command = [sys.executable, str(HERE / "training_subjects.py"), subject, str(folder)]
    done = subprocess.run(command, env=variables, capture_output=True, text=True)
    if done.returncode:
        raise NotInstalled(last_words(done.stderr))
    return json.loads(done.stdout.splitlines()[-1])


def runs(folder: Path, rounds: int) -> tuple[dict[str, list[Result]], dict[str, str]]:
    """Run every subject in turn, `rounds` times, and float32 once; return results, and what failed."""
    results: dict[str, list[Result]] = {}
    missing: dict[str, str] = {}
    for subject in [*(name for _ in range(rounds) for name in SUBJECTS), TRUTH]:
        if subject in missing:
            continue
        try:
            result = Result(**run(subject, folder))
        except NotInstalled as error:
            missing[subject] = str(error)
            results.pop(subject, None)
            say(f"{subject} is left out: {error}")
            continue
        results.setdefault(subject, []).append(result)
        say(f"{subject}: {result.speed:.1f} tokens/s, {result.peak:.0f} MiB, loss {result.losses[-1]:.4f}")
    return results, missing


def speeds(results: Mapping[str, list[Result]], missing: Mapping[str, str]) -> Table:
    """Return medians, and the ratios (ours over theirs) of each round."""
    rows: dict[str, dict[str, Value]] = {}
    for subject, name in SUBJECTS.items():
        if subject not in results:
            continue
        ratios = [a.speed / b.speed for a, b in zip(results[OURS], results[subject], strict=True)]
        rows[name] = {
            "tokens/s": statistics.median(result.speed for result in results[subject]),
            "ours is faster by": statistics.median(ratios),
            "at least": min(ratios),
            "at most": max(ratios),
            "peak, MiB": max(result.peak for result in results[subject]),
            "before step 1, MiB": max(result.loaded for result in results[subject]),
        }
    about = "Useful tokens a second, padding not counted; ratios are of a pair of runs each."
    named = {SUBJECTS.get(subject, subject): why for subject, why in missing.items()}
    return Table("Speed and memory", "", about, rows, named, bars="tokens/s")


def losses(results: Mapping[str, list[Result]]) -> Table:
    """Return the loss of each step, and how far ours strays from float32's."""
    truth = results[TRUTH][0].losses
    rows: dict[str, dict[str, Value]] = {}
    strayed = 0.0
    for step, (mine, true) in enumerate(zip(results[OURS][0].losses, truth, strict=False), start=1):
        rows[f"step {step}"] = {"ours": mine, "float32": true, "difference": f"{mine - true:+.4f}"}
        strayed = max(strayed, abs(mine - true))
    rows["largest difference"] = {"difference": strayed}
    return Table("Loss, step by step", "", "Ours against float32 without any shortcut.", rows)
