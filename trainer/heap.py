"""Memory that is free, but in pieces between what is in use, given back to the system."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

EVERY = 4
"""Steps after which it is given back. A step asks for thousands of tensors of ever other sizes, and the gaps
between them grow by some 100 MB a step; to give 4 GB back takes a tenth of a second."""


def give_back() -> None:
    """Give back what is free, where the C library can, as glibc does.

    https://man7.org/linux/man-pages/man3/malloc_trim.3.html
    """
    trim = _trimmer()
    if trim is not None:
        trim(0)


@cache
def _trimmer() -> Callable[[int], object] | None:
    import ctypes

    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None
