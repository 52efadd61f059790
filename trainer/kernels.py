"""The two autograd functions of the fast path: a frozen 4-bit layer with LoRA, and the answer loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def make_functions() -> tuple[Any, Any]:
    """Return (LoraLinear, AnswerLoss); made on demand, as torch is imported late."""
    import torch

    class LoraLinear(torch.autograd.Function):
        """y = x W' + s (x A') B' for a frozen W that is dequantized when used.

        Base product in `compute`, the small LoRA update added in x's own type: rounding the sum to
        bfloat16 would lose it.
        """

        @staticmethod
        def forward(ctx: Any, x: Any, a: Any, b: Any, weight: Any, scale: float, compute: Any) -> Any:
            """x (..., in), a (r, in), b (out, r); weight() returns (out, in)."""
            flat = x.reshape(-1, x.shape[-1]).to(compute)
            small_a, small_b = a.to(compute), b.to(compute)
            inner = flat @ small_a.t()
            out = (flat @ weight().t()).to(x.dtype)
            out.add_(inner @ small_b.t(), alpha=scale)
            ctx.save_for_backward(flat, inner, small_a, small_b)
            ctx.weight, ctx.scale, ctx.x, ctx.parameter = weight, scale, (x.shape, x.dtype), a.dtype
            return out.view(*x.shape[:-1], -1)

        @staticmethod
        def backward(ctx: Any, gradient: Any) -> tuple[Any, ...]:
            flat, inner, a, b = ctx.saved_tensors
            shape, dtype = ctx.x
            gradient = gradient.reshape(-1, gradient.shape[-1]).to(flat.dtype)
            into = (gradient @ b).mul_(ctx.scale)
            for_b = (gradient.t() @ inner).to(ctx.parameter).mul_(ctx.scale)
            for_a = (into.t() @ flat).to(ctx.parameter)
            for_x = None
            if ctx.needs_input_grad[0]:
                for_x = (gradient @ ctx.weight()).addmm_(into, a).view(shape).to(dtype)
            return for_x, for_a, for_b, None, None, None

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
