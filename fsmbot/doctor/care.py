"""What of a model's words is shown: text, without claims to be a doctor, doses, or our own notice."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import pairwise

from fsmbot.doctor.claims import TRIGGER, asks_about_the_bot, claims_to_be_a_doctor, speaks_of_itself
from fsmbot.doctor.drugs import DOSE_TRIGGER, is_risky, named, names
from fsmbot.doctor.sentences import sentence_ends
from fsmbot.doctor.sieve import sieve
from fsmbot.doctor.sound import sound

_AT_ONCE = re.compile("")


def with_care(
    pieces: Iterable[str], question: str = "", *, notice: str = "", max_new_tokens: int = 256
) -> Iterator[str]:
    """Pass an answer on as it streams, without the sentences that must not be shown.

    question: what the user asked. notice: what is added to the answer, so that the model need not.
    Raises Garbled when the model no longer gives text.
    """
    about_the_bot, known = asks_about_the_bot(question), named(question)
    parts = (notice[a:b].strip() for a, b in pairwise([0, *sentence_ends(notice + " ")]))
    ours = [part for part in parts if part]  # nothing, between two lines, would be found in any sentence

    def unwanted(sentence: str) -> bool:
        return (
            claims_to_be_a_doctor(sentence)
            or (about_the_bot and speaks_of_itself(sentence))
            or is_risky(sentence, known)
            or any(part in sentence for part in ours)
        )

    return sieve(sound(pieces, max_new_tokens), _AT_ONCE if about_the_bot else _trigger(), unwanted)


@cache
def _trigger() -> re.Pattern[str]:
    """Return the pattern of words with which something unwanted may begin."""
    words = rf"{TRIGGER}|{DOSE_TRIGGER}|{names().pattern}"
    return re.compile(rf"(?<![^\W_'’])(?:{words})(?![^\W_])", re.IGNORECASE)
