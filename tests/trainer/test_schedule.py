"""Rates and orders are pure functions of the step, so a resumed run repeats and skips nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fsmbot.doctor.prompt import Example
from trainer.schedule import Stream, batches_per_epoch, epoch_order, learning_rate, micro_batches


def test_the_rate_warms_up_and_falls_along_a_cosine() -> None:
    """It rises to the peak over the warm-up, is half-way down in the middle, and ends at `final`."""
    rates = [learning_rate(step, 110, 1.0, 10 / 110, 0.1) for step in range(111)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == pytest.approx(1.0)
    assert rates[60] == pytest.approx(0.55)
    assert rates[110] == pytest.approx(0.1)
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_an_epoch_sees_every_example_as_often_as_its_weight_says() -> None:
    """Whole weights are exact; a fraction is right on average over epochs."""
    weights = [1.0, 2.0, 0.5, 0.0]
    seen = [0, 0, 0, 0]
    for epoch in range(400):
        for index in epoch_order(weights, epoch, seed=3):
            seen[index] += 1
    assert (seen[0], seen[1], seen[3]) == (400, 800, 0)
    assert 150 < seen[2] < 250
    assert epoch_order([1.0] * 50, 0, 1) != epoch_order([1.0] * 50, 1, 1)


def test_a_batch_depends_on_nothing_but_the_step() -> None:
    """Asked in any order, by a fresh stream or one that has run, batch 7 is the same."""
    weights = [1.0, 0.3] * 20
    walked = Stream(weights, 4, seed=1)
    all_batches = [walked.batch(step) for step in range(20)]
    assert Stream(weights, 4, seed=1).batch(7) == all_batches[7]
    assert Stream(weights, 4, seed=2).batch(7) != all_batches[7]


def test_batches_cover_an_epoch_without_repeats() -> None:
    """With weights of one, the batches of the first epoch hold every example once."""
    stream = Stream([1.0] * 24, 4, seed=5)
    first = [index for step in range(batches_per_epoch([1.0] * 24, 4)) for index in stream.batch(step)]
    assert sorted(first) == list(range(24))


@given(st.lists(st.integers(6, 60), min_size=1, max_size=20), st.integers(60, 200))
def test_parts_of_a_batch_hold_everything_once_and_fit(lengths: list[int], most: int) -> None:
    """However a batch is split, no example is lost, and no part exceeds the limit."""
    prefix = 5
    examples = [Example(list(range(n)), [False] * n) for n in lengths]
    parts = micro_batches(examples, most, prefix)
    assert sorted(len(e.ids) for part in parts for e in part) == sorted(lengths)
    for part in parts:
        assert prefix + sum(len(e.ids) - prefix for e in part) <= most or len(part) == 1
