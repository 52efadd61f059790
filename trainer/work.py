"""How much there is to do: steps and tokens, counted where that needs nothing from the network."""

from __future__ import annotations

import math
from dataclasses import dataclass

from fsmbot.doctor.base import base_folder
from fsmbot.doctor.prompt import Prompt
from fsmbot.errors import ConfigError, first_line
from trainer.config import Config
from trainer.data import prepare
from trainer.loop import total_steps
from trainer.model import load_tokenizer


@dataclass(frozen=True)
class Work:
    """What is known of it; 0 is unknown.

    steps: of the optimizer. tokens: of one dialogue, on average. longest: of the longest dialogue.
    data: of all dialogues that wait in memory. note: how these were found.
    """

    steps: int
    tokens: float
    longest: int
    data: int
    note: str


def count_work(config: Config) -> Work:
    """Return how much there is to do.

    Local data is read and encoded if the base's tokenizer is on this machine. Otherwise dialogues
    count as long as they may be, and as many as the sources' `rows` say.
    """
    data = config.data
    if any(source.hub for source in [*data.train, *data.eval, *data.test]):
        return _assumed(config, "it is on the hub and was not read")
    if base_folder(config.base.id, config.base.revision) is None:
        return _assumed(config, "it was not read, as the base's tokenizer is not on this machine")
    try:
        return _counted(config)
    except ConfigError as error:
        return _assumed(config, f"it cannot be read ({first_line(error)})")


def _counted(config: Config) -> Work:
    prepared = prepare(config, Prompt(load_tokenizer(config), config.data.system))
    lengths = [len(example.ids) for example in prepared.train]
    weighted = sum(a * b for a, b in zip(lengths, prepared.weights, strict=True))
    mean = weighted / sum(prepared.weights)
    waiting = sum(lengths) + sum(len(example.ids) for example in prepared.eval)
    note = f"{len(lengths):,} dialogues of {mean:.0f} tokens on average, {max(lengths)} at most, as counted"
    return Work(total_steps(config, prepared), mean, max(lengths), waiting, note)


def _assumed(config: Config, why: str) -> Work:
    """Return the most that there can be to do."""
    longest, steps = config.data.max_tokens, config.steps
    known = steps.steps
    if not known and all(source.rows for source in config.data.train):
        rows = sum(source.rows * source.weight for source in config.data.train)
        known = max(1, math.ceil(steps.epochs * (rows // steps.batch)))
    note = f"{why}; dialogues count as {longest} tokens, the most that they may have"
    return Work(known, longest, longest, 0, note)
