"""What silences a phrase of the rules reaches no further than it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from fsmbot.errors import ResourceError
from fsmbot.handlers.emergency import emergency
from fsmbot.handlers.emergency_reading import read_locale


@pytest.mark.parametrize(
    "text",
    [
        "my essay is due but honestly I want to die",
        "I'm writing a novel and it goes well. But I can only think about dying.",
        "she tried to end it last month and is now acting weird again",
        "my hernia came out, I can't push it back in and I'm vomiting",
        "my baby was born two weeks ago and has a temperature of 38.6",
        "I went to work and cooked dinner and fed the dog. Later I sat there and wished I was dead.",
    ],
)
def test_a_present_danger_counts_beside_a_story_or_the_past(text: str) -> None:
    """A word about school, a novel or last month silences its own clause, not the message."""
    assert emergency(text) is not None


@pytest.mark.parametrize(
    "text",
    [
        "can babies drown in a few centimetres of water?",
        "how much blood does a human body hold?",
        "how many people attempt suicide each year?",
        "in the novel I am reading the hero takes poison",
        "I don't feel faint or dizzy, I ate a sandwich",
        "goodbye, see you tomorrow",
        "living with diabetes is exhausting, any tips for meal planning?",
        "sick of living in this flat, the damp is awful",
    ],
)
def test_questions_about_nobody_and_what_is_denied_are_no_emergency(text: str) -> None:
    """A general question, a story, a denial and everyday words near a rule stay what they are."""
    assert emergency(text) is None


def test_a_key_that_stands_twice_is_refused(tmp_path: Path) -> None:
    """YAML would silently drop the first of two lists of the same name."""
    path = tmp_path / "xx.yaml"
    path.write_text("locale: xx\nlists:\n  HE: he\n  SHE: she\n  HE: him\n", encoding="utf-8")
    with pytest.raises(ResourceError, match=r"line 5: key 'HE' stands in line 3 already"):
        read_locale(path)
