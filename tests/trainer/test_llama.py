"""Llama's blocks as one function each: what they compute is what transformers' own would."""

from __future__ import annotations

import dataclasses
import gc
import shutil
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from fsmbot.doctor.base import load_base  # noqa: E402
from fsmbot.doctor.prompt import Example  # noqa: E402
from trainer import flat, llama  # noqa: E402
from trainer.config import BaseModel, Config, Data, Lora, Source  # noqa: E402
from trainer.loop import summed_loss  # noqa: E402
from trainer.model import Learner, load_learner  # noqa: E402


@pytest.fixture
def config(tiny_base: Path) -> Config:
    """LoRA on all projections of the tiny base, in float32."""
    return Config(
        base=BaseModel(id=str(tiny_base), compute="float32"),
        data=Data([Source("none.jsonl")], max_tokens=160, system="Be kind."),
        lora=Lora(r=4, alpha=6.0),
    )


def awake(config: Config) -> Learner:
    """Load the learner with values drawn for all its matrices, by name; B is zero otherwise."""
    learner = load_learner(config, device="cpu")
    with torch.no_grad():
        for name, parameter in learner.model.named_parameters():
            if parameter.requires_grad:
                generator = torch.Generator().manual_seed(sum(name.encode()))
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.05)
    return learner


def dialogues(learner: Learner) -> list[Example]:
    """Return three dialogues of different lengths."""
    prefix, generator = learner.prompt.prefix, torch.Generator().manual_seed(3)
    drawn = [torch.randint(5, 60, (length,), generator=generator).tolist() for length in (9, 40, 21)]
    return [Example([*prefix, *own], [False] * (len(prefix) + 4) + [True] * (len(own) - 4)) for own in drawn]


def gradients(learner: Learner) -> dict[str, Any]:
    """Return the loss, and the gradient of every matrix by its name."""
    loss = learner.loss(dialogues(learner))
    loss.backward()
    named = learner.model.named_parameters()
    return {"loss": loss.detach(), **{name: p.grad.clone() for name, p in named if p.grad is not None}}


def assert_same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    """Hold every gradient against the expected one, to a hundred-thousandth of its size."""
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert float((found[name] - value).norm() / value.norm()) < 1e-5, name


def biased(config: Config, tiny_base: Path, folder: Path, **settings: Any) -> Config:
    """Return the configuration with a base whose biases are not zero."""
    from transformers import AutoConfig, LlamaForCausalLM

    torch.manual_seed(5)
    model = LlamaForCausalLM(AutoConfig.from_pretrained(tiny_base, **settings))
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter)
    shutil.copytree(tiny_base, folder / "biased")
    model.save_pretrained(folder / "biased")
    return dataclasses.replace(config, base=BaseModel(str(folder / "biased"), compute="float32"))


@pytest.mark.parametrize("biases", [False, True])
def test_joined_blocks_are_transformers_own(
    config: Config, tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, biases: bool
) -> None:
    """Loss and all gradients, with biases on the projections too."""
    if biases:
        config = biased(config, tiny_base, tmp_path, attention_bias=True, mlp_bias=True)
    joined = gradients(awake(config))
    assert len(joined) == 1 + 2 * 7 * 2  # the loss, and A and B of seven projections in two layers
    monkeypatch.setattr(llama, "_layers", lambda _: [])
    assert_same(joined, gradients(awake(config)))


def test_in_bfloat16_they_are_as_near_to_float32(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Joining rounds no more often than the products by themselves."""

    def stray(found: dict[str, Any]) -> float:
        squares = [((found[name] - value).norm() / value.norm()) ** 2 for name, value in exact.items()]
        return float(sum(squares) / len(squares)) ** 0.5

    rounded = dataclasses.replace(config, base=BaseModel(config.base.id, compute="bfloat16"))
    exact, joined = gradients(awake(config)), gradients(awake(rounded))
    monkeypatch.setattr(llama, "_layers", lambda _: [])
    apart = gradients(awake(rounded))
    assert stray(joined) < 1.2 * stray(apart)


@pytest.mark.parametrize("targets", [["q_proj", "v_proj"], ["k_proj", "up_proj", "down_proj"]])
def test_some_projections_alone_learn_as_among_all(config: Config, targets: list[str]) -> None:
    """Where the others' B is zero, their A is as if there were no LoRA on them."""
    some = gradients(
        awake(dataclasses.replace(config, lora=dataclasses.replace(config.lora, targets=targets)))
    )
    learner = awake(config)
    with torch.no_grad():
        for name, parameter in learner.model.named_parameters():
            if "lora_B" in name and not any(target in name for target in targets):
                parameter.zero_()
    among = gradients(learner)
    assert_same(some, {name: among[name] for name in some})


def test_long_dialogues_learn_as_short_ones(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond SHORT tokens attention is torch's fused kernel; its gradients are the same."""
    short = gradients(awake(config))
    monkeypatch.setattr(flat, "SHORT", 8)
    assert_same(gradients(awake(config)), short)


def test_recomputed_blocks_give_the_same_gradients(config: Config) -> None:
    """Gradient checkpointing runs each block twice, and changes nothing."""
    base = dataclasses.replace(config.base, gradient_checkpointing=True)
    assert_same(gradients(awake(dataclasses.replace(config, base=base))), gradients(awake(config)))


def test_an_evaluation_computes_the_same_loss(config: Config) -> None:
    """Without gradients, nothing is kept, and the loss is the one that is learnt from."""
    learner = awake(config)
    loss, answers = summed_loss(learner, dialogues(learner))
    assert answers == 9 + 40 + 21 - 3 * 4
    assert loss == pytest.approx(float(learner.loss(dialogues(learner)).detach()), rel=1e-6)


def test_nothing_is_left_of_a_step(config: Config) -> None:
    """Activations go when the backward pass is over, without waiting for the garbage collector."""

    def alive() -> int:
        return sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects())

    learner = awake(config)
    examples = dialogues(learner)
    learner.loss(examples).backward()
    gc.collect()
    gc.disable()
    try:
        before = alive()
        learner.loss(examples).backward()
        assert alive() == before
    finally:
        gc.enable()


def test_another_activation_is_not_taken_for_silu(config: Config, tiny_base: Path, tmp_path: Path) -> None:
    """A Llama with GELU goes through transformers' own blocks."""
    config = biased(config, tiny_base, tmp_path, hidden_act="gelu")
    learner = load_learner(config, device="cpu")
    plain = load_base(config.base.id, compute="float32", device="cpu").model.train()
    (example, *_) = dialogues(learner)
    with torch.no_grad():
        logits = plain(input_ids=torch.tensor([example.ids])).logits[0, :-1]
    chosen, targets = torch.tensor(example.answer[1:]), torch.tensor(example.ids[1:])
    expected = torch.nn.functional.cross_entropy(logits[chosen], targets[chosen], reduction="sum")
    assert float(learner.loss([example]).detach()) == pytest.approx(float(expected), rel=1e-4)
