"""Learn the gate's prototypes from labelled texts, and calibrate its score.

Prototypes start as k-means centroids and are then moved by gradient descent on the log loss of the
score that `fsmbot.vectors` computes; `trainer/gate_features.py` is the same arithmetic in torch. A
last step fits two numbers on texts kept apart (Platt, "Probabilistic Outputs for Support Vector
Machines", 1999).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fsmbot.errors import MissingExtra
from fsmbot.vectors import Gate, WordVectors
from fsmbot.vectors.gate import FEATURES, FORMAT, VERSION
from trainer.labelled import Labelled, balanced
from trainer.terminal import say
from trainer.vectors_config import Config

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

RATE, WEIGHTS_RATE = 4e-3, 2e-2
"""Step sizes for the prototypes and for the weights of the features."""
ANCHOR = 0.05
"""Cost of moving a prototype: it is to stay what its half of the gate stands for."""
DROPPED = 0.1
"""Chance that a word is left out in one epoch, so that no single word is relied on."""
DOUBT = 0.02
"""Labels are this far from 0 and 1, since some texts of either side are on the wrong one."""
BATCH = 512
FEWEST = 20
"""Held-out texts of either side without which there is no calibration."""
ALONE = 0.4
"""Cost of a part of the score (message, words, words in context) that is wrong by itself.

Without it the parts balance out offsets of one another, and what a word adds cannot be told.
"""


def train_gate(vectors: WordVectors, labelled: Labelled, config: Config, out: Path) -> Gate:
    """Fit prototypes and weights, write gate.json and prototypes.npy to `out`, return the gate."""
    import numpy as np

    apart = np.random.default_rng(config.seed).random(len(labelled.y)) < config.gate.held_out
    prototypes, weights = _fit(vectors, labelled.part(~apart), config)
    stretch, shift = calibration(Gate(vectors, prototypes, weights), labelled.part(apart & labelled.whole))
    weights = {name: stretch * weight for name, weight in weights.items()}
    weights["bias"] += shift
    np.save(out / "prototypes.npy", prototypes, allow_pickle=False)
    settings = {"format": FORMAT, "version": VERSION, "weights": weights}
    (out / "gate.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    return Gate(vectors, prototypes, weights)


def _fit(vectors: WordVectors, texts: Labelled, config: Config) -> tuple[NDArray[np.int8], dict[str, float]]:
    """Return prototypes (5, 2K, dimensions) and the weights of the score."""
    try:
        import torch
        from torch.nn.functional import binary_cross_entropy_with_logits as log_loss
    except ImportError:
        raise MissingExtra("torch", "train", "learning prototypes") from None
    from trainer.gate_features import Words, features, pad
    from trainer.gate_start import start

    torch.set_num_threads(1)  # sums in one order: the same seed gives the same file
    draw, words = torch.Generator().manual_seed(config.seed), Words.of(vectors)
    begun = [torch.tensor(part, dtype=torch.float32) for part in start(vectors, texts, config)]
    prototypes = [part.clone().requires_grad_() for part in begun]
    weights = torch.full((len(FEATURES) + 1,), 2.0)
    weights[-1] = 0.0
    weights.requires_grad_()
    adam = torch.optim.Adam([{"params": prototypes, "lr": RATE}, {"params": [weights], "lr": WEIGHTS_RATE}])
    padded, y = pad(texts.rows), torch.tensor(texts.y, dtype=torch.float32)
    count = torch.tensor(texts.weight, dtype=torch.float32)
    steps = config.gate.epochs * -(-len(y) // BATCH)
    # Steps that shrink to nothing settle the prototypes, so that no last batch decides a score.
    fade = torch.optim.lr_scheduler.LinearLR(adam, 1.0, 0.02, max(steps - 1, 1))
    for epoch in range(config.gate.epochs):
        total = 0.0
        for batch, rows in _batches(padded, draw):
            terms = features(_drop(rows, draw), words, prototypes) * weights[:-1]
            wanted = y[batch] * (1 - 2 * DOUBT) + DOUBT
            loss = (log_loss(terms.sum(1) + weights[-1], wanted, reduction="none") * count[batch]).mean()
            total += float(loss.detach()) * len(batch)
            for part in torch.split(terms, [2, 3, 3], 1):
                alone = log_loss(3 * part.sum(1) + weights[-1], wanted, reduction="none")
                loss = loss + ALONE * (alone * count[batch]).mean()
            for part, before in zip(prototypes, begun, strict=True):
                loss = loss + ANCHOR * (part - before).square().sum(-1).mean()
            adam.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch's own gap
            adam.step()
            fade.step()
        say(f"gate epoch {epoch + 1} of {config.gate.epochs}: loss {total / len(y):.4f}")
    found = dict(zip((*FEATURES, "bias"), weights.tolist(), strict=True))
    return _in_blocks([part.detach().double().numpy() for part in prototypes]), found


def _batches(padded: torch.Tensor, draw: torch.Generator) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield the places and the rows of random batches, of texts about as long as one another."""
    import torch

    lengths = (padded >= 0).sum(1)
    batches: list[torch.Tensor] = []
    for some in torch.split(torch.randperm(len(padded), generator=draw), 40 * BATCH):
        batches += torch.split(some[torch.argsort(lengths[some], stable=True)], BATCH)
    for i in torch.randperm(len(batches), generator=draw).tolist():
        yield batches[i], padded[batches[i], : int(lengths[batches[i]].max())]


def _drop(rows: torch.Tensor, draw: torch.Generator) -> torch.Tensor:
    """Leave out words by chance, of texts with more than two."""
    import torch

    several = (rows >= 0).sum(1, keepdim=True) > 2
    gone = (torch.rand(rows.shape, generator=draw) < DROPPED) & several
    gone &= (~gone & (rows >= 0)).any(1, keepdim=True)  # but never all of a text
    kept = rows.masked_fill(gone, -1)
    return kept.gather(1, torch.sort((kept < 0).int(), dim=1, stable=True).indices)


def _in_blocks(prototypes: list[NDArray[np.float64]]) -> NDArray[np.int8]:
    """Return prototypes as int8, in five blocks (5, 2K, dimensions).

    prototypes: of stretches and words (2K, dimensions), of words in context (2K, 3 x dimensions).
    """
    import numpy as np

    stretch, word, context = map(quantize, prototypes)
    return np.array([stretch, word, *np.hsplit(context, 3)])


def quantize(rows: NDArray[Any]) -> NDArray[np.int8]:
    """Return rows as int8, each scaled by its largest entry: directions stay, lengths go."""
    import numpy as np

    largest = np.maximum(np.abs(rows).max(axis=1, keepdims=True), 1e-12)
    small: NDArray[np.int8] = np.round(rows / largest * 127).astype(np.int8)
    return small


def calibration(gate: Gate, texts: Labelled) -> tuple[float, float]:
    """Return by what to stretch and to shift the gate's log odds, to fit held-out texts (Platt).

    Here a text counts once, written example or not: the examples are harder than what people ask.
    """
    import numpy as np
    from scipy.optimize import minimize

    if min((texts.y == side).sum() for side in (0, 1)) < FEWEST:
        return 1.0, 0.0
    texts = balanced(replace(texts, weight=np.ones_like(texts.weight)))
    logits = np.array([gate.features(row)[0] @ gate.weights + gate.bias for row in texts.rows])
    # Platt's targets: not quite 0 and 1, so that a few texts without a mistake prove no certainty.
    medical, everyday = texts.y.sum(), (1 - texts.y).sum()
    wanted = np.where(texts.y == 1, (medical + 1) / (medical + 2), 1 / (everyday + 2))

    def log_loss(line: NDArray[np.float64]) -> float:
        odds = line[0] * logits + line[1]
        return float((texts.weight * (np.logaddexp(0, odds) - wanted * odds)).mean())

    line = minimize(log_loss, [1.0, 0.0]).x
    say(f"calibrated on {len(logits):,} held-out texts: stretch {line[0]:.2f}, shift {line[1]:.2f}")
    return float(line[0]), float(line[1])


def recall(gate: Gate, texts: list[str], side: str) -> float:
    """Return the part of the texts that the gate puts on this side."""
    medical = [gate.score(text, explain=0).probability >= 0.5 for text in texts]
    right: Any = sum(medical) if side == "medical" else len(medical) - sum(medical)
    return float(right / len(texts))
