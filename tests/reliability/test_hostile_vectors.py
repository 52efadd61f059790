"""Vector files from anywhere: read, or refused with a message, at twice the file's memory at the most."""

from __future__ import annotations

import json
import os
import re
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
DIMENSIONS = 100
ROOM = 1 << 20
"""Bytes that a reader may take besides twice the file: buffers, and the words of a message."""

SLACK = 10 << 20
"""The same for what the system counts, which gives memory out in large pieces."""

FEATURES = "message stretch word_most word_least word_mean context_most context_least context_mean bias"

JUDGE = """
import json, sys, tracemalloc
from pathlib import Path
from fsmbot.errors import VectorsError
from fsmbot.vectors import WordVectors

def resident(name):
    found = next(line for line in open("/proc/self/status") if line.startswith(name))
    return int(found.split()[1]) * 1024

def read(path):
    try:
        WordVectors.load(path).gate.score("my head hurts")
    except VectorsError as error:
        return "refused", str(error)
    except BaseException as error:
        return "broke", f"{type(error).__name__}: {error}"
    return "read", ""

read(sys.argv[1])  # numpy is imported, and caches are full
for line in sys.stdin:
    path = json.loads(line)
    Path("/proc/self/clear_refs").write_text("5")
    before = resident("VmRSS")
    outcome, message = read(path)
    grown = resident("VmHWM") - before
    tracemalloc.start()
    read(path)
    traced = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    print(json.dumps([path, outcome, message, traced, grown]), flush=True)
"""
"""Reads what it is told to, and says what became of it and how much memory it took at the most."""

Folder = Callable[[Path], object]
FOLDERS: dict[str, Folder] = {}
FILES: dict[str, Callable[[Path], object]] = {}


def write_folder(folder: Path, words: int, dimensions: int = DIMENSIONS) -> Path:
    """Write a folder of vectors that is as it should be, with a gate."""
    folder.mkdir(parents=True, exist_ok=True)
    numbers = np.random.default_rng(0).integers(-127, 128, (words, dimensions)).astype(np.int8)
    np.save(folder / "vectors.npy", numbers)
    np.save(folder / "prototypes.npy", numbers[:20].reshape(5, 4, dimensions))
    counts = [number % 1000 for number in range(words)]
    write_json(folder / "vocab.json", vocabulary([spelled(i) for i in range(words)], counts))
    weights = dict.fromkeys(FEATURES.split(), 0.5)
    write_json(folder / "gate.json", {"format": "fsmbot-gate", "version": 2, "weights": weights})
    return folder


def vocabulary(words: object, counts: object) -> dict[str, object]:
    return {"format": "fsmbot-vectors", "version": 1, "words": words, "common": counts}


def spelled(number: int) -> str:
    """Return a word of six letters."""
    return "".join(chr(97 + number // 26**place % 26) for place in range(6))


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")


def edit(name: str, **changes: Any) -> Folder:
    """Return a change of some keys of a JSON file; a function is given what stood there."""

    def change(folder: Path) -> None:
        found = json.loads((folder / name).read_text())
        for key, value in changes.items():
            found[key] = value(found[key]) if callable(value) else value
        write_json(folder / name, found)

    return change


def cut(name: str, keep: float) -> Folder:
    """Return a cut of a file: to so many bytes, or from its end, or to a part of it."""

    def change(folder: Path) -> None:
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[: int(keep * len(whole)) if 0 < keep < 1 else int(keep)])

    return change


def put(name: str, content: bytes) -> Folder:
    return lambda folder: (folder / name).write_bytes(content)


def instead(name: str, make: Callable[[Path], object]) -> Folder:
    """Return a change that puts something else in a file's place."""

    def change(folder: Path) -> None:
        (folder / name).unlink()
        make(folder / name)

    return change


def array(name: str, make: Callable[[Any], Any]) -> Folder:
    """Return a change of the numbers of a .npy file."""

    def change(folder: Path) -> None:
        np.save(folder / name, make(np.load(folder / name, allow_pickle=False)))

    return change


def npy(header: str, body: bytes = b"", version: int = 1, length: int | None = None) -> bytes:
    """Return a .npy file with any header, and with a length of it that may be a lie."""
    size = struct.pack("<H" if version == 1 else "<I", len(header) if length is None else length)
    return b"\x93NUMPY" + bytes([version, 0]) + size + header.encode() + body


def shaped(shape: str, kind: str = "|i1") -> str:
    return f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n"


def pickled() -> bytes:
    """Return a pickle that makes a folder named `canary` in the current one when it is read."""
    return b"cos\nmkdir\n(Vcanary\ntR."


def last(value: float, kind: str) -> Callable[[Any], Any]:
    """Return a change that puts one number at the end of all numbers of a type."""

    def change(rows: Any) -> Any:
        changed = rows.astype(kind)
        changed.flat[-1] = value
        return changed

    return change


ODD: dict[str, Callable[[Path], object]] = {
    "a folder": Path.mkdir,
    "a pipe": os.mkfifo,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a link to nothing": lambda path: path.symlink_to("nothing"),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "missing": lambda path: None,
}
for file in ("vectors.npy", "vocab.json", "prototypes.npy", "gate.json"):
    for kind, make in ODD.items():
        if file != "gate.json" or kind in ("a folder", "a pipe", "a device"):  # without it there is no gate
            FOLDERS[f"{file}: {kind}"] = instead(file, make)
for file in ("vectors.npy", "vocab.json", "prototypes.npy", "gate.json"):
    for keep in (0, 5, 9, 60, 0.3, 0.9, -1):
        FOLDERS[f"{file}: cut at {keep}"] = cut(file, keep)

TERABYTES = "(8000, 900000000000)"
FOLDERS |= {
    "array: one dimension": array("vectors.npy", lambda rows: rows[:, 0]),
    "array: three dimensions": array("vectors.npy", lambda rows: rows[None]),
    "array: no dimension": array("vectors.npy", lambda rows: rows[:, :0]),
    "array: no rows": array("vectors.npy", lambda rows: rows[:0]),
    "array: a row too few": array("vectors.npy", lambda rows: rows[1:]),
    "array: doubles": array("vectors.npy", lambda rows: rows[:100].astype("f8")),
    "array: integers": array("vectors.npy", lambda rows: rows[:100].astype("i4")),
    "array: the other byte order": array("vectors.npy", lambda rows: rows.astype(">f4")),
    "array: text": array("vectors.npy", lambda rows: rows[:100].astype("U4")),
    "array: records": array("vectors.npy", lambda rows: np.zeros((100, 2), "i1,i1")),
    "array: truth values": array("vectors.npy", lambda rows: rows > 0),
    "array: NaN": array("vectors.npy", last(np.nan, "f4")),
    "array: NaN in halves": array("vectors.npy", last(np.nan, "f2")),
    "array: infinity": array("vectors.npy", last(-np.inf, "f4")),
    "array: enormous numbers": array("vectors.npy", last(1e30, "f4")),
    "header: terabytes": put("vectors.npy", npy(shaped(TERABYTES), bytes(1 << 20))),
    "header: terabytes of doubles": put("vectors.npy", npy(shaped(TERABYTES, "<f8"), bytes(1 << 20))),
    "header: less than nothing": put("vectors.npy", npy(shaped("(-1, 100)"), bytes(100_000))),
    "header: no shape": put("vectors.npy", npy("{'descr': '|i1'}\n", bytes(100_000))),
    "header: a call": put("vectors.npy", npy("__import__('os').mkdir('canary')\n", bytes(9))),
    "header: a call as shape": put("vectors.npy", npy(shaped("__import__('os').mkdir('canary')"), bytes(9))),
    "header: brackets": put("vectors.npy", npy("(" * 900 + "\n")),
    "header: more brackets": put("vectors.npy", npy("(" * 9000 + "\n")),
    "header: 60 kilobytes": put("vectors.npy", npy(shaped("(1, 1)") + " " * 60_000, b"1")),
    "header: 4 gigabytes": put("vectors.npy", npy(shaped("(1, 1)"), b"1", 2, 0xFFFFFFF0)),
    "header: 2 gigabytes": put("vectors.npy", npy(shaped("(1, 1)"), b"1", 3, 0x7FFFFFFF)),
    "header: version 9": put("vectors.npy", npy(shaped("(1, 1)"), b"1", 9)),
    "pickle: objects in an array": put("vectors.npy", npy(shaped("(8000, 100)", "|O"), pickled())),
    "pickle: prototypes": put("prototypes.npy", npy(shaped("(5, 4, 100)", "|O"), pickled())),
    "pickle: in place of an array": put("vectors.npy", pickled() + bytes(1000)),
    "pickle: in place of words": put("vocab.json", pickled()),
    "an archive of arrays": lambda folder: np.savez(
        (folder / "vectors.npy").open("wb"), rows=np.zeros((9, 9))
    ),
    "words: too few": edit("vocab.json", words=lambda words: words[1:]),
    "words: one twice": edit("vocab.json", words=lambda words: [*words[:-1], words[0]]),
    "words: one with an escape": edit("vocab.json", words=lambda words: ["\x1b[31m", *words[1:]]),
    "words: one with a line break": edit("vocab.json", words=lambda words: ["a\nb", *words[1:]]),
    "words: numbers": edit("vocab.json", words=lambda words: list(range(len(words)))),
    "words: null": edit("vocab.json", words=None),
    "words: a map": edit("vocab.json", words={}),
    "counts: too few": edit("vocab.json", common=lambda counts: counts[1:]),
    "counts: below zero": edit("vocab.json", common=lambda counts: [-1, *counts[1:]]),
    "counts: fractions": edit("vocab.json", common=lambda counts: [0.5, *counts[1:]]),
    "counts: NaN": edit("vocab.json", common=lambda counts: [float("nan"), *counts[1:]]),
    "counts: of 400 digits": edit("vocab.json", common=lambda counts: [10**400, *counts[1:]]),
    "vocabulary: another format": edit("vocab.json", format="other"),
    "vocabulary: another version": edit("vocab.json", version=2),
    "vocabulary: a list": put("vocab.json", b"[]"),
    "vocabulary: lone surrogates": put("vocab.json", b'{"words":["\\ud800"],"common":[1]}'),
    "vocabulary: other bytes": put("vocab.json", bytes(range(256)) * 99),
    "vocabulary: other text": put("vocab.json", '{"format":"fsmbot-vectors"}'.encode("utf-16")),
    "bomb: brackets": put("vocab.json", b"[" * 2_000_000),
    "bomb: brackets for words": put("vocab.json", b'{"words":' + b"[" * 2_000_000),
    "bomb: a million words": put("vocab.json", b'{"words":[' + b'"aa",' * 1_000_000 + b'"a"],"common":[1]}'),
    "bomb: a million counts": put("vocab.json", b'{"common":[' + b"1000," * 1_000_000 + b'1],"words":["a"]}'),
    "bomb: a million keys": put("vocab.json", b'{"x":{' + b'"a":1,' * 1_000_000 + b'"a":1}}'),
    "gate: no numbers": edit("gate.json", weights=None),
    "gate: a number too few": edit("gate.json", weights={"bias": 1}),
    "gate: one that is text": edit("gate.json", weights=lambda weights: {**weights, "bias": "1"}),
    "gate: one that is true": edit("gate.json", weights=lambda weights: {**weights, "bias": True}),
    "gate: NaN": edit("gate.json", weights=lambda weights: {**weights, "bias": float("nan")}),
    "gate: enormous": edit("gate.json", weights=lambda weights: {**weights, "bias": 1e300}),
    "gate: another format": edit("gate.json", format="other"),
    "gate: brackets": put("gate.json", b"[" * 2_000_000),
    "gate: a million maps": put("gate.json", b'{"x":[' + b"{}," * 1_000_000 + b"{}]}"),
    "prototypes: odd": array("prototypes.npy", lambda rows: rows[:, :3]),
    "prototypes: none": array("prototypes.npy", lambda rows: rows[:, :0]),
    "prototypes: too few parts": array("prototypes.npy", lambda rows: rows[:4]),
    "prototypes: of other vectors": array("prototypes.npy", lambda rows: rows[:, :, :50]),
    "prototypes: NaN": array("prototypes.npy", last(np.nan, "f4")),
}


def text(*lines: str) -> Callable[[Path], object]:
    return lambda path: path.write_text("\n".join(lines) + "\n")


def numbers(word: str, value: str = "0.125") -> str:
    return " ".join([word, *[value] * DIMENSIONS])


ROWS = [numbers(spelled(i)) for i in range(300)]
BINARY = b"".join(spelled(i).encode() + b" " + struct.pack("<100f", *[0.5] * 100) + b"\n" for i in range(300))
FILES |= {
    "text: cut in a row": lambda path: path.write_text("\n".join(["300 100", *ROWS])[:150_000]),
    "text: cut between rows": text("300 100", *ROWS[:200]),
    "text: two million words": text("2000000 3000", *ROWS),
    "text: many digits": text("9" * 300 + " 100", *ROWS),
    "text: below zero": text("-300 -100", *ROWS),
    "text: no words": text("0 100", *ROWS),
    "text: no dimensions": text("300 0", *ROWS),
    "text: a million dimensions": text("1 1000000", *ROWS),
    "text: no header": text(*ROWS),
    "text: NaN": text("300 100", *ROWS[:-1], numbers("zzz", "nan")),
    "text: infinity": text("300 100", *ROWS[:-1], numbers("zzz", "-inf")),
    "text: too large for a float": text("300 100", *ROWS[:-1], numbers("zzz", "1e999")),
    "text: no number": text("300 100", *ROWS[:-1], numbers("zzz", "1e")),
    "text: a number too few": text("300 100", *ROWS[:-1], ROWS[-1][:-6]),
    "text: one endless line": lambda path: path.write_text("300 100\n" + "1" * 2_000_000),
    "binary: cut in a row": lambda path: path.write_bytes(b"300 100\n" + BINARY[:-10]),
    "binary: cut between rows": lambda path: path.write_bytes(b"300 100\n" + BINARY[: len(BINARY) // 2]),
    "binary: two million words": lambda path: path.write_bytes(b"2000000 3000\n" + BINARY),
    "binary: NaN": lambda path: path.write_bytes(b"300 100\n" + BINARY[:-5] + b"\xff\xff\xff\x7f\n"),
    "binary: an endless word": lambda path: path.write_bytes(b"300 100\n" + b"\xff" * 2_000_000),
    "a pickle": lambda path: path.write_bytes(pickled()),
    "nothing in it": lambda path: path.write_bytes(b""),
    "zeros": lambda path: path.write_bytes(bytes(2_000_000)),
    **{kind: make for kind, make in ODD.items() if kind != "a folder"},
}


Seen = tuple[str, str, str, int, int, int]
"""A variant's name, what became of it, the message, its size, the memory traced and grown."""


def variants(tmp_path: Path, words: int) -> dict[str, Path]:
    """Write every variant."""
    paths = {name: tmp_path / re.sub(r"\W+", "-", name) for name in [*FOLDERS, *FILES]}
    for name, change in FOLDERS.items():
        change(write_folder(paths[name], words))
    for name, make in FILES.items():
        make(paths[name])
    return paths


def judged(tmp_path: Path, paths: dict[str, Path]) -> list[Seen]:
    """Have files read in a process of its own."""
    good = write_folder(tmp_path / "good", 500)
    done = subprocess.run(
        [sys.executable, "-c", JUDGE, str(good)], cwd=tmp_path, capture_output=True, text=True, timeout=600,
        input="".join(json.dumps(str(path)) + "\n" for path in paths.values()),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    seen = [json.loads(line) for line in done.stdout.splitlines()]
    return [
        (name, outcome, told, on_disk(path), *memory)
        for (name, path), (_, outcome, told, *memory) in zip(paths.items(), seen, strict=True)
    ]


def on_disk(path: Path) -> int:
    """Return the bytes of a file, or of all ordinary files of a folder."""
    files = path.iterdir() if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def check(tmp_path: Path, words: int) -> str:
    """Have every variant read, hold it against the promise, and tell how it went."""
    seen = judged(tmp_path, variants(tmp_path, words))
    wrong = [row[:3] for row in seen if row[1] != "refused"]
    assert wrong == []
    mute = [row for row in seen if not ("anew" in row[2] or "give a folder written by" in row[2])]
    assert mute == []
    unnamed = [row[:3] for row in seen if not row[2].startswith(str(tmp_path))]
    assert unnamed == []
    greedy = [row for row in seen if row[4] > 2 * row[3] + ROOM or row[5] > 2 * row[3] + SLACK]
    assert greedy == []
    assert not (tmp_path / "canary").exists()
    most = max((row[4] / row[3] for row in seen if row[3] > ROOM), default=0.0)
    return f"{len(seen)} of {len(seen)} refused with file and way out, nothing run; {most:.1f} times the file"


def test_what_is_as_it_should_be_is_read(tmp_path: Path) -> None:
    """The variants are refused for what was changed, and for nothing else."""
    assert judged(tmp_path, {"good": write_folder(tmp_path / "whole", 2_000)})[0][1] == "read"


def test_hostile_vectors_are_refused_cheaply(tmp_path: Path) -> None:
    """With a message that names the file and the way out, and memory for twice the file."""
    check(tmp_path, 2_000)


@pytest.mark.hard
@pytest.mark.timeout(600)
@pytest.mark.promise(9, "hostile vector files are refused with a message, within twice the file and 1 MiB")
def test_hostile_vectors_of_real_size_are_refused_cheaply(
    tmp_path: Path, reached: Callable[[str], None]
) -> None:
    """The same with as many words as the shipped vectors have.

    Words become Python's strings before it is seen that one stands there twice. With 100 numbers a word
    that is little; what it comes to with a single number a word is told beside the promise.
    """
    told = check(tmp_path, 43_000)
    narrow = write_folder(tmp_path / "narrow", 43_000, 1)
    FOLDERS["words: one twice"](narrow)
    ((*_, size, traced, _),) = judged(tmp_path, {"narrow": narrow})
    reached(f"{told} at the most; {traced / size:.0f} times for a word that stands twice in 1 dimension")


def test_the_pickle_would_have_run(tmp_path: Path) -> None:
    """The variants above prove something: read as a pickle, what they hold does make the folder."""
    code = "import pickle, sys; pickle.loads(sys.stdin.buffer.read())"
    subprocess.run([sys.executable, "-c", code], input=pickled(), cwd=tmp_path, check=True)
    assert (tmp_path / "canary").is_dir()


@pytest.mark.parametrize("name", ["a\0b.vec", "x" * 5000, "no/such/folder.vec"])
def test_a_name_that_no_file_has_is_refused(name: str) -> None:
    """Nor is any name a traceback."""
    from fsmbot.errors import VectorsError
    from fsmbot.vectors import WordVectors

    with pytest.raises(VectorsError, match="give a folder written by"):
        WordVectors.load(name)
