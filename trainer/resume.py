"""A resumed run must be the same run, but for what the user allows to have changed, by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fsmbot.errors import ConfigError
from fsmbot.nearby import suggest
from trainer.config import Config, to_dict

HARMLESS = frozenset({"output", "name", "licence", "notes"})
FIXED = ("lora.r", "lora.targets")
"""With another one of these the checkpoint's tensors would not fit."""
DATA_FILES, BASE_WEIGHTS = "data.files", "base.weights"
"""The names of the data's content and of the base's revision among the things that may change."""


@dataclass(frozen=True)
class Facts:
    """What must be the same: resolved configuration, digest of the data, revision of the base."""

    config: dict[str, Any]
    data: str
    base: str


def refuse_changes(before: Facts, now: Facts, allow: frozenset[str]) -> None:
    """Compare the run of a checkpoint with one that is to go on from it.

    Raises ConfigError that names every change that is not allowed, with both values.
    """
    new = flat(now.config)
    unknown = sorted(allow - {*new, DATA_FILES, BASE_WEIGHTS})
    if unknown:
        known = [*new, DATA_FILES, BASE_WEIGHTS]
        raise ConfigError(f"--allow {unknown[0]}: no such key{suggest(unknown[0], known)}")
    refused = {key: text for key, text in changes(before, now).items() if key not in allow or key in FIXED}
    if not refused:
        return
    allowed = [key for key in refused if key not in FIXED]
    way = f", or go on with --allow {','.join(allowed)}" if len(allowed) == len(refused) else ""
    raise ConfigError(
        "this is another run than the one in the checkpoint; changed since:\n"
        + "\n".join(f"  {key}: {text}" for key, text in refused.items())
        + f"\ntake it back, or train anew into another --set output=FOLDER{way}"
    )


def changes(before: Facts, now: Facts) -> dict[str, str]:
    """Return what changed, by name, with the old and the new value."""
    old, new = flat(to_dict(Config())) | flat(before.config), flat(now.config)
    found = {
        key: f"{_shown(old.get(key))} -> {_shown(new[key])}"
        for key in new
        if key not in HARMLESS and new[key] != old.get(key)
    }
    # A key that decides what the rows are explains another digest by itself.
    if before.data != now.data and not any(key.startswith("data.") and key != "data.test" for key in found):
        found[DATA_FILES] = "other rows than before"
    if before.base and before.base != now.base:
        found[BASE_WEIGHTS] = f"{_shown(before.base)} -> {_shown(now.base)}"
    return found


def flat(values: dict[str, Any], start: str = "") -> dict[str, Any]:
    """Return nested maps as one, with dotted keys; lists count as one value."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict) and value:
            found |= flat(value, f"{start}{key}.")
        else:
            found[f"{start}{key}"] = value
    return found


def _shown(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "…"
