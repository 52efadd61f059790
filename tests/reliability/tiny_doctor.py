"""A base model and a doctor with an adapter, as small as they can be, written by numpy alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

WEIGHTS = "model.safetensors"
ADAPTER = "adapter_model.safetensors"
SIZE, VOCABULARY = 64, 314
"""The size of a vector, and how many words the tokenizer of the tests knows."""


def write_base(folder: Path, tokenizer: Any) -> Path:
    """Write a random Llama of two layers as numpy makes it."""
    tokenizer.save_pretrained(folder)
    shape = {"hidden_size": SIZE, "intermediate_size": 2 * SIZE, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 4, "vocab_size": VOCABULARY}
    config = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "tie_word_embeddings": True}
    (folder / "config.json").write_text(json.dumps({**config, **shape, **heads}))
    sizes = {"model.embed_tokens": (VOCABULARY, SIZE), "model.norm": (SIZE,)}
    for layer in ("model.layers.0", "model.layers.1"):
        sizes |= {f"{layer}.self_attn.{name}_proj": (SIZE, SIZE) for name in "qkvo"}
        sizes |= {f"{layer}.mlp.{name}_proj": (2 * SIZE, SIZE) for name in ("gate", "up")}
        sizes |= {f"{layer}.mlp.down_proj": (SIZE, 2 * SIZE), f"{layer}.input_layernorm": (SIZE,)}
        sizes[f"{layer}.post_attention_layernorm"] = (SIZE,)
    chance = np.random.default_rng(0)
    tensors = {f"{name}.weight": chance.normal(0, 0.3, size).astype("f4") for name, size in sizes.items()}
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    return folder


def write_adapter(folder: Path, base: Path) -> Path:
    """Write a doctor of that base with a random adapter, as the trainer would."""
    folder.mkdir()
    config: dict[str, Any] = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 4, "lora_alpha": 8}
    config["target_modules"] = ["q_proj", "v_proj"]
    (folder / "adapter_config.json").write_text(json.dumps(config))
    (folder / "doctor.json").write_text(json.dumps({"base": str(base), "system": "Be brief."}))
    start = "base_model.model.model.layers"
    names = [f"{start}.{layer}.self_attn.{name}_proj" for layer in (0, 1) for name in "qv"]
    chance = np.random.default_rng(1)
    sizes = {f"{name}.lora_A.weight": (4, SIZE) for name in names}
    sizes |= {f"{name}.lora_B.weight": (SIZE, 4) for name in names}
    matrices = {name: chance.normal(0, 0.1, size).astype("f4") for name, size in sizes.items()}
    save_file(matrices, folder / ADAPTER)
    return folder
