"""The trainer's commands, as a table; each imports what it needs when it runs."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fsmbot.errors import FsmbotError
from trainer.terminal import say, show

DESCRIPTION = """Train what the bot knows. The doctor's adapter: plan, preview, train, evaluate, merge, in
this order. Its gate: vectors, evaluate-gate."""


@dataclass(frozen=True)
class Command:
    """One subcommand: its help line, its options, and what runs."""

    help: str
    options: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], None]


def _vectors_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, required=True, help="the YAML file to follow")
    parser.add_argument("--out", type=Path, help="folder to write (default: runs/<name>)")
    parser.add_argument("--data", type=Path, help="folder of the corpora (default: the config's)")


def _vectors(args: argparse.Namespace) -> None:
    from trainer.vectors import train_vectors

    train_vectors(args.config, out=args.out, data=args.data)


def _gate_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files", type=Path, nargs="+", metavar="FILE", help="messages: columns text and label"
    )
    parser.add_argument("--vectors", type=Path, help="folder of vectors and gate (default: the shipped one)")
    parser.add_argument("--threshold", type=_share, default=0.5, help="as in the flow (0.5)")
    parser.add_argument("--by", default="", metavar="COLUMN", help="break the figures down by a column")
    parser.add_argument("--worst", type=_count, default=10, metavar="N", help="mistakes to show (10)")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the scores, as .png, .svg or .pdf")


def _gate(args: argparse.Namespace) -> None:
    from trainer.gate_report import run_gate_evaluation

    parts = run_gate_evaluation(
        args.files, folder=args.vectors, threshold=args.threshold, by=args.by, count=args.worst,
        plot=args.plot,
    )  # fmt: skip
    for part in parts:
        show(part)


def _config_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, required=True, help="the YAML file to follow")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides",
        help="override a key of the configuration, such as lora.r=8 (may be repeated)",
    )  # fmt: skip


def _train_options(parser: argparse.ArgumentParser) -> None:
    _config_options(parser)
    parser.add_argument("--resume", action="store_true", help="go on from the last whole checkpoint")
    parser.add_argument(
        "--allow", action="append", default=[], metavar="KEY",
        help="with --resume: a key that may have changed, such as optimizer.lr or data.files",
    )  # fmt: skip
    parser.add_argument(
        "--dry-run", action="store_true", help="check configuration, base and data; train nothing"
    )
    parser.add_argument("--tensorboard", action="store_true", help="write events for TensorBoard as well")


def _train(args: argparse.Namespace) -> None:
    from trainer.train import Options, run_training

    allow = frozenset(key.strip() for keys in args.allow for key in keys.split(","))
    options = Options(args.resume, allow, args.dry_run, args.tensorboard)
    run_training(args.config, args.overrides, options)


def _preview_options(parser: argparse.ArgumentParser) -> None:
    _config_options(parser)
    parser.add_argument("--rows", type=_positive, default=3, help="how many examples to show (3)")


def _preview(args: argparse.Namespace) -> None:
    from trainer.train import preview

    preview(args.config, args.overrides, rows=args.rows, color=sys.stdout.isatty())


def _plan_options(parser: argparse.ArgumentParser) -> None:
    from trainer.devices import DEVICES

    _config_options(parser)
    known = ", ".join(DEVICES)
    parser.add_argument("--device", default="", help=f"one of {known} (default: this machine's)")


def _plan(args: argparse.Namespace) -> None:
    from trainer.plan import plan

    show(plan(args.config, args.overrides, device=args.device))


def _count(text: str) -> int:
    return _whole(text, 0)


def _positive(text: str) -> int:
    return _whole(text, 1)


def _whole(text: str, least: int) -> int:
    if not text.isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(f"expected a whole number, {least} or more, not '{text}'")
    return int(text)


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 1, not '{text}'")
    return share


def _evaluate_options(parser: argparse.ArgumentParser) -> None:
    _config_options(parser)
    parser.add_argument(
        "--adapter",
        type=Path,
        help="the doctor to measure, on its own base and system prompt (default: the config's output)",
    )
    parser.add_argument(
        "--answers", type=_count, default=100, metavar="N",
        help="dialogues of each set to answer, by base and by doctor (100; 0: losses only)",
    )  # fmt: skip


def _evaluate(args: argparse.Namespace) -> None:
    from trainer.evaluate import run_evaluation, table

    show(table(run_evaluation(args.config, args.overrides, adapter=args.adapter, answers=args.answers)))


def _merge_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--adapter", type=Path, required=True, help="the doctor to merge")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write")
    parser.add_argument("--dtype", choices=("bfloat16", "float16"), default="bfloat16", help="(bfloat16)")


def _merge(args: argparse.Namespace) -> None:
    from trainer.merge import merge

    show(merge(args.adapter, args.out, dtype=args.dtype))


COMMANDS = {
    "train": Command("fine-tune the doctor as a configuration says", _train_options, _train),
    "plan": Command("estimate memory and time before any weights are loaded", _plan_options, _plan),
    "preview": Command("show examples with the learnt tokens marked", _preview_options, _preview),
    "evaluate": Command("measure base and doctor on what was held out", _evaluate_options, _evaluate),
    "merge": Command("write base and adapter as one 16-bit model", _merge_options, _merge),
    "evaluate-gate": Command(
        "measure check_medical and check_greeting on labelled messages", _gate_options, _gate
    ),
    "vectors": Command("train word vectors and the medical gate", _vectors_options, _vectors),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return 0, 2 after a message on stderr that says what to mend, 130 after Ctrl-C,
    141 when nobody reads the output any more.
    """
    args = _parser().parse_args(argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that is not UTF-8 gets "?" for what it lacks
            stream.reconfigure(errors="replace")
    try:
        COMMANDS[args.command].run(args)
        sys.stdout.flush()
    except FsmbotError as error:
        say(f"trainer {args.command}{_process()}: {error}")
        return 2
    except KeyboardInterrupt:
        say(f"trainer {args.command}{_process()}: stopped")
        return 130
    except BrokenPipeError:  # the reader of the output, `head` perhaps, went away
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    return 0


def _process() -> str:
    """Return which of several launched processes speaks, since each tells of its own failure."""
    index = os.environ.get("RANK", "0")
    return f" (process {index})" if index != "0" else ""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m trainer", description=DESCRIPTION)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        command.options(commands.add_parser(name, help=command.help, description=command.help))
    return parser
