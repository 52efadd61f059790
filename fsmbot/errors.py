"""Everything that can go wrong, as one small tree of errors whose facts are attributes.

    FsmbotError
    |-- FlowError           a flow file that cannot be used; .problems lists every mistake
    |-- RegistrationError   a handler or resource that breaks its contract or takes a taken name
    |-- StateError          a session asked for something its state does not allow
    |   `-- ConflictError   a stored session has gone on elsewhere
    |-- HandlerError        a handler raised; .flow .node .session, the cause in __cause__
    |   |-- StepLimitError  a turn that visited too many nodes; .cycle
    |   `-- OutcomeError    a handler returned an outcome that it does not declare; .outcome
    |-- ResourceError       something shared (a model, vectors, a store) cannot be had
    |   |-- MissingExtra    a package is not installed; .extra names what to install
    |   |-- VectorsError    word vectors that cannot be read
    |   |-- DoctorError     the doctor model cannot be had or failed
    |   `-- StoreError      sessions cannot be read or written
    |-- DrawingError        a flow cannot be drawn, or the path to mark in it not be read
    `-- ConfigError         a trainer configuration or data file that cannot be used

A message says what was expected, what was found, and what to do.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

import msgspec

EXCERPT = 100
"""Characters of a line that are shown with a mistake in it."""

LONGEST = 1_000
"""Characters of a mistake that are told; names in it may be of any length."""


class FsmbotError(Exception):
    """The root: `except FsmbotError` catches whatever this project raises on purpose."""

    def pointed(self) -> str:
        """Return the message; mistakes in a file come with the lines where they stand."""
        return str(self)

    def for_log(self) -> str:
        """Return the message without words that may be somebody's who talked."""
        return str(self)


class Problem(msgspec.Struct, frozen=True, order=True):
    """One mistake in a file, with its place (line and column count from 1).

    source: the file, where it is another than the one that was asked for. excerpt: the line itself.
    """

    line: int
    column: int
    message: str
    source: str = ""
    excerpt: str = ""


def listed(source: str, problems: Iterable[Problem]) -> str:
    """Return problems as lines of `source:line:column: what`, each once, sorted by place."""
    return "\n".join(
        f"{_one_line(p.source or source)}:{p.line}:{p.column}: {_one_line(_cut(p.message))}"
        for p in _sorted(problems)
    )


def pointed(source: str, problems: Iterable[Problem]) -> str:
    """Return the same with the line in question below each, and a caret under the column."""
    return "\n".join(listed(source, [p]) + _caret(p) for p in _sorted(problems))


def _cut(message: str) -> str:
    """Leave out the middle of a very long message: how to mend it is said at the end."""
    half = LONGEST // 2
    return message if len(message) <= LONGEST else f"{message[:half]} [...] {message[-half:]}"


def _one_line(text: str) -> str:
    """Return text with what cannot be printed written as in Python, as a line break is: "\\n"."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _sorted(problems: Iterable[Problem]) -> list[Problem]:
    return sorted(set(problems), key=lambda p: (p.source, p))


def _caret(problem: Problem) -> str:
    """Return a problem's line and, below it, the caret; a long line is cut around the column."""
    place = problem.column - 1
    start = max(0, place - EXCERPT // 2) if len(problem.excerpt) > EXCERPT else 0
    shown = problem.excerpt[start : start + EXCERPT].rstrip()
    if not shown.strip():
        return ""
    pad = "".join(c if c == "\t" else " " * _cells(c) for c in problem.excerpt[start:place])
    return f"\n    {shown}\n    {pad}^"


def _cells(character: str) -> int:
    """Return how many cells of a terminal a character takes."""
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 1 + (unicodedata.east_asian_width(character) in "WF")


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or its kind where it has none."""
    try:
        return (str(error).strip().splitlines() or [type(error).__name__])[0]
    except Exception:  # an error whose own message fails
        return type(error).__name__


class FlowError(FsmbotError):
    """A flow file with mistakes: all of them, sorted by place."""

    def __init__(self, source: str, problems: Sequence[Problem]) -> None:
        self.source = source
        self.problems = tuple(_sorted(problems))
        super().__init__(listed(source, self.problems))

    def pointed(self) -> str:
        """Return the message with each line in question, and a caret under the column."""
        return pointed(self.source, self.problems)


class RegistrationError(FsmbotError):
    """A handler or resource was refused at registration."""


class StateError(FsmbotError):
    """The session's state does not allow what was asked."""


class ConflictError(StateError):
    """The session has gone on elsewhere since its state was read; resume it from its store."""


class HandlerError(FsmbotError):
    """A handler failed and no `on_error` took over; the exception it raised is `__cause__`.

    logged: the message as a log may have it, where that is another one.
    """

    def __init__(self, flow: str, node: str, session: str, message: str, logged: str = "") -> None:
        self.flow, self.node, self.session, self._logged = flow, node, session, logged or message
        super().__init__(f"{self._where()}: {message}")

    def _where(self) -> str:
        return f"flow '{self.flow}', node '{self.node}', session '{self.session}'"

    def for_log(self) -> str:
        """Return the message without the words of the exception, which may quote what was said."""
        return f"{self._where()}: {self._logged}"


class StepLimitError(HandlerError):
    """A turn visited more nodes than `max_steps`; `cycle` is the loop it went round."""

    def __init__(self, flow: str, node: str, session: str, limit: int, cycle: Sequence[str]) -> None:
        self.limit, self.cycle = limit, tuple(cycle)
        path = " -> ".join(self.cycle)
        super().__init__(
            flow,
            node,
            session,
            f"one turn visited more than {limit} nodes, going round {path}; "
            "let a listening node break the loop, or raise max_steps",
        )


class OutcomeError(HandlerError):
    """A handler returned something that is not one of its outcomes."""

    def __init__(self, flow: str, node: str, session: str, outcome: object, expected: Sequence[str]) -> None:
        self.outcome, self.expected = outcome, tuple(expected)
        wanted = " or ".join(repr(name) for name in self.expected) or "nothing, as it has one way out"
        told = f"the handler returned {{}}; expected {wanted}"
        super().__init__(flow, node, session, told.format(repr(outcome)), told.format("something else"))


class ResourceError(FsmbotError):
    """A shared resource cannot be had; `logged` where the log has the reason already."""

    logged = False


class MissingExtra(ResourceError):
    """An optional package is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        self.package, self.extra = package, extra
        super().__init__(
            f"{purpose} needs the package '{package}'; install it with: pip install 'fsmbot[{extra}]' "
            f"(in a clone: pip install -e '.[{extra}]')"
        )


class VectorsError(ResourceError):
    """Word vectors cannot be read."""


class DoctorError(ResourceError):
    """The doctor model cannot be had, or failed while it answered."""


class StoreError(ResourceError):
    """A session cannot be read from or written to its store."""


class DrawingError(FsmbotError):
    """A flow cannot be drawn, or the path to mark in its picture cannot be read."""


class ConfigError(FsmbotError):
    """A configuration or data file of the trainer cannot be used."""
