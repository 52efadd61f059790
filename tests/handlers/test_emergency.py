"""Red flags are recognised by rules, and ordinary questions are left alone."""

from __future__ import annotations

import pytest

from fsmbot.handlers.emergency import check_emergency, emergency
from fsmbot.handlers.emergency_reading import FOLDER, read_rules
from fsmbot.handlers.emergency_rules import SELF_HARM
from fsmbot.handlers.phrasebook import read
from fsmbot.turn import Turn

RED_FLAGS = {
    "heart": [
        "I have chest pain and I'm short of breath",
        "crushing pain in my chest going down my left arm",
        "My chest feels tight and I can't breathe properly",
        "my husband is sweating a lot and says his chest hurts",
        "There's an elephant sitting on my chest",
        "chest pressure and pain in my jaw since an hour",
        "I think I'm having a heart attack",
        "Severe chest pain!!",
        "pain in the chest, feeling faint and clammy",
    ],
    "stroke": [
        "One side of my mother's face is drooping",
        "my dad suddenly can't speak",
        "Sudden weakness in my right arm and slurred speech",
        "I suddenly can't feel the left side of my body",
        "is my grandma having a stroke? she is slurring her words",
        "this is the worst headache of my life",
        "her mouth droops on one side",
        "Out of nowhere my left arm went numb and I feel confused",
    ],
    "breathing": [
        "I can't breathe",
        "my asthma inhaler isn't working and I'm wheezing badly",
        "he stopped breathing",
        "she is gasping for air",
        "my lips are turning blue",
        "suddenly short of breath and my calf is swollen",
    ],
    "choking": ["my son is choking on a grape", "he's choking what do I do", "someone choking at the table"],
    "allergy": [
        "my throat is closing up after eating peanuts",
        "tongue swelling after a bee sting",
        "hives all over and trouble breathing",
        "I think this is anaphylaxis, I just used my epipen, is having anaphylactic shock normal",
        "Severe allergic reaction, what now?",
    ],
    "bleeding": [
        "the bleeding won't stop",
        "blood is spurting from my leg",
        "I am vomiting blood",
        "I've been coughing up blood since yesterday",
        "he cut off his finger with a saw",
        "cut my arm deep and I'm bleeding uncontrollably",
        "My wound keeps bleeding, it's soaked through three towels",
    ],
    "unconscious": [
        "my wife is unconscious",
        "He passed out and won't wake up",
        "I can't wake my roommate",
        "grandpa collapsed in the kitchen",
        "my friend is not responding to me",
    ],
    "seizure": [
        "my daughter is having a seizure",
        "the seizure has lasted ten minutes",
        "He is convulsing and foaming at the mouth",
        "she had her first seizure just now",
    ],
    "overdose": [
        "I took too many sleeping pills",
        "I just swallowed a whole bottle of tylenol",
        "My brother overdosed",
        "took 30 paracetamol an hour ago",
        "I gave myself double the insulin, I took too much insulin",
        "she drank so much she is drunk and unresponsive",
    ],
    "poisoning": [
        "my toddler drank bleach",
        "our dog is fine but my kid ate rat poison",
        "the baby swallowed a button battery",
        "carbon monoxide alarm went off and we all have a headache",
        "I was bitten by a snake",
        "I accidentally swallowed antifreeze",
    ],
    "head_injury": [
        "I hit my head and keep vomiting",
        "he fell on his head and is confused",
        "She banged her head and was knocked out",
    ],
    "meningitis_sepsis": [
        "high fever and a stiff neck",
        "a purple rash and fever, the rash doesn't fade when I press a glass on it",
        "my mother has a fever and is very confused",
    ],
    "baby": [
        "my 3 weeks old has a fever of 38.5",
        "newborn with a temperature",
        "my baby is limp and floppy",
        "my six month old baby is turning blue",
        "My infant is not breathing",
    ],
    "pregnancy": [
        "I'm 30 weeks pregnant and bleeding heavily",
        "pregnant with a severe headache and blurry vision",
        "my baby stopped moving, I'm in the third trimester",
        "I am pregnant and my waters broke early",
    ],
    "abdomen": [
        "sudden severe stomach pain and I feel faint",
        "excruciating abdominal pain with fever",
        "severe pain in my testicle since this morning",
    ],
    "injury": [
        "I've been stabbed",
        "the bone is sticking out of her leg",
        "he was hit by a car",
        "fell off the roof and can't move my legs",
    ],
    "burns": [
        "my friend got electrocuted",
        "got bleach in my eye",
        "boiling water spilled over my toddler",
        "third degree burns on my hands",
    ],
    "spine": [
        "back pain and I can't control my bladder",
        "numb between my legs and back pain",
    ],
    "eyes": [
        "I suddenly lost vision in one eye",
        "suddenly I can't see anything",
        "like a curtain over my vision",
        "my eye hurts a lot and I cannot see anything",
    ],
    "sugar": [
        "I'm diabetic and very confused",
        "my blood sugar is 550",
        "diabetic friend unconscious on the floor",
    ],
    "heat_cold_water": ["my son almost drowned in the pool", "he's been in the heat and is confused"],
    "mind": ["the voices tell me to kill someone", "I am going to kill my wife"],
    "self_harm": [
        "I want to kill myself",
        "i wanna die",
        "I'm thinking about suicide",
        "I am going to end my life tonight",
        "everyone would be better off without me",
        "I don't want to live anymore",
        "my friend says he will kill himself",
        "I've been cutting myself to cope",
        "how many pills does it take to die",
        "I feel suicidal",
        "goodbye cruel world",
        "I took them all, goodbye",
        "I won't be here tomorrow",
        "I wrote a goodbye note",
        "what is the most painless way to die",
        "planning to jump off a bridge",
        "there is no reason to live",
        "I keep having thoughts of suicide",
        "I want to hurt myself",
        "my daughter says she wants to end it all",
        "kms",
        "I can't go on living like this",
        "thinking of taking my own life",
        "I wish I wouldn't wake up tomorrow",
    ],
    "dying": ["I feel like I'm dying"],
}

BENIGN = [
    "my grandfather had a stroke 10 years ago",
    "I have a mild chest cold",
    "no chest pain, but a cough",
    "I have no chest pain or shortness of breath",
    "What are the signs of a stroke?",
    "what are the symptoms of a heart attack",
    "I don't have any chest pain and I'm not short of breath",
    "My back is killing me",
    "This headache is killing me",
    "I'm dying to know the results",
    "I nearly died laughing",
    "how do I treat a nose bleed",
    "my gums bleed when I brush",
    "I had a heart attack five years ago, can I fly?",
    "is it safe to take ibuprofen with paracetamol",
    "how many ibuprofen can I take a day",
    "I took two ibuprofen this morning",
    "What is the treatment for epilepsy?",
    "My aunt died of an overdose years ago",
    "I used to be suicidal as a teenager, years ago",
    "I'm not suicidal, just tired",
    "I don't want to kill myself, I just feel low",
    "no thoughts of suicide",
    "my nose is blocked and I can't breathe through it",
    "I get out of breath when I run",
    "I choked up during the movie",
    "my baby is 8 months old and has a runny nose",
    "can I give honey to my baby",
    "When do babies sleep through the night?",
    "my tongue is white",
    "my throat is sore",
    "I have hay fever and itchy eyes",
    "what causes high blood pressure",
    "my ankle is swollen after a sprain",
    "I fell on my knee yesterday",
    "I bumped my head lightly and feel fine",
    "I have a small burn on my finger",
    "how do vaccines work",
    "I am pregnant, can I eat sushi?",
    "I'm pregnant and have heartburn",
    "period pain, what helps",
    "my period is heavy",
    "can stress cause chest tightness",
    "I feel a bit dizzy when I stand up",
    "the doctor ruled out a heart attack",
    "my blood sugar is 120 in the morning",
    "I am diabetic, what should I eat",
    "what is a seizure",
    "My epilepsy has been well controlled, no seizures",
    "my left arm is sore from the vaccine",
    "numb fingers at the keyboard",
    "my foot fell asleep",
    "I have lower back pain from sitting",
    "frequent urination at night",
    "my eyes are dry",
    "I see floaters sometimes",
    "I had my appendix out last year",
    "bruise on my leg is purple",
    "a rash on my elbows that itches",
    "my neck is stiff from sleeping badly",
    "low fever and a sore throat",
    "I have a cold and a temperature of 37.5",
    "how do I lower my cholesterol",
    "what is the dose of amoxicillin for an adult",
    "am I allergic to cats?",
    "I sneeze around pollen",
    "what is first aid for choking",
    "How common is carbon monoxide poisoning?",
    "my dog ate chocolate",
    "I drink two beers a week",
    "hello",
    "good morning doctor",
    "what's the weather",
    "book a table for two",
    "kill the lights please",
    "how do I kill weeds",
    "I could kill for a pizza",
    "end the call",
    "my battery is dead",
    "I can't go on vacation with this leg",
    "I am tired of this cough",
    "cut my finger a little while cooking",
    "I shot a great photo today",
    "the crash of the stock market gives me stress",
    "I have anxiety about dying",
    "my father is 80 and forgets names",
]

PHRASINGS = [(name, text) for name, texts in RED_FLAGS.items() for text in texts]


@pytest.mark.parametrize(("category", "text"), PHRASINGS)
def test_a_red_flag_is_recognised(category: str, text: str) -> None:
    """Every one of these phrasings gets the emergency reply, never the model."""
    assert emergency(text) is not None
    assert check_emergency(Turn(text)) == "emergency"


@pytest.mark.parametrize("text", BENIGN)
def test_an_ordinary_message_is_no_emergency(text: str) -> None:
    """Negated, past, general and everyday messages raise no alarm."""
    assert emergency(text) is None
    assert check_emergency(Turn(text)) == "other"


def test_thoughts_of_suicide_get_the_crisis_lines() -> None:
    """Self-harm is answered with lines that listen, and with the emergency numbers."""
    for text in RED_FLAGS["self_harm"]:
        found = emergency(text)
        assert found is not None, text
        assert found.group == SELF_HARM, text
        assert all(number in found.reply for number in ("988", "116 123", "112", "911"))


@pytest.mark.parametrize("number", ["112", "911", "999"])
def test_every_reply_names_the_emergency_numbers(number: str) -> None:
    """Whatever was recognised, the reply says whom to call."""
    found = [emergency(text) for _, text in PHRASINGS]
    assert all(one and number in one.reply and "AI" in one.reply for one in found)


def test_the_turn_notes_the_category() -> None:
    """`/why` can say what was recognised."""
    turn = Turn("my throat is closing up after eating peanuts")
    check_emergency(turn)
    assert turn.notes["emergency"] == "allergy"


@pytest.mark.parametrize(
    "text", ["", "   ", "\x00", "🫀🫀", "\udc80", "I CAN'T BREATHE " * 100_000, "a" * 1_000_000]
)
def test_any_text_is_looked_at_quickly(text: str) -> None:
    """Odd and huge messages raise nothing and take little time; their ends are still read."""
    assert (emergency(text) is not None) == ("BREATHE" in text)


def test_the_same_message_always_gets_the_same_verdict() -> None:
    """No chance and no model takes part."""
    assert len({emergency("crushing chest pain") for _ in range(5)}) == 1


def test_every_locale_says_what_a_clinician_needs_to_know() -> None:
    """Each category tells what it is about, and whether a clinician has read it; self-harm comes first."""
    for rules in read_rules():
        groups = [rule.category.group for rule in rules.rules]
        assert groups == sorted(groups, key=lambda group: group != SELF_HARM)
        data = read(FOLDER / f"{rules.locale}.yaml")
        assert data["locale"] == rules.locale
        assert all(entry["about"] and entry["reviewed"] for entry in data["categories"].values())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("me duele mucho el pecho", "112"),
        ("no puedo respirar", "112"),
        ("mi padre se ha desmayado y no responde", "112"),
        ("creo que le está dando un ictus, tiene la cara torcida", "112"),
        ("está sangrando mucho y no para", "112"),
        ("mi hijo se está atragantando", "112"),
        ("quiero morirme", "024"),
        ("me quiero suicidar esta noche", "024"),
        ("me he tomado todas las pastillas", "112"),
    ],
)
def test_spanish_is_answered_in_spanish(text: str, said: str) -> None:
    """By rules of its own, in a file of its own."""
    found = emergency(text)
    assert found is not None
    assert (found.locale, said in found.reply) == ("es", True)


@pytest.mark.parametrize(
    "text",
    [
        "hola, ¿qué tal?", "me duele un poco la rodilla", "¿cuáles son los síntomas de un ictus?",
        "no me duele el pecho, solo tengo tos", "mi abuelo tuvo un infarto hace diez años",
        "¿qué puedo comer para dormir mejor?", "estoy muerto de hambre",
    ],
)  # fmt: skip
def test_spanish_that_is_no_emergency_is_left_alone(text: str) -> None:
    """Denied, past, general and everyday messages."""
    assert emergency(text) is None
