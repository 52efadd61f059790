"""The autograd functions between a Llama's products: norm and gated SiLU, in few passes over memory.

They compute in float32 and give what goes into the next product in the product's own type, to which it
would be rounded there.
"""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import Any


@cache
def make_passes() -> SimpleNamespace:
    """Return the functions norm and gated; made on demand, as torch is imported late."""
    import torch
    from torch.nn.functional import silu

    class Norm(torch.autograd.Function):
        """Llama's RMSNorm with a frozen weight: w x / sqrt(mean(x^2) + eps)."""

        @staticmethod
        def forward(ctx: Any, x: Any, weight: Any, epsilon: float, compute: Any) -> Any:
            """x (..., width) of any type; the result is of type `compute`."""
            ctx.x, x = x.dtype, x.float()
            length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
            inverse = length.square_().div_(x.shape[-1]).add_(epsilon).rsqrt_()
            ctx.save_for_backward(x, inverse, weight)
            return (x * inverse).mul_(weight).to(compute)

        @staticmethod
        def backward(ctx: Any, gradient: Any) -> tuple[Any, ...]:
            x, inverse, weight = ctx.saved_tensors
            gradient = gradient.float() * weight
            along = (gradient * x).mean(-1, keepdim=True).mul_(inverse**3)
            return gradient.mul_(inverse).addcmul_(x, along, value=-1).to(ctx.x), None, None, None

    class Gated(torch.autograd.Function):
        """silu(gate) * up, of the two side by side; only these are kept, SiLU is computed again."""

        @staticmethod
        def forward(ctx: Any, joined: Any, compute: Any) -> Any:
            """joined (..., 2 * width) float32; the result is of type `compute`."""
            ctx.save_for_backward(joined)
            gate, up = joined.chunk(2, -1)
            return silu(gate).mul_(up).to(compute)

        @staticmethod
        def backward(ctx: Any, gradient: Any) -> tuple[Any, None]:
            (joined,) = ctx.saved_tensors
            gate, up = joined.chunk(2, -1)
            found, gradient = torch.empty_like(joined), gradient.to(joined.dtype)
            for_gate, for_up = found.chunk(2, -1)
            torch.ops.aten.silu.out(gate, out=for_up).mul_(gradient)
            torch.ops.aten.silu_backward.grad_input(gradient * up, gate, grad_input=for_gate)
            return found, None

    return SimpleNamespace(norm=Norm.apply, gated=Gated.apply)
