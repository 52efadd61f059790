"""Configurations: every mistake at once with its place, overrides, and what ships."""

from __future__ import annotations

from pathlib import Path

import pytest

from fsmbot.errors import ConfigError
from trainer.config import Config, to_dict
from trainer.config_file import load_config

CONFIGS = Path(__file__).parent.parent.parent / "trainer" / "configs"
GOOD = "name: x\ndata:\n  train:\n    - path: a.jsonl\n"


def load(tmp_path: Path, text: str, *overrides: str) -> Config:
    """Load a configuration from text."""
    (tmp_path / "c.yaml").write_text(text)
    return load_config(tmp_path / "c.yaml", overrides)


def test_defaults_fill_what_is_not_said(tmp_path: Path) -> None:
    """A name and a file are enough; the output folder follows from the name."""
    config = load(tmp_path, GOOD)
    assert (config.output, config.lora.r, config.data.train[0].question) == ("runs/x", 16, "input")


def test_every_mistake_is_reported_at_its_place(tmp_path: Path) -> None:
    """Unknown keys with a suggestion, wrong types, values out of range; all at once."""
    text = GOOD + "lora: {rank: 8, r: 0}\noptimiser: {}\nsteps: {batch: many}\n"
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    assert [line.removeprefix(f"{tmp_path}/c.yaml:") for line in str(caught.value).splitlines()] == [
        "5:8: lora has no key 'rank'; known: r, alpha, targets, saved_as",
        "5:20: lora.r: expected a whole number from 1 to 1024, not the number 0",
        "6:1: a configuration has no key 'optimiser'; did you mean 'optimizer'?",
        "7:16: steps.batch: expected a whole number from 1 to 65536, not the text 'many'",
    ]


def test_overrides_are_checked_like_the_file(tmp_path: Path) -> None:
    """`--set lora.r=8` changes one value; a wrong one shows what was typed."""
    config = load(tmp_path, GOOD, "lora.r=8", "optimizer.lr=1e-3", "base.id=my/base")
    assert (config.lora.r, config.optimizer.lr, config.base.id) == (8, 1e-3, "my/base")
    assert config.lora.alpha == 32
    with pytest.raises(ConfigError, match=r"--set lora\.r=x: lora\.r: expected a whole number"):
        load(tmp_path, GOOD, "lora.r=x")
    with pytest.raises(ConfigError, match=r"--set lora: expected key=value"):
        load(tmp_path, GOOD, "lora")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: x", "data.train names nothing to learn from"),
        (GOOD + "      hub: a/b", "expected either `path` or `hub`, found both"),
        (GOOD + "steps: {micro_tokens: 100}", "the longest dialogue would not fit; raise it"),
        ("a: [", "the bracket that opens here is never closed"),
        ("- a", "a configuration must be a map, not a list"),
    ],
)
def test_what_no_single_key_shows_is_refused_too(tmp_path: Path, text: str, message: str) -> None:
    """Each with what to change."""
    with pytest.raises(ConfigError, match=message):
        load(tmp_path, text)


def test_a_resolved_configuration_is_json(tmp_path: Path) -> None:
    """It is saved with the result, and compared on resume."""
    plain = to_dict(load(tmp_path, GOOD))
    assert plain["optimizer"]["betas"] == [0.9, 0.999]
    assert "folder" not in plain


def test_the_shipped_configurations_load() -> None:
    """Every training configuration in the package is without mistakes."""
    paths = [path for path in sorted(CONFIGS.glob("*.yaml")) if path.name != "medical-vectors.yaml"]
    assert paths
    for path in paths:
        assert load_config(path).data.train
