"""The training loop against TRL, on a CPU: speed, memory, and whether the loss is right.

    python bench/training.py [--rounds 3] [--steps 11] [--peers FOLDER] [--data FILE] [--out FILE.json]

The embedded base in NF4, LoRA r=16 on all linear layers, 256 tokens, 8 dialogues a step, one pass over
the same dialogues with the same prompt and the same first adapter, at a constant rate:

- ours: `trainer.loop.train` with the shipped configuration, but for the size of a batch, the rate, and
  parts of 512 tokens instead of 2,048, which take less memory and hardly more time.
- trl: SFTTrainer on prompt/completion messages. Set are max_length, learning_rate and its schedule
  (constant), one epoch, the LoRA, use_cpu, sequential sampling (so that its steps see the dialogues
  that ours see), a log every step, no saving and no bars. All else is its default: 8 dialogues a step
  padded to the longest, bfloat16, gradient checkpointing.
- trl-packing: the same with packing, 4 rows of 256 tokens a step: some ten dialogues.
- fp32: what the loss should be. Every weight dequantized to float32, peft's own forward pass, batches
  padded on the right. Slow and large; run once, for the first 10 steps.

Every run is a process of its own. Subjects take turns, so that a drift of the machine's speed hits
them alike; the first step is left out. A useful token is one that is not padding. TRL also learns the
newline after each answer, and is given credit for it. Peak memory is the largest resident set of the
whole process, loading included.

TRL is pinned in bench/peers.txt and installed by pip into a folder of its own, without what it needs:
that is ours already, so that both sides compute with the same torch, transformers and bitsandbytes.
About 12 minutes on two quiet cores. `python bench/training_subjects.py` runs one subject.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
DATA = HERE.parent.parent / "shared" / "data" / "doctor_qa_train.jsonl.gz"
PEERS = HERE.parent / "runs" / "bench-peers"
SUBJECTS = {"ours": 1.0, "trl": 3.0, "trl-packing": 2.0}
"""What takes turns, and how many times faster than it ours must be."""
LARGEST_DIFFERENCE = 0.01


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


def install_peers(folder: Path) -> None:
    """Install what bench/peers.txt pins into the folder, unless it is there already."""
    wanted, stamp = HERE / "peers.txt", folder / "installed.txt"
    if stamp.exists() and stamp.read_text() == wanted.read_text():
        return
    say(f"installing {wanted.read_text().strip()} into {folder}")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--no-deps", "--upgrade", "--target", folder, "-r", wanted], check=True)
    stamp.write_text(wanted.read_text())


def run(subject: str, folder: Path, peers: Path) -> dict[str, Any]:
    """Run one subject in a process of its own; return what it printed last, or exit with its error."""
    path = [HERE.parent, peers] if subject.startswith("trl") else [HERE.parent]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(str(folder.resolve()) for folder in path),
        "TOKENIZERS_PARALLELISM": "false",
    }
    command = [sys.executable, str(HERE / "training_subjects.py"), subject, str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{subject} failed:\n{done.stderr}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def measure(folder: Path, arguments: argparse.Namespace) -> dict[str, list[Result]]:
    """Run every subject in turn, `rounds` times, and float32 once."""
    setup = {"data": str(arguments.data.resolve()), "steps": arguments.steps, "rate": arguments.rate}
    (folder / "setup.json").write_text(json.dumps(setup))
    facts = run("prepare", folder, arguments.peers)
    say("; ".join(f"{value} {name}" for name, value in facts.items()))
    order = [subject for _ in range(arguments.rounds) for subject in SUBJECTS]
    results: dict[str, list[Result]] = {}
    for subject in [*order, "fp32"]:
        result = Result(**run(subject, folder, arguments.peers))
        results.setdefault(subject, []).append(result)
        say(f"{subject}: {result.speed:.1f} tokens/s, {result.peak:.0f} MiB, loss {result.losses[-1]:.4f}")
    return results


def summarize(results: dict[str, list[Result]]) -> dict[str, Any]:
    """Return medians, ratios (ours over theirs, round by round) and the differences of the losses."""
    ours = results["ours"]
    subjects = {}
    for name, needed in SUBJECTS.items():
        ratios = [mine.speed / its.speed for mine, its in zip(ours, results[name], strict=True)]
        subjects[name] = {
            "tokens_per_second": statistics.median(result.speed for result in results[name]),
            "peak_mib": max(result.peak for result in results[name]),
            "loaded_mib": max(result.loaded for result in results[name]),
            "ratio": statistics.median(ratios),
            "ratio_range": [min(ratios), max(ratios)],
            "ratio_needed": needed,
        }
    truth = results["fp32"][0].losses
    losses = [row[: len(truth)] for row in (ours[0].losses, truth)]
    return {"subjects": subjects, "losses": [{"ours": a, "fp32": b} for a, b in zip(*losses, strict=True)]}


def table(summary: dict[str, Any]) -> str:
    """Return the summary as two tables of Markdown, and the verdicts."""
    lines = [
        "| | useful tokens/s | ours is faster by | peak MiB | before step 1 |",
        "| --- |" + " ---: |" * 4,
    ]
    for name, row in summary["subjects"].items():
        low, high = row["ratio_range"]
        lines.append(
            f"| {name} | {row['tokens_per_second']:.0f} | {row['ratio']:.2f} ({low:.2f}-{high:.2f}) "
            f"| {row['peak_mib']:.0f} | {row['loaded_mib']:.0f} |"
        )
    lines += ["", "| step | loss, ours | loss, fp32 | difference |", "| ---: |" + " ---: |" * 3]
    for step, loss in enumerate(summary["losses"], start=1):
        ours, truth = loss["ours"], loss["fp32"]
        lines.append(f"| {step} | {ours:.4f} | {truth:.4f} | {ours - truth:+.4f} |")
    lines.append("")
    return "\n".join([*lines, *verdicts(summary)])


def verdicts(summary: dict[str, Any]) -> list[str]:
    """Say of each thing that must hold whether it did."""
    (_, ours), *peers = summary["subjects"].items()
    worst = max(abs(loss["ours"] - loss["fp32"]) for loss in summary["losses"])
    lines = [verdict(worst <= LARGEST_DIFFERENCE, f"loss off by {worst:.4f}, at most {LARGEST_DIFFERENCE}")]
    for name, row in peers:
        ratio, needed = row["ratio"], row["ratio_needed"]
        lines.append(verdict(ratio >= needed, f"{ratio:.2f} times as fast as {name}, at least {needed:g}"))
        mine, its = ours["peak_mib"], row["peak_mib"]
        lines.append(verdict(mine <= its, f"peak of {mine:.0f} MiB, at most {name}'s {its:.0f}"))
    return lines


def verdict(met: bool, text: str) -> str:
    """Return one line."""
    return f"{'met   ' if met else 'MISSED'}: {text}"


def say(line: str) -> None:
    """Show progress."""
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)


def main() -> None:
    """Measure, print the tables, and write the raw figures if asked."""
    parser = argparse.ArgumentParser(description="The training loop against TRL.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=11, help="of 8 dialogues; the first is left out")
    parser.add_argument("--rate", type=float, default=2e-4, help="the learning rate, constant")
    parser.add_argument("--data", type=Path, default=DATA, help="dialogues with columns input and output")
    parser.add_argument("--peers", type=Path, default=PEERS, help="where TRL is installed")
    parser.add_argument("--out", type=Path, help="write all figures there as JSON")
    arguments = parser.parse_args()
    install_peers(arguments.peers)
    with tempfile.TemporaryDirectory() as folder:
        results = measure(Path(folder), arguments)
    summary = summarize(results)
    print(table(summary))
    if arguments.out:
        packages = ("torch", "transformers", "peft", "bitsandbytes", "accelerate")
        versions = {name: version(name) for name in packages}
        versions["peers"] = (HERE / "peers.txt").read_text().strip()
        runs = {name: [asdict(result) for result in of_it] for name, of_it in results.items()}
        arguments.out.write_text(json.dumps({**summary, "versions": versions, "runs": runs}, indent=2) + "\n")


if __name__ == "__main__":
    main()
