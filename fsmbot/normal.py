"""Unicode's normal forms, in time in proportion to the text.

To order the marks that stand on one letter, Python compares each with those before it: 20,000 marks in a
row take 0.3 s, and 100,000 take 8 s. So only the first of them are kept, as in the Stream-Safe Text
Format (https://www.unicode.org/reports/tr15/, section 13); no language puts as many on a letter.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

MARKS = 30
"""Combining marks in a row that are kept."""


def normal_form(form: Literal["NFC", "NFKC", "NFKD"], text: str) -> str:
    """Return the normal form of a text; of more than MARKS combining marks in a row, the first."""
    if text.isascii():
        return text
    marks = "".join(filter(_is_mark, set(text)))
    if marks:
        text = re.sub(f"[{re.escape(marks)}]{{{MARKS + 1},}}", lambda run: run[0][:MARKS], text)
    return unicodedata.normalize(form, text)


def _is_mark(character: str) -> bool:
    """Return whether a character is a mark, or falls apart into marks only."""
    return unicodedata.combining(unicodedata.normalize("NFKD", character)[0]) > 0
