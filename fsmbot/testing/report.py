"""What `fsmbot test` prints: a block for each failure, a line for each flow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fsmbot.testing.coverage import Coverage, coverage_of, walked
from fsmbot.testing.runner import Failure, ScriptResult
from fsmbot.text import safe_line

WIDTH = 1_000
"""Characters of a reply that are shown before it is cut."""


def block(failure: Failure) -> str:
    """Return a failure as three lines: where and what, expected, seen."""
    place = f"{failure.file}:{failure.line}:{failure.column}"
    return "\n".join(
        (
            f"{safe_line(place)}: {safe_line(failure.test)}: {safe_line(failure.what)}",
            f"  expected  {_shown(failure.expected)}",
            f"  seen      {_shown(failure.seen)}",
        )
    )


def _shown(text: str) -> str:
    line = safe_line(text)
    return line if len(line) <= WIDTH else f"{line[:WIDTH]}... ({len(line):,} characters)"


def coverage(results: Sequence[ScriptResult]) -> Coverage:
    """Return what several test files of one flow cover together."""
    flow = results[0].script.flow
    return coverage_of(flow, walked(flow, [event for result in results for event in result.events]))


def summary(results: Sequence[ScriptResult], covered: Coverage | None) -> Iterator[str]:
    """Yield the line of one flow, and what no test has walked; covered: None if that is not judged."""
    tests, failed = sum(len(r.results) for r in results), sum(r.failed for r in results)
    files = f" in {len(results)} files" if len(results) > 1 else ""
    left_out = sum(len(r.script.cases) for r in results) - tests
    parts = [f"{tests} test{'s' * (tests != 1)}{files}", f"{failed} failed"]
    if left_out:
        parts.insert(1, f"{left_out} left out")
    ending = "" if covered is None else f"; coverage {covered}"
    yield safe_line(f"{results[0].script.flow.source}: {', '.join(parts)}{ending}")
    for part in covered.missing if covered else ():
        yield safe_line(f"  not covered: {'node ' * isinstance(part, str)}{part}")
