"""Logging of the command line: one safe line a record, on stderr or where the REPL wants it."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterator

import pytest

from fsmbot import logs


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    """Take our handler out of the root logger again."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)
    logging.captureWarnings(False)


def test_a_record_is_one_safe_line_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    """Control characters and line breaks are gone, whoever logs."""
    logs.setup()
    logging.getLogger("fsmbot.doctor").error("no \x1b[31mmodel\nhere: %s", "\u202egnp")
    assert capsys.readouterr().err == "error: fsmbot.doctor: no \ufffd[31mmodel here: \ufffdgnp\n"


def test_setup_twice_is_setup_once(capsys: pytest.CaptureFixture[str]) -> None:
    """A line does not come twice."""
    logs.setup()
    logs.setup()
    logging.getLogger("fsmbot").warning("once")
    assert capsys.readouterr().err == "warning: fsmbot: once\n"


def test_what_is_no_warning_is_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """Info and debug stay silent."""
    logs.setup()
    logging.getLogger("fsmbot").info("chatter")
    assert capsys.readouterr().err == ""


def test_an_exception_is_named_without_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    """Type and message are enough for a user; a log has type and place, as the message may quote somebody."""
    shown: list[str] = []
    for write in (None, shown.append):
        logs.setup(write)
        try:
            raise ValueError("two\nlines")
        except ValueError:
            logging.getLogger("x").exception("it failed")
    assert re.fullmatch(r"error: x: it failed \(ValueError \(test_logs.py:\d+\)\)\n", capsys.readouterr().err)
    assert shown == ["error: x: it failed (ValueError: two lines)"]


def test_a_log_call_that_does_not_fit_is_shown_raw(capsys: pytest.CaptureFixture[str]) -> None:
    """A mistake in a library's logging causes no traceback."""
    logs.setup()
    record = logging.LogRecord("x", logging.ERROR, "x.py", 1, "%d apples", ("no",), None)
    for own in [h for h in logging.getLogger().handlers if isinstance(h, logs._Lines)]:
        own.handle(record)
    assert capsys.readouterr().err == "error: x: %d apples\n"


def test_lines_can_be_shown_elsewhere_for_a_while() -> None:
    """The REPL takes them over, and gives them back."""
    logs.setup()
    lines: list[str] = []
    with logs.shown_by(lines.append):
        logging.getLogger("x").error("one")
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            logging.captureWarnings(False)
            logging.captureWarnings(True)
            warnings.warn("two", stacklevel=1)
    logging.getLogger("x").error("three")
    assert lines[0] == "error: x: one"
    assert "two" in lines[1]
    assert len(lines) == 2
