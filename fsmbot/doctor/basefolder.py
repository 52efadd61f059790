"""A base model's folder, looked through before transformers is let in.

transformers runs no code that comes with a model unless it is told to; but a configuration can still
ask for layers without end, for computing kernels fetched from the hub, for pickled weights by way of
an index, or for an adapter of somebody else's. What is found here is refused with its reason.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fsmbot.doctor.tensors import Shape, shapes
from fsmbot.errors import DoctorError
from fsmbot.plainfile import plain_size, read_plain, why

READ = frozenset({".json", ".safetensors", ".model", ".jinja", ".txt"})
"""Endings of the files that transformers reads of a folder."""

MAX_TEXT = 128 << 20
"""Bytes of a file of text; the largest vocabularies take a quarter of it."""

MAX_CONFIG = 1 << 20
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"

Shapes = dict[str, tuple[str, Shape]]


def check_files(folder: Path) -> dict[str, Any]:
    """Return what config.json says; raises DoctorError for what does not belong into such a folder."""
    for path in folder.iterdir():
        if path.suffix in READ:
            _check_file(path)
    if (folder / "adapter_config.json").exists():
        raise DoctorError(
            f"'{folder}' holds an adapter, not a base model; give a doctor's folder with --doctor, and as "
            "a base the model that it was trained on"
        )
    config = _read_object(folder / "config.json", MAX_CONFIG)
    _check_quantization(folder, config.get("quantization_config"))
    for key, value in _settings(config):
        if key.endswith("_implementation") and isinstance(value, str) and "/" in value:
            raise refused(folder, f"config.json asks for code of others by {key!r}, and none is ever run")
    return config


def _settings(config: object) -> Iterator[tuple[str, object]]:
    """Yield every key with its value, also of maps in maps."""
    inner = list(config.values()) if isinstance(config, dict) else config if isinstance(config, list) else []
    if isinstance(config, dict):
        yield from config.items()
    for value in inner:
        yield from _settings(value)


def _check_file(path: Path) -> None:
    try:
        if plain_size(path) > MAX_TEXT and path.suffix != ".safetensors":
            raise ValueError(f"it is larger than {MAX_TEXT:,} bytes")
    except (OSError, ValueError) as error:
        raise refused(path.parent, f"{path.name}: {why(error)}") from error


def _read_object(path: Path, most: int) -> dict[str, Any]:
    try:
        found = json.loads(read_plain(path, most))
    except (OSError, ValueError, RecursionError) as error:
        raise refused(path.parent, f"{path.name} cannot be read ({why(error)})") from error
    if not isinstance(found, dict):
        raise refused(path.parent, f"{path.name} holds no JSON object but {type(found).__name__}")
    return found


def _check_quantization(folder: Path, found: object) -> None:
    """Refuse weights that were quantized otherwise: an adapter would meet others than it knows."""
    wanted = {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}
    if found is None or (isinstance(found, dict) and wanted.items() <= found.items()):
        return
    raise refused(folder, "its weights are quantized in another way than NF4; give the 16-bit original")


def weights_of(folder: Path) -> Shapes:
    """Return type and shape of each tensor; raises DoctorError unless all files are whole safetensors."""
    names = [WEIGHTS]
    if not (folder / WEIGHTS).exists() and (folder / INDEX).exists():
        named = _read_object(folder / INDEX, MAX_TEXT).get("weight_map")
        names = sorted({str(name) for name in named.values()}) if isinstance(named, dict) else []
    found: Shapes = {}
    for name in names:
        if not name.endswith(".safetensors") or Path(name).name != name:
            raise refused(folder, f"{INDEX} names {name[:80]!r}, and only safetensors beside it are read")
        try:
            found |= shapes(folder / name)
        except (OSError, ValueError) as error:
            raise refused(folder, f"{name}: {why(error)}") from error
    if not found:
        raise refused(folder, "there are no weights in it")
    return found


def check_size(folder: Path, config: Any, found: Shapes) -> None:
    """Refuse a configuration (of transformers) of a larger model than there are weights for.

    Otherwise layers would be made one by one, and what is missing filled with random numbers, until
    memory or patience ends.
    """
    import torch
    from transformers import AutoModelForCausalLM

    layers = getattr(config.get_text_config(), "num_hidden_layers", 0)
    if layers > len(found):
        raise refused(
            folder, f"config.json asks for {layers:,} layers, and {WEIGHTS} has {len(found):,} tensors"
        )
    models: Any = AutoModelForCausalLM
    with torch.device("meta"):  # shapes alone: this takes 40 ms
        model = models.from_config(config, trust_remote_code=False)
    wanted = sum(parameter.numel() for parameter in model.parameters())
    have = sum(math.prod(shape) * (2 if kind == "U8" else 1) for kind, shape in found.values())
    if wanted > have:  # 4-bit weights lie two in a byte
        raise refused(folder, f"config.json describes {wanted:,} parameters, and there are {have:,}")


def refused(folder: Path, reason: str) -> DoctorError:
    """Return the error for a folder that cannot be used."""
    return DoctorError(
        f"the base model in '{folder}' is refused: {reason}; it must be a causal language model of "
        "transformers with safetensors weights, whole and unaltered"
    )
