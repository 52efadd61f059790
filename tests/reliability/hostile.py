"""A thousand strings that would steer or deceive a terminal, and how to find them again in what came out.

Each stands between two marks of its own. What is between the marks in the output has to be the string
with a replacement for each hostile character, and nothing else.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

BATCH = 1_800
"""Characters of strings that are sent together, unless one at a time is asked for."""

IGNORABLE = [
    *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFFA0, 0xFFF0, 0xFFF8, 0xE0000, 0xE0080, 0xE0FFF),
    *range(0x180B, 0x1810),
    *range(0xFE00, 0xFE10),
    *range(0xE0100, 0xE01F0),
]
"""What Unicode lists as Default_Ignorable_Code_Point beside the format characters: drawn as nothing."""

_SPEAKING = """
    ]0;title ]2;title ]52;c;ZXZpbA== ]8;;mailto:a@example.org ]1337;File=:AAAA ]9;note ]10;? ]11;?
    ]4;1;? ]777;notify;a;b ]133;A ]7;file:passwd ]50;SetProfile=x P+q544e P1000p Pq#0;2;0;0;0 P$q
    Xsos ^pm _apc _Gf=24,s=1,v=1;AAAA
"""
SPEAKING = _SPEAKING.split()
"""Control strings without their introducer and their end: titles, clipboard, links, questions, pictures."""

_MOVING = r"""
    [2J [3J [H [1;1H [999;999H [A [99D [K [1K [2K [s [u [6n [5n [c [>c [0c [f [e [d [` [b [9b [;H
    [?1049h [?1049l [?47h [?25l [?1000h [?1003h [?2004h [?2004l [?5h [?69h [4h [20h [1;5r [r [!p
    [31m [8m [7m [38;5;1m [48;2;1;2;3m [0m [4:3m [21t [18t [8;1;1t [3;0;0t [200~ [@ [9P [9L [9M [9X
    [99S [99T [g [3g [0i [5i [1;2'z [#p c 7 8 D E M H N O Z = > #8 (0 (B )0 %G %@ n o ~ | } V W \ [
    ] P
"""
MOVING = [*_MOVING.split(), "[2 q", " F"]
"""Escape sequences without their introducer: what moves, clears, colours, asks, resizes, prints, resets."""

TRICKS = [
    *("harmless\revil", "safe\b\b\b\bevil", "a\x7f\x7fb", "\u202etxt.exe", "\u2066x\u2069", "pay\u200bpal"),
    *("\ufeffstart", "a\u2028b\u2029c", "\ud800", "a\udc9b31mb", "\udfff\ud800", "\ue000", "\uffff"),
    *("\ufdd0", "e\u034fe", "\U0001bca0", "\U000f0000", "\U0010ffff", "a\u200db\ufe0f", "\x1b\x1b\x1b"),
    *("\x9b\x9b", "\x0e\x0f", "\x18\x1a", "a\x00b\x00", "\x84\x85\x8d", "\x1b\u200b[31m", "\u200b\x1b[31m"),
]


def hostile(character: str) -> bool:
    """Return whether a character must not come out: control, format, surrogate, private, ignorable."""
    kind = unicodedata.category(character)
    return kind in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp") or ord(character) in IGNORABLE


def strings() -> list[str]:
    """Return each control, format and ignorable character in a word, then tricks and sequences."""
    codes = [code for code in range(0x110000) if unicodedata.category(chr(code)) in ("Cc", "Cf", "Zl", "Zp")]
    alone = [f"a{chr(code)}b" for code in [*codes, *IGNORABLE] if chr(code) not in "\n\t"]
    moving = [start + body for body in MOVING for start in ("\x1b", "\x1b\x1b")]
    moving += ["\x9b" + body[1:] for body in MOVING if body[0] == "["]
    spoken = [f"\x1b{body}{end}" for body in SPEAKING for end in ("\x07", "\x1b\\", "\x9c", "", "\x18", "\r")]
    eight = [
        chr(ord(body[0]) + 64) + body[1:] + end for body in SPEAKING for end in ("\x07", "\x9c", "\x1b\\")
    ]
    wrapped = [f"\u200b{text}\u202e" for text in spoken]
    return [*alone, *TRICKS, *moving, *spoken, *eight, *wrapped]


STRINGS = strings()


def marked(number: int) -> str:
    """Return a string between its marks."""
    return f"<{number}|{STRINGS[number]}|{number}>"


def written(group: Sequence[int]) -> str:
    """Return the strings of a group as one text."""
    return " ".join(map(marked, group))


def batches(size: int = len(STRINGS), characters: int = BATCH) -> list[list[int]]:
    """Return the numbers of all strings in groups of at most so many strings, or characters."""
    groups: list[list[int]] = [[]]
    for number in range(len(STRINGS)):
        if len(groups[-1]) == size or len(written([*groups[-1], number])) > characters:
            groups.append([])
        groups[-1].append(number)
    return groups


def harmless(text: str, *, allowed: str = "\r\n\t\b") -> str:
    """Return a text, having asserted that no hostile character is in it."""
    bad = {c for c in set(text) if hostile(c) and c not in allowed}
    assert not bad, f"{sorted(map(ascii, bad))} came out: {_around(text, bad)}"
    return text


def _around(text: str, bad: set[str]) -> str:
    place = min(map(text.index, bad))
    return ascii(text[max(0, place - 60) : place + 60])


def check(text: str, group: Sequence[int], *, times: int = 1) -> None:
    """Assert that each string of a group came out so many times, and nowhere but made harmless."""
    for number in group:
        shown = _seen(text, number)
        assert len(shown) >= times, f"{marked(number)!a} came out {len(shown)} times: {text[-3000:]!a}"
        for one in shown:
            assert re.fullmatch(_pattern(STRINGS[number]), one), (ascii(one), ascii(STRINGS[number]))


def _seen(text: str, number: int) -> list[str]:
    """Return what stands between the marks of a string, wherever they stand; spaces do not count."""
    found = (part.partition(f"|{number}>") for part in text.split(f"<{number}|")[1:])
    return ["".join(inside.split()) for inside, end, _ in found if end]


ESCAPE = r"\\(?:u[0-9a-f]{4}|x[0-9a-f]{2}|[bfnrt]|U[0-9a-f]{8})"
"""How JSON, YAML and Python write what cannot be seen."""


def _pattern(payload: str) -> str:
    """Return what a string must look like: each hostile character a mark, or written as an escape.

    A carriage return may have become a line break, and a lone surrogate a question mark, or a mark for
    each of the three bytes that it was typed as.
    """
    return "".join(map(_shown, payload))


def _shown(c: str) -> str:
    if c == "\r":
        return f"(?:\ufffd|{ESCAPE})?"
    if unicodedata.category(c) == "Cs":
        return f"(?:[\ufffd?]{{1,3}}|{ESCAPE})"
    if hostile(c):
        return f"(?:\ufffd|{ESCAPE})"
    return "" if c.isspace() else re.escape(c).replace(r"\\", r"(?:\\){1,2}")
