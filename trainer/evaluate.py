"""`python -m trainer evaluate`: base against adapter, on the same 4-bit weights and the same prompt.

The loss is taken through the trainer's own forward pass; answers are decoded as the bot does it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fsmbot.doctor.adapter import check_adapter, with_adapter
from fsmbot.doctor.artefact import has_adapter, read_card
from fsmbot.doctor.base import load_base
from fsmbot.doctor.decode import Decoding
from fsmbot.doctor.prompt import Example, Prompt
from fsmbot.doctor.quiet import quiet
from fsmbot.errors import ConfigError
from trainer.answers import decode_all
from trainer.checkpoint import unwritable
from trainer.config import Config
from trainer.config_file import load_config
from trainer.data import Dialogue, Report, encode, read_dialogues
from trainer.facts import read_evaluation, write_evaluation
from trainer.loop import summed_loss
from trainer.measures import Answer, summary
from trainer.model import Learner, load_learner, read_adapter
from trainer.needs import require
from trainer.terminal import say

MODELS = ("base", "doctor")
ANSWER_TOKENS = 256
"""How long an answer may be, as in `ask_doctor`."""


@dataclass(frozen=True)
class HeldOut:
    """A set of dialogues that was kept out of training, with what becomes of them."""

    name: str
    dialogues: list[Dialogue]
    examples: list[Example]


def run_evaluation(
    path: Path, overrides: Sequence[str] = (), *, adapter: Path | None = None, answers: int = 100
) -> list[dict[str, Any]]:
    """Measure base and doctor on eval and test; write evaluation.json and the card; return the rows.

    adapter: the artefact folder (the configuration's output by default). answers: how many dialogues of
    each set are answered; generation takes most of the time. With 0, what was measured before of the
    answers of this very adapter stays. Raises ConfigError, DoctorError.
    """
    require("rapidfuzz", "ROUGE-L")
    config = load_config(path, overrides)
    folder = adapter or Path(config.output)
    if not has_adapter(folder):
        raise ConfigError(f"{folder} holds no adapter; train first, or name a folder with --adapter")
    config = as_trained(config, folder)
    learner = load_learner(config)
    sets = held_out(config, learner.prompt)
    losses = measure_losses(learner, sets, folder)
    del learner
    given = answer_all(config, sets, folder, answers)
    rows = [
        {
            "set": held.name, "model": model, "dialogues": len(held.examples),
            "loss": losses[held.name, model], "perplexity": math.exp(min(50.0, losses[held.name, model])),
            "answers": len(given[held.name, model]), **summary(given[held.name, model]),
        }
        for held in sets for model in MODELS
    ]  # fmt: skip
    if not answers:
        rows = with_answers(rows, read_evaluation(folder))
    try:
        write_evaluation(folder, rows)
    except OSError as error:
        raise unwritable(folder, error) from error
    return rows


def with_answers(rows: list[dict[str, Any]], before: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows without answers, completed by what an evaluation before found of theirs."""
    known = {(row["set"], row["model"]): row for row in before}
    empty = {"answers": 0}
    return [
        {**known.get((row["set"], row["model"]), empty), **{k: v for k, v in row.items() if k != "answers"}}
        for row in rows
    ]


def as_trained(config: Config, folder: Path) -> Config:
    """Return the configuration with base, system prompt and shape of the adapter that is measured."""
    card = read_card(folder)
    shape = check_adapter(folder)
    lora = replace(config.lora, r=shape.r, alpha=shape.lora_alpha, targets=shape.target_modules)
    base = replace(config.base, id=card.base, revision=card.revision)
    return replace(config, lora=lora, base=base, data=replace(config.data, system=card.system))


def held_out(config: Config, prompt: Prompt) -> list[HeldOut]:
    """Return the configuration's sets of eval and test; raises ConfigError if there are none."""
    sets: list[HeldOut] = []
    for side, sources in (("eval", config.data.eval), ("test", config.data.test)):
        for source in sources:
            alike = sum(held.name.startswith(f"{source.label} ({side}") for held in sets)
            report = Report(f"{source.label} ({side}{f' {alike + 1}' if alike else ''})")
            dialogues = read_dialogues(source, Path(config.folder), config.seed, report, set())
            both = [(d, encode(d, prompt, config, report)) for d in dialogues]
            kept = [(d, e) for d, e in both if e is not None]
            if not kept:
                raise ConfigError(f"a source gives no dialogue; mend it or take it out: {report.line()}")
            sets.append(HeldOut(report.source, [d for d, _ in kept], [e for _, e in kept]))
    if not sets:
        raise ConfigError("there is nothing to evaluate on; name sources under data.eval or data.test")
    return sets


def measure_losses(learner: Learner, sets: Sequence[HeldOut], folder: Path) -> dict[tuple[str, str], float]:
    """Return the loss of each set under base and doctor, in nats an answer token.

    A fresh adapter changes nothing, so the learner is the base until the doctor's is loaded.
    """
    losses = {}
    for model in MODELS:
        if model == "doctor":
            learner.load_state(read_adapter(folder))
        for held in sets:
            loss, tokens = summed_loss(learner, held.examples)
            losses[held.name, model] = loss / max(1.0, tokens)
            say(f"{held.name}: {model} loss {losses[held.name, model]:.4f}")
    return losses


def answer_all(
    config: Config, sets: Sequence[HeldOut], folder: Path, count: int
) -> dict[tuple[str, str], list[Answer]]:
    """Return answers to the first `count` dialogues of each set, by base and by doctor."""
    if not count:
        return {(held.name, model): [] for held in sets for model in MODELS}
    card = read_card(folder)
    base = load_base(card.base, card.revision, compute=config.base.compute)
    with quiet():
        doctor = with_adapter(base.model, folder)
    prompt = Prompt(base.tokenizer, card.system)
    given = {}
    for model in MODELS:
        with doctor.disable_adapter() if model == "base" else nullcontext():
            for held in sets:
                given[held.name, model] = replies(doctor, prompt, held.dialogues[:count], card.decoding)
                say(f"{held.name}: {len(given[held.name, model])} answers by {model}")
    return given


def replies(model: Any, prompt: Prompt, dialogues: Sequence[Dialogue], decoding: Decoding) -> list[Answer]:
    """Answer the questions of dialogues."""
    prompts = [prompt.question(dialogue.question) for dialogue in dialogues]
    said = decode_all(model, prompts, prompt.stops, ANSWER_TOKENS, decoding)
    return [
        Answer(prompt.decode(ids), len(ids) < ANSWER_TOKENS, dialogue.answer)
        for ids, dialogue in zip(said, dialogues, strict=True)
    ]


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Return the rows as text for a terminal."""
    head = (
        f"{'set':<28} {'model':<7} {'loss':>6} {'perpl.':>7} {'ROUGE-L':>8} {'repeated':>9} "
        f"{'words':>6} {'ended':>6}"
    )
    return "\n".join([head, *map(_line, rows)])


def _line(row: dict[str, Any]) -> str:
    start = f"{row['set'][:28]:<28} {row['model']:<7} {row['loss']:6.3f} {row['perplexity']:7.1f}"
    if not row["answers"]:
        return start
    return f"{start} {row['rouge_l']:8.3f} {row['repeated']:9.1%} {row['words']:6.0f} {row['ended']:6.1%}"
