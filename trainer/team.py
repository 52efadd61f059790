"""The processes that train together: who does which dialogues, and how their sums meet.

    accelerate launch --multi_gpu --num_processes 2 -m trainer train --config C

Every process sees the same batch and takes its share; gradients and losses are sums over answer
tokens, so adding them up gives what one process would have got.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

from fsmbot.errors import ConfigError, MissingExtra

T = TypeVar("T")
PATIENCE = timedelta(hours=3)
"""How long processes wait for the main one, which may have to fetch and quantize a large base."""


class Team:
    """This process among those that accelerate started; alone if it started none.

    device: where this process computes. count: how many processes. index: this one's number.
    main: whether this one writes files and speaks.
    """

    def __init__(self, device: str = "") -> None:
        try:
            import torch
            from accelerate import Accelerator, InitProcessGroupKwargs
        except ImportError:
            raise MissingExtra("accelerate", "train", "training") from None
        # Without a GPU, accelerate must be told so, or launched processes would not know of each other.
        cpu = device == "cpu" or not torch.cuda.is_available()
        patience = InitProcessGroupKwargs(timeout=PATIENCE)
        self._accelerator = Accelerator(cpu=cpu, kwargs_handlers=[patience])
        self.device = device or str(self._accelerator.device)
        self.count, self.index = self._accelerator.num_processes, self._accelerator.process_index
        self.main = self._accelerator.is_main_process

    def share(self, items: Sequence[T]) -> list[T]:
        """Return the items of this process; all together do every item once."""
        return list(items[self.index :: self.count])

    def total(self, values: Any) -> Any:
        """Return the sum of a tensor over the processes."""
        return self._accelerator.reduce(values, "sum") if self.count > 1 else values

    def add_gradients(self, parameters: Sequence[Any], *extra: float) -> list[float]:
        """Give every process the sum of all gradients; return the sums of the extra numbers.

        One exchange for everything: it is its number, not its size, that takes time.
        """
        import torch

        if self.count == 1:
            return list(extra)
        numbers = torch.tensor(extra, dtype=torch.float32, device=parameters[0].device)
        flat = self.total(torch.cat([*(p.grad.flatten() for p in parameters), numbers]))
        *gradients, numbers = flat.split([*(p.numel() for p in parameters), len(extra)])
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient.view_as(parameter)
        return [float(number) for number in numbers]

    def check(self, batch: int) -> None:
        """Refuse a batch that leaves a process without work; raises ConfigError."""
        if batch < self.count:
            raise ConfigError(
                f"steps.batch is {batch}, but there are {self.count} processes and each needs a dialogue; "
                f"raise it with --set steps.batch={self.count}, or start fewer"
            )

    def main_writes(self, write: Callable[[], object]) -> None:
        """Have the main process write something while the others wait; raises ConfigError.

        If it fails, all processes stop: none may wait for one that is gone.
        """
        import torch

        failure: ConfigError | None = None
        try:
            if self.main:
                write()
        except ConfigError as error:
            failure = error
        failed = float(self.total(torch.tensor(float(failure is not None), device=self.device)))
        if failed:
            raise failure or ConfigError("the main process could not write; see its message")

    @contextmanager
    def main_first(self) -> Iterator[None]:
        """Let the main process do something (fetch, convert, cache) before the others do."""
        with self._accelerator.main_process_first():
            yield

    def close(self) -> None:
        """Leave the others in good order."""
        if self.count > 1:
            self._accelerator.end_training()
