"""Labelled texts for the gate: samples of the corpora, made-up variations, written examples."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fsmbot.vectors import WordVectors, words_of
from trainer.corpora import Side
from trainer.vectors_config import Config

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SIDES: tuple[Side, Side] = ("medical", "everyday")
"""The order of a gate's prototypes."""
MIXED_WORDS = 13
"""Words taken of either text of a mixture, so that the gate reads both in training."""


@dataclass(frozen=True)
class Labelled:
    """Texts as rows of vectors; y: 1.0 medical, 0.0 everyday; weight: how much each counts."""

    rows: list[list[int]]
    y: NDArray[np.float64]
    weight: NDArray[np.float64]

    def part(self, chosen: NDArray[np.bool_]) -> Labelled:
        """Return the texts where `chosen` is true."""
        rows = [row for row, taken in zip(self.rows, chosen, strict=True) if taken]
        return Labelled(rows, self.y[chosen], self.weight[chosen])


def label(vectors: WordVectors, texts: list[list[str]], config: Config) -> Labelled:
    """Sample labelled texts, and add fragments, mixtures and the configuration's examples.

    Fragments of 1-4 words teach short messages; an everyday text with a medical one before or
    after it is medical, which teaches long stories.
    """
    import numpy as np

    draw = random.Random(config.seed)
    sides: dict[str, list[str]] = {"medical": [], "everyday": []}
    for corpus, some in zip(config.corpora, texts, strict=True):
        distinct = list(dict.fromkeys(some))
        sides[corpus.side] += draw.sample(distinct, min(corpus.sample, len(distinct)))
    medical, everyday = sides["medical"], sides["everyday"]
    groups = [
        (medical + _fragments(medical, draw) + _mix(everyday, medical, draw), 1.0),
        (everyday + _fragments(everyday, draw) + _mix(everyday, everyday, draw), 0.0),
    ]
    rows: list[list[int]] = []
    y, weight = [], []
    for side, value in groups:
        written = config.examples.get("medical" if value else "everyday", [])
        # Both sides count the same in sum, so that an even score means as likely as not.
        shares = [1 / max(len(side), 1)] * len(side)
        shares += [config.gate.example_weight / 40_000] * len(written)
        rows += [vectors.find_all(words_of(text)) for text in side + written]
        y += [value] * len(shares)
        weight += shares
    known = np.array([bool(row) for row in rows])
    whole = Labelled(rows, np.array(y), np.array(weight))
    return balanced(whole.part(known))


def balanced(texts: Labelled) -> Labelled:
    """Scale the weights so that both sides sum to the same and the mean is 1."""
    import numpy as np

    sums = [texts.weight[texts.y == value].sum() for value in (0.0, 1.0)]
    weight = np.where(texts.y == 1, texts.weight / sums[1], texts.weight / sums[0])
    return Labelled(texts.rows, texts.y, weight / weight.mean())


def _fragments(texts: list[str], draw: random.Random) -> list[str]:
    return [fragment(text, draw) for text in texts[::2]]


def fragment(text: str, draw: random.Random) -> str:
    """Return 1-4 neighbouring words of a text."""
    words = text.split()
    size = draw.randint(1, 4)
    start = draw.randrange(max(1, len(words) - size))
    return " ".join(words[start : start + size])


def _mix(first: list[str], second: list[str], draw: random.Random) -> list[str]:
    """Return pairs of texts joined, in either order; short ones, so that both are read."""
    size = len(first) // 4
    pairs = zip(draw.sample(first, size), draw.choices(second, k=size), strict=True)
    both = [[" ".join(text.split()[:MIXED_WORDS]) for text in pair] for pair in pairs]
    return [" . ".join(pair[:: draw.choice((1, -1))]) for pair in both]
