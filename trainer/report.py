"""What a run shows and leaves behind: a line of progress, `training.jsonl`, and `loss.png`."""

from __future__ import annotations

import json
import math
import sys
import time
from pathlib import Path
from typing import Any, TextIO

WINDOW = 20
"""Steps over which the shown loss and speed are averaged."""


class Progress:
    """Shows a run on `out` (stderr by default) and writes one row a step to training.jsonl.

    A resumed run goes on in the same file, without the rows that the checkpoint does not know.
    """

    def __init__(self, folder: Path, out: TextIO | None = None) -> None:
        self._path, self._out = folder / "training.jsonl", out or sys.stderr
        self._recent: list[tuple[float, int, float]] = []
        self._steps = self._drawn = 0

    def begin(self, step: int, steps: int) -> None:
        """Note where the run begins; forget rows of steps that will be made again."""
        self._steps = steps
        rows = [row for row in read_rows(self._path) if row["step"] <= step] if step else []
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text("".join(json.dumps(row) + "\n" for row in rows))

    def step(self, step: int, loss: float, rate: float, norm: float, tokens: int, seconds: float) -> None:
        """Record one optimizer step."""
        self._write(
            {
                "step": step,
                "loss": round(loss, 5),
                "lr": rate,
                "norm": round(norm, 4),
                "tokens": tokens,
                "seconds": round(seconds, 3),
            }
        )
        self._recent = [*self._recent[-WINDOW + 1 :], (loss, tokens, seconds)]
        self._draw(step)

    def evaluation(self, step: int, loss: float, better: bool) -> None:
        """Record an evaluation."""
        self._write({"step": step, "eval_loss": round(loss, 5), "time": round(time.time())})
        self.say(f"step {step}: held-out loss {loss:.4f}{', the best so far' if better else ''}")

    def say(self, line: str) -> None:
        """Show a line of its own."""
        self._clear()
        print(line, file=self._out, flush=True)

    def _write(self, row: dict[str, Any]) -> None:
        with self._path.open("a") as file:
            file.write(json.dumps(row) + "\n")

    def _draw(self, step: int) -> None:
        """Show loss, tokens a second and the time that is left: in place at a terminal, else rarely."""
        seconds = sum(s for _, _, s in self._recent)
        loss = sum(value for value, _, _ in self._recent) / len(self._recent)
        speed = sum(t for _, t, _ in self._recent) / max(seconds, 1e-9)
        left = (self._steps - step) * seconds / len(self._recent)
        line = (
            f"step {step}/{self._steps}  loss {loss:.3f}  {speed:,.0f} tokens/s  "
            f"{math.floor(left / 60)}:{left % 60:02.0f} left"
        )
        if self._out.isatty():
            self._clear()
            print(line, end="", file=self._out, flush=True)
            self._drawn = len(line)
        elif step % WINDOW == 0 or step == self._steps:
            print(line, file=self._out, flush=True)

    def _clear(self) -> None:
        if self._drawn:
            print("\r" + " " * self._drawn + "\r", end="", file=self._out)
            self._drawn = 0


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a training.jsonl; a last line cut short is left out."""
    rows = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows


def draw_losses(folder: Path) -> Path:
    """Draw training and held-out loss over the steps as loss.png."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    rows = read_rows(folder / "training.jsonl")
    train = [(row["step"], row["loss"]) for row in rows if "loss" in row]
    held = [(row["step"], row["eval_loss"]) for row in rows if "eval_loss" in row]
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    if train:
        axes.plot(*zip(*train, strict=True), color="0.75", linewidth=0.8, label="training")
        axes.plot(*zip(*_smooth(train), strict=True), color="C0", label=f"training, mean of {WINDOW}")
    if held:
        axes.plot(*zip(*held, strict=True), "o-", color="C1", label="held out")
    axes.set(xlabel="optimizer step", ylabel="loss over answer tokens (nats)")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(folder / "loss.png", dpi=110)
    plt.close(figure)
    return folder / "loss.png"


def _smooth(points: list[tuple[int, float]]) -> list[tuple[int, float]]:
    return [
        (points[i][0], sum(v for _, v in points[max(0, i - WINDOW + 1) : i + 1]) / min(i + 1, WINDOW))
        for i in range(len(points))
    ]
