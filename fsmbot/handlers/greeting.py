"""check_greeting: is this message a greeting and nothing more?

The message is eaten up phrase by phrase, the longest first. Whatever is left is substance, so a
question or a complaint after the greeting is never swallowed.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Literal

from fsmbot.registry import handler
from fsmbot.turn import Turn
from fsmbot.vectors.tokens import words_of

MAX_CHARS = 200
"""A longer message says more than a greeting does."""

_PHRASES = """
    hi | hello | helo | hallo | hullo | hey | heya | hiya | hya | hai | yo | yoo | oi | ahoy
    howdy | hey ya | sup | wassup | wassap | whassup | whatsup | wazzup | whats up | what up
    what is up | what s up | greetings | salutations | good day | gday | g day
    top of the morning | top of the morning to you | good morning | good afternoon
    good evening | good night | goodnight | good eve | gm | gn | morning | mornin | afternoon
    evening | night night | nighty night | hola | buenos dias | buenas | buenas tardes
    buenas noches | que tal | bonjour | bonsoir | salut | ciao | buongiorno | buonasera
    guten tag | guten morgen | guten abend | servus | moin | gruezi | ola | oi oi | namaste
    namaskar | namaskaram | vanakkam | salaam | salam | assalamualaikum | assalamu alaikum
    as salamu alaikum | asalam o alaikum | salam alaikum | salaam alaikum | walaikum salam
    shalom | marhaba | merhaba | aloha | konnichiwa | konichiwa | ohayo | ni hao | nihao
    annyeong | sawadee | jambo | habari | privet | zdravstvuyte | czesc | ahoj | hej | hei | hoi
    halo | kia ora | sawubona | how are you | how r u | how are u | how r you | how are ya
    hows you | how you doing | how ya doing | how are you doing | how are you feeling
    how do you do | how is it going | hows it going | how goes it | how are things | hows things
    how have you been | how is everything | hows everything | how is life | hows life
    how is your day | hows your day | how was your day | how is your day going | how do
    hows your day going | are you well | are you ok | are you there | anyone there
    anybody there | is anyone there | is anybody there | you there | you alright | u there
    knock knock | how u doing | hope you are well | hope you are doing well | hope all is well
    i hope you are well | whats new | what is new | whats good | whats cracking
    whats happening | what is happening | long time no see | hru | nice to meet you
    pleased to meet you | glad to meet you | good to meet you | nice meeting you
    good to see you | nice to see you | great to see you | pleasure to meet you
    a pleasure to meet you | thanks | thank you | thankyou | thank u | thx | thanx | tnx | ty
    tysm | cheers | many thanks | ta | much appreciated | i appreciate it | thanks a lot
    thanks a bunch | thanks a million | thanks so much | thank you so much | thank you very much
    thank you kindly | much obliged | gracias | merci | danke | grazie | thanks for your help
    thank you for your help | thanks for the help | thank you for the help
    thanks for everything | thank you for everything | that was helpful | that helps | bye
    bye bye | byebye | goodbye | good bye | cya | see ya | see you | see u | see you later
    see you soon | see you around | see you tomorrow | later | laters | ttyl | talk to you later
    talk later | talk soon | catch you later | until next time | till next time | take care
    farewell | so long | adios | au revoir | have a nice day | have a good day
    have a great day | have a good one | have a good night | have a good evening
    have a nice evening | have a great evening | have a nice weekend | have a good weekend
    it was nice talking to you | nice talking to you | it was nice to meet you | sleep well
    sweet dreams | happy new year | merry christmas | happy holidays | happy easter
    happy diwali | eid mubarak | welcome | pleasure | i am fine | im fine | fine thanks
    i am good | im good | i am well | im well | and you | youre welcome | you are welcome
    नमस्ते | नमस्कार | 你好 | 您好 | こんにちは | おはよう
    안녕 | 안녕하세요 | привет | здравствуйте | مرحبا
    السلام عليكم | שלום | γεια | heyo | how you been | how u been | how are you holding up
    how is it hanging | how you are | how is life treating you | how is the day | peace out
    peace | good talk | nice chat | good chat | nice talk | great talk | great chat
    enjoyed our talk | enjoyed our chat | i enjoyed our talk | i enjoyed our chat
    i enjoyed talking to you | i enjoyed talking with you | i enjoyed speaking with you
    i enjoyed chatting with you | it was nice chatting with you | nice chatting with you
    nice speaking with you | nice talking with you | it was nice talking with you
    it was nice speaking with you | it was nice speaking to you | it was great talking to you
    it was great talking with you | it was good talking to you | it was lovely to speak with you
    it was lovely talking to you | it was a pleasure talking to you
    it was a pleasure talking with you | it was a pleasure to speak with you | it was a pleasure
    this was a nice chat | this was a nice conversation | this was fun | that was fun
    thank you for the chat | thanks for the chat | thanks for chatting | thank you for chatting
    thank you for your time | thanks for your time | thanks for helping
    thank you for helping | thanks for helping me | thank you for helping me
    thanks for helping out | thanks for helping me out | thanks for the assist | appreciated
    appreciate it | i appreciate that | i appreciate your help | appreciate your help
    i appreciate the help | i am thankful | im thankful | i am grateful | im grateful
    i owe you one | you have my gratitude | you are the best | youre the best | you rock
    you have been helpful | you have been a big help | you have been a great help
    that was very helpful | you helped me | special thanks | got to go | gotta go | i have to go
    i must go | i am off | im off | im leaving | i am leaving | im out | i am out
    over and out | gotta run | until we meet again | until later | good luck | stay safe
    be well | stay well | get home safe | you ok | are you okay | all good | all well | is all well
    is everything ok | everything ok | everything alright | alright | all right | hows tricks
    gd morning | gud morning | good mornin | good mrng | gud mrng | gud evening | gud eve
    gud afternoon | gud night | good nite | gud nite | nite | nite nite | gnite | g night
    talk to you tomorrow | talk to you soon | talk tomorrow | speak soon | speak to you soon
    speak to you later | speak to you tomorrow | chat later | chat soon | chat tomorrow
    see you next time | see you then | till tomorrow | until tomorrow | till later | tata | ta ta
    toodles | toodle oo | cheerio | ciao ciao | bye for now | ttfn | brb | be right back
    welcome back | how are you all | how are we | how are we today | how are we doing
    how has your day been | how is your morning | how is your evening | how is your week
    how is your week going | how is your weekend | had a good day | having a good day
"""

WAVES = frozenset("\U0001f44b\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff !.")
"""A waving hand in every colour, and what may stand beside it."""

_COMPANIONS = """
    there | doc | doctor | dr | docs | doctors | bot | chatbot | robot | computer | friend
    my friend | buddy | mate | pal | partner | dude | man | bro | sir | madam | maam | miss
    all | everyone | everybody | folks | guys | you guys | people | team | again | today
    tonight | now | this morning | this evening | this afternoon | to you | to you too | you too
    too | and | so | very | much | dear | my dear | love | sweetheart | lovely | nice | ok
    okay | oh | ah | well | just | wanted to say | just wanted to say | i just wanted to say
    saying | say | just saying | please | for now | then | lol | haha | hehe | xx | x | good
    a very | to all | to everyone | from me | old friend | ai | here | for me | with you
    as always | from you | always | indeed | great | awesome | perfect | cool | yes
    all the best | best wishes | with that | to talk to you
"""

_RUNS = re.compile(r"(.)\1+")
# The tokenizer drops what an apostrophe adds ("what's" -> "what"); spellings without it, and
# those of chat, are brought to the same word.
_SPELLINGS = {
    "whats": "what",
    "hows": "how",
    "whos": "who",
    "u": "you",
    "r": "are",
    "ya": "you",
    "im": "i",
    "youre": "you",
    "thnks": "thanks",
    "thanku": "thank you",
}


def _plain(word: str) -> str:
    """Close up repeated letters and chat spellings: "heyyyy" is "hey" here, and "hello" "helo"."""
    return _RUNS.sub(r"\1", _SPELLINGS.get(word, word))


def _phrases(listed: str) -> frozenset[tuple[str, ...]]:
    phrases = (words_of(phrase) for line in listed.splitlines() for phrase in line.split("|"))
    return frozenset(tuple(map(_plain, phrase)) for phrase in phrases if phrase)


@cache
def _known() -> tuple[frozenset[tuple[str, ...]], frozenset[tuple[str, ...]], int]:
    """Return greetings, fillers and the length of the longest greeting; made when first needed."""
    greetings = _phrases(_PHRASES)
    return greetings, _phrases(_COMPANIONS), max(map(len, greetings))


@handler(pure=True)
def check_greeting(turn: Turn) -> Literal["greeting", "other"]:
    """Recognise greetings, how-are-yous, thanks and farewells with nothing else beside them."""
    return "greeting" if is_greeting(turn.text) else "other"


def is_greeting(text: str) -> bool:
    """Return whether greeting phrases, and words that go with them, make up the whole text."""
    if len(text) > MAX_CHARS or any(letter.isdigit() for letter in text):
        return False
    if "\U0001f44b" in text and set(text) <= WAVES:
        return True
    words = [_plain(word) for word in words_of(text)]
    greeted, place = False, 0
    while place < len(words):
        size, greets = _eat(words[place : place + _known()[2]])
        if not size:
            return False
        greeted, place = greeted or greets, place + size
    return greeted


def _eat(words: list[str]) -> tuple[int, bool]:
    """Return how many words the longest phrase at the start takes, and whether it greets."""
    greetings, fillers, _ = _known()
    for size in range(len(words), 0, -1):
        phrase = tuple(words[:size])
        if phrase in greetings or phrase in fillers:
            return size, phrase in greetings
    return 0, False
