"""Answers to many questions at once, by the rules by which the bot decodes one.

A step of a 4-bit model costs nearly the same for sixteen questions as for one: most of it is unpacking
the weights.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from fsmbot.doctor.decode import Decoding, chooser

TOGETHER = 16
"""Questions that are answered at one time."""


def decode_all(
    model: Any, prompts: Sequence[Sequence[int]], stops: Collection[int], limit: int, decoding: Decoding
) -> list[list[int]]:
    """Return for each prompt what `decode` would yield, up to rounding; alike in length go together."""
    order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
    found: dict[int, list[int]] = {}
    for start in range(0, len(order), TOGETHER):
        part = order[start : start + TOGETHER]
        said = decode_together(model, [prompts[index] for index in part], stops, limit, decoding)
        found |= dict(zip(part, said, strict=True))
    return [found[index] for index in range(len(prompts))]


def decode_together(
    model: Any, prompts: Sequence[Sequence[int]], stops: Collection[int], limit: int, decoding: Decoding
) -> list[list[int]]:
    """Decode one batch: prompts end at the same place, and what is before the shorter ones is masked."""
    import torch

    longest = max(map(len, prompts))
    pad = next(iter(stops))
    padded = [[pad] * (longest - len(ids)) + list(ids) for ids in prompts]
    seen = [[0] * (longest - len(ids)) + [1] * len(ids) for ids in prompts]
    step, mask = torch.tensor(padded, device=model.device), torch.tensor(seen, device=model.device)
    places = (mask.cumsum(-1) - 1).clamp(min=0)
    said: list[list[int]] = [[] for _ in prompts]
    open_ = set(range(len(prompts)))
    choose, cache = [chooser(decoding) for _ in prompts], None
    while open_:
        with torch.inference_mode():
            out = model(
                input_ids=step, attention_mask=mask, position_ids=places, past_key_values=cache,
                use_cache=True, logits_to_keep=1,
            )  # fmt: skip
            cache, scores = out.past_key_values, out.logits[:, -1].float()
            chosen = {row: choose[row](scores[row], said[row]) for row in open_}
        for row, token in chosen.items():
            if token not in stops:
                said[row].append(token)
            if token in stops or len(said[row]) == limit:
                open_.remove(row)
        step = torch.tensor([[chosen.get(row, pad)] for row in range(len(prompts))], device=model.device)
        mask = torch.cat((mask, mask.new_ones(len(prompts), 1)), 1)
        places = places[:, -1:] + 1
    return said
