"""Real flow and test files with something done to them: to bytes, lines, words or structure."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import yaml

Mutate = Callable[[bytes, Random], bytes]

FLOWS = Path(__file__).parent.parent.parent / "flows"
REAL = {path.name: path.read_bytes() for path in sorted(FLOWS.glob("*.yaml"))}
"""What is mutated: every flow, subflow and test file of the repository."""

RUN_BY = {
    "field.yaml": "intake.yaml",
    "guard.yaml": "clinic.yaml",
    "intake.yaml": "clinic.yaml",
    "small-talk.yaml": "clinic.yaml",
}
"""The flows that run others."""

WORDS = [
    *("name", "start", "nodes", "outcomes", "on_error", "max_steps", "memory", "commands", "resources"),
    *("handler", "flow", "next", "timeout", "retry", "remember", "description", "end", "otherwise", "other"),
    *("say", "ask_user", "match", "take", "check_medical", "ask_doctor", "doctor", "vectors", "adapter"),
    *("text", "prompt", "cases", "value", "keep", "from", "to", "only", "times", "wait", "words", "help"),
    *("tests", "talk", "user", "says", "visits", "fails", "raises", "ends", "waits_at", "stub", "answers"),
    *("true", "false", "null", "~", "yes", "no", "on", "", "<<", "nods", "nxt", "hadnler", "Next", "NEXT"),
    *("0", "-1", "0.5", "1e3", "1e300", "1e400", "-1e400", ".inf", ".nan", "0x1F", "0o17", "012", "12:30"),
    *("9" * 18, "9" * 400, "1_000", "1,5", "40%", "2 minutes", "+1", "1.0", "-0", "1" + "0" * 5000),
    *("intake.yaml", "../intake.yaml", "guard.yaml", "clinic.yaml", "faq.yaml", ".", "/", "/dev/zero"),
    *("{name}", "{{name}}", "{a/b/c}", "{", "}", "{}", "{0}", "{a.b}", "%s", "$(id)", "`id`", "${x}"),
    *("é", "e\u0301", "ß", "İ", "ſ", "\u200b", "\u202e", "\u2028", "\u0085", "\xa0", "\u3000", "🜂", "👩‍👩‍👧"),
    *("\ufffd", "\U0010fffd", "ａ", "：", "，", "“x”", "‘x’", "–", "\u1680", "٣", "a" * 2000, "- " * 60),
]
"""Words that stand for something in a flow file, in YAML or in Unicode."""

MARKS = [
    *("- ", "? ", ": ", ":", ",", "[", "]", "{", "}", "#", " #", "&a ", "*a", "!!str ", "!x ", "!<x> ", "|"),
    *(">", "|2-", ">+", "'", '"', '"\\n"', '"\\0"', '"\\x1b[2J"', '"\\u2028"', '"\\U0001F600"', '"\\q"'),
    *("%TAG ! x\n", "%YAML 1.3\n", "---\n", "...\n", "<<: ", "@", "`", "\t", "\n", "\r", "\r\n", "\n\n"),
    *("\x00", "\x1b", "\x7f", "\ufeff", "\ufffe", "\x0b", "\x0c", "\x85", "\u2029", "=", "==", "&", "*", "~"),
]
"""What means something to YAML, and what it forbids."""

ODD: list[Any] = [
    *(None, True, False, 0, -1, 1.5, 10**30, float("inf"), "", " ", "\n", "\0", "end", "other", "a/b"),
    *([], {}, [[]], [{}], {"": None}, {"a": {}}, [None], ["x", 1, None], {"next": "end"}, {"handler": "say"}),
    *({"handler": "say", "text": "x", "next": "end"}, {"times": 2, "wait": -1}, {"from": 2, "to": 1}, "x\ny"),
    *({"flow": "guard.yaml", "next": "end"}, {"a": [[[[[["x"]]]]]]}, ["{name}", "{a/b}"], "{intake/name}"),
]
"""Values that may stand where another was meant."""


def mutated(data: bytes, random: Random) -> bytes:
    """Return a file with one to four things done to it."""
    for _ in range(random.choice((1, 1, 1, 2, 2, 3, 4))):
        data = random.choice(MUTATIONS)(data, random)
    return data


def _spot(data: bytes, random: Random) -> int:
    return random.randint(0, len(data))


def flip_bytes(data: bytes, random: Random) -> bytes:
    found = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 8)) if found else 0):
        found[random.randrange(len(found))] ^= 1 << random.randrange(8)
    return bytes(found)


def insert_bytes(data: bytes, random: Random) -> bytes:
    at = _spot(data, random)
    return data[:at] + random.randbytes(random.choice((1, 2, 4))) + data[at:]


def cut_bytes(data: bytes, random: Random) -> bytes:
    at = _spot(data, random)
    return data[:at] + data[at + random.choice((1, 2, 10, 100, 1000, len(data))) :]


def splice(data: bytes, random: Random) -> bytes:
    other = random.choice([data, *REAL.values()])
    at, start = _spot(data, random), _spot(other, random)
    return data[:at] + other[start : start + random.randint(1, 400)] + data[at:]


def recode(data: bytes, random: Random) -> bytes:
    """Save the file as an editor on another machine would."""
    text = data.decode("utf-8", "replace")
    codec = random.choice(("utf-16", "utf-16-be", "utf-32", "utf-8-sig", "latin-1", "cp1252", "utf-7"))
    line_end = random.choice(("\r\n", "\r", "\n\r", "\x85", "\u2028"))
    if random.random() < 0.5:
        return text.replace("\n", line_end).encode("utf-8", "replace")
    return text.encode(codec, "replace")


def move_lines(data: bytes, random: Random) -> bytes:
    """Move, double, drop or swap a few lines."""
    lines = data.splitlines(keepends=True)
    start = random.randint(0, len(lines))
    chunk = lines[start : start + random.choice((1, 1, 2, 5, 20))]
    rest = lines if random.random() < 0.3 else lines[:start] + lines[start + len(chunk) :]
    at = random.randint(0, len(rest))
    return b"".join(rest if random.random() < 0.3 else [*rest[:at], *chunk, *rest[at:]])


def indent_line(data: bytes, random: Random) -> bytes:
    lines = data.split(b"\n")
    at = random.randrange(len(lines))
    by = random.choice((b" ", b"  ", b"    ", b"\t", b" " * 200, b"", b"- ", b"# "))
    lines[at] = by + (lines[at].lstrip(b" ") if random.random() < 0.5 else lines[at])
    return b"\n".join(lines)


def replace_word(data: bytes, random: Random) -> bytes:
    text = data.decode("utf-8", "replace")
    words = list(re.finditer(r"[\w./-]+", text))
    if not words:
        return data
    word = random.choice(words)
    new = random.choice(WORDS) if random.random() < 0.7 else _slip(word[0], random)
    return (text[: word.start()] + new + text[word.end() :]).encode("utf-8", "replace")


def _slip(word: str, random: Random) -> str:
    """Return a word with a slip of the pen."""
    at = random.randrange(len(word))
    letter = random.choice("aeion_- /")
    slips = (word[:at] + word[at + 1 :], word[:at] + letter + word[at:], word + word[at], word.upper())
    return random.choice(slips)


def insert_mark(data: bytes, random: Random) -> bytes:
    text = data.decode("utf-8", "replace")
    at = random.randint(0, len(text))
    times = random.choice((1, 1, 1, 2, 50))
    return (text[:at] + random.choice(MARKS) * times + text[at:]).encode("utf-8", "replace")


def restructure(data: bytes, random: Random) -> bytes:
    """Change the data itself: keys, values, what stands inside what."""
    try:
        root = yaml.safe_load(data)
    except (yaml.YAMLError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        return insert_mark(data, random)
    for _ in range(random.choice((1, 1, 2, 5))):
        places = list(_places(root))
        if places:
            random.choice((_replace, _rename, _drop, _graft, _wrap))(*random.choice(places), places, random)
    return yaml.dump(root, Dumper=_Dumper, allow_unicode=True, sort_keys=False).encode("utf-8", "replace")


class _Dumper(yaml.CSafeDumper):
    """Writes without aliases, which are refused before anything else is looked at."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


Place = tuple[Any, Any]
"""A map or list, and a key or index in it."""


def _places(root: Any) -> Any:
    """Yield every place in the data."""
    items = root.items() if isinstance(root, dict) else enumerate(root) if isinstance(root, list) else ()
    for key, value in items:
        yield root, key
        yield from _places(value)


def _replace(holder: Any, key: Any, places: list[Place], random: Random) -> None:
    holder[key] = copy.deepcopy(random.choice(ODD)) if random.random() < 0.7 else random.choice(WORDS)


def _rename(holder: Any, key: Any, places: list[Place], random: Random) -> None:
    if isinstance(holder, dict):
        new = random.choice(WORDS) if random.random() < 0.5 else _slip(str(key) or "x", random)
        holder[new] = holder.pop(key)


def _drop(holder: Any, key: Any, places: list[Place], random: Random) -> None:
    del holder[key]


def _graft(holder: Any, key: Any, places: list[Place], random: Random) -> None:
    other, at = random.choice(places)
    holder[key] = copy.deepcopy(other[at])


def _wrap(holder: Any, key: Any, places: list[Place], random: Random) -> None:
    for _ in range(random.choice((1, 1, 2, 45))):
        holder[key] = [holder[key]] if random.random() < 0.5 else {random.choice(WORDS): holder[key]}


MUTATIONS: list[Mutate] = [
    *(flip_bytes, insert_bytes, cut_bytes, splice, recode, move_lines, move_lines, indent_line),
    *(replace_word, replace_word, replace_word, insert_mark, insert_mark),
    *(restructure, restructure, restructure, restructure, restructure),
]
