"""What a run leaves in its folder about itself: `run.json`, and with it the model card `README.md`.

`evaluate` adds `evaluation.json`; the card is written anew from the two whenever either changes.
"""

from __future__ import annotations

import json
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from fsmbot.doctor.adapter import ADAPTER, ADAPTER_CONFIG
from fsmbot.doctor.artefact import CARD, read_card
from fsmbot.doctor.hub import sha256
from fsmbot.errors import ConfigError
from trainer.checksums import sums

RUN, EVALUATION, README = "run.json", "evaluation.json", "README.md"
LIBRARIES = ("torch", "transformers", "peft", "bitsandbytes", "accelerate")


def write_run(folder: Path, **facts: Any) -> None:
    """Write run.json and the card.

    facts: config, optimizer, steps, tokens, best_step, best_loss, data, parameters.
    """
    versions = {name: _version(name) for name in LIBRARIES}
    (folder / RUN).write_text(
        json.dumps({**facts, "commit": commit(), "versions": versions}, indent=2) + "\n"
    )
    write_readme(folder)


def write_evaluation(folder: Path, results: list[dict[str, Any]]) -> None:
    """Write evaluation.json, and the card anew where the folder is a trained doctor."""
    facts = {"adapter_sha256": sha256(folder / ADAPTER), "results": results}
    (folder / EVALUATION).write_text(json.dumps(facts, indent=2) + "\n")
    if (folder / RUN).exists():
        write_readme(folder)


def commit() -> str:
    """Return the commit of the trainer's code, with "+" if files were changed since; "" outside git."""
    here = Path(__file__).parent

    def git(*words: str) -> str:
        done = subprocess.run(["git", "-C", str(here), *words], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "--", ".") else "")
    except (OSError, subprocess.CalledProcessError):
        return ""


def read_run(folder: Path) -> dict[str, Any]:
    """Return what run.json says; raises ConfigError."""
    try:
        facts: dict[str, Any] = json.loads((folder / RUN).read_text())
        return facts
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{folder / RUN} cannot be read: {error}; name a folder that `train` wrote"
        ) from error


def write_readme(folder: Path) -> None:
    """Write the model card, with the header that the hub reads."""
    run, card = read_run(folder), read_card(folder)
    config = run["config"]
    results = read_evaluation(folder)
    text = _CARD.format(
        name=config["name"], base=card.base, revision=card.revision,
        header=f"\nlicense: {config['licence']}" if config["licence"] else "",
        licence=config["licence"] or "not stated",
        data="\n".join(_source_row(source) for source in config["data"]["train"]),
        rows="\n".join(f"- {line}" for line in run["data"]),
        r=config["lora"]["r"], alpha=config["lora"]["alpha"], parameters=run["parameters"],
        targets=", ".join(config["lora"]["targets"]), tokens=run["tokens"], steps=run["steps"],
        batch=config["steps"]["batch"], max_tokens=config["data"]["max_tokens"],
        lr=config["optimizer"]["lr"], seed=config["seed"],
        optimizer=run.get("optimizer", config["optimizer"]["name"]),
        commit=run["commit"] or "unknown", system=card.system, chosen=_chosen(run),
        versions=", ".join(f"{name} {number}" for name, number in run["versions"].items()),
        figures=_figures(results), notes=config["notes"] or "Not stated.",
        files=sums(folder, (ADAPTER, ADAPTER_CONFIG, CARD)),
    )  # fmt: skip
    (folder / README).write_text(text, encoding="utf-8")


def read_evaluation(folder: Path) -> list[dict[str, Any]]:
    """Return what `evaluate` found of this very adapter; nothing if it was another one, or not yet."""
    try:
        facts = json.loads((folder / EVALUATION).read_text())
        same = facts["adapter_sha256"] == sha256(folder / ADAPTER)
        return list(facts["results"]) if same else []
    except (OSError, ValueError, KeyError, TypeError):
        return []


_CARD = """---
base_model: {base}
library_name: peft
pipeline_tag: text-generation{header}
---

# {name}

A LoRA adapter for `{base}` (revision {revision}) in 4 bits (NF4, double
quantization), trained on questions and answers about health by `python -m trainer train`. Talk with it:
`python -m fsmbot --doctor FOLDER`. It is software that writes plausible text, not a doctor; nothing it
says has been checked by one.

Licence of the adapter: {licence}. The base has its own.

## Data

| source | licence | part | weight |
| --- | --- | --- | --- |
{data}

{rows}

## Training

LoRA r={r}, alpha={alpha:g} on {targets}: {parameters:,} parameters.
{steps:,} steps of {batch} dialogues of at most {max_tokens} tokens, {tokens:,} tokens seen; {optimizer}, peak
learning rate {lr:g}, cosine; loss on the answers alone; seed {seed}.{chosen}

System prompt: "{system}"

Commit {commit}; {versions}.
The whole configuration stands in `run.json`, each step in `training.jsonl` and `loss.png`.

## Figures

{figures}

## Files

{files}

## Limits

{notes}
"""

_EXPLAINED = """
Base and doctor are the same 4-bit weights with the same prompt, without and with the adapter. Loss is the
mean cross-entropy over answer tokens (nats), perplexity its exponential. The rest is over the first
answers of each set, decoded as the bot does by default: ROUGE-L (F1 over words), the share of repeated
4-grams of words, the mean number of words, and how many answers came to an end by themselves, with a full
stop, within the limit of tokens."""


def _figures(results: list[dict[str, Any]]) -> str:
    """Return the table of an evaluation, or what to do to get one."""
    if not results:
        return "Not measured yet: `python -m trainer evaluate --config C`."
    head = (
        "| set | model | dialogues | loss | perplexity | answers | ROUGE-L | repeated | words | ended |\n"
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n"
    )
    return head + "\n".join(_figure_row(result) for result in results) + "\n" + _EXPLAINED


def _figure_row(result: dict[str, Any]) -> str:
    cells = [
        result["set"], result["model"], f"{result['dialogues']:,}", f"{result['loss']:.3f}",
        f"{result['perplexity']:.1f}", f"{result['answers']:,}",
    ]  # fmt: skip
    if result["answers"]:
        cells += [
            f"{result['rouge_l']:.3f}", f"{result['repeated']:.1%}", f"{result['words']:.0f}",
            f"{result['ended']:.1%}",
        ]  # fmt: skip
    else:
        cells += ["–"] * 4
    return f"| {' | '.join(cells)} |"


def _source_row(source: dict[str, Any]) -> str:
    label = source["name"] or source["hub"] or Path(source["path"]).name
    part = source["part"]
    share = f"{part['start']:g} to {part['end']:g} by {part['by'] or 'question'}"
    whole = (part["start"], part["end"]) == (0, 1)
    cells = (label, source["licence"] or "not stated", "all" if whole else share, f"{source['weight']:g}")
    return f"| {' | '.join(cells)} |"


def _chosen(run: dict[str, Any]) -> str:
    if run["best_step"] < 0:
        return ""
    best = f"step {run['best_step']:,}, with the lowest held-out loss ({run['best_loss']:.4f})"
    return f" The adapter is that of {best}."


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"
