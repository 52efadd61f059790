"""A LoRA adapter: what its two files may say, and putting it on a model.

An adapter may come from anybody, and peft does much that its configuration asks for: it imports
modules, compiles regular expressions, factorizes matrices and makes new ones of any rank. So only plain
LoRA (https://arxiv.org/abs/2106.09685) passes, and only where weights and configuration agree.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from fsmbot.doctor.tensors import Shape, shapes
from fsmbot.errors import DoctorError, first_line
from fsmbot.plainfile import read_plain, why

ADAPTER = "adapter_model.safetensors"
ADAPTER_CONFIG = "adapter_config.json"

MAX_CONFIG = 1 << 20
_FREE = frozenset(
    [
        "base_model_name_or_path",
        "revision",
        "peft_version",
        "inference_mode",
        "lora_dropout",
        "megatron_core",
        "qalora_group_size",
        "use_rslora",
        "peft_type",
        "r",
        "lora_alpha",
        "target_modules",
        "task_type",
    ]
)
"""Fields that are checked by themselves, or that nothing follows from."""

_USUAL = ({"bias": "none"}, {"init_lora_weights": True}, {"init_lora_weights": False})
_NAME = re.compile(r"base_model\.model\.([\w.]+)\.lora_([AB])\.weight")


class Lora(msgspec.Struct, frozen=True):
    """What an adapter_config.json says of a plain LoRA adapter."""

    peft_type: Literal["LORA"]
    r: Annotated[int, msgspec.Meta(ge=1, le=1024)]
    lora_alpha: Annotated[float, msgspec.Meta(gt=0, le=100_000)]
    target_modules: Annotated[
        list[Annotated[str, msgspec.Meta(pattern=r"^[\w.]+$")]], msgspec.Meta(min_length=1)
    ]
    task_type: Literal["CAUSAL_LM"] | None = None
    use_rslora: bool = False
    base_model_name_or_path: str | None = None


def check_adapter(folder: Path) -> Lora:
    """Return the configuration of a folder's adapter, which its weights agree with.

    Nothing is loaded, and torch is not needed. Raises DoctorError, or ImportError where safetensors
    is not installed.
    """
    config = check_adapter_config(folder / ADAPTER_CONFIG)
    try:
        found = shapes(folder / ADAPTER)
    except (OSError, ValueError) as error:
        raise _unusable(folder, why(error)) from error
    for name, (kind, shape) in found.items():
        part = _NAME.fullmatch(name)
        if part is None or kind not in ("F16", "BF16", "F32") or not _is_target(part[1], config):
            raise _unusable(folder, f"{ADAPTER} holds {name!r} of type {kind}, which is none of its matrices")
        if len(shape) != 2 or shape[part[2] == "B"] != config.r:
            raise _unusable(folder, f"{name} has the shape {shape}, and the rank is {config.r}")
    if not found:
        raise _unusable(folder, f"{ADAPTER} holds nothing")
    return config


def _is_target(module: str, config: Lora) -> bool:
    return any(module == name or module.endswith(f".{name}") for name in config.target_modules)


def check_adapter_config(path: Path) -> Lora:
    """Return what an adapter_config.json says; raises DoctorError if it is not plain LoRA."""
    try:
        raw = read_plain(path, MAX_CONFIG)
        fields: dict[str, Any] = json.loads(raw)
        if not isinstance(fields, dict):
            raise ValueError(f"it holds no JSON object but {type(fields).__name__}")
    except (OSError, ValueError, RecursionError) as error:
        raise DoctorError(f"{path} cannot be read: {why(error)}; have the trainer write it again") from error
    for name, value in fields.items():
        if value and name not in _FREE and {name: value} not in _USUAL:
            raise _not_plain(path, f"{name[:40]!r}")
    try:
        return msgspec.json.decode(raw, type=Lora)
    except msgspec.MsgspecError as error:
        raise _not_plain(path, str(error)) from error


def _not_plain(path: Path, found: str) -> DoctorError:
    return DoctorError(
        f"{path}: expected a plain LoRA adapter of rank 1 to 1024, found {found}; train one with "
        "`python -m trainer train`"
    )


def with_adapter(model: Any, folder: Path) -> Any:
    """Return the model with the folder's LoRA adapter on; raises DoctorError if it does not fit.

    peft gets the few values that were checked, and reads no configuration itself.
    """
    config = check_adapter(folder)
    try:
        from peft import LoraConfig, PeftModel
        from safetensors.torch import load_file

        tensors = load_file(folder / ADAPTER)
        if not all(tensor.isfinite().all() for tensor in tensors.values()):
            raise ValueError(f"{ADAPTER} holds values that are not finite")
        _check_fit(model, config, {name: tuple(tensor.shape) for name, tensor in tensors.items()})
        del tensors
        plain = LoraConfig(
            r=config.r, lora_alpha=config.lora_alpha, target_modules=config.target_modules,  # type: ignore[arg-type]
            use_rslora=config.use_rslora, task_type="CAUSAL_LM",
        )  # fmt: skip
        return PeftModel.from_pretrained(model, folder, config=plain, local_files_only=True).eval()
    except ImportError:
        raise
    except Exception as error:  # safetensors, torch and peft raise their own kinds
        raise _unusable(folder, first_line(error)) from error


def _check_fit(model: Any, config: Lora, found: dict[str, Shape]) -> None:
    """Raise ValueError unless there are two matrices of the right shape for each layer that is adapted.

    peft would fill the place of missing ones with random numbers.
    """
    wanted = {}
    for name, layer in model.named_modules():
        if _is_target(name, config) and hasattr(layer, "in_features"):
            start = f"base_model.model.{name}.lora"
            wanted[f"{start}_A.weight"] = (config.r, layer.in_features)
            wanted[f"{start}_B.weight"] = (layer.out_features, config.r)
    for name in sorted({*wanted, *found}):
        if wanted.get(name) != found.get(name):
            raise ValueError(f"{name}: expected the shape {wanted.get(name)}, found {found.get(name)}")


def _unusable(folder: Path, reason: str) -> DoctorError:
    return DoctorError(
        f"the adapter in '{folder}' cannot be used: {reason}; it is damaged or was trained "
        "for another base: have the trainer write it again"
    )
