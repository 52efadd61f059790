"""What all subjects of bench/training.py start from: configuration, dialogues, adapter."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fsmbot.doctor.prompt import Example
from trainer.config import Config, Source
from trainer.config_file import load_config
from trainer.data import Dialogue, Report, encode, read_dialogues
from trainer.model import Learner, load_learner
from trainer.schedule import Stream

SHIPPED = Path(__file__).parent.parent / "trainer" / "configs" / "smollm2-135m-cpu.yaml"
BATCH = 8
SEED = 1
ADAPTER = "adapter.safetensors"
DIALOGUES = "dialogues.jsonl"


@dataclass(frozen=True)
class Row:
    """A dialogue that every subject encodes alike: texts for TRL, ids for the others."""

    question: str
    answer: str
    ids: list[int]
    learnt: list[bool]

    @property
    def example(self) -> Example:
        """The dialogue as our trainer takes it."""
        return Example(self.ids, self.learnt)


def configure(folder: Path, **more: Any) -> Config:
    """Return the shipped configuration with the batch, the length and the constant rate of the setup.

    more: other settings by name.
    """
    setup = read_setup(folder)
    settings = {
        "seed": SEED,
        "output": folder / "ours",
        "data.max_tokens": 256,
        "lora.r": 16,
        "optimizer.lr": setup["rate"],
        "optimizer.warmup": 0,
        "optimizer.final": 1,
        "steps.batch": BATCH,
        "steps.micro_tokens": 512,
        "steps.steps": setup["steps"],
        "steps.evaluate": 0,
        "steps.checkpoint": 0,
        **more,
    }
    return load_config(SHIPPED, [f"{name}={value}" for name, value in settings.items()])


def read_setup(folder: Path) -> dict[str, Any]:
    """Return what was asked for: data (a path), steps, rate."""
    setup: dict[str, Any] = json.loads((folder / "setup.json").read_text())
    return setup


def prepare(folder: Path) -> dict[str, int]:
    """Choose the dialogues and draw the adapter; return counts."""
    from safetensors.torch import save_file

    config = configure(folder)
    learner = load_learner(config, device="cpu")
    save_file(learner.state(), folder / ADAPTER)
    dialogues = read_dialogues(Source(path=read_setup(folder)["data"]), folder, SEED, Report(""), set())
    random.Random(SEED).shuffle(dialogues)
    rows: list[Row] = []
    passed_over = 0
    for dialogue in dialogues:
        if len(rows) == config.steps.steps * BATCH:
            break
        row = shared_row(dialogue, learner, config)
        passed_over += row is None
        rows += [row] if row else []
    (folder / DIALOGUES).write_text("".join(json.dumps(vars(row)) + "\n" for row in rows))
    lengths = [len(row.ids) for row in rows]
    return {
        "dialogues": len(rows),
        "passed over": passed_over,
        "tokens": sum(lengths),
        "tokens in the longest": max(lengths),
    }


def shared_row(dialogue: Dialogue, learner: Learner, config: Config) -> Row | None:
    """Return the dialogue as our trainer shortens it, or None if it cannot be the same for all.

    Passed over are answers without a whole sentence, questions that had to be cut, and texts that the
    chat template encodes otherwise (it lets special tokens in).
    """
    example = encode(dialogue, learner.prompt, config, Report(""))
    if example is None:
        return None
    said = [token for token, learnt in zip(example.ids, example.answer, strict=True) if learnt]
    row = Row(dialogue.question, learner.prompt.decode(said), example.ids, example.answer)
    tokenizer = learner.base.tokenizer
    prompt, completion = messages(row, config)
    theirs = tokenizer.apply_chat_template([*prompt, *completion], return_dict=True)["input_ids"]
    return row if theirs == example.ids + tokenizer("\n")["input_ids"] else None


def messages(row: Row, config: Config) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Return prompt and completion as a user of TRL would write them."""
    prompt = [{"role": "system", "content": config.data.system}, {"role": "user", "content": row.question}]
    return prompt, [{"role": "assistant", "content": row.answer}]


def read_rows(folder: Path) -> list[Row]:
    """Return the dialogues as they were chosen."""
    return [Row(**json.loads(line)) for line in (folder / DIALOGUES).read_text().splitlines()]


def in_training_order(rows: Sequence[Row], config: Config) -> list[list[Row]]:
    """Return the batches that our loop makes of them."""
    stream = Stream([1.0] * len(rows), BATCH, config.seed)
    return [[rows[index] for index in stream.batch(step)] for step in range(config.steps.steps)]
