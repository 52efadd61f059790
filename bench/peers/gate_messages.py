"""The messages that gates are timed with: those of tests/gate, put together to 30 words."""

from __future__ import annotations

import csv
from pathlib import Path

TESTS = Path(__file__).parent.parent.parent / "tests" / "gate"
WORDS = 30


def rows(name: str) -> list[tuple[str, bool]]:
    """Return the messages of a file, and whether each is medical."""
    with (TESTS / f"{name}.csv").open(encoding="utf-8") as file:
        return [(row["text"], row["label"] == "medical") for row in csv.DictReader(file)]


def of_30_words(*, medical: bool) -> list[str]:
    """Return messages of 30 words, each made of several short ones of one side."""
    words = [
        word
        for name in ("tuned", "unseen")
        for text, is_medical in rows(name)
        if is_medical == medical
        for word in text.split()
    ]
    return [" ".join(words[i : i + WORDS]) for i in range(0, len(words) - WORDS, WORDS)]


def cases() -> dict[str, None]:
    """Return messages of both sides in turn, an everyday one first, so that words change as in use."""
    pairs = zip(of_30_words(medical=False), of_30_words(medical=True), strict=False)
    return {text: None for pair in pairs for text in pair}
