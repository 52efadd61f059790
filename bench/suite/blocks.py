"""What the README shows of results.json: tables of templates, whose places figures fill (readme.py)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Block:
    """A table: its columns, and rows of words and of templates with places for figures.

    anywhere: whether the figures are the same on any machine.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    anywhere: bool = False


IN_MEMORY, DURABLE, IDLE, LARGE = (f"engine|{name}" for name in ("in memory", "durable", "idle", "large"))
CONVERSATION, TURN = "fsmbot: a conversation", "fsmbot: a turn"
COMMANDS, DOCTOR, GATE, PARTS = (
    "start|commands", "start|doctor", "gate|messages|fsmbot: check_medical", "gate|parts",
)  # fmt: skip
SPEED, ANSWER = "training|speed", "answering|speed"
LABELLED, HELD_OUT, EMERGENCIES, SHIPPED = (
    f"quality|{name}" for name in ("gate", "held out", "emergencies", "doctor")
)
TRAINERS = ("ours", "TRL", "TRL, packing", "transformers.Trainer", "a plain loop")

BLOCKS = {
    "use": Block(
        ("", ""),
        [
            (
                "the engine with stub handlers, in memory: a whole conversation / one more turn",
                f"{{{IN_MEMORY}|{CONVERSATION}|median}} / {{{IN_MEMORY}|{TURN}|median}} µs",
            ),
            (
                "the same in the fastest peer, transitions",
                f"{{{IN_MEMORY}|transitions: a conversation|median}} / "
                f"{{{IN_MEMORY}|transitions: a turn|median}} µs",
            ),
            ("a turn in LangGraph", f"{{{IN_MEMORY}|LangGraph: a turn|median}} µs"),
            (
                "a turn on disk in SQLite: fsmbot / its one write by hand",
                f"{{{DURABLE}|{TURN}|median*0.001}} / {{{DURABLE}|by hand: one write|median*0.001}} ms",
            ),
            (
                "a turn in LangGraph's SQLite saver / at durability='exit'",
                f"{{{DURABLE}|LangGraph: a turn|median*0.001}} / "
                f"{{{DURABLE}|LangGraph, durability='exit': a turn|median*0.001}} ms",
            ),
            ("an idle session besides its history", f"{{{IDLE}|fsmbot|bytes besides history}} bytes"),
            (
                "100,000 sessions in one process, started and answered once",
                f"{{{LARGE}|100,000 sessions started and answered once|seconds}} s, "
                f"{{{LARGE}|100,000 sessions started and answered once|MB}} MB",
            ),
            (
                "a flow of 10,000 nodes loaded and checked",
                f"{{{LARGE}|a flow of 10,000 nodes: load and check|seconds}} s",
            ),
            ("`import fsmbot`, over the bare interpreter", "{start|imports|fsmbot|over bare} ms"),
            (
                "`fsmbot --help` / `fsmbot check flows/doctor.yaml`",
                f"{{{COMMANDS}|fsmbot --help|median}} / "
                f"{{{COMMANDS}|fsmbot check flows/doctor.yaml|median}} ms",
            ),
            (
                "from the shell to the first prompt: fsmbot / `llm chat`",
                f"{{{COMMANDS}|first prompt|median}} / {{{COMMANDS}|llm chat: first prompt|median}} ms",
            ),
            (
                "from the shell to an answered greeting (no model is loaded)",
                f"{{{COMMANDS}|a greeting answered, piped|median}} ms",
            ),
            (
                "from Enter to the doctor's first words, model cached: asked at once / after 10 s of typing",
                f"{{{DOCTOR}|fsmbot: first words, asked at once|median*0.001}} / "
                f"{{{DOCTOR}|fsmbot: first words, after 10 s of typing|median*0.001}} s",
            ),
            (
                "the doctor's tokens/s, cores with AVX-512 and bfloat16: fsmbot / `transformers.generate`",
                f"{{{ANSWER}|fsmbot|tokens/s}} / {{{ANSWER}|transformers.generate|tokens/s}}",
            ),
            (
                "the same where cores lack these, by fsmbot's plain loop",
                f"{{{ANSWER}|fsmbot, the plain loop|tokens/s}}",
            ),
            (
                "the same by llama.cpp, without the adapter",
                f"{{{ANSWER}|llama.cpp (Q4_1, no adapter)|tokens/s}}",
            ),
            (
                "its first token after a prompt of 100 tokens, of which fsmbot has read the beginning "
                "before: fsmbot / `transformers.generate`",
                f"{{{ANSWER}|fsmbot|first token, ms}} / "
                f"{{{ANSWER}|transformers.generate|first token, ms}} ms",
            ),
            (
                "peak memory of a whole conversation with the doctor / without a question for it / of "
                "transformers and peft for one token",
                "{start|memory|fsmbot: a question answered|MB} / "
                "{start|memory|fsmbot: a greeting answered|MB} / "
                "{start|memory|transformers and peft: one token|MB} MB",
            ),
            ("`check_medical`, a message of 30 words", f"{{{GATE}|median}} µs"),
            (
                "the same by an encoder of MiniLM's shape / by TF-IDF, one thread each",
                "{gate|messages|MiniLM, transformers|median} / "
                "{gate|messages|TF-IDF, scikit-learn|median} µs",
            ),
            (
                "`check_medical`, a medical message / an everyday one, which the emergency rules read too",
                f"{{{PARTS}|check_medical|medical}} / {{{PARTS}|check_medical|everyday}} µs",
            ),
            (
                "the gate loaded; its memory; its files",
                "{gate|loading|fsmbot's gate|ms} ms; {gate|loading|fsmbot's gate|MB, a word misspelt} MB; "
                "{gate|loading|fsmbot's gate|files, MB} MB",
            ),
        ],
    ),
    "gate": Block(
        ("", "messages", "right, %"),
        [
            (words, f"{{{place}|{count}}}", f"{{{place}|{share}*100}}")
            for words, place, count, share in (
                ("written to be hard, kept from tuning", f"{LABELLED}|unseen", "messages", "accuracy"),
                ("of these, greetings", f"{LABELLED}|unseen", "greetings", "greeting"),
                (
                    "written to be hard, which helped to choose the method",
                    f"{LABELLED}|tuned",
                    "messages",
                    "accuracy",
                ),
                (
                    "patients' questions (doctor_qa_dev)",
                    f"{HELD_OUT}|doctor_qa_dev.jsonl.gz",
                    "texts",
                    "recall",
                ),
                (
                    "what is said to assistants (clinc150_val)",
                    f"{HELD_OUT}|clinc150_val.jsonl.gz",
                    "texts",
                    "recall",
                ),
            )
        ],
        anywhere=True,
    ),
    "emergencies": Block(
        ("", "messages", "taken for an emergency, %"),
        [
            (
                f"{name}, never looked at",
                f"{{{EMERGENCIES}|{name}, never looked at|messages}}",
                f"{{{EMERGENCIES}|{name}, never looked at|alarms, %}}",
            )
            for name in ("red flags", "self-harm", "harmless")
        ],
        anywhere=True,
    ),
    "doctor": Block(
        ("", "loss, base", "loss, doctor", "repeated 4-grams", "answers that end whole"),
        [
            (
                words,
                f"{{{SHIPPED}|{name}: base|loss}}",
                f"{{{SHIPPED}|{name}: doctor|loss}} (−{{{SHIPPED}|{name}: doctor|loss, lower by %}}%)",
                f"{{{SHIPPED}|{name}: doctor|repeated 4-grams, %}}%",
                f"{{{SHIPPED}|{name}: doctor|answers that end whole, %}}%",
            )
            for words, name in (
                ("patients' questions (doctor_qa_test)", "doctor_qa_test (test)"),
                ("MedQuAD, whole pages held out", "MedQuAD held out (test)"),
            )
        ],
        anywhere=True,
    ),
    "training": Block(
        ("", *TRAINERS),
        [
            (words, *(f"{{{SPEED}|{name}|{column}}}" if name != alone else "" for name in TRAINERS))
            for words, column, alone in (
                ("useful tokens/s (padding not counted)", "tokens/s", ""),
                ("ours is faster by, a pair of runs at a time", "ours is faster by", "ours"),
                ("peak memory of the process, MiB", "peak, MiB", ""),
            )
        ],
    ),
    "training-loss": Block(
        ("", ""),
        [
            (
                "how far the loss strays from a float32 loop without any of our shortcuts, at most",
                "{training|losses|largest difference|difference}",
            ),
            (
                "the share of a step that products with frozen weights take, which nothing exact can spare",
                "{training|profile|the floor: its products with frozen weights alone|share, %} %",
            ),
        ],
    ),
}
