"""Keep the model from stating doses, and from bringing up controlled drugs by itself.

A small model makes doses up, and once named a benzodiazepine against a headache. What it says of
other medicines passes: a filter by name cannot tell good advice from bad. The names stand in
assets/controlled-drugs.txt.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

NAMES = Path(__file__).parent.parent / "assets" / "controlled-drugs.txt"

_NUMBER = r"(?:\d[\d.,/–-]*|one|two|three|four|five|six|half an?|a half)(?: (?:or|to) \w+)?"
_IN_BLOOD_OR_FOOD = (
    r" ?(?:/|per ) ?(?:d?l|ml|deciliter|decilitre|liter|litre)\b"
    r"| (?:of )?(?:sodium|salt|cholesterol|calcium|potassium|iron|magnesium|phosphorus|caffeine)\b"
)
_DOSE = re.compile(
    r"\b\d[\d.,/–-]*[ -]?(?:mg|mcg|µg|μg|milligrams?|micrograms?|iu|international units|units of insulin)\b"
    rf"(?!{_IN_BLOOD_OR_FOOD})"
    rf"|\b(?:take|taking|use|using|swallow|chew|inject|give|apply|doses?|dosage)\b[^.!?]{{0,60}}?\b{_NUMBER}"
    r"(?: \w+)? (?:tablets?|pills?|capsules?|drops?|puffs?|injections?|doses|sprays?|ml)\b"
    rf"|\b(?:take|swallow|inject) (?:it|this|them|the)\b[^.!?]{{0,30}}?\b{_NUMBER} times\b",
    re.IGNORECASE,
)
DOSE_TRIGGER = r"\d[\w.,-]*|take|taking|use|using|swallow|chew|inject|give|apply|doses?|dosage"


@cache
def names() -> re.Pattern[str]:
    """Return the pattern of controlled drugs' names."""
    lines = NAMES.read_text(encoding="utf-8").splitlines()
    words = " ".join(line for line in lines if not line.startswith("#")).split()
    return re.compile(rf"\b(?:{'|'.join(words)})s?\b", re.IGNORECASE)


def named(text: str) -> set[str]:
    """Return the controlled drugs that a text names."""
    return {name.lower().rstrip("s") for name in names().findall(text)}


def is_risky(sentence: str, known: set[str]) -> bool:
    """Say whether a sentence states a dose, or names a controlled drug that the user did not name.

    known: what `named` finds in the user's words.
    """
    return bool(_DOSE.search(sentence)) or not named(sentence) <= known
