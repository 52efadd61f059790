"""Word lists for `claims`: who may not be claimed to be, and what the model may say of itself.

Each list is a regular expression made of words and phrases that are parted by commas. They are
matched in text that `claims.plain` has put on one line, where "I am" reads "i'm" and "I had" "i've".
"""

from __future__ import annotations


def words(listed: str) -> str:
    """Return a pattern of the words listed, parted by commas."""
    return "(?:" + "|".join(" ".join(word.split()) for word in listed.split(",")) + ")"


def whole(listed: str) -> str:
    """Return a pattern of the words listed, with which no longer word begins."""
    return words(listed) + r"(?![\w'])"


DOCTOR = whole(
    r"""docs?, doctors?, docters?, doktor, doctora, dra?, prof, m\.?d, r\.?n, g\.?p, ph?ysici?ans?,
    surgeons?, nurses?, midwi(?:fe|ves), medics?, paramedics?, clinicians?, consultants?, specialists?,
    practitioners?, pharmacists?, dentists?, residents?, \w*therapists?,
    \w+(?:ologist|iatrist|iatrician|etrician)s?, \w+(?:ecian|thetist|odontist)s?,
    (?:medical|clinical|health ?-?care|health) (?:professional|provider|expert)s?,
    (?:medical|clinical|health ?-?care|health) (?:student|worker|specialist)s?"""
)
LICENSED = whole("licen[sc]ed, certified, board[- ]certified, registered, qualified, medically trained")
HUMAN = whole("humans?, person, people, man, woman, mother, father, parent")
BOT = whole(r"ai, a\.i, bot, chatbot, robot, machine, computer, program, software, automated, artificial")

# Between "a" and "doctor" there may be words ("an experienced family doctor"), but none of these.
LINK = whole(
    """that, who, which, whether, if, to, for, from, with, about, by, of, in, on, at, than, but, see, or,
    you, when, because, can, could, should, will, would, may, might, must, is, are, has, have"""
)
ARTICLE = rf"(?:an?|the|your|our|one of (?:the|your|our)) (?:(?!{LINK})[\w'-]+,? ){{0,5}}?"
A_DOCTOR = rf"{ARTICLE}(?:{DOCTOR}|{LICENSED})"
ANYBODY = rf"{ARTICLE}(?:{DOCTOR}|{LICENSED}|{HUMAN})"

# What may follow "I am": "I am very sorry", "I am an AI", "I am not a doctor".
_VERY = words(
    """so, very, really, truly, deeply, quite, also, just, only, always, still, most, more, again,
    absolutely, terribly, here, simply, merely, but"""
)
_FELT = words(
    """sorry, afraid, glad, happy, pleased, delighted, sure, certain, unsure, confident, concerned,
    worried, aware, unaware, able, unable, grateful, wrong, right, mistaken, limited, curious, willing,
    ready, here (?:to|for you)"""
)
_DOING = words(
    """wondering, asking, hoping, assuming, thinking, referring, talking about, saying, suggesting,
    giving, providing, trying to help, going to (?:explain|describe|list|give|tell|try|ask|help|answer)"""
)
_MADE = words("designed, made, built, created, programmed, developed, trained")
_MADE += r"(?! as\b| to (?:treat|be)\b| at\b| in\b)"
_NOT = r"not(?! (?:only|just|merely|alone)\b)|no(?! (?:longer )?\w*(?:bot|machine)\b)"
_A_BOT = rf"(?:(?:an?|your|the) (?:(?!{LINK})[\w-]+ ){{0,3}}?)?(?:{BOT}|assistant|model)"
_A_BOT += r"(?! (?:engineer|develop|scien))"
I_AM = rf"(?:{_VERY} )*(?:{_FELT}|{_DOING}|{_MADE}|{_NOT}|{_A_BOT})(?![\w'])"

# What may follow "I have": "I have two questions", "I have never studied medicine".
_SOME = words(
    "an?, some, any, few, one, more, two, no, never, not, only, just, already, also, to, been, other"
)
I_HAVE = rf"(?:{_SOME} )*" + whole(
    """questions?, information, suggestions?, ideas?, advice, tips?, answers?, doubts?, concerns?, access,
    no, not, never, tried to, read, heard, found, included, listed, provided, given, gave, explained,
    mentioned, described, answered, said, told you, written, added, made (?:to|for), trained on, designed,
    programmed, to (?:say|ask|tell|admit), limits?, limitations, better, confidence, hope"""
)

# What may follow "my": "my advice", "my first question".
MY = r"(?:(?!own\b)[\w-]+ )?" + whole(
    r"""advice, answers?, recommendations?, suggestions?, opinion, views?, knowledge, name, apolog\w+,
    sympath\w+, condolences, guess, questions?, understanding, point(?! of view as), concerns?, reply,
    replies, responses?, purpose(?! was), training data, help, thoughts, goal(?! was), aim(?! was),
    limits, limitations, pleasure, information, words, list, mistake, friend, dear, best, previous, last,
    first"""
)

# What may follow "I": "I strongly recommend", "I can only give", "I do not know".
_MODAL = words(
    """can, could, will, may, might, shall, must, should, do, also, really, just, only, always, still,
    often, strongly, highly, fully, certainly, definitely, honestly, first, again, like to, love to, want
    to, need to, have to, be able to, be happy to, be glad to, try to, going to"""
)
MODAL = rf"(?:{_MODAL} )*"
_SAY = words(
    """recommend, suggest, advise, think, believe, hope, understand, wish, guess, agree, know, mean, say,
    assume, suppose, consider, wonder, doubt, encourage, urge, warn, appreciate, apologi[sz]e, mention,
    note, add, repeat, remind, point out, thank, congratulate, read, forget, want you, need
    (?:you|more|some more|your), feel (?:that|like|sorry|it|you|for you), take (?:it|that|this as|your),
    use the (?:word|term)"""
)
_ADVICE = (
    r"(?:(?:you|them|an?|some|the|more|any|my|few) )*(?:\w+ )?"
    "(?:information|advice|answers?|explanations?|ideas?|tips?|lists?|help|details?|examples?|hints?|guidance)"
)
_HELP = words(
    rf"""help(?! (?:people|patients|many)\b), explain, assist, answer, ask, try, do (?:my|the|our) best,
    find, do everything, do something, do that, make sure, look up, list, describe, share, offer, provide,
    tell(?! (?:my|all|every|many|most|people|patients|them)\b), give
    {_ADVICE}, be (?:happy|glad|able|here to|wrong|of help|helpful|honest|clear)"""
)
_DO_NOT = words(
    """cannot, can't, couldn't, don't, didn't, won't, wouldn't, haven't, not, no, never(?!
    (?:had|saw|met|took|used|treated))"""
)
_SEE = (
    r"see(?! (?:an?|this|it|these|many|so|lots|hundreds|patients|people|cases|such|them|you (?:in|at|on))\b)"
)
I_MAY = rf"{MODAL}(?:{_SAY}|{_HELP}|{_DO_NOT}|{_SEE})(?![\w'])"

# What only people and clinics do: "I would prescribe", "we took", "we will run a test", "our patients".
ACTS = words(
    r"""treat\w*, examin\w*, diagnos\w*, operat\w*, prescrib\w*, deliver\w*, perform\w*, inject\w*,
    practi[cs]\w*, speciali[sz]\w*, graduat\w*, studied, retired, qualif\w*, monitor\w*, admit you,
    volunteer\w*, vaccinat\w*, discontinue, anaesthe\w*, see you"""
)
PAST = whole(
    """went, took, used, felt, lost, ate, lived, moved, met, gained, noticed, learned, became, began,
    visited, got, saw, tried, started, found, had, did, gave, made, worked, decided, were, was, told,
    asked, treated, prescribed, performed"""
)
WE_DO = whole(
    """run, perform, do(?! not), order, conduct, schedule, prescribe, examine, treat, monitor, refer,
    start, give, admit, operate, take, get, check, diagnose, discuss, set up, arrange, see, keep, send,
    put, try, look, clean, evaluate, test, determine, call, contact, rule, use, make, proceed, provide,
    work, follow, begin, confirm, offer, help, require, request, recommend, suggest"""
)
OURS = whole(
    """patients?, practice, clinics?, office, surgery, hospitals?, nurses?, doctors?, physicians,
    specialists, team, staff, colleagues?, department, ward, website, facility, centre, center, service,
    pharmacy, reception, wife, husband, son, daughter, mother, father"""
)
