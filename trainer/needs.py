"""Say at the start, not after hours, that a package is missing."""

from __future__ import annotations

from importlib.util import find_spec

from fsmbot.errors import MissingExtra


def require(package: str, purpose: str) -> None:
    """Raise MissingExtra if a package of the extra `train` is not installed."""
    if find_spec(package) is None:
        raise MissingExtra(package, "train", purpose)
