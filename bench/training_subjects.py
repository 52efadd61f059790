"""One process of bench/training.py.

    python bench/training_subjects.py prepare|ours|trl|trl-packing|fp32 FOLDER

FOLDER holds setup.json (data, steps, rate); `prepare` puts dialogues and adapter beside it, from which
the others start. The last line printed is JSON.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import training_setup as common

from fsmbot.doctor.base import load_base
from fsmbot.doctor.weights import DEFAULT_BASE, quantized_folder
from trainer.config import Config
from trainer.report import Silent

PACKED_ROWS = 4
"""Rows in a packed step; of 256 tokens each, they hold more dialogues than a batch of ours."""
COMPARED = 10
"""Steps in float32; more would only take time."""


class Recorder(Silent):
    """Notes the loss, the useful tokens and the time of each step; our loop reports to it."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.tokens: list[int] = []
        self.times: list[float] = []
        self.loaded = peak()

    def note(self, loss: float, tokens: int) -> None:
        """Note that a step is over."""
        self.losses.append(loss)
        self.tokens.append(tokens)
        self.times.append(time.perf_counter())

    def step(self, step: int, loss: float, rate: float, norm: float, tokens: int, seconds: float) -> None:
        """Note a step of our loop."""
        self.note(loss, tokens)


def peak() -> float:
    """Return the largest resident set of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


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


def trl(folder: Path, *, packing: bool) -> Recorder:
    """Train with TRL, as its user would write it."""
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
    from trl import SFTConfig, SFTTrainer

    config = common.configure(folder)
    batches = common.in_training_order(common.read_rows(folder), config)
    pairs = [common.messages(row, config) for batch in batches for row in batch]
    base = quantized_folder(DEFAULT_BASE)
    settings = SFTConfig(
        output_dir=str(folder / "trl"),
        max_length=config.data.max_tokens,
        learning_rate=config.optimizer.lr,
        lr_scheduler_type="constant",
        num_train_epochs=1,
        use_cpu=True,
        train_sampling_strategy="sequential",
        logging_steps=1,
        save_strategy="no",
        disable_tqdm=True,
        **({"packing": True, "per_device_train_batch_size": PACKED_ROWS} if packing else {}),
    )
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(base),
        args=settings,
        train_dataset=Dataset.from_list([{"prompt": p, "completion": c} for p, c in pairs]),
        processing_class=AutoTokenizer.from_pretrained(base),
        peft_config=lora(config),
    )
    start_alike(trainer.model, folder)
    recorder = Recorder()

    class Steps(TrainerCallback):
        """Takes each step's row of the log; num_tokens counts from the start, padding left out."""

        def on_log(self, args: Any, state: Any, control: Any, **given: Any) -> None:
            logs = given["logs"]
            if "loss" in logs:
                recorder.note(logs["loss"], int(logs["num_tokens"]) - sum(recorder.tokens))

    trainer.add_callback(Steps())
    trainer.train()
    return recorder


def fp32(folder: Path) -> Recorder:
    """Train in float32 throughout: padded batches, peft's forward pass, AdamW."""
    import torch
    from peft import get_peft_model

    config = common.configure(folder)
    base = load_base(config.base.id, device="cpu", compute="float32")
    dequantize(base.model)
    model = get_peft_model(base.model, lora(config))
    start_alike(model, folder)
    model.train()
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        parameters, config.optimizer.lr, config.optimizer.betas, weight_decay=config.optimizer.weight_decay
    )
    recorder = Recorder()
    for batch in common.in_training_order(common.read_rows(folder), config)[:COMPARED]:
        ids, mask, labels = padded(batch)
        loss = model(input_ids=ids, attention_mask=mask, labels=labels, use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, config.optimizer.clip)
        optimizer.step()
        optimizer.zero_grad()
        recorder.note(float(loss.detach()), int(mask.sum()))
    return recorder


def dequantize(model: Any) -> None:
    """Make every weight float32, those in 4 bits by a plain layer of the same values."""
    import torch
    from bitsandbytes.functional import dequantize_4bit
    from bitsandbytes.nn.modules import Linear4bit

    for name, layer in list(model.named_modules()):
        if isinstance(layer, Linear4bit):
            packed: Any = layer.weight
            packed.quant_state.dtype = torch.float32  # else the weights would be rounded to bfloat16
            weight = dequantize_4bit(packed.data, packed.quant_state)
            plain = torch.nn.Linear(layer.in_features, layer.out_features, bias=False)
            plain.weight = torch.nn.Parameter(weight, requires_grad=False)
            model.set_submodule(name, plain)
    model.is_loaded_in_4bit = False  # peft shall take the layers for what they are
    for parameter in model.parameters():
        parameter.data = parameter.data.float()  # embeddings and norms are bfloat16 in the folder


def padded(batch: list[common.Row]) -> tuple[Any, Any, Any]:
    """Return ids, attention mask and labels, padded on the right to the longest."""
    import torch

    width = max(len(row.ids) for row in batch)
    ids, mask = (
        torch.zeros(len(batch), width, dtype=torch.long),
        torch.zeros(len(batch), width, dtype=torch.long),
    )
    labels = torch.full((len(batch), width), -100)
    for place, row in enumerate(batch):
        length = len(row.ids)
        ids[place, :length] = torch.tensor(row.ids)
        mask[place, :length] = 1
        labels[place, :length] = torch.where(torch.tensor(row.learnt), ids[place, :length], -100)
    return ids, mask, labels


def lora(config: Config) -> Any:
    """Return the adapter's shape as peft takes it."""
    from peft import LoraConfig

    return LoraConfig(
        r=config.lora.r, lora_alpha=config.lora.alpha, target_modules="all-linear", task_type="CAUSAL_LM"
    )


def start_alike(model: Any, folder: Path) -> None:
    """Give a model of peft the adapter that all start from."""
    from peft import set_peft_model_state_dict
    from safetensors.torch import load_file

    tensors = load_file(folder / common.ADAPTER)
    result: Any = set_peft_model_state_dict(model, tensors)
    trained = sum(parameter.requires_grad for parameter in model.parameters())
    assert (result.unexpected_keys, trained) == ([], len(tensors)), "both sides train the same layers"


SUBJECTS: dict[str, Callable[[Path], Recorder]] = {
    "ours": ours,
    "trl": partial(trl, packing=False),
    "trl-packing": partial(trl, packing=True),
    "fp32": fp32,
}


def main() -> None:
    """Run the subject; print what the first line of this module promises."""
    subject, folder = sys.argv[1], Path(sys.argv[2])
    if subject == "prepare":
        print(json.dumps(common.prepare(folder)))
        return
    recorder = SUBJECTS[subject](folder)
    print(json.dumps({**vars(recorder), "peak": peak()}))


if __name__ == "__main__":
    main()
