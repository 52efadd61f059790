"""One process of bench/training.py.

    python bench/training_subjects.py SUBJECT FOLDER

FOLDER holds setup.json (data, steps, rate); `prepare` puts dialogues and adapter beside it, from which
the others start. The last line printed is JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import training_loops as loops
import training_peers as peers
import training_profile
import training_setup as common
from training_recorder import Recorder, peak


def ours(folder: Path) -> Recorder:
    """Train with the project's own loop."""
    from trainer.data import Prepared
    from trainer.loop import Job, train
    from trainer.model import load_learner

    config = common.configure(folder)
    learner = load_learner(config, device="cpu")
    examples = [row.example for row in common.read_rows(folder)]
    data = Prepared(examples, [1.0] * len(examples), [], [], "")
    recorder = Recorder()
    train(Job(config, learner, data, recorder))
    return recorder


SUBJECTS: dict[str, Callable[[Path], Recorder]] = {
    "ours": ours,
    "trl": partial(peers.trl, packing=False),
    "trl-packing": partial(peers.trl, packing=True),
    "trainer": peers.trainer,
    "plain": loops.plain,
    "fp32": loops.fp32,
}
OTHERS: dict[str, Callable[[Path], object]] = {
    "prepare": common.prepare,
    "profile": training_profile.profile,
    "lengths": training_profile.lengths,
}


def main() -> None:
    """Run the subject; print what the first line of this module promises."""
    subject, folder = sys.argv[1], Path(sys.argv[2])
    if subject in OTHERS:
        print(json.dumps(OTHERS[subject](folder)))
        return
    recorder = SUBJECTS[subject](folder)
    print(json.dumps({**vars(recorder), "peak": peak()}))


if __name__ == "__main__":
    main()
