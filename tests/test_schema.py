"""The JSON Schema and the loader agree about flow files."""

from __future__ import annotations

import copy
import json
import math
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from fsmbot.checks.graph import check_outcomes
from fsmbot.checks.mistakes import Doubt, Mistake
from fsmbot.contract import END, Handler, Setting, bare
from fsmbot.errors import FlowError, Problem
from fsmbot.flow import OTHERWISE, Flow
from fsmbot.flowfile.expected import fields_of, options
from fsmbot.flowfile.nodes import FLOW_KEYS, NODE_KEYS
from fsmbot.flowfile.subflows import misnamed
from fsmbot.loader import TOP_KEYS, parse_flow
from fsmbot.registry import load_builtins
from fsmbot.schema import flow_schema
from fsmbot.spoken import COMMANDS, HELP

REGISTRY = load_builtins()
SCHEMA = flow_schema(REGISTRY)
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def test_the_schema_is_a_schema() -> None:
    """It is valid JSON Schema itself."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_schema_and_loader_know_the_same_keys() -> None:
    """No key is completed by an editor and refused by the loader, or the other way round."""
    assert set(SCHEMA["properties"]) == set(TOP_KEYS)
    for name, handler in REGISTRY.handlers.items():
        assert set(SCHEMA["$defs"]["flow_node"]["properties"]) == set(FLOW_KEYS)
        keys = set(NODE_KEYS) if handler.listens else set(NODE_KEYS) - {"remember"}
        assert set(SCHEMA["$defs"][f"node_{name}"]["properties"]) == keys | set(handler.settings)


def test_hover_help_comes_from_the_docstring() -> None:
    """The description of a node is what its handler's docstring says."""
    description = SCHEMA["$defs"]["node_ask_user"]["description"]
    assert description.startswith("Ask the user something, and wait for the answer.\n")


def test_settings_are_explained_by_the_lines_of_the_docstring() -> None:
    """A setting has its type, its default and what the docstring says of it."""
    threshold = SCHEMA["$defs"]["node_check_medical"]["properties"]["threshold"]
    assert threshold == {
        "type": "number",
        "minimum": 0,
        "maximum": 1,
        "default": 0.5,
        "description": "the probability, 0..1, from which a message is medical; 0.5 is as likely as not.",
    }
    adapter = SCHEMA["properties"]["resources"]["properties"]["doctor"]["properties"]["adapter"]
    assert adapter["description"] == "the folder that the trainer wrote (default: the shipped doctor)."


def test_editors_offer_the_end_and_explain_each_outcome() -> None:
    """A target may be completed to `end`, an outcome shows its help, and a new node may run a flow."""
    target, mapped = SCHEMA["$defs"]["node_check_medical"]["properties"]["next"]["anyOf"]
    assert target["examples"] == [END]
    assert mapped["properties"]["medical"]["description"] == "The node that follows if it is 'medical'."
    assert set(SCHEMA["$defs"]["any_node"]["properties"]) == {"handler", "flow"}


BASE = "start: ask_user\nnodes:\n  ask_user: {next: check_greeting}\n  check_greeting: "


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("start: ask_user\nnodes:\n  ask_user: {next: end}", True),
        ("start: a\nnodes:\n  a: {handler: ask_user, prompt: Hm, next: end}", True),
        ("start: a\nnodes:\n  a: {handler: ask_user, remember: name, next: end}", True),
        ("start: a\nnodes:\n  a: {handler: say, text: [x, y], next: end}", True),
        (BASE + "{next: end}", True),
        (BASE + "{next: {greeting: end, other: end}}", True),
        (BASE + "{next: {greeting: end, otherwise: end}}", True),
        (BASE + "{next: {otherwise: end}}", True),
        (BASE + "{next: {greeting: end}}", False),
        (BASE + "{next: {greeting: end, other: end, otherwise: end}}", False),
        (BASE + "{next: {greeting: end, other: end, more: end}}", False),
        ("start: a\nnodes:\n  a: {handler: ask_user, prompt: 3, next: end}", False),
        ("start: a\nnodes:\n  a: {handler: ask_user, promt: x, next: end}", False),
        ("start: a\nnodes:\n  a: {handler: say, next: end}", False),
        ("start: a\nnodes:\n  a: {handler: say, text: x, remember: y, next: end}", False),
        ("start: a\nnodes:\n  a: {handler: nobody, next: end}", False),
        ("start: ask_user\nnodes:\n  ask_user: {prompt: x}", False),
        ("start: ask_user\nnodes:\n  ask_user: {next: {a: end}}", False),
        ("start: a\nnodes:\n  a: {next: end}", False),
        ("start: ask_user\nmax_steps: 0\nnodes:\n  ask_user: {next: end}", False),
        ("start: ask_user\nresources: {nothing: {}}\nnodes:\n  ask_user: {next: end}", False),
        ("nodes:\n  ask_user: {next: end}", False),
        ("start: ask_user\nnodes: {}", False),
        ("start: end\nnodes:\n  ask_user: {next: end}", False),
        (BASE.replace("check_greeting", "check_medical") + "{threshold: 7, next: end}", False),
    ],
)
def test_schema_and_loader_judge_alike(text: str, good: bool) -> None:
    """A file that one accepts, the other accepts."""
    assert VALIDATOR.is_valid(yaml.safe_load(text)) is good
    if good:
        parse_flow(text)
    else:
        with pytest.raises(FlowError):
            parse_flow(text)


def test_the_schema_beside_the_flows_is_current() -> None:
    """If not, write it anew: `fsmbot schema > flows/flow.schema.json`."""
    shipped = Path(__file__).parent.parent / "flows" / "flow.schema.json"
    assert json.loads(shipped.read_text()) == SCHEMA


TEXTS = st.text("abzé名 _-.{}:#'\"1?", min_size=1, max_size=6).map(lambda text: f"w{text}")
"""Texts that are names, too."""

WRONG: list[Any] = [
    None, True, False, "", "x", "end", "a/b", "..", "/x.yaml", "x.yml", "!", 0, 1, -1, 1.0, 2.5, 11, 5000,
    -0.5, [], [[]], ["x"], ["x", "x"], [1], [None], [""], ["end"],
    {}, {"x": "x"}, {"x": None}, {"": "x"}, {"times": 1}, {"from": 1}, {"from": 2, "too": 3},
    {"other": "end"}, {"otherwise": "end"}, {"medical": "end", "other": "end"}, {"words": ["x"]},
    {"next": "end"},
]  # fmt: skip
"""What may stand where something else should."""

JUNK = st.sampled_from(WRONG).map(copy.deepcopy)

KEYS = st.sampled_from(
    ["x", "end", "a/b", "", "next", "handler", "flow", "text", "prompt", "remember", "on_error", "timeout",
     "retry", "times", "from", "cases", "value", "say", "words", "help", "other", "otherwise", "medical",
     "start", "nodes", "memory", "check_medical", "ask_user", "doctor", "adapter", "description"]
)  # fmt: skip


def values(annotation: Any) -> st.SearchStrategy[Any]:
    """Return values that a setting of this type may have."""
    return st.one_of([_values(option, metas) for option, metas in options(annotation)])


def _values(option: Any, metas: tuple[Any, ...]) -> st.SearchStrategy[Any]:
    arguments, fields = typing.get_args(option), fields_of(option)
    bounds = {
        name: getattr(m, name) for m in metas for name in ("ge", "le") if getattr(m, name, None) is not None
    }
    least, most = bounds.get("ge", -1000), bounds.get("le", 1000)
    if typing.get_origin(option) is typing.Literal:
        return st.sampled_from(arguments)
    if fields:
        return st.integers(-9, 9).flatmap(lambda low: st.fixed_dictionaries({}, optional={
            "from": st.just(low), "to": st.integers(low, 10)}))  # fmt: skip
    if bare(option) in (list, tuple):
        return st.lists(values(arguments[0]), min_size=1, max_size=3)
    if bare(option) is dict:
        return st.dictionaries(TEXTS, values(arguments[1]), min_size=1, max_size=3)
    whole = st.integers(math.ceil(least), math.floor(most))
    plain: dict[Any, st.SearchStrategy[Any]] = {
        int: whole | whole.map(float),
        float: st.floats(least, most).map(lambda x: round(x, 3)) | whole,
        bool: st.booleans(),
        Path: TEXTS,
        type(None): st.none(),
    }
    return plain.get(option, TEXTS)


def filled(known: typing.Mapping[str, Setting]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return strategies for the settings that are required, and for the others."""
    required = {name: values(s.type) for name, s in known.items() if s.required}
    return required, {name: values(s.type) for name, s in known.items() if not s.required}


def routes(handler: Handler) -> st.SearchStrategy[Any]:
    """Return what may stand in `next` of a handler's node."""
    if not handler.outcomes:
        return TEXTS
    every = st.fixed_dictionaries(dict.fromkeys(handler.outcomes, TEXTS))
    rest = st.fixed_dictionaries({OTHERWISE: TEXTS}, optional=dict.fromkeys(handler.outcomes[1:], TEXTS))
    return TEXTS | every | rest


COMMON: dict[str, Any] = {"on_error": TEXTS, "description": TEXTS}
RETRY = st.fixed_dictionaries(
    {"times": st.integers(1, 10)}, optional={"wait": st.floats(0, 60) | st.integers(0, 60)}
)
LIMITS: dict[str, Any] = {"timeout": st.floats(0.001, 3600) | st.integers(1, 3600), "retry": RETRY}


def nodes_of(handler: Handler) -> st.SearchStrategy[Any]:
    """Return (name, node) for a handler, whose name the node may bear."""
    required, other = filled(handler.settings)
    listening = {"remember": TEXTS} if handler.listens else {}
    keys = st.fixed_dictionaries(
        {"next": routes(handler), **required}, optional={**COMMON, **LIMITS, **listening, **other}
    )
    named = st.tuples(TEXTS, keys.map(lambda node: {**node, "handler": handler.name}))
    return named | st.tuples(st.just(handler.name), keys)


FLOW_NODES = st.tuples(TEXTS, st.fixed_dictionaries(
    {"flow": st.sampled_from(["x.yaml", "below/x.yml"]),
     "next": TEXTS | st.dictionaries(TEXTS, TEXTS, min_size=1)},
    optional=COMMON,
))  # fmt: skip
NODES = st.lists(
    st.one_of([FLOW_NODES, *map(nodes_of, REGISTRY.handlers.values())]), min_size=1, max_size=4
).map(dict)


def command(name: str) -> st.SearchStrategy[Any]:
    """Return the map of a command that a user says; two commands never share words."""
    words = st.lists(TEXTS.map(lambda text: f"{name} {text}"), min_size=1, max_size=2)
    required = {"words": words, **({"say": TEXTS} if name == HELP else {})}
    return st.fixed_dictionaries(required, optional={} if name == HELP else {"say": TEXTS})


def resource_settings(known: typing.Mapping[str, Setting]) -> st.SearchStrategy[Any]:
    """Return the settings of a resource."""
    required, other = filled(known)
    return st.fixed_dictionaries(required, optional=other)


FLOWS = st.fixed_dictionaries(
    {"start": TEXTS, "nodes": NODES},
    optional={
        "name": TEXTS,
        "description": TEXTS,
        "on_error": TEXTS,
        "outcomes": st.lists(TEXTS, min_size=1, max_size=3, unique=True),
        "max_steps": st.integers(1, 1000),
        "memory": st.dictionaries(TEXTS, JUNK, max_size=3),
        "commands": st.fixed_dictionaries({}, optional={name: command(name) for name in COMMANDS}),
        "resources": st.fixed_dictionaries(
            {}, optional={r.name: resource_settings(r.settings) for r in REGISTRY.resources.values()}
        ),
    },
)
"""Flow files as plain data, right but for where their routes lead."""


@st.composite
def spoilt(draw: st.DrawFn) -> Any:
    """Return a flow with one to three things changed: dropped, renamed, added, or of another kind."""
    data = copy.deepcopy(draw(FLOWS))
    for _ in range(draw(st.integers(1, 3))):
        parents = list(_containers(data))
        parent = draw(st.sampled_from(parents))
        places = list(parent) if isinstance(parent, dict) else list(range(len(parent)))
        place = draw(st.sampled_from(places)) if places else None
        how = draw(st.sampled_from(["drop", "rename", "add", "change", "change", "wrap"]))
        if how == "add" and isinstance(parent, dict):
            parent[draw(KEYS)] = draw(JUNK)
        elif place is not None and how == "drop":
            parent.pop(place)
        elif place is not None and how == "rename" and isinstance(parent, dict):
            parent[draw(KEYS)] = parent.pop(place)
        elif place is not None:
            parent[place] = [parent[place]] if how == "wrap" else draw(JUNK)
    return data


def _containers(data: Any) -> Iterator[Any]:
    if isinstance(data, (dict, list)):
        yield data
        for item in data.values() if isinstance(data, dict) else data:
            yield from _containers(item)


def only_what_a_schema_can_say(flow: Flow, doubt: Doubt) -> list[Mistake]:
    """Stand in for the checks of the graph: outcomes that a handler always has, and no start at the end."""
    static = [m for m in check_outcomes(flow, doubt.guesses) if _is_static(flow, m)]
    return [*static, *([Mistake(("start",), "the end")] if flow.start == END else [])]


def _is_static(flow: Flow, mistake: Mistake) -> bool:
    node = flow.nodes[str(mistake.path[1])]
    return not node.flow and not node.handler.outcomes_of


def any_file(_: object, name: str) -> tuple[Flow | None, list[Problem]]:
    """Stand in for the files of subflows: there is one of every name that may be written."""
    reason = misnamed(name)
    return (None, [Problem(1, 1, reason)]) if reason else (Flow("x", "a", {}), [])


BEYOND = ("no more than 'to'", "already")
"""What the schema cannot say: bounds the wrong way round, words of two commands."""


def refusals(text: str) -> list[str]:
    """Return what the loader has against a file, but for the graph and the files that it names."""
    graph = patch("fsmbot.loader.check_flow", only_what_a_schema_can_say)
    files = patch("fsmbot.flowfile.subflows.Subflows.load", any_file)
    with graph, files, patch.object(Path, "exists", return_value=True):
        try:
            parse_flow(text)
        except FlowError as error:
            return [p.message for p in error.problems if not any(words in p.message for words in BEYOND)]
    return []


class _Plain(yaml.SafeDumper):
    """Writes what stands in two places twice, as flow files have no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def written(data: Any) -> list[str]:
    """Return data as JSON and as YAML, two ways to write the same file."""
    return [
        json.dumps(data, ensure_ascii=False),
        yaml.dump(data, Dumper=_Plain, allow_unicode=True, sort_keys=False),
    ]


@settings(max_examples=150, deadline=None)
@given(FLOWS)
def test_what_is_right_is_accepted_by_both(data: Any) -> None:
    """Every handler, key and type, as JSON and as YAML."""
    assert not [error.message for error in VALIDATOR.iter_errors(data)]
    for text in written(data):
        assert not refusals(text), text


def judged_alike(data: Any, text: str) -> None:
    """Fail where only one of schema and loader refuses a file."""
    found, errors = refusals(text), [error.message for error in VALIDATOR.iter_errors(data)]
    assert bool(errors) == bool(found), (text, found, errors)


@settings(max_examples=150, deadline=None)
@given(spoilt())
def test_what_one_refuses_the_other_refuses(data: Any) -> None:
    """Dropped, renamed, added keys, and values of every wrong kind: never only one of them objects."""
    for text in written(data):
        judged_alike(data, text)


SAMPLES = {
    "prompt": "Hm?", "text": ["a", "b"], "threshold": 0.5, "max_new_tokens": 5, "value": "x", "keep": "y",
    "after": ["a", "b c"], "most": 9, "question": "q", "patience": 1.5,
    "cases": {"a": ["x", 1], "b": {"from": 1, "to": 2}, "c": {"only": ["d"]}},
    "handler": "", "remember": "z", "timeout": 2.5,
    "retry": {"times": 2, "wait": 0.5}, "on_error": "sorry", "description": "d", "next": "end",
}  # fmt: skip
"""A value for every key that a node may have."""

OUTLINE: Any = {
    "name": "n", "description": "d", "start": "a", "outcomes": ["o", "p"], "on_error": "a", "max_steps": 9,
    "memory": {"k": 1}, "commands": {"help": {"words": ["h", "i"], "say": "s"}, "back": {"words": ["b"]}},
    "resources": {"doctor": {"adapter": "x", "base": "b", "device": "cpu"}, "vectors": {"path": "p"}},
    "nodes": {"f": {"flow": "x.yaml", "next": {"a": "b"}, "on_error": "s", "description": "d"}},
}  # fmt: skip
"""A flow with every key at its top."""


def node_with_every_key(handler: Handler) -> dict[str, Any]:
    """Return a flow of one node that has all that its handler may have."""
    keys = [key for key in NODE_KEYS if key != "remember" or handler.listens]
    node = {key: SAMPLES[key] for key in [*keys, *handler.settings]}
    targets: Any = dict.fromkeys(handler.outcomes, "end") or "end"
    return {"start": "a", "nodes": {"a": {**node, "handler": handler.name, "next": targets}}}


def changed_once(data: Any) -> Iterator[Any]:
    """Yield the data with each part in turn left out, and replaced by every wrong value."""
    places = data if isinstance(data, dict) else range(len(data))
    for place in list(places):
        copied = copy.copy(data)
        del copied[place]
        yield copied
        inner = changed_once(data[place]) if isinstance(data[place], (dict, list)) else ()
        for value in [*WRONG, *inner]:
            copied = copy.copy(data)
            copied[place] = value
            yield copied


@pytest.mark.parametrize("data", [OUTLINE, *map(node_with_every_key, REGISTRY.handlers.values())])
def test_each_key_in_turn_is_judged_alike(data: Any) -> None:
    """Every key that there is, left out and with each wrong value, in a flow that is right otherwise."""
    judged_alike(data, json.dumps(data))
    assert VALIDATOR.is_valid(data)
    for spoiled in changed_once(data):
        judged_alike(spoiled, json.dumps(spoiled))
