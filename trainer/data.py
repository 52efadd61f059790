"""Dialogues in, training examples out, with a report of everything that was left out or cut.

One reader serves the hub and local files: rows with a question and an answer column (the columns of
lavita/ChatDoctor-HealthCareMagic-100k by default).
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fsmbot.doctor.prompt import Example, Prompt
from fsmbot.doctor.sentences import last_sentence_end
from fsmbot.errors import ConfigError
from trainer.config import Config, Source
from trainer.rows import Row, read_rows

SHORTEST = 16
"""Tokens that question and answer need to say anything."""


@dataclass(frozen=True)
class Dialogue:
    """One question with its answer, and where it stands."""

    question: str
    answer: str
    place: str


@dataclass
class Report:
    """What became of the rows of one source."""

    source: str
    counts: Counter[str] = field(default_factory=Counter)
    tokens: int = 0
    answer_tokens: int = 0

    def line(self) -> str:
        """Return one line for the user."""
        parts = [f"{count:,} {what}" for what, count in self.counts.items() if count]
        kept = f"{self.tokens:,} tokens, {self.answer_tokens:,} of them answers"
        return f"{self.source}: {', '.join(parts)}; {kept}"


@dataclass(frozen=True)
class Prepared:
    """Encoded examples, each with the weight of its source, and the reports.

    digest: sha256 over every token and weight, so that a changed file is noticed on resume.
    """

    train: list[Example]
    weights: list[float]
    eval: list[Example]
    reports: list[Report]
    digest: str


def prepare(config: Config, prompt: Prompt) -> Prepared:
    """Read, check and encode all sources; raises ConfigError that names the file or the id.

    The examples held out are shuffled by the seed, so that the first of them stand for all.
    """
    _refuse_short(config, prompt)
    reports: list[Report] = []
    held, keys = read_held(config, reports)
    examples = [e for d, report in held for e in _encode(d, prompt, config, report)]
    random.Random(config.seed).shuffle(examples)
    train, weights, seen = [], [], set[str]()
    shared: list[tuple[str, str]] = []
    for source in config.data.train:
        report = Report(source.label)
        reports.append(report)
        dialogues = read_dialogues(source, Path(config.folder), config.seed, report, seen)
        dialogues = _without_shared(dialogues, keys, config.data.shared, report, shared)
        encoded = _encode(dialogues, prompt, config, report)
        train += encoded
        weights += [source.weight] * len(encoded)
    if shared:
        raise _shared(shared)
    empty = [report for report in reports if not report.counts["kept"]]
    if empty or not train:
        lines = "\n".join(report.line() for report in empty or reports)
        raise ConfigError(f"a source gives no dialogue; mend it or take it out:\n{lines}")
    return Prepared(train, weights, examples, reports, _digest(train, weights, examples))


def _refuse_short(config: Config, prompt: Prompt) -> None:
    """Refuse a budget that system prompt and markers fill by themselves; raises ConfigError."""
    frame = len(prompt.example("", "", budget=config.data.max_tokens).ids)
    if config.data.max_tokens < frame + SHORTEST:
        raise ConfigError(
            f"data.max_tokens is {config.data.max_tokens}, but the prompt takes {frame} without question and "
            f"answer; allow {frame + SHORTEST} at the least, or shorten data.system"
        )


def read_held(
    config: Config, reports: list[Report]
) -> tuple[list[tuple[list[Dialogue], Report]], dict[str, str]]:
    """Return eval's dialogues, source by source, and the places of all questions of eval and test."""
    held: list[tuple[list[Dialogue], Report]] = []
    keys: dict[str, str] = {}
    for name, sources in (("eval", config.data.eval), ("test", config.data.test)):
        for source in sources:
            report = Report(f"{source.label} ({name})")
            dialogues = read_dialogues(source, Path(config.folder), config.seed, report, set())
            keys |= {question_key(d.question): d.place for d in dialogues}
            if name == "eval":
                reports.append(report)
                held.append((dialogues, report))
    return held, keys


def read_dialogues(source: Source, folder: Path, seed: int, report: Report, seen: set[str]) -> list[Dialogue]:
    """Return the usable dialogues of a source: not empty, not there already, not too long."""
    rows = list(_wanted(read_rows(source, folder), source, report))
    if source.rows and source.rows < len(rows):
        kept = sorted(random.Random(seed).sample(range(len(rows)), source.rows))
        report.counts["not sampled"] += len(rows) - source.rows
        rows = [rows[i] for i in kept]
    dialogues = []
    for row in rows:
        key = f"{question_key(row.question)}|{_sha256(row.answer)}"
        if key in seen:
            report.counts["duplicate"] += 1
            continue
        seen.add(key)
        dialogues.append(Dialogue(row.question, row.answer, row.place))
    return dialogues


def _wanted(rows: Iterator[Row], source: Source, report: Report) -> Iterator[Row]:
    """Pass on the rows that the source asks for, counting the others by reason."""
    missing = set(source.where)
    for row in rows:
        report.counts["read"] += 1
        missing -= row.columns.keys()
        if not row.question.strip() or not row.answer.strip():
            report.counts["empty"] += 1
        elif any(row.columns.get(name) not in values for name, values in source.where.items()):
            report.counts["not asked for"] += 1
        elif source.max_answer_words and len(row.answer.split()) > source.max_answer_words:
            report.counts["answer too long"] += 1
        elif any(text.lower() in row.answer.lower() for text in source.avoid):
            report.counts["to be avoided"] += 1
        elif not source.part.start <= _hash_share(row, source.part.by) < source.part.end:
            report.counts["of another part"] += 1
        else:
            yield row
    if missing:
        raise ConfigError(f"{source.label}: where names no column of text: '{min(missing)}'")


def question_key(question: str) -> str:
    """Return what makes two questions the same: their words, in lower case."""
    return " ".join("".join(c if c.isalnum() else " " for c in question.lower()).split())


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _hash_share(row: Row, column: str) -> float:
    """Return a number from 0 to below 1 that the text of a column settles."""
    if column and column not in row.columns:
        raise ConfigError(f"{row.place}: part.by names no column of text: '{column}'")
    text = row.columns[column] if column else question_key(row.question)
    return int(_sha256(text)[:8], 16) / 16**8


def _without_shared(
    dialogues: Sequence[Dialogue],
    held: dict[str, str],
    policy: str,
    report: Report,
    shared: list[tuple[str, str]],
) -> list[Dialogue]:
    """Return what may be learnt; a question that is held out as well would flatter the evaluation."""
    if policy == "allow":
        return list(dialogues)
    found = [(d, held.get(question_key(d.question))) for d in dialogues]
    both = [(d.place, place) for d, place in found if place]
    if policy == "drop":
        report.counts["held out"] += len(both)
    else:
        shared += both
    return [d for d, place in found if not place]


def _shared(places: Sequence[tuple[str, str]]) -> ConfigError:
    train, held = places[0]
    return ConfigError(
        f"{len(places)} questions of train are held out too, the first at {train} and at {held}; "
        "remove them, or leave them out of train with data.shared: drop"
    )


def _encode(dialogues: Sequence[Dialogue], prompt: Prompt, config: Config, report: Report) -> list[Example]:
    """Encode dialogues; count what was cut or left out."""
    examples = []
    for dialogue in dialogues:
        example = encode(dialogue, prompt, config, report)
        if example is not None:
            examples.append(example)
            report.counts["kept"] += 1
            report.tokens += len(example.ids)
            report.answer_tokens += sum(example.answer)
    return examples


def encode(dialogue: Dialogue, prompt: Prompt, config: Config, report: Report) -> Example | None:
    """Return the example, or None when no whole sentence of the answer is left.

    What is too long is shortened: the answer to whole sentences in the room that the question
    leaves it (at least half), then the question in its middle. The end token always stays.
    """
    answer, budget = dialogue.answer.strip(), config.data.max_tokens
    room = budget - len(prompt.example("", "", budget=budget).ids)
    room -= min(len(prompt.content(dialogue.question)), room // 2)
    said = prompt.content(answer)
    if len(said) > room:
        report.counts["answer truncated"] += 1
        answer = prompt.decode(said[:room])
    if config.data.sentence_ends:
        answer = answer[: last_sentence_end(answer + " ")].strip()
    if not answer:
        report.counts["without a sentence end"] += 1
        return None
    example = prompt.example(dialogue.question, answer, budget=budget)
    if example.cut_question:
        report.counts["question cut"] += 1
    return example


def _digest(train: Sequence[Example], weights: Sequence[float], held: Sequence[Example]) -> str:
    digest = hashlib.sha256()
    for example, weight in [*zip(train, weights, strict=True), *((e, 0.0) for e in held)]:
        digest.update(repr((example.ids, example.answer, weight)).encode())
    return digest.hexdigest()
