"""The autograd functions of the fast path: frozen 4-bit layers with LoRA, and the answer loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Frozen:
    """What a projection with LoRA does not learn: weight() returns (out, in), dequantized for one product."""

    weight: Callable[[], Any]
    scale: float
    bias: Any


def make_functions() -> tuple[Any, Any]:
    """Return (LoraLinear, AnswerLoss); made on demand, as torch is imported late."""
    import torch

    class LoraLinear(torch.autograd.Function):
        """y = x W' + s (x A') B' + bias, for all projections of the same x, side by side in one y.

        The W are frozen and dequantized when used. Base products in `compute`, the small LoRA update added
        in y's type, `carried`: rounding the sum to bfloat16 would lose it.
        """

        @staticmethod
        def forward(ctx: Any, x: Any, frozen: Any, carried: Any, compute: Any, *adapters: Any) -> Any:
            """x (..., in); frozen: a Frozen for each projection; adapters: its A (r, in) and B (out, r)."""
            flat = x.reshape(-1, x.shape[-1]).to(compute)
            scale, b = frozen[0].scale, adapters[1::2]
            a = (torch.cat(adapters[::2]) * scale).to(compute)
            inner = flat @ a.t()
            out = flat.new_empty(len(flat), sum(map(len, b)), dtype=carried)
            updates = inner.to(carried).chunk(len(b), 1)
            for part, layer, update, own in zip(split(out, b), frozen, updates, b, strict=True):
                part.copy_(flat @ layer.weight().t()).addmm_(update, own.t().to(carried))
                if layer.bias is not None:
                    part.add_(layer.bias)
            ctx.save_for_backward(flat, inner, a, *b)
            ctx.frozen, ctx.x = frozen, (x.shape, x.dtype)
            return out.view(*x.shape[:-1], -1)

        @staticmethod
        def backward(ctx: Any, gradient: Any) -> tuple[Any, ...]:
            flat, inner, a, *b = ctx.saved_tensors
            shape, dtype = ctx.x
            gradient = gradient.reshape(-1, gradient.shape[-1]).to(flat.dtype)
            parts = split(gradient, b)
            into = torch.cat([part @ own.to(part.dtype) for part, own in zip(parts, b, strict=True)], 1)
            inners = inner.t().chunk(len(b))
            for_b = [(own @ part).t().to(b[0].dtype) for own, part in zip(inners, parts, strict=True)]
            for_a = (into.t() @ flat).to(b[0].dtype).mul_(ctx.frozen[0].scale).chunk(len(b))
            for_x = None
            if ctx.needs_input_grad[0]:
                for_x = into @ a
                for part, layer in zip(parts, ctx.frozen, strict=True):
                    for_x.addmm_(part, layer.weight())
                for_x = for_x.view(shape).to(dtype)
            return for_x, None, None, None, *chain.from_iterable(zip(for_a, for_b, strict=True))

    def split(joined: Any, b: Any) -> Any:
        """Return the columns of each projection."""
        return joined.split([len(own) for own in b], 1)

    class AnswerLoss(torch.autograd.Function):
        """Summed cross-entropy of a frozen head over answer places, in chunks.

        The gradient is made in the forward pass, so that no more than one chunk of logits lives.
        """

        @staticmethod
        def forward(ctx: Any, hidden: Any, head: Any, targets: Any, chunk: int) -> Any:
            """hidden (answers, width), head (vocabulary, width), targets (answers,)."""
            dtype, total = hidden.dtype, hidden.new_zeros((), dtype=torch.float32)
            hidden = hidden.to(head.dtype)
            gradient = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
            for start in range(0, len(targets), chunk):
                part = slice(start, start + chunk)
                logits, wanted = (hidden[part] @ head.t()).float(), targets[part, None]
                normal = logits.logsumexp(-1, keepdim=True)
                total += (normal - logits.gather(1, wanted)).sum()
                if gradient is not None:
                    logits.sub_(normal).exp_().scatter_add_(1, wanted, logits.new_full(wanted.shape, -1.0))
                    gradient[part] = logits.to(head.dtype) @ head
            if gradient is not None:
                ctx.save_for_backward(gradient.to(dtype))
            return total

        @staticmethod
        def backward(ctx: Any, scale: torch.Tensor) -> tuple[Any, ...]:
            (gradient,) = ctx.saved_tensors
            # in float32: float16's scale by itself may be more than float16 can hold
            return (gradient.float() * scale).to(gradient.dtype), None, None, None

    return LoraLinear, AnswerLoss
