"""A sentence encoder of the size of all-MiniLM-L6-v2 by transformers, and a linear layer on its mean.

Its weights are random, as a hub cannot be reached from everywhere; time and memory are those of trained
ones. Its vocabulary has the words of the messages, the characters, and filling up to the size of the real
one, so a message becomes hardly more tokens than words, which is the kinder case.
"""

from __future__ import annotations

import string
import tempfile
from collections.abc import Callable
from pathlib import Path

from gate_messages import cases

CASES = cases()
KEPT = Path(tempfile.gettempdir()) / "minilm"
TOKENS = 30_522


def prepare() -> int:
    """Write the model's folder; return the bytes of its weights."""
    from transformers import BertConfig, BertModel, BertTokenizer

    KEPT.mkdir(exist_ok=True)
    (KEPT / "vocab.txt").write_text("\n".join(vocabulary()))
    BertTokenizer(str(KEPT / "vocab.txt")).save_pretrained(KEPT)
    shape = BertConfig(
        vocab_size=TOKENS,
        hidden_size=384,
        num_hidden_layers=6,
        num_attention_heads=12,
        intermediate_size=1536,
    )
    BertModel(shape).save_pretrained(KEPT)
    return (KEPT / "model.safetensors").stat().st_size


def vocabulary() -> list[str]:
    """Return the tokens."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    characters = string.ascii_lowercase + string.digits + string.punctuation
    words = sorted({word.strip(string.punctuation).lower() for text in CASES for word in text.split()})
    known = [*special, *characters, *(f"##{character}" for character in characters), *words]
    distinct = list(dict.fromkeys(filter(None, known)))
    return [*distinct, *(f"[unused{number}]" for number in range(TOKENS - len(distinct)))]


def gate() -> Callable[[str], str]:
    """Load the model, and score one message at a time, on one thread."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(KEPT), AutoModel.from_pretrained(KEPT).eval()
    head = torch.nn.Linear(384, 1)

    def run(text: str) -> str:
        with torch.inference_mode():
            tokens = tokenizer(text, return_tensors="pt", truncation=True)
            mean = model(**tokens).last_hidden_state.mean(1)
            return "medical" if float(head(mean)) >= 0 else "other"

    return run


VARIANTS = {"gate": gate}
