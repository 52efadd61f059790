"""Leave sentences out of text while it streams.

Words pass as they come, until one with which something unwanted could begin; from there on the
sentence is held until it is whole, and left out if it is unwanted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from fsmbot.doctor.sentences import first_sentence_end

_NEW = re.compile(r"\s*\n|\s*(?:[-*•#>|]|\d{1,2}[.)])|\s*$")
_WHOLE = re.compile(r"[.!?…:;]\W*$")


def sieve(pieces: Iterable[str], trigger: re.Pattern[str], unwanted: Callable[[str], bool]) -> Iterator[str]:
    """Pass text on as it streams, without the sentences that are unwanted.

    trigger: finds in unfinished text the first word that must wait for the rest of its sentence.
    A sentence whose beginning was shown already ends in "…". A line that breaks off goes on in the
    next, so both are judged together, and what the first makes wait makes the next wait, too.
    """
    line, shown, held = "", "", ""
    for piece in pieces:
        held += piece
        while end := first_sentence_end(held):
            sentence, held = shown + held[:end], held[end:]
            if allowed := _allowed(line, shown, sentence, unwanted):
                line = _unfinished(shown + allowed)  # of what is left out nothing stands between
                yield allowed
            shown = ""
        waits = line and trigger.search(line) and not _NEW.match(shown + held)
        if not waits and (free := _free(held, trigger)):
            yield held[:free]
            shown, held = shown + held[:free], held[free:]
    if held and (allowed := _allowed(line, shown, shown + held, unwanted)):
        yield allowed


def _allowed(line: str, shown: str, sentence: str, unwanted: Callable[[str], bool]) -> str:
    """Return what is still to be shown of a sentence, or what stands in for it if it is unwanted.

    line: the line before, if the sentence may go on from there.
    """
    goes_on = line and not _NEW.match(sentence) and not unwanted(line)
    if not unwanted(sentence) and not (goes_on and unwanted(line + sentence)):
        return sentence[len(shown) :]
    return "…" * bool(shown.strip()) + "\n" * sentence.endswith("\n")


def _unfinished(sentence: str) -> str:
    """Return a line that ended without a mark, as the next may go on with it; else nothing."""
    return "" if _WHOLE.search(sentence) else sentence


def _free(held: str, trigger: re.Pattern[str]) -> int:
    """Return how much of the unfinished text may be shown: whole words before any trigger."""
    found = trigger.search(held)
    whole = max(held.rfind(" "), 0)
    return min(whole, len(held[: found.start()].rstrip())) if found else whole
