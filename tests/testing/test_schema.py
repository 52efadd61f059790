"""The JSON Schema of test files and the reader agree."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from fsmbot.cli import main
from fsmbot.errors import FlowError
from fsmbot.testing.read_steps import STEP_KEYS
from fsmbot.testing.read_stubs import NODE_KEYS
from fsmbot.testing.reader import CASE_KEYS, TOP_KEYS, parse_script
from fsmbot.testing.schema import script_schema

FLOWS = Path(__file__).parent.parent.parent / "flows"
SCHEMA = script_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def test_the_schema_is_a_schema() -> None:
    """It is valid JSON Schema itself."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_schema_and_reader_know_the_same_keys() -> None:
    """No key is completed by an editor and refused by the reader, or the other way round."""
    assert set(SCHEMA["properties"]) == set(TOP_KEYS)
    assert set(SCHEMA["$defs"]["test"]["properties"]) == set(CASE_KEYS)
    assert set(SCHEMA["$defs"]["step"]["properties"]) == set(STEP_KEYS)
    assert set(SCHEMA["$defs"]["stub"]["additionalProperties"]["anyOf"][1]["properties"]) == set(NODE_KEYS)


STEP = "tests: {t: [STEP]}"
STUB = "stub: {STUB}\ntests: {t: [{user: x}]}"
GOOD_STEPS = [
    *("{says: x}", "{user: ''}", "{user: x}, {user: y, ends: true}", "{says: [x, y], never_says: z}"),
    *("{visits: []}", "{visits: [ask_user]}", "{outcomes: {check_medical: other}}", "{outcomes: {}}"),
    *("{memory: {a: null, b: [1, {c: d}]}}", "{memory: {}}", "{raises: x}", "{waits_at: ask_user}"),
]
BAD_STEPS = [
    *("", "{}", "3", "x", "{user: 3}", "{user: null}", "{user: true}", "{user: [x]}", "{says: x}, {says: y}"),
    *("{user: x}, {}", "{says: ''}", "{says: ' '}", "{says: []}", "{says: [x, 3]}", "{says: {a: b}}"),
    *("{visits: ask_user}", "{visits: [3]}", "{visits: ['']}", "{visits: null}", "{outcomes: [x]}"),
    *("{outcomes: {check_medical: 3}}", "{memory: [a]}", "{memory: null}", "{memory: {'': x}}"),
    *("{ends: x}", "{ends: null}", "{raises: ''}", "{waits_at: [ask_user]}", "{user: x, usr: y}"),
]
GOOD_STUBS = [
    *("", "doctor: x", "doctor: ''", "doctor: [x, y]", "doctor: {fails: x}", "doctor: {says: x, fails: y}"),
    *("doctor: {a: b}", "doctor: {a: [b], c: {fails: d}}", "doctor: {answers: [a, {fails: b}]}"),
    *("doctor: {fails: [a]}", "doctor: {says: a}", "doctor: {answers: a}", "doctor: {answers: a, fails: b}"),
    *("ask_user: x", "ask_user: [x]", "ask_user: {says: x}", "check_medical: {outcome: other}"),
    *("check_medical: {fails: x}", "ask_user: {says: [a, b], fails: x}"),
]
BAD_STUBS = [
    *("doctor: 3", "doctor: null", "doctor: []", "doctor: [3]", "doctor: {}", "doctor: {fails: 3}"),
    *("doctor: {a: 3}", "doctor: {a: {b: c}}", "doctor: {answers: []}", "doctor: {answers: [3]}"),
    *("doctor: {a: {says: b}}", "doctor: {a: {fails: ''}}", "ask_user: 3", "ask_user: {}", "ask_user: null"),
    *("ask_user: {say: x}", "ask_user: {says: 3}", "ask_user: {fails: ''}", "check_medical: {outcome: 3}"),
]
OTHERS = [
    ("flow: doctor.yaml\ntests: {t: {stub: {doctor: x}, memory: {a: 1}, talk: [{user: x}]}}", True),
    ("flow: ''\ntests: {t: [{user: x}]}", False),
    ("flow: 3\ntests: {t: [{user: x}]}", False),
    ("stub: null\ntests: {t: [{user: x}]}", False),
    ("stub: [x]\ntests: {t: [{user: x}]}", False),
    ("tests: {}", False),
    ("tests: [x]", False),
    ("tests: null", False),
    ("tests: {t: null}", False),
    ("tests: {t: x}", False),
    ("tests: {'': [{user: x}]}", False),
    ("tests: {t: {}}", False),
    ("tests: {t: {talk: []}}", False),
    ("tests: {t: {talk: null}}", False),
    ("tests: {t: {memory: [], talk: [{user: x}]}}", False),
    ("tests: {t: {memory: null, talk: [{user: x}]}}", False),
    ("tests: {t: {stub: null, talk: [{user: x}]}}", False),
    ("tests: {t: {more: x, talk: [{user: x}]}}", False),
    ("tests: {t: [{user: x}]}\nmore: x", False),
    ("stub: {}", False),
    ("[]", False),
]


@pytest.mark.parametrize(
    ("text", "good"),
    [
        *((STEP.replace("STEP", step), True) for step in GOOD_STEPS),
        *((STEP.replace("STEP", step), False) for step in BAD_STEPS),
        *((STUB.replace("STUB", stub), True) for stub in GOOD_STUBS),
        *((STUB.replace("STUB", stub), False) for stub in BAD_STUBS),
        *OTHERS,
    ],
)
def test_schema_and_reader_judge_alike(text: str, good: bool) -> None:
    """A file that one accepts, the other accepts."""
    assert VALIDATOR.is_valid(yaml.safe_load(text)) is good
    if good:
        parse_script(text, str(FLOWS / "doctor.test.yaml"))
    else:
        with pytest.raises(FlowError):
            parse_script(text, str(FLOWS / "doctor.test.yaml"))


def test_the_tests_that_ship_fit_the_schema() -> None:
    """flows/doctor.test.yaml is what an editor would accept."""
    VALIDATOR.validate(yaml.safe_load((FLOWS / "doctor.test.yaml").read_text()))


def test_the_schema_beside_the_flows_is_current(capsys: pytest.CaptureFixture[str]) -> None:
    """If not, write it anew: `fsmbot schema --tests > flows/test.schema.json`."""
    assert main(["schema", "--tests"]) == 0
    assert (FLOWS / "test.schema.json").read_text() == capsys.readouterr().out
    assert json.loads((FLOWS / "test.schema.json").read_text()) == SCHEMA
