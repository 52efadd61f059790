"""The shape of a base model, from its config.json alone: all that an estimate needs to know of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fsmbot.doctor.base import base_config
from fsmbot.errors import ConfigError, DoctorError
from trainer.config import LINEAR, Config


@dataclass(frozen=True)
class Shape:
    """A Llama-like decoder. Widths in elements; tied: the head is the embedding table once more.

    kv_heads: heads of keys and values, fewer than `heads` in grouped-query attention.
    """

    hidden: int
    intermediate: int
    layers: int
    heads: int
    kv_heads: int
    head_width: int
    vocabulary: int
    tied: bool

    @property
    def queries(self) -> int:
        """Width of a token's queries, all heads together."""
        return self.heads * self.head_width

    @property
    def keys(self) -> int:
        """Width of a token's keys, and of its values."""
        return self.kv_heads * self.head_width

    @property
    def projections(self) -> dict[str, tuple[int, int]]:
        """Width in and out of each projection of a layer; these are what is quantized."""
        wide, middle, query, key = self.hidden, self.intermediate, self.queries, self.keys
        pairs = [(wide, query), (wide, key), (wide, key), (query, wide)]
        pairs += [(wide, middle), (wide, middle), (middle, wide)]
        return dict(zip(LINEAR, pairs, strict=True))

    @property
    def quantized(self) -> int:
        """Parameters in 4 bits: the projections of all layers."""
        return self.layers * sum(rows * columns for rows, columns in self.projections.values())

    @property
    def unquantized(self) -> int:
        """Parameters left in the compute type: embeddings, head, norms."""
        tables = self.vocabulary * self.hidden * (1 if self.tied else 2)
        return tables + (2 * self.layers + 1) * self.hidden

    def adapter(self, rank: int, targets: list[str]) -> int:
        """Return how many parameters LoRA trains: r * (in + out) for each target of each layer."""
        return self.layers * sum(rank * sum(self.projections[target]) for target in targets)


KNOWN = {
    "HuggingFaceTB/SmolLM2-135M-Instruct": Shape(576, 1536, 30, 9, 3, 64, 49152, tied=True),
    "HuggingFaceTB/SmolLM2-360M-Instruct": Shape(960, 2560, 32, 15, 5, 64, 49152, tied=True),
    "HuggingFaceTB/SmolLM2-1.7B-Instruct": Shape(2048, 8192, 24, 32, 32, 64, 49152, tied=True),
    "TinyLlama/TinyLlama-1.1B-Chat-v1.0": Shape(2048, 5632, 22, 32, 4, 64, 32000, tied=False),
    "meta-llama/Llama-2-7b-hf": Shape(4096, 11008, 32, 32, 32, 128, 32000, tied=False),
    "meta-llama/Llama-2-13b-hf": Shape(5120, 13824, 40, 40, 40, 128, 32000, tied=False),
    "meta-llama/Llama-3.2-1B": Shape(2048, 8192, 16, 32, 8, 64, 128256, tied=True),
    "meta-llama/Llama-3.2-3B": Shape(3072, 8192, 28, 24, 8, 128, 128256, tied=True),
}
"""Shapes of well-known bases, for where config.json cannot be had: no network, or a gated model."""

_EMBEDDED = next(iter(KNOWN))


def find_shape(config: Config) -> tuple[Shape, str]:
    """Return the base's shape and where it was found; raises ConfigError, MissingExtra."""
    name = config.base.id or _EMBEDDED
    try:
        return read_shape(base_config(config.base.id, config.base.revision), name), "its config.json"
    except DoctorError as error:
        known = KNOWN.get(name) or KNOWN.get(name.removesuffix("-chat-hf") + "-hf")
        if known is None:
            raise ConfigError(
                f"base.id: {error}; give a local folder with a config.json, or one of the bases "
                f"whose shape is known without it: {', '.join(KNOWN)}"
            ) from error
        return known, "a table in the trainer, as its config.json cannot be had here"


def read_shape(found: dict[str, Any], name: str) -> Shape:
    """Return the shape that a config.json describes; raises ConfigError for what is no Llama."""
    try:
        heads, hidden = int(found["num_attention_heads"]), int(found["hidden_size"])
        return Shape(
            hidden=hidden,
            intermediate=int(found["intermediate_size"]),
            layers=int(found["num_hidden_layers"]),
            heads=heads,
            kv_heads=int(found.get("num_key_value_heads") or heads),
            head_width=int(found.get("head_dim") or hidden // heads),
            vocabulary=int(found["vocab_size"]),
            tied=bool(found.get("tie_word_embeddings", False)),
        )
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise ConfigError(
            f"base.id: the config.json of '{name}' does not describe a Llama-like model: {error!r}; "
            "plan knows models with hidden_size, intermediate_size, num_hidden_layers and so on"
        ) from error
