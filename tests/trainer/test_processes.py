"""The trainer as a process: two of them are as one, Ctrl-C saves, and kills lose nothing."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("accelerate")

from trainer.checkpoint import latest
from trainer.cli import main
from trainer.report import read_rows

YAML = """\
output: {output}
base: {{id: {base}, compute: float32}}
data: {{max_tokens: 120, train: [{{path: train.jsonl}}], eval: [{{path: eval.jsonl}}]}}
lora: {{r: 4, alpha: 8}}
optimizer: {{lr: 0.005}}
steps: {{batch: 4, steps: {steps}, micro_tokens: 240, evaluate: 7, checkpoint: {checkpoint}}}
"""
TRAIN = [sys.executable, "-m", "trainer", "train", "--config"]
LAUNCH = [
    sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2",
    "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0",
    "-m", "trainer", "train", "--config",
]  # fmt: skip


def configure(folder: Path, base: Path, name: str, *, steps: int = 10, checkpoint: int = 1) -> Path:
    """Write a configuration of 13 dialogues, in lengths that do not split evenly; return its path."""
    rows = [{"input": f"Is {n} bad? " * (1 + n % 3), "output": f"No, {n} is fine."} for n in range(13)]
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "eval.jsonl").write_text(json.dumps({"input": "And 77?", "output": "Fine too."}) + "\n")
    path = folder / f"{name}.yaml"
    path.write_text(YAML.format(output=folder / name, base=base, steps=steps, checkpoint=checkpoint))
    return path


def environment() -> dict[str, str]:
    """Return an environment where two processes do not fight for two cores."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}


def run(command: list[str], *more: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run([*command, *more], env=environment(), capture_output=True, text=True)


def losses(folder: Path) -> list[float]:
    """Return what a run's rows say of loss, training and held out."""
    return [row.get("loss", row.get("eval_loss")) for row in read_rows(folder / "training.jsonl")]


def adapter_hash(folder: Path) -> str:
    """Return the sha256 of a finished run's adapter."""
    return hashlib.sha256((folder / "adapter_model.safetensors").read_bytes()).hexdigest()


def test_two_processes_give_the_loss_curve_of_one(tiny_base: Path, tmp_path: Path) -> None:
    """At the same global batch, step by step and held out, and only one of them writes and speaks."""
    alone = run(TRAIN, str(configure(tmp_path, tiny_base, "alone")))
    both = run(LAUNCH, str(configure(tmp_path, tiny_base, "both")))
    assert (alone.returncode, both.returncode) == (0, 0), both.stderr
    assert losses(tmp_path / "both") == pytest.approx(losses(tmp_path / "alone"), abs=2e-4)
    assert len(losses(tmp_path / "both")) == 12
    assert both.stderr.count("wrote ") == 1


def test_ctrl_c_finishes_the_step_saves_and_says_how_to_go_on(tiny_base: Path, tmp_path: Path) -> None:
    """The run that goes on ends in the same bits as one that was never stopped."""
    config = configure(tmp_path, tiny_base, "stopped", steps=400, checkpoint=0)
    process = subprocess.Popen([*TRAIN, str(config)], env=environment(), stderr=subprocess.PIPE, text=True)
    wait_for_rows(tmp_path / "stopped", 5)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "of 400; go on with --resume" in told
    (kept,) = (tmp_path / "stopped" / "checkpoints").glob("step-*")
    assert read_rows(tmp_path / "stopped" / "training.jsonl")[-1]["step"] == int(kept.name[5:])
    assert f"resumed from {kept}" in run(TRAIN, str(config), "--resume").stderr
    assert run(TRAIN, str(configure(tmp_path, tiny_base, "whole", steps=400, checkpoint=0))).returncode == 0
    assert adapter_hash(tmp_path / "stopped") == adapter_hash(tmp_path / "whole")


def wait_for_rows(folder: Path, count: int, process: subprocess.Popen[str] | None = None) -> None:
    """Wait until a run has made so many steps, or has ended."""
    until = time.monotonic() + 100
    while len(read_rows(folder / "training.jsonl")) < count:
        assert time.monotonic() < until, "the run makes no steps"
        if process is not None and process.poll() is not None:
            return
        time.sleep(0.02)


def kill_and_resume(config: Path, folder: Path, kills: int, seed: int) -> list[int]:
    """Kill a run at random instants, resuming it each time; return the steps it was resumed from."""
    generator, steps = random.Random(seed), []
    for _ in range(kills):
        before = len(read_rows(folder / "training.jsonl"))
        command = [*TRAIN, str(config), "--resume"]
        process = subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE, text=True)
        while process.poll() is None and len(read_rows(folder / "training.jsonl")) in (0, before):
            time.sleep(0.01)  # the rows change when the loop begins
        time.sleep(generator.uniform(0, 1.5))
        process.kill()
        _, told = process.communicate()
        assert "Traceback" not in told, told
        assert "damaged" not in told, told
        resumed = [int(line.split("step ")[-1]) for line in told.splitlines() if line.startswith("resumed")]
        steps += resumed or [0]
    return steps


class GatedHub(BaseHTTPRequestHandler):
    """A hub whose every model is gated."""

    def do_GET(self) -> None:
        """Refuse, in the words of the hub's API."""
        self.send_response(401)
        self.send_header("X-Error-Code", "GatedRepo")
        self.send_header("X-Error-Message", "Access to this model is restricted.")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


def test_a_gated_model_without_a_token_is_one_clear_message(tiny_base: Path, tmp_path: Path) -> None:
    """The hub's own client, talking to a hub that refuses; exit code 2, the id, and what to do."""
    with ThreadingHTTPServer(("127.0.0.1", 0), GatedHub) as hub:
        threading.Thread(target=hub.serve_forever, daemon=True).start()
        config = configure(tmp_path, tiny_base, "gated")
        hidden = {"HF_ENDPOINT": f"http://127.0.0.1:{hub.server_port}", "HF_HOME": str(tmp_path / "hf")}
        command = [*TRAIN, str(config), "--set", "base.id=meta-llama/Llama-2-7b-hf"]
        environ = {**environment(), **hidden, "XDG_CACHE_HOME": str(tmp_path / "cache")}
        done = subprocess.run(command, env=environ, capture_output=True, text=True)
        hub.shutdown()
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "base.id: the base model 'meta-llama/Llama-2-7b-hf' is gated: accept its licence" in line


@pytest.mark.parametrize("name", [".training.jsonl.tmp", "doctor.json", "run.json"])
def test_a_file_that_cannot_be_written_is_one_clear_message(
    tiny_base: Path, tmp_path: Path, name: str
) -> None:
    """A full disk under any file of the artefact; the checkpoints before it stay."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / name).symlink_to("/dev/full")
    done = run(TRAIN, str(configure(tmp_path, tiny_base, "full", steps=2)), "--resume")
    assert done.returncode == 2, done.stderr
    assert "cannot be written: " in done.stderr  # on some systems "no space", on others "invalid argument"
    assert "Traceback" not in done.stderr


@pytest.mark.hard
@pytest.mark.timeout(1800)
def test_thirty_kills_always_leave_a_whole_checkpoint(tiny_base: Path, tmp_path: Path) -> None:
    """Each resume goes on from a whole checkpoint, never from an older one than the last time."""
    config = configure(tmp_path, tiny_base, "killed", steps=5000)
    steps = kill_and_resume(config, tmp_path / "killed", 30, seed=3)
    print(f"\n30 kills, resumed from the steps {steps}")
    assert steps == sorted(steps)
    assert steps[1] > 0
    assert len(set(steps)) > 20
    assert latest(tmp_path / "killed" / "checkpoints", pytest.fail) is not None


@pytest.mark.hard
@pytest.mark.timeout(1800)
def test_a_run_killed_five_times_ends_in_the_same_adapter(tiny_base: Path, tmp_path: Path) -> None:
    """Bit for bit the adapter of a run that nobody disturbed."""
    killed = configure(tmp_path, tiny_base, "killed", steps=600, checkpoint=5)
    steps = kill_and_resume(killed, tmp_path / "killed", 5, seed=4)
    assert run(TRAIN, str(killed), "--resume").returncode == 0
    assert run(TRAIN, str(configure(tmp_path, tiny_base, "whole", steps=600, checkpoint=5))).returncode == 0
    hashes = [adapter_hash(tmp_path / name) for name in ("killed", "whole")]
    print(f"\nkilled and resumed from the steps {steps}: {hashes[0][:16]}, undisturbed: {hashes[1][:16]}")
    assert max(steps) > 0
    assert hashes[0] == hashes[1]


def test_each_of_several_processes_says_which_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same mistake stops them all; told twice, it should not look like two mistakes."""
    monkeypatch.setenv("RANK", "1")
    assert main(["train", "--config", "nowhere.yaml"]) == 2
    assert capsys.readouterr().err.startswith("trainer train (process 1): nowhere.yaml")
