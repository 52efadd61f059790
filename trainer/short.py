"""Attention on a CPU within short dialogues, as one autograd function: from queries, keys and values side by
side, over rotary positions and a softmax, to what goes into the output projection.

Rows of `query` are tokens, and within them the heads that share a key: so a dialogue's rows are together,
and those heads go through as one.
"""

from __future__ import annotations

from functools import cache
from typing import Any


@cache
def make_short() -> Any:
    """Return the function; made on demand, as torch is imported late."""
    import torch

    class Short(torch.autograd.Function):
        """softmax(turned q (turned k)' scaling + mask) v for each span, which sees the prefix and itself."""

        @staticmethod
        def forward(
            ctx: Any, joined: Any, cos: Any, sin: Any, shape: Any, scaling: float, spans: Any, compute: Any
        ) -> Any:
            """joined (tokens, (heads + 2 groups) width) float32; cos, sin (tokens, width).

            shape: groups, heads of each, width. spans: start, end, how long a prefix it sees, and its
            mask (rows, keys). Returns (tokens, heads width), of type `compute`.
            """
            groups, each, width = shape
            query, key, value = views(joined, shape)
            query = turn(query, cos[:, None], sin[:, None], query.new_empty(query.shape))
            query = query.view(groups, -1, width).mul_(scaling)
            key, value = turn(key, cos, sin, key.new_empty(key.shape)), value.contiguous()
            mixed, kept = torch.empty_like(query), []
            for start, end, before, mask in spans:
                own = slice(start * each, end * each)
                keys, values = seen(key, start, end, before), seen(value, start, end, before)
                weights = torch.baddbmm(mask, query[:, own], keys.transpose(1, 2)).softmax(-1)
                torch.bmm(weights, values, out=mixed[:, own])
                kept.append(weights)
            ctx.save_for_backward(query, key, value, cos, sin, *kept)
            ctx.shape, ctx.scaling, ctx.spans = shape, scaling, [span[:3] for span in spans]
            mixed = mixed.view(groups, -1, each, width).transpose(0, 1)
            return mixed.to(compute, memory_format=torch.contiguous_format).flatten(1)

        @staticmethod
        def backward(ctx: Any, gradient: Any) -> tuple[Any, ...]:
            query, key, value, cos, sin, *kept = ctx.saved_tensors
            groups, each, width = ctx.shape
            gradient = gradient.view(-1, groups, each, width).transpose(0, 1)
            gradient = gradient.to(query.dtype, memory_format=torch.contiguous_format).reshape(query.shape)
            found = query.new_empty(len(cos), (each + 2) * groups * width)
            out_query, out_key, for_value = views(found, ctx.shape)
            for_query, for_key = torch.empty_like(query), torch.zeros_like(key)
            for_value.zero_()
            for (start, end, before), weights in zip(ctx.spans, kept, strict=True):
                own = slice(start * each, end * each)
                keys, values = seen(key, start, end, before), seen(value, start, end, before)
                into = torch.bmm(gradient[:, own], values.transpose(1, 2))
                into = torch._softmax_backward_data(into, weights, -1, into.dtype)
                torch.bmm(into, keys, out=for_query[:, own])
                give(for_key, torch.bmm(into.transpose(1, 2), query[:, own]), start, end, before)
                give(for_value, torch.bmm(weights.transpose(1, 2), gradient[:, own]), start, end, before)
            for_query = for_query.mul_(ctx.scaling).view(out_query.shape)
            turn(for_query, cos[:, None], -sin[:, None], out_query)
            turn(for_key, cos, -sin, out_key)
            return found, None, None, None, None, None, None

    def views(joined: Any, shape: tuple[int, int, int]) -> tuple[Any, Any, Any]:
        """Return query (groups, tokens, each, width), key and value (groups, tokens, width)."""
        groups, each, width = shape
        parts = joined.view(len(joined), -1, width).split((groups * each, groups, groups), 1)
        query = parts[0].unflatten(1, (groups, each)).transpose(0, 1)
        return query, parts[1].transpose(0, 1), parts[2].transpose(0, 1)

    def turn(x: Any, cos: Any, sin: Any, out: Any) -> Any:
        """Turn x by its places (RoPE); with -sin it is turned back."""
        half = x.shape[-1] // 2
        torch.mul(x, cos, out=out)
        out[..., :half].addcmul_(x[..., half:], sin[..., :half], value=-1)
        out[..., half:].addcmul_(x[..., :half], sin[..., half:])
        return out

    def seen(part: Any, start: int, end: int, before: int) -> Any:
        """Return the prefix and the span, of keys or values."""
        own = part[:, start:end]
        return torch.cat((part[:, :before], own), 1) if before else own

    def give(total: Any, part: Any, start: int, end: int, before: int) -> None:
        """Add the gradient of what `seen` returned."""
        total[:, :before] += part[:, :before]
        total[:, start:end] += part[:, before:]

    return Short.apply
