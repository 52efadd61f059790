"""YAML text -> Flow, with every mistake reported at once as `file:line:column: what`.

A flow file is data: it names registered handlers and gives them settings; nothing in it is
imported, evaluated or expanded. The only other files that it can name for reading are flows in its
own folder or below.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from fsmbot.checks.graph import check_flow
from fsmbot.checks.mistakes import Mistake
from fsmbot.contract import END
from fsmbot.errors import FlowError, Problem
from fsmbot.flow import MAX_STEPS, Flow, Node
from fsmbot.flowfile.fields import Fields
from fsmbot.flowfile.misplaced import lift_nodes, nest, nest_nodes, outline_inside
from fsmbot.flowfile.nodes import NodeReader
from fsmbot.flowfile.problems import TooMany, with_excerpts
from fsmbot.flowfile.resources import ResourceReader
from fsmbot.flowfile.room import MAX_NODES, Room
from fsmbot.flowfile.settings import describe
from fsmbot.flowfile.subflows import Subflows
from fsmbot.flowfile.yamltree import Tree, read_file, read_tree
from fsmbot.registry import Registry, load_builtins
from fsmbot.spoken import COMMANDS, SpokenCommand, normal

TOP_KEYS = (
    "name",
    "description",
    "start",
    "nodes",
    "outcomes",
    "on_error",
    "max_steps",
    "memory",
    "commands",
    "resources",
)
"""The keys that a flow file may have at its top level."""

_MAPS = ("nodes", "memory", "commands", "resources")
"""Those that hold maps."""


def load_flow(path: str | Path, registry: Registry | None = None) -> Flow:
    """Load and check a flow file; raises FlowError with every mistake in it.

    registry: where handlers are looked up; by default the built-in ones, those registered with
    `@handler`, and those of installed plug-ins.
    """
    return parse_flow(read_file(Path(path)), str(path), registry)


def parse_flow(data: bytes | str, source: str = "<flow>", registry: Registry | None = None) -> Flow:
    """Read a flow from text; `source` names it in messages, and its folder resolves paths.

    Raises FlowError with every mistake.
    """
    reader = NodeReader([], registry or load_builtins(), plugins=registry is None)
    subflows = Subflows(Path(source), lambda text, name, inner: _read(text, name, reader, inner))
    return _read(data.encode("utf-8", "replace") if isinstance(data, str) else data, source, reader, subflows)


def _read(data: bytes, source: str, reader: NodeReader, subflows: Subflows) -> Flow:
    """Read one file; raises FlowError with its mistakes, and those of the flows that it runs."""
    tree, problems = read_tree(data, TOP_KEYS, subflows.room)
    flow = None
    if tree is not None or not problems:
        with contextlib.suppress(TooMany):
            flow = _FlowReader(source, problems, reader.at(problems, subflows), subflows.room).read(tree)
    if flow is None or problems:
        raise FlowError(source, with_excerpts(problems, data))
    return flow


class _FlowReader(Fields):
    """Turns a tree into a flow, collecting problems instead of stopping at the first."""

    def __init__(self, source: str, problems: list[Problem], nodes: NodeReader, room: Room) -> None:
        super().__init__(problems)
        self.source, self.nodes, self.room = source, nodes, room
        self.registry = nodes.registry

    def read(self, root: Tree | None) -> Flow | None:
        """Return the flow, or None where its outline is missing."""
        if root is None or not root.is_map:
            outline = "a flow file is a map with the keys 'name', 'start' and 'nodes'"
            self.note(root or Tree(1, 1), outline if root and root.value else f"the file is empty; {outline}")
            return None
        doubt = self.nodes.doubt
        doubt.routes = doubt.memory = bool(self.problems)
        if not self._settle(root):
            return None
        flow = self._flow(root)
        self.room.nodes -= flow.size
        if self.room.nodes < 0:
            self.note(
                root.keys.get("nodes", root),
                f"the flow has {flow.size:,} nodes with those of its subflows; in all flows that are read "
                f"together at most {MAX_NODES:,} may be",
            )
            return None
        for mistake in check_flow(flow, doubt):
            if mistake.path != ("start",) or (flow.start and flow.nodes):
                self.problems.append(_place(mistake, root))
        return flow

    def _settle(self, root: Tree) -> bool:
        """Put what is misspelt or at the wrong depth where it belongs; say whether there is an outline."""
        inside = outline_inside(root)
        if inside:
            holder, place = inside
            self.note(place, f"'nodes' stands inside '{holder}'; begin its line at the left edge")
            return False
        nest(root, lambda holder, empty, key: empty and holder in _MAPS and key not in TOP_KEYS, self.note)
        settings = {name for handler in self.registry.handlers.values() for name in handler.settings}
        lift_nodes(root, TOP_KEYS, settings, self.note)
        for lost in self.known(root, TOP_KEYS, "a flow"):
            self.nodes.doubt.words |= lost.words()
        nodes = root.value.get("nodes")
        if nodes is not None and nodes.is_map:
            nest_nodes(nodes, self.note)
        return True

    def _flow(self, root: Tree) -> Flow:
        nodes = self._nodes(root)
        return Flow(
            name=self.text(root, "name", "the flow") or Path(self.source).stem,
            start=self._start(root),
            nodes=nodes,
            description=self.text(root, "description", "the flow") or "",
            on_error=self.text(root, "on_error", "the flow"),
            max_steps=self.whole(root, "max_steps", "the flow") or MAX_STEPS,
            resources=ResourceReader(self.problems, self.registry, self.source).read(root, nodes),
            source=self.source,
            registry=self.registry,
            outcomes=self._outcomes(root),
            memory=self._memory(root),
            commands=self._commands(root),
        )

    def _start(self, root: Tree) -> str:
        if "start" not in root.value:
            self.note(root, "the flow has no 'start'; name the node that comes first")
        return self.text(root, "start", "the flow") or ""

    def _nodes(self, root: Tree) -> dict[str, Node]:
        item = root.value.get("nodes")
        if item is None or not item.is_map or not item.value:
            found = "but there are none" if item is None or item.value is None else f"not {describe(item)}"
            place = root if item is None else item if item.value else root.keys["nodes"]
            self.note(
                place,
                f"'nodes' must map each node's name to its keys, {found}; such as "
                f"`greet: {{handler: say, text: Hello!, next: {END}}}`",
            )
            return {}
        return {name: self.nodes.read(name, tree, item.keys[name]) for name, tree in item.value.items()}

    def _outcomes(self, root: Tree) -> tuple[str, ...]:
        """Return the ends that the flow names."""
        names: dict[str, None] = {}
        for item in self.texts(root, "outcomes", "the flow") or ():
            if item.value == END or "/" in item.value:
                self.note(item, f"an end of the flow cannot be called '{item.value}'; choose another word")
            elif item.value in names:
                self.note(item, f"the end '{item.value}' is named twice")
            else:
                names[item.value] = None
        return tuple(names)

    def _memory(self, root: Tree) -> dict[str, Any]:
        item = self.mapping(root, "memory", "the flow", "{name: friend}")
        if item is None and "memory" in root.value:
            self.nodes.doubt.memory = True
        return {} if item is None else item.plain()

    def _commands(self, root: Tree) -> dict[str, SpokenCommand]:
        item = self.mapping(root, "commands", "the flow", "{restart: {words: [start over]}}")
        if item is None:
            return {}
        self.known(item, COMMANDS, "'commands'")
        phrases: dict[str, str] = {}
        return {
            name: self._command(name, tree, phrases) for name, tree in item.value.items() if name in COMMANDS
        }

    def _command(self, name: str, tree: Tree, phrases: dict[str, str]) -> SpokenCommand:
        """Return a spoken command; `phrases` holds those taken, and by which command."""
        owner = f"command '{name}'"
        if not tree.is_map:
            self.note(tree, f"{owner} must be a map such as {{words: [start over]}}, not {describe(tree)}")
            return SpokenCommand(name)
        self.known(tree, ("words", "say"), owner)
        items = self.texts(tree, "words", owner)
        if "words" not in tree.value:
            self.note(tree, f"{owner} needs 'words', the list of what the user may say to give it")
        for item in items or ():
            phrase = normal(item.value)
            if not phrase:
                self.note(item, f"{owner}: '{item.value}' has no letter or digit, so nobody could say it")
            elif phrases.setdefault(phrase, name) != name:
                self.note(item, f"{owner}: '{item.value}' gives the command '{phrases[phrase]}' already")
        say = self.text(tree, "say", owner)
        if name == "help" and "say" not in tree.value:
            self.note(tree, f"{owner} needs 'say', the help itself")
        return SpokenCommand(name, tuple(item.value for item in items or ()), say or "")


def _place(mistake: Mistake, root: Tree) -> Problem:
    """Find line and column of a mistake: its value, or its key where that holds a map."""
    tree, key = root, root
    for name in mistake.path:
        if isinstance(name, int):
            tree = key = tree.value[name]
        else:
            tree, key = tree.value[name], tree.keys[name]
    at_key = mistake.at_key or isinstance(tree.value, (dict, list))
    return (key if at_key else tree).problem(mistake.message)
