"""`python -m trainer vectors`: from a tiny corpus to a folder that scores, and clear refusals."""

import gzip
import json
import random
from pathlib import Path

import numpy as np
import pytest

from fsmbot.vectors import WordVectors
from trainer.cli import main

SYMPTOMS = ["fever", "cough", "rash", "headache", "nausea", "pain", "swelling", "dizziness"]
PASTIMES = ["guitar", "movie", "football", "pizza", "music", "holiday", "weather", "garden"]


def write_corpus(folder: Path) -> Path:
    """Write a medical and an everyday corpus of invented sentences, and their configuration."""
    draw = random.Random(0)
    patients = [f"i have {' and '.join(draw.sample(SYMPTOMS, 2))} today" for _ in range(300)]
    chats = [f"we like {' and '.join(draw.sample(PASTIMES, 2))} a lot" for _ in range(300)]
    with gzip.open(folder / "patients.jsonl.gz", "wt") as file:
        file.writelines(json.dumps({"input": text, "kind": "q"}) + "\n" for text in patients)
    (folder / "chats.txt").write_text("\n".join(chats))
    config = {
        "name": "tiny",
        "corpora": [
            {"path": "patients.jsonl.gz", "fields": ["input"], "side": "medical", "sample": 300},
            {"path": "chats.txt", "side": "everyday", "sample": 300, "licence": "none"},
        ],
        "held_out": [{"path": "chats.txt", "side": "everyday"}],
        "word2vec": {"size": 12, "min_count": 2, "epochs": 20},
        "gate": {"prototypes": 4, "epochs": 15},
        "examples": ["messages.csv"],
        "judged": ["messages.csv"],
    }
    (folder / "messages.csv").write_text(
        "label,text\nmedical,i have fever and cough\neveryday,we like guitar\n"
    )
    path = folder / "tiny.yaml"
    path.write_text(json.dumps(config))  # JSON is YAML
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    out = folder / "out"
    assert main(["vectors", "--config", str(write_corpus(folder)), "--out", str(out)]) == 0
    return out


def test_the_folder_scores_messages(trained: Path) -> None:
    """What the command writes, `WordVectors.load` reads, and its gate has learned the sides."""
    gate = WordVectors.load(trained).gate
    assert gate.score("i have fever and cough").probability > 0.8
    assert gate.score("we like guitar and pizza").probability < 0.2


def test_the_card_names_corpora_parameters_and_figures(trained: Path) -> None:
    """The card says what the vectors were made from and how well they do."""
    card = (trained / "README.md").read_text()
    for said in ("| chats.txt | everyday |", "size 12", "seed 1", "| chats.txt | everyday | 300 |"):
        assert said in card


def test_the_folder_holds_no_sentence_and_no_pickle(trained: Path) -> None:
    """Only numbers and single words are written."""
    words = json.loads((trained / "vocab.json").read_text())["words"]
    assert not any(" " in word for word in words)
    for path in trained.glob("*.npy"):
        np.load(path, allow_pickle=False)


def test_the_same_seed_gives_the_same_files(trained: Path, tmp_path: Path) -> None:
    """Training twice writes the same bytes."""
    again = tmp_path / "again"
    assert main(["vectors", "--config", str(write_corpus(tmp_path)), "--out", str(again)]) == 0
    for name in ("vectors.npy", "vocab.json", "prototypes.npy", "gate.json"):
        assert (again / name).read_bytes() == (trained / name).read_bytes()


def test_training_and_scoring_compute_the_same_margins(trained: Path) -> None:
    """The torch features that training descends on equal the numpy ones of the bot, at any length."""
    import torch

    from trainer.gate_features import Words, features, pad

    vectors = WordVectors.load(trained)
    blocks = torch.tensor(np.load(trained / "prototypes.npy", allow_pickle=False), dtype=torch.float32)
    draw = random.Random(1)
    rows = [[draw.randrange(len(vectors)) for _ in range(size)] for size in (1, 2, 7, 8, 9, 13, 28, 60)]
    found = features(pad(rows), Words.of(vectors), [blocks[0], blocks[1], torch.hstack([*blocks[2:]])])
    expected = np.array([vectors.gate.features(row)[0] for row in rows])
    assert found.numpy() == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"corpora": []}, "needs both sides"),
        ({"sead": 1}, "sead"),
        ({"data": "nowhere"}, "--data"),
        ({"corpora": [{"side": "medical"}, {"side": "everyday"}]}, "either `path`"),
        ({"examples": ["nowhere.csv"]}, "nowhere.csv"),
        ({"word2vec": {"min_count": 10_000}}, "min_count"),
        ({"word2vec": {"window": 0}}, "word2vec.window"),
        ({"gate": {"prototypes": -1}}, "gate.prototypes"),
        ({"gate": {"held_out": 1.0}}, "gate.held_out"),
        ({"seed": -1}, "seed"),
        ({"judged": ["nowhere.csv"]}, "nowhere.csv"),
        ({"pretrained": {"path": "~nobody-of-this-name/x.txt"}}, "leave out `pretrained`"),
        ({"pretrained": {"path": "patients.jsonl.gz"}}, "leave out `pretrained`"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, object], said: str
) -> None:
    """A wrong configuration is told in one line, without a traceback."""
    path = write_corpus(tmp_path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    assert main(["vectors", "--config", str(path), "--out", str(tmp_path / "out")]) == 2
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert told.startswith("trainer vectors: ")
    assert said in told


@pytest.mark.parametrize(
    ("line", "said"), [("{", "no JSON"), ('{"other": 1}', "columns"), ("", "holds no text")]
)
def test_a_broken_corpus_names_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str, said: str
) -> None:
    """A row that is no JSON, or lacks the column, is named by file and line."""
    path = write_corpus(tmp_path)
    with gzip.open(tmp_path / "patients.jsonl.gz", "wt") as file:
        file.write(line + "\n")
    assert main(["vectors", "--config", str(path), "--out", str(tmp_path / "out")]) == 2
    told = capsys.readouterr().err
    assert "patients.jsonl.gz" in told
    assert said in told


def write_pretrained(path: Path, *, header: bool) -> None:
    """Write vectors in which words of one side point the same way, with a word that no corpus has."""
    draw = np.random.default_rng(0)
    centres = draw.normal(size=(2, 8))
    words = [(word, 0) for word in [*SYMPTOMS, "vertigo"]] + [
        (word, 1) for word in [*PASTIMES, "Chess", "opera"]
    ]
    words += [(word, 1) for word in ("we", "like", "a", "lot")] + [
        (word, 0) for word in ("i", "have", "today")
    ]
    rows = [f"{word} {' '.join(map(str, centres[side] + draw.normal(size=8) / 3))}" for word, side in words]
    path.write_text("\n".join([f"{len(rows)} 8", *rows] if header else rows) + "\n")


@pytest.mark.parametrize("header", [False, True])
def test_pretrained_vectors_bring_words_that_the_corpora_lack(tmp_path: Path, header: bool) -> None:
    """A word of GloVe's or word2vec's file is known, near its like, and moves the score."""
    path, out = write_corpus(tmp_path), tmp_path / "out"
    write_pretrained(tmp_path / "vectors.txt", header=header)
    blended = {"path": "vectors.txt", "words": 18, "components": 0}
    blended |= {"source": "a test", "licence": "none"}
    path.write_text(json.dumps({**json.loads(path.read_text()), "pretrained": blended}))
    (tmp_path / "messages.csv").write_text("label,text\nmedical,fever\neveryday,an opera\n")
    assert main(["vectors", "--config", str(path), "--out", str(out)]) == 0
    vectors = WordVectors.load(out)
    assert vectors.similarity("vertigo", "nausea") > vectors.similarity("vertigo", "pizza")
    assert vectors.gate.score("vertigo").probability > 0.5
    assert "Chess" not in vectors  # the tokenizer makes no such word
    assert "opera" in vectors  # beyond the first 18 words, but an example has it
    assert "| vectors.txt" not in (out / "README.md").read_text()
    assert "the first 18 words of vectors.txt (a test; none)" in (out / "README.md").read_text()


def test_missing_pretrained_vectors_say_where_to_get_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message names the file, its source, and the way without it."""
    path = write_corpus(tmp_path)
    blended = {"path": "glove.txt", "source": "https://example.org/glove"}
    path.write_text(json.dumps({**json.loads(path.read_text()), "pretrained": blended}))
    assert main(["vectors", "--config", str(path), "--out", str(tmp_path / "out")]) == 2
    told = capsys.readouterr().err.strip().splitlines()[-1]
    for said in ("glove.txt", "https://example.org/glove", "leave out `pretrained`"):
        assert said in told


@pytest.mark.parametrize("line", ["fever nan 1", "fever 1", "9999999999 9999999999", ""])
def test_broken_pretrained_vectors_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str
) -> None:
    """NaN, a short row, a header that promises the moon, nothing at all: one line, no traceback."""
    path = write_corpus(tmp_path)
    words = [*SYMPTOMS, *PASTIMES]
    (tmp_path / "v.txt").write_text("\n".join([line, *(f"{w} 0.5 {i}" for i, w in enumerate(words))]))
    if not line:
        (tmp_path / "v.txt").write_text("")
    path.write_text(json.dumps({**json.loads(path.read_text()), "pretrained": {"path": "v.txt"}}))
    assert main(["vectors", "--config", str(path), "--out", str(tmp_path / "out")]) == 2
    assert "v.txt" in capsys.readouterr().err.strip().splitlines()[-1]


def test_a_corpus_may_be_a_data_set_of_the_hub(tmp_path: Path) -> None:
    """`hub:` takes what `datasets` loads by id, here a local folder in the hub's layout."""
    path, out, shelf = write_corpus(tmp_path), tmp_path / "out", tmp_path / "chats"
    shelf.mkdir()
    with (shelf / "train.jsonl").open("w") as file:
        file.writelines(
            json.dumps({"text": line}) + "\n" for line in (tmp_path / "chats.txt").read_text().split("\n")
        )
    config = json.loads(path.read_text())
    config["corpora"][1] = {"hub": str(shelf), "fields": ["text"], "side": "everyday", "sample": 300}
    path.write_text(json.dumps(config))
    assert main(["vectors", "--config", str(path), "--out", str(out)]) == 0
    assert WordVectors.load(out).gate.score("we like guitar and pizza").probability < 0.2


def test_the_card_gives_the_figures_of_labelled_messages(trained: Path) -> None:
    """`judged` files stand in the card, as evaluate-gate sees them."""
    assert "| messages.csv | 2 | 1.000 | 1.000 | 1.000 | – |" in (trained / "README.md").read_text()
