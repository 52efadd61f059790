"""The peers of bench/training.py as their users would write them: TRL and transformers.Trainer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import training_setup as common
from training_recorder import Recorder

from fsmbot.doctor.weights import DEFAULT_BASE, quantized_folder
from trainer.config import Config

PACKED_ROWS = 4
"""Rows in a packed step; of 256 tokens each, they hold more dialogues than a batch of ours."""


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


def labels(row: common.Row) -> list[int]:
    """Return what is to be learnt, and -100 elsewhere."""
    return [token if learnt else -100 for token, learnt in zip(row.ids, row.learnt, strict=True)]


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
