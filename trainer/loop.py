"""The training loop, read top to bottom.

    load -> resume -> for each step: batch, loss, backward, clip, step -> evaluate -> save

One optimizer step sees `steps.batch` dialogues. Their losses are summed over answer tokens and divided
once by how many there are, so that splitting a batch into parts changes nothing but rounding.
"""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fsmbot.doctor.prompt import Example
from fsmbot.errors import ConfigError
from trainer import checkpoint
from trainer.config import Config, to_dict
from trainer.data import Prepared
from trainer.model import Learner
from trainer.report import Progress
from trainer.schedule import Stream, batches_per_epoch, learning_rate, micro_batches


@dataclass
class Run:
    """Where a run stands: all that a checkpoint keeps besides the tensors."""

    step: int = 0
    tokens: int = 0
    best: float = math.inf
    best_step: int = -1
    worse: int = 0
    config: dict[str, Any] = field(default_factory=dict)
    data: str = ""


def train(config: Config, learner: Learner, data: Prepared, progress: Progress, *, resume: bool) -> Run:
    """Train to the end, or to the first Ctrl-C; returns where the run stands.

    Raises ConfigError for a run that cannot be resumed or has gone wrong (NaN, out of memory).
    """
    import torch

    folder = Path(config.output) / "checkpoints"
    steps = total_steps(config, data)
    optimizer = make_optimizer(config, learner)
    run = Run(config=to_dict(config), data=data.digest)
    if resume:
        run = restore(folder, config, data, learner, optimizer, progress)
    stream = Stream(data.weights, config.steps.batch, config.seed)
    progress.begin(run.step, steps)
    with stop_signal() as stopping:
        while run.step < steps and not stopping.is_set() and not out_of_patience(run, config):
            started = time.monotonic()
            batch = [data.train[index] for index in stream.batch(run.step)]
            rate = learning_rate(
                run.step, steps, config.optimizer.lr, config.optimizer.warmup, config.optimizer.final
            )
            for group in optimizer.param_groups:
                group["lr"] = rate
            loss = backward(learner, batch, config)
            norm = float(torch.nn.utils.clip_grad_norm_(learner.parameters, config.optimizer.clip))
            if not (math.isfinite(loss) and math.isfinite(norm)):
                raise diverged(run.step, loss, norm, rate)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            run.step += 1
            tokens = sum(len(example.ids) for example in batch)
            run.tokens += tokens
            progress.step(run.step, loss, rate, norm, tokens, time.monotonic() - started)
            if due(run.step, config.steps.evaluate, steps) and data.eval:
                judge(run, learner, data.eval[: config.steps.eval_rows or None], config, progress)
            if due(run.step, config.steps.checkpoint, steps):
                keep(folder, run, learner, optimizer, config)
    if run.step < steps and stopping.is_set():
        keep(folder, run, learner, optimizer, config)
        progress.say(f"stopped after step {run.step} of {steps}; go on with --resume")
    return run


def total_steps(config: Config, data: Prepared) -> int:
    """Return how many optimizer steps the run takes."""
    if config.steps.steps:
        return config.steps.steps
    return max(1, math.ceil(config.steps.epochs * batches_per_epoch(data.weights, config.steps.batch)))


def make_optimizer(config: Config, learner: Learner) -> Any:
    """Return AdamW (Loshchilov and Hutter, https://arxiv.org/abs/1711.05101), paged in 8 bits if asked."""
    import torch

    settings: dict[str, Any] = {
        "lr": config.optimizer.lr,
        "betas": config.optimizer.betas,
        "weight_decay": config.optimizer.weight_decay,
    }
    if config.optimizer.name == "paged_adamw_8bit" and learner.device.type == "cuda":
        from bitsandbytes.optim.adamw import PagedAdamW8bit

        return PagedAdamW8bit(learner.parameters, **settings)  # type: ignore[no-untyped-call]
    return torch.optim.AdamW(learner.parameters, foreach=True, **settings)


def backward(learner: Learner, batch: list[Example], config: Config) -> float:
    """Run a batch forward and backward; return its mean loss over answer tokens, in nats."""
    answers = sum(sum(example.answer) for example in batch)
    total = 0.0
    for part in micro_batches(batch, config.steps.micro_tokens, learner.prefix):
        loss = learner.loss(part) / answers
        loss.backward()
        total += float(loss.detach())
    return total


def evaluate(learner: Learner, examples: list[Example], config: Config) -> float:
    """Return the mean loss over answer tokens of held-out examples, in nats."""
    import torch

    total, answers = 0.0, 0
    # The model stays in training mode (there is no dropout): a forward pass in evaluation mode makes
    # bitsandbytes repack its weights on some CPUs, and training after it loses its gradients.
    with torch.no_grad():
        for part in micro_batches(examples, config.steps.micro_tokens, learner.prefix):
            total += float(learner.loss(part))
            answers += sum(sum(example.answer) for example in part)
    return total / max(1, answers)


def due(step: int, every: int, steps: int) -> bool:
    """Say whether something that happens every so many steps, and at the end, is due."""
    return step == steps or (every > 0 and step % every == 0)


def judge(run: Run, learner: Learner, held: list[Example], config: Config, progress: Progress) -> None:
    """Evaluate, and keep the adapter if it is the best so far."""
    loss = evaluate(learner, held, config)
    better = loss < run.best
    progress.evaluation(run.step, loss, better)
    run.worse = 0 if better else run.worse + 1
    if better:
        run.best, run.best_step = loss, run.step
        checkpoint.write_whole(Path(config.output) / "best", learner.save_adapter)


def out_of_patience(run: Run, config: Config) -> bool:
    """Say whether the loss has not improved for too many evaluations."""
    return 0 < config.steps.patience <= run.worse


def keep(folder: Path, run: Run, learner: Learner, optimizer: Any, config: Config) -> None:
    """Write a checkpoint: adapter, optimizer and random state, and where the run stands."""
    import torch

    tensors = {f"adapter.{name}": value for name, value in learner.state().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{k}": torch.as_tensor(v) for k, v in state.items()}
    tensors["random"] = torch.get_rng_state()
    checkpoint.save(folder, checkpoint.Checkpoint(tensors, vars(run)))
    checkpoint.tidy(folder, config.steps.keep)


def restore(
    folder: Path, config: Config, data: Prepared, learner: Learner, optimizer: Any, progress: Progress
) -> Run:
    """Go back to the last whole checkpoint; raises ConfigError if the run was another one."""
    import torch

    path = checkpoint.latest(folder, progress.say)
    if path is None:
        raise ConfigError(f"{folder}: no whole checkpoint to resume from; start without --resume")
    saved = checkpoint.load(path)
    run = Run(**saved.facts)
    refuse_changes(run, config, data)
    learner.load_state(_under("adapter.", saved.tensors))
    states: dict[int, dict[str, Any]] = {}
    for name, value in _under("optimizer.", saved.tensors).items():
        index, _, key = name.partition(".")
        states.setdefault(int(index), {})[key] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": states})
    torch.set_rng_state(saved.tensors["random"])
    progress.say(f"resumed from {path}, after step {run.step}")
    return run


def _under(start: str, tensors: dict[str, Any]) -> dict[str, Any]:
    """Return the tensors whose names begin so, without that beginning."""
    return {name.removeprefix(start): t for name, t in tensors.items() if name.startswith(start)}


def refuse_changes(run: Run, config: Config, data: Prepared) -> None:
    """A resumed run must be the same run; raises ConfigError that names what changed."""
    now = to_dict(config)
    changed = [key for key in now if key != "output" and now[key] != run.config.get(key)]
    if changed:
        raise ConfigError(
            f"the configuration changed since the checkpoint in: {', '.join(changed)}; "
            "take the change back, or train anew without --resume"
        )
    if run.data != data.digest:
        raise ConfigError("the data changed since the checkpoint; bring the old files back, or train anew")


def diverged(step: int, loss: float, norm: float, rate: float) -> ConfigError:
    """Return what to say when the numbers are no numbers any more."""
    return ConfigError(
        f"step {step + 1}: the loss is {loss} and the gradient's norm {norm}; the last checkpoint is "
        f"whole. Lower the learning rate (now {rate:.1e}) with --set optimizer.lr={rate / 2:.1e}"
    )


@contextmanager
def stop_signal() -> Iterator[Any]:
    """Turn Ctrl-C and SIGTERM into a flag, so that the step is finished; a second Ctrl-C stops at once."""
    import threading

    flag = threading.Event()

    def stop(number: int, frame: Any) -> None:
        if flag.is_set():
            raise KeyboardInterrupt
        flag.set()

    before = {s: signal.signal(s, stop) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield flag
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
