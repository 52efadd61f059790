"""Where a step of our training loop spends its time, what the floor is, and how it grows with length."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import training_setup as common

from fsmbot.doctor.prompt import Example
from trainer.data import Prepared
from trainer.loop import Job, backward, fresh, step
from trainer.model import Learner, load_learner
from trainer.report import Silent
from trainer.schedule import micro_batches

KINDS = {
    "matrix products": ("aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm", "aten::_scaled_dot_product"),
    "dequantizing 4 bits": ("bitsandbytes::", "bitsandbytes"),
    "casts and copies": ("aten::copy_", "aten::_to_copy", "aten::clone", "aten::cat", "aten::index"),
    "softmax, losses": ("aten::_softmax", "aten::_log_softmax", "aten::logsumexp", "aten::exp", "aten::sub"),
    "optimizer and clipping": ("aten::_foreach", "aten::_fused", "aten::linalg_vector_norm"),
    "activations, norms, sums": ("aten::",),
}
"""What stands for what in a profile: the first kind with a matching beginning."""
FLOOR = "the floor: its products with frozen weights alone"
DIALOGUES = 2
LENGTHS = (64, 128, 256, 512, 1024)
REPEATS = 3


def prepared_job(folder: Path, examples: list[Example], **settings: Any) -> Job:
    """Return our trainer, ready to take steps on the examples."""
    config = common.configure(folder, **settings)
    data = Prepared(examples, [1.0] * len(examples), [], [], "")
    return Job(config, load_learner(config, device="cpu"), data, Silent())


def taken(job: Job, batch: list[Example]) -> float:
    """Take one whole step; return its seconds."""
    start = time.perf_counter()
    step(job, fresh(job), backward(job, batch), job.config.optimizer.lr)
    return time.perf_counter() - start


def profile(folder: Path) -> dict[str, dict[str, float]]:
    """Return milliseconds of a step, of its floor, and of what it does."""
    import torch

    rows = common.read_rows(folder)
    examples = [row.example for row in rows]
    job = prepared_job(folder, examples)
    batches = [examples[i : i + common.BATCH] for i in range(0, len(examples), common.BATCH)]
    taken(job, batches[0])
    whole = median(taken(job, batch) for batch in batches[1:])
    batch = min(batches[1:], key=lambda batch: abs(tokens(batch) - tokens(examples) / len(batches)))
    lowest = floor(job.learner, batch, job.config.steps.micro_tokens)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as recorded:
        taken(job, batch)
    by_kind = kinds((event.key, event.self_cpu_time_total / 1000) for event in recorded.key_averages())
    top = {"a step": whole * 1000, FLOOR: lowest * 1000}
    profiled = dict(by_kind.most_common())
    return shares(top, whole * 1000) | shares(profiled, sum(profiled.values()))


def shares(milliseconds: Mapping[str, float], whole: float) -> dict[str, dict[str, float]]:
    """Return the rows of a table: milliseconds, and their share of the whole."""
    return {name: {"ms": ms, "share, %": 100 * ms / whole} for name, ms in milliseconds.items()}


def tokens(examples: Sequence[Example]) -> int:
    """Return how many tokens there are."""
    return sum(len(example.ids) for example in examples)


def kinds(events: Iterable[tuple[str, float]]) -> Counter[str]:
    """Return milliseconds by kind of work."""
    found: Counter[str] = Counter()
    for key, milliseconds in events:
        matching = (kind for kind, starts in KINDS.items() if key.startswith(starts))
        found[next(matching, "Python, autograd and all else")] += milliseconds
    return found


def floor(learner: Learner, batch: list[Example], most: int) -> float:
    """Return the seconds of what no step can do without: every token through every frozen weight, forward
    and back, and every answer token through the head; in the loop's own type, and in its parts."""
    import torch
    from bitsandbytes.nn.modules import Linear4bit

    layers = (layer for layer in learner.base.model.modules() if isinstance(layer, Linear4bit))
    shapes = Counter((layer.out_features, layer.in_features) for layer in layers)
    seconds = 0.0
    for part in micro_batches(batch, most, learner.prefix):
        count = tokens(part) - learner.prefix * (len(part) - 1)
        answers = sum(sum(example.answer) for example in part)
        for (out, into), times in shapes.items():
            seconds += times * products(count, out, into, learner.compute)
        seconds += products(answers, *learner.head.shape, torch.bfloat16)
    return seconds


def products(count: int, out: int, into: int, compute: Any) -> float:
    """Return the seconds of a weight's product with the inputs, and with the gradients."""
    import torch

    weight, inputs, gradients = (
        torch.randn(shape).to(compute) for shape in ((out, into), (count, into), (count, out))
    )
    return typical(lambda: inputs @ weight.t()) + typical(lambda: gradients @ weight)


def typical(action: Callable[[], Any]) -> float:
    """Return the median seconds of an action, the first time left out."""
    found = []
    for _ in range(REPEATS + 1):
        start = time.perf_counter()
        action()
        found.append(time.perf_counter() - start)
    return median(found[1:])


def lengths(folder: Path) -> list[tuple[int, float]]:
    """Return the seconds of a step of two dialogues, by the tokens of a dialogue; the shortest of several."""
    longest = max(LENGTHS)
    job = prepared_job(folder, [], **{"data.max_tokens": longest, "steps.micro_tokens": longest})
    points = []
    for length in LENGTHS:
        batch = [made_up(job.learner, length, seed) for seed in range(DIALOGUES)]
        taken(job, batch)
        points.append((length, min(taken(job, batch) for _ in range(REPEATS))))
    return points


def made_up(learner: Learner, length: int, seed: int) -> Example:
    """Return a dialogue of tokens drawn by chance, the second half of which is the answer."""
    drawn = random.Random(seed)
    prefix = learner.prompt.prefix
    ids = [*prefix, *(drawn.randrange(1000, 40_000) for _ in range(length - len(prefix)))]
    return Example(ids, [place >= length // 2 for place in range(length)])
