"""The card of a vectors folder: where it comes from, how it was made, how well it does."""

from __future__ import annotations

from pathlib import Path

import msgspec

from fsmbot.vectors import WordVectors
from trainer.checksums import sums
from trainer.corpora import Corpus, Side, read_texts
from trainer.gate import recall
from trainer.gate_report import figures, judge, number
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

{examples}

{pretrained}

## Parameters

word2vec: {word2vec}; gate: {gate}; seed {seed}. Training took {seconds:.0f} s.

## Figures

Recall at threshold 0.5 on files that no number was learned from (they did help
to choose the method):

| file | side | texts | recall |
| --- | --- | --- | --- |
{figures}

{judged}

## Files

{files}

## Limits

English only. The gate tells medical messages from everyday ones; it judges neither urgency nor
truth.
"""


def write_card(
    config: Config, examples: dict[Side, list[str]], beside: Path, data: Path, out: Path, *, seconds: float
) -> None:
    """Measure the folder on the held-out corpora and labelled messages, and write its README.md.

    beside: the configuration's folder. data: the corpora's folder.
    """
    vectors = WordVectors.load(out)
    card = _CARD.format(
        name=config.name, words=len(vectors), dimensions=vectors.dimensions, seed=config.seed,
        corpora="\n".join(_corpus_row(corpus) for corpus in config.corpora),
        examples=_examples(config, examples), pretrained=_pretrained(config),
        word2vec=_settings(config.word2vec), gate=_settings(config.gate), seconds=seconds,
        figures="\n".join(_figure_row(vectors, corpus, data) for corpus in config.held_out),
        judged=_judged(config, beside, vectors),
        files=sums(out, ("vectors.npy", "vocab.json", "gate.json", "prototypes.npy")),
    )  # fmt: skip
    (out / "README.md").write_text(card, encoding="utf-8")


def _examples(config: Config, examples: dict[Side, list[str]]) -> str:
    if not config.examples:
        return "No written examples."
    counts = ", ".join(f"{len(texts):,} {side}" for side, texts in examples.items())
    return f"Written examples ({', '.join(config.examples)}): {counts}."


def _pretrained(config: Config) -> str:
    blended = config.pretrained
    if blended is None:
        return "No pretrained vectors."
    return (
        f"Blended with pretrained vectors: the first {blended.words:,} words of {Path(blended.path).name} "
        f"({blended.source}; {blended.licence}), weight {blended.weight}, "
        f"{blended.components} components taken out."
    )


def _judged(config: Config, beside: Path, vectors: WordVectors) -> str:
    """Return a table of what `evaluate-gate` finds on labelled messages."""
    if not config.judged:
        return "No labelled messages were judged."
    rows = []
    for name in config.judged:
        judged = judge(beside / name, vectors, 0.5)
        found = " | ".join(map(number, figures(judged).values()))
        say(f"{name}: {found}")
        rows.append(f"| {Path(name).name} | {len(judged)} | {found} |")
    columns = ["file", "messages", *figures([])]
    head = [f"| {' | '.join(columns)} |", f"|{' --- |' * len(columns)}"]
    return "Labelled messages, by `evaluate-gate`:\n\n" + "\n".join([*head, *rows])


def _corpus_row(corpus: Corpus) -> str:
    column = f" ({', '.join(corpus.fields)})" if corpus.fields else ""
    return f"| {corpus.name}{column} | {corpus.side} | {corpus.source} | {corpus.licence} |"


def _settings(config: msgspec.Struct) -> str:
    return ", ".join(f"{name} {value}" for name, value in msgspec.structs.asdict(config).items())


def _figure_row(vectors: WordVectors, corpus: Corpus, data: Path) -> str:
    texts = read_texts(corpus, data)
    found = recall(vectors.gate, texts, corpus.side)
    say(f"{corpus.name}: {corpus.side} recall {found:.3f} on {len(texts):,} texts")
    return f"| {corpus.name} | {corpus.side} | {len(texts):,} | {found:.3f} |"
