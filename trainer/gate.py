"""Learn the gate's prototypes from labelled texts, and calibrate its score.

Prototypes start as k-means centroids (Lloyd, on the unit sphere) and are then moved by gradient
descent on the log loss of the score that `fsmbot.vectors.gate` computes; the forward pass here is
the same arithmetic in torch over padded batches. A last step fits two numbers on texts kept apart
(Platt, "Probabilistic Outputs for Support Vector Machines", 1999).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fsmbot.errors import MissingExtra
from fsmbot.vectors import Gate, WordVectors, words_of
from fsmbot.vectors.gate import FEATURES, FORMAT, SHARPNESS, SPREAD, STRIDE, VERSION, WINDOW
from trainer.labelled import SIDES, Labelled, balanced, label
from trainer.terminal import say
from trainer.vectors_config import Config

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

LENGTH = 28
"""Words of a training text that are read."""
RATE = 4e-3
"""Step size for the prototypes."""
ANCHOR = 0.05
"""Cost of moving a prototype: it is to stay what its half of the gate stands for."""
DROPPED = 0.15
"""Chance that a word is left out in one epoch, so that no single word is relied on."""


def train_gate(vectors: WordVectors, texts: list[list[str]], config: Config, out: Path) -> Gate:
    """Fit prototypes and weights, write gate.json and prototypes.npy to `out`, return the gate."""
    import numpy as np

    labelled = label(vectors, texts, config)
    apart = np.random.default_rng(config.seed).random(len(labelled.y)) < config.gate.held_out
    prototypes, weights = _fit(vectors, labelled.part(~apart), config)
    prototypes = prototypes.astype(np.float16)
    gate = Gate(vectors, prototypes.astype(float), weights)
    calibrate(gate, labelled.part(apart))
    np.save(out / "prototypes.npy", prototypes, allow_pickle=False)
    found = {name: float(w) for name, w in zip(FEATURES, gate.weights, strict=True)}
    found["bias"] = gate.bias
    settings = {"format": FORMAT, "version": VERSION, "weights": found}
    (out / "gate.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    return gate


def _fit(
    vectors: WordVectors, texts: Labelled, config: Config
) -> tuple[NDArray[np.float64], dict[str, float]]:
    """Return prototypes (2, 2K, dimensions) and the weights of the score."""
    try:
        import torch
    except ImportError:
        raise MissingExtra("torch", "train", "learning prototypes") from None

    torch.set_num_threads(1)  # sums in one order: the same seed gives the same file
    draw = torch.Generator().manual_seed(config.seed)
    units = torch.tensor(vectors.unit_rows(range(len(vectors))), dtype=torch.float32)
    sif = torch.tensor(vectors.weights, dtype=torch.float32)
    start = torch.tensor(_start(vectors, texts, config), dtype=torch.float32)
    prototypes = start.clone().requires_grad_()
    weights = torch.tensor([3.0, 1.0, 2.0, 2.0, 2.0, 0.0], requires_grad=True)
    adam = torch.optim.Adam([{"params": [prototypes], "lr": RATE}, {"params": [weights], "lr": 2e-2}])
    padded, y = pad(texts.rows), torch.tensor(texts.y, dtype=torch.float32)
    count = torch.tensor(texts.weight, dtype=torch.float32)
    # Steps that shrink to nothing settle the prototypes, so that no last batch decides a score.
    fade = torch.optim.lr_scheduler.LinearLR(adam, 1.0, 0.02, max(config.gate.epochs - 1, 1))
    for epoch in range(config.gate.epochs):
        total = 0.0
        for batch in torch.split(torch.randperm(len(y), generator=draw), 512):
            kept = _drop(padded[batch], draw)
            margins = torch_features(kept, units, sif, prototypes)
            logits = margins @ weights[:-1] + weights[-1]
            # Labels a little off 0 and 1, since some texts of either side are on the wrong one.
            losses = torch.nn.functional.binary_cross_entropy_with_logits(
                logits, y[batch] * 0.96 + 0.02, reduction="none"
            )
            moved = (prototypes - start).square().sum(-1).mean()
            loss = (losses * count[batch]).mean() + ANCHOR * moved
            adam.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch's own gap
            adam.step()
            total += float(loss.detach()) * len(batch)
        fade.step()
        say(f"gate epoch {epoch + 1} of {config.gate.epochs}: loss {total / len(y):.4f}")
    found = dict(zip((*FEATURES, "bias"), weights.tolist(), strict=True))
    return prototypes.detach().double().numpy(), found


def torch_features(
    rows: torch.Tensor, units: torch.Tensor, sif: torch.Tensor, prototypes: torch.Tensor
) -> torch.Tensor:
    """Return the margins of `Gate.features`: (batch, 5).

    rows: (batch, LENGTH), padded with -1.
    """
    import torch

    there = (rows >= 0).float()
    words = units[rows.clamp(min=0)]
    weight = sif[rows.clamp(min=0)] * there
    weighted = words * weight[..., None]
    windows = weighted.unfold(1, WINDOW, STRIDE).sum(-1)
    stretches = torch.cat([weighted.sum(1, keepdim=True), windows], 1)
    margins = _torch_margin(torch.nn.functional.normalize(stretches, dim=-1), prototypes[0])
    starts = torch.arange(stretches.shape[1] - 1) * STRIDE
    within = (starts == 0) | (starts < there.sum(1, keepdim=True) - STRIDE)
    window = margins[:, 1:].masked_fill(~within, -1e4).max(1).values
    pulls = _torch_margin(words, prototypes[1]) * weight
    mean = pulls.sum(1) / weight.sum(1).clamp(min=0.3)
    absent = (there - 1) * 1e4
    most = torch.logsumexp(SPREAD * pulls + absent, 1) / SPREAD
    least = -torch.logsumexp(-SPREAD * pulls + absent, 1) / SPREAD
    return torch.stack([margins[:, 0], window, mean, most, least], 1)


def _torch_margin(units: torch.Tensor, prototypes: torch.Tensor) -> torch.Tensor:
    import torch

    likeness = SHARPNESS * (units @ torch.nn.functional.normalize(prototypes, dim=-1).T)
    half = len(prototypes) // 2
    ratio = torch.logsumexp(likeness[..., :half], -1) - torch.logsumexp(likeness[..., half:], -1)
    return ratio * (4 / SHARPNESS)


def _drop(rows: torch.Tensor, draw: torch.Generator) -> torch.Tensor:
    """Leave out words by chance, of texts with more than two."""
    import torch

    several = (rows >= 0).sum(1, keepdim=True) > 2
    gone = (torch.rand(rows.shape, generator=draw) < DROPPED) & several
    kept = rows.masked_fill(gone, -1)
    return kept.gather(1, torch.sort((kept < 0).int(), dim=1, stable=True).indices)


def pad(rows: list[list[int]]) -> torch.Tensor:
    import torch

    padded = torch.full((len(rows), LENGTH), -1)
    for i, row in enumerate(rows):
        padded[i, : len(row[:LENGTH])] = torch.tensor(row[:LENGTH])
    return padded


def _start(vectors: WordVectors, texts: Labelled, config: Config) -> NDArray[np.float64]:
    """Return centroids, (2, 2K, dimensions): of messages, then of words, the medical side first.

    Half of a side's message centroids come from the written examples: few as they are, they say
    what the corpora do not, and would have no centroid of their own.
    """
    import numpy as np

    draw, k = np.random.default_rng(config.seed), config.gate.prototypes
    means = np.array([vectors.weights[row] @ vectors.unit_rows(row) for row in texts.rows])
    medical, everyday = _telling_words(vectors, texts)
    messages, words = [], []
    for value, side, telling in zip((1.0, 0.0), SIDES, (medical, everyday), strict=True):
        corpora = means[texts.y == value]
        written = [vectors.mean(words_of(text)) for text in config.examples.get(side, [])]
        some = np.array(written or corpora)
        messages += [k_means(corpora, k - k // 2, draw), k_means(some, k // 2, draw)]
        words.append(k_means(telling, k, draw))
    return np.array([np.vstack(messages), np.vstack(words)])


def _telling_words(vectors: WordVectors, texts: Labelled) -> list[NDArray[np.float64]]:
    """Return the vectors of the words that tell medical texts from everyday ones, and the reverse.

    A word tells when its log ratio is twice its standard error (Monroe, Colaresi and Quinn,
    "Fightin' Words", Political Analysis 2008).
    """
    import numpy as np

    counts = np.full((2, len(vectors)), 0.5)
    for row, value in zip(texts.rows, texts.y, strict=True):
        counts[int(value), row] += 1
    share = counts / counts.sum(1, keepdims=True)
    z = np.log(share[1] / share[0]) / np.sqrt((1 / counts).sum(0))
    units = vectors.unit_rows(range(len(vectors)))
    return [units[z > 2], units[z < -2]]


def k_means(
    points: NDArray[np.float64], k: int, draw: np.random.Generator, rounds: int = 15
) -> NDArray[np.float64]:
    """Return k centres (k, dimensions) of length 1 by cosine; random directions without points."""
    import numpy as np

    if len(points) < k:
        points = draw.standard_normal((k, points.shape[1]))
    points = points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-12)
    centres = points[draw.choice(len(points), k, replace=False)]
    for _ in range(rounds):
        nearest = (points @ centres.T).argmax(1)
        for j in np.unique(nearest):
            centres[j] = points[nearest == j].sum(0)
        centres /= np.maximum(np.linalg.norm(centres, axis=1, keepdims=True), 1e-12)
    return centres


def calibrate(gate: Gate, texts: Labelled) -> Gate:
    """Return the gate with its logits stretched and shifted to fit held-out texts (Platt)."""
    import numpy as np

    if len(set(texts.y)) < 2:
        return gate
    texts = balanced(texts)
    logits = np.array([gate.features(row)[0] @ gate.weights + gate.bias for row in texts.rows])
    x = np.stack([logits, np.ones_like(logits)], 1)
    line = np.array([1.0, 0.0])
    for _ in range(25):
        p = 1 / (1 + np.exp(-np.clip(x @ line, -40, 40)))
        slope = x.T @ (texts.weight * (p - texts.y)) + 1e-3 * (line - [1, 0])
        curve = (x * (texts.weight * p * (1 - p))[:, None]).T @ x + 1e-3 * np.eye(2)
        line = line - np.linalg.solve(curve, slope)
    gate.weights, gate.bias = gate.weights * line[0], gate.bias * float(line[0]) + float(line[1])
    say(f"calibrated on {len(logits):,} held-out texts: slope {line[0]:.2f}, shift {line[1]:.2f}")
    return gate


def recall(gate: Gate, texts: list[str], side: str) -> float:
    """Return the part of the texts that the gate puts on this side."""
    medical = [gate.score(text, explain=0).probability >= 0.5 for text in texts]
    right: Any = sum(medical) if side == "medical" else len(medical) - sum(medical)
    return float(right / len(texts))
