"""Turn SmolLM2's GGUF file into an ordinary folder of transformers, 16 bits a weight.

transformers reads GGUF, but marks such a model as quantized and refuses to save it; so its weights
go into a fresh model of the same configuration.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fsmbot.doctor.quiet import quiet


def unpack(gguf: Path, target: Path) -> Path:
    """Write model and tokenizer of a GGUF file to the folder `target`, and return it."""
    with quiet(), _no_gguf_bar():
        plain_model(gguf).save_pretrained(target)
        plain_tokenizer(gguf).save_pretrained(target)
    return target


def plain_model(gguf: Path) -> Any:
    """Return the model as if it had never been quantized, in bfloat16, embeddings tied as before."""
    import torch
    from transformers import AutoModelForCausalLM, GgufConfig

    auto: Any = AutoModelForCausalLM
    read = auto.from_pretrained(
        gguf.parent,
        gguf_file=gguf.name,
        dtype=torch.float32,
        quantization_config=GgufConfig(dequantize=True),
        local_files_only=True,
    )
    config = read.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    config.dtype = torch.bfloat16
    fresh = auto.from_config(config, dtype=torch.bfloat16)
    fresh.load_state_dict(read.state_dict())
    fresh.tie_weights()
    fresh.generation_config = read.generation_config
    return fresh


def plain_tokenizer(gguf: Path) -> Any:
    """Return the tokenizer; GGUF forgets that SmolLM's splits every digit off before anything."""
    from tokenizers import pre_tokenizers
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name, local_files_only=True)
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(False)]
    )
    return tokenizer


@contextmanager
def _no_gguf_bar() -> Iterator[None]:
    """Leave out the reader's progress bar, which obeys none of transformers' switches."""
    from transformers import modeling_gguf_pytorch_utils

    reader: Any = modeling_gguf_pytorch_utils

    def without_bar(tensors: Any, **_: Any) -> Any:
        return tensors

    bar, reader.tqdm = reader.tqdm, without_bar
    try:
        yield
    finally:
        reader.tqdm = bar
