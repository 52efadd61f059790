"""Keep the model from claiming to be a doctor or a human, while its words stream.

A small model trained on doctors' answers says "as a doctor, I…". Words pass through as they come,
until one that could begin a claim ("I", "my", "as a"…); from there on the sentence is held until it
is whole, and left out if it does claim. Plain rules, so that they can be read and extended.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from fsmbot.doctor.sentences import first_sentence_end

_ROLE = (
    r"(?:doctors?|physicians?|surgeons?|nurses?|gp|general practitioner|psychiatrists?|psychologists?"
    r"|cardiologists?|dermatologists?|p(?:a)?ediatricians?|gyn(?:a)?ecologists?|neurologists?"
    r"|urologists?|oncologists?|dentists?|pharmacists?|clinicians?|medic|consultants?|specialists?"
    r"|(?:medical|health ?care|health) (?:professional|provider|expert|practitioner|specialist)s?"
    r"|m\.?d\b|dr\b\.?|human|person|licensed|board[- ]certified|medically trained)(?!\w)"
)
_SELF = (
    r"(?:\b(?:i am|i['’]m|im|i was|i have been|i['’]ve been|i work|i (?:also )?practi[cs]e|i trained"
    r"|we are|we['’]re|my name is|this is|myself|call me|speaking as)\b|\bi,)"
)
_CLAIMS = [
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"{_SELF}(?:(?!\bif\b|\bthat\b|\byour?\b)[^.!?\n]){{0,50}}?\b{_ROLE}",
        rf"^\W*(?:as|being|speaking as) (?:a|an|your|the)\b (?:[\w-]+ ){{0,5}}?{_ROLE}",
        rf"(?<!such )\b(?:as|being) (?:a|an|your)\b (?:[\w-]+ ){{0,5}}?{_ROLE}\W* (?:i|we|my)\b",
        rf"\bi(?:['’]ve| have)?\b[^.!?\n]{{0,60}}\b(?:as|being) (?:a|an|your) (?:[\w-]+ ){{0,5}}?{_ROLE}",
        r"\b(?:my|our) (?:[\w-]+ ){0,2}?(?:team|staff|doctors|specialists|patients?|practice|clinic"
        r"|office|hospital|colleagues|clinical experience"
        r"|medical (?:career|training|degree|licen[sc]e|experience|school))\b",
        r"\bi(?: have| had|['’]ve)? (?:also )?(?:treated?|see|seen|saw|examined|diagnosed|operated|dealt|"
        r"worked|helped|cared|met|had)\b[^.!?\n]{0,40}?\b(?:patients|cases)\b",
        r"\bi (?:am |['’]m )?speciali[sz](?:e|ed|ing)\b",
        r"\bin my (?:[\w-]+ )?(?:experience|years)\b",
        r"(?:regards|sincerely|yours|best wishes|take care|thanks|thank you)\W+dr\b",
        r"^\W*dr\.? [A-Z][\w.-]+(?: [A-Z][\w.-]+)*\W*$",
        r"\b(?:i am|i['’]m) not an? (?:ai|bot|robot|machine|computer|chatbot)\b",
    )
]
_DENIAL = re.compile(
    rf"\bnot (?:(?!only|just|merely)[\w-]+ ){{0,4}}?{_ROLE}|\b(?:cannot|can['’]t) replace",
    re.IGNORECASE,
)
_TRIGGER = re.compile(
    r"(?<![\w'’])(?:i|im|i['’]\w+|my|myself|we|we['’]re|our|me|this|call|speaking|being|as|dr|"
    r"in(?=\s*\w{0,3}$|\s+(?:my|our)\b)|regards|sincerely|yours|best|take|thanks?)(?![\w])",
    re.IGNORECASE,
)


def claims_to_be_a_doctor(sentence: str) -> bool:
    """Say whether a sentence says that its author is a doctor, licensed, or human."""
    if _DENIAL.search(sentence):
        return False
    return any(claim.search(sentence.strip()) for claim in _CLAIMS)


def without_claims(pieces: Iterable[str]) -> Iterator[str]:
    """Pass text on as it streams, leaving out sentences that claim to come from a doctor.

    A sentence whose beginning was shown already ends in "…" instead of the claim.
    """
    shown, held = "", ""
    for piece in pieces:
        held += piece
        while end := first_sentence_end(held):
            yield _allowed(shown, held[:end])
            shown, held = "", held[end:]
        free = _free(held)
        if free:
            yield held[:free]
            shown, held = shown + held[:free], held[free:]
    if held:
        yield _allowed(shown, held)


def _allowed(shown: str, rest: str) -> str:
    """Return the rest of a sentence, or what stands in for it if the sentence makes a claim."""
    if not claims_to_be_a_doctor(shown + rest):
        return rest
    return "…" * bool(shown.strip()) + "\n" * rest.endswith("\n")


def _free(held: str) -> int:
    """Return how much of the unfinished text may be shown: whole words before any trigger."""
    trigger = _TRIGGER.search(held)
    whole = max(held.rfind(" "), 0)
    return min(whole, trigger.start()) if trigger else whole
