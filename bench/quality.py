"""How well it does: the gate, the emergency rules, and the doctor that ships.

The gate and the rules judge the messages of tests/gate and tests/emergency, and the gate what its training
configuration holds out, where these files are. The doctor's figures are those of its card,
fsmbot/assets/doctor/evaluation.json: `python -m trainer evaluate` made them with the adapter that ships.
"""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Iterator
from pathlib import Path

from suite.machine import versions
from suite.results import ROOT, Measured, Table, Value

from fsmbot.handlers.emergency import emergency
from fsmbot.handlers.medical import vectors
from trainer.corpora import read_texts
from trainer.gate import recall
from trainer.gate_report import figures, judge
from trainer.vectors_config import read_config

TESTS = ROOT / "tests"
VECTORS = ROOT / "trainer" / "configs" / "medical-vectors.yaml"
DATA = Path(os.environ.get("CORPORA", ROOT.parent / "shared" / "data"))
"""Where the corpora of medical-vectors.yaml are; CORPORA names another folder."""
EVALUATION = ROOT / "fsmbot" / "assets" / "doctor" / "evaluation.json"
ASIDE = "never looked at"


def measure(quick: bool = False) -> Measured:
    """Measure all of it: some seconds, quick or not."""
    tables = {"gate": gate(), "held out": held_out(), "emergencies": emergencies(), "doctor": doctor()}
    return Measured(tables, versions=versions("numpy", "msgspec"))


def gate() -> Table:
    """Have check_medical and check_greeting judge labelled messages."""
    known, rows = vectors(), dict[str, dict[str, Value]]()
    for name in ("unseen", "tuned"):
        judged = judge(TESTS / "gate" / f"{name}.csv", known, 0.5)
        rows[name] = {"messages": len(judged)}
        rows[name] |= {key: share for key, share in figures(judged).items() if not math.isnan(share)}
        rows[name]["greetings"] = sum(one.label == "greeting" for one in judged)
        rows[name]["taken for a greeting"] = sum(one.greets and one.label != "greeting" for one in judged)
    about = "Accuracy and recalls of tests/gate at the threshold of 0.5; `unseen` was kept from tuning."
    return Table("Labelled messages", "", about, rows)


def held_out() -> Table:
    """Have the gate score what no number of it was learned from."""
    config, rows, missing = read_config(VECTORS), dict[str, dict[str, Value]](), dict[str, str]()
    for corpus in config.held_out:
        if not (DATA / corpus.path).exists():
            missing[corpus.name] = f"it is not in {DATA.name}; CORPORA names another folder"
            continue
        texts = read_texts(corpus, DATA)
        rows[corpus.name] = {"texts": len(texts), "recall": recall(vectors().gate, texts, corpus.side)}
    return Table("Texts held out", "", "The recall of either side.", rows, missing)


def emergencies() -> Table:
    """Have the emergency rules judge what is one, and what only sounds like one."""
    rows: dict[str, dict[str, Value]] = {}
    for half, told in (("unseen", ASIDE), ("tuned", "looked at"), ("more", "added later")):
        for kind, name in (("red", "red flags"), ("selfharm", "self-harm"), ("benign", "harmless")):
            texts = list(messages(half, kind))
            alarms = sum(emergency(text) is not None for text in texts)
            rows[f"{name}, {told}"] = row(len(texts), alarms)
    both = [rows[f"{name}, {ASIDE}"] for name in ("red flags", "self-harm")]
    count, alarms = (sum(int(one[column]) for one in both) for column in ("messages", "alarms"))
    return Table("Emergencies", "", "Messages of tests/emergency.", {**rows, ASIDE: row(count, alarms)})


def row(count: int, alarms: int) -> dict[str, Value]:
    """Return one row of the table of emergencies."""
    return {"messages": count, "alarms": alarms, "alarms, %": 100 * alarms / count}


def messages(half: str, kind: str) -> Iterator[str]:
    """Yield the messages of one file."""
    with (TESTS / "emergency" / half / f"{kind}.csv").open(encoding="utf-8", newline="") as file:
        yield from (line["text"] for line in csv.DictReader(file))


def doctor() -> Table:
    """Read the figures of the doctor's card, and how much lower its loss is than its base's."""
    found = json.loads(EVALUATION.read_text(encoding="utf-8"))
    rows: dict[str, dict[str, Value]] = {}
    for one in found["results"]:
        name = f"{one['set']}: {one['model']}"
        shares = {
            "repeated 4-grams, %": one["repeated"] * 100,
            "answers that end whole, %": one["ended"] * 100,
        }
        rows[name] = {"dialogues": one["dialogues"], "loss": one["loss"], **shares}
        if one["model"] == "doctor":
            base = rows[f"{one['set']}: base"]
            rows[name]["loss, lower by %"] = 100 * (1 - one["loss"] / float(base["loss"]))
    about = (
        f"Of the adapter with sha256 {found['adapter_sha256'][:16]}…, and of its base with the same prompt."
    )
    return Table("The doctor", "", about, rows)
