"""Find all phrases of the rules of `check_emergency` in one walk over a message.

Thousands of phrases are kept by their first words, as the file has them; those that begin with a word are
taken apart when it first occurs, so that the file is read quickly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from fsmbot.handlers.emergency_words import Phrase

NUMBER = "#"
"""What stands for the first word of a phrase that begins with a number."""

Ends = dict[int, list[tuple[str, int]]]
"""Names and ends of what was found, by the places where it begins."""


class Node:
    """Where the words so far lead: names of phrases that end here, and what may follow."""

    __slots__ = ("lists", "names", "numbers", "words")

    def __init__(self) -> None:
        self.names: list[str] = []
        self.words: dict[str, Node] = {}
        self.numbers: dict[tuple[float, float], Node] = {}
        self.lists: dict[str, Node] = {}

    def add(self, name: str, words: Iterable[str]) -> None:
        """Let words bear a name. `38..43` is any number from 38 to 43, `PAIN` a phrase of that list."""
        node = self
        for word in words:
            if word[0].isdigit():
                low, _, high = word.partition("..")
                node = node.numbers.setdefault((float(low), float(high or low)), Node())
            else:
                after = node.lists if word[0].isupper() else node.words
                node = after.get(word) or after.setdefault(word, Node())
        node.names.append(name)

    def after(self, word: str) -> list[Node]:
        """Return where a word of a message leads."""
        if self.numbers and word[0].isdigit():
            value = number(word)
            return [node for (low, high), node in self.numbers.items() if low <= value <= high]
        node = self.words.get(word)
        return [] if node is None else [node]


class Phrases:
    """All phrases of a locale; expanded: takes the text of a phrase apart."""

    def __init__(self, expanded: Callable[[str], Iterator[Phrase]]) -> None:
        self._expanded = expanded
        self._texts: dict[str, list[tuple[str, str]]] = {}
        self._begun: set[str] = set()  # the lists that phrases begin with
        self._nodes: dict[str, Node] = {}

    def add(self, first: str, name: str, text: str) -> None:
        """Let the phrases of a text that begin with a word, or a list, bear a name."""
        self._texts.setdefault(first, []).append((name, text))
        if first.isupper():
            self._begun.add(first)

    def find(self, words: Sequence[str]) -> Ends:
        """Return name and end of every phrase that occurs, by its place; the last comes first."""
        found: Ends = {}
        known, nodes = self._texts, self._nodes
        for start in range(len(words) - 1, -1, -1):
            word = words[start]
            first = NUMBER if word[0].isdigit() else word
            if first in known:
                here = self._from(nodes.get(first) or self._starting(first), start, words, found)
                if here:
                    found[start] = here
        return found

    def _from(self, root: Node, start: int, words: Sequence[str], found: Ends) -> list[tuple[str, int]]:
        """Return names and ends of the phrases that begin at a place; what begins later is known."""
        here: dict[tuple[str, int], None] = {}
        ways = [(node, start + 1) for node in root.after(words[start])]
        last = len(words)
        while ways:
            node, place = ways.pop()
            for name in node.names:
                if (name, place) not in here:
                    here[name, place] = None
                    if name in self._begun:
                        ways.append((self._starting(name).lists[name], place))
            if place == last:
                continue
            if node.numbers:
                ways += ((after, place + 1) for after in node.after(words[place]))
            elif (next_node := node.words.get(words[place])) is not None:
                ways.append((next_node, place + 1))
            if node.lists and place in found:
                lists = node.lists
                ways += [(lists[name], end) for name, end in found[place] if name in lists]
        return list(here)

    def _starting(self, first: str) -> Node:
        """Return where the phrases begin that begin with a word or a list."""
        node = self._nodes.get(first)
        if node is None:
            node = self._nodes[first] = Node()
            for name, text in self._texts[first]:
                for phrase in self._expanded(text):
                    if first_of(phrase) == first:
                        node.add(name, phrase)
        return node


def first_of(phrase: Phrase) -> str:
    """Return the word under which a phrase is kept."""
    return NUMBER if phrase[0][0].isdigit() else phrase[0]


def number(word: str) -> float:
    """Return the value of a number as a message has it: 38,5 is 38.5, and 1,000 is 1000."""
    whole, mark, rest = word.replace(":", ".").replace(",", ".").partition(".")
    if len(rest) == 3:
        return float(whole + rest)
    return float(f"{whole}.{rest}") if mark and rest.isdigit() else float(whole)
