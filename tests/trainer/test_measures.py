"""What is measured of answers, on answers whose figures can be counted by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("rapidfuzz")
torch = pytest.importorskip("torch")

from fsmbot.doctor.base import load_base  # noqa: E402
from fsmbot.doctor.decode import Decoding, decode  # noqa: E402
from trainer.answers import decode_all  # noqa: E402
from trainer.measures import Answer, ends_whole, repeated, rouge_l, summary  # noqa: E402


def test_rouge_l_is_the_f1_of_the_longest_common_subsequence() -> None:
    """Four words in common, in order, of five said and six wanted: 2 * 4 / (5 + 6)."""
    assert rouge_l("Drink warm water and rest", "drink water, and then rest well") == pytest.approx(8 / 11)
    assert rouge_l("same words", "Same, words!") == 1
    assert rouge_l("nothing", "shared here") == 0
    assert rouge_l("", "") == 0


def test_repeated_is_the_share_of_four_grams_said_before() -> None:
    """Eight words that are four words twice have five runs of four, one of them for the second time."""
    assert repeated("go to a doctor go to a doctor") == pytest.approx(1 / 5)
    assert repeated("one two three four five") == 0
    assert repeated("too short") == 0


@pytest.mark.parametrize(
    ("text", "finished", "whole"),
    [
        ("Drink water.", True, True),
        ('He said "rest."', True, True),
        ("See a doctor!\n", True, True),
        ("Drink water.", False, False),  # the limit cut it, though at a full stop
        ("Drink water and", True, False),
        ("1. Rest\n2. Sleep", True, False),
    ],
)
def test_an_answer_ends_whole_by_itself_and_with_a_mark(text: str, finished: bool, whole: bool) -> None:
    """Both must hold."""
    assert ends_whole(Answer(text, finished, "")) == whole


def test_a_summary_is_of_means() -> None:
    """One good answer and one empty one are half as good; no answers have no figures."""
    answers = [Answer("Drink water.", True, "Drink water."), Answer("", False, "Rest.")]
    assert summary(answers) == {"rouge_l": 0.5, "repeated": 0.0, "words": 1.0, "ended": 0.5}
    assert summary([]) == {}


def test_many_answers_at_once_are_those_given_one_by_one(
    tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the lengths of prompts and answers, and however many go together."""
    monkeypatch.setattr("trainer.answers.TOGETHER", 3)
    model = load_base(str(tiny_base), compute="float32", device="cpu").model
    generator = torch.Generator().manual_seed(1)
    prompts = [torch.randint(5, 300, (size,), generator=generator).tolist() for size in (3, 40, 7, 21, 8)]
    stops, decoding = range(150, 180), Decoding()
    one_by_one = [list(decode(model, prompt, stops, 30, decoding)) for prompt in prompts]
    assert len({len(ids) for ids in one_by_one}) > 2
    assert decode_all(model, prompts, stops, 30, decoding) == one_by_one
