"""The peers of bench/training.py as their users would write them: TRL, transformers.Trainer, plain loops."""

from __future__ import annotations

import resource
import time
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


def trainer(folder: Path) -> Recorder:
    """Train with transformers.Trainer: padded to the longest, bfloat16, gradient checkpointing."""
    from datasets import Dataset
    from transformers import DataCollatorForSeq2Seq, Trainer, TrainingArguments

    config = common.configure(folder)
    batches = common.in_training_order(common.read_rows(folder), config)
    model, tokenizer = for_training(folder, config)
    settings = TrainingArguments(
        output_dir=str(folder / "trainer"),
        per_device_train_batch_size=common.BATCH,
        learning_rate=config.optimizer.lr,
        lr_scheduler_type="constant",
        num_train_epochs=1,
        use_cpu=True,
        bf16=True,
        train_sampling_strategy="sequential",
        logging_steps=1,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
    )
    rows = [{"input_ids": row.ids, "labels": labels(row)} for batch in batches for row in batch]
    running = Trainer(
        model=model,
        args=settings,
        train_dataset=Dataset.from_list(rows),
        data_collator=DataCollatorForSeq2Seq(tokenizer, padding=True),
    )
    recorder = Recorder()
    running.add_callback(each_step(recorder, batches))
    running.train()
    return recorder


def each_step(recorder: Recorder, batches: list[list[common.Row]]) -> Any:
    """Return a callback that notes the loss and the tokens of each step of transformers.Trainer."""
    from transformers import TrainerCallback

    class Steps(TrainerCallback):
        """Takes each step's row of the log."""

        def on_log(self, args: Any, state: Any, control: Any, **given: Any) -> None:
            if "loss" in given["logs"]:
                batch = batches[len(recorder.losses)]
                recorder.note(given["logs"]["loss"], sum(len(row.ids) for row in batch))

    return Steps()


def plain(folder: Path) -> Recorder:
    """Train with the loop of a tutorial: peft prepares the model, each batch is padded to its longest."""
    import torch

    config = common.configure(folder)
    model, _ = for_training(folder, config)
    return looped(model, common.in_training_order(common.read_rows(folder), config), config, torch.bfloat16)


def for_training(folder: Path, config: Config) -> tuple[Any, Any]:
    """Return the base in 4 bits with the adapter that all start from, as peft prepares it; the tokenizer."""
    from peft import get_peft_model, prepare_model_for_kbit_training
    from transformers import AutoModelForCausalLM, AutoTokenizer

    base = quantized_folder(DEFAULT_BASE)
    model = prepare_model_for_kbit_training(AutoModelForCausalLM.from_pretrained(base))
    model = get_peft_model(model, lora(config))
    start_alike(model, folder)
    model.train()
    return model, AutoTokenizer.from_pretrained(base)


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
    batches = common.in_training_order(common.read_rows(folder), config)[:COMPARED]
    return looped(model, batches, config, torch.float32)


def looped(model: Any, batches: list[list[common.Row]], config: Config, compute: Any) -> Recorder:
    """Take a step of AdamW for each batch, its products computed in that type."""
    import torch

    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        parameters, config.optimizer.lr, config.optimizer.betas, weight_decay=config.optimizer.weight_decay
    )
    recorder = Recorder()
    for batch in batches:
        ids, mask, wanted = padded(batch)
        with torch.autocast("cpu", torch.bfloat16, enabled=compute == torch.bfloat16):
            loss = model(input_ids=ids, attention_mask=mask, labels=wanted, use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, config.optimizer.clip)
        optimizer.step()
        optimizer.zero_grad()
        recorder.note(float(loss.detach()), int(mask.sum()))
    return recorder


def labels(row: common.Row) -> list[int]:
    """Return what is to be learnt, and -100 elsewhere."""
    return [token if learnt else -100 for token, learnt in zip(row.ids, row.learnt, strict=True)]


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
    wanted = torch.full((len(batch), width), -100)
    for place, row in enumerate(batch):
        length = len(row.ids)
        ids[place, :length] = torch.tensor(row.ids)
        mask[place, :length] = 1
        wanted[place, :length] = torch.tensor(labels(row))
    return ids, mask, wanted


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
