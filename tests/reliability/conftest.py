"""What the reliability tests share: each marked test states a promise, and says what it reached.

`@pytest.mark.promise(point, promise)` names what is counted, and the fixture `reached` takes the
figure. All figures are printed after a run; `--figures FILE` writes them as a table, which is how
tests/RELIABILITY.md is made by `make test-hard`.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

FIGURES = pytest.StashKey[dict[tuple[int, str], str]]()

HEAD = """# What was counted

Written by `make test-hard`, which runs every test named here. The numbers of the points are those
under which the tests are grouped; each line is one test in `tests/reliability/`.

| point | promise | reached |
| --- | --- | --- |
"""


def pytest_configure(config: pytest.Config) -> None:
    config.stash[FIGURES] = {}


@pytest.fixture
def reached(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """A function that takes what the test reached, in words and figures."""
    promise = request.node.get_closest_marker("promise")
    assert promise is not None, "a test that reports a figure is marked with its promise"

    def note(figure: str) -> None:
        request.config.stash[FIGURES][promise.args] = figure

    return note


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    rows = [f"| {point} | {promise} | {told} |" for (point, promise), told in sorted(_figures(config))]
    for row in rows:
        terminalreporter.write_line(row)
    path = config.getoption("--figures")
    if path is not None:
        path.write_text(HEAD + "\n".join(rows) + "\n", encoding="utf-8")


def _figures(config: pytest.Config) -> list[tuple[tuple[int, str], str]]:
    return list(config.stash[FIGURES].items())
