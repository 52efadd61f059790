"""`python -m trainer preview`: examples as the model sees them, the learnt tokens in colour."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from fsmbot.doctor.prompt import Example
from fsmbot.text import safe

GREEN, PLAIN = "\x1b[32m", "\x1b[0m"


def render(example: Example, tokenizer: object, *, color: bool) -> str:
    """Return one example as text, decoded from its very ids; learnt tokens are green, or in «».

    Special tokens are shown; nothing in the text can move the cursor or change colours.
    """
    left, right = (GREEN, PLAIN) if color else ("«", "»")
    parts = []
    for learnt, run in _runs(example):
        text = safe(tokenizer.decode(run, skip_special_tokens=False))  # type: ignore[attr-defined]
        parts.append(f"{left}{text}{right}" if learnt else text)
    return "".join(parts)


def _runs(example: Example) -> Iterator[tuple[bool, Sequence[int]]]:
    """Yield stretches of ids that are learnt, or not."""
    pairs = zip(example.answer, example.ids, strict=True)
    for learnt, group in itertools.groupby(pairs, key=lambda pair: pair[0]):
        yield learnt, [token for _, token in group]
