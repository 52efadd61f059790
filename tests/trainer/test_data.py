"""Dialogues are read from many formats, checked, reported, and encoded with exact masks."""

from __future__ import annotations

import dataclasses
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from fsmbot.doctor.prompt import Prompt
from fsmbot.errors import ConfigError
from trainer.config import Config, Data, Part, Source
from trainer.data import Report, prepare, question_key, read_dialogues
from trainer.preview import render
from trainer.rows import read_rows

ROWS = [
    {"instruction": "Be a doctor.", "input": "What helps?", "output": "Drink water. Rest."},
    {"instruction": "Be a doctor.", "input": "And tea?", "output": "Tea is fine."},
]


def config_of(folder: Path, *train: Source, **data: Any) -> Config:
    """Return a configuration with these sources."""
    return Config(data=Data(train=list(train), max_tokens=120, system="Be kind.", **data), folder=str(folder))


def write(path: Path, rows: list[dict[str, str]] = ROWS) -> Source:
    """Write rows in the format of the file's name."""
    if path.name.endswith(".jsonl"):
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif path.name.endswith(".jsonl.gz"):
        path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    elif path.name.endswith(".csv"):
        import csv

        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    else:
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return Source(path.name)


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.csv", "a.parquet"])
def test_every_format_gives_the_same_rows(tmp_path: Path, name: str) -> None:
    """The same table comes back from each kind of file."""
    rows = list(read_rows(write(tmp_path / name), tmp_path))
    assert [(row.question, row.answer) for row in rows] == [(r["input"], r["output"]) for r in ROWS]


def test_exactly_the_answer_and_its_end_are_learnt(tmp_path: Path, tokenizer: Any) -> None:
    """The marked tokens decode to the answer with its end token, and to nothing else."""
    data = prepare(config_of(tmp_path, write(tmp_path / "a.jsonl")), Prompt(tokenizer, "Be kind."))
    example = data.train[0]
    learnt = [token for token, answer in zip(example.ids, example.answer, strict=True) if answer]
    assert tokenizer.decode(learnt, skip_special_tokens=False) == "Drink water. Rest.<|im_end|>"
    assert learnt[-1] == tokenizer.convert_tokens_to_ids("<|im_end|>")


def test_a_preview_is_decoded_from_the_very_ids(tmp_path: Path, tokenizer: Any) -> None:
    """What is learnt stands in marks; without them the text is the decoded example."""
    data = prepare(config_of(tmp_path, write(tmp_path / "a.jsonl")), Prompt(tokenizer, "Be kind."))
    shown = render(data.train[0], tokenizer, color=False)
    assert shown.endswith("assistant\n«Drink water. Rest.<|im_end|>»")
    whole = tokenizer.decode(data.train[0].ids, skip_special_tokens=False)
    assert shown.replace("«", "").replace("»", "") == whole


def test_what_is_left_out_or_cut_is_counted(tmp_path: Path, tokenizer: Any) -> None:
    """Empty, duplicate, over-long and unfinished rows each have their number in the report."""
    rows = [
        *ROWS,
        ROWS[0],
        {"input": " ", "output": "x."},
        {"input": "No answer?", "output": ""},
        {"input": "Unfinished?", "output": "it never ends"},
        {"input": "Long?", "output": "A whole sentence. " * 40},
        {"input": "Many words? " * 60, "output": "Short."},
    ]
    data = prepare(config_of(tmp_path, write(tmp_path / "a.jsonl", rows)), Prompt(tokenizer, "Be kind."))
    counts = data.reports[0].counts
    expected = {
        "read": 8, "empty": 2, "duplicate": 1, "without a sentence end": 1, "answer truncated": 1,
        "question cut": 1, "kept": 4,
    }  # fmt: skip
    assert dict(counts) == expected
    assert "8 read" in data.reports[0].line()
    for example in data.train:
        assert len(example.ids) <= 120


def test_a_long_answer_keeps_its_question_and_ends_with_a_sentence(tmp_path: Path, tokenizer: Any) -> None:
    """The answer gives way to the question, back to its last full sentence; the end token stays."""
    row = {"input": "What helps against a cough?", "output": "Drink water now. " * 40}
    data = prepare(config_of(tmp_path, write(tmp_path / "a.jsonl", [row])), Prompt(tokenizer, "Be kind."))
    text = tokenizer.decode(data.train[0].ids, skip_special_tokens=False)
    assert "What helps against a cough?" in text
    assert text.endswith("Drink water now.<|im_end|>")


@pytest.mark.parametrize("side", ["eval", "test"])
def test_a_question_that_is_held_out_too_is_an_error_unless_allowed(
    tmp_path: Path, tokenizer: Any, side: str
) -> None:
    """However it is spelt; the message names both places; `drop` learns the others, `allow` all."""
    train = write(tmp_path / "train.jsonl")
    held = write(tmp_path / "held.jsonl", [{"input": "what HELPS", "output": "Sleep."}])
    prompt = Prompt(tokenizer, "Be kind.")
    places = r"1 questions of train are held out too, .*train\.jsonl:1 and at .*held\.jsonl:1"
    with pytest.raises(ConfigError, match=places):
        prepare(config_of(tmp_path, train, **{side: [held]}), prompt)
    dropped = prepare(config_of(tmp_path, train, **{side: [held]}, shared="drop"), prompt)
    assert len(dropped.train) == 1
    assert dropped.reports[-1].counts["held out"] == 1
    assert len(prepare(config_of(tmp_path, train, **{side: [held]}, shared="allow"), prompt).train) == 2


def test_parts_of_a_file_share_no_row_and_leave_none_out(tmp_path: Path, tokenizer: Any) -> None:
    """Rows that agree in the hashed column stay together, so whole pages can be held out."""
    rows = [{"input": f"Q{i}?", "output": f"Answer {i}.", "page": str(i % 20)} for i in range(100)]
    source = write(tmp_path / "a.jsonl", rows)
    sides = []
    for start, end in ((0.0, 0.3), (0.3, 1.0)):
        part = dataclasses.replace(source, part=Part("page", start, end))
        sides.append(read_dialogues(part, tmp_path, 1, Report("a"), set()))
    pages = [{int(d.question[1:-1]) % 20 for d in side} for side in sides]
    assert pages[0] & pages[1] == set()
    assert pages[0] | pages[1] == set(range(20))
    assert sum(map(len, sides)) == 100
    with pytest.raises(ConfigError, match=r"a\.jsonl:1: part\.by names no column of text: 'url'"):
        read_dialogues(dataclasses.replace(source, part=Part("url")), tmp_path, 1, Report("a"), set())


def test_questions_are_the_same_whatever_their_case_and_marks() -> None:
    """The key of a question is its words."""
    assert question_key("What  HELPS?!") == question_key("what helps") != question_key("what help")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("gone.jsonl", None, r"gone\.jsonl: cannot be read"),
        ("a.txt", b"x", r"a\.txt: expected a file that ends in \.jsonl"),
        ("a.jsonl", b"", r"a\.jsonl: holds no rows"),
        ("a.jsonl", b'{"input": "x"}\n', r"a\.jsonl:1: no column 'output'; it has 'input'; name the columns"),
        ("a.jsonl", b'{"input": "x", "output": "y"}\n{"inp', r"a\.jsonl:2: not a JSON row"),
        ("a.jsonl", b'{"input": "\xff"}\n', r"a\.jsonl:1: byte 11 is not UTF-8"),
        ("a.jsonl", b"[1]\n", r"a\.jsonl:1: expected an object with columns, not list"),
        ("a.jsonl.gz", b"no gzip", r"a\.jsonl\.gz: cannot be read"),
        ("a.jsonl.gz", gzip.compress(b"x" * 999)[:10] + b"\xff" * 40, r"a\.jsonl\.gz: cannot be read"),
        ("a.csv", b"input,output\nx,\xff\n", r"a\.csv: not UTF-8"),
        ("a.parquet", b"no parquet", r"a\.parquet: not a Parquet file"),
    ],
)
def test_a_bad_file_is_one_clear_message(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    """It names the file and the row, and says what is wrong."""
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        list(read_rows(Source(name), tmp_path))


def test_a_hub_that_cannot_be_reached_is_one_clear_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The id is named, with what to try."""
    datasets = pytest.importorskip("datasets")

    def unreachable(*_: Any, **__: Any) -> None:
        raise ConnectionError("Couldn't reach the Hub")

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    with pytest.raises(
        ConfigError, match=r"data set 'lavita/x' cannot be had: Couldn't reach the Hub; check"
    ):
        list(read_rows(Source(hub="lavita/x"), tmp_path))


def test_rows_can_be_chosen(tmp_path: Path, tokenizer: Any) -> None:
    """By a column's value, by the answer's length and words, and by number with a seed."""
    rows = [{"input": f"q{i}", "output": "a " * i + "end.", "kind": "ab"[i % 2]} for i in range(1, 21)]
    source = write(tmp_path / "a.jsonl", rows)
    prompt = Prompt(tokenizer, "Be kind.")

    def kept(**choice: Any) -> int:
        chosen = dataclasses.replace(source, **choice)
        return len(prepare(config_of(tmp_path, chosen), prompt).train)

    assert kept(where={"kind": ["a"]}) == 10
    assert kept(max_answer_words=6) == 5
    assert kept(avoid=["A A A E"]) == 2
    assert kept(rows=7) == 7
