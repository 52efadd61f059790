"""The shipped gate keeps its figures on the labelled messages of this folder.

`tuned.csv` helped to choose the method; `unseen.csv` did not. Greetings aside ("hello" is "hello"), nothing
was learned from either.
"""

from pathlib import Path

import pytest

from fsmbot.handlers.medical import SHIPPED
from fsmbot.vectors import WordVectors, words_of
from trainer.gate_report import Judged, figures, judge
from trainer.messages import read_messages

HERE = Path(__file__).parent
EXAMPLES = HERE.parent.parent / "trainer" / "configs" / "medical-messages.csv"


@pytest.fixture(scope="module", params=["tuned", "unseen"])
def judged(request: pytest.FixtureRequest) -> list[Judged]:
    return judge(HERE / f"{request.param}.csv", WordVectors.load(SHIPPED), 0.5)


def test_nineteen_of_twenty_messages_go_where_they_belong(judged: list[Judged]) -> None:
    """Accuracy is at least 0.95, and neither side pays for the other."""
    found = figures(judged)
    assert found["accuracy"] >= 0.95
    assert min(found["medical"], found["everyday"]) >= 0.92
    assert found["auc"] >= 0.98


def test_greetings_are_greeted(judged: list[Judged]) -> None:
    """At least 0.98 of greetings are taken, and of what is none, left."""
    found = figures(judged)
    assert found["greeting"] >= 0.98
    assert found["no greeting"] >= 0.98


def test_the_card_gives_these_figures(judged: list[Judged]) -> None:
    """The shipped card tells what is measured here, to the last digit."""
    name = Path(judged[0].place.rpartition(":")[0]).name
    found = " | ".join(f"{value:.3f}" for value in figures(judged).values())
    assert f"| {name} | {len(judged)} | {found} |" in (SHIPPED / "README.md").read_text()


def test_no_labelled_message_is_among_the_examples() -> None:
    """What the gate is judged by, it has not learned: no example has the same words."""
    learned = {frozenset(words_of(message.text)) for message in read_messages(EXAMPLES)}
    for name in ("tuned", "unseen"):
        for message in read_messages(HERE / f"{name}.csv"):
            if message.label != "greeting":
                assert frozenset(words_of(message.text)) not in learned, message.place
