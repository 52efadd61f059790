"""Flow and test files out of nothing, for Hypothesis: data of a likely shape with odd parts, and texts."""

from __future__ import annotations

from typing import Any

import yaml
from hypothesis import strategies as st

from tests.reliability.mutations import MARKS, ODD, WORDS

Values = st.SearchStrategy[Any]

NAMES = st.sampled_from(["say", "match", "other", "otherwise", "a/b", "", "x\ny"]) | st.text(max_size=9)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | NAMES | st.sampled_from([*WORDS, *ODD])
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)


def mostly(likely: Values, odd: Values = ANYTHING) -> Values:
    """Return values of which one in sixteen is odd."""
    return st.integers(0, 15).flatmap(lambda number: odd if number == 15 else likely)


def maps(needed: dict[str, Values], other: dict[str, Values] | None = None) -> Values:
    """Return maps of these keys; now and then a value, or all of it, is something else."""
    optional = {key: mostly(value) for key, value in (other or {}).items()}
    required = {key: mostly(value) for key, value in needed.items()}
    return mostly(st.fixed_dictionaries(required, optional=optional))


def named(names: list[str], values: Values) -> Values:
    """Return maps from some of these names."""
    return st.dictionaries(mostly(st.sampled_from(names), NAMES), values, max_size=len(names))


NODE_NAMES = ["a", "b", "c"]
TARGETS = mostly(st.sampled_from([*NODE_NAMES, "end"]), NAMES)
TEXTS = mostly(
    st.sampled_from(["hello", "hi {x}", "{b/x}", "{{x}}"]) | st.lists(NAMES, min_size=1, max_size=3)
)
CASES = st.dictionaries(st.sampled_from(["yes", "no"]), st.lists(NAMES, min_size=1, max_size=2), min_size=1)
ROUTES = named(["yes", "no", "other", "otherwise"], TARGETS)

COMMON = {
    "on_error": TARGETS,
    "timeout": st.floats(0.1, 9),
    "retry": maps({"times": st.integers(1, 3)}, {"wait": st.floats(0, 9)}),
    "description": NAMES,
}
NODES = st.one_of(
    maps({"handler": st.just("say"), "text": TEXTS, "next": TARGETS}, COMMON),
    maps(
        {"handler": st.just("ask_user"), "next": TARGETS},
        {"prompt": TEXTS, "remember": st.just("x"), **COMMON},
    ),
    maps(
        {"handler": st.just("match"), "cases": CASES, "next": ROUTES}, {"keep": NAMES, "value": st.just("x")}
    ),
    maps(
        {"handler": st.just("take"), "keep": st.just("x"), "next": ROUTES}, {"most": st.integers(), **COMMON}
    ),
    maps(
        {
            "flow": st.sampled_from(["field.yaml", "guard.yaml", "generated.yaml", "../x.yaml"]),
            "next": TARGETS,
        },
        {"on_error": TARGETS},
    ),
)
FLOWS = maps(
    {"start": mostly(st.just("a"), TARGETS), "nodes": maps(dict.fromkeys(NODE_NAMES, NODES))},
    {
        "outcomes": st.lists(st.sampled_from(["done", "left", "end", "a"]), max_size=3),
        "memory": named(["x", "y"], ANYTHING),
        "commands": named(
            ["help", "back"], maps({"words": st.lists(NAMES, min_size=1, max_size=3), "say": NAMES})
        ),
        "resources": named(["doctor", "vectors"], maps({}, {"adapter": NAMES, "path": NAMES})),
        "max_steps": st.integers(1),
        "on_error": TARGETS,
        "name": NAMES,
    },
)
STEPS = maps(
    {"user": NAMES},
    {
        "says": TEXTS,
        "visits": st.lists(st.sampled_from(["find", "check_emergency"])),
        "outcomes": named(["find"], NAMES),
        "ends": st.booleans(),
        "memory": named(["x"], ANYTHING),
    },
)
STUBS = named(
    ["find", "check_emergency", "doctor"], maps({}, {"says": TEXTS, "outcome": NAMES, "fails": NAMES})
)
TESTS = maps(
    {
        "flow": st.sampled_from(["field.yaml", "guard.yaml", "."]),
        "tests": named(["one", "two"], st.lists(STEPS)),
    },
    {"stub": STUBS},
)
LAID_OUT = st.builds(
    lambda data, flow_style: yaml.safe_dump(data, default_flow_style=flow_style, allow_unicode=True),
    FLOWS | TESTS,
    st.sampled_from([None, True, False]),
)
HEAPS = st.lists(st.sampled_from([*MARKS, *WORDS]) | st.text(max_size=3), max_size=60).map("".join)
FILES = mostly(LAID_OUT, HEAPS).map(lambda text: text.encode("utf-8", "surrogatepass")) | st.binary(
    max_size=300
)
"""What is in a file."""
