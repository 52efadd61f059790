"""check_greeting: every usual kind of greeting, and nothing that asks or complains."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fsmbot.handlers.greeting import check_greeting
from fsmbot.turn import Turn

GREETINGS = (
    """
hi|Hello|hey there|hiya|heyyyy|HELLOOO!!!|hello there!!|howdy partner|yo|sup|what's up|whats up doc?
good morning|good morning, doctor|good evening doc|Good Afternoon!|morning|gm|greetings
namaste|hola|bonjour|salaam|assalamu alaikum|konnichiwa|aloha|ciao|привет|你好|مرحبا|नमस्ते
how are you|how are you doing today?|hi, how's it going?|hello how r u|how do you do|hi hi hi
thanks|thank you so much doctor|thx|many thanks|cheers mate|bye|goodbye!|see you later|good night
take care|have a nice day|nice to meet you|hello 👋|hi :)|ok thanks bye
👋|👋🏽!|👋️|👋?|hi 🙂|you ok?|gd morning|talk to you tomorrow
""".replace("\n", "|")
    .strip("|")
    .split("|")
)

SUBSTANCE = """
hi, my chest hurts|hello doctor I have a fever|hey can you help me|good morning, is aspirin safe?
thanks, but what about the dose|how are you supposed to treat a burn|how do you do a tourniquet
good evening doc my head is killing me|hi 39.5|bye bye to my knee, it is broken|morning sickness
what's up with my rash|have a nice day cream for rashes|good night sleep is impossible for me
hi what is the weather|doctor|ok|computer||   |!!!|! .|👋 🤒|
hello 😷|hi :'(|hello 💔|nurse, are you there|anyone there, please|what is happening|i need to go|
I took pills, goodbye
goodbye world I am ending it
hello I can't breathe|hey u there? i feel dizzy|thank you, next question: ibuprofen
""".replace("\n", "|").split("|")


@pytest.mark.parametrize("text", GREETINGS)
def test_a_greeting_in_any_usual_spelling_is_one(text: str) -> None:
    """Greetings, how-are-yous, thanks and farewells are greetings."""
    assert check_greeting(Turn(text)) == "greeting"


@pytest.mark.parametrize("text", SUBSTANCE)
def test_a_message_with_substance_is_no_greeting(text: str) -> None:
    """A question, a complaint, a number or nothing at all is never swallowed as a greeting."""
    assert check_greeting(Turn(text)) == "other"


@given(st.sampled_from(["fever", "my leg", "pregnant?", "can I"]), st.sampled_from(GREETINGS))
def test_a_greeting_never_hides_what_follows_it(substance: str, greeting: str) -> None:
    """Whatever greeting comes before or after, substance is seen."""
    assert check_greeting(Turn(f"{greeting}, {substance}")) == "other"
    assert check_greeting(Turn(f"{substance} {greeting}")) == "other"


@given(st.text(max_size=300))
def test_any_text_gets_an_answer(text: str) -> None:
    """Hostile text is a greeting or not, never an exception."""
    assert check_greeting(Turn(text + "\ud800\0")) in ("greeting", "other")


def test_a_text_of_megabytes_is_no_greeting() -> None:
    """A huge message is answered at once."""
    assert check_greeting(Turn("hi " * 3_000_000)) == "other"
