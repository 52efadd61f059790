"""What an unknown word was probably meant to be: a slip of the pen, or another tool's word for it."""

from __future__ import annotations

from collections.abc import Collection, Iterable

MEANINGS = (
    ("next", "goto", "on", "then", "to", "target", "transition", "transitions", "routes", "edges"),
    ("handler", "type", "action", "kind", "use", "call", "function"),
    ("on_error", "on_failure", "onerror", "catch", "except", "error", "fallback"),
    ("remember", "save", "store", "save_as", "slot", "variable"),
    ("keep", "remember", "save", "store", "save_as"),
    ("memory", "variables", "vars", "slots", "context"),
    ("nodes", "states", "steps"),
    ("start", "initial", "begin", "first", "entry"),
    ("end", "stop", "exit", "finish", "finished", "quit", "done", "close"),
    ("outcomes", "ends", "outputs", "results"),
    ("otherwise", "other", "default", "else", "any"),
    ("prompt", "text", "message", "question", "say"),
    ("text", "prompt", "message", "say"),
    ("flow", "subflow", "include", "import", "file"),
    ("words", "phrases", "say"),
    ("cases", "options", "choices", "when"),
    ("from", "min", "minimum", "least"),
    ("to", "max", "maximum", "most"),
    ("times", "attempts", "tries", "count", "max"),
    ("wait", "pause", "delay", "sleep", "backoff"),
)
"""First what flow files call it, then what other tools do."""


LONGEST = 60
"""Characters of a word beyond which it is no slip of the pen."""

SURE = 0.8
"""How alike two words must be for another tool's word not to be thought of."""

MOST_EFFORT = 500_000
"""What `Guesses` may compare: words times the square of their length, a fifth of a second or so."""


def nearest(word: str, names: Iterable[str]) -> str:
    """Return the name that was probably meant, or ""."""
    from difflib import SequenceMatcher, get_close_matches  # only who has made a mistake needs it

    plain = {_plain(name): name for name in names if name != word}
    wanted = _plain(word)
    if wanted in plain:
        return plain[wanted]
    likely = [name for name in plain if len(name) <= LONGEST] if len(wanted) <= LONGEST else []
    close = get_close_matches(wanted, likely, n=1)
    meant = [group[0] for group in MEANINGS if wanted in group[1:] and group[0] in plain]
    if meant and not (close and SequenceMatcher(None, close[0], wanted).ratio() >= SURE):
        close = meant
    return plain[close[0]] if close else ""


def _plain(word: str) -> str:
    return word.casefold().replace("-", "_").replace(" ", "_")


def suggest(word: str, names: Iterable[str], shown: Iterable[str] | None = None) -> str:
    """Return "; did you mean 'x'?" for a near miss, else the known names (12 at most)."""
    names = list(names)
    near = nearest(word, names)
    if near:
        return f"; did you mean '{near}'?"
    listed = names if shown is None else list(shown)
    more = ", ..." if len(listed) > 12 else ""
    return f"; known: {', '.join(listed[:12])}{more}" if listed else ""


class Guesses:
    """Suggestions for many words among many names, until it has been effort enough."""

    def __init__(self) -> None:
        self._left = MOST_EFFORT

    def nearest(self, word: str, names: Collection[str]) -> str:
        """Return the name that was probably meant, or ""."""
        return nearest(word, names) if self._worth(word, names) else ""

    def suggest(self, word: str, names: Collection[str]) -> str:
        """Return what `suggest` does, or "" when that would take too long."""
        return suggest(word, names) if self._worth(word, names) else ""

    def _worth(self, word: str, names: Collection[str]) -> bool:
        effort = len(names) * min(len(word), LONGEST) ** 2
        if effort > self._left:
            return False
        self._left -= effort
        return True
