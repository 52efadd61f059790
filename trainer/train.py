"""`python -m trainer train`: a configuration in, a doctor out."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from fsmbot.doctor.artefact import Card, write_card
from fsmbot.doctor.prompt import VERSION, Prompt
from fsmbot.errors import ConfigError
from trainer.checkpoint import write_whole
from trainer.config import Config, load_config, to_dict
from trainer.data import Prepared, prepare
from trainer.loop import Run, out_of_patience, total_steps, train
from trainer.model import Learner, load_learner, load_tokenizer
from trainer.preview import render
from trainer.report import Progress, draw_losses
from trainer.schedule import Stream


def run_training(
    path: Path, overrides: Sequence[str] = (), *, resume: bool = False, dry_run: bool = False
) -> Path:
    """Train as a configuration says; returns the artefact folder.

    dry_run: read and check everything, show the report, and train nothing. Raises ConfigError.
    """
    config = load_config(path, overrides)
    learner = load_learner(config)
    data = prepare(config, learner.prompt)
    say_plan(config, learner, data)
    output = Path(config.output)
    if dry_run:
        return output
    if not resume and (output / "checkpoints").exists():
        raise ConfigError(
            f"{output} holds checkpoints of a run; go on with --resume, or name another folder with "
            "--set output=FOLDER"
        )
    output.mkdir(parents=True, exist_ok=True)
    progress = Progress(output)
    run = train(config, learner, data, progress, resume=resume)
    if run.step >= total_steps(config, data) or out_of_patience(run, config):
        finish(config, learner, run, progress)
    return output


def say_plan(config: Config, learner: Learner, data: Prepared) -> None:
    """Show what is about to happen."""
    lines = [report.line() for report in data.reports]
    trained = sum(p.numel() for p in learner.parameters)
    lines.append(
        f"{total_steps(config, data):,} steps of {config.steps.batch} dialogues on {learner.device}, "
        f"{trained:,} trained parameters, {learner.prefix} tokens shared by every prompt"
    )
    print("\n".join(lines), file=sys.stderr, flush=True)


def finish(config: Config, learner: Learner, run: Run, progress: Progress) -> None:
    """Write the artefact: the best adapter (or the last, without evaluations) and what explains it."""
    output = Path(config.output)
    source = output / "best"
    if not source.exists():
        write_whole(source, learner.save_adapter)
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        shutil.copy(source / name, output / name)
    write_card(
        output,
        Card(
            base=learner.base.id,
            revision=learner.base.revision,
            prompt_format=learner.prompt.format,
            prompt_version=VERSION,
            system=config.data.system,
            decoding=config.decoding,
        ),
    )
    (output / "config.json").write_text(json.dumps(to_dict(config), indent=2) + "\n")
    draw_losses(output)
    best = (
        f", the best at step {run.best_step} with held-out loss {run.best:.4f}" if run.best_step > 0 else ""
    )
    progress.say(f"wrote {output} after {run.step} steps and {run.tokens:,} tokens{best}")


def preview(path: Path, overrides: Sequence[str] = (), *, rows: int = 3, color: bool = False) -> None:
    """Show the report of the data, and the first examples of an epoch as the model will see them."""
    config = load_config(path, overrides)
    tokenizer = load_tokenizer(config)
    data = prepare(config, Prompt(tokenizer, config.data.system))
    print("\n".join(report.line() for report in data.reports), file=sys.stderr, flush=True)
    for index in Stream(data.weights, rows, config.seed).batch(0):
        example = data.train[index]
        print(f"--- {len(example.ids)} tokens, {sum(example.answer)} of them learnt")
        print(render(example, tokenizer, color=color))
