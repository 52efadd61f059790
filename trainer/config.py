"""The trainer's configuration, as frozen data; `config_file` fills it from YAML.

Units stand beside each field. Every length is in tokens, every size of a batch in dialogues.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from fsmbot.doctor.decode import Decoding
from fsmbot.doctor.prompt import SYSTEM

Positive = Annotated[int, Meta(ge=1)]
Count = Annotated[int, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
Decay = Annotated[float, Meta(ge=0, lt=1)]
Rate = Annotated[float, Meta(gt=0, le=1)]
Weight = Annotated[float, Meta(ge=1e-3, le=1e6)]

LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
"""The projection layers of a Llama block."""


@dataclass(frozen=True)
class BaseModel:
    """Which model is fine-tuned.

    id: of the hub, or a local folder; "" is the embedded default. revision: a commit, "" for any.
    compute: the type of activations; "" picks bfloat16, or float16 where the GPU has none (T4).
    gradient_checkpointing: recompute activations in the backward pass, to save memory.
    """

    id: str = ""
    revision: str = ""
    compute: Literal["", "float32", "float16", "bfloat16"] = ""
    gradient_checkpointing: bool = False


@dataclass(frozen=True)
class Part:
    """A share of a source that a hash picks: the same rows in every run, whatever their order.

    by: the column that is hashed ("" for the question), so that rows which agree in it stay together.
    start, end: rows whose hash, as a number from 0 to 1, lies between them.
    """

    by: str = ""
    start: Share = 0.0
    end: Share = 1.0


@dataclass(frozen=True)
class Source:
    """One file or hub data set of dialogues.

    path: a .jsonl, .jsonl.gz, .parquet or .csv file, relative to the configuration; or hub: the id
    of a data set, with its split and revision. name, licence: what the model card says of it.
    question and answer name the columns.
    rows: take only so many, picked by the seed (0: all). weight: how often a row is seen an epoch
    (0.5: every other epoch, on average). where: keep only rows whose column has one of the values.
    max_answer_words: leave out rows with longer answers (0: keep all). avoid: leave out rows whose answer
    has one of these texts, in whatever case. part: keep only a share, so
    that one file can give rows to learn from and others to test on.
    """

    path: str = ""
    hub: str = ""
    split: str = "train"
    revision: str = ""
    name: str = ""
    licence: str = ""
    question: str = "input"
    answer: str = "output"
    rows: Count = 0
    weight: Weight = 1.0
    where: dict[str, list[str]] = field(default_factory=dict)
    max_answer_words: Count = 0
    avoid: list[Annotated[str, Meta(min_length=1)]] = field(default_factory=list)
    part: Part = field(default_factory=Part)

    @property
    def label(self) -> str:
        """What reports and cards call it."""
        return self.name or self.hub or Path(self.path).name


@dataclass(frozen=True)
class Data:
    """What is learnt from.

    train; eval: held out, looked at on the way, chooses the best; test: held out, for `evaluate` alone.
    max_tokens: of one dialogue, prompt and answer together. system: what stands before each
    dialogue ("" for what the base's chat template puts there itself, if anything). shared: what happens
    to a question of train that is held out as well: an error, left out of train, or learnt all the same.
    sentence_ends: cut answers back to their last full sentence, and leave out those without one.
    """

    train: list[Source] = field(default_factory=list)
    eval: list[Source] = field(default_factory=list)
    test: list[Source] = field(default_factory=list)
    max_tokens: Annotated[int, Meta(ge=16)] = 256
    system: str = SYSTEM
    shared: Literal["refuse", "drop", "allow"] = "refuse"
    sentence_ends: bool = True


@dataclass(frozen=True)
class Lora:
    """Low-rank adaptation (Hu et al., https://arxiv.org/abs/2106.09685).

    r: rank. alpha: the update is scaled by alpha / r. targets: the layers that get an adapter.
    saved_as: the type in which the finished adapter is written; it trains in float32.
    """

    r: Annotated[int, Meta(ge=1, le=1024)] = 16
    alpha: Weight = 32.0
    targets: list[str] = field(default_factory=lambda: list(LINEAR))
    saved_as: Literal["float32", "float16", "bfloat16"] = "float16"


@dataclass(frozen=True)
class Optimizer:
    """AdamW, and how its rate moves.

    lr: the peak learning rate. warmup: the share of the steps over which it rises; then it falls
    along a cosine to final * lr. clip: the largest norm of the gradient. weight_decay: per step,
    times lr.
    """

    name: Literal["adamw", "paged_adamw_8bit"] = "adamw"
    lr: Rate = 2e-4
    betas: tuple[Decay, Decay] = (0.9, 0.999)
    weight_decay: Share = 0.0
    warmup: Share = 0.03
    final: Share = 0.1
    clip: Weight = 1.0


@dataclass(frozen=True)
class Steps:
    """How long, and what happens on the way.

    batch: dialogues in one optimizer step. micro_tokens: at most so many
    tokens go through the model at once. epochs: passes over the data, unless steps (optimizer
    steps) says otherwise. evaluate, checkpoint: every so many steps (0: at the end only).
    patience: stop after so many evaluations without a better loss (0: never). keep: checkpoints to
    keep besides the best. eval_rows: dialogues in an evaluation on the way (0: all).
    """

    batch: Annotated[int, Meta(ge=1, le=65_536)] = 8
    micro_tokens: Annotated[int, Meta(ge=16)] = 2048
    epochs: Weight = 1.0
    steps: Count = 0
    evaluate: Count = 100
    checkpoint: Count = 100
    patience: Count = 0
    keep: Positive = 2
    eval_rows: Count = 200


@dataclass(frozen=True)
class Config:
    """One training run.

    output: the folder that becomes the doctor, relative to the working folder (runs/NAME by default).
    licence: of the adapter; notes: a paragraph on its limits; both for the model card.
    """

    name: str = "doctor"
    licence: str = ""
    notes: str = ""
    output: str = ""
    seed: Count = 1
    base: BaseModel = field(default_factory=BaseModel)
    data: Data = field(default_factory=Data)
    lora: Lora = field(default_factory=Lora)
    optimizer: Optimizer = field(default_factory=Optimizer)
    steps: Steps = field(default_factory=Steps)
    decoding: Decoding = field(default_factory=Decoding)
    folder: str = "."


def to_dict(config: Config) -> dict[str, Any]:
    """Return the resolved configuration as JSON would give it back, as it is saved with the result."""
    plain = msgspec.json.decode(msgspec.json.encode(config))
    return {name: value for name, value in plain.items() if name != "folder"}
