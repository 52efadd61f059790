"""The configuration of `python -m trainer vectors`, read from YAML with the place of every mistake."""

from __future__ import annotations

from pathlib import Path

import msgspec

from fsmbot.errors import ConfigError, listed
from fsmbot.yamltree import read_tree
from trainer.corpora import Corpus
from trainer.pretrained import Pretrained


class Word2VecConfig(msgspec.Struct, forbid_unknown_fields=True):
    """Parameters of Word2Vec, under gensim's names but for `skip_gram` (its `sg`)."""

    size: int = 96
    window: int = 8
    min_count: int = 4
    skip_gram: bool = True
    negative: int = 5
    sample: float = 1e-4
    epochs: int = 5


class GateConfig(msgspec.Struct, forbid_unknown_fields=True):
    """How the gate learns.

    prototypes: how many on each side. held_out: the part of the texts kept for calibration.
    example_weight: how much one written example counts; a text of a corpus of 40,000 counts 1.
    """

    prototypes: int = 32
    epochs: int = 10
    held_out: float = 0.1
    example_weight: float = 12


class Config(msgspec.Struct, forbid_unknown_fields=True):
    """A vectors configuration; see trainer/configs/medical-vectors.yaml.

    examples: files of labelled messages (`trainer/messages.py`) to learn from; judged: others, whose
    figures stand in the card. Both are relative to the configuration.
    """

    name: str
    corpora: list[Corpus]
    data: str = "."
    seed: int = 1
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
    sides = {corpus.side for corpus in config.corpora}
    if sides != {"medical", "everyday"}:
        raise ConfigError(f"{path}: `corpora` needs both sides, found {sorted(sides)}")
    return config
