"""Emergencies are recognised before any model speaks, and what only sounds like one is left alone."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from fsmbot.doctor.fakes import FakeDoctor
from fsmbot.flow import Flow
from fsmbot.handlers.emergency import emergency
from fsmbot.loader import load_flow
from fsmbot.session import Session

ROOT = Path(__file__).parent.parent.parent
PHRASES = ROOT / "tests" / "emergency"
TUNED, UNSEEN, MORE = "tuned", "unseen", "more"
CHECKS = ("check_emergency", "ans_emergency")


@cache
def messages(half: str, kind: str, category: str = "") -> tuple[str, ...]:
    """Return the messages of one file, or those of one category."""
    with (PHRASES / half / f"{kind}.csv").open(encoding="utf-8", newline="") as file:
        return tuple(row["text"] for row in csv.DictReader(file) if category in ("", row["category"]))


def alarming(half: str) -> tuple[str, ...]:
    """Return the messages that are emergencies."""
    return messages(half, "red") + messages(half, "selfharm")


def fires(texts: tuple[str, ...]) -> int:
    """Return how many raise an alarm."""
    return sum(emergency(text) is not None for text in texts)


def recall(half: str) -> tuple[float, str]:
    """Return the share of emergencies that are recognised, and all of it in words."""
    told = []
    for kind in ("red", "selfharm"):
        texts = messages(half, kind)
        told.append(f"{fires(texts)} of {len(texts)} {'red flags' if kind == 'red' else 'of self-harm'}")
    texts = alarming(half)
    share = fires(texts) / len(texts)
    return share, f"{100 * share:.1f}% ({', '.join(told)})"


@pytest.mark.promise(11, "messages that the rules were written with: at least 99% recognised")
def test_what_was_looked_at_is_recognised(reached: Callable[[str], None]) -> None:
    """Half of the messages, and those added since."""
    share, told = recall(TUNED)
    reached(f"{told}; of those added later {recall(MORE)[1]}")
    assert share >= 0.99
    assert recall(MORE)[0] >= 0.95


@pytest.mark.promise(11, "messages never looked at: at least 95% recognised")
def test_what_was_never_looked_at_is_recognised(reached: Callable[[str], None]) -> None:
    """The half that was kept aside; which of it is missed is not told on purpose."""
    share, told = recall(UNSEEN)
    reached(told)
    assert (share >= 0.95) is True


MISSED = "missed by 1 plan of 67: rules do not foresee every roundabout way to say it"
"""Why the aim below is not reached; a run that reaches it fails, so that this is taken away."""


@pytest.mark.xfail(reason=MISSED, strict=True)
@pytest.mark.promise(11, "explicit plans of suicide: all recognised")
def test_every_explicit_plan_is_recognised(reached: Callable[[str], None]) -> None:
    """In either half."""
    tuned, unseen = (messages(half, "selfharm", "plan") for half in (TUNED, UNSEEN))
    counted = (fires(tuned), fires(unseen))
    reached(f"{counted[0]} of {len(tuned)}, and of those never looked at {counted[1]} of {len(unseen)}")
    assert counted == (len(tuned), len(unseen))


@pytest.mark.promise(11, "benign, negated, past and general messages: at most 5% false alarms")
def test_what_only_sounds_like_an_emergency_is_left_alone(reached: Callable[[str], None]) -> None:
    """In both halves together, and in the one never looked at."""
    tuned, unseen, more = (messages(half, "benign") for half in (TUNED, UNSEEN, MORE))
    both, count = fires(tuned) + fires(unseen), len(tuned) + len(unseen)
    reached(
        f"{both} of {count} ({100 * both / count:.1f}%); of those never "
        f"looked at {fires(unseen)} of {len(unseen)}; of those added later {fires(more)} of {len(more)}"
    )
    assert both <= 0.05 * count


@pytest.mark.promise(11, "red flags in the doctor's flow and in the clinic's: no call of the model")
def test_no_emergency_reaches_the_model(reached: Callable[[str], None]) -> None:
    """Whatever is recognised gets the emergency's own reply, and the doctor is never asked."""
    texts = [text for half in (TUNED, UNSEEN, MORE) for text in alarming(half) if emergency(text)]
    for name in ("doctor", "clinic"):
        flow, doctor = load_flow(ROOT / "flows" / f"{name}.yaml"), FakeDoctor(["Rest."])
        resources = flow.share({"doctor": doctor})
        for text in texts:
            found = emergency(text)
            assert found is not None
            assert (found.reply in Session(flow, resources).say(text)) is True
        assert doctor.asked == []
    reached(f"{len(texts):,} messages in 2 flows: 0 calls, {2 * len(texts):,} emergency replies")


def first_checks(flow: Flow) -> Iterator[tuple[str, str]]:
    """Yield every node that listens, with the handler that its messages come to first."""
    for path, step in flow.steps.items():
        if step.listens:
            name = step.routed[None].target
            while flow.steps[name].door:
                (routed,) = flow.steps[name].routed.values()
                name = routed.target
            yield path, flow.places[name].node.handler.name


@pytest.mark.parametrize("flow", ["clinic", "intake", "faq"])
def test_the_check_for_emergencies_comes_first(flow: str) -> None:
    """After every node that listens, those of subflows too, before any other check."""
    checks = dict(first_checks(load_flow(ROOT / "flows" / f"{flow}.yaml")))
    assert checks
    assert set(checks.values()) == {"check_emergency"}


def test_the_categories_are_many() -> None:
    """At least 20 kinds of red flags are recognised by rules of their own, self-harm apart."""
    found = {emergency(text) for half in (TUNED, UNSEEN, MORE) for text in messages(half, "red")} - {None}
    categories = {one.category for one in found if one is not None}
    assert len({name for name in categories if "suicid" not in name and "self" not in name}) >= 20
