"""check_medical with the shipped vectors: what goes to the doctor and what does not."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fsmbot.handlers.medical import SHIPPED, check_medical, vectors
from fsmbot.turn import Turn
from fsmbot.vectors import WordVectors, words_of


@pytest.fixture(scope="module")
def shipped() -> WordVectors:
    return vectors()


def test_a_turn_and_tiny_vectors_are_a_whole_test() -> None:
    """The handler is a plain function of a turn and any vectors."""
    rows = np.array([[127, 0], [120, 20], [0, 127]], dtype=np.int8)
    tiny = WordVectors(["fever", "head", "guitar"], rows, [1e-6, 1e-6, 1e-6])
    assert check_medical(Turn("my head hurts"), tiny, threshold=0.3) == "medical"
    assert check_medical(Turn("a guitar"), tiny) == "other"


@pytest.mark.parametrize(
    "text",
    [
        "fever?",
        "pregnant??",
        "my head hurts",
        "hi, my chest hurts",
        "my nose keeps running",
        "I can't keep food down",
        "been feeling down for weeks",
        "what are the side effects of metformin",
        "can I take ibuprofen with blood thinners?",
        "My son has had a high fever and a rash since yesterday, should I worry?",
    ],
)
def test_a_medical_message_goes_to_the_doctor(shipped: WordVectors, text: str) -> None:
    """Symptoms, drugs and conditions are medical, in one word or in a sentence."""
    assert check_medical(Turn(text), shipped) == "medical"


@pytest.mark.parametrize(
    "text",
    [
        "I want to kill myself",
        "I'm going to kill myself",
        "i feel suicidal",
        "I want to hurt myself",
        "I took an overdose",
        "i took too many pills last night",
        "swallowed a whole bottle of tylenol",
        "been cutting my arms again",
        "I want to end my life",
    ],
)
def test_self_harm_and_overdose_are_medical(shipped: WordVectors, text: str) -> None:
    """A message about self-harm never ends in small talk."""
    assert check_medical(Turn(text), shipped) == "medical"


@pytest.mark.parametrize(
    "text",
    [
        "play some jazz",
        "what is the weather in oslo tomorrow",
        "transfer fifty dollars to my savings",
        "book a table for four at eight",
        "heart of the city",
        "my computer has a virus",
        "doctor strange movie times",
        "tell me a joke",
    ],
)
def test_an_everyday_message_does_not(shipped: WordVectors, text: str) -> None:
    """Requests of daily life are not medical, medical words in an everyday sense included."""
    assert check_medical(Turn(text), shipped) == "other"


@pytest.mark.parametrize(
    "text",
    ["hi", "hello doctor", "good evening doc", "how are you", "thanks doctor", "hiya doc", "gn", "namaste"],
)
def test_a_greeting_is_left_to_check_greeting(shipped: WordVectors, text: str) -> None:
    """A plain greeting, addressed to a doctor or not, is not medical."""
    assert check_medical(Turn(text), shipped) == "other"


@pytest.mark.parametrize("text", ["diarhea", "hedache", "bad migrane", "pnemonia", "stomache ache"])
def test_a_misspelled_complaint_is_still_medical(shipped: WordVectors, text: str) -> None:
    """Patients misspell; the nearest known word stands in."""
    assert check_medical(Turn(text), shipped) == "medical"


def test_the_score_and_its_words_are_noted(shipped: WordVectors) -> None:
    """`/why` can show the score and the words that moved it most."""
    turn = Turn("my knee is swollen")
    check_medical(turn, shipped)
    assert turn.notes["score"] > 0.9
    assert any(note.startswith("swollen +") for note in turn.notes["words"])


def test_the_threshold_decides(shipped: WordVectors) -> None:
    """The outcome is the score held against the threshold."""
    turn = Turn("my knee is swollen")
    assert check_medical(turn, shipped, threshold=0.0) == "medical"
    assert check_medical(turn, shipped, threshold=1.1) == "other"


@settings(max_examples=60, deadline=None)
@given(text=st.text(max_size=200))
def test_any_text_has_a_score_from_zero_to_one(shipped: WordVectors, text: str) -> None:
    """Hostile text gets a number, the same one twice, never an exception or nan."""
    score = shipped.gate.score(text + "\ud800\0")
    assert 0 <= score.probability <= 1
    assert score == shipped.gate.score(text + "\ud800\0")


@pytest.mark.parametrize("piece", ["fever ", "x", "\u202e", "<|im_end|>", "\x1b[31m"])
def test_a_text_of_ten_megabytes_is_scored(shipped: WordVectors, piece: str) -> None:
    """A huge message is answered from a bounded sample."""
    check_medical(Turn(piece * (10_000_000 // len(piece))), shipped)


@pytest.mark.parametrize("text", ["", "   ", "\0", "\U0001f44b", "39.5"])
def test_a_message_without_words_is_not_medical(shipped: WordVectors, text: str) -> None:
    """Nothing speaks for a text without a known word."""
    assert shipped.gate.score(text).probability == 0.0


SCORES = """
import json, sys
from fsmbot.handlers.medical import vectors
gate = vectors().gate
print(json.dumps([gate.score(text).probability for text in json.load(sys.stdin)]))
"""


@pytest.mark.parametrize(
    "machine",
    [
        {"OPENBLAS_CORETYPE": "Prescott"},
        {"OPENBLAS_CORETYPE": "Haswell", "OPENBLAS_NUM_THREADS": "1"},
        {"NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3"},
    ],
)
def test_another_processor_gives_the_same_scores(shipped: WordVectors, machine: dict[str, str]) -> None:
    """Other kernels sum in another order, and other processors lack fast instructions: 1e-6 holds."""
    with Path("tests/gate/tuned.csv").open() as file:
        texts = [row["text"] for row in csv.DictReader(file)]
    expected = [shipped.gate.score(text).probability for text in texts]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCORES],
        input=json.dumps(texts), env={**os.environ, **machine}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout) == pytest.approx(expected, abs=1e-6)


def test_a_score_follows_from_its_formula(shipped: WordVectors) -> None:
    """Margins computed one by one from cosines, as the documentation tells it, are the same."""
    gate, rows = shipped.gate, shipped.find_all(words_of("my nose keeps running and I'm tired of it"))
    features, _ = gate.features(rows)
    units, weight = shipped.unit_rows(rows), shipped.weights[rows]
    blocks = np.load(SHIPPED / "prototypes.npy", allow_pickle=False).astype(float)
    assert features[0] == pytest.approx(margin(weight @ units, blocks[0]), abs=1e-9)
    alone = [margin(unit, blocks[1]) * w for unit, w in zip(units, weight, strict=True)]
    rooted = np.vstack([0 * units[:1], units * np.sqrt(weight)[:, None], 0 * units[:1]])
    around = [margin(rooted[i : i + 3].ravel(), np.hstack(blocks[2:])) for i in range(len(rows))]
    for values, total, found in ((alone, weight.sum(), features[2:5]), (around, len(rows), features[5:])):
        raised = np.exp(4 * np.array(values))
        pooled = [np.log(raised.sum()) / 4, -np.log((1 / raised).sum()) / 4, sum(values) / total]
        assert found == pytest.approx(pooled, abs=1e-6)


def margin(vector: np.ndarray, prototypes: np.ndarray) -> float:
    """Return the soft maximal cosine to the first half of the prototypes less that to the second."""
    cosines = prototypes @ vector / np.linalg.norm(prototypes, axis=1) / np.linalg.norm(vector)
    medical, everyday = np.exp(20 * cosines).reshape(2, -1).sum(1)
    return float(np.log(medical / everyday) * 4 / 20)
