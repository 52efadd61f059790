"""YAML text -> Script, with every mistake reported at once as `file:line:column: what`."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

from fsmbot.errors import FlowError
from fsmbot.flow import Flow
from fsmbot.flowfile.problems import TooMany, with_excerpts
from fsmbot.flowfile.yamltree import Tree, read_file, read_tree
from fsmbot.loader import load_flow
from fsmbot.registry import Registry
from fsmbot.testing.read_steps import StepReader
from fsmbot.testing.read_stubs import read_stubs
from fsmbot.testing.script import SUFFIX, Case, Script, Stubs
from fsmbot.testing.values import Values

TOP_KEYS = ("flow", "stub", "tests")
CASE_KEYS = ("stub", "memory", "talk")

_OUTLINE = "a test file is a map with the key 'tests', such as `tests: {greets: [{user: hello, says: Hi}]}`"
_FORMS = "must be a list of steps, or a map with the keys 'stub', 'memory' and 'talk'"


def read_script(path: str | Path, registry: Registry | None = None) -> Script:
    """Read a test file and its flow; raises FlowError with every mistake in either.

    registry: where the flow's handlers are looked up, as for `load_flow`.
    """
    return parse_script(read_file(Path(path)), str(path), registry=registry)


def parse_script(
    data: bytes | str, source: str, flow: Flow | None = None, registry: Registry | None = None
) -> Script:
    """Read a test file from text; `source` names it in messages, and its folder resolves the flow's path.

    flow: to be tested, whatever the file says. Raises FlowError with every mistake.
    """
    if isinstance(data, str):
        data = data.encode("utf-8", "replace")
    root, problems = read_tree(data)
    values = Values(problems)
    if root is None or not root.is_map:
        if not problems:
            values.note(root or Tree(1, 1), _OUTLINE)
        raise FlowError(source, with_excerpts(problems, data))
    cases: tuple[Case, ...] = ()
    with contextlib.suppress(TooMany):
        flow = flow or _flow_of(values, root, source, registry)
        cases = _Reader(values, flow).cases(root)
    if flow is None or problems:
        raise FlowError(source, with_excerpts(problems, data))
    return Script(source, flow, cases)


def _flow_of(values: Values, root: Tree, source: str, registry: Registry | None) -> Flow | None:
    """Load the flow that is tested, or note that there is none; raises FlowError for a broken one."""
    place, path = root, Path(source)
    if "flow" in root.value:
        place = root.value["flow"]
        name = values.text(place, "'flow'", root.keys["flow"])
    else:
        name = path.name.removesuffix(SUFFIX) + ".yaml"
    if name is None:
        return None
    found = Path(os.path.normpath(path.parent / name))
    if found.is_file():
        return load_flow(found, registry)
    values.note(place, f"the flow file '{found}' does not exist; name it as `flow:`, relative to this file")
    return None


class _Reader:
    """Turns a tree into cases, collecting mistakes instead of stopping at the first."""

    def __init__(self, values: Values, flow: Flow | None) -> None:
        self.values, self.flow = values, flow
        self._steps = StepReader(values, flow)

    def cases(self, root: Tree) -> tuple[Case, ...]:
        """Read the whole file."""
        self.values.known_keys(root, "a test file", TOP_KEYS)
        shared, item = read_stubs(self.values, self.flow, root), root.value.get("tests")
        if item is None:
            self.values.note(root, f"there are no 'tests'; {_OUTLINE}")
            return ()
        tests = self.values.mapping(item, "'tests'", root.keys["tests"])
        if item.is_map and not tests:
            self.values.note(item, f"'tests' is empty; {_OUTLINE}")
        return tuple(self._case(name, tree, item.keys[name], shared) for name, tree in tests.items())

    def _case(self, name: str, tree: Tree, key: Tree, shared: Stubs) -> Case:
        """Read one test, which is its steps alone or a map with more."""
        talk, own, memory = tree, shared, {}
        if tree.is_map:
            self.values.known_keys(tree, f"test '{name}'", CASE_KEYS)
            talk = tree.value.get("talk")
            own = {**shared, **read_stubs(self.values, self.flow, tree)}
            memory = self._memory(tree)
        if talk is None:
            self.values.note(key, f"test '{name}' has no 'talk', which is the list of its steps")
            return Case(name, (), key.line, key.column)
        what = "'talk' must be a list of steps" if tree.is_map else f"test '{name}' {_FORMS}"
        steps = self._steps.read(talk, what, tree.keys.get("talk", key))
        return Case(name, steps, key.line, key.column, own, memory)

    def _memory(self, tree: Tree) -> dict[str, Any]:
        item = tree.value.get("memory")
        if item is None:
            return {}
        found = self.values.mapping(item, "'memory'", tree.keys["memory"])
        return {name: value.plain() for name, value in found.items()}
