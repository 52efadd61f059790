"""Products with 4-bit weights on a CPU, without what is around them in `Linear4bit` and peft.

The kernel of bitsandbytes takes 10 to 80 microseconds for one token, and Python takes 60 to reach it;
here it is called directly. Layers that read the same input are one product, and so are their adapters.
Nothing is held twice: the model's own layers become views of what is joined here.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

import torch
from torch import Tensor

KERNEL = "gemv_4bit_inference_cpu_nf4_bf16"
"""Its arguments: tokens, outputs, inputs, x, weights, constants, result, block size, two strides."""

PACK = 32
"""So many rows of a matrix lie packed together."""

MANY = 32
"""From so many tokens on, unpacking the weights and one dense product are faster than the kernel."""

SURE = 64
"""How many of the likeliest tokens get exact scores."""

ROWS = 4096
"""Rows of the vocabulary matrix that are quantized at one time."""


@dataclass(frozen=True)
class Adapter:
    """The LoRA adapters of one product: all A side by side (inputs, ranks), and B (groups, ranks, outputs).

    Layers with equally many outputs are a group each; others are blocks of one B.
    """

    down: Tensor
    up: Tensor
    scale: float

    def add(self, x: Tensor, total: Tensor) -> Tensor:
        """Add to `total` what the adapters make of x."""
        tokens, groups = len(x), len(self.up)
        narrow = x.mm(self.down)
        if groups == 1:
            return total.addmm_(narrow, self.up[0], alpha=self.scale)
        parts = total.view(tokens, groups, -1).transpose(0, 1)
        parts.baddbmm_(narrow.view(tokens, groups, -1).transpose(0, 1), self.up, alpha=self.scale)
        return total


@dataclass(frozen=True)
class Product:
    """One or several layers that read the same input.

    weight (outputs, inputs / 2), constants (blocks of a row, outputs): as bitsandbytes packs them for
    its kernel; block: how many weights share a constant.
    """

    kernel: Callable[..., None]
    weight: Tensor
    constants: Tensor
    block: int
    adapter: Adapter | None

    def __call__(self, x: Tensor, total: Tensor | None = None) -> Tensor:
        """Return the outputs for x (tokens, inputs) in float32, added to `total` if there is one."""
        short = x.bfloat16()
        out = self._few(short) if len(x) < MANY else torch.nn.functional.linear(short, self.unpacked())
        total = out.float() if total is None else total.add_(out)
        return total if self.adapter is None else self.adapter.add(x, total)

    def _few(self, x: Tensor) -> Tensor:
        (tokens, inputs), outputs = x.shape, self.weight.shape[0]
        out = x.new_empty(tokens, outputs)
        self.kernel(
            tokens, outputs, inputs, x.data_ptr(), self.weight.data_ptr(), self.constants.data_ptr(),
            out.data_ptr(), self.block, inputs, outputs,
        )  # fmt: skip
        return out

    def unpacked(self) -> Tensor:
        """Return the weights in bfloat16 (outputs, inputs).

        Of 32 rows, a packed byte holds two weights of one column: row r in its lower half, row r + 16 in
        its upper one. First the two of neighbouring columns come together, as `dequantize_4bit` has them.
        """
        from bitsandbytes.functional import QuantState, dequantize_4bit

        outputs, half = self.weight.shape
        pairs = self.weight.view(torch.int16).view(-1, half, PACK // 2).transpose(1, 2).contiguous()
        plain = self.weight.new_empty(len(pairs), 2, PACK // 2, half)
        plain[:, 0] = (pairs << 4 & 0xF0) | (pairs >> 8 & 0xF)
        plain[:, 1] = (pairs & 0xF0) | (pairs >> 12 & 0xF)
        constants = self.constants.t().float().reshape(-1)
        shape = torch.Size((outputs, 2 * half))
        state = QuantState(  # type: ignore[no-untyped-call]
            constants, shape=shape, blocksize=self.block, quant_type="nf4", dtype=torch.bfloat16
        )
        return dequantize_4bit(plain.view(-1, 1), state)


class Head:
    """The vocabulary matrix: scores of all tokens from 8 bits, of the likeliest ones from the weights.

    Read in 16 bits, the matrix would take a quarter of the step's time. Scores from 8 bits stray as those
    of a product in bfloat16 do, so the best token is among the best 64 of them, which are computed again
    in float32.
    """

    def __init__(self, weight: Tensor) -> None:
        self._weight = weight
        self._scales = torch.empty(len(weight), dtype=torch.bfloat16)
        self._rough = torch.empty_like(weight, dtype=torch.int8)
        for start in range(0, len(weight), ROWS):
            rows = weight[start : start + ROWS].float()
            scales = (rows.abs().amax(1, keepdim=True) / 127).clamp_(min=1e-30).bfloat16()
            self._scales[start : start + ROWS] = scales[:, 0]
            self._rough[start : start + ROWS] = (rows / scales).round_().clamp_(-127, 127)

    def __call__(self, x: Tensor) -> Tensor:
        """Return the scores (vocabulary,) that follow from x (1, width), in float32."""
        scores = torch._weight_int8pack_mm(x.bfloat16(), self._rough, self._scales)[0].float()
        best = scores.topk(min(SURE, len(scores))).indices
        scores[best] = torch.mv(self._weight[best].float(), x[0])
        return scores


def is_packed(layer: Any) -> bool:
    """Say whether a model's layer, with an adapter of peft or without, is one that `joined` takes."""
    from bitsandbytes.nn.modules import Linear4bit

    plain = getattr(layer, "base_layer", layer)
    state = getattr(getattr(plain, "weight", None), "quant_state", None)
    return (
        isinstance(plain, Linear4bit)
        and plain.bias is None
        and getattr(state, "quant_type", "") == "nf4"
        and getattr(state, "packing_format_for_cpu", False)
        and (layer is plain or len(layer.active_adapters) == 1)
    )


def joined(*layers: Any) -> Product:
    """Return layers that read the same input as one product; they become views of it."""
    plain = [getattr(layer, "base_layer", layer) for layer in layers]
    states = [layer.weight.quant_state for layer in plain]
    weight = torch.cat([layer.weight.data for layer in plain])
    ends = [0, *accumulate(layer.out_features for layer in plain)]
    for layer, (start, end) in zip(plain, pairwise(ends), strict=True):
        layer.weight.data = weight[start:end]
    constants = torch.cat([state.absmax for state in states], 1)
    return Product(kernel(), weight, constants, states[0].blocksize, _adapter(layers, ends))


def _adapter(layers: Sequence[Any], ends: Sequence[int]) -> Adapter | None:
    """Return the layers' adapters as one; they become views of it. Raises ValueError if they differ."""
    spans = zip(layers, pairwise(ends), strict=True)
    adapted = [(_matrices(layer), span) for layer, span in spans if hasattr(layer, "lora_A")]
    if not adapted:
        return None
    ((rank, scale),) = {(len(a.weight), scale) for (a, _, scale), _ in adapted}
    down = torch.cat([a.weight.data.float() for (a, _, _), _ in adapted])
    alike = len(adapted) == len(layers) and len({layer.out_features for layer in layers}) == 1
    groups = len(layers) if alike else 1
    up = torch.zeros(groups, len(down) // groups, ends[-1] // groups)
    for place, ((a, b, _), (start, end)) in enumerate(adapted):
        ranks = slice(place * rank, (place + 1) * rank)
        block = up[place] if alike else up[0, ranks, start:end]
        block.copy_(b.weight.data.t())
        a.weight.data, b.weight.data = down[ranks], block.t()
    return Adapter(down.t(), up, scale)


def _matrices(layer: Any) -> tuple[Any, Any, float]:
    """Return A, B and their factor of a layer of peft."""
    (name,) = layer.active_adapters
    return layer.lora_A[name], layer.lora_B[name], layer.scaling[name]


def kernel() -> Callable[..., None]:
    """Return the kernel of bitsandbytes; raises ArgumentError where its library has none."""
    from bitsandbytes.cextension import lib

    size, place = ctypes.c_int64, ctypes.c_void_p
    kind = ctypes.CFUNCTYPE(None, size, size, size, place, place, place, place, size, size, size)
    address = ctypes.cast(getattr(lib, KERNEL), place).value
    assert address is not None
    return kind(address)
