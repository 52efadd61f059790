"""The one sanitiser at the output edge.

Whatever a user, a model or a file says passes `safe` before it reaches a terminal or a log: no
control, escape, bidirectional or zero-width character goes through; a visible mark stands instead.
A program's own streams are fenced, too, so that what libraries, handlers and Python itself write there
(a debugging print, a warning, a traceback) is as harmless.
"""

from __future__ import annotations

import io
import json
import sys
import unicodedata
from typing import TextIO

MARK = "\ufffd"
"""What stands in place of a character that must not reach a terminal."""

_ZERO_WIDTH = frozenset(
    # Printable by Unicode's category, yet drawn as nothing: fillers, joiners, variation selectors
    # (https://www.unicode.org/reports/tr36/, section 2.2).
    map(
        chr,
        [
            0x034F,
            0x115F,
            0x1160,
            0x17B4,
            0x17B5,
            0x3164,
            0xFFA0,
            *range(0x180B, 0x1810),
            *range(0xFE00, 0xFE10),
            *range(0xE0100, 0xE01F0),
        ],
    )
)


def safe(text: str, *, keep: str = "\n\t") -> str:
    """Return text whose every character is printable, a space, or in `keep`.

    Other kinds of space become a plain one, "\\r\\n" becomes "\\n", and all else becomes MARK.
    """
    if text.isascii() and text.isprintable():
        return text
    if "\r\n" in text:
        text = text.replace("\r\n", "\n")
    return text.translate(_Table(keep))


def safe_line(text: str) -> str:
    """Return safe text on one line: line breaks and tabs become spaces."""
    return safe(text.replace("\n", " ").replace("\r", " ").replace("\t", " "), keep="")


def escaped(text: str, keep: str = "") -> str:
    """Write what a terminal must not see as JSON escapes; they stand inside strings only, so that
    a reader of the JSON gets the very same text."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if safe(c, keep=keep) == c else json.dumps(c)[1:-1] for c in text)


def fence_streams(*names: str, keep: str = "\n\t") -> None:
    """Let everything that this program writes to the streams of `sys` named here be safe text.

    What the encoding of a terminal or a log has no character for becomes a question mark, or an escape.
    """
    for name in names:
        setattr(sys, name, fenced(getattr(sys, name), keep=keep))


def fenced(stream: TextIO, *, keep: str = "\n\t") -> TextIO:
    """Return a stream that writes where another does, safe text only; bytes, to its buffer, go unseen."""
    return _Fenced(stream, keep) if isinstance(stream, io.TextIOWrapper) else stream


class _Fenced(io.TextIOWrapper):
    def __init__(self, stream: io.TextIOWrapper, keep: str) -> None:
        super().__init__(
            stream.buffer,
            stream.encoding,
            "replace" if stream.errors in ("strict", "surrogateescape") else stream.errors,
            line_buffering=stream.line_buffering,
            write_through=stream.write_through,
        )
        self._keep = keep
        self._behind = stream  # which would close the buffer if it went

    def write(self, text: str, /) -> int:
        super().write(safe(text, keep=self._keep))
        return len(text)


class _Table(dict[int, str]):
    """A translation table that decides about each character once, when it is first met."""

    def __init__(self, keep: str) -> None:
        super().__init__({ord(c): c for c in keep})

    def __missing__(self, code: int) -> str:
        self[code] = result = _replacement(chr(code))
        return result


def _replacement(character: str) -> str:
    if character in _ZERO_WIDTH:
        return MARK
    if character.isprintable():
        return character
    return " " if unicodedata.category(character) == "Zs" else MARK
