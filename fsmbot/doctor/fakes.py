"""Doctors without a model, for tests and for trying out flows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from fsmbot.errors import DoctorError
from fsmbot.turn import Message


class FakeDoctor:
    """Answers with the pieces it was given, and keeps the questions in `asked`.

    answers: the pieces of every answer, or a map from question to answer.
    """

    status = "fake"

    def __init__(self, answers: Sequence[str] | Mapping[str, str] = ("Drink ", "water.")) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def preload(self) -> None:
        """Do nothing: there is no model."""

    def answer(
        self, text: str, history: Sequence[Message] = (), *, max_new_tokens: int = 256
    ) -> Iterator[str]:
        """Yield at most `max_new_tokens` pieces of the prepared answer."""
        self.asked.append(text)
        if isinstance(self.answers, Mapping):
            pieces: Sequence[str] = [self.answers.get(text, "Please see a doctor.")]
        else:
            pieces = self.answers
        yield from pieces[:max_new_tokens]


class BrokenDoctor(FakeDoctor):
    """Yields `after` pieces, then raises DoctorError: a model that is missing or fails half-way."""

    status = "unavailable"

    def __init__(
        self, after: int = 0, reason: str = "the model is broken", pieces: Sequence[str] = ("Rest. ",)
    ) -> None:
        super().__init__(pieces)
        self.after, self.reason = after, reason

    def answer(
        self, text: str, history: Sequence[Message] = (), *, max_new_tokens: int = 256
    ) -> Iterator[str]:
        """Yield the first pieces, round and round, then raise."""
        self.asked.append(text)
        for place in range(self.after):
            yield self.answers[place % len(self.answers)]  # type: ignore[index]
        raise DoctorError(self.reason)
