"""A message as the words that the rules of `check_emergency` are written in.

Small letters without accents and apostrophes, one spelling of what has several, words that say nothing
left out, and slips of the pen mended: a word that nobody knows is read as the word of the rules that is
one letter away (by an index of deletions, after https://github.com/wolfgarbe/SymSpell).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from difflib import SequenceMatcher
from os.path import commonprefix

from fsmbot.normal import normal_form
from fsmbot.turn import MAX_MESSAGE

Phrase = tuple[str, ...]

MENDED = 5
"""Letters that the word meant must have where a word is taken for a slip of the pen; one with a letter
less is mended only towards what also sounds the same, as shorter ones are too alike."""
ALIKE = 0.7
"""How much of its letters a word must share with one that sounds alike."""
JOINED = 7
"""Letters from which a word may be two that were written as one."""
MET = 10_000
"""How many words of earlier messages it is remembered how to read."""
MARKS = frozenset(".!?;,\n")

_OWNED = re.compile("['\u2019\u02bc`\u00b4](s|d|re|ve|m|ll)\\b")
"""What an apostrophe joins: "grandma's" is grandma and s; what "it's" is, the spellings of a locale say."""
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff\u0300-\u036f'\u2018\u2019\u02bc`\u00b4*]+")
_RUNS = re.compile(r"([a-z])\1{2,}")
_DOTS = re.compile(r"\.\.+|\u2026")
_LEET = re.compile(r"(?<=[a-z])[013@$!](?=[a-z])")
_LEET_LETTERS = {"0": "o", "1": "i", "!": "i", "3": "e", "@": "a", "$": "s"}
_DOUBLE = re.compile(r"(.)\1+")
_NAME = re.compile(r"(?<=[a-z,] )[A-Z][a-z]+")
_TOKEN = re.compile(r"[a-z]+|\d+(?:[.,:]\d+)*|[.!?;,\n]")


def names(text: str) -> frozenset[str]:
    """Return the words with a capital inside a sentence: names, which are no slips of the pen."""
    return frozenset(name.lower() for name in _NAME.findall(shortened(text)))


def shortened(text: str) -> str:
    """Return both ends of a text that is too long."""
    if len(text) <= MAX_MESSAGE:
        return text
    return text[: MAX_MESSAGE // 2] + "\n" + text[-MAX_MESSAGE // 2 :]


def split(text: str) -> list[str]:
    """Return small words, numbers and marks."""
    plain = shortened(text).lower()
    if not plain.isascii():
        plain = shortened(normal_form("NFKD", plain))  # one character may become several
    plain = _DOTS.sub(" ", _INVISIBLE.sub("", _OWNED.sub(r" \1", plain)))
    plain = _LEET.sub(lambda found: _LEET_LETTERS[found[0]], plain)
    return _TOKEN.findall(_RUNS.sub(r"\1\1", plain))


class Spelling:
    """How one locale writes its words.

    variants: other ways of writing a phrase. ignored: words that say nothing. vocabulary: the words of
    the rules. ordinary: words that are no slip of the pen, however near they are to one of these.
    """

    def __init__(
        self,
        variants: Mapping[Phrase, Phrase],
        ignored: Iterable[str] = (),
        vocabulary: Iterable[str] = (),
        ordinary: Iterable[str] = (),
    ) -> None:
        self._variants, self._ignored = variants, frozenset(ignored)
        self._targets = (
            frozenset(vocabulary).union(self._ignored, *variants.keys(), *variants.values()) - MARKS
        )
        self.known = self._targets.union(ordinary)
        self._lengths: dict[str, list[int]] = {}
        for phrase in sorted(variants, key=len, reverse=True):
            self._lengths.setdefault(phrase[0], []).append(len(phrase))
        self._met: dict[str, Phrase] = {}
        self._indexes: dict[str, tuple[dict[str, list[str]], dict[str, list[str]]]] = {}

    def words(
        self, tokens: Sequence[str], others: Set[str] = frozenset(), names: Set[str] = frozenset()
    ) -> list[str]:
        """Return the words of the rules for the tokens of a message.

        others: words that another locale knows. names: those that this message has for names.
        """
        mended: list[str] = []
        for token in tokens:
            if len(token) < 3 or token in self.known or token in others or token in names:
                mended.append(token)
            else:
                mended += self._read(token)
        return self.plain(mended)

    def plain(self, words: Sequence[str]) -> list[str]:
        """Return the words in the one spelling that the rules use, without those that say nothing."""
        done: list[str] = []
        place = 0
        while place < len(words):
            word, length = words[place], 1
            new: Sequence[str] = () if word in self._ignored else (word,)
            for size in self._lengths.get(word, ()):
                found = self._variants.get(tuple(words[place : place + size]))
                if found is not None:
                    new, length = found, size
                    break
            done += new
            place += length
        return done

    def _read(self, token: str) -> Phrase:
        found = self._met.get(token)
        if found is None:
            if len(self._met) >= MET:
                self._met.clear()
            found = self._met[token] = self._guessed(token) if token.isalpha() else (token,)
        return found

    def _guessed(self, word: str) -> Phrase:
        """Return the words that an unknown word was probably meant to be."""
        for plain in (_DOUBLE.sub(r"\1", word), word + "g", word.removesuffix("s")):
            if plain in self._targets:
                return (plain,)
        if len(word) >= MENDED - 1 and (near := self._near(word)):
            return (near,)
        for place in range(3, len(word) - 2) if len(word) >= JOINED else ():
            if word[:place] in self._targets and word[place:] in self._targets:
                return (word[:place], word[place:])
        return (word,)

    def _near(self, word: str) -> str:
        """Return the word of the rules that is one slip away or sounds alike, or ""."""
        sound, found = _sound(word), set[str]()
        for first in {word[0], word[1]}:  # the first two may have changed places
            slips, alike = self._alike(first)
            near = {n for key in _shortened(word) for n in slips.get(key, ()) if _one_slip(word, n)}
            same = alike.get(sound, ()) if len(sound) >= 3 else ()
            found |= (
                near & set(same) if len(word) < MENDED else near.union(n for n in same if _close(n, word))
            )
        likely = [near for near in found if near[0] == word[0] or near[:2] == word[1::-1]]
        return min(likely, key=lambda near: _unlike(word, near, sound), default="")

    def _alike(self, first: str) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
        """Return the words of the rules with a first letter: by what one letter less leaves, and by sound."""
        found = self._indexes.get(first)
        if found is None:
            words = [w for w in self._targets if len(w) >= MENDED and w[0] == first and w.isalpha()]
            slips = _grouped((key, word) for word in words for key in _shortened(word))
            found = self._indexes[first] = slips, _grouped((_sound(word), word) for word in words)
        return found


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for key, word in pairs:
        found.setdefault(key, []).append(word)
    return found


def _unlike(word: str, near: str, sound: str) -> tuple[bool, bool, int, int, str]:
    """Order what a word may have been meant to be: the likeliest comes first, and always the same."""
    same = -len(commonprefix((word, near)))  # noqa: RUF071 - the letters that they share, no path
    return (not _one_slip(word, near), _sound(near) != sound, same, abs(len(near) - len(word)), near)


def _close(one: str, other: str) -> bool:
    """Say whether two words that sound alike are about as long, and have most letters in common."""
    return abs(len(one) - len(other)) <= 2 and SequenceMatcher(None, one, other).ratio() >= ALIKE


def _shortened(word: str) -> Iterator[str]:
    yield word
    for place in range(len(word)):
        yield word[:place] + word[place + 1 :]


def _one_slip(one: str, other: str) -> bool:
    """Say whether a letter too many, too few, wrong, or changed with its neighbour is all there is.

    In words of eight letters and more, one too many and one too few may come together.
    """
    size = min(len(one), len(other))
    first = next((i for i in range(size) if one[i] != other[i]), size)
    last = next((i for i in range(size - first) if one[-1 - i] != other[-1 - i]), size - first)
    left, right = one[first : len(one) - last], other[first : len(other) - last]
    return max(len(left), len(right)) <= 1 or sorted(left) == sorted(right) or size >= 8


_ALIKE = (
    ("gh", ""), ("ph", "f"), ("shion", "sn"), ("tion", "sn"), ("sion", "sn"), ("sc", "s"), ("ce", "s"),
    ("ci", "s"), ("cy", "s"), ("ck", "k"), ("qu", "k"), ("x", "ks"), ("wr", "r"), ("kn", "n"),
)  # fmt: skip
_SILENT = str.maketrans("cqz", "kks", "aeiouyhw")


def _sound(word: str) -> str:
    """Return the consonants of a word, those that sound alike by one letter."""
    for letters, sound in _ALIKE:
        if letters in word:
            word = word.replace(letters, sound)
    first = "a" if word[0] in "aeiouy" else word[0]
    return _DOUBLE.sub(r"\1", first + word[1:].translate(_SILENT))
