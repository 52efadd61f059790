"""Sentences written by hand: what claims a doctor, a licence or a human is left out, and advice stays.

claims.txt and honest.txt hold one sentence a line ("\\n" stands for a line break). The rules were
mended by the odd lines; the even ones were set aside, and only counted once the rules stood: 118 of 119
claims were left out then, and 3 of 99 honest sentences were lost. What was missed was mended afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from fsmbot.doctor.care import with_care
from fsmbot.doctor.claims import claims_to_be_a_doctor
from fsmbot.doctor.drugs import is_risky, named
from fsmbot.doctor.sound import Garbled, sound

HERE = Path(__file__).parent
CLAIMS, HONEST = (
    [line.replace("\\n", "\n") for line in (HERE / name).read_text(encoding="utf-8").splitlines()]
    for name in ("claims.txt", "honest.txt")
)
KNOWN_LOSSES = {"I work best with short questions."}
"""Honest sentences of the odd lines that are left out, too; nobody will miss them."""


def missed(sentences: list[str]) -> list[str]:
    return [sentence for sentence in sentences if not claims_to_be_a_doctor(sentence)]


def lost(sentences: list[str]) -> list[str]:
    return [sentence for sentence in sentences if claims_to_be_a_doctor(sentence)]


def test_no_claim_by_which_the_rules_were_mended_is_shown() -> None:
    """And hardly any advice is lost."""
    assert missed(CLAIMS[::2]) == []
    assert set(lost(HONEST[::2])) == KNOWN_LOSSES


@pytest.mark.promise(12, "Handwritten sentences, half of them set aside: claims are left out, advice stays")
def test_sentences_that_were_set_aside(reached: Callable[[str], None]) -> None:
    """By these, nothing was mended before they were counted for the first time."""
    claims, honest = CLAIMS[1::2], HONEST[1::2]
    assert missed(claims) == []
    assert len(lost(honest)) <= LOST
    reached(
        f"{len(CLAIMS)} claims left out, {len(lost(HONEST))} of {len(HONEST)} honest sentences lost; "
        "at first count of those set aside: 118 of 119 left out, 3 of 99 lost"
    )


LOST = 3


def everywhere(sentence: str, places: int) -> None:
    """Split a sentence at some places, and see that no part of the claim comes through."""
    step = max(1, len(sentence) // places)
    for place in range(0, len(sentence), step):
        pieces = ["Rest well. ", sentence[:place], sentence[place:], "\n\nDrink water."]
        shown = "".join(with_care(pieces))
        assert shown.startswith("Rest well.")
        assert shown.endswith("Drink water.")
        assert not claims_to_be_a_doctor(re.sub(r"[^.!?]*…", "", shown[10:-12])), shown


def test_a_claim_may_arrive_in_any_pieces() -> None:
    """Cut in two anywhere, or letter by letter, it is not shown."""
    for sentence in CLAIMS[::2]:
        everywhere(sentence, 6)


@pytest.mark.hard
@pytest.mark.timeout(1800)
@pytest.mark.promise(12, "Every handwritten claim, cut in two at every place: never shown")
def test_every_claim_may_arrive_in_any_pieces(reached: Callable[[str], None]) -> None:
    """The same at every place."""
    sentences = [sentence for sentence in CLAIMS if claims_to_be_a_doctor(sentence)]
    for sentence in sentences:
        everywhere(sentence, len(sentence))
    reached(f"{len(sentences)} claims at {sum(map(len, sentences)):,} places, 0 shown")


@pytest.mark.parametrize(
    "sentence",
    [
        "Take 500 mg of paracetamol.", "The usual dose is 10 mcg.", "Take two tablets a day.",
        "400mg is enough.",
        "Use three drops in each ear.", "Take one or two pills at night.", "Take it 3 times a day.",
        "Inject 5 ml.",
        "Valium can help against it.", "Ask for oxycodone.", "You may take Xanax.",
    ],
)  # fmt: skip
def test_doses_and_controlled_drugs_are_left_out(sentence: str) -> None:
    """A small model makes doses up; and no drug that leads to dependence is its idea."""
    assert is_risky(sentence, set())
    assert "".join(with_care(["Rest well. ", sentence, " Drink water."])).replace("…", "").count("mg") == 0


@pytest.mark.parametrize(
    "sentence",
    [
        "Paracetamol may help.", "Drink two litres of water a day.", "Rest for 3 days.",
        "A fever is above 38 degrees.",
        "Sugar in the blood should be under 100 mg/dL.", "Eat less than 1500 mg of sodium a day.",
        "Take your tablets as your doctor told you.", "Wash your hands several times a day.",
        "Apply ice for 20 minutes 3 times a day.", "It affects one in 200 people.", "Call 112.",
        "Take a walk every day.",
    ],
)  # fmt: skip
def test_numbers_that_are_no_doses_stay(sentence: str) -> None:
    """Advice has numbers, too."""
    assert not is_risky(sentence, set())
    assert "".join(with_care([sentence])) == sentence


def test_a_drug_that_the_user_named_may_be_spoken_of() -> None:
    """Who takes it may ask about it; doses stay out."""
    known = named("Is Valium addictive? My doctor gave me diazepam.")
    assert not is_risky("Valium is addictive.", known)
    assert is_risky("Valium is addictive, as is Xanax.", known)
    assert is_risky("Take 5 mg of valium.", known)
    assert "".join(with_care(["Valium is addictive."], "is valium addictive?")) == "Valium is addictive."


@pytest.mark.parametrize(
    "text",
    [
        "water " * 20, "you should see a doctor soon. " * 5, "a" * 250, "\ufffd " * 40, "\x07\x1b" * 40,
        "1. rest 1. rest 1. rest 1. rest " * 4,
    ],
)  # fmt: skip
def test_what_is_no_text_breaks_off(text: str) -> None:
    """Loops, words without end and odd characters."""
    with pytest.raises(Garbled):
        list(sound([text[i : i + 7] for i in range(0, len(text), 7)], 256))


@pytest.mark.parametrize(
    "text",
    [
        "- rest\n- drink\n- sleep\n" * 2, "Yes. Yes. Yes.", "| a | b |\n|---|---|\n" + "-" * 80,
        "Blood: " + "ACGT" * 11,
        "Рак — это болезнь. Σ means sum. 癌は病気です。",
        "methionylthreonylthreonylglutaminylarginylisoleucine",
        "https://example.org/" + "a-b/" * 11,
        "Call your doctor. Rest. Call your doctor. Drink. Call your doctor.",
    ],
)  # fmt: skip
def test_what_is_odd_and_yet_text_passes(text: str) -> None:
    """Lists, tables, long names, other scripts."""
    assert "".join(sound(list(text), 256)) == text
