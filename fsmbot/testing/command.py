"""`fsmbot test`: runs test files, prints what was found, and judges coverage."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterable
from pathlib import Path

from fsmbot import logs
from fsmbot.errors import FlowError, FsmbotError
from fsmbot.testing.find import find_all
from fsmbot.testing.junit import write_junit
from fsmbot.testing.reader import read_script
from fsmbot.testing.report import block, coverage, summary
from fsmbot.testing.runner import ScriptResult, run_script
from fsmbot.text import safe

FAILED, BROKEN = 1, 2
"""The exit codes for a test that failed or too little coverage, and for a broken file."""


def test(options: Namespace) -> int:
    """Run what the command line names, and return the exit code."""
    if options.words and options.min_coverage is not None:
        raise FsmbotError(
            "-k runs some of the tests only, so --min-coverage cannot be judged; drop one of them"
        )
    lines: list[str] = []
    with logs.shown_by(lines.append):  # a stub that fails on purpose is no news
        results, broken = _run_all(options.paths, options.words)
    if any(result.failures for result in results):
        for line in lines:
            logs.to_stderr(line)
    for reason in broken.values():
        print(safe(reason), file=sys.stderr)
    code = max([_report(group, options) for group in _by_flow(results)], default=0)
    if options.junit is not None:
        write_junit(options.junit, results, broken)
    if options.words and not any(result.results for result in results):
        print(safe(f"fsmbot: no test has a name that contains '{options.words}'"), file=sys.stderr)
        return BROKEN
    return BROKEN if broken else code


def _run_all(paths: Iterable[Path], words: str) -> tuple[list[ScriptResult], dict[str, str]]:
    """Run every test file that can be read; also return why others cannot, by their names."""
    files, broken = find_all(paths)
    results = []
    for file in files:
        try:
            results.append(run_script(read_script(file), words))
        except FlowError as error:
            broken[str(file)] = error.pointed()
    return results, broken


def _by_flow(results: Iterable[ScriptResult]) -> list[list[ScriptResult]]:
    """Put the test files of one flow together, as they cover it together."""
    groups: dict[Path, list[ScriptResult]] = {}
    for result in results:
        groups.setdefault(Path(result.script.flow.source).resolve(), []).append(result)
    return list(groups.values())


def _report(group: list[ScriptResult], options: Namespace) -> int:
    """Print what came of one flow, and return the exit code that it asks for."""
    failures = [failure for result in group for failure in result.failures]
    for failure in failures:
        print(block(failure))
    covered = None if options.words else coverage(group)
    for line in summary(group, covered):
        print(line)
    least = options.min_coverage
    if covered is None or least is None or covered.percent >= least:
        return FAILED if failures else 0
    print(f"  coverage is {covered.percent:.1f}%, and at least {least:g}% is asked for")
    return FAILED
