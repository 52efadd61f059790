"""What a run shows and leaves behind: a line of progress, `training.jsonl`, and `loss.png`."""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol, TextIO

from fsmbot.errors import MissingExtra
from fsmbot.text import safe
from trainer.checkpoint import unwritable
from trainer.picture import drawing

BAR = "step {n_fmt}/{total_fmt} |{bar}| {postfix}"

LOSSES = "loss.png"
WINDOW = 20
"""Steps over which the shown loss and speed are averaged."""


class Reporter(Protocol):
    """Who is told of a run; steps count from 1, losses are in nats an answer token."""

    def begin(self, step: int, steps: int) -> None:
        """The run goes on after `step` of `steps`."""

    def step(self, step: int, loss: float, rate: float, norm: float, tokens: int, seconds: float) -> None:
        """One optimizer step was made."""

    def evaluation(self, step: int, loss: float, better: bool) -> None:
        """The held-out loss was measured."""

    def say(self, line: str) -> None:
        """Something else is worth a line."""

    def close(self) -> None:
        """Nothing more will come."""


class Silent:
    """Reports nothing: for all processes but the main one."""

    def begin(self, step: int, steps: int) -> None: ...
    def step(self, step: int, loss: float, rate: float, norm: float, tokens: int, seconds: float) -> None: ...
    def evaluation(self, step: int, loss: float, better: bool) -> None: ...
    def say(self, line: str) -> None: ...
    def close(self) -> None: ...


class Progress:
    """Shows a run on `out` (stderr by default) and writes one row a step to training.jsonl.

    A resumed run goes on in the same file, without the rows that the checkpoint does not know.
    tensorboard: also write events into the folder `tensorboard`. Raises ConfigError when the disk is full.
    """

    def __init__(self, folder: Path, out: TextIO | None = None, *, tensorboard: bool = False) -> None:
        self._path, self._out = folder / "training.jsonl", out or sys.stderr
        self._recent: list[tuple[float, int, float]] = []
        self._steps = 0
        self._bar: Any = None
        with self._writing():
            self._board = _summary_writer(folder / "tensorboard") if tensorboard else None

    def begin(self, step: int, steps: int) -> None:
        """Note where the run begins; forget rows of steps that will be made again."""
        from tqdm import tqdm

        self._steps = steps
        with self._writing():
            rows = [row for row in read_rows(self._path) if row["step"] <= step] if step else []
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_rows(self._path, rows)
        if self._out.isatty():
            self._bar = tqdm(total=steps, initial=step, file=self._out, bar_format=BAR, dynamic_ncols=True)

    def step(self, step: int, loss: float, rate: float, norm: float, tokens: int, seconds: float) -> None:
        """Record one optimizer step."""
        row = {
            "step": step,
            "loss": round(loss, 5),
            "lr": rate,
            "norm": round(norm, 4) if math.isfinite(norm) else None,  # float16 overflowed
            "tokens": tokens,
            "seconds": round(seconds, 3),
        }
        self._write(row)
        self._plot(step, loss=loss, lr=rate, norm=norm, tokens_per_second=tokens / max(seconds, 1e-9))
        self._recent = [*self._recent[-WINDOW + 1 :], (loss, tokens, seconds)]
        self._show(step)

    def evaluation(self, step: int, loss: float, better: bool) -> None:
        """Record an evaluation."""
        self._write({"step": step, "eval_loss": round(loss, 5), "time": round(time.time())})
        self._plot(step, eval_loss=loss)
        self.say(f"step {step}: held-out loss {loss:.4f}{', the best so far' if better else ''}")

    def say(self, line: str) -> None:
        """Show a line of its own."""
        if self._bar is not None:
            self._bar.clear()
        print(safe(line), file=self._out, flush=True)

    def _write(self, row: dict[str, Any]) -> None:
        with self._writing(), self._path.open("a") as file:
            file.write(json.dumps(row) + "\n")

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise unwritable(self._path, error) from error

    def _plot(self, step: int, **values: float) -> None:
        """Pass values on to TensorBoard, if it was asked for."""
        for name, value in values.items():
            if self._board is not None:
                self._board.add_scalar(name, value, step)

    def _show(self, step: int) -> None:
        """Show loss, speed and the time that is left: a bar at a terminal, else a line now and then."""
        seconds = sum(s for _, _, s in self._recent)
        loss = sum(value for value, _, _ in self._recent) / len(self._recent)
        speed = sum(t for _, t, _ in self._recent) / max(seconds, 1e-9)
        left = timedelta(seconds=round((self._steps - step) * seconds / len(self._recent)))
        text = f"loss {loss:.3f}  {speed:,.0f} tokens/s  {left} left"
        if self._bar is not None:
            self._bar.set_postfix_str(text, refresh=False)
            self._bar.update(step - self._bar.n)
        elif step % WINDOW == 0 or step == self._steps:
            print(f"step {step}/{self._steps}  {text}", file=self._out, flush=True)

    def close(self) -> None:
        """Leave the terminal in order, and all events written."""
        if self._bar is not None:
            self._bar.close()
        if self._board is not None:
            self._board.close()


def _summary_writer(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise MissingExtra("tensorboard", "train", "--tensorboard") from None
    return SummaryWriter(str(folder))


def write_rows(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Replace a training.jsonl; killed at any instant, the old one or the new one is there."""
    fresh = path.with_name(f".{path.name}.tmp")
    with fresh.open("w") as file:
        file.write("".join(json.dumps(row) + "\n" for row in rows))
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


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
    rows = read_rows(folder / "training.jsonl")
    train = [(row["step"], row["loss"]) for row in rows if "loss" in row]
    held = [(row["step"], row["eval_loss"]) for row in rows if "eval_loss" in row]
    with drawing(folder / LOSSES) as axes:
        if train:
            axes.plot(*zip(*train, strict=True), color="0.75", linewidth=0.8, label="training")
            axes.plot(*zip(*_smooth(train), strict=True), color="C0", label=f"training, mean of {WINDOW}")
        if held:
            axes.plot(*zip(*held, strict=True), "o-", color="C1", label="held out")
        axes.set(xlabel="optimizer step", ylabel="loss over answer tokens (nats)")
        axes.grid(alpha=0.3)
        if train or held:
            axes.legend()
    return folder / LOSSES


def _smooth(points: list[tuple[int, float]]) -> list[tuple[int, float]]:
    return [
        (points[i][0], sum(v for _, v in points[max(0, i - WINDOW + 1) : i + 1]) / min(i + 1, WINDOW))
        for i in range(len(points))
    ]
