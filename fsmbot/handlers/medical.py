"""check_medical: is this message for the doctor?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from fsmbot.handlers.emergency import emergency
from fsmbot.handlers.greeting import is_greeting
from fsmbot.registry import handler, resource
from fsmbot.turn import Turn
from fsmbot.vectors import WordVectors

SHIPPED = Path(__file__).parent.parent / "assets" / "medical-vectors"
"""The vectors that come with fsmbot; their README.md says how they were made."""


@resource
def vectors(*, path: Path | None = None) -> WordVectors:
    """Load word vectors: a trained folder or a word2vec file (default: the shipped folder)."""
    return WordVectors.load(path or SHIPPED)


@handler(pure=True)
def check_medical(
    turn: Turn, vectors: WordVectors, *, threshold: Annotated[float, Meta(ge=0, le=1)] = 0.5
) -> Literal["medical", "other"]:
    """Compare the message with medical and everyday prototypes by Word2Vec similarity.

    threshold: the probability, 0..1, from which a message is medical; 0.5 is as likely as not.
    A message that the emergency rules recognise is medical whatever its score, and a greeting with
    nothing else in it never is: "hiya doc" speaks of a doctor, but asks nothing.
    The score and the words that moved it most are noted for `/why`.
    """
    score = vectors.gate.score(turn.text)
    turn.notes["score"] = round(score.probability, 3)
    turn.notes["words"] = [f"{word} {pull:+.2f}" for word, pull in score.words]
    if score.probability >= threshold:
        if not is_greeting(turn.text):
            return "medical"
        turn.notes["greeting"] = "and nothing else"
    # A cry for help in everyday words must not end in "I do not know"; ask_doctor answers it by rule.
    found = emergency(turn.text)
    if found is None:
        return "other"
    turn.notes["emergency"] = found.category
    return "medical"
