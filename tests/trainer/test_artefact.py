"""What becomes of a trained doctor: it is measured, merged, and explains itself; on a tiny Llama."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from fsmbot.doctor.base import load_base  # noqa: E402
from fsmbot.doctor.prompt import Prompt  # noqa: E402
from fsmbot.errors import ConfigError  # noqa: E402
from trainer import train as training  # noqa: E402
from trainer.cli import main  # noqa: E402
from trainer.evaluate import run_evaluation  # noqa: E402
from trainer.facts import read_evaluation  # noqa: E402
from trainer.merge import merge  # noqa: E402
from trainer.team import Team  # noqa: E402

YAML = """\
name: tiny
licence: mit
notes: Knows nothing.
output: {output}
base: {{id: {base}, compute: float32}}
data:
  max_tokens: 120
  train: [{{path: train.jsonl, name: Own rows, licence: CC0}}]
  eval: [{{path: eval.jsonl}}]
  test: [{{path: test.jsonl}}]
lora: {{r: 4, alpha: 8}}
optimizer: {{lr: 0.02}}
steps: {{batch: 4, steps: 30, micro_tokens: 480}}
"""

EVAL, TEST = "eval.jsonl (eval)", "test.jsonl (test)"

NEW = ["train", "--config", "{config}", "--set", "output={folder}/new"]


@pytest.fixture(scope="module")
def trained(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration beside the doctor that was trained by it, in `out`."""
    folder = tmp_path_factory.mktemp("trained")
    for name, start in (("train", 0), ("eval", 100), ("test", 200)):
        rows = [{"input": f"Is {n} bad?", "output": f"No, {n} is fine."} for n in range(start, start + 8)]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = folder / "config.yaml"
    config.write_text(YAML.format(output=folder / "out", base=tiny_base))
    training.run_training(config)
    return config


def test_an_evaluation_compares_base_and_doctor_on_every_held_out_set(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The doctor's loss is lower, the base's is what a plain forward pass gives, and the card shows both."""
    monkeypatch.setattr("trainer.evaluate.ANSWER_TOKENS", 8)
    rows = run_evaluation(trained, answers=2)
    found = {(row["set"], row["model"]): row for row in rows}
    assert set(found) == {(name, model) for name in (EVAL, TEST) for model in ("base", "doctor")}
    base, doctor = found[TEST, "base"], found[TEST, "doctor"]
    assert doctor["loss"] < 0.9 * base["loss"]
    assert base["answers"] == 2
    assert {"rouge_l", "repeated", "words", "ended"} <= set(base)
    card = (trained.parent / "out" / "README.md").read_text()
    assert f"| {TEST} | doctor | 8 | {doctor['loss']:.3f} |" in card


def test_an_adapter_is_measured_in_its_own_shape(trained: Path) -> None:
    """Whatever rank and system prompt the configuration says now."""
    as_was = run_evaluation(trained, answers=0)
    now = run_evaluation(trained, ["lora.r=2", "lora.alpha=1", "data.system=Be rude."], answers=0)
    assert now == as_was


def test_losses_measured_anew_keep_the_answers_figures(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answers take hours at 7 billion parameters; `--answers 0` must not throw them away."""
    monkeypatch.setattr("trainer.evaluate.ANSWER_TOKENS", 8)
    before = run_evaluation(trained, answers=1)
    assert run_evaluation(trained, answers=0) == before
    assert before[0]["answers"] == 1


def test_other_programs_may_read_the_weights(trained: Path) -> None:
    """Under another user too, as far as the folder's other files allow."""
    out = trained.parent / "out"
    modes = {path.stat().st_mode for path in out.rglob("*") if path.is_file() and path.name[0] != "."}
    assert len(modes) == 1


def test_another_adapter_has_no_figures_yet(trained: Path) -> None:
    """An evaluation belongs to the very adapter that it measured."""
    folder = trained.parent / "out"
    run_evaluation(trained, answers=0)
    assert read_evaluation(folder)
    weights = folder / "adapter_model.safetensors"
    before = weights.read_bytes()
    weights.write_bytes(before + b" ")
    assert read_evaluation(folder) == []
    weights.write_bytes(before)


def test_the_base_loss_is_that_of_a_plain_forward_pass(trained: Path, tiny_base: Path) -> None:
    """Transformers' own loss over the same labels agrees."""
    (row,) = [
        r
        for r in run_evaluation(trained, answers=0)
        if (r["set"], r["model"]) == ("eval.jsonl (eval)", "base")
    ]
    base = load_base(str(tiny_base), compute="float32", device="cpu")
    base.model.train()  # in evaluation mode bitsandbytes rounds more on some CPUs
    prompt, total, count = Prompt(base.tokenizer), 0.0, 0
    for n in range(100, 108):
        example = prompt.example(f"Is {n} bad?", f"No, {n} is fine.", budget=120)
        labels = [i if learnt else -100 for i, learnt in zip(example.ids, example.answer, strict=True)]
        with torch.no_grad():
            ids = torch.tensor([example.ids])
            total += float(base.model(input_ids=ids, labels=torch.tensor([labels])).loss) * sum(
                example.answer
            )
        count += sum(example.answer)
    assert row["loss"] == pytest.approx(total / count, rel=1e-4)


def test_a_merged_model_is_base_and_adapter_in_one(trained: Path, tmp_path: Path) -> None:
    """It loads without peft or bitsandbytes and says nearly the same; the line says how nearly."""
    from transformers import AutoModelForCausalLM

    line = merge(trained.parent / "out", tmp_path / "merged", dtype="float16")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    assert next(model.parameters()).dtype == torch.float16
    assert not hasattr(model.config, "quantization_config")
    divergence = float(line.split("divergence ")[1].split()[0])
    assert 0 <= divergence < 1e-3
    with pytest.raises(ConfigError, match="exists already"):
        merge(trained.parent / "out", tmp_path / "merged")


def test_the_card_tells_where_the_doctor_comes_from(trained: Path, tiny_base: Path) -> None:
    """Base, data with licences, parameters, seed, limits; with the header that the hub reads."""
    card = (trained.parent / "out" / "README.md").read_text()
    assert card.startswith(f"---\nbase_model: {tiny_base}\nlibrary_name: peft")
    for part in (
        "license: mit",
        "| Own rows | CC0 | all | 1 |",
        "LoRA r=4, alpha=8",
        "seed 1",
        "Knows nothing.",
    ):
        assert part in card
    run = json.loads((trained.parent / "out" / "run.json").read_text())
    assert run["config"]["lora"]["r"] == 4


def test_a_finished_doctor_is_not_trained_over(trained: Path, tmp_path: Path) -> None:
    """Also when its checkpoints were deleted, and with --resume."""
    (tmp_path / "adapter_model.safetensors").touch()
    for options in (training.Options(), training.Options(resume=True)):
        with pytest.raises(ConfigError, match="holds a finished doctor without its checkpoints"):
            training.run_training(trained, [f"output={tmp_path}"], options)


def test_a_readme_that_no_run_wrote_is_not_overwritten(trained: Path, tmp_path: Path) -> None:
    """`output: .` in a repository would else replace its front page by a model card."""
    (tmp_path / "README.md").write_text("my own notes")
    with pytest.raises(ConfigError, match=r"README\.md is no run's, and would be overwritten"):
        training.run_training(trained, [f"output={tmp_path}"])
    assert (tmp_path / "README.md").read_text() == "my own notes"


def test_two_runs_do_not_share_a_folder(trained: Path, tmp_path: Path) -> None:
    """The second is told that another one is at work."""
    other = pytest.raises(ConfigError, match="another run is writing into")
    with training.alone(tmp_path, Team("cpu")), other:
        training.run_training(trained, [f"output={tmp_path}"])


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["evaluate", "--config", "{config}", "--adapter", "{folder}"], "holds no adapter; train first"),
        (["merge", "--adapter", "{folder}", "--out", "{folder}/x"], "holds no adapter"),
        (["train", "--config", "{config}", "--allow", "optimizer.lr"], "holds checkpoints of a run"),
        ([*NEW, "--allow", "optimizer.lr"], "give it with --resume"),
        ([*NEW, "--set", "data.max_tokens=9999", "--set", "steps.micro_tokens=9999"], "the base reads"),
        ([*NEW, "--set", "data.shared=maybe"], "data.shared: expected 'refuse' or 'drop' or 'allow', not"),
        ([*NEW, "--set", "data.train=[{{path: a, hub: b}}]"], "data.train[0]: expected either `path` or"),
        (
            [*NEW, "--set", "data.train=[{{path: train.jsonl, part: {{start: 0.9, end: 0.1}}}}]"],
            "must lie below",
        ),
        ([*NEW, "--set", "data.train=[{{path: train.jsonl, where: {{x: [a]}}}}]"], "no column of text: 'x'"),
        (["merge", "--adapter", "{folder}/out", "--out", "/proc/x/y"], "/proc/x/y cannot be made"),
        ([*NEW, "--set", "data.max_tokens=60", "--set", "steps.micro_tokens=60"], "takes 66 without"),
        (["train", "--config", "{config}"], "holds checkpoints of a run; go on with --resume"),
        (["train", "--config", "{folder}/none.yaml"], "none.yaml: cannot be read"),
    ],
)
def test_mistakes_get_one_message_and_exit_code_2(
    trained: Path, command: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """No traceback; the message names the file and what to do."""
    words = [word.format(config=trained, folder=trained.parent) for word in command]
    assert main(words) == 2
    assert message in capsys.readouterr().err
