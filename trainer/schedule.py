"""The learning rate and the order of the data: pure functions, so that a resumed run repeats nothing."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from fsmbot.doctor.prompt import Example


def learning_rate(step: int, steps: int, peak: float, warmup: float, final: float) -> float:
    """Return the rate of optimizer step `step` (from 0) of `steps`.

    It rises linearly over warmup * steps, then falls along half a cosine to final * peak
    (SGDR without restarts, https://arxiv.org/abs/1608.03983).
    """
    rising = max(1, round(warmup * steps)) if warmup else 0
    if step < rising:
        return peak * (step + 1) / rising
    done = min(1.0, (step - rising) / max(1, steps - rising))
    return peak * (final + (1 - final) * (1 + math.cos(math.pi * done)) / 2)


def epoch_order(weights: Sequence[float], epoch: int, seed: int) -> list[int]:
    """Return the indices of one epoch: each as often as its weight says, shuffled.

    A weight of 1.5 is once, and a second time with probability one half.
    """
    generator = random.Random(f"{seed}:{epoch}")
    order = []
    for index, weight in enumerate(weights):
        times = int(weight) + (generator.random() < weight % 1)
        order += [index] * times
    generator.shuffle(order)
    return order


def batches_per_epoch(weights: Sequence[float], batch: int) -> int:
    """Return how many whole batches an epoch has on average, at least 1."""
    return max(1, int(sum(weights) // batch))


class Stream:
    """Epoch after epoch of indices, cut into batches; made as far as it is asked for.

    Epochs differ in length where weights are fractions, so a batch is found by walking from the
    start: batch(step) depends on nothing but the weights, the seed and the step.
    """

    def __init__(self, weights: Sequence[float], batch: int, seed: int) -> None:
        self._weights, self._batch, self._seed = weights, batch, seed
        self._indices: list[int] = []
        self._epoch = 0

    def batch(self, step: int) -> list[int]:
        """Return the examples of optimizer step `step` (from 0)."""
        start, end = step * self._batch, (step + 1) * self._batch
        while len(self._indices) < end:
            self._indices += epoch_order(self._weights, self._epoch, self._seed)
            self._epoch += 1
        return self._indices[start:end]


def micro_batches(examples: Sequence[Example], most: int, prefix: int) -> list[list[Example]]:
    """Split a batch into parts of at most `most` tokens, alike in length (longest first).

    The shared prefix counts once a part. Sorting is stable, so the parts are always the same.
    """
    parts: list[list[Example]] = []
    used = 0
    for example in sorted(examples, key=lambda e: -len(e.ids)):
        own = len(example.ids) - prefix
        if not parts or used + own > most:
            parts.append([])
            used = prefix
        parts[-1].append(example)
        used += own
    return parts
