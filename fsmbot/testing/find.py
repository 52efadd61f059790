"""Paths as a user names them -> test files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from fsmbot.errors import FlowError, Problem
from fsmbot.testing.script import SUFFIX


def is_script(path: Path) -> bool:
    """Whether a path is that of a test file, by its name."""
    return path.name.endswith(SUFFIX)


def find_scripts(path: Path) -> list[Path]:
    """Return the test files that a path names: itself, that beside a flow file, or all in a folder.

    Hidden folders are left out. Raises FlowError where there is none.
    """
    if path.is_dir():
        found = sorted(file for file in path.rglob(f"*{SUFFIX}") if not _is_hidden(file.relative_to(path)))
        if not found:
            raise _nothing(path, f"there is no test file in this folder; write one, named *{SUFFIX}")
        return found
    if not path.exists():
        raise _nothing(path, "the file cannot be read: No such file or directory")
    if is_script(path):
        return [path]
    beside = path.with_name(path.stem + SUFFIX)
    if not beside.exists():
        raise _nothing(
            path,
            f"this flow has no test file; write {beside}, or record it with /save-test in a conversation",
        )
    return [beside]


def find_all(paths: Iterable[Path]) -> tuple[list[Path], dict[str, str]]:
    """Return the test files of all paths, each once, and what is wrong with paths that have none."""
    found: dict[Path, Path] = {}
    broken: dict[str, str] = {}
    for path in paths:
        try:
            found |= {file.resolve(): file for file in find_scripts(path)}
        except FlowError as error:
            broken[str(path)] = str(error)
    return list(found.values()), broken


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _nothing(path: Path, why: str) -> FlowError:
    return FlowError(str(path), [Problem(1, 1, why)])
