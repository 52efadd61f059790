"""`python -m trainer train`: a configuration in, a doctor out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fsmbot.doctor.adapter import ADAPTER
from fsmbot.doctor.artefact import Card, write_card
from fsmbot.doctor.prompt import VERSION, Prompt
from fsmbot.errors import ConfigError
from trainer.checkpoint import best_folder, is_whole, steps, unwritable
from trainer.config import Config, to_dict
from trainer.config_file import load_config
from trainer.data import Prepared, prepare
from trainer.facts import README, RUN, write_run
from trainer.loop import Job, Run, out_of_patience, total_steps, train
from trainer.model import Learner, load_learner, load_tokenizer, read_adapter
from trainer.needs import require
from trainer.optimizer import optimizer_name
from trainer.preview import render
from trainer.report import LOSSES, Progress, Silent, draw_losses
from trainer.schedule import Stream
from trainer.team import Team
from trainer.terminal import say


@dataclass(frozen=True)
class Options:
    """How a run is started.

    resume: go on from the last checkpoint; allow: what may have changed since, by name.
    dry_run: read and check configuration, base and data, show the report, train nothing.
    tensorboard: write events too.
    """

    resume: bool = False
    allow: frozenset[str] = frozenset()
    dry_run: bool = False
    tensorboard: bool = False


def run_training(path: Path, overrides: Sequence[str] = (), options: Options | None = None) -> Path:
    """Train as a configuration says; returns the artefact folder. Raises ConfigError."""
    options = options or Options()
    require("matplotlib", "loss.png")
    config = load_config(path, overrides)
    output = Path(config.output)
    if not options.dry_run:
        refuse_overwriting(output, options)
    team = Team()
    with team.main_first():
        learner = load_learner(config, device=team.device)
        data = prepare(config, learner.prompt)
    if team.main:
        say_plan(config, learner, data)
    if not options.dry_run:
        with alone(output, team):
            _train(config, learner, data, team, options)
    team.close()
    return output


def refuse_overwriting(output: Path, options: Options) -> None:
    """Refuse to train over what another run left; raises ConfigError."""
    strangers = [name for name in (README, LOSSES) if (output / name).exists()]
    if strangers and not (output / RUN).exists():
        raise ConfigError(
            f"{output / strangers[0]} is no run's, and would be overwritten; name another folder with "
            "--set output=FOLDER"
        )
    begun = bool(steps(output / "checkpoints"))
    if begun and not options.resume:
        raise ConfigError(
            f"{output} holds checkpoints of a run; go on with --resume, or name another folder with "
            "--set output=FOLDER"
        )
    if not begun and (output / ADAPTER).exists():
        raise ConfigError(
            f"{output} holds a finished doctor without its checkpoints; name another folder with "
            "--set output=FOLDER"
        )
    if options.allow and not options.resume:
        raise ConfigError("--allow says what may have changed since a checkpoint; give it with --resume")


@contextmanager
def alone(output: Path, team: Team) -> Iterator[None]:
    """Keep other runs out of the folder; raises ConfigError if one is at work there, or it cannot be made."""
    from filelock import FileLock, Timeout

    if not team.main:
        yield
        return
    try:
        (output / "checkpoints").mkdir(parents=True, exist_ok=True)
        lock = FileLock(output / "checkpoints" / ".lock", timeout=0)
        lock.acquire()
    except Timeout:
        raise ConfigError(f"another run is writing into {output}; wait for it, or stop it") from None
    except OSError as error:
        raise unwritable(output, error) from error
    try:
        yield
    finally:
        lock.release()


def _train(config: Config, learner: Learner, data: Prepared, team: Team, options: Options) -> None:
    """Run the loop; the main process reports, and writes the artefact at the end."""
    reporter: Progress | Silent = Silent()
    if team.main:
        reporter = Progress(Path(config.output), tensorboard=options.tensorboard)
    try:
        job = Job(config, learner, data, reporter, team)
        run = train(job, resume=options.resume, allow=options.allow)
    finally:
        reporter.close()
    if team.main and (run.step >= job.steps or out_of_patience(run, config)):
        finish(job, run)


def say_plan(config: Config, learner: Learner, data: Prepared) -> None:
    """Show what is about to happen."""
    lines = [report.line() for report in data.reports]
    trained = sum(p.numel() for p in learner.parameters)
    lines.append(
        f"{total_steps(config, data):,} steps of {config.steps.batch} dialogues on {learner.device}, "
        f"{trained:,} trained parameters, {learner.prefix} tokens shared by every prompt"
    )
    if optimizer_name(config, learner) != config.optimizer.name:
        lines.append(f"{config.optimizer.name} needs a GPU; plain adamw takes its place")
    say("\n".join(lines))


def finish(job: Job, run: Run) -> None:
    """Write the artefact of the best adapter, or of the last without evaluations; raises ConfigError."""
    from safetensors import SafetensorError

    best = best_folder(job.checkpoints, run.best_step)
    chosen = is_whole(best)
    if chosen:
        job.learner.load_state(read_adapter(best))
    elif run.best_step > 0:
        job.reporter.say(f"{best} is missing or damaged; the adapter of the last step is taken instead")
    output = Path(job.config.output)
    try:
        write_artefact(output, job, run, chosen=chosen)
    except (OSError, SafetensorError) as error:
        raise unwritable(output, error) from error
    held = f", the best at step {run.best_step} with held-out loss {run.best:.4f}" if chosen else ""
    job.reporter.say(f"wrote {output} after {run.step} steps and {run.tokens:,} tokens{held}")


def write_artefact(output: Path, job: Job, run: Run, *, chosen: bool) -> None:
    """Write the learner's adapter and what explains it; chosen: it is that of the best step."""
    config, learner = job.config, job.learner
    learner.save_adapter(output, config.lora.saved_as)
    card = Card(
        base=learner.base.id,
        revision=learner.base.revision,
        prompt_format=learner.prompt.format,
        prompt_version=VERSION,
        system=config.data.system,
        decoding=config.decoding,
    )
    write_card(output, card)
    write_run(
        output,
        config=to_dict(config),
        optimizer=optimizer_name(config, learner),
        steps=run.step,
        tokens=run.tokens,
        best_step=run.best_step if chosen else -1,
        best_loss=run.best if chosen else None,
        data=[report.line() for report in job.data.reports],
        parameters=sum(p.numel() for p in learner.parameters),
    )
    draw_losses(output)


def preview(path: Path, overrides: Sequence[str] = (), *, rows: int = 3, color: bool = False) -> None:
    """Show the report of the data, and the first examples of an epoch as the model will see them."""
    config = load_config(path, overrides)
    tokenizer = load_tokenizer(config)
    data = prepare(config, Prompt(tokenizer, config.data.system))
    say("\n".join(report.line() for report in data.reports))
    for index in Stream(data.weights, min(rows, len(data.train)), config.seed).batch(0):
        example = data.train[index]
        print(f"--- {len(example.ids)} tokens, {sum(example.answer)} of them learnt")
        print(render(example, tokenizer, color=color))
