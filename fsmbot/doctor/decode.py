"""Choose the next token: greedy or sampled, without loops of repeated phrases.

`Decoding` holds the knobs, `decode` is the loop. It calls the model one token at a time and is a
generator, so closing it (or Ctrl-C) ends the computation at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from fsmbot.errors import DoctorError

if TYPE_CHECKING:
    import torch

COLDEST = 1e-3
"""The temperature below which only the likeliest token has a chance; scores divided by it may overflow."""


class Decoding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How answers are decoded; the defaults are measured on the embedded model.

    temperature: 0 takes the likeliest token; above 0 samples, softer with higher values.
    top_p: sample among the likeliest tokens that together have this probability
        (nucleus sampling, https://arxiv.org/abs/1904.09751).
    repetition_penalty: divides the score of tokens already in the answer; 1 is none
        (CTRL, https://arxiv.org/abs/1909.05858, section 4.1).
    no_repeat_ngram: no run of so many tokens occurs twice in an answer; 0 allows any. Below 6 it
        bends names that must recur: "COVID-19" has four tokens.
    seed: the same seed and question give the same answer.
    """

    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] = 0.0
    top_p: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.9
    repetition_penalty: Annotated[float, msgspec.Meta(ge=1, le=2)] = 1.1
    no_repeat_ngram: Annotated[int, msgspec.Meta(ge=0, le=32)] = 8
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] = 0


def decode(
    model: Any, ids: Sequence[int], stops: Collection[int], limit: int, decoding: Decoding
) -> Iterator[int]:
    """Yield at most `limit` new token ids, up to and without the first of `stops`.

    model: a causal language model of transformers, or a `Stepper`; ids: the prompt, one sequence. Raises
    DoctorError where the model's scores are no numbers: of these, any choice would be garbage.
    """
    import torch

    choose = chooser(decoding)
    said: list[int] = []
    take = model.begin() if hasattr(model, "begin") else _plain(model)
    new = list(ids)
    while len(said) < limit:
        # Not one `inference_mode` around the loop: it would stay on for whoever takes the tokens.
        with torch.inference_mode():
            scores = take(new)
            if not math.isfinite(scores.max()):  # which NaN anywhere among them makes NaN
                raise DoctorError(
                    "the model computes NaN or infinity: its weights or its adapter are damaged; restore "
                    "them, or have the trainer write the adapter again"
                )
            token = choose(scores, said)
        if token in stops:
            return
        said.append(token)
        yield token
        new = [token]


def _plain(model: Any) -> Callable[[Sequence[int]], torch.Tensor]:
    """Return the function that gives a model of transformers further ids, and returns the next scores."""
    import torch

    cache: Any = None

    def take(ids: Sequence[int]) -> torch.Tensor:
        nonlocal cache
        step = torch.tensor([ids], device=model.device)
        out = model(input_ids=step, past_key_values=cache, use_cache=True, logits_to_keep=1)
        cache = out.past_key_values
        scores: torch.Tensor = out.logits[0, -1].float()
        return scores

    return take


def chooser(decoding: Decoding) -> Callable[[torch.Tensor, Sequence[int]], int]:
    """Return the function that picks the next token from scores (vocabulary,) and what was said."""
    import torch

    generator = torch.Generator().manual_seed(decoding.seed)

    def choose(scores: torch.Tensor, said: Sequence[int]) -> int:
        scores = penalized(scores, said, decoding)
        if decoding.temperature < COLDEST:
            return int(scores.argmax())
        chances, order = (scores.cpu() / decoding.temperature).softmax(-1).sort(descending=True)
        chances[chances.cumsum(-1) - chances > decoding.top_p] = 0  # keeps the first in any case
        return int(order[torch.multinomial(chances, 1, generator=generator)])

    return choose


def penalized(scores: torch.Tensor, said: Sequence[int], decoding: Decoding) -> torch.Tensor:
    """Return the scores with repetition made dearer, and repeated n-grams impossible."""
    if not said:
        return scores
    scores = scores.clone()
    seen = scores.new_tensor(sorted(set(said))).long()
    old = scores[seen]
    penalty = decoding.repetition_penalty
    scores[seen] = (old / penalty).where(old > 0, old * penalty)
    banned = closing_tokens(said, decoding.no_repeat_ngram)
    if banned:
        scores[banned] = float("-inf")
    return scores


def closing_tokens(said: Sequence[int], size: int) -> list[int]:
    """Return the tokens that would complete an n-gram of `size` that was said before."""
    if not 0 < size <= len(said):
        return []
    tail = tuple(said[len(said) - size + 1 :])
    starts = range(len(said) - size + 1)
    return sorted({said[i + size - 1] for i in starts if tuple(said[i : i + size - 1]) == tail})
