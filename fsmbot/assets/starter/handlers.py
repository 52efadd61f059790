"""The nodes of this bot that did not come with fsmbot."""

from __future__ import annotations

import re
from typing import Literal

from fsmbot import Turn, handler


@handler
def check_party(turn: Turn, *, largest: int = 8) -> Literal["fits", "too_many", "unclear"]:
    """Read how many people are coming, and remember it as `party`.

    largest: how many the largest table is for.
    """
    numbers = [int(digits) for digits in re.findall(r"\d+", turn.text)]
    if not numbers or numbers[0] == 0:
        return "unclear"
    turn.memory["party"] = numbers[0]
    return "fits" if numbers[0] <= largest else "too_many"
