"""Answers stream, end well, stop at once, and fail with a reason."""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from fsmbot.doctor import BrokenDoctor, FakeDoctor, LocalDoctor, generator
from fsmbot.doctor.artefact import Card, write_card
from fsmbot.doctor.base import load_base
from fsmbot.doctor.care import with_care
from fsmbot.doctor.claims import claims_to_be_a_doctor
from fsmbot.doctor.decode import Decoding, chooser, closing_tokens, decode
from fsmbot.doctor.generator import stream_text
from fsmbot.errors import DoctorError
from fsmbot.turn import Message


@pytest.fixture
def doctor(tiny_base: Path) -> LocalDoctor:
    """A doctor with the tiny random model."""
    return LocalDoctor(base=str(tiny_base), device="cpu")


class Letters:
    """Stands in for a prompt format: a token is the number of its byte."""

    def decode(self, ids: Sequence[int]) -> str:
        """Return the bytes as text."""
        return bytes(ids).decode("utf-8", "replace")


def streamed(text: str, limit: int = 1000) -> list[str]:
    """Stream a text's bytes as if a model had said them, up to a limit."""
    return list(stream_text(iter(text.encode()[:limit]), Letters(), limit))  # type: ignore[arg-type]


def test_an_answer_comes_piece_by_piece(doctor: LocalDoctor) -> None:
    """Tokens are passed on as they are made, and the same question gets the same answer."""
    first, second = (list(doctor.answer("What helps?", max_new_tokens=20)) for _ in "ab")
    assert len(first) > 3
    assert first == second


def test_a_seed_makes_another_answer(tiny_base: Path) -> None:
    """With a temperature the answer depends on the seed, and on nothing else."""

    def said(seed: int) -> str:
        warm = LocalDoctor(base=str(tiny_base), device="cpu", decoding=Decoding(temperature=1.0, seed=seed))
        return "".join(warm.answer("What helps?", max_new_tokens=20))

    assert said(1) == said(1) != said(2)


def test_history_reaches_the_model(doctor: LocalDoctor) -> None:
    """An answer depends on what was said before."""
    history = [Message("user", "cough"), Message("bot", "rest")]
    alone, within = (list(doctor.answer("What helps?", h, max_new_tokens=8)) for h in ((), history))
    assert alone != within


def test_greedy_decoding_is_what_transformers_generates(tiny_base: Path) -> None:
    """Our loop and `generate` choose the same tokens from the same model."""
    import torch

    base = load_base(str(tiny_base), device="cpu")
    ids = [5, 6, 7, 8]
    plain = Decoding(repetition_penalty=1.0, no_repeat_ngram=0)
    ours = list(decode(base.model, ids, {-1}, 12, plain))
    theirs = base.model.generate(
        torch.tensor([ids]), attention_mask=torch.ones(1, 4), max_new_tokens=12, min_new_tokens=12,
        do_sample=False, eos_token_id=None,
    )  # fmt: skip
    assert ours == theirs[0, 4:].tolist()


def test_no_phrase_is_said_twice() -> None:
    """The token that would complete a repeated n-gram cannot be chosen."""
    import torch

    assert closing_tokens([1, 2, 3, 1, 2], 3) == [3]
    assert closing_tokens([1, 2], 0) == closing_tokens([1], 3) == []
    scores = torch.tensor([0.0, 0.0, 0.0, 9.0, 1.0])
    choose = chooser(Decoding(repetition_penalty=1.0, no_repeat_ngram=3))
    assert (choose(scores, []), choose(scores, [1, 2, 3, 1, 2])) == (3, 4)


def test_repetition_is_made_dearer() -> None:
    """A token that was said loses to one that is nearly as likely, whatever the sign of its score."""
    import torch

    choose = chooser(Decoding(repetition_penalty=1.5, no_repeat_ngram=0))
    assert choose(torch.tensor([2.0, 1.9]), [0]) == 1
    assert choose(torch.tensor([-1.0, -1.1]), [0]) == 1


def test_a_character_is_passed_on_whole() -> None:
    """An emoji of four byte tokens arrives as one piece; a half one at the end is left out."""
    assert streamed("é🫀!") == ["é", "🫀", "!"]
    assert "".join(streamed("ab🫀", limit=4)) == "ab…"


def test_an_answer_cut_by_the_limit_ends_with_a_sentence() -> None:
    """The last, unfinished sentence is left out; an answer that ends by itself loses nothing."""
    text = "Drink much water. Rest a while. Then call somebody who"
    assert "".join(streamed(text, limit=len(text))) == "Drink much water. Rest a while."
    assert "".join(streamed(text)) == text


def test_only_the_end_is_held_back() -> None:
    """Before the limit comes near, every piece is passed on at once."""
    assert streamed("Rest. Drink. Sleep", limit=1000)[:5] == list("Rest.")


def test_endless_text_says_that_it_broke_off() -> None:
    """Where no sentence ever ends, an ellipsis does."""
    assert "".join(streamed("a" * 100, limit=40)) == "a" * 40 + "…"


def test_closing_the_iterator_stops_the_model(doctor: LocalDoctor) -> None:
    """Ctrl-C in the middle: nothing is computed any more, and the next question is answered."""
    answer = doctor.answer("What helps?", max_new_tokens=10_000)
    next(answer)
    answer.close()  # type: ignore[attr-defined]
    assert list(doctor.answer("What helps?", max_new_tokens=3))


def test_waiting_for_the_model_can_be_interrupted(tiny_base: Path) -> None:
    """Ctrl-C works while the model loads."""
    script = (
        "import os, signal, threading, time; from fsmbot.doctor import LocalDoctor\n"
        "doctor = LocalDoctor(); doctor._load = lambda: time.sleep(60)\n"
        "threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "try: list(doctor.answer('x'))\n"
        "except KeyboardInterrupt: print('interrupted')"
    )
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=50)
    assert done.stdout == "interrupted\n"
    assert time.monotonic() - started < 30


def test_preloading_returns_at_once_and_loads_once(tiny_base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The status goes from "not loaded" over "loading" to the model's name."""
    go, loads = threading.Event(), []

    def slow(*arguments: Any, **settings: Any) -> Any:
        loads.append(arguments)
        go.wait(30)
        return load_base(*arguments, **settings)

    monkeypatch.setattr(generator, "load_base", slow)
    doctor = LocalDoctor(base=str(tiny_base), device="cpu")
    assert doctor.status == "not loaded"
    doctor.preload()
    doctor.preload()
    assert doctor.status == "loading"
    go.set()
    assert list(doctor.answer("x", max_new_tokens=2))
    assert doctor.status == f"{tiny_base.name} nf4"
    assert len(loads) == 1


def test_a_missing_model_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Every question raises DoctorError with the reason; the log has it a single time."""
    doctor = LocalDoctor(base=str(tmp_path / "nothing"))
    with caplog.at_level(logging.ERROR, "fsmbot.doctor"):
        for _ in range(3):
            with pytest.raises(DoctorError, match="does not exist"):
                list(doctor.answer("x"))
    assert len(caplog.records) == 1
    assert doctor.status == "unavailable"


def test_a_failure_half_way_keeps_what_came(doctor: LocalDoctor, monkeypatch: pytest.MonkeyPatch) -> None:
    """What torch raises in the middle becomes a DoctorError after the pieces so far."""

    def failing(*_: Any) -> Iterator[int]:
        yield from (70, 71)
        raise RuntimeError("out of memory")

    monkeypatch.setattr(generator, "decode", failing)
    answer = doctor.answer("x")
    assert next(answer)
    with pytest.raises(DoctorError, match="while answering: out of memory"):
        list(answer)


def make_adapter(tiny_base: Path, folder: Path, *, poison: bool = False) -> Path:
    """Write an artefact folder with a random LoRA adapter."""
    import torch
    from peft import LoraConfig, get_peft_model

    model = get_peft_model(
        load_base(str(tiny_base), device="cpu").model,
        LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False, task_type="CAUSAL_LM"),
    )
    if poison:
        with torch.no_grad():
            next(p for n, p in model.named_parameters() if "lora_A" in n).fill_(float("nan"))
    model.save_pretrained(folder)
    write_card(folder, Card(base=str(tiny_base), prompt_format="chat-template", system="Be brief."))
    return folder


def test_an_adapter_is_put_on(tiny_base: Path, tmp_path: Path, doctor: LocalDoctor) -> None:
    """The artefact folder's card chooses base and system prompt, and its adapter changes the answer."""
    adapted = LocalDoctor(adapter=str(make_adapter(tiny_base, tmp_path / "a")), device="cpu")
    said = "".join(adapted.answer("What helps?", max_new_tokens=12))
    assert adapted.status.endswith("nf4 + adapter")
    assert said != "".join(doctor.answer("What helps?", max_new_tokens=12))


def test_a_card_without_adapter_is_a_doctor_too(tiny_base: Path, tmp_path: Path) -> None:
    """An artefact folder may hold doctor.json alone."""
    write_card(tmp_path, Card(base=str(tiny_base)))
    doctor = LocalDoctor(adapter=str(tmp_path), device="cpu")
    assert list(doctor.answer("x", max_new_tokens=2))
    assert doctor.status == f"{tiny_base.name} nf4"


def test_a_damaged_adapter_is_refused(tiny_base: Path, tmp_path: Path) -> None:
    """NaN values and truncated files give a reason, not garbled answers."""
    folder = make_adapter(tiny_base, tmp_path / "nan", poison=True)
    with pytest.raises(DoctorError, match="not finite"):
        list(LocalDoctor(adapter=str(folder), device="cpu").answer("x"))
    weights = folder / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(DoctorError, match="cannot be used"):
        list(LocalDoctor(adapter=str(folder), device="cpu").answer("x"))


def test_an_adapter_for_another_prompt_format_is_refused(tiny_base: Path, tmp_path: Path) -> None:
    """A model must not be asked in a format that it was not trained on."""
    write_card(tmp_path, Card(base=str(tiny_base), prompt_format="llama-2"))
    with pytest.raises(DoctorError, match="prompt format 'llama-2'"):
        list(LocalDoctor(adapter=str(tmp_path), device="cpu").answer("x"))


CLAIMS = [
    "As a doctor, I recommend rest.", "I am a licensed physician.", "I'm Dr. Smith and I will help you.",
    "As your doctor I advise you to rest.", "In my practice I see this often.", "I am a real person.",
    "I have treated many patients with this.", "I am a cardiologist with 20 years of experience.",
    "Best regards, Dr. Jones.", "Dr. Sarah Lee", "I'm not an AI.", "My name is Dr. House.",
    "As an experienced healthcare professional, I can say it is fine.", "I've dealt with many patients.",
    "We may also require a blood test and a urinalysis.",
]  # fmt: skip
HONEST = [
    "You should see a doctor.", "I am not a doctor.", "I'm an AI, not a doctor.", "It acts as a barrier.",
    "I recommend that you see a doctor.", "Talk to a professional such as a doctor or nurse.",
    "As a general rule, drink water.", "Your doctor may say that I am wrong.",
    "As an AI for medical questions, I can help.",
    "I am an AI and cannot replace a doctor.", "I think you should ask your doctor.",
]  # fmt: skip


@pytest.mark.parametrize("sentence", CLAIMS)
def test_a_claim_to_be_a_doctor_is_left_out(sentence: str) -> None:
    """However the pieces fall, the sentence is not shown and its neighbours are."""
    assert claims_to_be_a_doctor(sentence)
    shown = "".join(with_care(f"Rest well. {sentence}\nDrink water."))
    assert shown.replace(" \n", "\n") == "Rest well.\nDrink water."


@pytest.mark.parametrize("sentence", HONEST)
def test_honest_sentences_are_kept(sentence: str) -> None:
    """Nothing is lost or changed where nothing is claimed."""
    text = f"Rest well. {sentence}\nDrink water."
    assert "".join(with_care(text)) == text


def test_only_the_sentences_of_the_notice_are_left_out() -> None:
    """The model need not say what is added anyhow; that it has several paragraphs changes nothing."""
    notice = "I am an AI.\n\nPlease see somebody."
    shown = "".join(with_care(["Rest well. Please see somebody. Drink water."], notice=notice))
    assert shown == "Rest well. Drink water."


def test_words_are_shown_before_their_sentence_ends() -> None:
    """Only a sentence that could become a claim is held back."""
    pieces = with_care(iter(["Water ", "helps ", "a lot", " against", " it."]))
    assert next(pieces) + next(pieces) == "Water helps"


def test_the_fakes_keep_the_protocol() -> None:
    """Fakes stream, look up, and break as told."""
    doctor: generator.Doctor = FakeDoctor({"cough": "Rest."})
    assert list(doctor.answer("cough")) == ["Rest."]
    broken = BrokenDoctor(after=1)
    answer = broken.answer("cough")
    assert next(answer) == "Rest. "
    with pytest.raises(DoctorError, match="broken"):
        next(answer)


def test_a_question_after_ctrl_c_while_loading_is_answered(tiny_base: Path) -> None:
    """The interrupt ends the wait, not the loading: the next question gets the model."""
    script = (
        "import os, signal, threading, time\n"
        "from fsmbot.doctor import LocalDoctor\n"
        f"doctor = LocalDoctor(base={str(tiny_base)!r}, device='cpu')\n"
        "read = doctor._read\n"
        "doctor._read = lambda: (time.sleep(2), read())[1]\n"
        "threading.Timer(1, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "try: list(doctor.answer('x'))\n"
        "except KeyboardInterrupt: print('stopped', flush=True)\n"
        "print(len(''.join(doctor.answer('x', max_new_tokens=8))) > 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=100)
    assert done.stdout.split() == ["stopped", "True"], done.stderr


def test_a_failure_to_load_is_tried_again_after_a_while(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder or a network that was mended is used by a later question, without a new start."""
    folder = tmp_path / "base"
    doctor = LocalDoctor(base=str(folder), device="cpu")
    with pytest.raises(DoctorError):
        list(doctor.answer("x"))
    shutil.copytree(tiny_base, folder)
    with pytest.raises(DoctorError):  # too soon
        list(doctor.answer("x"))
    monkeypatch.setattr(generator, "RETRY_SECONDS", -1.0)
    assert list(doctor.answer("x", max_new_tokens=4))


@pytest.mark.model
@pytest.mark.timeout(600)
def test_the_embedded_doctor_answers_for_real() -> None:
    """A fresh process gets the real base from the cache and streams whole sentences, quietly."""
    script = (
        "import resource\n"
        "from fsmbot.doctor import LocalDoctor\n"
        "pieces = LocalDoctor(device='cpu').answer('What helps against hay fever?', max_new_tokens=48)\n"
        "text = next(pieces)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)\n"
        "text += ''.join(pieces); print(len(text.split())); print(text.strip()[-1])"
    )
    fetched = subprocess.run([sys.executable, "-m", "fsmbot.doctor", "fetch"], capture_output=True, text=True)
    assert fetched.returncode == 0, fetched.stderr
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    gigabytes, words, last = done.stdout.split()
    assert done.stderr == ""
    assert float(gigabytes) < 2
    assert int(words) > 5
    assert last in ".!?…"
