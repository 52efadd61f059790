"""Labelled texts for the gate: samples of the corpora, made-up variations, written examples."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from fsmbot.vectors import WordVectors, words_of
from trainer.corpora import Side
from trainer.messages import read_messages
from trainer.vectors_config import Config

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SIDES: tuple[Side, Side] = ("medical", "everyday")
MIXED_WORDS = 13
"""Words taken of each text of a mixture or a story."""
STORIES = 2_000
"""How many stories are made up for either side."""


Group = tuple[list[str], Side, float, bool]
"""Texts, their side, how much each counts, and whether they are whole."""


@dataclass(frozen=True)
class Labelled:
    """Texts as rows of vectors.

    y: 1.0 medical, 0.0 everyday; weight: how much each counts; whole: whether it is a text as somebody
    wrote it, not a fragment, a mixture or a made-up story.
    """

    rows: list[list[int]]
    y: NDArray[np.float64]
    weight: NDArray[np.float64]
    whole: NDArray[np.bool_]

    def part(self, chosen: NDArray[np.bool_]) -> Labelled:
        """Return the texts where `chosen` is true."""
        rows = [row for row, taken in zip(self.rows, chosen, strict=True) if taken]
        return Labelled(rows, self.y[chosen], self.weight[chosen], self.whole[chosen])


def read_examples(paths: list[Path]) -> dict[Side, list[str]]:
    """Return the messages of labelled files by side; raises ConfigError that names file and row."""
    sides: dict[Side, list[str]] = {side: [] for side in SIDES}
    for path in paths:
        for message in read_messages(path):
            sides["medical" if message.label == "medical" else "everyday"].append(message.text)
    return sides


def label(
    vectors: WordVectors, texts: list[list[str]], examples: dict[Side, list[str]], config: Config
) -> Labelled:
    """Sample labelled texts, and add fragments, mixtures, stories and the written examples.

    Fragments of 1-4 words teach short messages; an everyday text with a medical one before or
    after it is medical, and so are everyday stories with one medical sentence in them.
    """
    draw = random.Random(config.seed)
    sides = _sampled(texts, config, draw)
    made = _made_up(sides["medical"], sides["everyday"], draw)
    of_example = config.gate.example_weight / 40_000
    groups: list[Group] = []
    for side in SIDES:
        # Both sides count the same in sum, so that an even score means as likely as not.
        share = 1 / max(len(sides[side]) + len(made[side]), 1)
        groups += [(sides[side], side, share, True), (made[side], side, share, False)]
        groups += [(examples[side], side, of_example, True)]
    return balanced(_as_rows(vectors, groups))


def _sampled(texts: list[list[str]], config: Config, draw: random.Random) -> dict[Side, list[str]]:
    sides: dict[Side, list[str]] = {side: [] for side in SIDES}
    for corpus, some in zip(config.corpora, texts, strict=True):
        distinct = list(dict.fromkeys(some))
        sides[corpus.side] += draw.sample(distinct, min(corpus.sample, len(distinct)))
    return sides


def _made_up(medical: list[str], everyday: list[str], draw: random.Random) -> dict[Side, list[str]]:
    stories = [_story(everyday, draw) for _ in range(2 * STORIES)]
    with_complaint = [_within(story, draw.choice(medical), draw) for story in stories[:STORIES]]
    return {
        "medical": _fragments(medical, draw) + _mix(everyday, medical, draw) + with_complaint,
        "everyday": _fragments(everyday, draw) + _mix(everyday, everyday, draw) + stories[STORIES:],
    }


def _as_rows(vectors: WordVectors, groups: list[Group]) -> Labelled:
    """Return the texts in which a word is known."""
    import numpy as np

    every = [(text, side, share, whole) for texts, side, share, whole in groups for text in texts]
    rows = [vectors.find_all(words_of(text)) for text, *_ in every]
    y = np.array([float(side == "medical") for _, side, _, _ in every])
    shares = np.array([share for _, _, share, _ in every])
    labelled = Labelled(rows, y, shares, np.array([whole for *_, whole in every]))
    return labelled.part(np.array([bool(row) for row in rows]))


def balanced(texts: Labelled) -> Labelled:
    """Scale the weights so that both sides sum to the same and the mean is 1."""
    import numpy as np

    sums = [texts.weight[texts.y == value].sum() for value in (0.0, 1.0)]
    weight = np.where(texts.y == 1, texts.weight / sums[1], texts.weight / sums[0])
    return replace(texts, weight=weight / weight.mean())


def _fragments(texts: list[str], draw: random.Random) -> list[str]:
    return [fragment(text, draw) for text in texts[::2]]


def fragment(text: str, draw: random.Random) -> str:
    """Return 1-4 neighbouring words of a text."""
    words = text.split()
    size = draw.randint(1, 4)
    start = draw.randrange(max(1, len(words) - size))
    return " ".join(words[start : start + size])


def _mix(first: list[str], second: list[str], draw: random.Random) -> list[str]:
    """Return pairs of texts joined, in either order; short ones, so that both are read."""
    size = len(first) // 4
    pairs = zip(draw.sample(first, size), draw.choices(second, k=size), strict=True)
    both = [[_beginning(text) for text in pair] for pair in pairs]
    return [" . ".join(pair[:: draw.choice((1, -1))]) for pair in both]


def _story(texts: list[str], draw: random.Random) -> str:
    """Return the beginnings of 2-4 texts, joined."""
    return " . ".join(_beginning(text) for text in draw.choices(texts, k=draw.randint(2, 4)))


def _within(story: str, text: str, draw: random.Random) -> str:
    """Return a story with one part replaced by the beginning of another text."""
    parts = story.split(" . ")
    parts[draw.randrange(len(parts))] = _beginning(text)
    return " . ".join(parts)


def _beginning(text: str) -> str:
    return " ".join(text.split()[:MIXED_WORDS])
