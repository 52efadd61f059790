"""Results as JUnit XML, which continuous integration servers read."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping
from pathlib import Path

from fsmbot.private import write_private
from fsmbot.testing.report import block
from fsmbot.testing.runner import CaseResult, ScriptResult
from fsmbot.text import safe, safe_line


def write_junit(path: Path, results: Iterable[ScriptResult], broken: Mapping[str, str]) -> None:
    """Write a suite for each test file; broken: why some files could not be run, by their names.

    What was said and expected stands in it, so it is its owner's alone. Raises OSError.
    """
    root = ET.Element("testsuites", name="fsmbot")
    for result in results:
        _suite(root, result)
    for name, reason in broken.items():
        _broken(root, name, reason)
    for count in ("tests", "failures", "errors"):
        root.set(count, str(sum(int(suite.get(count, "0")) for suite in root)))
    ET.indent(root)
    told = ET.tostring(root, encoding="unicode")
    write_private(path, f"<?xml version='1.0' encoding='utf-8'?>\n{told}", overwrite=True)


def _suite(root: ET.Element, result: ScriptResult) -> None:
    seconds = sum(case.seconds for case in result.results)
    suite = ET.SubElement(
        root, "testsuite", name=safe_line(result.script.source), tests=str(len(result.results))
    )
    suite.attrib |= {"failures": str(result.failed), "errors": "0", "time": f"{seconds:.3f}"}
    for case in result.results:
        _case(suite, result.script.source, case)


def _case(suite: ET.Element, source: str, result: CaseResult) -> None:
    case = ET.SubElement(suite, "testcase", name=safe_line(result.case.name), classname=safe_line(source))
    case.attrib |= {
        "file": safe_line(source),
        "line": str(result.case.line),
        "time": f"{result.seconds:.3f}",
    }
    if result.failures:
        first = result.failures[0]
        message = safe_line(f"{first.what}: expected {first.expected}, seen {first.seen}")
        failure = ET.SubElement(case, "failure", message=message, type="failure")
        failure.text = "\n".join(map(block, result.failures))


def _broken(root: ET.Element, name: str, reason: str) -> None:
    """Add a suite for a file that could not be read, so that no server takes it for passed."""
    counts = {"tests": "1", "failures": "0", "errors": "1", "time": "0.000"}
    suite = ET.SubElement(root, "testsuite", {"name": safe_line(name), **counts})
    case = ET.SubElement(
        suite, "testcase", name="the file is read", classname=safe_line(name), file=safe_line(name)
    )
    case.attrib |= {"line": "1", "time": "0.000"}
    error = ET.SubElement(case, "error", message=safe_line(reason.partition("\n")[0]), type="error")
    error.text = safe(reason)
