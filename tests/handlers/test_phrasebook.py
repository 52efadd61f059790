"""The phrase file of check_greeting: what patterns mean, and that reading stays fast."""

import pytest

from fsmbot.handlers.phrasebook import PhraseBook

DATA = {
    "lists": {"you": ["you", "you all"], "later": ["later", "next week"]},
    "greetings": ["hi", "hi hi", "good morning"],
    "patterns": ["[i will/i] see {you} [{later}]", "(nice/good) to meet {you}"],
    "companions": ["doctor", "to you"],
}


@pytest.fixture
def book() -> PhraseBook:
    return PhraseBook(DATA, str.split)


@pytest.mark.parametrize(
    "text",
    [
        "hi",
        "hi hi hi doctor",
        "good morning to you doctor hi",
        "see you",
        "i see you all next week",
        "i will see you later",
        "good to meet you",
        "doctor good to meet you all see you",
    ],
)
def test_greetings_patterns_and_companions_make_up_a_message(book: PhraseBook, text: str) -> None:
    """[a/b] may be left out, (a/b) is one of both, {list} any phrase of it; in any order and number."""
    assert book.greets(text.split())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "doctor",
        "to you",
        "good",
        "see",
        "will see you",
        "nice good to meet you",
        "hi you",
        "see you hurt",
    ],
)
def test_what_is_left_over_is_no_greeting(book: PhraseBook, text: str) -> None:
    """Companions alone greet nobody, and no part of a pattern stands for the whole."""
    assert not book.greets(text.split())


def test_reading_takes_time_in_proportion_to_the_message(book: PhraseBook) -> None:
    """Phrases that overlap ("hi", "hi hi") do not multiply: 20,000 words end at all."""
    assert book.greets(["hi"] * 20_000)
    assert not book.greets(["hi"] * 20_000 + ["see"])


def test_an_unknown_list_is_an_error() -> None:
    """A misspelt list name in the file is found when it is read."""
    with pytest.raises(KeyError):
        PhraseBook({**DATA, "patterns": ["see {yuo}"]}, str.split)
