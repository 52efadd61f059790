"""Flat batches: dialogues end to end in one row, without padding, none seeing another.

Positions restart with each dialogue and attention stays within it. All dialogues begin with the same
system prompt, so its tokens stand once at the front (the prefix) and everyone attends to them: by
causality they see nothing of what follows, and their gradient is the sum over the dialogues.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fsmbot.doctor.prompt import Example
from trainer.short import make_short

IMPLEMENTATION = "fsmbot-flat"
"""The name under which transformers knows the attention of this module."""

SHORT = 512
"""Up to so many tokens plain attention is faster on a CPU than the fused kernel."""


ROUND = 64
"""A flat batch's length is a multiple of this on a CPU. oneDNN builds its kernels anew for every
length and keeps them, half a megabyte each: with all lengths there are, memory grew by 28 MB a step."""


@dataclass(frozen=True)
class FlatBatch:
    """Dialogues end to end, and behind them padding up to a round length.

    ids, positions: (tokens,). prefix: how many leading tokens all dialogues share. spans: start and
    end of each dialogue's own tokens, and of the padding. where: the places whose next token is learnt,
    targets: those tokens; both (answer tokens,).
    """

    ids: Any
    positions: Any
    prefix: int
    spans: tuple[tuple[int, int], ...]
    where: Any
    targets: Any


def flatten(examples: Sequence[Example], prefix: int, device: Any = "cpu") -> FlatBatch:
    """Lay examples end to end; the first `prefix` ids must be the same in all of them."""
    import torch

    ids = list(examples[0].ids[:prefix])
    positions = list(range(prefix))
    where: list[int] = []
    targets: list[int] = []
    spans = []
    for example in examples:
        start = len(ids)
        shift = start - prefix
        ids += example.ids[prefix:]
        positions += range(prefix, len(example.ids))
        spans.append((start, len(ids)))
        learnt = [i for i, is_answer in enumerate(example.answer) if is_answer]
        # the token before the answer predicts its first token; it may be the prefix's last
        where += [i - 1 + shift if i > prefix else i - 1 for i in learnt]
        targets += [example.ids[i] for i in learnt]
    padding = -len(ids) % ROUND if str(device) == "cpu" else 0
    if padding:  # a dialogue of its own, of which nothing is learnt
        spans.append((len(ids), len(ids) + padding))
        ids += [ids[-1]] * padding
        positions += range(padding)
    ids_, positions_, where_, targets_ = (
        torch.tensor(values, device=device) for values in (ids, positions, where, targets)
    )
    return FlatBatch(ids_, positions_, prefix, tuple(spans), where_, targets_)


class FlatAttention:
    """The attention that the model calls, told of each batch, and of the type to compute in, before."""

    def __init__(self) -> None:
        self.batch: FlatBatch | None = None
        self.compute: Any = None
        self._masks: dict[tuple[int, int], Any] = {}

    def __call__(
        self,
        module: Any,
        query: Any,
        key: Any,
        value: Any,
        mask: Any,
        *,
        scaling: float | None = None,
        **_: Any,
    ) -> tuple[Any, None]:
        """Attend within each dialogue; query (1, heads, tokens, width), key and value with fewer heads."""
        import torch

        batch = self.batch
        assert batch is not None, "the batch is set before the forward pass"
        scaling = scaling or 1 / math.sqrt(query.shape[-1])
        carried = query.dtype
        if query.device.type == "cuda":  # whose fast kernels take 16 bits only
            query, key, value = (part.to(self.compute) for part in (query, key, value))
        prefix, out = batch.prefix, []
        if prefix:
            out.append(self._attend(query[:, :, :prefix], key[:, :, :prefix], value[:, :, :prefix], scaling))
        for start, end in batch.spans:
            keys, values = key[:, :, start:end], value[:, :, start:end]
            if prefix:
                keys = torch.cat((key[:, :, :prefix], keys), 2)
                values = torch.cat((value[:, :, :prefix], values), 2)
            out.append(self._attend(query[:, :, start:end], keys, values, scaling))
        return torch.cat(out, 2).transpose(1, 2).contiguous().to(carried), None

    def short(self, joined: Any, cos: Any, sin: Any, shape: tuple[int, int, int], scaling: float) -> Any:
        """Do it all at once from joined projections (see short.py); None where that does not serve."""
        batch = self.batch
        assert batch is not None, "the batch is set before the forward pass"
        spans = [(0, batch.prefix, 0), *((*span, batch.prefix) for span in batch.spans)]
        if joined.device.type != "cpu" or max(end - start + before for start, end, before in spans) > SHORT:
            return None
        masked = [
            (start, end, before, self._mask(end - start, end - start + before, joined, shape[1]))
            for start, end, before in spans
            if end > start
        ]
        cos, sin = cos[0].float(), sin[0].float()
        return make_short()(joined[0], cos, sin, shape, scaling, masked, self.compute)[None]

    def _attend(self, query: Any, key: Any, value: Any, scaling: float) -> Any:
        """Causal attention where the queries are the last of the keys' places."""
        from torch.nn.functional import scaled_dot_product_attention

        length, seen = query.shape[2], key.shape[2]
        if query.device.type == "cpu" and seen <= SHORT:
            return self._plain(query, key, value, scaling)
        # Heads are repeated, as grouped ones with a mask would go through the slowest kernel on a GPU.
        key, value = (part.repeat_interleave(query.shape[1] // part.shape[1], 1) for part in (key, value))
        mask = None if length == seen else self._mask(length, seen, query).to(query.dtype)
        return scaled_dot_product_attention(
            query, key, value, attn_mask=mask, is_causal=mask is None, scale=scaling
        )

    def _plain(self, query: Any, key: Any, value: Any, scaling: float) -> Any:
        """Matrix products and a softmax; heads that share a key go through as one."""
        _, heads, length, width = query.shape
        groups, seen = key.shape[1], key.shape[2]
        each = heads // groups
        grouped = query.reshape(groups, each * length, width)
        scores = (grouped @ key[0].transpose(1, 2)).float().view(groups, each, length, seen)
        weights = (scores * scaling + self._mask(length, seen, query)).softmax(-1).to(value.dtype)
        out = weights.view(groups, each * length, seen) @ value[0]
        return out.view(1, heads, length, width)

    def _mask(self, length: int, seen: int, like: Any, rows: int = 1) -> Any:
        """Return (length * rows, seen): 0 where a query may look, minus infinity where it may not.

        All masks with as many places before the first query are corners of one, which grows as needed.
        rows: how many in succession belong to one query.
        """
        import torch

        before = seen - length
        mask = self._masks.get((before, rows))
        if mask is None or len(mask) < length * rows or mask.device != like.device:
            blocked = torch.ones(length, seen, dtype=torch.bool, device=like.device).triu(1 + before)
            mask = torch.zeros(length, seen, device=like.device).masked_fill_(blocked, -math.inf)
            mask = self._masks[before, rows] = mask.repeat_interleave(rows, 0)
        return mask[: length * rows, :seen]


flat_attention = FlatAttention()


def register() -> None:
    """Make the attention known to transformers under IMPLEMENTATION."""
    from transformers import AttentionInterface

    AttentionInterface.register(IMPLEMENTATION, flat_attention)
