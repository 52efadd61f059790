"""Where prototypes start: k-means centroids of either side's messages, words and words in context."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fsmbot.vectors import WordVectors
from trainer.labelled import Labelled
from trainer.vectors_config import Config

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Points = NDArray[np.float64]

TEXTS, POINTS = 6_000, 12_000
"""How many texts of a side, and at most how many points of them, are clustered."""


def start(vectors: WordVectors, texts: Labelled, config: Config) -> list[Points]:
    """Return centroids of length 1 of texts and words (2K, dimensions) and contexts (2K, 3 x ...).

    The medical half comes first. Texts are drawn as often as they count.
    """
    import numpy as np

    from trainer.gate_features import Words, contexts

    draw, words = np.random.default_rng(config.seed), Words.of(vectors)
    halves: list[list[Points]] = []
    for value in (1.0, 0.0):
        chance = texts.weight * (texts.y == value)
        chosen = draw.choice(len(texts.y), TEXTS, p=chance / chance.sum())
        rows = [texts.rows[i] for i in chosen]
        whole = np.array([vectors.weights[row] @ vectors.unit_rows(row) for row in rows])
        alone = vectors.unit_rows([place for row in rows for place in row])
        around = contexts(rows, words).double().numpy()
        halves.append([k_means(points, config.gate.prototypes, draw) for points in (whole, alone, around)])
    return [np.vstack(both) for both in zip(*halves, strict=True)]


def k_means(points: Points, k: int, draw: np.random.Generator, rounds: int = 10) -> Points:
    """Return k centres (k, dimensions) of length 1 by cosine; random directions without points.

    Lloyd's rounds on the unit sphere (Dhillon and Modha, "Concept Decompositions for Large Sparse
    Text Data Using Clustering", Machine Learning 2001), over at most POINTS points.
    """
    import numpy as np

    if len(points) < k:
        points = draw.standard_normal((k, points.shape[1]))
    points = points[draw.permutation(len(points))[:POINTS]]
    points = points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-12)
    centres = points[:k].copy()
    for _ in range(rounds):
        nearest = (points @ centres.T).argmax(1)
        for j in np.unique(nearest):
            centres[j] = points[nearest == j].sum(0)
        centres /= np.maximum(np.linalg.norm(centres, axis=1, keepdims=True), 1e-12)
    return centres
