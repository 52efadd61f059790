"""How much memory and arithmetic a run needs, from a configuration and the shape of its base.

The figures follow what this trainer keeps (kernels.py, llama.py, flat.py) beside transformers'
Llama. All sizes are in bytes, for the longest dialogues.

Peaks of real runs of configs/smollm2-135m-cpu.yaml on two cores, beside the estimate (GiB):

    steps  changed                           measured  estimate
        3  -                                     3.21      3.23
        3  steps.micro_tokens=1024               2.49      2.28
        3  base.gradient_checkpointing=true      1.32      1.32
       40  -                                     5.44      5.25

and of configs/tiny.yaml: 1.25 measured, 1.17 estimated. Longer runs were not measured since blocks were
joined.

For Llama-2-7b, r=16, there was no run: 6.5 GiB are estimated at 4 x 512 tokens with checkpointing and 5.2
at 1 x 512. Papers tell of 5.5 and 4.7, with what flows between the products in 16 bits instead of 32.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from trainer.config import LINEAR, Config
from trainer.devices import GIB, Device
from trainer.flat import SHORT
from trainer.model import CHUNK
from trainer.shapes import Shape

NF4 = 0.5 + 1 / 64 + 4 / (64 * 256)
"""Bytes of a weight: 4 bits, a byte for each 64, a float32 for each 256 of those (QLoRA, section 3)."""

SCALES = 4 / 64
"""Bytes of a weight that a CPU takes besides: a float32 for each 64, so that none is dequantized twice."""

PROCESS = 0.45 * GIB
"""A Python process with torch, transformers, peft and bitsandbytes in it: measured on a CPU."""

CONTEXT = 0.7 * GIB
"""CUDA's context, and what its allocator cannot use: an assumption, 0.6 to 0.8 GiB are usual."""

HEAP, GAPS, FEW = 0.00014 * GIB, 0.37, 6
"""On a CPU: what kernels and heap take for each token at once, and the share of the activations that gaps in
the heap take in the long run, for each e-fold of the parts of steps beyond so FEW. Fitted to the peaks
above."""

LONG = 1000
"""Steps that a run of unknown length counts as."""

TOKEN = 45
"""Bytes of a token of the data, which waits in memory as Python lists: measured."""


@dataclass(frozen=True)
class Item:
    """One line of an estimate: what takes memory, how many bytes, and how they come about."""

    what: str
    size: float
    why: str


@dataclass(frozen=True)
class Setup:
    """What an estimate is for.

    data: tokens of the data set; steps: of the run; longest: tokens of the longest dialogue; each 0
    if not known.
    """

    config: Config
    shape: Shape
    device: Device
    data: int = 0
    steps: int = 0
    longest: int = 0

    @property
    def width(self) -> int:
        """Bytes of a number in the compute type."""
        return 4 if self.config.base.compute == "float32" else 2

    @property
    def tokens(self) -> int:
        """The most tokens that go through the model at once."""
        steps = self.config.steps
        return min(steps.micro_tokens, steps.batch * self.seen)

    @property
    def parts(self) -> int:
        """The most parts that a step goes through the model in."""
        return math.ceil(self.config.steps.batch * self.seen / self.tokens)

    @property
    def seen(self) -> int:
        """The most tokens that one attends to."""
        return min(self.longest or self.config.data.max_tokens, self.config.data.max_tokens)

    @property
    def joined(self) -> bool:
        """Whether the blocks of a layer are functions of ours (llama.py), which keep less."""
        return set(LINEAR) <= set(self.config.lora.targets)

    @property
    def trained(self) -> int:
        """Parameters of the adapter."""
        return self.shape.adapter(self.config.lora.r, self.config.lora.targets)


def memory(setup: Setup) -> list[Item]:
    """Return what takes memory at the peak, which is in the backward pass, item by item."""
    return [*_base(setup), *_adapter(setup), *_activations(setup), *_surroundings(setup)]


def total(items: list[Item]) -> float:
    """Return the sum of the items."""
    return sum(item.size for item in items)


def _base(setup: Setup) -> list[Item]:
    shape, width = setup.shape, setup.width
    tables = "embeddings (the head is the same), norms" if shape.tied else "embeddings, head, norms"
    each = NF4 + SCALES * setup.device.is_cpu
    packed = f"{_short(shape.quantized)} parameters x {each:.3f} bytes: NF4, double quantization"
    plain = f"{_short(shape.unquantized)} parameters x {width} bytes: {tables}"
    return [
        Item("4-bit weights", shape.quantized * each, packed),
        Item(f"{8 * width}-bit weights", shape.unquantized * width, plain),
    ]


def _adapter(setup: Setup) -> list[Item]:
    lora, count = setup.config.lora, setup.trained
    small = setup.config.optimizer.name == "paged_adamw_8bit" and not setup.device.is_cpu
    state = "8 bits (paged: it may move to the host)" if small else "float32"
    targets = f"r={lora.r} on {len(lora.targets)} projections a layer"
    return [
        Item("adapter", 4 * count, f"{_short(count)} parameters x 4 bytes: {targets}, float32"),
        Item("gradients", 4 * count, "of the adapter, float32"),
        Item("optimizer", (2 if small else 8) * count, f"AdamW's two moments in {state}"),
    ]


def _activations(setup: Setup) -> list[Item]:
    shape, tokens, width = setup.shape, setup.tokens, setup.width
    layer = tokens * layer_bytes(setup)
    if setup.config.base.gradient_checkpointing:
        why = f"{tokens:,} tokens x {shape.layers} layers x one hidden state (gradient checkpointing)"
        again = [Item("one layer again", layer, f"{tokens:,} tokens x {layer / tokens / 1000:.0f} kB")]
    else:
        why, again = f"{tokens:,} tokens x {shape.layers} layers x {layer / tokens / 1000:.0f} kB", []
    kept = Item("activations", kept_bytes(setup), why)
    widest = max(rows * columns for rows, columns in shape.projections.values())
    work = "a layer's gradients and its widest weight, dequantized"
    logits = f"{CHUNK} answer tokens x {shape.vocabulary:,} words x 8 bytes"
    return [
        kept,
        *again,
        Item("backward pass", tokens * 4 * shape.intermediate * 4.0 + widest * width, work),
        Item("logits", 8.0 * CHUNK * shape.vocabulary, logits),
    ]


def kept_bytes(setup: Setup) -> float:
    """Return what all layers keep of all tokens for the backward pass."""
    layers, tokens = setup.shape.layers, setup.tokens
    if setup.config.base.gradient_checkpointing:
        return layers * tokens * setup.shape.hidden * 4.0
    # the adapter in the compute type is kept too
    return layers * tokens * layer_bytes(setup) + (setup.trained * setup.width if setup.width < 4 else 0)


def layer_bytes(setup: Setup) -> float:
    """Return what one layer keeps of one token for its backward pass.

    What flows between the products is float32. Norms: their input. Projections: their input, once where
    several have the same, and LoRA's x A', in the compute type. Attention: queries, keys and values, the
    latter two again behind the shared prefix where it is not one function (short.py); on a CPU the weights;
    on a card (a fused kernel in the compute type) output and mask. Feed-forward: gate and up, and SiLU of
    the gate where it is not computed again.
    """
    shape, width, seen, on_cpu = setup.shape, setup.width, setup.seen, setup.device.is_cpu
    norms = 2 * 4 * shape.hidden
    inputs = width * ((2 if setup.joined else 5) * shape.hidden + shape.queries + shape.intermediate)
    lora = width * len(setup.config.lora.targets) * setup.config.lora.r
    once = setup.joined and on_cpu and seen <= SHORT
    attention = (4 if on_cpu else width) * (shape.queries + (2 if once else 4) * shape.keys)
    attention += 4 * shape.heads * seen if on_cpu else width * (shape.queries + seen)
    return norms + inputs + lora + attention + (2 if setup.joined else 3) * 4 * shape.intermediate


def _surroundings(setup: Setup) -> list[Item]:
    if not setup.device.is_cpu:
        return [Item("CUDA", CONTEXT, "context and allocator: assumed, 0.6 to 0.8 GiB are usual")]
    steps = setup.steps or LONG
    gaps = GAPS * kept_bytes(setup) * math.log(max(1.0, steps * setup.parts / FEW))
    items = [
        Item("Python", PROCESS, "torch, transformers, peft, bitsandbytes: measured"),
        Item(
            "heap, oneDNN",
            HEAP * setup.tokens + gaps,
            f"kernels, and gaps after {steps:,} steps: fitted to measured runs",
        ),
    ]
    if setup.data:
        items.append(Item("data", TOKEN * setup.data, f"{setup.data:,} tokens x {TOKEN} bytes"))
    return items


def flops(setup: Setup) -> float:
    """Return the floating-point operations of one token, forward and backward, if all is learnt from.

    A weight costs 2 forward and 2 backward, as it is frozen; 2 more when its layer runs again. LoRA
    adds 2 for the adapter's own gradient. The head is counted for every token, though it is used for
    answers alone. Attention: 4 x width x places seen forward, 8 backward.
    """
    shape, again = setup.shape, setup.config.base.gradient_checkpointing
    seen = setup.seen
    forward = 2.0 * (shape.quantized + setup.trained) + 4.0 * shape.layers * shape.queries * seen
    backward = 2.0 * shape.quantized + 4.0 * setup.trained + 8.0 * shape.layers * shape.queries * seen
    head = 4.0 * shape.vocabulary * shape.hidden
    return forward * (2 if again else 1) + backward + head


def _short(count: int) -> str:
    return f"{count / 1e9:.2f} G" if count >= 1e9 else f"{count / 1e6:.1f} M"
