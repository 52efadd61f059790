"""Pictures of figures, drawn without a screen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def drawing(path: Path) -> Iterator[Any]:
    """Give matplotlib axes to draw on, and write them to `path` afterwards; raises OSError."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    try:
        yield axes
        figure.savefig(path, dpi=110)
    finally:
        plt.close(figure)
