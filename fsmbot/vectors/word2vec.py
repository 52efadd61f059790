"""Word2vec files that a user brings: text (.vec, .txt) and binary (.bin), also of GoogleNews' size.

The header of such a file says how many words and dimensions follow, and may say anything: a file of
20 bytes can claim two million words. So the claim is held against the file's size before memory is
asked for, rows are read one at a time into int8, and at most LIMIT of them, the most frequent.
Format: https://code.google.com/archive/p/word2vec/
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from fsmbot.errors import VectorsError
from fsmbot.plainfile import plain_size, why
from fsmbot.vectors.store import WordVectors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Row = tuple[str, NDArray[np.float32]]

LIMIT = 200_000
"""Words read; 200,000 of 300 dimensions are 60 MB in int8."""
MAX_DIMENSIONS = 4_096
MAX_WORD_BYTES = 1_000
MAX_NUMBER_BYTES = 32


def load_word2vec(path: Path, limit: int = LIMIT) -> WordVectors:
    """Read the first `limit` words of a word2vec file, text or binary by its content.

    Raises VectorsError for a file that is missing, cut short, or not of this format.
    """
    try:
        size = plain_size(path)
        with path.open("rb") as file:
            count, dimensions = _read_header(path, file, size)
            rows = (_binary_rows if _is_binary(file) else _text_rows)(path, file, dimensions)
            return _collect(path, rows, min(count, limit), dimensions)
    except OSError as error:
        raise _refused(path, why(error)) from error


def _read_header(path: Path, file: IO[bytes], size: int) -> tuple[int, int]:
    """Return words and dimensions, after a look at whether the file can hold them."""
    fields = file.readline(MAX_WORD_BYTES).split()
    if len(fields) != 2 or not all(f.isdigit() and len(f) < 12 for f in fields):
        raise _refused(path, "its first line is not two numbers, words and dimensions")
    count, dimensions = int(fields[0]), int(fields[1])
    if not count or not 1 <= dimensions <= MAX_DIMENSIONS:
        raise _refused(path, f"it claims {count} words of {dimensions} dimensions")
    # A number takes two bytes at the least (a digit, a space), and so does a word.
    if count * (2 + 2 * dimensions) > size:
        raise _refused(path, f"it claims {count} words of {dimensions} dimensions in {size} bytes")
    return count, dimensions


def _is_binary(file: IO[bytes]) -> bool:
    """Tell float32 bytes from text by bytes of the first row that no number is written with."""
    place = file.tell()
    _, _, numbers = file.read(MAX_WORD_BYTES).lstrip().partition(b" ")
    file.seek(place)
    return not set(numbers.split(b"\n")[0][:200]) <= set(b"0123456789+-.eEnaifNAIF \t\r")


def _binary_rows(path: Path, file: IO[bytes], dimensions: int) -> Iterator[Row]:
    import numpy as np

    while True:
        word = bytearray()
        while (byte := file.read(1)) not in (b" ", b""):
            word += byte
            if len(word) > MAX_WORD_BYTES:
                raise _refused(path, "a word in it does not end")
        numbers = file.read(4 * dimensions)
        if len(numbers) < 4 * dimensions:
            return
        yield _text(bytes(word)), np.frombuffer(numbers, dtype="<f4").astype(np.float32)


def _text_rows(path: Path, file: IO[bytes], dimensions: int) -> Iterator[Row]:
    import numpy as np

    longest = MAX_WORD_BYTES + MAX_NUMBER_BYTES * dimensions
    while line := file.readline(longest):
        fields = line.rsplit(maxsplit=dimensions)
        if len(fields) != dimensions + 1:
            raise _refused(path, f"a line in it does not hold a word and {dimensions} numbers")
        try:
            yield _text(fields[0]), np.array([float(f) for f in fields[1:]], dtype=np.float32)
        except ValueError as error:
            raise _refused(path, "a line in it holds what is no number") from error


def _text(word: bytes) -> str:
    return word.decode("utf-8", errors="replace").strip()


def _collect(path: Path, rows: Iterator[Row], count: int, dimensions: int) -> WordVectors:
    """Gather `count` rows as int8; of words that differ in case only, the first one stays."""
    import numpy as np

    found: dict[str, int] = {}
    kept = np.zeros((count, dimensions), dtype=np.int8)
    read = 0
    for word, row in rows:
        read += 1
        largest = np.abs(row).max()
        if not np.isfinite(largest):
            raise _refused(path, f"the vector of {word[:40]!r} holds NaN or infinity")
        if word.lower() not in found and largest > 0:
            kept[len(found)] = np.round(row / largest * 127)
            found[word.lower()] = len(found)
        if read == count:
            break
    if read < count:
        raise _refused(path, f"it ends after {read} of {count} words")
    return WordVectors(list(found), kept[: len(found)], zipf(len(found)))


def zipf(count: int) -> NDArray[Any]:
    """Return p(w) by rank: such files are sorted by frequency but do not say it (Zipf's law)."""
    import numpy as np

    ranks = np.arange(1, count + 1)
    shares: NDArray[Any] = 1 / ranks / max((1 / ranks).sum(), 1)
    return shares


def _refused(path: Path, reason: str) -> VectorsError:
    return VectorsError(
        f"{path}: this is no word2vec file that can be read ({reason}); give a folder written by "
        "`python -m trainer vectors`, or a complete .bin, .vec or .txt file"
    )
