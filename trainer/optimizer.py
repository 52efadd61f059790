"""The optimizer, and its state as plain tensors under plain names, so that nothing need be pickled."""

from __future__ import annotations

from typing import Any

from trainer.config import Config
from trainer.model import Learner

PACKED = "__bnb_optimizer_quant_state__"
"""Under this name bitsandbytes keeps its 8-bit tensors in a map of their own."""


def make_optimizer(config: Config, learner: Learner) -> Any:
    """Return AdamW (Loshchilov and Hutter, https://arxiv.org/abs/1711.05101), paged in 8 bits if asked."""
    import torch

    settings: dict[str, Any] = {
        "lr": config.optimizer.lr,
        "betas": config.optimizer.betas,
        "weight_decay": config.optimizer.weight_decay,
    }
    if optimizer_name(config, learner) == "paged_adamw_8bit":
        from bitsandbytes.optim.adamw import PagedAdamW8bit

        return PagedAdamW8bit(learner.parameters, **settings)  # type: ignore[no-untyped-call]
    return torch.optim.AdamW(learner.parameters, foreach=True, **settings)


def optimizer_name(config: Config, learner: Learner) -> str:
    """Return which optimizer does the work: the paged one needs a GPU, and AdamW stands in for it."""
    return config.optimizer.name if learner.device.type == "cuda" else "adamw"


def optimizer_tensors(optimizer: Any) -> dict[str, Any]:
    """Return the state as tensors on the CPU, named "parameter.key"; no two share memory."""
    import torch

    found = {}
    for index, state in optimizer.state_dict()["state"].items():
        plain = {**state, **state.get(PACKED, {})}
        plain.pop(PACKED, None)
        for key, value in plain.items():
            found[f"{index}.{key}"] = torch.as_tensor(value).detach().cpu().clone()
    return found


def load_optimizer(optimizer: Any, tensors: dict[str, Any]) -> None:
    """Take back what `optimizer_tensors` gave."""
    import torch

    states: dict[int, dict[str, Any]] = {}
    for name, value in tensors.items():
        index, _, key = name.partition(".")
        states.setdefault(int(index), {})[key] = value
    if not isinstance(optimizer, torch.optim.AdamW):  # bitsandbytes counts steps as a plain number
        states = {i: {**state, "step": int(state["step"])} for i, state in states.items()}
    optimizer.load_state_dict({**optimizer.state_dict(), "state": states})
