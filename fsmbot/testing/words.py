"""`tiny_vectors`: word vectors for a test, made of two lists of words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from fsmbot.vectors.tokens import words_of

if TYPE_CHECKING:
    from fsmbot.vectors import WordVectors


def tiny_vectors(medical: Iterable[str], everyday: Iterable[str]) -> WordVectors:
    """Return word vectors that know these words only, and need no files.

        vectors = tiny_vectors(["head", "hurts"], ["pizza"])
        assert check_medical(Turn("my head hurts"), vectors) == "medical"
        assert check_medical(Turn("a pizza, please"), vectors) == "other"

    Raises ValueError where a list is empty or a word stands in both, MissingExtra without numpy.
    """
    sick, well = _known(medical), _known(everyday)
    both = ", ".join(sorted({*sick} & {*well}))
    if not sick or not well or both:
        raise ValueError(f"in both lists: {both}" if both else "name a medical and an everyday word at least")
    try:
        import numpy as np
    except ImportError:
        from fsmbot.errors import MissingExtra

        raise MissingExtra("numpy", "gate", "comparing words") from None
    from fsmbot.vectors import WordVectors
    from fsmbot.vectors.gate import Gate

    rows = np.repeat(np.array([[127, 0], [0, 127]], dtype=np.int8), [len(sick), len(well)], axis=0)
    vectors = WordVectors([*sick, *well], rows, np.zeros(len(rows)))
    vectors.gate = Gate.from_word_lists(vectors, sick, well)
    return vectors


def _known(words: Iterable[str]) -> list[str]:
    """Return words as the gate spells them, each once."""
    return sorted({spelled for word in words for spelled in words_of(word)})
