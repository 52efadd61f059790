"""Read the rules of `check_emergency` from assets/emergency/*.yaml, one file a locale.

assets/emergency/en.yaml tells how rules are written; a new file in that folder is found by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import chain, product
from pathlib import Path
from typing import Any, NoReturn

from fsmbot.errors import ResourceError
from fsmbot.handlers.emergency_phrases import NUMBER, Phrases, first_of
from fsmbot.handlers.emergency_rules import SELF_HARM, Category, Rule, Rules, Score
from fsmbot.handlers.emergency_words import MARKS, Phrase, Spelling
from fsmbot.handlers.phrasebook import read
from fsmbot.nearby import suggest

FOLDER = Path(__file__).parent.parent / "assets" / "emergency"
CONTEXTS = {
    "negations": ("before", "except", "still", "after"), "past": ("in", "recent", "until", "unless"),
    "general": ("in", "unless", "ask", "own"), "topic": ("in", "unless", "own"),
}  # fmt: skip
SECTIONS = (
    "locale", "reviewed", "replies", "spellings", "ignored", "kept", *CONTEXTS, "figures", "companions",
    "lists", "categories",
)  # fmt: skip
CATEGORY = ("about", "reviewed", "group", "reply", "alone", "rules", "signs", "enough")
OPTIONAL = ("group", "alone", "rules", "signs", "enough")

_APART = re.compile(r"(?<=\d)(?=[a-z])|(?<=[a-z])(?=\d)")
"""Where messages are taken apart, too: "3rd" is 3 rd."""
_SIGNS = re.compile(r" [-+&] | or ")
_WORD = re.compile(r"[A-Z][A-Z_]*|[a-z\d]+(?:/[a-z]*)*|\d+(?:\.\d+)?(?:\.\.\d+(?:\.\d+)?)?")


@cache
def read_rules(locales: tuple[str, ...] = ()) -> tuple[Rules, ...]:
    """Read these locales, or all that there are, once."""
    paths = [FOLDER / f"{name}.yaml" for name in locales] or sorted(FOLDER.glob("*.yaml"))
    return tuple(read_locale(path) for path in paths)


def read_locale(path: Path) -> Rules:
    """Read one file; a mistake in it raises ResourceError, which says where it is and what to do."""
    return _Reader(path).rules()


class _Reader:
    def __init__(self, path: Path) -> None:
        self._path, self._data = path, read(path)
        self._expect("", self._data, SECTIONS)
        self._lists = self._data["lists"]
        self._variants = {
            tuple(variant.split()): tuple(plain.split())
            for plain, texts in self._data["spellings"].items()
            for variant in _items(texts)
        }
        self._spelling = Spelling(self._variants, _items(self._data["ignored"]))
        self._phrases = Phrases(self._expanded)
        self._respelt = {phrase[0] for phrase in self._variants}.union(_items(self._data["ignored"]))
        self._firsts: dict[str, tuple[str, ...]] = {}
        self._checked, self._literals = set[str](), set[str]()
        self._names: dict[str, list[str]] = {}

    def rules(self) -> Rules:
        data = self._data
        for name, text in self._lists.items():
            self._keep(name, text, f"list {name}")
        for section, keys in CONTEXTS.items():
            for key in keys:
                self._keep(f"{section}.{key}", data[section][key], section)
        self._keep("figures.", data["figures"], "figures")
        categories = list(self._categories())
        rules = [rule for category, entry in categories for rule in self._rules(category, entry)]
        scores = [self._score(category, entry) for category, entry in categories if "signs" in entry]
        alone = {
            phrase: category for category, entry in categories for phrase in self._alone(category, entry)
        }
        companions = frozenset(_items(data["companions"]))
        until, across = (frozenset(_items(data["negations"][key])) for key in ("until", "across"))
        words = chain(companions, chain.from_iterable(alone), *map(_endings, self._checked))
        spelling = Spelling(self._variants, _items(data["ignored"]), words, self._ordinary())
        return Rules(
            data["locale"], data["replies"], spelling, self._phrases, self._names, until | MARKS, across,
            alone, companions, rules, scores,
        )  # fmt: skip

    def _ordinary(self) -> Iterator[str]:
        """Yield the words of the language that are no slips of the pen, from the file beside the rules."""
        yield from _items(self._data["kept"])
        words = self._path.with_suffix(".words")
        if words.exists():
            yield from words.read_text(encoding="utf-8").split()

    def _categories(self) -> Iterator[tuple[Category, Any]]:
        """Yield every category, self-harm first: its reply has the lines that somebody in despair needs."""
        entries = self._data["categories"].items()
        for name, entry in sorted(entries, key=lambda item: item[1].get("group") != SELF_HARM):
            self._expect(f"category {name!r}: ", entry, CATEGORY, OPTIONAL)
            if entry["reply"] not in self._data["replies"]:
                self._fail(f"category {name!r}: unknown reply", entry["reply"], self._data["replies"])
            yield Category(name, entry.get("group", ""), entry["reply"]), entry

    def _alone(self, category: Category, entry: Any) -> Iterator[Phrase]:
        texts = entry.get("alone", "")
        self._check(texts, f"category {category.name}")
        return chain.from_iterable(map(self._expanded, _items(texts)))

    def _rules(self, category: Category, entry: Any) -> Iterator[Rule]:
        texts = entry.get("rules", "")
        self._check(_SIGNS.sub(" ", texts), f"category {category.name}")
        for source in filter(None, map(str.strip, texts.splitlines())):
            wanted, *without = source.split(" - ")
            groups = tuple(tuple(group.split(" + ")) for group in wanted.split(" & "))
            for part in chain(without, *groups):
                self._part(part)
            yield Rule(category, source, groups, tuple(without))

    def _score(self, category: Category, entry: Any) -> Score:
        points = {text: int(worth) for worth, texts in entry["signs"].items() for text in _items(texts)}
        self._check(",".join(points), f"category {category.name}")
        for text in points:
            self._part(text)
        return Score(category, int(entry["enough"]), points)

    def _part(self, part: str) -> None:
        """Note which phrases and lists a part of a rule consists of."""
        if part not in self._names:
            self._names[part] = texts = part.split(" or ")
            for text in texts:
                if text not in self._lists and text not in self._literals:
                    self._literals.add(text)
                    self._phrase(text, text)

    def _keep(self, name: str, texts: str, where: str) -> None:
        self._check(texts, where)
        for text in _items(texts):
            self._phrase(name, text)

    def _phrase(self, name: str, text: str) -> None:
        """Keep the text of a phrase under the words with which it may begin."""
        first = text.partition(" ")[0]
        keys = self._firsts.get(first)
        if keys is None:
            keys = self._firsts[first] = self._beginnings(first)
        for key in keys or {first_of(phrase) for phrase in self._expanded(text)}:
            self._phrases.add(key, name, text)

    def _beginnings(self, word: str) -> tuple[str, ...]:
        """Return what phrases begin with whose first word this is; nothing where the rest must be seen."""
        if word[0].isupper():
            return (word,)
        if word[0].isdigit():
            return (NUMBER,)
        found = _endings(word)
        return () if any(w in self._respelt or not w.isalpha() for w in found) else tuple(found)

    def _expanded(self, text: str) -> Iterator[Phrase]:
        """Yield the phrases that a text stands for, endings put to their stems."""
        for choice in product(*map(_endings, _APART.sub(" ", text).split())):
            plain = tuple(self._spelling.plain(choice))
            if not plain:
                self._fail("every word is among `ignored`, so nothing can match", text)
            yield plain

    def _check(self, texts: str, where: str) -> None:
        """Check every word that has not been met before."""
        for word in set(texts.replace(",", " ").split()) - self._checked:
            if not _WORD.fullmatch(word):
                self._fail(f"{where}: expected small words, numbers and LISTS, found", word)
            if word[0].isupper():
                if word not in self._lists:
                    self._fail(f"{where}: unknown list", word, self._lists)
            else:
                self._checked.add(word)

    def _expect(self, where: str, found: Any, keys: Iterable[str], optional: Iterable[str] = ()) -> None:
        if not isinstance(found, dict):
            self._fail(f"{where}expected keys and values, found", str(found))
        for key in found:
            if key not in keys:
                self._fail(f"{where}unknown key", key, keys)
        for key in keys:
            if key not in found and key not in optional:
                self._fail(f"{where}add the missing key", key)

    def _fail(self, what: str, found: str, known: Iterable[str] = ()) -> NoReturn:
        raise ResourceError(f"{self._path}: {what} {found!r}{suggest(found, known)}")


def _items(text: str) -> list[str]:
    """Return what stands between commas."""
    return [item for item in map(str.strip, text.split(",")) if item]


@cache
def _endings(word: str) -> list[str]:
    """Return the words of a stem and its endings: "bleed/s/ing" is bleed, bleeds and bleeding."""
    stem, *endings = word.split("/")
    return [stem, *(stem + ending for ending in endings)]
