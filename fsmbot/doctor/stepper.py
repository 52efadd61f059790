"""A fast step for 4-bit models of the Llama architecture on a CPU: what one token costs, and no more.

Most of the time of a step of transformers is spent between the products, not in them. Here the step is
written out for the one architecture (https://arxiv.org/abs/2302.13971; grouped queries,
https://arxiv.org/abs/2305.13245; rotary positions, https://arxiv.org/abs/2104.09864). What flows
between the products is float32: in such small pieces torch computes it faster than bfloat16, and the
adapter was trained so.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from ctypes import ArgumentError
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fsmbot.doctor.packed import SURE, Head, Product, is_packed, joined

log = logging.getLogger("fsmbot.doctor")

CHUNK = 512
"""Tokens of a prompt that are computed at one time, so that a long one takes no more memory."""

ROOM = 256
"""Tokens by which the room for an answer grows."""

NEAR = 0.2
"""How far scores may be from the model's own, as a part of their spread; by rounding it is 0.02 to 0.05."""

FIXED_ROTATIONS = ("default", "linear", "llama3")
"""Kinds of rotary positions that do not depend on how long the text is."""


def stepper_for(model: Any, prefix: Sequence[int]) -> Stepper | None:
    """Return a stepper for a model of transformers, or None where its own step has to do.

    prefix: the ids that prompts begin with; they are computed once, by both, and the scores compared.
    """
    try:
        from bitsandbytes.functional import has_avx512bf16

        if not (prefix and _is_llama(model) and has_avx512bf16()):  # type: ignore[no-untyped-call]
            return None
        with torch.inference_mode():
            wanted = model(input_ids=torch.tensor([list(prefix)]), logits_to_keep=1).logits[0, -1].float()
        if not all(map(is_packed, _projections(model))):  # which that step did
            return None
        with torch.no_grad():
            stepper = Stepper(model)
        with torch.inference_mode():
            far = _distance(stepper.remember(prefix), wanted)
    except (ArgumentError, AttributeError, ImportError, RuntimeError, TypeError, ValueError) as error:
        log.info("the fast step cannot be used with these packages: %s", error)
        return None
    return stepper if far < NEAR else None  # NaN is not near either


def _distance(scores: Tensor, wanted: Tensor) -> float:
    """Return how far the likeliest tokens' scores are off, as a part of how far they stand out."""
    best = wanted.topk(min(SURE, len(wanted))).indices
    return float((scores - wanted)[best].norm() / (wanted - wanted.mean())[best].norm())


def _is_llama(model: Any) -> bool:
    from transformers import LlamaForCausalLM

    llama = _bare(model)
    return (
        type(llama) is LlamaForCausalLM
        and llama.device.type == "cpu"
        and llama.config.hidden_act == "silu"
        and getattr(llama.model.rotary_emb, "rope_type", "") in FIXED_ROTATIONS
    )


def _bare(model: Any) -> Any:
    """Return the model of transformers that peft has wrapped, or that was none of peft's."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def _projections(model: Any) -> list[Any]:
    names = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    modules = _bare(model).model.layers.named_modules()
    return [module for name, module in modules if name.rpartition(".")[2] in names]


@dataclass(frozen=True)
class Layer:
    """One layer of a Llama: four products, and the weights of its two norms."""

    qkv: Product
    out: Product
    gate_up: Product
    down: Product
    norm: Tensor
    mlp_norm: Tensor

    @staticmethod
    def of(layer: Any) -> Layer:
        """Return a layer of transformers, arranged."""
        attention, mlp = layer.self_attn, layer.mlp
        return Layer(
            joined(attention.q_proj, attention.k_proj, attention.v_proj),
            joined(attention.o_proj),
            joined(mlp.gate_proj, mlp.up_proj),
            joined(mlp.down_proj),
            layer.input_layernorm.weight.float(),
            layer.post_attention_layernorm.weight.float(),
        )


class Stepper:
    """A model arranged for `begin`. Answers only read it, so several threads may use it."""

    def __init__(self, model: Any) -> None:
        llama = _bare(model)
        self.config = config = llama.config
        self.layers = [Layer.of(layer) for layer in llama.model.layers]
        self.embedding: Tensor = llama.get_input_embeddings().weight
        self.norm = llama.model.norm.weight.float()
        self.epsilon: float = config.rms_norm_eps
        self.head = Head(llama.get_output_embeddings().weight)
        self.rotary = llama.model.rotary_emb
        self.heads: int = config.num_attention_heads
        self.kv: int = config.num_key_value_heads
        self.size: int = llama.model.layers[0].self_attn.head_dim
        self.prefix: list[int] = []
        self.past: tuple[Tensor, Tensor] | None = None

    def remember(self, prefix: Sequence[int]) -> Tensor:
        """Compute what prompts begin with, once; return the scores of what follows it."""
        answer = self.begin()
        scores = answer(prefix)
        self.past, self.prefix = answer.past(), list(prefix)
        return scores

    def begin(self) -> Answer:
        """Return a fresh answer."""
        return Answer(self)


class Answer:
    """One answer in the making: called with ids, it returns the scores of what follows them.

    Its keys and values are its own; whatever becomes of it, the next answer does not see them.
    """

    def __init__(self, stepper: Stepper) -> None:
        self._of = stepper
        self._done = 0
        self._keys = torch.empty(len(stepper.layers), stepper.kv, stepper.size, 0)
        self._values = torch.empty(len(stepper.layers), stepper.kv, 0, stepper.size)
        self._turns = torch.empty(0)

    def __call__(self, ids: Sequence[int]) -> Tensor:
        """Take the ids, and return the scores of the next token, float32 (vocabulary,)."""
        if self._done == 0:
            self._begin_as_remembered(ids)
            ids = ids[self._done :]
        for start in range(0, len(ids), CHUNK):
            hidden = self._take(ids[start : start + CHUNK])
        return self._of.head(self._normal(hidden[-1:], self._of.norm))

    def past(self) -> tuple[Tensor, Tensor]:
        """Return a copy of keys and values so far."""
        return self._keys[..., : self._done].clone(), self._values[:, :, : self._done].clone()

    def _begin_as_remembered(self, ids: Sequence[int]) -> None:
        """Take over what was computed of the beginning, but for the last token, whose scores are wanted."""
        prefix, past = self._of.prefix, self._of.past
        if past is None or list(ids[: len(prefix)]) != prefix:
            return
        done = min(len(prefix), len(ids) - 1)
        self._make_room(len(ids))
        self._keys[..., :done], self._values[:, :, :done] = past[0][..., :done], past[1][:, :, :done]
        self._done = done

    def _take(self, ids: Sequence[int]) -> Tensor:
        """Return the hidden states (tokens, width) after the last layer; keys and values stay."""
        start, end = self._done, self._done + len(ids)
        if end > self._keys.shape[-1]:
            self._make_room(end)
        hidden = self._of.embedding[torch.tensor(ids)].float()
        turn = self._turns[start:end]
        mask = torch.full((len(ids), end), float("-inf")).triu_(start + 1) if len(ids) > 1 else None
        keys, values = self._keys[..., :end].unbind(), self._values[:, :, :end].unbind()
        for layer, key, value in zip(self._of.layers, keys, values, strict=True):
            qkv = layer.qkv(self._normal(hidden, layer.norm))
            layer.out(self._attend(qkv, key, value, turn, mask), hidden)
            gate, up = layer.gate_up(self._normal(hidden, layer.mlp_norm)).chunk(2, -1)
            layer.down(torch.nn.functional.silu(gate).mul_(up), hidden)
        self._done = end
        return hidden

    def _normal(self, x: Tensor, weight: Tensor) -> Tensor:
        """Return x with a mean square of one, times the weights."""
        if len(x) > 1:
            return x * (x.square().mean(-1, keepdim=True) + self._of.epsilon).rsqrt_() * weight
        square = torch.dot(x[0], x[0]).item() / x.shape[1]  # in three small steps instead of five
        return (x * weight).mul_((square + self._of.epsilon) ** -0.5)

    def _attend(self, qkv: Tensor, keys: Tensor, values: Tensor, turn: Tensor, mask: Tensor | None) -> Tensor:
        """Write keys and values of the new tokens to the end, and return what their queries find."""
        of, tokens = self._of, len(qkv)
        turning, group = of.heads + of.kv, of.heads // of.kv
        parts = qkv.view(tokens, turning + of.kv, of.size)
        qk = _turned(parts[:, :turning], turn)
        keys[..., -tokens:] = qk[:, of.heads :].permute(1, 2, 0)
        values[:, -tokens:] = parts[:, turning:].transpose(0, 1)
        queries = qk[:, : of.heads].reshape(tokens, of.kv, group, of.size).permute(1, 2, 0, 3)
        chances = torch.bmm(queries.reshape(of.kv, group * tokens, of.size), keys)
        if mask is not None:
            chances.view(of.kv, group, tokens, -1).add_(mask)
        found = torch.bmm(chances.softmax(-1), values).view(of.kv, group, tokens, of.size)
        return found.permute(2, 0, 1, 3).reshape(tokens, of.heads * of.size)

    def _make_room(self, tokens: int) -> None:
        """Grow keys, values and rotations for so many tokens and some more."""
        of, room, old = self._of, tokens + ROOM, self._keys.shape[-1]
        keys = self._keys.new_empty(*self._keys.shape[:-1], room)
        values = self._values.new_empty(*self._values.shape[:2], room, of.size)
        keys[..., :old], values[:, :, :old] = self._keys, self._values
        self._keys, self._values = keys, values
        cos, sin = (part[0, :, None, : of.size // 2] for part in of.rotary(keys, torch.arange(room)[None]))
        scale = torch.ones(of.heads + of.kv, 1)
        scale[: of.heads] = of.size**-0.5  # that of attention, put on the queries here
        self._turns = torch.complex(cos, sin) * scale


def _turned(heads: Tensor, turn: Tensor) -> Tensor:
    """Return heads (tokens, heads, size) turned by their positions.

    Real parts are in the first half, imaginary ones in the second; they come out side by side, which is
    another order, but the same for queries and keys.
    """
    real, imaginary = heads.chunk(2, -1)
    return torch.view_as_real(torch.complex(real, imaginary).mul_(turn)).flatten(-2)
