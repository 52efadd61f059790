"""Reading the files of a vectors folder: nothing but numbers and words, whatever a file holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from fsmbot.errors import VectorsError

if TYPE_CHECKING:
    from numpy.typing import NDArray

BROKEN = (
    OSError,
    ValueError,
    TypeError,
    KeyError,
    SyntaxError,
    EOFError,
    OverflowError,
    MemoryError,
    RecursionError,
    AttributeError,
    msgspec.DecodeError,
)
"""What numpy and readers of JSON raise for a file that is not what it should be."""

LARGEST = 1e6
"""Entries of vectors are far smaller; squares of larger ones would overflow."""


def read_array(path: Path, *, dimensions: int) -> NDArray[Any]:
    """Read a .npy file of finite numbers, never a pickle, never more than the file's own size.

    Raises VectorsError.
    """
    from tokenize import TokenError  # numpy reads a header as Python text

    import numpy as np

    try:
        # A memory map holds the header's shape against the file's size, before allocating.
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)
        if mapped.dtype not in (np.int8, np.float16, np.float32) or mapped.ndim != dimensions:
            raise ValueError(f"found {mapped.ndim} dimensions of {mapped.dtype}")
        array = np.array(mapped)
        if array.dtype != np.int8 and not float(np.abs(array).max(initial=0)) < LARGEST:
            raise ValueError("it holds NaN, infinity or numbers too large for a vector")
    except (*BROKEN, TokenError) as error:
        raise broken(path, error) from error
    return array


def read_json(path: Path, kind: str, version: int) -> dict[str, Any]:
    """Read a JSON object that says its format and version. Raises VectorsError."""
    try:
        found = json.loads(path.read_bytes())
    except BROKEN as error:
        raise broken(path, error) from error
    says = (found.get("format"), found.get("version")) if isinstance(found, dict) else None
    check_format(path, says, (kind, version))
    return dict(found)


def broken(path: Path, reason: object) -> VectorsError:
    """Return the error for a file that cannot be used, with the way out."""
    said = f"{type(reason).__name__}: {reason}" if isinstance(reason, BaseException) else reason
    return VectorsError(
        f"{path}: these word vectors cannot be read ({said}); restore the file, or write the "
        "folder anew with `python -m trainer vectors --config trainer/configs/medical-vectors.yaml`"
    )


def check_format(path: Path, found: object, expected: tuple[str, int]) -> None:
    """Raise VectorsError unless format and version are as expected."""
    if found != expected:
        raise broken(path, f"expected a JSON object of format and version {expected}, found {found}")
