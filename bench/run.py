"""Measure, print tables, and keep the figures.

    python bench/run.py [--quick] [--out FOLDER] [SUBJECT ...]
    python bench/run.py --report      RESULTS.md, plots and the README's figures anew from results.json
    python bench/run.py --readme      the README's figures alone

Without a subject: all but `training`, which takes long. A subject is a module of this folder with a
function `measure(quick) -> Measured`; what it measures takes the place of what results.json has of it.
A quick run shows in some minutes that all of it works; its rough figures go to runs/bench, not here.
"""

from __future__ import annotations

import argparse
import importlib
import multiprocessing
import sys
import traceback
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))  # the checkout, not what is installed

from suite import markdown, plots, readme  # noqa: E402
from suite.machine import SCRATCH, stamp  # noqa: E402
from suite.results import Measured, load, merge  # noqa: E402
from suite.targets import TARGETS, verdicts  # noqa: E402

SUBJECTS = ("engine", "start", "gate", "answering", "scale", "quality", "training")
LONG = ("training",)


def measure(subject: str, quick: bool, out: Path) -> None:
    """Measure one subject, print its tables, and keep its figures."""
    print(f"\n## {subject}\n", flush=True)
    module = importlib.import_module(subject)
    command = ["python", "bench/run.py", *(["--quick"] if quick else []), subject]
    noted = stamp(command, quick)
    measured: Measured = module.measure(quick)
    for table in measured.tables.values():
        print(f"### {table.title}\n\n{markdown.table(table)}\n")
    for series in measured.series.values():
        print(f"### {series.title}\n\n{markdown.growth(series)}\n", flush=True)
    merge(out, subject, noted, measured)


def tried(subject: str, quick: bool, out: Path) -> bool:
    """Measure one subject; a failure is shown, and is not to cost the figures of the others."""
    try:
        measure(subject, quick, out)
    except Exception:
        traceback.print_exc()
        return False
    return True


def write_report(out: Path) -> None:
    """Write RESULTS.md and the plots, here the README's figures too, and print what became of the targets."""
    known = load(out)
    drawn = {subject: plots.draw(subject, Measured.read(stored), out) for subject, stored in known.items()}
    found = verdicts(known, TARGETS)
    (out / "RESULTS.md").write_text(markdown.report(known, found, drawn), encoding="utf-8")
    if out.resolve() == HERE.resolve():
        readme.renew(known)
    print(f"## targets\n\n{markdown.targets(found)}\n\n{out / 'RESULTS.md'} is written")


def subject(name: str) -> str:
    """Return the name of a subject that there is."""
    if name not in SUBJECTS:
        raise argparse.ArgumentTypeError(f"there is no subject '{name}'; known: {', '.join(SUBJECTS)}")
    return name


def parsed() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description="Measure, print tables, and keep the figures.",
        epilog="It renews results.json, RESULTS.md and plots in --out, and for bench the README's tables.",
    )
    about = f"of {', '.join(SUBJECTS)}; without any: all but {', '.join(LONG)}, which takes long"
    parser.add_argument("subjects", nargs="*", type=subject, metavar="SUBJECT", help=about)
    parser.add_argument("--quick", action="store_true", help="a few rounds, to see that all works")
    parser.add_argument("--out", type=Path, help="where results.json is (bench; runs/bench for a quick run)")
    parser.add_argument("--report", action="store_true", help="measure nothing, write RESULTS.md and plots")
    parser.add_argument("--readme", action="store_true", help="measure nothing, renew the README's tables")
    options = parser.parse_args()
    options.out = options.out or (SCRATCH if options.quick else HERE)
    if options.quick and options.out.resolve() == HERE.resolve():
        parser.error("the figures of a quick run are rough, so they do not go into bench")
    if options.subjects and (options.report or options.readme):
        parser.error("--report and --readme measure nothing, so leave the subjects out")
    return options


def apart(name: str, quick: bool, out: Path) -> bool:
    """Measure one subject in a process of its own: what others have loaded would count as its memory."""
    process = multiprocessing.get_context("spawn").Process(target=alone, args=(name, quick, out))
    process.start()
    process.join()
    return process.exitcode == 0


def alone(name: str, quick: bool, out: Path) -> None:
    """Measure one subject, and end with an exit code."""
    sys.exit(0 if tried(name, quick, out) else 1)


def main() -> None:
    """Do what the command line asks."""
    options = parsed()
    if options.readme:
        readme.renew(load(options.out))
        return
    options.out.mkdir(parents=True, exist_ok=True)
    wanted = options.subjects or [name for name in SUBJECTS if name not in LONG]
    failed = [] if options.report else [n for n in wanted if not apart(n, options.quick, options.out)]
    write_report(options.out)
    sys.exit(f"not measured: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
