"""Word2Vec vectors of one's own corpora blended with pretrained ones, such as GloVe's.

Small corpora know their subject but few other words ("printer" and "password" may not occur), and
pretrained vectors the reverse. Both vectors of a word are joined and brought back to the size of
one by their principal components (Yin and Schütze, "Learning Word Meta-Embeddings", ACL 2016). A
word that only one side knows gets its other half by a linear map learned on the words that both
know (Kiros et al., "Skip-Thought Vectors", NIPS 2015, section 2.2). The mean and the first
components of pretrained vectors tell frequent words from rare ones and little else, so they are
taken out first (Mu and Viswanath, "All-but-the-Top", ICLR 2018).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec

from fsmbot.errors import ConfigError, MissingExtra, first_line
from fsmbot.text import safe_line
from fsmbot.vectors import words_of
from trainer.terminal import say

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]


GZIP = 1_032
"""How many bytes gzip can make of one, at the most (https://zlib.net/zlib_tech.html)."""


class Pretrained(msgspec.Struct, forbid_unknown_fields=True):
    """Vectors to blend in.

    path: a word2vec or GloVe text file, its most frequent words first, also .gz. words: how many of
    them are taken, beside those that the written examples use. weight: how much they count beside
    the corpora's own. components: how many of their first principal components are taken out.
    source, licence: for the card.
    """

    path: str
    words: Annotated[int, msgspec.Meta(ge=1)] = 30_000
    weight: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    components: Annotated[int, msgspec.Meta(ge=0, le=20)] = 2
    source: str = ""
    licence: str = ""


def blend(
    words: list[str], rows: NDArray[np.float32], wanted: set[str], config: Pretrained, folder: Path
) -> tuple[list[str], NDArray[np.float32]]:
    """Return the words of both sides, and vectors of the same size as `rows`: (words, size).

    wanted: rarer words that are taken too, if the pretrained vectors have them. Words stand in order
    of the better of their two ranks. Raises ConfigError, MissingExtra.
    """
    import numpy as np

    others, theirs = _read(config, wanted, pretrained_path(config, folder))
    place = {word: i for i, word in enumerate(others)}
    shared = [i for i, word in enumerate(words) if word in place]
    if len(shared) < rows.shape[1]:
        raise ConfigError(f"{config.path}: only {len(shared)} of its words occur in the corpora")
    known = set(words)
    new = [i for i, word in enumerate(others) if word not in known]
    ours, matched = _unit(rows.astype(float)), theirs[[place[words[i]] for i in shared]]
    left = np.vstack([ours, theirs[new] @ _linear_map(matched, ours[shared])])
    right = np.vstack([ours @ _linear_map(ours[shared], matched), theirs[new]])
    right[shared] = matched
    joined = np.hstack([left, config.weight * right])
    _, directions = np.linalg.eigh(joined[: len(words)].T @ joined[: len(words)])
    mixed = (joined @ directions[:, ::-1][:, : rows.shape[1]]).astype(np.float32)
    both = [*words, *(others[i] for i in new)]
    ranks = [min(i, place.get(word, i)) for i, word in enumerate(words)] + new
    order = np.argsort(ranks, kind="stable")
    say(f"blended with {config.path}: {len(shared):,} words in both, {len(new):,} more")
    return [both[i] for i in order], mixed[order]


def _read(config: Pretrained, wanted: set[str], path: Path) -> tuple[list[str], Matrix]:
    """Return words that our own tokenizer makes, and their cleaned vectors of length 1."""
    import numpy as np

    try:
        from gensim.models import KeyedVectors
    except ImportError:
        raise MissingExtra("gensim", "train", "reading pretrained vectors") from None
    try:
        found = KeyedVectors.load_word2vec_format(
            path, no_header=not _has_header(path), limit=8 * config.words, unicode_errors="replace"
        )
    except (OSError, EOFError, ValueError, TypeError, MemoryError) as error:
        raise _unreadable(config, path, first_line(error)) from error
    kept = [word for word in found.index_to_key if word and words_of(word) == [word]]
    kept = kept[: config.words] + [word for word in kept[config.words :] if word in wanted]
    rows = found[kept].astype(float)
    if not np.isfinite(rows).all():
        raise _unreadable(config, path, "it holds NaN or infinity")
    return kept, _cleaned(rows, config.components)


def pretrained_path(config: Pretrained, folder: Path) -> Path:
    """Return where the file is; raises ConfigError when it is not there."""
    try:
        path = folder / Path(config.path).expanduser()
        if not path.is_file():
            raise _unreadable(config, path, "there is no such file")
    except (RuntimeError, ValueError) as error:
        raise _unreadable(config, Path(config.path), first_line(error)) from error
    return path


def _unreadable(config: Pretrained, path: Path, reason: str) -> ConfigError:
    """Return the error for a file that cannot be used, with the way out."""
    source = f"get them from {config.source}" if config.source else "check `path`"
    return ConfigError(
        f"pretrained vectors {path} cannot be read ({safe_line(reason)}); {source}, or leave out `pretrained`"
    )


def _has_header(path: Path) -> bool:
    """Tell word2vec's text files, which begin with two numbers, from GloVe's, which begin with a word.

    Raises ValueError for a header that claims more than the file can hold: gensim would ask for it.
    """
    from gensim.utils import open as open_any

    with open_any(path, "rb") as file:
        fields = file.readline(100_000).split()
    if len(fields) != 2:
        return False
    count, dimensions = int(fields[0]), int(fields[1])
    room = path.stat().st_size * (GZIP if path.suffix == ".gz" else 1)
    if count * (2 + 2 * dimensions) > room:  # a digit and a space are the least that a number takes
        raise ValueError(f"it claims {count} words of {dimensions} dimensions, more than it can hold")
    return True


def _cleaned(rows: Matrix, components: int) -> Matrix:
    import numpy as np

    rows = rows - rows.mean(0)
    _, directions = np.linalg.eigh(rows.T @ rows)
    first = directions[:, len(directions) - components :]
    return _unit(rows - rows @ first @ first.T)


def _linear_map(x: Matrix, y: Matrix) -> Matrix:
    """Return the matrix that turns x into y with the least squared error (ridge)."""
    import numpy as np

    found: Matrix = np.linalg.solve(x.T @ x + np.eye(x.shape[1]), x.T @ y).astype(np.float64)
    return found


def _unit(rows: Matrix) -> Matrix:
    import numpy as np

    unit: Matrix = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return unit
