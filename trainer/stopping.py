"""How a run ends before its time: Ctrl-C finishes the step, and no memory left is explained."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from fsmbot.errors import ConfigError
from trainer.config import Config


@contextmanager
def stop_signal() -> Iterator[threading.Event]:
    """Turn Ctrl-C and SIGTERM into a flag, so that the step is finished; a second one stops at once."""
    flag = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        if flag.is_set():
            raise KeyboardInterrupt
        flag.set()
        os.write(2, b"\nfinishing this step, then saving; again to stop at once\n")  # print may be at work

    before = {s: signal.signal(s, stop) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield flag
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def memory_advice(config: Config, step: Callable[[], int]) -> Iterator[None]:
    """Turn a failed allocation, on a GPU or not, into ConfigError that says what to lower."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise ConfigError(
            f"step {step() + 1}: out of memory; what was saved is whole. {_advice(config)}, and go on "
            "with --resume --allow KEY for each key you change. `python -m trainer plan` estimates what fits"
        ) from error


def is_out_of_memory(error: BaseException) -> bool:
    """Say whether an error is a failed allocation: torch has a class for GPUs, and words for CPUs."""
    import torch

    words = ("can't allocate memory", "not enough memory", "out of memory")
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or any(w in str(error) for w in words)


def _advice(config: Config) -> str:
    """Return what to change first; none of it changes what is learnt but the last."""
    half = config.steps.micro_tokens // 2
    if half >= config.data.max_tokens:
        return f"Lower steps.micro_tokens with --set steps.micro_tokens={half}"
    if not config.base.gradient_checkpointing:
        return "Recompute activations with --set base.gradient_checkpointing=true"
    return f"Shorten the dialogues with --set data.max_tokens={config.data.max_tokens * 3 // 4}"
