"""The known word that an unknown word was probably meant to be: "diarhea" -> "diarrhea".

Candidates share the unknown word's consonant skeleton, an old idea of spelling correction
(Pollock and Zamora, "Automatic spelling correction in scientific and scholarly text", CACM 1984),
and are compared by edits (optimal string alignment). This needs no n-gram table on disk.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

MIN_LETTERS = 5
"""Shorter words have too many neighbours to guess from."""

_REPEATED = re.compile(r"(.)\1+")
_SOUNDS = str.maketrans("ckqzgv", "kkksjf", "aeiouyhw")


def skeleton(word: str) -> str:
    """Return the word's first letter and its consonants by sound, doubles closed up."""
    sounds = word[1:].replace("ph", "f").translate(_SOUNDS)
    return word[:1] + _REPEATED.sub(r"\1", sounds)


class Speller:
    """Looks up misspelled words among `words`, which stand in order of falling frequency."""

    def __init__(self, words: Sequence[str]) -> None:
        # Words of one skeleton in one text: most skeletons have one word, which costs nothing then.
        self._buckets: dict[str, str] = {}
        for word in words:
            if len(word) >= MIN_LETTERS:
                key = skeleton(word)
                self._buckets[key] = f"{self._buckets[key]} {word}" if key in self._buckets else word

    def nearest(self, word: str) -> str | None:
        """Return the known word within one edit (two from six letters on), or None."""
        if len(word) < MIN_LETTERS:
            return None
        limit = 1 if len(word) < 6 else 2
        best, fewest = None, limit + 1
        for known in self._buckets.get(skeleton(word), "").split():
            if abs(len(known) - len(word)) < fewest:
                edits = edit_distance(word, known)
                if edits < fewest:
                    best, fewest = known, edits
        return best


def shorter_runs(word: str) -> list[str]:
    """Return the word with its runs of a letter cut to two and to one: "coughhh" -> "cough"."""
    cut = [_REPEATED.sub(r"\1\1", word), _REPEATED.sub(r"\1", word)]
    return [other for other in cut if other != word]


def edit_distance(a: str, b: str) -> int:
    """Count insertions, deletions, substitutions and swaps of neighbours between two words."""
    before: list[int] = []
    last = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        row = [i]
        for j, y in enumerate(b, 1):
            best = min(last[j] + 1, row[-1] + 1, last[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                best = min(best, before[j - 2] + 1)
            row.append(best)
        before, last = last, row
    return last[-1]
