"""Word vectors: what a folder or a word2vec file holds, and what a broken one says."""

import contextlib
import json
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fsmbot.errors import VectorsError
from fsmbot.vectors import Gate, WordVectors, words_of
from fsmbot.vectors.gate import FEATURES
from fsmbot.vectors.spelling import edit_distance
from fsmbot.vectors.word2vec import load_word2vec

WORDS = ["the", "fever", "headache", "guitar"]
ROWS = np.array([[1, 1, 1], [127, 0, 5], [120, 10, 0], [0, 127, 0]], dtype=np.int8)
COMMON = [500_000, 10, 10, 5]


def write_folder(folder: Path, **changes: object) -> Path:
    """Write a folder of four words; `changes` replace fields of vocab.json."""
    folder.mkdir(exist_ok=True)
    vocabulary = {"format": "fsmbot-vectors", "version": 1, "words": WORDS, "common": COMMON}
    (folder / "vocab.json").write_text(json.dumps({**vocabulary, **changes}))
    np.save(folder / "vectors.npy", ROWS)
    return folder


@pytest.fixture
def vectors(tmp_path: Path) -> WordVectors:
    return WordVectors.load(write_folder(tmp_path / "vectors"))


def test_words_of_splits_text_into_lower_case_words() -> None:
    """Words are lower case, without digits, marks, and what an apostrophe contracts."""
    assert words_of("It's 39.5\u00b0, I CAN\u2019T sleep!") == ["it", "i", "cant", "sleep"]
    assert words_of("\uff26\uff45\uff56\uff45\uff52 \ufb01ve") == ["fever", "five"]


@given(st.text(max_size=300))
def test_words_of_takes_any_text(text: str) -> None:
    """Any text, lone surrogates among it, becomes words of letters, of bounded length."""
    assert all(word and len(word) <= 800 for word in words_of(text + "\ud800"))


@given(st.text(st.characters(max_codepoint=127), max_size=300))
def test_plain_text_is_read_as_any_other(text: str) -> None:
    """ASCII takes a shorter way to the same words."""
    assert [*words_of(text), "\u00e9"] == words_of(text + " \u00e9")


@pytest.mark.parametrize("piece", ["a'", "a ", "'", "\ufdfa", "\u0301", "aaaa"])
def test_words_of_reads_a_bounded_sample_of_a_huge_text(piece: str) -> None:
    """A text of megabytes costs no more than its sample does."""
    assert sum(map(len, words_of(piece * 2_000_000))) < 150_000


@pytest.mark.parametrize("letter", ["㏂", "İ", "ﷺ", "⒜"])
def test_letters_that_become_several_are_sampled_too(letter: str) -> None:
    """6,000 characters stay 3,000 words at the most, and do not become 12,000."""
    assert len(words_of(letter * 6_000)) <= 3_001


def test_a_long_text_is_read_at_its_start_middle_and_end() -> None:
    """Of a long text, words at the start, in the middle and at the end are seen."""
    text = "fever " + "x " * 20_000 + "cough " + "x " * 20_000 + " rash"
    assert {"fever", "cough", "rash"} <= set(words_of(text))


def test_similarity_is_the_cosine_of_two_words(vectors: WordVectors) -> None:
    """Words that point the same way are similar; an unknown word is similar to nothing."""
    assert vectors.similarity("fever", "headache") > 0.98
    assert vectors.similarity("fever", "guitar") < 0.1
    assert vectors.similarity("fever", "xyzzy") == 0.0


def test_a_vector_has_length_one_and_an_unknown_word_none(vectors: WordVectors) -> None:
    """`vector` gives a direction, or None."""
    found = vectors.vector("fever")
    assert found is not None
    assert np.linalg.norm(found) == pytest.approx(1)
    assert vectors.vector("xyzzy") is None


def test_the_mean_leans_to_the_telling_words(vectors: WordVectors) -> None:
    """A common word hardly moves the mean, and no known word gives zeros."""
    fever = vectors.vector("fever")
    assert fever is not None
    assert vectors.mean(["the", "the", "fever"]) @ fever > 0.95
    assert not vectors.mean(["xyzzy"]).any()


@pytest.mark.parametrize("wrong", ["hedache", "headahce", "headachee", "headacheeeee", "haedache"])
def test_a_misspelled_word_is_read_as_the_word_meant(vectors: WordVectors, wrong: str) -> None:
    """Edits within the consonant skeleton, and stretched letters, find the known word."""
    assert vectors.find(wrong) == WORDS.index("headache")


@given(st.text("abc", max_size=6), st.text("abc", max_size=6))
def test_edit_distance_is_symmetric_and_zero_for_the_same_word(a: str, b: str) -> None:
    """Edits count the same both ways, are at most the longer word, and none means the same."""
    assert edit_distance(a, b) == edit_distance(b, a) <= max(len(a), len(b))
    assert (edit_distance(a, b) == 0) == (a == b)


def test_vectors_without_prototypes_score_by_word_lists(vectors: WordVectors) -> None:
    """A folder without a gate still tells a medical word from an everyday one."""
    score = vectors.gate.score
    assert score("headache").probability > 0.5 > score("guitar").probability
    assert score("xyzzy").probability == 0.0


@pytest.mark.parametrize(
    "changes",
    [
        {"words": WORDS[:3]},
        {"words": ["the", "the", "fever", "guitar"]},
        {"words": [1, 2, 3, 4]},
        {"words": 7},
        {"common": [1, 2, 3, -4]},
        {"common": [1, 2, 3, float("nan")]},
        {"common": None},
        {"version": 2},
        {"format": "other"},
    ],
)
def test_a_vocabulary_that_does_not_fit_is_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    """A wrong vocabulary is a VectorsError that names the file or folder and the way out."""
    with pytest.raises(VectorsError, match=r"bad.*anew"):
        WordVectors.load(write_folder(tmp_path / "bad", **changes))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_damage_to_the_array_is_refused_or_read(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Whatever bytes vectors.npy holds, loading returns vectors or raises VectorsError."""
    folder = write_folder(tmp_path_factory.mktemp("damage"))
    whole = bytearray((folder / "vectors.npy").read_bytes())
    whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(whole)))
    (folder / "vectors.npy").write_bytes(bytes(whole[:cut]) if data.draw(st.booleans()) else whole)
    with contextlib.suppress(VectorsError):
        assert len(WordVectors.load(folder)) == 4


def test_an_array_header_cannot_ask_for_more_than_the_file_holds(tmp_path: Path) -> None:
    """A shape of terabytes in vectors.npy is refused before memory is asked for."""
    folder = write_folder(tmp_path / "huge")
    whole = (folder / "vectors.npy").read_bytes()
    lie = b"(4, 900000000000), }"
    (folder / "vectors.npy").write_bytes(whole.replace(b"(4, 3), }" + b" " * 11, lie))
    assert lie in (folder / "vectors.npy").read_bytes()
    with pytest.raises(VectorsError, match=r"vectors\.npy"):
        WordVectors.load(folder)


def test_a_pickle_is_never_read(tmp_path: Path) -> None:
    """An array of Python objects is refused."""
    folder = write_folder(tmp_path / "pickle")
    np.save(folder / "vectors.npy", np.array([[{}]], dtype=object), allow_pickle=True)
    with pytest.raises(VectorsError, match=r"vectors\.npy"):
        WordVectors.load(folder)


def test_an_archive_in_place_of_an_array_is_refused(tmp_path: Path) -> None:
    """numpy opens a zip of arrays under any name; that is no table of vectors."""
    folder = write_folder(tmp_path / "zip")
    with (folder / "vectors.npy").open("wb") as file:
        np.savez(file, rows=ROWS)
    with pytest.raises(VectorsError, match=r"vectors\.npy"):
        WordVectors.load(folder)


def test_nan_in_an_array_is_refused(tmp_path: Path) -> None:
    """Numbers that are none are a VectorsError, not a score of nan."""
    folder = write_folder(tmp_path / "nan")
    np.save(folder / "vectors.npy", np.full((4, 3), np.nan, dtype=np.float16))
    with pytest.raises(VectorsError, match="NaN"):
        WordVectors.load(folder)


@pytest.mark.parametrize("weights", [None, {}, {"bias": "x"}, dict.fromkeys(
    [*FEATURES, "bias"], float("inf")), dict.fromkeys([*FEATURES, "bias"], 10**400)])  # fmt: skip
def test_a_broken_gate_is_refused(tmp_path: Path, weights: object) -> None:
    """A gate.json without its nine finite weights is a VectorsError."""
    folder = write_folder(tmp_path / "gate")
    np.save(folder / "prototypes.npy", np.ones((5, 2, 3), dtype=np.int8))
    settings_ = {"format": "fsmbot-gate", "version": 2, "weights": weights}
    (folder / "gate.json").write_text(json.dumps(settings_))
    with pytest.raises(VectorsError, match=r"gate\.json"):
        Gate.load(WordVectors.load(folder), folder)


def text_file(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def binary_file(path: Path, count: int = 2) -> Path:
    rows = [("Fever", [1.0, 0.5]), ("guitar", [-0.25, 2.0])]
    body = b"".join(w.encode() + b" " + struct.pack("<2f", *row) + b"\n" for w, row in rows)
    path.write_bytes(f"{count} 2\n".encode() + body)
    return path


def test_word2vec_text_and_binary_files_read_alike(tmp_path: Path) -> None:
    """The same vectors in a .vec and in a .bin file give the same words and similarities."""
    text = WordVectors.load(text_file(tmp_path / "a.vec", "2 2\nFever 1.0 0.5\nguitar -0.25 2.0\n"))
    binary = WordVectors.load(binary_file(tmp_path / "a.bin"))
    assert text.words == binary.words == ("fever", "guitar")
    assert text.similarity("fever", "guitar") == binary.similarity("fever", "guitar")
    assert text.similarity("fever", "guitar") == pytest.approx(0.333, abs=0.02)


def test_a_limit_keeps_the_most_frequent_words(tmp_path: Path) -> None:
    """Only the first words are read, and the first counts as the most common."""
    path = text_file(tmp_path / "a.vec", "3 1\nthe 1\nfever 2\nguitar 3\n")
    vectors = load_word2vec(path, limit=2)
    assert vectors.words == ("the", "fever")
    assert vectors.weights[0] < vectors.weights[1]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("2000000 3000\nfever 1 2\n", "claims 2000000 words"),
        ("999999999999999 1\n", "not two numbers"),
        ("0 3\n", "claims 0 words"),
        ("2 0\n", "claims 2 words"),
        ("", "not two numbers"),
        ("fever 1 2 3\n", "not two numbers"),
        ("2 2\nfever 1 2 \n", "ends after 1 of 2"),
        ("1 2\nfever 1\n  ", "does not hold a word"),
        ("1 2\nfever 1 e\n", "no number"),
        ("1 2\nfever 1 nan\n", "NaN"),
    ],
)
def test_a_broken_word2vec_file_says_why(tmp_path: Path, content: str, reason: str) -> None:
    """A header that lies, a cut, a NaN: each is a VectorsError with its reason and the file."""
    with pytest.raises(VectorsError, match=rf"broken\.vec.*{reason}"):
        WordVectors.load(text_file(tmp_path / "broken.vec", content))


def test_a_binary_file_cut_short_is_refused(tmp_path: Path) -> None:
    """A .bin file that ends within its last vector says how far it went."""
    path = binary_file(tmp_path / "cut.bin")
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(VectorsError, match="ends after 1 of 2"):
        WordVectors.load(path)


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    """A path where nothing is says so."""
    with pytest.raises(VectorsError, match=r"nothing\.bin"):
        WordVectors.load(tmp_path / "nothing.bin")


@settings(max_examples=100, deadline=None)
@given(body=st.binary(max_size=200), header=st.sampled_from([b"2 2\n", b"1 5\n", b"", b"9 1\n"]))
def test_any_bytes_are_vectors_or_a_vectors_error(
    tmp_path_factory: pytest.TempPathFactory, body: bytes, header: bytes
) -> None:
    """Whatever a file holds, loading returns vectors or raises VectorsError."""
    path = tmp_path_factory.mktemp("any") / "any.bin"
    path.write_bytes(header + body)
    with contextlib.suppress(VectorsError):
        assert len(WordVectors.load(path)) > 0


def test_importing_vectors_loads_no_numpy() -> None:
    """The package stays light until vectors are loaded."""
    code = "import sys, fsmbot.vectors; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
