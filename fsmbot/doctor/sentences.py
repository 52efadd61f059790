"""Find where sentences end in text that arrives piece by piece."""

from __future__ import annotations

import re
from collections.abc import Iterator

_END = re.compile(r"[.!?…]+[\"'”’)\]*]*(?=\s)|\n")
_NO_END = re.compile(
    r"(?:\b(?:dr|dra|drs|med|mr|mrs|ms|st|vs|e\.g|i\.e|approx|no|prof)|(?:^|\s)\d{1,2})\.$", re.IGNORECASE
)


def sentence_ends(text: str) -> Iterator[int]:
    """Yield the places behind the marks that end a sentence.

    A mark counts once white space follows it, and a new line counts by itself; the full stops of
    "Dr.", "e.g." and a list's "2." do not.
    """
    for match in _END.finditer(text):
        if not _NO_END.search(text, max(0, match.end() - 12), match.end()):
            yield match.end()


def first_sentence_end(text: str) -> int:
    """Return where the first sentence ends, or 0 where none does yet; blank lines are no sentence."""
    return next((end for end in sentence_ends(text) if text[:end].strip()), 0)


def last_sentence_end(text: str) -> int:
    """Return where the last whole sentence ends, or 0."""
    return max(sentence_ends(text), default=0)
