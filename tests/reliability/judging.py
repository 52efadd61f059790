"""What any file must come to, however hostile: a flow, or a refusal whose every line names a place in a file.

The tests, the fuzzer and the bombs beside this judge by the same functions.
"""

from __future__ import annotations

import contextlib
import io
import re
from functools import cache
from pathlib import Path

from fsmbot import cli
from fsmbot.drawing.diagram import dot, mermaid
from fsmbot.errors import FlowError
from fsmbot.flow import Flow
from fsmbot.loader import load_flow
from fsmbot.testing.reader import read_script
from fsmbot.testing.script import SUFFIX

_PLACE = re.compile(r"(.+?):([1-9]\d*):([1-9]\d*): \S")
_LINE_END = re.compile("\r\n|[\n\r\x85\u2028\u2029]")

OK, REFUSED = 0, 2
"""The exit codes of `fsmbot check`."""


def judge(path: Path) -> bool:
    """Read a flow or test file as a program and as a user would; return whether it was accepted.

    Raises AssertionError where a promise is broken, and whatever gets out of fsmbot.
    """
    code, out, err = check(path)
    assert (code, bool(err)) in ((OK, False), (REFUSED, True)), f"exit code {code}: {out}{err}"
    assert_placed(err, excerpts=True)
    accepted = judge_loaded(path)
    assert accepted == (code == OK), f"only `check` thinks otherwise: {out}{err}"
    return accepted


def judge_loaded(path: Path) -> bool:
    """Read a file as a program would; return whether it was accepted."""
    found = load(path)
    if isinstance(found, FlowError):
        assert_placed(str(found))
        return False
    return all((mermaid(found), dot(found), found.fingerprint, found.steps))


def load(path: Path) -> Flow | FlowError:
    """Return the flow of a flow file, or that of a test file, or why there is none."""
    try:
        return read_script(path).flow if path.name.endswith(SUFFIX) else load_flow(path)
    except FlowError as error:
        return error


def check(path: Path) -> tuple[int, str, str]:
    """Run `fsmbot check` in this process; return exit code, standard output and standard error."""
    with (
        contextlib.redirect_stdout(io.StringIO()) as out,
        contextlib.redirect_stderr(io.StringIO()) as err,
    ):
        code = cli.main(["check", str(path)])
    return code, out.getvalue(), err.getvalue()


def assert_placed(text: str, *, excerpts: bool = False) -> None:
    """Every line begins with a file that exists, and a line and column that exist in it.

    excerpts: whether lines of the file stand between, set off by four spaces.
    """
    lines_of = cache(_lines)
    for line in text.splitlines():
        if excerpts and line.startswith("    "):
            continue
        found = _PLACE.match(line)
        assert found, f"this line names no place: {line[:300]!r}"
        lines, number, column = lines_of(found[1]), int(found[2]), int(found[3])
        assert number <= len(lines), f"the file has {len(lines)} lines: {line[:300]}"
        width = len(lines[number - 1])
        assert column <= width + 1, f"the line has {width} columns: {line[:300]}"


def _lines(name: str) -> list[str]:
    """Return the lines of a file as YAML 1.1 counts them."""
    data = Path(name).read_bytes()[:1_000_001]
    return _LINE_END.split(data.decode("utf-8-sig", "replace"))
