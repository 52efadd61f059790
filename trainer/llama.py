"""Llama's blocks in fewer passes over memory: projections of the same input are computed at once.

transformers calls attention and feed-forward of a layer as before; inside, what flows is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from trainer.flat import flat_attention
from trainer.kernels import Frozen
from trainer.passes import make_passes

ATTENTION, FEED_FORWARD = ("q_proj", "k_proj", "v_proj", "o_proj"), ("gate_proj", "up_proj", "down_proj")


class Joined:
    """Projections with LoRA that get the same input; their outputs lie side by side.

    sizes: how wide each output is. compute: the type of the products.
    """

    def __init__(self, linear: Any, compute: Any, frozen: Sequence[Frozen], adapters: Sequence[Any]) -> None:
        self.compute, self.sizes = compute, [len(b) for b in adapters[1::2]]
        self._linear, self._frozen, self._adapters = linear, frozen, adapters

    @classmethod
    def one(cls, linear: Any, compute: Any, layer: Any) -> Joined:
        """Return the projection of a layer as peft made it."""
        bias, scale = layer.base_layer.bias, layer.scaling["default"]
        adapter = [layer.lora_A["default"].weight, layer.lora_B["default"].weight]
        return cls(linear, compute, [Frozen(_weight(layer.base_layer, compute), scale, bias)], adapter)

    def __add__(self, other: Joined) -> Joined:
        frozen, adapters = [*self._frozen, *other._frozen], [*self._adapters, *other._adapters]
        return Joined(self._linear, self.compute, frozen, adapters)

    def __call__(self, x: Any, carried: Any = None) -> Any:
        """Return (..., sum of sizes), of type `carried` or x's own."""
        return self._linear.apply(x, self._frozen, carried or x.dtype, self.compute, *self._adapters)


def _weight(layer: Any, compute: Any) -> Callable[[], Any]:
    """Return what dequantizes the layer's weight (out, in) for one product.

    On a CPU the scales, themselves in 8 bits, are made float32 once: an eighth of the 4-bit weights more.
    """
    from bitsandbytes.functional import QuantState, dequantize_4bit, dequantize_blockwise

    state = layer.weight.quant_state
    if state.nested and layer.weight.device.type == "cpu":
        scales = dequantize_blockwise(state.absmax, state.state2) + state.offset
        made = (scales, state.shape, state.code, state.blocksize, state.quant_type, state.dtype)
        state = QuantState(*made)  # type: ignore[no-untyped-call]
    return lambda: dequantize_4bit(layer.weight.data, state).to(compute)


def replace_forwards(model: Any, linear: Any, compute: Any) -> None:
    """Give every projection with LoRA our forward pass, and Llama's blocks where all of them have it."""
    from peft.tuners.lora.bnb import Linear4bit

    for module in model.modules():
        if isinstance(module, Linear4bit):
            module.forward = Joined.one(linear, compute, module)  # type: ignore[method-assign]
    for layer in _layers(model):
        q, k, v, o = (getattr(layer.self_attn, name).forward for name in ATTENTION)
        gate, up, down = (getattr(layer.mlp, name).forward for name in FEED_FORWARD)
        width, scaling = layer.self_attn.head_dim, layer.self_attn.scaling
        layer.self_attn.forward = partial(_attend, q + k + v, o, width, scaling)
        layer.mlp.forward = partial(_feed, gate + up, down)
        for norm in (layer.input_layernorm, layer.post_attention_layernorm):
            norm.forward = partial(_norm, norm.weight, norm.variance_epsilon, compute)


def _layers(model: Any) -> Iterator[Any]:
    """Yield Llama's layers, gated by SiLU, all of whose projections have LoRA."""
    from peft.tuners.lora.bnb import Linear4bit
    from transformers.models.llama.modeling_llama import LlamaDecoderLayer

    for layer in model.modules():
        if type(layer) is LlamaDecoderLayer and layer.mlp.config.hidden_act == "silu":
            projections = [getattr(layer.self_attn, name) for name in ATTENTION]
            projections += [getattr(layer.mlp, name) for name in FEED_FORWARD]
            if all(isinstance(projection, Linear4bit) for projection in projections):
                yield layer


def _attend(
    joined: Joined,
    output: Joined,
    width: int,
    scaling: float,
    hidden_states: Any,
    position_embeddings: tuple[Any, Any],
    **_: Any,
) -> tuple[Any, None]:
    """Attention: joined gives queries, keys and values."""
    import torch
    from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

    both = joined(hidden_states, torch.float32)
    groups, heads = joined.sizes[1] // width, joined.sizes[0] // width
    mixed = flat_attention.short(both, *position_embeddings, (groups, heads // groups, width), scaling)
    if mixed is None:
        parts = both.split(joined.sizes, -1)
        query, key, value = (part.unflatten(-1, (-1, width)).transpose(1, 2) for part in parts)
        query, key = apply_rotary_pos_emb(query, key, *position_embeddings)
        mixed = flat_attention(None, query, key, value, None, scaling=scaling)[0].flatten(2)
    return output(mixed, torch.float32), None


def _feed(joined: Joined, output: Joined, x: Any) -> Any:
    """Feed-forward: joined gives gate and up."""
    import torch

    gated = make_passes().gated(joined(x, torch.float32), output.compute)
    return output(gated, torch.float32)


def _norm(weight: Any, epsilon: float, compute: Any, x: Any) -> Any:
    return make_passes().norm(x, weight, epsilon, compute)
