"""The arithmetic of the medical score: words compared with prototypes, and margins pooled.

Unlike its neighbours this module imports numpy at the top: `Gate` imports it when it is made.

The same text has the same score on every platform, to 1e-6. Words and prototypes in context are int8,
so their dot products are whole numbers that float32 holds exactly (below 2**24, which 1,000 dimensions
do not reach), in whatever order they are summed; what follows is float64, or single operations.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]

SHARPNESS = 20.0
"""How much the nearest prototypes outweigh the others in a margin."""
SCALE = 4 / SHARPNESS
"""What margins are multiplied by, which brings most of them between -2 and 2."""
SPREAD = 4.0
"""How much the strongest words outweigh the others in the most and the least of them."""
WINDOW, STRIDE = 8, 4
"""A stretch is WINDOW words in a row; the next one starts STRIDE words later."""
LIGHTEST = 0.3
"""Words that weigh less than this together are not made up for in their mean."""
TINY = 1e-24
"""Keeps a vector of zeros from being divided by zero."""


class Margins(NamedTuple):
    """The margins of one message.

    stretches: of all of it, then of its stretches. words: (2, n), weighted, alone and in context.
    totals: the weight of all words, and their number.
    """

    stretches: Floats
    words: Floats
    totals: Floats


class Prototypes:
    """Prototypes as columns, ready to be compared with words.

    blocks: (5, 2K, dimensions), int8: of stretches, of words alone, and the three parts of words in
    context: the word before, the word itself, the word after. The first K are medical.
    """

    def __init__(self, blocks: NDArray[Any], rows: NDArray[Any], weights: Floats) -> None:
        self._rows, self._weights = rows, weights
        stretch, word, *context = blocks.astype(np.float64)
        self._stretch = np.ascontiguousarray(_unit(stretch).T) * SHARPNESS
        self._word = np.ascontiguousarray(_unit(word).T) * SHARPNESS
        self._context = np.ascontiguousarray(np.vstack(context).T, dtype=np.float32)
        self._sharpness = (SHARPNESS / _lengths(np.hstack(context))).astype(np.float32)
        # What is the same of a word in every message is computed when it first occurs: its weight,
        # weight over length, the root of the weight over length, and its weighted margin alone.
        self._facts = np.zeros((len(rows), 4))
        self._met: set[int] = set()

    def margins(self, rows: list[int]) -> Margins:
        """Compare a message, given by the rows of its words."""
        if not self._met.issuperset(rows):
            self._meet(rows)
        count, places = len(rows), np.array(rows)
        vectors = self._rows.take(places, 0)
        weight, share, root, alone = self._facts.take(places, 0).T
        inside = _inside(count)
        stretches = (inside * share) @ vectors.astype(np.float64)
        likeness = np.empty((len(inside) + count, self._stretch.shape[1]))
        np.divide(stretches @ self._stretch, _lengths(stretches)[:, None], likeness[: len(inside)])
        dots = vectors.astype(np.float32) @ self._context
        in_context = _in_context(dots, weight, root)
        np.multiply(in_context, self._sharpness, likeness[len(inside) :])
        margins = _margin(likeness)
        words = np.array((alone, margins[len(inside) :]))
        totals = np.array((max(np.add.reduce(weight), LIGHTEST), count))
        return Margins(margins[: len(inside)], words, totals)

    def _meet(self, rows: list[int]) -> None:
        exact, weight = self._rows[rows].astype(np.float64), self._weights[rows]
        length = _lengths(exact)
        alone = weight * _margin((exact @ self._word) / length[:, None])
        self._facts[rows] = np.stack([weight, weight / length, np.sqrt(weight) / length, alone], 1)
        self._met.update(rows)


class Weights:
    """How much each feature counts: of the message and its strongest stretch, then of each kind of word.

    values: (8,); of words alone and of words in context, the most, the least and the mean.
    """

    def __init__(self, values: Floats) -> None:
        by_kind = values[2:].reshape(2, 3).T
        self._extremes, self._mean = by_kind[:2].copy(), by_kind[2].copy()

    def pool(self, margins: Margins) -> tuple[Floats, Floats]:
        """Return the features, and how much each word moves their weighted sum: (8,), (n,).

        A pooled margin is shared out among the words as its soft maximum weighs them.
        """
        stretches, words, totals = margins
        raised = np.empty((2, *words.shape))  # for the most and, inverted, for the least
        np.exp(SPREAD * words, raised[0])
        np.divide(1, raised[0], raised[1])
        sums = np.add.reduce(raised, 2)
        most, least = (np.log(sums) / SPREAD).tolist()
        mean = (np.add.reduce(words, 1) / totals).tolist()
        features = [stretches[0], stretches[1:].max()]
        for kind in (0, 1):
            features += [most[kind], -least[kind], mean[kind]]
        raised *= (self._extremes / sums)[:, :, None]
        shares = raised[0] + raised[1]
        shares += (self._mean / totals)[:, None]
        shares *= words
        return np.array(features), np.add.reduce(shares, 0)


def _margin(likeness: Floats) -> Floats:
    """Return soft-maximal likeness to the first half of the prototypes less the second: (n,).

    likeness: (n, 2K), which is overwritten.
    """
    count, both = likeness.shape
    halves = np.add.reduce(np.exp(likeness, likeness).reshape(count, 2, both // 2), 2)
    ratio: Floats = np.log(halves[:, 0] / halves[:, 1])
    ratio *= SCALE
    return ratio


def _in_context(dots: Floats32, weight: Floats, root: Floats) -> Floats32:
    """Return the likeness of each word between its neighbours, (n, 2K), to prototypes of length 1.

    dots: (n, 3 x 2K), of each word with the prototypes' three parts; root: the square root of its
    weight, by which a word counts, over its length. So three words together have the square root of
    the sum of their weights for length.
    """
    size = dots.shape[1] // 3
    dots *= root.astype(np.float32)[:, None]
    likeness = dots[:, size : 2 * size]
    likeness[1:] += dots[:-1, :size]
    likeness[:-1] += dots[1:, 2 * size :]
    squares = weight.copy()
    squares[1:] += weight[:-1]
    squares[:-1] += weight[1:]
    likeness /= np.sqrt(squares).astype(np.float32)[:, None]
    return likeness


def _inside(count: int) -> Floats:
    """Return which of `count` words are in the message and in each stretch: (1 + stretches, count)."""
    return _few_inside(count) if count <= 100 else _make_inside(count)


def _make_inside(count: int) -> Floats:
    places = np.arange(count)
    starts = np.arange(0, max(count - STRIDE, 1), STRIDE)[:, None]
    inside = np.ones((len(starts) + 1, count))
    inside[1:] = (places >= starts) & (places < starts + WINDOW)
    return inside


_few_inside = lru_cache(maxsize=100)(_make_inside)
"""Most messages are short, and of few lengths: 100 of these tables take less than 1 MB."""


def _lengths(rows: Floats) -> Floats:
    lengths: Floats = np.sqrt(np.einsum("ij,ij->i", rows, rows) + TINY)
    return lengths


def _unit(rows: Floats) -> Floats:
    return rows / _lengths(rows)[:, None]
