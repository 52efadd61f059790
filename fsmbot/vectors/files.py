"""Reading the files of a vectors folder: nothing but numbers and words, whatever a file holds.

What a file says of itself is held against its size first, so that one that is refused never takes
more memory than a small multiple of what it has on the disk.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from fsmbot.errors import VectorsError
from fsmbot.plainfile import plain_size, read_plain, why

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

MAX_HEADER = 1_000
"""Bytes of a .npy file's header; usual ones have 118. numpy asks for what a header claims, up to 4 GB."""

MAX_SETTINGS = 1 << 16
"""Bytes of a gate.json, which holds nine numbers."""

Read = TypeVar("Read")


def open_array(path: Path, *, dimensions: int) -> NDArray[Any]:
    """Open a .npy file of numbers, never a pickle, as a memory map: nothing of it is read yet.

    The header's shape is held against the file's size. Raises VectorsError.
    """
    from tokenize import TokenError  # numpy reads a header as Python text

    import numpy as np

    try:
        _check_header(path)
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)
        if mapped.dtype not in (np.int8, np.float16, np.float32) or mapped.ndim != dimensions:
            raise ValueError(f"found {mapped.ndim} dimensions of {mapped.dtype}")
        if not mapped.size:
            raise ValueError(f"there is nothing in its shape, {mapped.shape}")
    except (*BROKEN, TokenError) as error:
        raise broken(path, error) from error
    found: NDArray[Any] = mapped
    return found


def _check_header(path: Path) -> None:
    """Raise ValueError unless a file begins as .npy files do, with a header of a usual length."""
    size = plain_size(path)
    with path.open("rb") as file:
        start = file.read(12)
    if len(start) < 12 or start[:6] != b"\x93NUMPY":
        raise ValueError("it is no .npy file")
    length = struct.unpack("<H", start[8:10])[0] if start[6] == 1 else struct.unpack("<I", start[8:])[0]
    if length > min(MAX_HEADER, size):
        raise ValueError(f"its header claims {length:,} bytes")


def read_array(path: Path, mapped: NDArray[Any]) -> NDArray[Any]:
    """Return what `open_array` opened, in memory; raises VectorsError unless all of it are numbers."""
    import numpy as np

    if mapped.dtype != np.int8:
        least, most = float(mapped.min(initial=0)), float(mapped.max(initial=0))
        if not (least > -LARGEST and most < LARGEST):
            raise broken(path, "it holds NaN, infinity or numbers too large for a vector")
    return np.array(mapped)


def read_json(path: Path, kind: type[Read], most: int) -> Read:
    """Read at most `most` bytes of JSON as a struct; what the struct lacks is passed over, not built.

    Raises VectorsError.
    """
    try:
        return msgspec.json.decode(read_plain(path, most), type=kind)
    except BROKEN as error:
        raise broken(path, error) from error


def broken(path: Path, reason: object) -> VectorsError:
    """Return the error for a file that cannot be used, with the way out."""
    said = why(reason) if isinstance(reason, BaseException) else reason
    return VectorsError(
        f"{path}: these word vectors cannot be read ({said}); restore the file, or write the "
        "folder anew with `python -m trainer vectors --config trainer/configs/medical-vectors.yaml`"
    )


def check_format(path: Path, found: object, expected: tuple[str, int]) -> None:
    """Raise VectorsError unless format and version are as expected."""
    if found != expected:
        raise broken(path, f"expected a JSON object of format and version {expected}, found {found}")
