"""The medical score: how much nearer a message is to medical than to everyday prototypes.

Two sets of prototypes, learned in training (`trainer/gate.py`), half medical and half everyday: one
for whole messages, one for single words. The margin of a vector is the difference of its soft
maximal cosine similarity to the medical and to the everyday half, as in learning vector
quantization with a soft maximum (Seo and Obermayer, "Soft Learning Vector Quantization", Neural
Computation 2003). The score adds five margins:

    sentence    of the weighted mean of all words
    window      of the most medical stretch of 8 words, for a long story with one complaint in it
    mean        of the words, weighted
    strongest   of the most medical word (a soft maximum), for "fever?"
    weakest     of the most everyday word, for "my computer has a virus"

and squashes the sum by a logistic, calibrated on held-out texts with as many medical as everyday
ones, so 0.5 means as likely as not. All arithmetic is float64: platforms agree far below 1e-6.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fsmbot.vectors.prototypes import EVERYDAY, MEDICAL
from fsmbot.vectors.store import broken, read_array, read_json
from fsmbot.vectors.tokens import words_of

if TYPE_CHECKING:
    from fsmbot.vectors.store import Floats, WordVectors

FORMAT, VERSION = "fsmbot-gate", 1
FEATURES = ("sentence", "window", "mean", "strongest", "weakest")
SHARPNESS = 20.0
"""How much the nearest prototypes outweigh the others in a margin."""
SPREAD = 4.0
"""How much the strongest words outweigh the others in `strongest` and `weakest`."""
WINDOW, STRIDE = 8, 4


@dataclass(frozen=True)
class Score:
    """probability: 0..1 that the message is medical; words: what moved it most, with their pull."""

    probability: float
    words: tuple[tuple[str, float], ...] = ()


class Gate:
    """Scores messages over one set of vectors.

    prototypes: (2, 2K, dimensions): for messages, then for words; the first K are medical.
    weights: one for each of FEATURES, and "bias".
    """

    def __init__(self, vectors: WordVectors, prototypes: Floats, weights: dict[str, float]) -> None:
        import numpy as np

        self.vectors = vectors
        self.messages, self.words = (_unit(half) for half in prototypes)
        self.weights: Floats = np.array([weights[name] for name in FEATURES], dtype=np.float64)
        self.bias = float(weights["bias"])

    @classmethod
    def load(cls, vectors: WordVectors, folder: Path) -> Gate:
        """Read gate.json and prototypes.npy, or fall back on word lists. Raises VectorsError."""
        path = folder / "gate.json"
        if not path.exists():
            return cls.from_word_lists(vectors)
        settings = read_json(path, FORMAT, VERSION)
        prototypes = read_array(folder / "prototypes.npy", dimensions=3)
        if prototypes.shape[0] != 2 or prototypes.shape[1] % 2 or not prototypes.shape[1]:
            raise broken(folder / "prototypes.npy", f"its shape is {prototypes.shape}")
        if prototypes.shape[2] != vectors.dimensions:
            raise broken(folder / "prototypes.npy", "it was made for other vectors")
        return cls(vectors, prototypes.astype(float), _read_weights(path, settings))

    @classmethod
    def from_word_lists(cls, vectors: WordVectors) -> Gate:
        """Make prototypes of two lists of words, for vectors that came without any."""
        import numpy as np

        halves = [vectors.unit_rows(vectors.find_all(words)) for words in (MEDICAL, EVERYDAY)]
        size = min(len(half) for half in halves)
        # With no list word known there is nothing to compare with: every score is then even.
        both = np.concatenate([half[:size] for half in halves])
        if not size:
            both = np.zeros((2, vectors.dimensions))
        weights = {"sentence": 4.0, "window": 1.0, "mean": 3.0, "strongest": 2.0, "weakest": 2.0}
        return cls(vectors, np.stack([both, both]), {**weights, "bias": 0.0})

    def score(self, text: str, *, explain: int = 4) -> Score:
        """Return the probability that a text is medical, and the `explain` most telling words.

        A text without any known word scores 0.0: nothing speaks for it.
        """
        words = words_of(text)
        found = [(word, row) for word in words if (row := self.vectors.find(word)) is not None]
        if not found:
            return Score(0.0)
        features, pulls = self.features([row for _, row in found])
        logit = float(features @ self.weights) + self.bias
        strength = {word: float(pull) for (word, _), pull in zip(found, pulls, strict=True)}
        telling = sorted(strength.items(), key=lambda item: -abs(item[1]))[:explain]
        return Score(_logistic(logit), tuple((word, round(pull, 2)) for word, pull in telling))

    def features(self, rows: list[int]) -> tuple[Floats, Floats]:
        """Return the five margins in the order of FEATURES, and each word's weighted margin."""
        import numpy as np

        units, weights = self.vectors.unit_rows(rows), self.vectors.weights[rows]
        weighted = units * weights[:, None]
        margins = margin(_unit(_stretches(weighted)), self.messages)
        pulls = margin(units, self.words) * weights
        mean = pulls.sum() / max(weights.sum(), 0.3)
        most, least = _soft_maximum(pulls), -_soft_maximum(-pulls)
        return np.array([margins[0], margins[1:].max(), mean, most, least]), pulls


def margin(units: Floats, prototypes: Floats) -> Floats:
    """Return soft-maximal similarity to the first half of the prototypes less the second.

    units: (n, dimensions), of length 1; the result: (n,), positive where medical is nearer.
    """
    import numpy as np

    half = len(prototypes) // 2
    likeness = np.exp(SHARPNESS * (units @ prototypes.T))
    ratio: Floats = np.log(likeness[:, :half].sum(1) / likeness[:, half:].sum(1))
    ratio *= 4 / SHARPNESS
    return ratio


def _stretches(weighted: Floats) -> Floats:
    """Return the sum of all rows, then the sums of overlapping stretches of WINDOW rows.

    With no more rows than that, the one stretch is the whole.
    """
    import numpy as np

    count = len(weighted)
    if count <= WINDOW:
        whole: Floats = weighted.sum(0, keepdims=True).repeat(2, axis=0)
        return whole
    places = np.arange(count)
    starts = np.arange(0, count - WINDOW + STRIDE, STRIDE)[:, None]
    inside = (places >= starts) & (places < starts + WINDOW)
    chosen = np.concatenate([np.ones((1, count)), inside])
    stretches: Floats = chosen @ weighted
    return stretches


def _unit(rows: Floats) -> Floats:
    import numpy as np

    lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows))
    unit: Floats = rows / np.maximum(lengths, 1e-12)[:, None]
    return unit


def _soft_maximum(values: Floats) -> float:
    """Return log-sum-exp at SPREAD; no overflow, since margins stay below 10."""
    import numpy as np

    return float(np.log(np.exp(SPREAD * values).sum()) / SPREAD)


def _logistic(logit: float) -> float:
    return 1 / (1 + math.exp(-max(-60.0, min(60.0, logit))))


def _read_weights(path: Path, settings: dict[str, Any]) -> dict[str, float]:
    weights = settings.get("weights")
    names = {*FEATURES, "bias"}
    if not isinstance(weights, dict) or set(weights) != names:
        raise broken(path, f"'weights' must give {', '.join(sorted(names))}")
    if not all(type(value) in (int, float) and math.isfinite(value) for value in weights.values()):
        raise broken(path, "'weights' must be finite numbers")
    return weights
