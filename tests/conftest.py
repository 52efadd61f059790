"""What several test files share: the reference flow on stand-in handlers, and a tiny model."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

from fsmbot.flow import Flow
from fsmbot.loader import load_flow
from fsmbot.registry import Registry, load_builtins
from fsmbot.turn import Turn

REFERENCE = Path(__file__).parent.parent / "flows" / "doctor.yaml"
DIALOGUE = ("ask_user", "say", "ans_greeting", "static_idk_msg")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that `tests/reliability` obeys: options must be known before folders are read."""
    help = "write what was reached as a table"
    parser.addoption("--figures", metavar="FILE", type=_absolute, help=help)


def _absolute(path: str) -> Path:
    """Return where a file will still be once a test has changed the folder."""
    return Path(path).absolute()


@pytest.fixture(autouse=True)
def _same_registry() -> Iterator[None]:
    """Take back what a test registers, as the default registry outlives it."""
    registry = load_builtins()
    handlers, resources = dict(registry.handlers), dict(registry.resources)
    yield
    registry.handlers, registry.resources = handlers, resources


class StubDoctor:
    """Answers at once, and counts how often it was asked to load."""

    def __init__(self) -> None:
        self.status = "not loaded"
        self.preloads = 0
        self.preloaded = threading.Event()

    def preload(self) -> None:
        self.preloads += 1
        self.status = "stub model"
        self.preloaded.set()


def stub_registry() -> Registry:
    """Return a registry where "pain" is medical, "hello" a greeting, and "crash" breaks the doctor."""
    known = load_builtins().handlers
    registry = Registry({name: known[name] for name in DIALOGUE})

    @registry.resource
    def doctor() -> StubDoctor:
        return StubDoctor()

    @registry.handler(pure=True)
    def check_medical(turn: Turn) -> Literal["medical", "other"]:
        turn.notes.update(score=0.9312, words=["pain"])
        return "medical" if "pain" in turn.text else "other"

    @registry.handler(pure=True)
    def check_greeting(turn: Turn) -> Literal["greeting", "other"]:
        return "greeting" if "hello" in turn.text else "other"

    @registry.handler
    def ask_doctor(turn: Turn, doctor: Any) -> Iterator[str]:
        yield "See a "
        if "crash" in turn.text:
            raise ValueError("the doctor broke")
        if "interrupt" in turn.text:
            raise KeyboardInterrupt
        yield "doctor."

    return registry


@pytest.fixture
def flow_file(tmp_path: Path) -> Path:
    """A copy of the reference flow that a test may edit."""
    path = tmp_path / "doctor.yaml"
    path.write_text(REFERENCE.read_text())
    return path


@pytest.fixture
def doctor_flow(flow_file: Path) -> Flow:
    """The reference flow on stand-in handlers, loaded from `flow_file`."""
    return load_flow(flow_file, stub_registry())


CHAT = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIALS = ["<unk>", "<|im_start|>", "<|im_end|>", "<s>", "</s>"]
CORPUS = ["system user assistant [INST] <<SYS>> <</SYS>> What helps against a cough? Drink water."] * 4


def make_tokenizer(template: str | None = CHAT, eos: str = "<|im_end|>") -> Any:
    """Train a byte-level BPE tokenizer on one sentence."""
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    backend = Tokenizer(models.BPE(unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=SPECIALS, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    backend.train_from_iterator(CORPUS, trainer)
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<s>", eos_token=eos, unk_token="<unk>", pad_token=eos,
        additional_special_tokens=["<|im_start|>"],
    )  # fmt: skip
    tokenizer.chat_template = template
    return tokenizer


@pytest.fixture(scope="session")
def other_tokenizer() -> Callable[..., Any]:
    """A function that makes a tiny tokenizer with another template or end token."""
    return make_tokenizer


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    """A tokenizer with a chat template like SmolLM2's."""
    return make_tokenizer()


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random Llama of 2 layers and the tiny tokenizer."""
    torch = pytest.importorskip("torch")
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    tokenizer = make_tokenizer()
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=512,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id, tie_word_embeddings=True,
        initializer_range=0.3,  # wide, so that every token of the prompt matters
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("base")
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
