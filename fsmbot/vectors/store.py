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

import json
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fsmbot.errors import MissingExtra, VectorsError
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

SPELLED = 15_000
"""How many of the first words a misspelled one may stand for; rarer ones are often misspelled."""

_BROKEN = (
    OSError,
    ValueError,
    TypeError,
    KeyError,
    SyntaxError,
    EOFError,
    OverflowError,
    MemoryError,
    RecursionError,
)
"""What numpy and json raise for a file that is not what it should be."""


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
        if path.is_dir():
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
        for other in shorter_runs(word):
            if other in self._index:
                return self._index[other]
        meant = self._speller.nearest(word)
        return None if meant is None else self._index[meant]

    def find_all(self, words: Iterable[str]) -> list[int]:
        """Return the rows of the words that are known."""
        return [row for word in words if (row := self.find(word)) is not None]

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


def _load_folder(folder: Path) -> WordVectors:
    vocabulary = read_json(folder / "vocab.json", FORMAT, VERSION)
    rows = read_array(folder / "vectors.npy", dimensions=2)
    try:
        words, common = vocabulary["words"], vocabulary["common"]
        if not all(isinstance(word, str) for word in words):
            raise TypeError("'words' must hold text only")
        if any(type(count) is not int or count < 0 for count in common):
            raise TypeError("'common' must hold whole numbers, none below 0")
        return WordVectors(words, rows, [n / COMMON_SCALE for n in common], folder=folder)
    except (KeyError, TypeError) as error:
        raise broken(folder / "vocab.json", error) from error


def _check_fit(vectors: WordVectors, where: str) -> None:
    """Raise unless there is one finite row and one weight for each word, all words different."""
    words, rows = len(vectors.words), vectors.rows.shape
    if len(rows) != 2 or rows[0] != words or vectors.weights.shape != (words,) or not words:
        raise VectorsError(
            f"{where}: {words} words, vectors of shape {rows} and {vectors.weights.shape} counts "
            "do not fit together; write the folder anew with `python -m trainer vectors`"
        )
    if len(vectors._index) != words:
        raise VectorsError(f"{where}: a word stands twice in the vocabulary; write the folder anew")


def read_array(path: Path, *, dimensions: int) -> NDArray[Any]:
    """Read a .npy file of finite numbers, never a pickle, never more than the file's own size.

    Raises VectorsError.
    """
    from tokenize import TokenError  # numpy reads a header as Python text

    import numpy as np

    try:
        # A memory map holds the header's shape against the file's size, before allocating.
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)
        if mapped.dtype not in (np.int8, np.float16, np.float32) or mapped.ndim != dimensions:
            raise ValueError(f"found {mapped.ndim} dimensions of {mapped.dtype}")
        array = np.array(mapped)
        if array.dtype != np.int8 and not np.isfinite(array).all():
            raise ValueError("it holds NaN or infinity")
    except (*_BROKEN, TokenError) as error:
        raise broken(path, error) from error
    return array


def read_json(path: Path, kind: str, version: int) -> dict[str, Any]:
    """Read a JSON object that says its format and version. Raises VectorsError."""
    try:
        found = json.loads(path.read_bytes())
    except _BROKEN as error:
        raise broken(path, error) from error
    says = (found.get("format"), found.get("version")) if isinstance(found, dict) else None
    if says != (kind, version):
        raise broken(path, f"expected a JSON object of format '{kind}' version {version}")
    return dict(found)


def broken(path: Path, reason: object) -> VectorsError:
    """Return the error for a file that cannot be used, with the way out."""
    said = f"{type(reason).__name__}: {reason}" if isinstance(reason, BaseException) else reason
    return VectorsError(
        f"{path}: these word vectors cannot be read ({said}); restore the file, or write the "
        "folder anew with `python -m trainer vectors --config trainer/configs/medical-vectors.yaml`"
    )
