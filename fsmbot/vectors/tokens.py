"""Text to words: the one tokenizer that training and scoring share."""

from __future__ import annotations

import re

from fsmbot.normal import normal_form

MAX_CHARS = 6_000
"""Longer texts are read in three parts (start, middle, end) of a third of this each."""

MAX_LETTERS = 40
"""Longer runs of letters are no word of any language that the vectors know."""

# One character class and a separator outside it, so matching takes linear time on any text.
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")
_ASCII_WORD = re.compile(r"[a-z]+(?:'[a-z]+)*")
_APOSTROPHES = str.maketrans("\u2018\u2019\u02bc\u0060\u00b4", "'''''")
# What a contraction adds is dropped ("it's" -> "it", or "I'll" would read as "ill");
# other apostrophes close up ("can't" -> "cant"), since patients often leave them out.
_CONTRACTIONS = frozenset({"s", "ll", "d", "re", "ve", "m"})


def words_of(text: str) -> list[str]:
    """Split a text into lower-case words, without digits and punctuation.

    Unicode compatibility forms are folded (NFKC), so full-width letters and ligatures read as
    plain ones. Only a bounded sample of a long text is read: its start, middle and end.
    """
    text = sample(text)
    if text.isascii():  # nothing to fold, and a plainer pattern: the same words in half the time
        found = _ASCII_WORD.findall(text.replace("`", "'").lower())
    else:
        # Apostrophes first: NFKC turns the acute accent into a space and a combining mark.
        plain = normal_form("NFKC", text.translate(_APOSTROPHES))
        # Some letters become several, so the sample is taken again.
        found = _WORD.findall(sample(plain.lower()))
    return [_close_up(word) if "'" in word else word for word in found if len(word) <= MAX_LETTERS]


def sample(text: str, limit: int = MAX_CHARS) -> str:
    """Return the text, or start, middle and end of a text longer than `limit` characters."""
    if len(text) <= limit:
        return text
    part, middle = limit // 3, len(text) // 2
    return " ".join((text[:part], text[middle - part // 2 : middle + part // 2], text[-part:]))


def _close_up(word: str) -> str:
    head, _, tail = word.rpartition("'")
    return (head if tail in _CONTRACTIONS else word).replace("'", "")
