"""pytest runs `*.test.yaml` files: a test each, without any Python.

With fsmbot installed, pytest finds this by itself. Handlers of your own are imported when the first
test file is collected; name their modules in pytest's configuration:

    [pytest]
    fsmbot_handlers = my_handlers
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from fsmbot.testing.runner import Failure
    from fsmbot.testing.script import Case, Script

SUFFIX = ".test.yaml"  # not from fsmbot.testing.script: every run of pytest imports this module
_IMPORTED = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Announce the option of the configuration file."""
    parser.addini("fsmbot_handlers", "modules with handlers for fsmbot's *.test.yaml files", type="linelist")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> ScriptFile | None:
    """Take every test file."""
    if file_path.name.endswith(SUFFIX):
        return ScriptFile.from_parent(parent, path=file_path)
    return None


class CaseFailed(Exception):
    """A test did not go as expected; shown as `fsmbot test` shows it."""

    def __init__(self, failures: Iterable[Failure]) -> None:
        from fsmbot.testing.report import block

        super().__init__("\n".join(map(block, failures)))


class ScriptFile(pytest.File):
    """A test file."""

    def collect(self) -> Iterable[CaseItem]:
        """Read the file; a mistake in it, or in its flow, is told with its place."""
        from fsmbot.errors import FsmbotError
        from fsmbot.testing.reader import read_script
        from fsmbot.text import safe, safe_line

        try:
            _import_handlers(self.config)
            script = read_script(self._shown_path())
        except FsmbotError as error:
            raise self.CollectError(safe(error.pointed())) from None
        for case in script.cases:
            yield CaseItem.from_parent(self, name=safe_line(case.name), script=script, case=case)

    def _shown_path(self) -> Path:
        """Return the path as a reader at the current folder would write it."""
        here = Path.cwd()
        return self.path.relative_to(here) if self.path.is_relative_to(here) else self.path


class CaseItem(pytest.Item):
    """One test of a test file."""

    def __init__(self, *, script: Script, case: Case, **options: Any) -> None:
        super().__init__(**options)
        self.script, self.case = script, case

    def runtest(self) -> None:
        """Play the conversation; raises CaseFailed."""
        from fsmbot.testing.runner import run_case

        result = run_case(self.script, self.case)
        if result.failures:
            raise CaseFailed(result.failures)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], *args: Any) -> Any:
        """Show a failed test without a traceback, as no Python of its author took part."""
        if isinstance(excinfo.value, CaseFailed):
            return str(excinfo.value)
        return super().repr_failure(excinfo, *args)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Return the place of the test; pytest counts lines from 0."""
        return self.path, self.case.line - 1, self.name


def _import_handlers(config: pytest.Config) -> None:
    """Import the configured handlers, once; raises RegistrationError for one that cannot be."""
    if config.stash.get(_IMPORTED, False):
        return
    import sys

    from fsmbot.registry import import_handlers

    root = str(config.rootpath)
    if root not in sys.path:
        sys.path.insert(0, root)
    for name in config.getini("fsmbot_handlers"):
        import_handlers(str(config.rootpath / name) if name.endswith(".py") else name)
    config.stash[_IMPORTED] = True
