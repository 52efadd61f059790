"""The signature is the schema: what a handler declares is what the engine knows of it."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from fsmbot.errors import RegistrationError
from fsmbot.signature import read_handler
from fsmbot.turn import Turn

if TYPE_CHECKING:
    from somewhere import Unimported


def test_resources_settings_and_outcomes_are_read_off_the_signature() -> None:
    """Positional parameters are resources, keyword-only ones settings, the Literal the outcomes."""

    def check(turn: Turn, vectors: Unimported, *, threshold: float = 0.5) -> Literal["yes", "no"]:
        """Decide.

        At length.
        """
        return "yes"

    handler = read_handler(check, "check")
    assert handler.resources == ("vectors",)
    assert handler.outcomes == ("yes", "no")
    assert handler.settings["threshold"].type is float
    assert handler.settings["threshold"].default == 0.5
    assert (handler.streams, handler.listens, handler.summary) == (False, False, "Decide.")


def test_a_generator_may_both_speak_and_decide() -> None:
    """`Generator[str, None, Literal[...]]` streams, and its return value is the outcome."""

    def quiz(turn: Turn) -> Generator[str, None, Literal["right", "wrong"]]:
        yield "Let me see."
        return "right"

    handler = read_handler(quiz, "quiz")
    assert handler.streams
    assert handler.outcomes == ("right", "wrong")


def test_a_path_is_a_setting() -> None:
    """A setting may be a Path, which YAML gives as text."""

    def read(turn: Turn, *, file: Path) -> None: ...

    setting = read_handler(read, "read").settings["file"]
    assert setting.required
    assert setting.convert("a/b.txt") == Path("a/b.txt")


async def _async(turn: Turn) -> None: ...


def _no_turn() -> None: ...


def _no_return(turn: Turn): ...  # type: ignore[no-untyped-def]


def _returns_text(turn: Turn) -> str:
    return "hello"


def _untyped_setting(turn: Turn, *, text="x") -> None: ...  # type: ignore[no-untyped-def]


def _default_not_keyword(turn: Turn, threshold: float = 0.5) -> None: ...


def _variadic(turn: Turn, *resources: object) -> None: ...


def _reserved(turn: Turn, *, next: str) -> None: ...


def _odd_type(turn: Turn, *, when: Iterator[int]) -> None: ...


def _number_outcomes(turn: Turn) -> Literal[1, 2]:
    return 1


def _yields_numbers(turn: Turn) -> Iterator[int]:
    yield 1


def _unresolvable(turn: Turn, *, x: Unimported) -> None: ...


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (_async, "an async function cannot be a handler"),
        (_no_turn, "its first parameter must be the turn"),
        (_no_return, "its return annotation is missing"),
        (_returns_text, "its return annotation is <class 'str'>"),
        (_untyped_setting, "setting 'text' needs a type, such as `text: str`"),
        (_default_not_keyword, "parameter 'threshold' has a default but is not keyword-only"),
        (_variadic, "'*resources' says neither resource nor setting"),
        (_reserved, "'next' is a reserved key of flow files"),
        (_odd_type, "setting 'when' has type"),
        (_number_outcomes, "every outcome in its Literal must be a string"),
        (_yields_numbers, "what it yields must be annotated as str"),
        (_unresolvable, "an annotation cannot be resolved: name 'Unimported' is not defined"),
    ],
)
def test_a_wrong_signature_is_refused_with_the_contract(function, reason) -> None:  # type: ignore[no-untyped-def]
    """The refusal says where the function stands, what is wrong, its signature and the contract."""
    with pytest.raises(RegistrationError) as caught:
        read_handler(function, function.__name__)
    message = str(caught.value)
    assert reason in message
    assert f"def {function.__name__}(" in message
    assert "expected: a handler is `def name(turn, resource, *, setting: type = default)`" in message
    assert "test_contract.py:" in message


def test_a_listening_handler_cannot_decide() -> None:
    """What follows a listening node is the user's message, so it has one way out."""

    def ask(turn: Turn) -> Literal["a", "b"]:
        return "a"

    with pytest.raises(RegistrationError, match="a listening handler has one way out"):
        read_handler(ask, "ask", listens=True)


def test_no_handler_is_called_end() -> None:
    """`end` is where conversations finish, so no handler can take the name."""

    def end(turn: Turn) -> None: ...

    with pytest.raises(RegistrationError, match="'end' is the name of the end"):
        read_handler(end, "end")
