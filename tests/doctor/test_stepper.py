"""The fast step computes what the model computes, and steps aside for every model that it does not know."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from fsmbot.doctor import LocalDoctor  # noqa: E402
from fsmbot.doctor.base import load_base  # noqa: E402
from fsmbot.doctor.decode import Decoding, decode  # noqa: E402
from fsmbot.doctor.packed import Head, joined  # noqa: E402
from fsmbot.doctor.stepper import CHUNK, ROOM, Stepper, stepper_for  # noqa: E402

PREFIX = [5, 6, 7, 8, 9]
LONG = [(7 * i) % 250 + 5 for i in range(CHUNK + 90)]
PLAIN = Decoding(repetition_penalty=1.0, no_repeat_ngram=0)


def can_pack() -> bool:
    """Say whether this CPU has what the kernel needs."""
    from bitsandbytes.functional import has_avx512bf16

    return bool(has_avx512bf16())  # type: ignore[no-untyped-call]


packs = pytest.mark.skipif(not can_pack(), reason="the kernel needs a CPU with AVX-512 and bfloat16")


@pytest.fixture
def base(tiny_base: Path) -> Any:
    """The tiny Llama in 4 bits."""
    return load_base(str(tiny_base), device="cpu").model


def adapted(model: Any, *targets: str) -> Any:
    """Return the model with a random adapter of peft on some of its layers."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=4, lora_alpha=12, target_modules=list(targets), init_lora_weights=False, task_type="CAUSAL_LM"
    )
    return get_peft_model(model, config).eval()


ADAPTERS: dict[str, Callable[[Any], Any]] = {
    "no adapter": lambda model: model,
    "queries and values": lambda model: adapted(model, "q_proj", "v_proj"),
    "all layers": lambda model: adapted(
        model, "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"
    ),
}


def scores_of(model: Any, ids: list[int]) -> Any:
    """Return the scores after these ids as the model computes them by itself."""
    with torch.inference_mode():
        return model(input_ids=torch.tensor([ids])).logits[0, -1].float()


def stray(found: Any, wanted: Any) -> float:
    """Return how far scores are off, as a part of their spread."""
    return float((found - wanted).norm() / (wanted - wanted.mean()).norm())


@torch.inference_mode()
def taken(stepper: Stepper, *parts: list[int]) -> Any:
    """Give a fresh answer the parts one by one; return the last scores."""
    answer = stepper.begin()
    return [answer(part) for part in parts][-1]


@packs
@pytest.mark.parametrize("kind", ADAPTERS)
@pytest.mark.parametrize("ids", [[5], [5, 6], PREFIX, [*PREFIX, 11, 12], LONG], ids=len)
def test_the_scores_are_the_models_own(base: Any, kind: str, ids: list[int]) -> None:
    """With and without adapters, one token and many, from the kernel and from unpacked weights."""
    model = ADAPTERS[kind](base)
    stepper = stepper_for(model, PREFIX)
    assert stepper is not None
    wanted = scores_of(model, ids)
    assert stray(taken(stepper, ids), wanted) < 0.1
    assert stray(taken(stepper, ids[:1], ids[1:] or ids), scores_of(model, ids if ids[1:] else ids * 2)) < 0.1


@packs
def test_an_adapter_makes_a_difference(base: Any) -> None:
    """What is compared above would differ by far without the adapter."""
    before = scores_of(base, LONG)
    assert stray(scores_of(ADAPTERS["all layers"](base), LONG), before) > 0.3


@packs
def test_the_remembered_beginning_changes_nothing(base: Any) -> None:
    """A prompt that begins as all do, exactly that beginning, and another one."""
    stepper = stepper_for(base, PREFIX)
    assert stepper is not None
    fresh = Stepper(base)
    for ids in ([*PREFIX, 20, 21], PREFIX, PREFIX[:2], [9, 8, 7], [*PREFIX[:4], 30]):
        assert stray(taken(stepper, ids), taken(fresh, ids)) < 0.02, ids


@packs
def test_room_grows_with_the_answer(base: Any) -> None:
    """Token by token past the first room, the scores stay those of the whole text at once."""
    ids = LONG[: ROOM + 20]
    stepper = stepper_for(base, PREFIX)
    assert stepper is not None
    assert stray(taken(stepper, *([token] for token in ids)), scores_of(base, ids)) < 0.1


@packs
def test_the_model_goes_on_as_before(base: Any) -> None:
    """Its layers share memory with the joined ones, and compute the very same."""
    model = ADAPTERS["all layers"](base)
    before = scores_of(model, LONG)
    stepper = stepper_for(model, PREFIX)
    assert stepper is not None
    assert torch.equal(scores_of(model, LONG), before)
    attention = model.get_base_model().model.layers[0].self_attn
    shared = stepper.layers[0].qkv
    assert attention.q_proj.base_layer.weight.data_ptr() == shared.weight.data_ptr()
    assert shared.adapter is not None
    assert attention.q_proj.lora_A["default"].weight.data_ptr() == shared.adapter.down.data_ptr()


@packs
def test_unpacked_weights_are_those_of_the_base(tiny_base: Path, base: Any) -> None:
    """The layout of the kernel is read back without loss."""
    from bitsandbytes.functional import dequantize_4bit

    plain = load_base(str(tiny_base), device="cpu").model.model.layers[0].self_attn.q_proj.weight
    wanted = dequantize_4bit(plain.data, plain.quant_state).float()
    scores_of(base, PREFIX)  # the first step packs
    found = joined(base.model.layers[0].self_attn.q_proj).unpacked().float()
    assert torch.allclose(found, wanted, rtol=0.01)


def test_the_best_scores_are_exact() -> None:
    """A large vocabulary is read in 8 bits; what may be chosen has its score from the weights."""
    torch.manual_seed(1)
    weight, x = torch.randn(5000, 64).bfloat16(), torch.randn(1, 64)
    wanted, found = weight.float() @ x[0], Head(weight)(x)
    assert torch.equal(found.topk(40).indices, wanted.topk(40).indices)
    assert torch.allclose(found.topk(40).values, wanted.topk(40).values, atol=1e-4)
    assert stray(found, wanted) < 0.05


@packs
def test_answers_beside_each_other_do_not_meet(base: Any) -> None:
    """One that was left half-way, one in another thread, and one after them: each is as if alone."""
    stepper = stepper_for(base, PREFIX)
    assert stepper is not None
    alone = list(decode(stepper, PREFIX, (), 30, PLAIN))
    left = decode(stepper, [9, 9, 9], (), 30, PLAIN)
    next(left)
    beside: list[int] = []
    thread = threading.Thread(target=lambda: beside.extend(decode(stepper, PREFIX, (), 30, PLAIN)))
    thread.start()
    again = list(decode(stepper, PREFIX, (), 30, PLAIN))
    thread.join(60)
    assert alone == beside == again


@packs
def test_damaged_weights_are_still_noticed(base: Any) -> None:
    """A model that computes NaN gets no stepper, so that the reason is told as before."""
    base.model.norm.weight.data.fill_(float("nan"))
    assert stepper_for(base, PREFIX) is None


def other_rotation(model: Any) -> None:
    """Positions whose rotation depends on the length of the text."""
    model.model.rotary_emb.rope_type = "dynamic"


def other_activation(model: Any) -> None:
    """An activation that is not SiLU."""
    model.config.hidden_act = "gelu"


def a_bias(model: Any) -> None:
    """A layer that adds something."""
    layer = model.model.layers[0].self_attn.q_proj
    layer.bias = torch.nn.Parameter(torch.ones(layer.out_features), requires_grad=False)


def another_order(model: Any) -> None:
    """A model that calls itself Llama and computes otherwise: only the comparison can tell."""
    attention = model.model.layers[0].self_attn
    attention.forward = lambda hidden_states, **_: (torch.zeros_like(hidden_states), None)


@pytest.mark.parametrize("change", [other_rotation, other_activation, a_bias, another_order])
def test_what_is_not_known_is_left_to_the_model(base: Any, change: Callable[[Any], None]) -> None:
    """There is no stepper, and the model's own step answers."""
    change(base)
    assert stepper_for(base, PREFIX) is None
    assert len(list(decode(base, PREFIX, (), 3, PLAIN))) == 3


def test_other_architectures_are_left_to_the_model() -> None:
    """GPT-2 and a Llama of 16 bits have no stepper."""
    from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

    shape = {"hidden_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 50}
    llama = LlamaForCausalLM(LlamaConfig(**shape, intermediate_size=64)).eval()
    gpt = GPT2LMHeadModel(GPT2Config(n_embd=32, n_layer=1, n_head=2, vocab_size=50)).eval()
    for model in (llama, gpt):
        assert stepper_for(model, PREFIX) is None
        assert len(list(decode(model, PREFIX, (), 3, PLAIN))) == 3


def test_without_the_kernel_the_model_answers(base: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another version of bitsandbytes may not have it."""
    monkeypatch.setattr("fsmbot.doctor.packed.KERNEL", "no_such_function")
    assert stepper_for(base, PREFIX) is None
    assert len(list(decode(base, PREFIX, (), 3, PLAIN))) == 3


@packs
def test_a_local_doctor_steps_fast(tiny_base: Path) -> None:
    """On a CPU that can, the doctor has a stepper."""
    doctor = LocalDoctor(base=str(tiny_base), device="cpu")
    assert list(doctor.answer("What helps?", max_new_tokens=5))
    assert isinstance(doctor._wait().model, Stepper)


@packs
@pytest.mark.model
@pytest.mark.timeout(600)
def test_the_embedded_doctor_scores_as_its_model() -> None:
    """The shipped adapter on the real base: the likeliest tokens' scores are off by rounding alone."""
    from fsmbot.doctor.adapter import with_adapter
    from fsmbot.doctor.artefact import SHIPPED, read_card
    from fsmbot.doctor.prompt import Prompt

    card = read_card(SHIPPED)
    base = load_base(card.base, card.revision, device="cpu")
    model, prompt = with_adapter(base.model, SHIPPED), Prompt(base.tokenizer, card.system)
    stepper = stepper_for(model, prompt.prefix)
    assert stepper is not None
    for question in ("What helps against hay fever?", "My back hurts when I lift things. " * 12):
        ids = prompt.question(question)
        wanted, found = scores_of(model, ids), taken(stepper, ids)
        assert stray(found, wanted) < 0.1
        assert float((found - wanted)[wanted.topk(64).indices].abs().max()) < 1.0
