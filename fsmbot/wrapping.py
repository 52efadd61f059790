"""Word wrap for text that comes in pieces: no word is broken at the terminal's edge."""

from __future__ import annotations

import re
import unicodedata

NARROW = 20
"""Columns below which a terminal's own wrapping serves better."""

LONGEST = 30
"""Characters of a word that are held back at the most, so that no stream comes to a halt."""

_AFTER_SPACE = re.compile(r"(?<=[ \n\t])")


class Wrap:
    """Puts line breaks between words; the last word is held back until it is whole.

    column: where the next character goes.
    """

    def __init__(self, columns: int, column: int = 0) -> None:
        self._columns, self.column = columns, column
        self._word = ""

    def feed(self, text: str) -> str:
        """Take a piece, and return what can be printed now."""
        *whole, self._word = _AFTER_SPACE.split(self._word + text)
        shown = "".join(map(self._place, whole))
        if len(self._word) > LONGEST or _width(self._word[-1:]) == 2:  # no spaces between CJK words
            shown += self.rest()
        return shown

    def rest(self) -> str:
        """Return what was held back, because the text ends here."""
        word, self._word = self._word, ""
        return self._place(word)

    def _place(self, word: str) -> str:
        """Return a word with the space after it, on a new line where it does not fit."""
        width = _width(word.rstrip())
        fits = self.column + width < self._columns or width >= self._columns
        before = "" if fits or not self.column or self._columns < NARROW else "\n"
        start = 0 if before else self.column
        self.column = 0 if word.endswith("\n") else start + _width(word)
        if self.column > self._columns > 0:
            self.column %= self._columns
        return before + word


def _width(text: str) -> int:
    """Return the cells that a terminal takes for a text (a tab: up to 8)."""
    return sum(
        8 if c == "\t" else 0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in "WF")
        for c in text
    )
