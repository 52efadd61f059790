"""What the reliability tests share: each marked test states a promise, and says what it reached.

`@pytest.mark.promise(point, promise)` names what is counted, and the fixture `reached` takes the
figure. All figures are printed after a run; `--figures FILE` writes each into a table as soon as it is
there, which is how tests/RELIABILITY.md is made by `make test-hard`. A run of some of the tests
replaces their lines alone.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import table

FIGURES = pytest.StashKey[table.Figures]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[FIGURES] = {}


@pytest.fixture
def reached(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """A function that takes what the test reached, in words and figures."""
    promise = request.node.get_closest_marker("promise")
    assert promise is not None, "a test that reports a figure is marked with its promise"

    def note(figure: str) -> None:
        request.config.stash[FIGURES][promise.args] = figure
        path = request.config.getoption("--figures")
        if path is not None:
            table.write(path, table.read(path) | {promise.args: figure})

    return note


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for line in table.rows(config.stash[FIGURES]):
        terminalreporter.write_line(line)
