"""The steps of a test: what the user says, and what is expected of the turn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fsmbot.flow import Flow, Node
from fsmbot.flowfile.yamltree import Tree
from fsmbot.testing.read_stubs import check_outcome
from fsmbot.testing.script import KINDS, Check, Step
from fsmbot.testing.values import Values

STEP_KEYS = ("user", *KINDS)

_STEP = "a step is a map such as `{user: hello, says: Hi}`"

Found = Iterator[tuple[Tree, Any]]
"""What is expected under one key: each part with its place."""


class StepReader:
    """Reads steps, with a method for each of KINDS; mistakes go to `values`.

    flow: None where it could not be read, so that no name is called unknown.
    """

    def __init__(self, values: Values, flow: Flow | None) -> None:
        self.values, self.flow = values, flow

    def read(self, tree: Tree, what: str, key: Tree) -> tuple[Step, ...]:
        """Return the steps of a list; `what` says in messages what it must be."""
        if not isinstance(tree.value, list):
            self.values.wrong(tree, what, key)
            return ()
        if not tree.value:
            self.values.note(tree, f"there are no steps here; {_STEP}")
        steps = [self._step(item, first=item is tree.value[0]) for item in tree.value]
        return tuple(step for step in steps if step is not None)

    def _step(self, tree: Tree, *, first: bool) -> Step | None:
        if not tree.is_map:
            self.values.note(tree, _STEP)
            return None
        self.values.known_keys(tree, "a step", STEP_KEYS)
        user = None
        if "user" in tree.value:
            user = self.values.text(tree.value["user"], "'user'", tree.keys["user"], empty=True)
        elif not first:
            rule = "only the first step of a test may lack it, being about the opening words"
            self.values.note(tree, f"this step has no 'user', so nothing is said to the bot; {rule}")
        elif not tree.value:
            self.values.note(tree, f"this step is empty; {_STEP}")
        checks = [check for kind in KINDS if kind in tree.value for check in self._checks(kind, tree)]
        return Step(user, tuple(checks), tree.line, tree.column)

    def _checks(self, kind: str, tree: Tree) -> Iterator[Check]:
        """Yield what is expected under one key, each with its place."""
        item, key = tree.value[kind], tree.keys[kind]
        for place, expected in getattr(self, f"_{kind}")(item, key):
            yield Check(kind, expected, place.line, place.column)

    def _visits(self, item: Tree, key: Tree) -> Found:
        names = [self._node_name(one, "'visits'") for one in self.values.names(item, "'visits'", key)]
        yield item, tuple(names)

    def _outcomes(self, item: Tree, key: Tree) -> Found:
        for name, value in self.values.mapping(item, "'outcomes'", key).items():
            node = self._known(item.keys[name], name)
            outcome = self.values.text(value, f"the outcome of '{name}'", item.keys[name])
            if node and outcome is not None and check_outcome(self.values, node, outcome, value):
                yield value, (name, outcome)

    def _says(self, item: Tree, key: Tree) -> Found:
        yield from self.values.texts(item, f"'{key.value}'", key)

    _never_says = _says

    def _memory(self, item: Tree, key: Tree) -> Found:
        for name, value in self.values.mapping(item, "'memory'", key).items():
            yield item.keys[name], (name, value.plain())

    def _raises(self, item: Tree, key: Tree) -> Found:
        yield item, self.values.text(item, "'raises'", key)

    def _ends(self, item: Tree, key: Tree) -> Found:
        if not isinstance(item.value, bool):
            self.values.wrong(item, "'ends' must be true or false", key)
        yield item, item.value

    def _fails(self, item: Tree, key: Tree) -> Found:
        name = self._node_name(item, "'fails'", key)
        place = self.flow.places.get(name) if self.flow else None
        if place and place.error_target in (None, name):
            self.values.note(
                item, f"node '{name}' has no on_error to go to; use 'raises' for a turn that fails"
            )
        yield item, name

    def _waits_at(self, item: Tree, key: Tree) -> Found:
        name = self._node_name(item, "'waits_at'", key)
        node = self.flow.all_nodes.get(name) if self.flow else None
        if node and not node.listens:
            self.values.note(item, f"node '{name}' does not listen, so the conversation never waits there")
        yield item, name

    def _node_name(self, item: Tree, what: str, key: Tree | None = None) -> str:
        name = self.values.text(item, what, key)
        if name is not None:
            self._known(item, name)
        return name or ""

    def _known(self, place: Tree, name: str) -> Node | None:
        """Return a node of the flow, or note that there is none of this name."""
        if self.flow is None:
            return None
        node = self.flow.all_nodes.get(name)
        if node is None:
            hint = self.values.guesses.suggest(name, self.flow.all_nodes)
            self.values.note(place, f"the flow has no node '{name}'{hint}")
        return node
