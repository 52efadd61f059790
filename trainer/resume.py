"""A resumed run must be the same run, but for what the user allows to have changed, by name."""

from __future__ import annotations

from typing import Any

from fsmbot.errors import ConfigError
from fsmbot.settings import suggest
from trainer.config import Config, to_dict

HARMLESS = frozenset({"output", "name", "licence", "notes"})
DATA_FILES = "data.files"
"""The name of the data's content among the things that may change."""


def refuse_changes(
    before: dict[str, Any], now: dict[str, Any], data_before: str, data_now: str, allow: frozenset[str]
) -> None:
    """Compare two resolved configurations and digests; raises ConfigError that names what changed."""
    old, new = flat(to_dict(Config())) | flat(before), flat(now)
    unknown = sorted(allow - set(new) - {DATA_FILES})
    if unknown:
        raise ConfigError(f"--allow {unknown[0]}: no such key{suggest(unknown[0], [*new, DATA_FILES])}")
    changed = [key for key in new if key not in HARMLESS and new[key] != old.get(key)]
    changed += [DATA_FILES] * (data_before != data_now and not any(k.startswith("data.") for k in changed))
    refused = [key for key in changed if key not in allow]
    if refused:
        lines = [f"  {key}: {_shown(old.get(key))} -> {_shown(new.get(key))}" for key in refused]
        raise ConfigError(
            "this is another run than the one in the checkpoint; changed since:\n"
            + "\n".join(lines if refused != [DATA_FILES] else [f"  {DATA_FILES}: other rows than before"])
            + f"\ntake it back, train anew without --resume, or go on with --allow {','.join(refused)}"
        )


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
