"""The doctor that comes with the package: whole, small, explained, and better than its base."""

from __future__ import annotations

import json
import re

import pytest

from fsmbot.doctor.adapter import ADAPTER, ADAPTER_CONFIG, check_adapter_config
from fsmbot.doctor.artefact import CARD, SHIPPED, read_card
from fsmbot.doctor.hub import sha256
from fsmbot.doctor.weights import DEFAULT_BASE, WHEEL_REVISION

EVALUATION = json.loads((SHIPPED / "evaluation.json").read_text())
FIGURES = {(row["set"], row["model"]): row for row in EVALUATION["results"]}
TESTS = sorted(name for name, model in FIGURES if model == "doctor" and name.endswith("(test)"))


def test_every_file_of_the_artefact_is_there_and_small() -> None:
    """The adapter takes 12 MB at the most, as 16-bit numbers; nothing is pickled."""
    files = {path.name for path in SHIPPED.iterdir()}
    assert files == {
        ADAPTER, ADAPTER_CONFIG, CARD, "README.md", "run.json", "evaluation.json", "training.jsonl",
        "loss.png",
    }  # fmt: skip
    assert (SHIPPED / ADAPTER).stat().st_size < 12_000_000
    header = (SHIPPED / ADAPTER).read_bytes()[:100_000]
    assert b'"F16"' in header
    assert b'"F32"' not in header


def test_it_names_its_base_and_no_place_on_a_disk() -> None:
    """The base is pinned to the weights it was trained on; paths of a machine would be of no use."""
    card = read_card(SHIPPED)
    assert (card.base, card.revision) == (DEFAULT_BASE, WHEEL_REVISION)
    assert check_adapter_config(SHIPPED / ADAPTER_CONFIG).base_model_name_or_path == DEFAULT_BASE
    for path in SHIPPED.iterdir():
        if path.suffix in (".json", ".md", ".jsonl"):
            assert not re.search(r'["\s](/|~/)\w+/', path.read_text()), path.name


def test_its_figures_are_of_this_very_adapter() -> None:
    """An adapter that was trained again has to be measured again; the card shows the same figures."""
    assert EVALUATION["adapter_sha256"] == sha256(SHIPPED / ADAPTER)
    card = (SHIPPED / "README.md").read_text()
    for (name, model), row in FIGURES.items():
        assert f"| {name} | {model} | {row['dialogues']:,} | {row['loss']:.3f} |" in card


@pytest.mark.parametrize("name", TESTS)
def test_it_keeps_what_was_asked_of_it_on_every_test_set(name: str) -> None:
    """Loss a quarter below the base's, under 5% of 4-grams repeated, 95% of answers with an end."""
    base, doctor = FIGURES[name, "base"], FIGURES[name, "doctor"]
    assert doctor["loss"] <= 0.75 * base["loss"]
    assert doctor["answers"] >= 100
    assert doctor["repeated"] < 0.05
    assert doctor["ended"] >= 0.95


def test_it_was_measured_on_two_kinds_of_questions() -> None:
    """Patients' and a library's, both kept out of training."""
    assert len(TESTS) == 2
