"""The trainer's configuration: dataclasses filled from YAML, every mistake with its place.

    config = load_config(Path("trainer/configs/tiny.yaml"), ["lora.r=8"])

Units stand beside each field. Every length is in tokens, every size of a batch in dialogues.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, cast

import msgspec
from msgspec import Meta

from fsmbot.doctor.decode import Decoding
from fsmbot.doctor.prompt import SYSTEM
from fsmbot.errors import ConfigError, Problem, listed
from fsmbot.settings import describe, explain, suggest
from fsmbot.yamltree import MAX_BYTES, Tree, read_tree

Positive = Annotated[int, Meta(ge=1)]
Count = Annotated[int, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
Rate = Annotated[float, Meta(gt=0, le=1)]
Weight = Annotated[float, Meta(gt=0)]

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
    max_answer_words: leave out rows with longer answers (0: keep all). part: keep only a share, so
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
    dialogue ("" for nothing). shared: what happens to a question of train that is held out as well:
    an error, left out of train, or learnt all the same. sentence_ends: cut answers back to their last
    full sentence, and leave out those without one.
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
    betas: tuple[Share, Share] = (0.9, 0.999)
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

    batch: Positive = 8
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


T = TypeVar("T")


def load_config(path: Path, overrides: Sequence[str] = ()) -> Config:
    """Read a configuration; raises ConfigError with every mistake as file:line:column."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}; name a YAML file") from error
    tree, problems = read_tree(data)
    tree = tree or Tree(1, 1, {})
    reader = _Reader(problems)
    config = reader.convert(Config, tree, "")
    if reader.problems:
        raise ConfigError(listed(str(path), reader.problems))
    config = dataclasses.replace(config, folder=str(path.resolve().parent))
    for override in overrides:
        config = _override(config, override)
    return _whole(config, str(path))


class _Reader:
    """Fills dataclasses from a tree, collecting problems."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems

    def convert(self, wanted: type[T], tree: Tree, where: str) -> T:
        """Return the dataclass; what is wrong keeps its default and is noted."""
        if not tree.is_map:
            self.problems.append(
                tree.problem(f"{where or 'a configuration'} must be a map, not {describe(tree)}")
            )
            return wanted()
        hints = typing.get_type_hints(wanted, include_extras=True)
        hints.pop("folder", None)
        values: dict[str, Any] = {}
        for name, item in tree.value.items():
            if name not in hints:
                message = f"{where or 'a configuration'} has no key '{name}'{suggest(name, hints)}"
                self.problems.append(tree.keys[name].problem(message))
            else:
                values[name] = self._value(hints[name], item, f"{where}.{name}".lstrip("."))
        return wanted(**{name: value for name, value in values.items() if value is not _WRONG})

    def _value(self, wanted: Any, item: Tree, where: str) -> Any:
        if dataclasses.is_dataclass(wanted) and isinstance(wanted, type):
            return self.convert(wanted, item, where)
        inner = typing.get_args(wanted)
        if typing.get_origin(wanted) is list and dataclasses.is_dataclass(inner[0]):
            if isinstance(item.value, list):
                return [self.convert(cast(type[Any], inner[0]), one, where) for one in item.value]
            self.problems.append(item.problem(f"{where} must be a list, not {describe(item)}"))
            return _WRONG
        try:
            return msgspec.convert(item.plain(), wanted)
        except msgspec.ValidationError as error:
            self.problems.append(item.problem(f"{where}: {explain(error)}, not {describe(item)}"))
            return _WRONG


_WRONG = object()


def _override(config: Config, text: str) -> Config:
    """Apply one `--set key.key=value`; raises ConfigError that shows the text."""
    path, equals, value = text.partition("=")
    names = path.strip().split(".")
    if not equals or not all(names):
        raise ConfigError(f"--set {text}: expected key=value, such as lora.r=8")
    tree, problems = read_tree(value.encode())
    reader = _Reader(list(problems))
    nested = tree or Tree(1, 1, None)
    for name in reversed(names):
        nested = Tree(1, 1, {name: nested}, {name: Tree(1, 1, name)})
    changed = reader.convert(Config, nested, "")
    if reader.problems:
        raise ConfigError(f"--set {text}: " + "; ".join(p.message for p in reader.problems))
    return _replaced(config, changed, names)


def _replaced(config: T, changed: T, names: Sequence[str]) -> T:
    """Return config with the one field at the end of `names` taken from `changed`."""
    name, rest = names[0], names[1:]
    value = getattr(changed, name)
    if rest:
        value = _replaced(getattr(config, name), value, rest)
    return dataclasses.replace(config, **{name: value})  # type: ignore[type-var]


def _whole(config: Config, path: str) -> Config:
    """Refuse what no single field shows to be wrong."""
    if not config.data.train:
        raise ConfigError(f"{path}: data.train names nothing to learn from; add a `- path:` or `- hub:`")
    for source in [*config.data.train, *config.data.eval, *config.data.test]:
        if bool(source.path) == bool(source.hub):
            raise ConfigError(f"{path}: a source has either `path` or `hub`; found {source}")
    if config.steps.micro_tokens < config.data.max_tokens:
        raise ConfigError(
            f"{path}: steps.micro_tokens ({config.steps.micro_tokens}) is less than data.max_tokens "
            f"({config.data.max_tokens}), so the longest dialogue would not fit; raise it"
        )
    if not config.output:
        return dataclasses.replace(config, output=f"runs/{config.name}")
    return config


def to_dict(config: Config) -> dict[str, Any]:
    """Return the resolved configuration as JSON would give it back, as it is saved with the result."""
    plain = msgspec.json.decode(msgspec.json.encode(config))
    return {name: value for name, value in plain.items() if name != "folder"}
