"""The medical score: how much nearer a message is to medical than to everyday prototypes.

Prototypes are learned in training (`trainer/gate.py`), half of them medical and half everyday, in
three sets: for stretches of words, for single words, and for words in context (a word with its two
neighbours in order, so that "heart of" differs from "my heart"). The margin of a vector is its soft
maximal cosine similarity to the medical half less that to the everyday half, as in learning vector
quantization with a soft maximum (Seo and Obermayer, "Soft Learning Vector Quantization", Neural
Computation 2003). The score adds eight margins, FEATURES:

    message     of the weighted sum of all words
    stretch     of the most medical 8 words in a row, for a long story with one complaint in it
    word, context: the most medical (a soft maximum), the most everyday, and the mean

and squashes the sum by a logistic, calibrated on held-out texts with as many medical as everyday
ones, so 0.5 means as likely as not.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from fsmbot.vectors.files import (
    LARGEST,
    MAX_SETTINGS,
    broken,
    check_format,
    open_array,
    read_array,
    read_json,
)
from fsmbot.vectors.prototypes import EVERYDAY, MEDICAL
from fsmbot.vectors.tokens import words_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from fsmbot.vectors.store import Floats, WordVectors

FORMAT, VERSION = "fsmbot-gate", 2
PARTS = ("stretch", "word", "before", "here", "after")
"""The blocks of prototypes.npy; a prototype of a word in context has the last three."""
FEATURES = (
    *("message", "stretch", "word_most", "word_least", "word_mean"),
    *("context_most", "context_least", "context_mean"),
)


@dataclass(frozen=True)
class Score:
    """probability: 0..1 that the message is medical; words: what moved it most, in log odds."""

    probability: float
    words: tuple[tuple[str, float], ...] = ()


class _Settings(msgspec.Struct):
    """gate.json."""

    format: str
    version: int
    weights: dict[str, float]


class Gate:
    """Scores messages over one set of vectors.

    prototypes: (5, 2K, dimensions), int8 as training writes them: one block for each of PARTS; the
    first K are medical.
    weights: one for each of FEATURES, and "bias".
    """

    def __init__(self, vectors: WordVectors, prototypes: NDArray[np.int8], weights: dict[str, float]) -> None:
        import numpy as np

        from fsmbot.vectors.margins import Prototypes, Weights

        self.vectors, self.bias = vectors, float(weights["bias"])
        self.weights: Floats = np.array([weights[name] for name in FEATURES], dtype=np.float64)
        self._weights = Weights(self.weights)
        self._prototypes = Prototypes(prototypes, vectors.rows, vectors.weights)

    @classmethod
    def load(cls, vectors: WordVectors, folder: Path) -> Gate:
        """Read gate.json and prototypes.npy, or fall back on word lists. Raises VectorsError."""
        path = folder / "gate.json"
        if not path.exists():
            return cls.from_word_lists(vectors)
        settings = read_json(path, _Settings, MAX_SETTINGS)
        check_format(path, (settings.format, settings.version), (FORMAT, VERSION))
        _check_weights(path, settings.weights)
        return cls(vectors, _read_prototypes(folder / "prototypes.npy", vectors), settings.weights)

    @classmethod
    def from_word_lists(
        cls, vectors: WordVectors, medical: Iterable[str] = MEDICAL, everyday: Iterable[str] = EVERYDAY
    ) -> Gate:
        """Make prototypes of two lists of words, for vectors that came without any."""
        import numpy as np

        halves = [vectors.unit_rows(vectors.find_all(words)) for words in (medical, everyday)]
        size = min(len(half) for half in halves)
        # With no list word known there is nothing to compare with: every score is then even.
        both = np.concatenate([half[:size] for half in halves])
        if not size:
            both = np.zeros((2, vectors.dimensions))
        blocks = np.stack([both, both, 0 * both, both, 0 * both]) * 127
        weights = dict.fromkeys(FEATURES, 0.0) | {"message": 4.0, "stretch": 1.0, "bias": 0.0}
        weights |= {"word_mean": 3.0, "word_most": 2.0, "word_least": 2.0}
        return cls(vectors, np.round(blocks).astype(np.int8), weights)

    def score(self, text: str, *, explain: int = 4) -> Score:
        """Return the probability that a text is medical, and the `explain` most telling words.

        A text without any known word scores 0.0: nothing speaks for it.
        """
        words = words_of(text)
        found = self.vectors.find_each(words)
        if None in found:
            words = [word for word, row in zip(words, found, strict=True) if row is not None]
        rows = [row for row in found if row is not None]
        if not rows:
            return Score(0.0)
        features, pulls = self.features(rows)
        probability = _logistic(float(features @ self.weights) + self.bias)
        strengths = pulls.tolist()
        telling: dict[str, float] = {}
        for place in abs(pulls).argsort()[::-1].tolist():
            if len(telling) == explain:
                break
            if words[place] not in telling:
                telling[words[place]] = round(strengths[place], 2)
        return Score(probability, tuple(telling.items()))

    def features(self, rows: list[int]) -> tuple[Floats, Floats]:
        """Return the margins in the order of FEATURES, and how much each word moves the log odds."""
        return self._weights.pool(self._prototypes.margins(rows))


def _logistic(logit: float) -> float:
    return 1 / (1 + math.exp(-max(-60.0, min(60.0, logit))))


def _read_prototypes(path: Path, vectors: WordVectors) -> NDArray[Any]:
    mapped = open_array(path, dimensions=3)
    if mapped.shape[0] != len(PARTS) or mapped.shape[1] % 2 or not mapped.shape[1]:
        raise broken(path, f"its shape is {mapped.shape}")
    if mapped.shape[2] != vectors.dimensions:
        raise broken(path, "it was made for other vectors")
    return read_array(path, mapped)


def _check_weights(path: Path, weights: dict[str, float]) -> None:
    names = {*FEATURES, "bias"}
    if set(weights) != names:
        raise broken(path, f"'weights' must give {', '.join(sorted(names))}")
    if not all(abs(value) < LARGEST for value in weights.values()):
        raise broken(path, f"'weights' must be numbers below {LARGEST:g}")
