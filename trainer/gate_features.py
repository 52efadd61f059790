"""The features of the medical score in torch, over padded batches, so that prototypes can learn.

The same arithmetic as `fsmbot.vectors.margins`, which a test holds it to.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn.functional import normalize
from torch.nn.functional import pad as pad_with

from fsmbot.vectors import WordVectors
from fsmbot.vectors.margins import LIGHTEST, SCALE, SHARPNESS, SPREAD, STRIDE, WINDOW

LENGTH = 64
"""Words of a training text that are read."""


@dataclass(frozen=True)
class Words:
    """What is known of every word; units: (words, dimensions), of length 1; weights: (words,)."""

    units: torch.Tensor
    weights: torch.Tensor

    @classmethod
    def of(cls, vectors: WordVectors) -> Words:
        """Read all vectors and weights."""
        units = torch.tensor(vectors.unit_rows(range(len(vectors))), dtype=torch.float32)
        return cls(units, torch.tensor(vectors.weights, dtype=torch.float32))


def features(rows: torch.Tensor, words: Words, prototypes: list[torch.Tensor]) -> torch.Tensor:
    """Return the features of a batch, in the order of `fsmbot.vectors.gate.FEATURES`: (batch, 8).

    rows: (batch, length), padded with -1. prototypes: of stretches and of words (2K, dimensions),
    of words in context (2K, 3 x dimensions).
    """
    there = rows >= 0
    units = words.units[rows.clamp(min=0)] * there[..., None]
    weight = words.weights[rows.clamp(min=0)] * there
    message, stretches = _stretches(units * weight[..., None], prototypes[0], there)
    alone = _margin(units, prototypes[1]) * weight
    in_context = _margin(_contexts(units * weight[..., None].sqrt()), prototypes[2])
    pooled = _pool(alone, weight.sum(1).clamp(min=LIGHTEST), there)
    pooled += _pool(in_context, there.sum(1), there)
    return torch.stack([message, stretches, *pooled], 1)


def pad(rows: list[list[int]]) -> torch.Tensor:
    """Return rows as (texts, LENGTH), cut off or padded with -1."""
    padded = torch.full((len(rows), LENGTH), -1)
    for i, row in enumerate(rows):
        padded[i, : len(row[:LENGTH])] = torch.tensor(row[:LENGTH])
    return padded


def contexts(rows: list[list[int]], words: Words) -> torch.Tensor:
    """Return every word of some texts in its context: (words, 3 x dimensions)."""
    padded = pad(rows)
    there = padded >= 0
    weight = words.weights[padded.clamp(min=0)] * there
    return _contexts(words.units[padded.clamp(min=0)] * weight[..., None].sqrt())[there]


def _stretches(
    weighted: torch.Tensor, prototypes: torch.Tensor, there: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the margin of the whole, and of the stretch whose margin is largest."""
    windows = pad_with(weighted, (0, 0, 0, WINDOW)).unfold(1, WINDOW, STRIDE).sum(-1)
    margins = _margin(torch.cat([weighted.sum(1, keepdim=True), windows], 1), prototypes)
    starts = torch.arange(windows.shape[1]) * STRIDE
    within = (starts == 0) | (starts < there.sum(1, keepdim=True) - STRIDE)
    return margins[:, 0], margins[:, 1:].masked_fill(~within, -1e4).max(1).values


def _contexts(weighted: torch.Tensor) -> torch.Tensor:
    """Put each word between its neighbours: (batch, length, 3 x dimensions)."""
    padded = pad_with(weighted, (0, 0, 1, 1))
    return torch.cat([padded[:, :-2], weighted, padded[:, 2:]], -1)


def _margin(vectors: torch.Tensor, prototypes: torch.Tensor) -> torch.Tensor:
    likeness = SHARPNESS * (normalize(vectors, dim=-1) @ normalize(prototypes, dim=-1).T)
    half = len(prototypes) // 2
    ratio = torch.logsumexp(likeness[..., :half], -1) - torch.logsumexp(likeness[..., half:], -1)
    return ratio * SCALE


def _pool(margins: torch.Tensor, total: torch.Tensor, there: torch.Tensor) -> list[torch.Tensor]:
    """Return the most, the least and the mean of each message's margins."""
    absent = (~there).float() * -1e4
    most = torch.logsumexp(SPREAD * margins + absent, 1) / SPREAD
    least = -torch.logsumexp(-SPREAD * margins + absent, 1) / SPREAD
    return [most, least, (margins * there).sum(1) / total]
