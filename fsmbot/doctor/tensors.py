"""What a safetensors file says that it holds, read without loading any of it.

Format: https://huggingface.co/docs/safetensors (eight bytes with the header's length, a header of JSON, the
numbers). Its own reader holds names, types and places against the file's size.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fsmbot.plainfile import plain_size

MAX_HEADER = 16 << 20
"""Bytes of a header that are read; that of a model with ten thousand tensors takes one million."""

Shape = tuple[int, ...]


def shapes(path: Path) -> dict[str, tuple[str, Shape]]:
    """Return type ("F16") and shape of each tensor by its name.

    Raises OSError for what is no ordinary file, ValueError for what is no whole safetensors file,
    ImportError where the package is missing.
    """
    from safetensors import SafetensorError, safe_open

    size = plain_size(path)
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
    if length > min(size, MAX_HEADER):
        raise ValueError(f"{path.name} claims a header of {length:,} bytes")
    try:
        with safe_open(path, framework="numpy") as opened:
            return {name: _told(opened.get_slice(name)) for name in opened.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{path.name} is no whole safetensors file ({error})") from error


def _told(tensor: Any) -> tuple[str, Shape]:
    return str(tensor.get_dtype()), tuple(tensor.get_shape())
