"""The card of a vectors folder: where it comes from, how it was made, how well it does."""

from __future__ import annotations

from pathlib import Path

import msgspec

from fsmbot.vectors import WordVectors
from trainer.corpora import Corpus, read_texts
from trainer.gate import recall
from trainer.terminal import say
from trainer.vectors_config import Config

_CARD = """# {name}

Word2Vec vectors ({words:,} words, {dimensions} dimensions, int8) and the prototypes of a medical
gate, written by `python -m trainer vectors`. `fsmbot.vectors` reads them with numpy alone; the
folder holds numbers and words, no sentence of the corpora and no pickle.

## Corpora

| file | counts as | source | licence |
| --- | --- | --- | --- |
{corpora}

Written examples in the configuration: {medical} medical, {everyday} everyday.

## Parameters

word2vec: {word2vec}; gate: {gate}; seed {seed}. Training took {seconds:.0f} s.

## Figures

Recall at threshold 0.5 on files that no number was learned from (they did help
to choose the method):

| file | side | texts | recall |
| --- | --- | --- | --- |
{figures}

## Limits

English only. The gate tells medical messages from everyday ones; it judges neither urgency nor
truth.
"""


def write_card(config: Config, data: Path, out: Path, *, seconds: float) -> None:
    """Measure the folder on the held-out corpora and write its README.md."""
    vectors = WordVectors.load(out)
    card = _CARD.format(
        name=config.name, words=len(vectors), dimensions=vectors.dimensions, seed=config.seed,
        corpora="\n".join(_corpus_row(corpus) for corpus in config.corpora),
        medical=len(config.examples.get("medical", [])),
        everyday=len(config.examples.get("everyday", [])),
        word2vec=_settings(config.word2vec), gate=_settings(config.gate), seconds=seconds,
        figures="\n".join(_figure_row(vectors, corpus, data) for corpus in config.held_out),
    )  # fmt: skip
    (out / "README.md").write_text(card, encoding="utf-8")


def _corpus_row(corpus: Corpus) -> str:
    column = f" ({', '.join(corpus.fields)})" if corpus.fields else ""
    return f"| {corpus.path}{column} | {corpus.side} | {corpus.source} | {corpus.licence} |"


def _settings(config: msgspec.Struct) -> str:
    return ", ".join(f"{name} {value}" for name, value in msgspec.structs.asdict(config).items())


def _figure_row(vectors: WordVectors, corpus: Corpus, data: Path) -> str:
    texts = read_texts(corpus, data)
    found = recall(vectors.gate, texts, corpus.side)
    say(f"{corpus.path}: {corpus.side} recall {found:.3f} on {len(texts):,} texts")
    return f"| {corpus.path} | {corpus.side} | {len(texts):,} | {found:.3f} |"
