"""`run_tests`: test files run from Python."""

from __future__ import annotations

from pathlib import Path

from fsmbot.testing.find import find_scripts
from fsmbot.testing.reader import read_script
from fsmbot.testing.runner import ScriptResult, run_script


def run_tests(path: str | Path) -> list[ScriptResult]:
    """Run a test file, the one beside a flow file, or all in a folder, and return the results.

        (result,) = run_tests("flows/doctor.yaml")
        assert result.failures == []
        assert result.coverage.percent == 100

    Raises FlowError where there is no test file, or a file is broken.
    """
    return [run_script(read_script(file)) for file in find_scripts(Path(path))]
