"""Memory between what is in use is given back."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from trainer.heap import give_back

PIECES, SIZE, KEPT = 40_000, 4_000, 50


def resident() -> int:
    """Return the bytes of memory that this process occupies."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only glibc gives pieces back")
def test_gaps_in_the_heap_are_given_back() -> None:
    """Of many pieces a few stay, and what lay between them does not stay with the process."""
    pieces = [bytearray(SIZE) for _ in range(PIECES)]
    whole = resident()
    pieces = pieces[::KEPT]
    give_back()
    assert whole - resident() > PIECES * SIZE / 2
    assert len(pieces) == PIECES // KEPT
