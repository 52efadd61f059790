"""Chat templates, which are small programs that came with a model: run within bounds.

transformers runs them in Jinja's sandbox, where they reach nothing of the system, but a loop in a loop
or a text doubled fifty times would still take all time and memory there is. So time and memory are
bounded while one runs, and operations that could take long in one go are refused beforehand: all that
are known but one, the comparison of lists that hold the same list again and again.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from fsmbot.errors import DoctorError

MAX_TEMPLATE = 200_000
"""Characters of a template; the longest ones in use have a quarter of it."""

MAX_TEXT = 200_000
"""Characters that a template may make of a conversation whose messages are short."""

SECONDS = 1.0
"""How long a template may compute; usual ones take some milliseconds."""

ROOM = 128 << 20
"""Bytes of memory that a template may take."""

_SLOW = frozenset({"striptags", "urlize", "wordwrap", "round"})
"""Filters that search a long text again and again, or raise ten to a power."""

_LIMITED = threading.Lock()
"""Held while the process is limited: of two at once, the second would keep the first one's limit for ever."""

Tokenizer = Any  # transformers.PreTrainedTokenizerBase


def template_of(tokenizer: Tokenizer) -> str | None:
    """Return a tokenizer's chat template, checked, or None where it has none.

    Raises DoctorError for one that is too long or asks for what might never end.
    """
    template = tokenizer.chat_template
    if isinstance(template, dict):  # several by name
        template = template.get("default")
    if not template:
        return None
    with explained():
        if len(template) > MAX_TEMPLATE:
            raise ValueError(f"it has {len(template):,} characters, and at most {MAX_TEMPLATE:,} are read")
        _check_operations(template)
    return str(template)


def _check_operations(template: str) -> None:
    """Raise ValueError for powers and slow filters: a single one cannot be stopped from outside."""
    import jinja2

    words = [(kind, value) for _, kind, value in jinja2.Environment().lex(template) if kind != "whitespace"]
    values = ["", *(value for _, value in words), "", "", ""]
    for place, (kind, value) in enumerate(words):
        if value == "**" and kind == "operator":
            raise ValueError("it raises numbers to a power")
        before, after = values[place], values[place + 2 : place + 5]
        if kind == "name" and before in ("|", "filter") and _may_be_slow(value, after):
            raise ValueError(f"it uses the filter {value!r}, which may take long")


def _may_be_slow(name: str, after: list[str]) -> bool:
    """Say whether a filter may compute for long at once; after: the three words that follow its name."""
    if name == "int":
        return after[0] == "("  # in another base than ten, numbers of any length are read
    if name == "map" and after != ["(", "attribute", "="]:  # it calls the filter that a text names
        quote, named = after[1][:1], after[1][1:-1]
        plain = quote in ("'", '"') and named.isidentifier() and after[2] in (",", ")")
        return not plain or named in {*_SLOW, "int", "map"}
    return name in _SLOW


def render(tokenizer: Tokenizer, template: str, messages: list[dict[str, str]], *, prompting: bool) -> str:
    """Return the text that a template makes of messages; raises DoctorError beyond the bounds."""
    with explained(), _within(SECONDS, ROOM):
        text: str = tokenizer.apply_chat_template(
            messages, chat_template=template, tokenize=False, add_generation_prompt=prompting
        )
        if len(text) > MAX_TEXT:
            raise ValueError(f"it makes {len(text):,} characters of some short messages")
    return text


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """Turn whatever goes wrong with a template into a DoctorError."""
    try:
        yield
    except Exception as error:  # a template raises what it likes
        said = f"{type(error).__name__}: {error}"[:300]
        raise DoctorError(
            f"the tokenizer's chat template cannot be used ({said}); use a base whose template only puts "
            "markers around messages"
        ) from error


@contextlib.contextmanager
def _within(seconds: float, room: int) -> Iterator[None]:
    """Stop this thread's Python code after some seconds, and keep the process from growing by more than
    `room` bytes meanwhile."""
    end = time.thread_time() + seconds  # of the processor, which a busy machine does not shorten

    def watch(frame: FrameType, event: str, argument: object) -> Any:
        if time.thread_time() > end:
            raise TimeoutError(f"it computes for longer than {seconds:g} s")
        return watch

    with _memory(room):
        before = sys.gettrace()
        sys.settrace(watch)
        try:
            yield
        finally:
            sys.settrace(before)


@contextlib.contextmanager
def _memory(room: int) -> Iterator[None]:
    """Bound the process's address space for a while, where the system can."""
    with _LIMITED:
        taken = _address_space()
        if taken is None:
            yield
            return
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        limits = [limit for limit in (soft, taken + room) if limit != resource.RLIM_INFINITY]
        resource.setrlimit(resource.RLIMIT_AS, (min(limits), hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _address_space() -> int | None:
    """Return the bytes of address space that the process takes; None where the system does not tell."""
    try:
        import resource

        return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except (ImportError, OSError):
        return None
