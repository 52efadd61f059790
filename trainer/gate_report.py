"""`python -m trainer evaluate-gate`: how check_medical and check_greeting do on labelled messages.

A file has a column `text` and a column `label`: medical, everyday (or other), or greeting. A greeting
is for neither the doctor nor "I do not know", so it counts as everyday for check_medical.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fsmbot.errors import ConfigError
from fsmbot.handlers.greeting import check_greeting
from fsmbot.handlers.medical import SHIPPED, check_medical
from fsmbot.text import safe_line
from fsmbot.turn import Turn
from fsmbot.vectors import WordVectors
from trainer.messages import LABELS, read_messages
from trainer.picture import drawing

PICTURES = (".png", ".svg", ".pdf")


@dataclass(frozen=True)
class Judged:
    """A labelled message and what the bot makes of it.

    score: the probability, 0..1, that it is medical; words: what moved the score most, as `/why` shows it.
    medical: what check_medical says. rule: what it went by instead of the score, if anything: an
    emergency, or a greeting. greets: what check_greeting says. group: the value of the column that the
    figures are broken down by.
    """

    text: str
    label: str
    place: str
    score: float
    words: tuple[str, ...]
    medical: bool
    greets: bool
    group: str = ""
    rule: str = ""

    @property
    def wrong(self) -> bool:
        """Whether check_medical puts it on the wrong side."""
        return self.medical != (self.label == "medical")


def judge(path: Path, vectors: WordVectors, threshold: float, by: str = "") -> list[Judged]:
    """Have the handlers judge every message of a file; raises ConfigError that names file and row."""
    found = []
    for message in read_messages(path):
        text, label = message.text, message.label
        score = vectors.gate.score(text, explain=0).probability  # the note of it is rounded
        turn = Turn(text)
        medical = check_medical(turn, vectors, threshold=threshold) == "medical"
        greets = check_greeting(turn) == "greeting"
        group = safe_line(message.column(by)) if by else ""
        rule = next((name for name in ("emergency", "greeting") if name in turn.notes), "")
        found.append(
            Judged(
                *(text, label, message.place, score, tuple(turn.notes["words"]), medical, greets),
                *(group, rule),
            )
        )
    return found


def figures(judged: Sequence[Judged]) -> dict[str, float]:
    """Return accuracy, the recall of each label that occurs, and ROC-AUC of the score (NaN for one side).

    The recall of greetings counts those that check_medical lets pass and check_greeting takes.
    """
    sides = {
        "accuracy": [not one.wrong for one in judged],
        "medical": [not one.wrong for one in judged if one.label == "medical"],
        "everyday": [not one.wrong for one in judged if one.label != "medical"],
        "greeting": [one.greets and not one.wrong for one in judged if one.label == "greeting"],
        "no greeting": [not one.greets for one in judged if one.label != "greeting"],
    }
    return {name: _share(right) for name, right in sides.items()} | {"auc": roc_auc(judged)}


def _share(right: Sequence[bool]) -> float:
    return sum(right) / len(right) if right else math.nan


def roc_auc(judged: Sequence[Judged]) -> float:
    """Return the chance that a medical message scores above one that is not; ties count half."""
    from scipy.stats import rankdata

    medical = [one.label == "medical" for one in judged]
    yes, no = sum(medical), len(medical) - sum(medical)
    if not yes or not no:
        return math.nan
    ranks = rankdata([one.score for one in judged])
    total = sum(rank for rank, side in zip(ranks, medical, strict=True) if side)
    return float((total - yes * (yes + 1) / 2) / (yes * no))


def worst(judged: Sequence[Judged], threshold: float, count: int) -> list[Judged]:
    """Return the mistakes of check_medical, the surest first."""
    wrong = [one for one in judged if one.wrong]
    return sorted(wrong, key=lambda one: -abs(one.score - threshold))[:count]


def run_gate_evaluation(
    paths: Sequence[Path],
    *,
    folder: Path | None = None,
    threshold: float = 0.5,
    by: str = "",
    count: int = 10,
    plot: Path | None = None,
) -> Iterator[str]:
    """Judge the gate of a vectors folder on labelled files; yield figures and worst mistakes as text.

    by: a column to break the figures down by. count: how many mistakes to show. plot: a picture to
    draw of the scores. Raises ConfigError, VectorsError.
    """
    if plot and plot.suffix not in PICTURES:
        raise ConfigError(f"{plot}: expected a picture that ends in {', '.join(PICTURES)}")
    vectors = WordVectors.load(folder or SHIPPED)
    sets = [(str(path), judge(path, vectors, threshold, by)) for path in paths]
    every = [one for _, judged in sets for one in judged]
    if len(sets) > 1:
        sets.append(("all files", every))
    groups = sorted({one.group for one in every} - {""})
    sets += [(group, [one for one in every if one.group == group]) for group in groups]
    yield table(sets)
    if found := worst(every, threshold, count):
        yield "The surest mistakes of check_medical:"
        yield from map(_mistake, found)
    if plot:
        yield f"wrote {draw(every, threshold, plot)}"


def _mistake(one: Judged) -> str:
    rule = [f"by the rules: {one.rule}"] if one.rule else []
    text = f"{one.score:.3f}  {one.label}: {one.text[:100]}  ({', '.join([*rule, *one.words])})  {one.place}"
    return safe_line(text)


def table(sets: Sequence[tuple[str, Sequence[Judged]]]) -> str:
    """Return the figures of sets of messages as text for a terminal."""
    names = ("messages", "accuracy", "medical", "everyday", "greeting", "no greeting", "auc")
    shown = [safe_line(name) for name, _ in sets]
    width = max(map(len, shown))
    lines = [f"{'set':<{width}} " + " ".join(f"{name:>11}" for name in names)]
    for name, (_, judged) in zip(shown, sets, strict=True):
        found = figures(judged)
        cells = [f"{len(judged):>11,}", *(f"{number(found[key]):>11}" for key in names[1:])]
        lines.append(f"{name:<{width}} " + " ".join(cells))
    return "\n".join(lines)


def number(value: float) -> str:
    """Return a figure as tables show it; a dash where there is nothing to measure."""
    return "–" if math.isnan(value) else f"{value:.3f}"


def draw(judged: Sequence[Judged], threshold: float, path: Path) -> Path:
    """Draw how the scores of each label are spread, as a picture in the format of the path's ending."""
    steps = [i / 25 for i in range(26)]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with drawing(path) as axes:
            for label in dict.fromkeys(LABELS.values()):
                scores = [one.score for one in judged if one.label == label]
                if scores:
                    name = f"{label} ({len(scores):,})"
                    axes.hist(scores, steps, histtype="step", linewidth=1.5, label=name)
            axes.axvline(threshold, color="0.4", linestyle="--", linewidth=1)
            axes.set(xlabel="score: probability of being medical", ylabel="messages")
            axes.set(yscale="symlog", xlim=(0, 1))
            axes.legend(loc="upper center")
    except OSError as error:
        raise ConfigError(f"{path} cannot be drawn: {error}") from error
    return path
