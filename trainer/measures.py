"""What is measured of answers: likeness to a reference, repetition, length, and whether they end.

Words are runs of letters and digits in lower case, as in ROUGE's own scorer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_WORD = re.compile(r"[^\W_]+")
_ENDS = re.compile(r"[.!?…][\"'”’)\]*]*\s*$")


@dataclass(frozen=True)
class Answer:
    """One answer: its text, whether the model ended it itself, and what the data says instead."""

    text: str
    finished: bool
    reference: str


def words(text: str) -> list[str]:
    """Return the words of a text."""
    return _WORD.findall(text.lower())


def rouge_l(text: str, reference: str) -> float:
    """Return ROUGE-L: the F1 of the longest common subsequence of words (Lin, 2004,
    https://aclanthology.org/W04-1013), from 0 to 1."""
    from rapidfuzz.distance import LCSseq

    said, wanted = words(text), words(reference)
    common = LCSseq.similarity(said, wanted)
    return 2 * common / (len(said) + len(wanted)) if common else 0.0


def repeated(text: str, size: int = 4) -> float:
    """Return the share of runs of `size` words that stood in the text before, from 0 to 1."""
    said = words(text)
    runs = [tuple(said[i : i + size]) for i in range(len(said) - size + 1)]
    return 1 - len(set(runs)) / len(runs) if runs else 0.0


def ends_whole(answer: Answer) -> bool:
    """Say whether an answer came to its end by itself, with a mark that ends a sentence."""
    return answer.finished and _ENDS.search(answer.text) is not None


def summary(answers: Sequence[Answer]) -> dict[str, float]:
    """Return the means over answers: rouge_l, repeated, words, ended; empty without answers."""
    if not answers:
        return {}
    count = len(answers)
    return {
        "rouge_l": sum(rouge_l(a.text, a.reference) for a in answers) / count,
        "repeated": sum(repeated(a.text) for a in answers) / count,
        "words": sum(len(words(a.text)) for a in answers) / count,
        "ended": sum(map(ends_whole, answers)) / count,
    }
