"""The configuration of `python -m trainer vectors`, read from YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from fsmbot.errors import ConfigError, listed
from fsmbot.flowfile.yamltree import read_tree
from trainer.corpora import Corpus
from trainer.pretrained import Pretrained

Positive = Annotated[int, Meta(ge=1)]


class Word2VecConfig(msgspec.Struct, forbid_unknown_fields=True):
    """Parameters of Word2Vec, under gensim's names but for `skip_gram` (its `sg`)."""

    size: Positive = 96
    window: Positive = 8
    min_count: Positive = 4
    skip_gram: bool = True
    negative: Positive = 5
    sample: Annotated[float, Meta(ge=0, le=1)] = 1e-4
    epochs: Positive = 5


class GateConfig(msgspec.Struct, forbid_unknown_fields=True):
    """How the gate learns.

    prototypes: how many on each side. held_out: the part of the texts kept for calibration.
    example_weight: how much one written example counts; a text of a corpus of 40,000 counts 1.
    """

    prototypes: Positive = 32
    epochs: Positive = 10
    held_out: Annotated[float, Meta(ge=0, le=0.5)] = 0.1
    example_weight: Annotated[float, Meta(ge=0)] = 12


class Config(msgspec.Struct, forbid_unknown_fields=True):
    """A vectors configuration; see trainer/configs/medical-vectors.yaml.

    examples: files of labelled messages (`trainer/messages.py`) to learn from; judged: others, whose
    figures stand in the card. Both are relative to the configuration, the path of `pretrained` to `data`.
    """

    name: str
    corpora: list[Corpus]
    data: str = "."
    seed: Annotated[int, Meta(ge=0, lt=2**32)] = 1
    held_out: list[Corpus] = []
    word2vec: Word2VecConfig = msgspec.field(default_factory=Word2VecConfig)
    gate: GateConfig = msgspec.field(default_factory=GateConfig)
    pretrained: Pretrained | None = None
    examples: list[str] = []
    judged: list[str] = []


def read_config(path: Path) -> Config:
    """Read a YAML configuration; raises ConfigError that says where what is wrong."""
    try:
        tree, problems = read_tree(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}; name a YAML file") from error
    if problems or tree is None:
        raise ConfigError(listed(str(path), problems) or f"{path}:1:1: the file is empty")
    try:
        config = msgspec.convert(tree.plain(), Config)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {error}") from error
    for number, corpus in enumerate([*config.corpora, *config.held_out], 1):
        if bool(corpus.path) == bool(corpus.hub):
            raise ConfigError(
                f"{path}: corpus {number} needs either `path`, a file, or `hub`, the id of a data set"
            )
    sides = {corpus.side for corpus in config.corpora if corpus.sample}
    if sides != {"medical", "everyday"}:
        raise ConfigError(f"{path}: `corpora` needs both sides, each with a `sample`; found {sorted(sides)}")
    return config
