"""The plain loops of bench/training.py: that of a tutorial, and the one whose loss is right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import training_setup as common
from training_peers import for_training, labels, lora, start_alike
from training_recorder import Recorder

from fsmbot.doctor.base import load_base
from trainer.config import Config

COMPARED = 10
"""Steps in float32; more would only take time."""


def plain(folder: Path) -> Recorder:
    """Train with the loop of a tutorial: peft prepares the model, each batch is padded to its longest."""
    import torch

    config = common.configure(folder)
    model, _ = for_training(folder, config)
    return looped(model, common.in_training_order(common.read_rows(folder), config), config, torch.bfloat16)


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
