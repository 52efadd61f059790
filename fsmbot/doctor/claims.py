"""Recognise sentences in which the model claims to be a doctor, licensed, or a human.

A small model trained on doctors' answers says "as a doctor, I…", "we will run some tests" and "I
have had this for years". Of itself it may say only what `persona` lists ("I am sorry", "I am an AI", "my
advice"); anything else in the first person is a claim, and so is what speaks for a clinic.
"""

from __future__ import annotations

import re
import unicodedata

from fsmbot.doctor.persona import (
    A_DOCTOR,
    ACTS,
    ANYBODY,
    ARTICLE,
    BOT,
    DOCTOR,
    HUMAN,
    I_AM,
    I_HAVE,
    I_MAY,
    LICENSED,
    MODAL,
    MY,
    OURS,
    PAST,
    WE_DO,
    words,
)

_MAY = r"(?: (?:can|could|will|must|should|would|'d)|'ll|'d)(?: (?:like|want|need|have|hope|be able) to)?"
_TELL = words(
    """let, tell, give, ask, help, show, provide, allow, excuse, remind, inform, forgive, to, for, by, from,
    like"""
)

_OF_ITSELF = (
    rf"(?<!whether )(?<!if )\bi'm (?!{I_AM})",
    rf"\bi(?:'ve been| was) (?!{I_AM})",
    rf"\bi've (?!{I_HAVE})(?!been\b)",
    rf"(?<!am )\bi (?!was\b|would\b|were you\b)(?!{I_MAY})[\w']",
    rf"\bi'll (?!{I_MAY})",
    rf"\bmy (?!{MY})",
    rf"(?:^|\b(?!{_TELL}\b|call me back\b)[\w']+ )me\b",
)
_AS_PEOPLE_DO = (
    rf"\bi(?:'ll|'d| would) {MODAL}{ACTS}",
    rf"\bi {MODAL}{ACTS}",
    rf"\b(?:let|allow|want|like|need) me (?:to )?{ACTS}",
    rf"\bi{_MAY} (?:\w+ )?(?:see|meet|check|look after|take care of|visit|follow up with|be seeing|refer) "
    rf"you",
    rf"\bi{_MAY} (?:\w+ )?(?:refer|order|schedule|run|start you|put you)\b",
    rf"\bi{_MAY} (?:\w+ )?do (?:\w+ ){{0,2}}(?:tests?|exams?|examinations?|scans?|surgery)\b",
    rf"\bi{_MAY}? (?:\w+ )?be (?:happy to be )?{A_DOCTOR}",
    rf"\bbe your (?:\w+ )?{DOCTOR}",
    rf"\bi(?:'m| am) (?:[\w-]+ ){{0,4}}and {A_DOCTOR}",
    r"\bi\b.*\bthis patient\b|\b(?:when|until|if) we (?:meet|speak|talk)\b",
    r"\b(?:seeing|see) you (?:in|at|on|tomorrow|next)\b",
    r"\b(?:appointment|consultation|visit) with me\b",
)
_FOR_A_CLINIC = (
    rf"\b(?:we|us) (?:{DOCTOR}|at (?:the|our))",
    r"\bwe're (?:an? (?:team|group|clinic|hospital)|here at|open|located)\b",
    rf"\bwe're (?:all )?(?:{A_DOCTOR}|{DOCTOR}|{LICENSED})",
    r"\bwe(?:'ll|'re going|'d like| will| can| could| should| would| may| might| must| need(?: in order)?| "
    r"have| want"
    rf"| ought)?(?: also| then| now| first| probably| likely| have| need| be able| like| want)*(?: to)? "
    rf"{WE_DO}",
    r"\b(?:recommend|suggest|propose)(?: that)? we\b",
    r"\bso (?:that )?we (?:can|could|may)\b",
    rf"\bwe (?:also |all |then |first |just |\w+ly )*(?:{PAST}|\w+ed\b)",
    r"\bwe(?:'ll|'d|'ve| will| would| want)\b",
    r"\bwe (?:have|offer) (?:[\w-]+ ){0,3}?(?:tests?|procedures?|treatments?|appointments?|doctors?"
    r"|nurses?)\b",
    r"\b(?:like|want|need|allow|ask) us to\b",
    rf"\b(?:let's|let us) {WE_DO}",
    r"\b(?:you|please|to|can|should) come in\b(?! contact)",
    rf"\bour (?:own )?(?:[\w-]+ ){{0,2}}?{OURS}",
)
_AS_A_DOCTOR = (
    rf"^(?:yes|no|well|and|but|so|sure|of course)?,? ?(?:as|being|speaking as) {A_DOCTOR}"
    r"(?= ?(?:[,.:;!-]|$|i\b|we\b|my\b|myself|with|of|who|in|for|here))",
    rf"(?<!such )\b(?:as|being) {ANYBODY}\W* (?:i|we|my|i'\w+)\b",
    r"\bi(?:'\w+)? (?:\w+ )?(?:work|speak|say|train|serve|know|see|tell|advise|talk|write|act)(?:ed|ing|s)?\b"
    rf"[^.!?]{{0,40}}?(?<!such )\bas {A_DOCTOR}",
    rf"\bmy (?:[\w-]+ ){{0,4}}(?:as|being) {A_DOCTOR}",
    r"\bas (?:someone|somebody|one) (?:who|with)\b[^.!?]*\b(?:i|we|my)\b",
    rf"\b{ARTICLE}{DOCTOR} (?:myself|by (?:training|profession|trade))\b",
    r"^(?:with|after|over|for|having)\b[^.!?]{0,30}\b(?:years|decades)\b[^.!?]{0,50}\b(?:i|we)\b",
)
_BY_NAME = (
    rf"\b(?:name is|name's|call me|i go by|signed),? (?:the )?{DOCTOR}",
    rf"\b(?:this is|yours,) (?:your |an? (?:real |human |licensed |qualified )+)(?:\w+ )?(?:{DOCTOR}"
    rf"|{HUMAN})",
    r"\bthis is (?:dr|doctor|nurse)\b",
    r"^\W*(?:dr|doctor|nurse|prof)\.? [\w'-]+(?: [\w'-]+){0,2}(?:\W*$|\W*:|,? here\b| speaking\b)",
    r"(?:regards|sincerely|yours|wishes|take care|thanks|thank you)\W+(?:dr|doctor|prof|your \w+ doctor)\b",
    rf"^\W*(?:an? |your |the |real )*(?:[\w-]+ )?(?:{DOCTOR}|{HUMAN}) here(?:$|[,.!:])",
)
_WHO_IS_HERE = (
    r"(?<!if )(?<!when )(?<!while )(?<!once )(?<!until )(?<!whether )\byou(?:'re| are|'ve been| have been) "
    r"(?:\w+ )?"
    rf"(?:talking|speaking|chatting|writing|texting|connected|in contact|in touch) (?:to|with) {ANYBODY}",
    rf"\b(?:real|actual|living|licensed) (?:\w+ )?(?:{DOCTOR}|{HUMAN}) (?:is|are|was|has|have) "
    r"(?:answer|typ|writ|here|read|review|behind|wrote)",
    r"\b(?:this|these|the|my) (?:message|answer|reply|advice|text|chat|site|service)s? "
    rf"(?:is|are|was|were|has been|comes?) (?:\w+ )?(?:by|from) {ANYBODY}",
    r"(?:^|\b(?:i'm|i was|you're|this is|there is|there's|it's|it is|talking to|speaking to|with),? )"
    r"(?:yes|really |just |certainly |definitely |also |no, )*(?:not|no|isn't)"
    rf"(?: just| only| some| really| an?| any| talking to| speaking to| \w+)*? {BOT}",
)
_IN_OTHER_LANGUAGES = (
    words("ich bin, soy, je suis, sono, sou, ik ben, jestem, jag är, mein name ist, me llamo, je m'appelle")
    + r"\b[^.!?]{0,30}\b"
    + words(
        r"""arzt, ärztin, doktor, médic[oa], doctora?, doutora?, médecin, docteur, medico, dottor\w*,
        infirmi\w+, enfermer[oa], arts, lekarz\w*, läkare, dra?, mensch, human[oa], humain, persona,
        personne"""
    )
    + r"\b",
)
_CLAIMS = [
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        *_OF_ITSELF, *_AS_PEOPLE_DO, *_FOR_A_CLINIC, *_AS_A_DOCTOR, *_BY_NAME, *_WHO_IS_HERE,
        *_IN_OTHER_LANGUAGES,
    )
]  # fmt: skip
_SIGNATURE = re.compile(
    r"^\W*(?:Dr|DR|Prof)\b\.?(?: med\b\.?)?(?: [A-Z][\w.'-]+)+,?(?: [A-Z][\w.-]+)*\W*$"
    r"|^\W*(?:[A-Z][\w.'-]+ ){1,3}?[A-Z][\w'-]+, (?:M\.?D|R\.?N|D\.?O|G\.?P|Ph\.?D)\b"
)

_YES = words(
    """yes, yeah, yep, no, nope, sure, ok, of course, correct, right, exactly, absolutely, certainly,
    definitely, indeed, true, that is (?:right|correct|true), that's (?:right|correct|true)"""
)
_OF_HEALTH = words(
    "you, your, it, its, there, this, these, those, they, the, an?, some, most, many, people, if"
)
_SHORT = re.compile(
    "|".join(
        (
            rf"^\W*(?:(?:hello|hi|well|oh|so|um|and|but)\W+)?{_YES}\b(?!\W+{_OF_HEALTH}\b)",
            r"^\W*(?:it|that|this)(?:'s| is) (?:true|correct|right)\b",
            r"\bit(?:'s| is) (?:true|correct|right|possible)\W*$",
            r"^\W*(?:(?:i|we) (?:(?:really|actually|certainly|also|think i|think we) )?"
            r"(?:was|can|could|will|think so|(?:do|did)\b(?! not| you)[^.]*)|i'm|i've|we're)\W*$",
            rf"^\W*(?:(?:as|an?|the|your|real|by) )*(?:[\w-]+ ){{0,3}}?(?:{DOCTOR}|{LICENSED}|{HUMAN})\W*$",
            r"^\W*(?:(?:about|over|around|for|since|nearly|almost|more than) )*\d[\d,.-]*(?: \w+)?\W*$",
            r"\bpatients?\b.*\d|\d.*\bpatients?\b|\bin practi[cs]e\b|\blicen[cs]e (?:number|no)\b",
        )
    ),
    re.IGNORECASE,
)
_ABOUT_THE_BOT = re.compile(
    r"\b(?:are|were|have|did|do|would|will|r) (?:you|u)\b(?! (?:recommend|suggest|know|think|advise|mean"
    r"|agree))"
    r"|\b(?:you're|you are|yourself|do you have (?!any|some))\b|\b(?:talking|speaking|chatting|writing) "
    r"(?:to|with)\b"
    r"|\byour (?:own|name|licen|age|patients?|practice|clinic|surgery|hospital|office|experience|clinical"
    r"|qualif|train"
    r"|degree|title|signature|work|job|rules|last)"
    r"|\b(?:pretend|act as|play|role|prove|admit|repeat|sign|complete|ignore|say that|answer as|write as"
    r"|trust you)\b"
    rf"|\bas an? (?:[\w-]+ ){{0,3}}?{DOCTOR}",
    re.IGNORECASE,
)
TRIGGER = (
    words(
        r"""i, im, ive, i['’]\w+, my, myself, we, we['’]\w+, our, us, me, as, being, speaking, prof,
        signed, regards, sincerely, yours, best, kind, real, years, decades, ich, soy, je, sono, sou,
        ik, jestem, jag, mein"""
    )
    + rf"|in(?=\s*\w{{0,3}}$|\s+(?:my|our)\b)|{DOCTOR}|{LICENSED}|{HUMAN}|{BOT}"
)
"""Words with which a claim could begin."""

_MARKS = str.maketrans(dict.fromkeys("’‘ʼ`´", "'") | dict.fromkeys('“”„«»"*_~#>|', " "))
_ONE_WORD = [
    (re.compile(pattern, re.IGNORECASE), word)
    for pattern, word in (
        (r"\b(?:i am|im)\b", "i'm"), (r"\b(?:i have|ive)\b", "i've"),
        (r"\bi'd been\b", "i've been"), (r"\bwe are\b", "we're"),
    )
]  # fmt: skip


def claims_to_be_a_doctor(sentence: str) -> bool:
    """Say whether a sentence says that its author is a doctor, licensed, or human."""
    text = plain(sentence)
    return bool(_SIGNATURE.search(text)) or any(claim.search(text) for claim in _CLAIMS)


def asks_about_the_bot(question: str) -> bool:
    """Say whether a question may be about who answers: then "yes", too, may claim something."""
    return bool(_ABOUT_THE_BOT.search(plain(question)))


def short_claim(sentence: str) -> bool:
    """Say whether a sentence claims something as an answer to a question about the bot: "Yes." """
    return bool(_SHORT.search(plain(sentence)))


def plain(sentence: str) -> str:
    """Return a sentence on one line, with plain quotes and without marks of emphasis."""
    text = unicodedata.normalize("NFKC", sentence)
    text = "".join(c for c in text if unicodedata.category(c) != "Cf").translate(_MARKS)
    text = re.sub(r" (?=[,.:])", "", " ".join(text.split()))
    for pattern, word in _ONE_WORD:
        text = pattern.sub(word, text)
    return text
