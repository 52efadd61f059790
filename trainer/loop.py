"""The training loop, read top to bottom.

    load -> resume -> for each step: batch, loss, backward, clip, step -> evaluate -> save

One optimizer step sees `steps.batch` dialogues. Their losses are summed over answer tokens and divided
once by how many there are, so that splitting a batch into parts, or over processes, changes nothing
but rounding.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from fsmbot.doctor.prompt import Example
from fsmbot.errors import ConfigError
from trainer import checkpoint
from trainer.config import Config, to_dict
from trainer.data import Prepared
from trainer.heap import EVERY, give_back
from trainer.model import Learner
from trainer.optimizer import load_optimizer, make_optimizer, optimizer_tensors
from trainer.report import Reporter
from trainer.resume import Facts, refuse_changes
from trainer.schedule import Stream, batches_per_epoch, learning_rate, micro_batches
from trainer.stopping import memory_advice, stop_signal
from trainer.team import Team

MOST_SKIPPED = 50
"""Steps in a row that float16 may overflow while its scale is found."""


@dataclass
class Run:
    """Where a run stands: all that a checkpoint keeps besides the tensors.

    worse: evaluations since the best one. skipped: steps in a row that overflowed in float16.
    scaler: the state of float16's loss scale. config: as resolved; data: the digest of the examples;
    base: the revision of the base that was really loaded.
    """

    step: int = 0
    tokens: int = 0
    best: float = math.inf
    best_step: int = -1
    worse: int = 0
    skipped: int = 0
    scaler: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    data: str = ""
    base: str = ""

    @property
    def facts(self) -> Facts:
        """What must be the same for a run to be the same."""
        return Facts(self.config, self.data, self.base)


class Job:
    """What a run works with: configuration, model, data, optimizer, processes, and who reports."""

    def __init__(
        self, config: Config, learner: Learner, data: Prepared, reporter: Reporter, team: Team | None = None
    ) -> None:
        import torch

        self.config, self.learner, self.data, self.reporter = config, learner, data, reporter
        self.team = team or Team(learner.device.type)
        self.team.check(config.steps.batch)
        self.optimizer = make_optimizer(config, learner)
        self.scaler = torch.amp.GradScaler(  # float16 has too small a range for gradients as they are
            learner.device.type, enabled=learner.compute == torch.float16
        )
        self.steps = total_steps(config, data)
        self.checkpoints = Path(config.output) / "checkpoints"


def train(job: Job, *, resume: bool = False, allow: frozenset[str] = frozenset()) -> Run:
    """Train to the end, or to the first Ctrl-C; returns where the run stands.

    resume: go on from the last checkpoint. allow: what may have changed since, by name.
    Raises ConfigError for a run that cannot be resumed or has gone wrong (NaN, out of memory).
    """
    config, learner, team = job.config, job.learner, job.team
    run = restore(job, allow) if resume else fresh(job)
    stream = Stream(job.data.weights, config.steps.batch, config.seed)
    job.reporter.begin(run.step, job.steps)
    stopped = False
    with stop_signal() as stopping, memory_advice(config, lambda: run.step):
        while run.step < job.steps and not stopped and not out_of_patience(run, config):
            started = time.monotonic()
            batch = [job.data.train[index] for index in stream.batch(run.step)]
            rate = learning_rate(
                run.step, job.steps, config.optimizer.lr, config.optimizer.warmup, config.optimizer.final
            )
            loss = backward(job, batch)
            loss, stops = team.add_gradients(learner.parameters, loss, float(stopping.is_set()))
            norm = step(job, run, loss, rate)
            run.step += 1
            if run.step % EVERY == 0 and learner.device.type == "cpu":
                give_back()
            tokens = sum(len(example.ids) for example in batch)
            run.tokens += tokens
            job.reporter.step(run.step, loss, rate, norm, tokens, time.monotonic() - started)
            stopped = stops > 0  # all processes agree on the step after which they stop
            if due(run.step, config.steps.evaluate, job.steps) and job.data.eval:
                judge(job, run)
            last = stopped or out_of_patience(run, config)
            if last or due(run.step, config.steps.checkpoint, job.steps):
                keep(job, run)
    if run.step < job.steps and stopped:
        job.reporter.say(f"stopped after step {run.step} of {job.steps}; go on with --resume")
    return run


def total_steps(config: Config, data: Prepared) -> int:
    """Return how many optimizer steps the run takes."""
    if config.steps.steps:
        return config.steps.steps
    return max(1, math.ceil(config.steps.epochs * batches_per_epoch(data.weights, config.steps.batch)))


def fresh(job: Job) -> Run:
    """Return a run that has not begun."""
    return Run(config=to_dict(job.config), data=job.data.digest, base=job.learner.base.revision)


def backward(job: Job, batch: list[Example]) -> float:
    """Run this process's share of a batch forward and backward.

    Returns its part of the batch's mean loss over answer tokens, in nats.
    """
    answers = sum(sum(example.answer) for example in batch)  # of all processes
    total = 0.0
    for part in micro_batches(job.team.share(batch), job.config.steps.micro_tokens, job.learner.prefix):
        loss = job.learner.loss(part) / answers
        job.scaler.scale(loss).backward()
        total += float(loss.detach())
    return total


def step(job: Job, run: Run, loss: float, rate: float) -> float:
    """Clip the gradient and move the parameters; return the gradient's norm before clipping.

    Raises ConfigError when the numbers are none any more.
    """
    import torch

    for group in job.optimizer.param_groups:
        group["lr"] = rate
    job.scaler.unscale_(job.optimizer)
    norm = float(torch.nn.utils.clip_grad_norm_(job.learner.parameters, job.config.optimizer.clip))
    overflow = not math.isfinite(norm)
    run.skipped = run.skipped + 1 if overflow else 0
    if not math.isfinite(loss) or (overflow and not 0 < run.skipped < MOST_SKIPPED * job.scaler.is_enabled()):
        raise diverged(run.step, loss, norm, rate)
    job.scaler.step(job.optimizer)  # leaves the step out after an overflow
    job.scaler.update()
    job.optimizer.zero_grad(set_to_none=True)
    return norm


def evaluate(job: Job, examples: list[Example]) -> float:
    """Return the mean loss over answer tokens of held-out examples, in nats."""
    import torch

    sums = torch.tensor(
        summed_loss(job.learner, job.team.share(examples)), dtype=torch.float64, device=job.learner.device
    )
    loss, answers = job.team.total(sums).tolist()
    return float(loss / max(1.0, answers))


def summed_loss(learner: Learner, examples: list[Example]) -> tuple[float, float]:
    """Return the loss summed over answer tokens, and how many these are; nothing is learnt."""
    import torch

    loss = answers = 0.0
    # The model stays in training mode (there is no dropout): a forward pass in evaluation mode makes
    # bitsandbytes repack its weights on some CPUs, and training after it loses its gradients.
    with torch.no_grad():
        for part in micro_batches(examples, learner.config.steps.micro_tokens, learner.prefix):
            loss += float(learner.loss(part))
            answers += sum(sum(example.answer) for example in part)
    return loss, answers


def due(step: int, every: int, steps: int) -> bool:
    """Say whether something that happens every so many steps, and at the end, is due."""
    return step == steps or (every > 0 and step % every == 0)


def judge(job: Job, run: Run) -> None:
    """Evaluate, and keep the adapter if it is the best so far."""
    loss = evaluate(job, job.data.eval[: job.config.steps.eval_rows or None])
    better = loss < run.best
    job.reporter.evaluation(run.step, loss, better)
    run.worse = 0 if better else run.worse + 1
    if better:
        run.best, run.best_step = loss, run.step
        best = checkpoint.best_folder(job.checkpoints, run.best_step)
        job.team.main_writes(lambda: checkpoint.write_whole(best, job.learner.save_adapter))


def out_of_patience(run: Run, config: Config) -> bool:
    """Say whether the loss has not improved for too many evaluations."""
    return 0 < config.steps.patience <= run.worse


def keep(job: Job, run: Run) -> None:
    """Write a checkpoint: adapter, optimizer and random state, and where the run stands."""
    run.scaler = job.scaler.state_dict()
    job.team.main_writes(lambda: write(job, run))


def write(job: Job, run: Run) -> None:
    """Write the folder of a checkpoint, and remove old ones."""
    import torch

    tensors = {f"adapter.{name}": value for name, value in job.learner.state().items()}
    tensors |= {f"optimizer.{name}": value for name, value in optimizer_tensors(job.optimizer).items()}
    tensors["random"] = torch.get_rng_state()
    checkpoint.save(job.checkpoints, checkpoint.Checkpoint(tensors, vars(run)))
    checkpoint.tidy(job.checkpoints, job.config.steps.keep, run.best_step)


def restore(job: Job, allow: frozenset[str]) -> Run:
    """Go back to the last whole checkpoint, or to the beginning where there is none yet.

    Raises ConfigError if the run was another one, or if every checkpoint is damaged.
    """
    import torch

    path = checkpoint.latest(job.checkpoints, job.reporter.say)
    if path is None:
        job.reporter.say(f"{job.checkpoints}: no checkpoint yet; starting from the beginning")
        return fresh(job)
    saved = checkpoint.load(path)
    try:
        run, random = Run(**saved.facts), saved.tensors["random"]
        msgspec.convert(saved.facts, Run)  # whether each is of its kind
    except (TypeError, KeyError, msgspec.ValidationError) as error:
        raise ConfigError(f"{path} was written by another version of the trainer; train anew") from error
    now = fresh(job)
    refuse_changes(run.facts, now.facts, allow)
    run.config, run.data, run.base = now.config, now.data, now.base
    job.learner.load_state(_under("adapter.", saved.tensors))
    load_optimizer(job.optimizer, _under("optimizer.", saved.tensors))
    if run.scaler and job.scaler.is_enabled():  # it may have been bfloat16, on another card
        job.scaler.load_state_dict(run.scaler)
    torch.set_rng_state(random)
    if job.team.main:
        checkpoint.forget_after(job.checkpoints, run.step)
    job.reporter.say(f"resumed from {path}, after step {run.step}")
    return run


def _under(start: str, tensors: dict[str, Any]) -> dict[str, Any]:
    """Return the tensors whose names begin so, without that beginning."""
    return {name.removeprefix(start): t for name, t in tensors.items() if name.startswith(start)}


def diverged(step: int, loss: float, norm: float, rate: float) -> ConfigError:
    """Return what to say when the numbers are no numbers any more."""
    return ConfigError(
        f"step {step + 1}: the loss is {loss} and the gradient's norm {norm}; what was saved is "
        f"whole. Lower the learning rate (now {rate:.1e}) with --set optimizer.lr={rate / 2:.1e}, and go "
        "on with --resume --allow optimizer.lr"
    )
