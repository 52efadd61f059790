"""`python -m trainer vectors`: corpora in, a folder of word vectors and a medical gate out.

Word2Vec is gensim's (Mikolov et al., "Efficient Estimation of Word Representations in Vector
Space", https://arxiv.org/abs/1301.3781), trained by one worker so that a seed gives one result.
"""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from fsmbot.errors import ConfigError, MissingExtra
from fsmbot.vectors import WordVectors, words_of
from fsmbot.vectors.store import COMMON_SCALE, FORMAT, VERSION
from trainer.card import write_card
from trainer.corpora import Corpus, read_texts, sentences
from trainer.gate import quantize, train_gate
from trainer.labelled import label, read_examples
from trainer.messages import read_messages
from trainer.pretrained import blend, pretrained_path
from trainer.terminal import say
from trainer.vectors_config import Config, read_config

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def train_vectors(config_path: Path, *, out: Path | None = None, data: Path | None = None) -> Path:
    """Follow a configuration and return the folder written. Raises ConfigError, MissingExtra."""
    started = time.monotonic()
    config = read_config(config_path)
    folder = data or config_path.parent / config.data
    out = out or Path("runs") / config.name
    _check_files(config, config_path.parent, folder, out)
    texts = [_read(corpus, folder) for corpus in config.corpora]
    examples = read_examples([config_path.parent / name for name in config.examples])
    words, rows = _word2vec([*texts, *examples.values()], config)
    if config.pretrained:
        wanted = {word for side in examples.values() for text in side for word in words_of(text)}
        words, rows = blend(words, rows, wanted, config.pretrained, folder)
    rarer = common(texts, config.corpora, words)
    vectors = WordVectors(words, quantize(rows), rarer / COMMON_SCALE)
    _write_vectors(vectors, rarer.tolist(), out)
    train_gate(vectors, label(vectors, texts, examples, config), config, out)
    write_card(config, examples, config_path.parent, folder, out, seconds=time.monotonic() - started)
    say(f"wrote {out} in {time.monotonic() - started:.0f} s")
    return out


def _check_files(config: Config, beside: Path, folder: Path, out: Path) -> None:
    """Raise ConfigError for what would otherwise be missed only after the work."""
    if config.pretrained:
        pretrained_path(config.pretrained, folder)
    for name in config.judged:
        for _ in read_messages(beside / name):
            pass
    for corpus in config.held_out:
        read_texts(corpus, folder)
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out} is a file; name a folder with --out")


def _read(corpus: Corpus, folder: Path) -> list[str]:
    texts = read_texts(corpus, folder)
    say(f"read {len(texts):,} {corpus.side} texts of {corpus.name}")
    return texts


def _word2vec(texts: list[list[str]], config: Config) -> tuple[list[str], NDArray[np.float32]]:
    """Train, and return words by falling count and their vectors (words, size)."""
    try:
        from gensim.models import Word2Vec
    except ImportError:
        raise MissingExtra("gensim", "train", "training word vectors") from None

    corpus = distinct_sentences(texts)
    random.Random(config.seed).shuffle(corpus)
    say(f"word2vec over {len(corpus):,} sentences, {sum(map(len, corpus)):,} words")
    settings = msgspec.structs.asdict(config.word2vec)
    model = Word2Vec(
        vector_size=settings.pop("size"), sg=int(settings.pop("skip_gram")), workers=1,
        seed=config.seed, **settings,
    )  # fmt: skip
    try:
        model.build_vocab(corpus)
        model.train(corpus, total_examples=len(corpus), epochs=model.epochs, callbacks=[_epochs()])
    except RuntimeError as error:
        raise ConfigError(f"word2vec cannot train ({error}); lower min_count, add text") from error
    return list(model.wv.index_to_key), model.wv.vectors


def _epochs() -> Any:
    """Return a gensim callback that shows how far training is."""
    from gensim.models.callbacks import CallbackAny2Vec

    class Progress(CallbackAny2Vec):  # type: ignore[misc]  # gensim has no types
        done = 0

        def on_epoch_end(self, model: Any) -> None:
            self.done += 1
            say(f"word2vec epoch {self.done} of {model.epochs}")

    return Progress()


def distinct_sentences(texts: list[list[str]]) -> list[list[str]]:
    """Return every sentence once: boilerplate repeated a thousand times would drown the rest."""
    every = (tuple(words) for corpus in texts for text in corpus for words in sentences(text))
    return [list(words) for words in dict.fromkeys(every)]


def common(texts: list[list[str]], corpora: list[Corpus], words: list[str]) -> NDArray[np.int64]:
    """Return per word its occurrences in COMMON_SCALE words, on the side where it is rarer.

    A side's frequency is the mean over its corpora, so that a large corpus does not speak for all.
    """
    import numpy as np

    row = {word: i for i, word in enumerate(words)}
    sides: dict[str, list[NDArray[np.float64]]] = {"medical": [], "everyday": []}
    for corpus, some in zip(corpora, texts, strict=True):
        counts = Counter(word for text in some for word in words_of(text) if word in row)
        share = np.zeros(len(words))
        share[[row[word] for word in counts]] = list(counts.values())
        sides[corpus.side].append(share / max(share.sum(), 1))
    rarer = np.minimum(*(np.mean(shares, axis=0) for shares in sides.values()))
    rounded: NDArray[np.int64] = np.round(rarer * COMMON_SCALE).astype(np.int64)
    return rounded


def _write_vectors(vectors: WordVectors, rarer: list[int], out: Path) -> None:
    import numpy as np

    out.mkdir(parents=True, exist_ok=True)
    np.save(out / "vectors.npy", vectors.rows, allow_pickle=False)
    vocabulary = {"format": FORMAT, "version": VERSION, "words": vectors.words, "common": rarer}
    text = json.dumps(vocabulary, ensure_ascii=False, separators=(",", ":"))
    (out / "vocab.json").write_text(text + "\n", encoding="utf-8")
