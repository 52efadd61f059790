"""The devices that a plan can be made for: their memory, and how fast they train in practice."""

from __future__ import annotations

import os
from dataclasses import dataclass

from fsmbot.errors import ConfigError

GIB = 2**30


@dataclass(frozen=True)
class Device:
    """One device.

    memory: bytes that a process can have; drivers keep some of a card's nominal size.
    slow, fast: floating-point operations a second that training in 4 bits reaches in practice.
    source: where these two come from. bfloat16: whether it computes in it.
    """

    name: str
    title: str
    memory: float
    slow: float
    fast: float
    source: str
    bfloat16: bool = True

    @property
    def is_cpu(self) -> bool:
        """Say whether it is no card."""
        return self.name == "cpu"


def _card(name: str, title: str, gib: float, peak: float) -> Device:
    """Return a card of which only the data sheet is known; peak: dense 16-bit TFLOP/s."""
    source = f"assumed, not measured: 10 to 25% of the data sheet's {peak} TFLOP/s"
    return Device(name, title, gib * GIB, 0.10e12 * peak, 0.25e12 * peak, source)


def _t4() -> Device:
    source = "published for Llama-2-7b on a T4: 68 tokens/s (transformers) to 121 (Unsloth)"
    return Device("t4", "NVIDIA T4 (16 GB)", 14.7 * GIB, 2.7e12, 4.8e12, source, bfloat16=False)


def _cpu() -> Device:
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    source = "measured on two cores with AVX512-BF16: 455 tokens/s with SmolLM2-135M; other CPUs differ"
    return Device("cpu", "the CPU of this machine", memory, 0.28e12, 0.28e12, source)


DEVICES = {
    device.name: device
    for device in (
        _cpu(),
        _t4(),
        _card("l4", "NVIDIA L4 (24 GB)", 22.0, 121),
        _card("a10g", "NVIDIA A10G (24 GB)", 22.0, 70),
        _card("a100-40", "NVIDIA A100 (40 GB)", 39.4, 312),
        _card("a100-80", "NVIDIA A100 (80 GB)", 79.1, 312),
        _card("h100", "NVIDIA H100 (80 GB)", 79.1, 989),
    )
}
"""By name. A card's memory is what its driver reports as total."""


def find_device(name: str = "") -> Device:
    """Return a device by its name; "" is this machine's card, or its CPU. Raises ConfigError."""
    if not name:
        return _this_one()
    if name not in DEVICES:
        raise ConfigError(f"--device {name}: no such device; known: {', '.join(DEVICES)}")
    return DEVICES[name]


def _this_one() -> Device:
    try:
        import torch
    except ImportError:
        return DEVICES["cpu"]
    if not torch.cuda.is_available():
        return DEVICES["cpu"]
    found = torch.cuda.get_device_properties(0)
    for device in sorted(DEVICES.values(), key=lambda device: -device.memory):
        kind = device.name.partition("-")[0].upper()
        if kind in found.name.upper().replace("-", " ").split() and found.total_memory > 0.9 * device.memory:
            return device
    raise ConfigError(
        f"nothing is known of this machine's {found.name} ({found.total_memory / GIB:.0f} GiB); "
        f"name the nearest with --device: {', '.join(DEVICES)}"
    )
