"""WordVectors: words, their directions as small integers, and how telling each word is.

A folder of vectors holds

    vectors.npy     int8 (or float16, float32), one row a word
    vocab.json      {"format": "fsmbot-vectors", "version": 1, "words": [...], "common": [...]}
    gate.json, prototypes.npy    what the medical score compares with; optional, see gate.py

`common` counts a word's occurrences per ten million words on the side, medical or everyday, where
it is rarer: high for "the" and "have", low for "fever" and for "guitar". It is the p(w) of SIF
weights (Arora, Liang, Ma, "A Simple but Tough-to-Beat Baseline for Sentence Embeddings", ICLR 2017,
https://openreview.net/forum?id=SyK00v5xx), taken so that topical words keep their weight.
Only directions are kept, so int8 rows need no scale, and every read vector has length 1.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from fsmbot.errors import MissingExtra, VectorsError
from fsmbot.plainfile import read_plain
from fsmbot.vectors.files import BROKEN, broken, check_format, open_array, read_array
from fsmbot.vectors.spelling import Speller, shorter_runs

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from fsmbot.vectors.gate import Gate

    Floats = NDArray[np.float64]

FORMAT, VERSION = "fsmbot-vectors", 1
COMMON_SCALE = 10_000_000
SMOOTHING = 1e-3
"""The `a` of SIF weights a / (a + p(w))."""

MAX_VOCABULARY = 1 << 28
"""Bytes of a vocab.json; ten million words take less."""

SPELLED = 15_000
"""How many of the first words a misspelled one may stand for; rarer ones are often misspelled."""

REMEMBERED = 1_000
"""How many unknown words it is remembered of what they were meant to be."""


class WordVectors:
    """Read-only word vectors.

    words: the vocabulary; rows: (words, dimensions), int8 or float; common: p(w) per word, 0..1.
    `gate` may be given; else it is read from the folder, or made from word lists when first used.
    Raises VectorsError when the three do not fit together.
    """

    def __init__(
        self,
        words: Sequence[str],
        rows: NDArray[Any],
        common: Sequence[float] | NDArray[Any],
        *,
        folder: Path | None = None,
    ) -> None:
        import numpy as np

        self.words, self.rows, self.folder = tuple(words), rows, folder
        self.weights: Floats = SMOOTHING / (SMOOTHING + np.asarray(common, dtype=np.float64))
        self._index = {word: i for i, word in enumerate(self.words)}
        self._meant: dict[str, int | None] = {}
        _check_fit(self, str(folder or "word vectors"))

    @classmethod
    def load(cls, path: str | Path) -> WordVectors:
        """Read a folder of vectors, or a word2vec file (text or binary).

        Raises VectorsError naming the file and what to do, MissingExtra without numpy.
        """
        path = Path(path)
        try:
            import numpy  # noqa: F401  (only to say in one line what to install)
        except ImportError:
            raise MissingExtra("numpy", "gate", "comparing words") from None
        if os.path.isdir(path):  # False for a name that no file can have
            return _load_folder(path)
        from fsmbot.vectors.word2vec import load_word2vec

        return load_word2vec(path)

    @property
    def dimensions(self) -> int:
        """The length of a vector."""
        return int(self.rows.shape[1])

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: str) -> bool:
        return word in self._index

    def find(self, word: str) -> int | None:
        """Return the row of a word, or of the known word it was probably meant to be, or None."""
        row = self._index.get(word)
        if row is not None:
            return row
        if word not in self._meant:
            if len(self._meant) >= REMEMBERED:
                self._meant.clear()
            self._meant[word] = self._guess(word)
        return self._meant[word]

    def _guess(self, word: str) -> int | None:
        for other in shorter_runs(word):
            if other in self._index:
                return self._index[other]
        meant = self._speller.nearest(word)
        return None if meant is None else self._index[meant]

    def find_each(self, words: Iterable[str]) -> list[int | None]:
        """Return what `find` says of each word."""
        found = list(map(self._index.get, words := list(words)))
        if None in found:
            found = [self.find(word) if row is None else row for word, row in zip(words, found, strict=True)]
        return found

    def find_all(self, words: Iterable[str]) -> list[int]:
        """Return the rows of the words that are known."""
        return [row for row in self.find_each(words) if row is not None]

    def unit_rows(self, rows: Sequence[int]) -> Floats:
        """Return the vectors of these rows, each of length 1: (rows, dimensions), float64."""
        import numpy as np

        found: Floats = self.rows[list(rows)].astype(np.float64)
        lengths = np.sqrt(np.einsum("ij,ij->i", found, found))
        found /= np.maximum(lengths, 1e-12)[:, None]
        return found

    def vector(self, word: str) -> Floats | None:
        """Return the word's vector of length 1, or None when no near spelling is known either."""
        row = self.find(word)
        return None if row is None else self.unit_rows([row])[0]

    def similarity(self, a: str, b: str) -> float:
        """Return the cosine of two words, -1..1; 0.0 when one is unknown."""
        rows = self.find(a), self.find(b)
        if rows[0] is None or rows[1] is None:
            return 0.0
        first, second = self.unit_rows([rows[0], rows[1]])
        return float(first @ second)

    def mean(self, words: Iterable[str]) -> Floats:
        """Return the SIF-weighted mean of the known words' vectors; zeros when none is known."""
        import numpy as np

        rows = self.find_all(words)
        if not rows:
            return np.zeros(self.dimensions)
        weights = self.weights[rows]
        mean: Floats = weights @ self.unit_rows(rows) / weights.sum()
        return mean

    @cached_property
    def gate(self) -> Gate:
        """The medical score over these vectors."""
        from fsmbot.vectors.gate import Gate

        return Gate.load(self, self.folder) if self.folder else Gate.from_word_lists(self)

    @cached_property
    def _speller(self) -> Speller:
        # Built when the first unknown word comes, so that loading does not pay for it.
        return Speller(self.words[:SPELLED])


class _Vocabulary(msgspec.Struct):
    """vocab.json; decoded into lists at once, it takes half the memory of a general reader."""

    format: str
    version: int
    words: list[str]
    common: list[Annotated[int, msgspec.Meta(ge=0)]]


def _load_folder(folder: Path) -> WordVectors:
    mapped = open_array(folder / "vectors.npy", dimensions=2)
    words, common = _read_vocabulary(folder / "vocab.json", len(mapped))
    vectors = WordVectors(words, mapped, common, folder=folder)
    vectors.rows = read_array(folder / "vectors.npy", mapped)  # only now that everything fits
    return vectors


def _read_vocabulary(path: Path, rows: int) -> tuple[list[str], Floats]:
    """Return the words and p(w) of vocab.json; one that is for other vectors is not even decoded."""
    import numpy as np

    try:
        raw = read_plain(path, MAX_VOCABULARY)
        # A word has two quotation marks, and both lists together two commas a word; some words have more.
        if max(raw.count(b'"'), raw.count(b",")) > 3 * rows + 64:
            raise ValueError(f"it holds far more than the {rows:,} words that there are vectors of")
        vocabulary = msgspec.json.decode(raw, type=_Vocabulary)
        common = np.array(vocabulary.common, dtype=np.float64)
    except BROKEN as error:
        raise broken(path, error) from error
    check_format(path, (vocabulary.format, vocabulary.version), (FORMAT, VERSION))
    if not "".join(vocabulary.words).isprintable():
        raise broken(path, "a word in it holds a control character, or a space that is none")
    common /= COMMON_SCALE
    return vocabulary.words, common


def _check_fit(vectors: WordVectors, where: str) -> None:
    """Raise unless there is one finite row and one weight for each word, all words different."""
    words, rows = len(vectors.words), vectors.rows.shape
    if len(rows) != 2 or rows[0] != words or vectors.weights.shape != (words,) or not words or not rows[1]:
        raise VectorsError(
            f"{where}: {words} words, vectors of shape {rows} and {vectors.weights.shape} counts "
            "do not fit together; write the folder anew with `python -m trainer vectors`"
        )
    if len(vectors._index) != words:
        raise VectorsError(
            f"{where}: a word stands twice in the vocabulary; write the folder anew with "
            "`python -m trainer vectors`"
        )
