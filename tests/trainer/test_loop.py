"""The loop on a tiny Llama: what is learnt, what is seen, and that a resumed run is the same run."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from fsmbot.doctor import LocalDoctor  # noqa: E402
from fsmbot.doctor.base import load_base  # noqa: E402
from fsmbot.errors import ConfigError  # noqa: E402
from trainer import loop  # noqa: E402
from trainer import train as training  # noqa: E402
from trainer.config import BaseModel, Config, Data, Lora, Source, Steps  # noqa: E402
from trainer.data import prepare  # noqa: E402
from trainer.model import Learner, load_learner  # noqa: E402
from trainer.optimizer import load_optimizer, optimizer_tensors  # noqa: E402
from trainer.report import Progress, read_rows  # noqa: E402
from trainer.schedule import micro_batches  # noqa: E402
from trainer.stopping import memory_advice  # noqa: E402

QUESTIONS = ["What helps against a cough?", "Is water good?", "A cough, again and again, what now?", "Hm?"]


@pytest.fixture
def config(tiny_base: Path, tmp_path: Path) -> Config:
    """A run of 8 steps over 12 dialogues on the tiny base, in float32."""
    rows = [
        {"input": f"{QUESTIONS[i % 4]} {i}", "output": f"Drink water {i} times. Rest."} for i in range(12)
    ]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "eval.jsonl").write_text(json.dumps({"input": "And tea?", "output": "Tea is fine."}) + "\n")
    return Config(
        base=BaseModel(id=str(tiny_base), compute="float32"),
        data=Data([Source("train.jsonl")], [Source("eval.jsonl")], max_tokens=160, system="Be kind."),
        lora=Lora(r=4, alpha=8.0),
        steps=Steps(batch=4, micro_tokens=320, steps=8, evaluate=4, checkpoint=2),
        folder=str(tmp_path),
        output=str(tmp_path / "out"),
    )


def load(config: Config) -> loop.Job:
    """Load all that a run of this configuration needs."""
    learner = load_learner(config, device="cpu")
    return loop.Job(config, learner, prepare(config, learner.prompt), Progress(Path(config.output)))


def gradients(job: loop.Job, count: int = 4) -> Any:
    """Return all gradients of the first dialogues as one batch, as one vector."""
    for parameter in job.learner.parameters:
        parameter.grad = None
    loop.backward(job, job.data.train[:count])
    return torch.cat([p.grad.flatten() for p in job.learner.parameters])


def awake(config: Config) -> loop.Job:
    """Load a job and give its B matrices values, as zeros would hide mistakes in A's gradient."""
    job = load(config)
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in job.learner.parameters:
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.05)
    return job


def plain_loss(model: Any, examples: list[Any]) -> float:
    """Return the summed loss of examples that go through a model one by one."""
    total = 0.0
    for example in examples:
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([example.ids])).logits[0, :-1].float()
        chosen, targets = torch.tensor(example.answer[1:]), torch.tensor(example.ids[1:])
        total += float(torch.nn.functional.cross_entropy(logits[chosen], targets[chosen], reduction="sum"))
    return total


def test_the_flat_loss_is_that_of_each_dialogue_by_itself(config: Config) -> None:
    """Laid end to end behind a shared prefix, dialogues lose nothing and see nothing of each other."""
    job = load(config)
    plain = load_base(config.base.id, compute="float32", device="cpu").model.train()
    expected = plain_loss(plain, job.data.train[:5])
    assert job.learner.prefix > 0
    assert float(job.learner.loss(job.data.train[:5]).detach()) == pytest.approx(expected, rel=1e-4)


def test_parts_of_a_batch_give_the_gradient_of_the_whole(config: Config) -> None:
    """The sum over answer tokens is divided once, so splitting a batch changes nothing but rounding."""
    job = awake(config)
    whole = gradients(job, 6)
    small = dataclasses.replace(config.steps, micro_tokens=120)
    job.config = dataclasses.replace(config, steps=small)
    assert len(micro_batches(job.data.train[:6], 120, job.learner.prefix)) > 2
    assert torch.allclose(whole, gradients(job, 6), rtol=1e-3, atol=1e-6)


def test_recomputed_activations_give_the_same_gradient(config: Config) -> None:
    """Gradient checkpointing saves memory and changes nothing else, in several parts too."""
    config = dataclasses.replace(config, steps=dataclasses.replace(config.steps, micro_tokens=160))
    whole, calls = counted_gradients(config)
    base = dataclasses.replace(config.base, gradient_checkpointing=True)
    again, more = counted_gradients(dataclasses.replace(config, base=base))
    assert torch.allclose(whole, again, atol=1e-6)
    assert more == 2 * calls  # every layer's attention ran a second time


def counted_gradients(config: Config) -> tuple[Any, int]:
    """Return the gradient of some dialogues, and how often attention was computed for it."""
    job, calls = awake(config), []
    layers = [m for m in job.learner.model.modules() if type(m).__name__ == "LlamaAttention"]
    for layer in layers:
        layer.register_forward_hook(lambda *_: calls.append(1))
    return gradients(job, 6), len(calls)


def test_the_gradient_is_the_slope_of_the_loss(config: Config) -> None:
    """A small step along the gradient changes the loss by the gradient's length."""
    job = awake(config)
    gradient = gradients(job)
    before, step = loop.evaluate(job, job.data.train[:4]), 1e-3
    start = 0
    with torch.no_grad():
        for parameter in job.learner.parameters:
            part = gradient[start : start + parameter.numel()].view(parameter.shape)
            parameter.sub_(part / gradient.norm(), alpha=step)
            start += parameter.numel()
    change = loop.evaluate(job, job.data.train[:4]) - before
    assert change == pytest.approx(-step * float(gradient.norm()), rel=0.05)


def test_an_evaluation_leaves_the_gradients_alone(config: Config) -> None:
    """On some CPUs a forward pass in evaluation mode would make later gradients vanish."""
    job = awake(dataclasses.replace(config, base=BaseModel(config.base.id, compute="bfloat16")))
    before = gradients(job)
    packed = [p.detach().clone() for p in job.learner.model.parameters()]
    loop.evaluate(job, job.data.eval)
    assert torch.equal(before, gradients(job))
    assert all(map(torch.equal, packed, job.learner.model.parameters()))
    assert all(module.training for module in job.learner.model.modules())


def half_precision(config: Config) -> Config:
    """Return the configuration with float16 activations, as on a T4."""
    return dataclasses.replace(config, base=BaseModel(config.base.id, compute="float16"))


def test_float16_trains_with_a_scaled_loss(config: Config) -> None:
    """A T4 has no bfloat16: gradients are scaled, adapters stay float32, and the losses are the same."""
    run(config)
    half = dataclasses.replace(half_precision(config), output=config.output + "-half")
    assert run(half).scaler["scale"] > 1
    losses = [[r["loss"] for r in rows_of(c) if "loss" in r] for c in (config, half)]
    assert losses[0] == pytest.approx(losses[1], rel=0.01)


def test_an_overflow_in_float16_leaves_a_step_out(config: Config) -> None:
    """The scale is halved until it fits; one NaN in the loss still ends the run."""
    job = awake(half_precision(config))
    job.scaler.load_state_dict({**job.scaler.state_dict(), "scale": 1e30})
    before = [p.detach().clone() for p in job.learner.parameters]
    state = loop.Run()
    loss = loop.backward(job, job.data.train[:4])
    assert not math.isfinite(loop.step(job, state, loss, 1e-3))
    assert state.skipped == 1
    assert job.scaler.get_scale() < 1e30
    assert all(map(torch.equal, before, job.learner.parameters))


def run(config: Config, *, resume: bool = False, allow: str = "") -> loop.Run:
    """Load everything anew, as a new process would, and train."""
    return loop.train(load(config), resume=resume, allow=frozenset(allow.split(",")) - {""})


def rows_of(config: Config) -> list[dict[str, Any]]:
    """Return the rows of a run's training.jsonl."""
    return read_rows(Path(config.output) / "training.jsonl")


def digest(config: Config) -> str:
    """Return the hash of the last checkpoint's tensors: adapter, optimizer and random state."""
    (path,) = Path(config.output).glob("checkpoints/step-000008")
    return hashlib.sha256((path / "state.safetensors").read_bytes()).hexdigest()


def test_a_resumed_run_is_the_same_run_bit_for_bit(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed after step 5, it goes on from checkpoint 4 and ends in the very same tensors and rows."""
    run(config)
    torn = dataclasses.replace(config, output=config.output + "-torn")
    steps: list[int] = []
    real: Callable[..., float] = loop.backward

    def dies(*arguments: Any) -> float:
        steps.append(1)
        if len(steps) == 6:
            raise SystemExit("killed")
        return real(*arguments)

    monkeypatch.setattr(loop, "backward", dies)
    with pytest.raises(SystemExit):
        run(torn)
    monkeypatch.setattr(loop, "backward", real)
    resumed = run(torn, resume=True)
    assert resumed.step == 8
    assert digest(torn) == digest(config)
    facts = ("step", "loss", "eval_loss", "lr", "norm", "tokens")
    rows = [[[row.get(fact) for fact in facts] for row in rows_of(c)] for c in (config, torn)]
    assert rows[0] == rows[1]


def test_a_changed_run_is_not_resumed_unless_allowed_by_name(config: Config, tmp_path: Path) -> None:
    """Another learning rate or other rows are refused by name, with both values; --allow takes them."""
    run(config)
    other = dataclasses.replace(config, optimizer=dataclasses.replace(config.optimizer, lr=1e-3))
    with pytest.raises(ConfigError, match=r"(?s)optimizer\.lr: 0\.0002 -> 0\.001.*--allow optimizer\.lr"):
        run(other, resume=True)
    assert run(other, resume=True, allow="optimizer.lr").step == 8
    with (tmp_path / "train.jsonl").open("a") as file:
        file.write(json.dumps({"input": "New?", "output": "Yes."}) + "\n")
    with pytest.raises(ConfigError, match=r"data\.files: other rows than before"):
        run(config, resume=True)
    assert run(config, resume=True, allow="data.files").step == 8
    with pytest.raises(ConfigError, match=r"--allow data\.file: no such key; did you mean 'data\.files'"):
        run(config, resume=True, allow="data.file")


def test_another_rank_cannot_be_allowed(config: Config) -> None:
    """The checkpoint's tensors would not fit; the way out is another folder."""
    run(config)
    other = dataclasses.replace(config, lora=Lora(r=2, alpha=8.0))
    with pytest.raises(ConfigError, match=r"(?s)lora\.r: 4 -> 2\ntake it back, or train anew [^,]*$"):
        run(other, resume=True, allow="lora.r")


def test_other_weights_under_the_same_name_are_another_base(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was loaded counts, not what was asked for."""
    run(config)
    monkeypatch.setattr("fsmbot.doctor.base.LOCAL_REVISION", "another")
    with pytest.raises(ConfigError, match=r"base\.weights: local -> another"):
        run(config, resume=True)


def test_a_run_goes_on_in_another_precision_if_allowed(config: Config) -> None:
    """From a card with bfloat16 to one without: the loss scale starts afresh."""
    run(dataclasses.replace(config, steps=dataclasses.replace(config.steps, steps=4)))
    assert run(half_precision(config), resume=True, allow="base.compute,steps.steps").step == 8


def test_when_every_checkpoint_is_damaged_nothing_is_overwritten(config: Config) -> None:
    """The run is not silently begun anew, and its rows stay."""
    run(config)
    for path in Path(config.output).glob("checkpoints/step-*"):
        (path / "state.json").write_text("{")
    rows = rows_of(config)
    with pytest.raises(ConfigError, match="every checkpoint is damaged; train anew into another"):
        run(config, resume=True)
    assert rows_of(config) == rows


def test_a_damaged_later_checkpoint_does_not_outlive_a_whole_one(config: Config) -> None:
    """Resumed from step 6, as 8 was damaged, the run removes 8 and keeps what it writes itself."""
    run(config)
    (Path(config.output) / "checkpoints" / "step-000008" / "state.safetensors").write_bytes(b"x")
    longer = dataclasses.replace(config, steps=dataclasses.replace(config.steps, steps=7, keep=1))
    assert run(longer, resume=True, allow="steps.steps,steps.keep").step == 7
    left = sorted(p.name for p in Path(config.output).glob("checkpoints/*-*"))
    assert left == ["best-000007", "step-000007"]


def test_patience_ends_a_run_with_a_checkpoint_and_survives_a_resume(config: Config) -> None:
    """After two evaluations without a better loss; resuming does not start the count again."""
    steps = dataclasses.replace(config.steps, steps=30, evaluate=1, checkpoint=0, patience=2)
    wild = dataclasses.replace(config.optimizer, lr=0.5, warmup=0.0)  # it can only get worse
    config = dataclasses.replace(config, steps=steps, optimizer=wild)
    ended = run(config)
    assert ended.worse == 2
    assert ended.step < 30
    assert (Path(config.output) / "checkpoints" / f"step-{ended.step:06d}").exists()
    assert run(config, resume=True).step == ended.step


@pytest.mark.filterwarnings("ignore:Paged optimizers are not supported on CPU")
@pytest.mark.parametrize("bits", [32, 8])
def test_an_optimizer_comes_back_bit_for_bit(bits: int) -> None:
    """AdamW and the paged one in 8 bits, whose tensors share memory and lie under another name."""
    from bitsandbytes.optim.adamw import PagedAdamW8bit

    def make() -> tuple[Any, list[Any]]:
        generator = torch.Generator().manual_seed(1)
        parameters = [torch.nn.Parameter(torch.randn(80, 64, generator=generator)) for _ in range(2)]
        return (PagedAdamW8bit if bits == 8 else torch.optim.AdamW)(parameters, lr=1e-2), parameters

    def step(optimizer: Any, parameters: list[Any], seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        for parameter in parameters:
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        optimizer.step()

    (first, one), (second, other) = make(), make()
    step(first, one, 2)
    tensors = optimizer_tensors(first)
    assert len({t.untyped_storage().data_ptr() for t in tensors.values()}) == len(tensors)
    load_optimizer(second, tensors)
    with torch.no_grad():
        for a, b in zip(one, other, strict=True):
            b.copy_(a)
    step(first, one, 3)
    step(second, other, 3)
    assert all(map(torch.equal, one, other))


def test_a_base_with_biases_keeps_them(config: Config, tiny_base: Path, tmp_path: Path) -> None:
    """As Qwen's attention has: the flat loss is that of the plain model."""
    from transformers import AutoConfig, LlamaForCausalLM

    shape = AutoConfig.from_pretrained(tiny_base, attention_bias=True)
    torch.manual_seed(5)
    model = LlamaForCausalLM(shape)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_()
    shutil.copytree(tiny_base, tmp_path / "biased")
    model.save_pretrained(tmp_path / "biased")
    biased = dataclasses.replace(config, base=BaseModel(str(tmp_path / "biased"), compute="float32"))
    job = load(biased)
    plain = load_base(biased.base.id, compute="float32", device="cpu").model.train()
    assert any(name.endswith("bias") for name, _ in plain.named_parameters())
    assert float(job.learner.loss(job.data.train[:3]).detach()) == pytest.approx(
        plain_loss(plain, job.data.train[:3]), rel=1e-4
    )


def test_a_base_that_computes_something_else_is_refused(config: Config) -> None:
    """Soft-capped logits and short windows would give a plausible, wrong loss."""
    job = load(config)
    for setting in ({"final_logit_softcapping": 30.0}, {"sliding_window": 64}):
        vars(job.learner.base.model.config).update(setting)
        with pytest.raises(ConfigError, match="which is not supported; take a Llama-like one"):
            Learner(config, job.learner.base)
        job.learner.base.model.config.final_logit_softcapping = None


@pytest.mark.parametrize("targets", [[], ["lm_head"], ["self_attn"], ["c_attn"]])
def test_layers_that_cannot_learn_are_refused(config: Config, targets: list[str]) -> None:
    """The message lists the layers that can."""
    with pytest.raises(ConfigError, match=r"lora\.targets: .*; it has down_proj, gate_proj, k_proj"):
        load(dataclasses.replace(config, lora=Lora(targets=targets)))


def test_no_checkpoint_asks_the_hub(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """peft would look up the base's page each time."""
    job = load(config)
    job.learner.save_adapter(make_folder(config))

    def asked(*_: Any, **__: Any) -> None:
        pytest.fail("the hub was asked")

    monkeypatch.setattr("peft.utils.save_and_load.check_file_exists_on_hf_hub", asked)
    job.learner.model.peft_config["default"].base_model_name_or_path = "some/model"
    job.learner.save_adapter(make_folder(config))
    assert json.loads((make_folder(config) / "adapter_config.json").read_text())["base_model_name_or_path"]


def make_folder(config: Config) -> Path:
    """Return the output folder, made if need be."""
    Path(config.output).mkdir(exist_ok=True)
    return Path(config.output)


def test_without_a_checkpoint_resume_starts_from_the_beginning(
    config: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    """So the same command serves before and after a first interruption."""
    assert run(config, resume=True).step == 8
    assert "no checkpoint yet; starting from the beginning" in capsys.readouterr().err


def test_a_base_too_large_for_the_memory_is_named(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the first step there is nothing to lower, so the base itself is what to change."""

    def load(*_: Any, **__: Any) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes")

    monkeypatch.setattr("trainer.model.load_base", load)
    with pytest.raises(ConfigError, match=r"base\.id: the base model does not fit into memory; .*plan"):
        load_learner(config)


def test_no_memory_left_says_what_to_lower(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a GPU and on a CPU alike; other errors are not mistaken for it."""
    words = ["CUDA out of memory. Tried to allocate", "DefaultCPUAllocator: can't allocate memory"]
    errors = [torch.OutOfMemoryError(words[0]), RuntimeError(words[1])]
    for error in errors:
        advice = r"step 8: out of memory.*--set steps\.micro_tokens=160"
        with pytest.raises(ConfigError, match=advice), memory_advice(config, lambda: 7):
            raise error
    with pytest.raises(RuntimeError, match="a bug"), memory_advice(config, lambda: 7):
        raise RuntimeError("a bug")


def test_training_lowers_the_loss(config: Config) -> None:
    """Forty steps on twelve dialogues are learnt by heart."""
    optimizer = dataclasses.replace(config.optimizer, lr=1e-2)
    steps = dataclasses.replace(config.steps, steps=40, evaluate=0)
    run(dataclasses.replace(config, optimizer=optimizer, steps=steps))
    losses = [row["loss"] for row in rows_of(config) if "loss" in row]
    assert sum(losses[-4:]) < 0.6 * sum(losses[:4])


def test_a_run_that_diverges_stops_and_says_what_to_change(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NaN never reaches a checkpoint."""
    monkeypatch.setattr(loop, "backward", lambda *_: float("nan"))
    with pytest.raises(ConfigError, match=r"step 1: the loss is nan .* --set optimizer\.lr="):
        run(config)
    assert not (Path(config.output) / "checkpoints").exists()


def test_a_finished_run_is_a_doctor_that_the_bot_loads(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The output folder is whole: adapter, card, resolved configuration, rows and picture."""
    monkeypatch.setattr(training, "load_config", lambda *_: config)
    folder = training.run_training(Path("c.yaml"))
    files = {path.name for path in folder.iterdir() if path.is_file()}
    assert files == {
        "README.md", "adapter_config.json", "adapter_model.safetensors", "doctor.json", "loss.png",
        "run.json", "training.jsonl",
    }  # fmt: skip
    doctor = LocalDoctor(adapter=folder, device="cpu")
    assert list(doctor.answer("What helps?", max_new_tokens=4))
    assert doctor.status.endswith("nf4 + adapter")


def test_a_run_stopped_early_is_no_doctor_yet(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C leaves checkpoints to resume from, also after an evaluation that was worse."""
    monkeypatch.setattr(training, "load_config", lambda *_: config)
    monkeypatch.setattr(training, "train", lambda *_, **__: loop.Run(step=4, best=1.0, worse=1))
    assert not (training.run_training(Path("c.yaml")) / "doctor.json").exists()
