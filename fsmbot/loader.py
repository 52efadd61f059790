"""YAML text -> Flow, with every mistake reported at once as `file:line:column: what`.

A flow file is data: it names registered handlers and gives them settings; nothing in it is
imported, evaluated or expanded.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fsmbot.contract import END, RESERVED_KEYS, Handler
from fsmbot.errors import FlowError, Problem
from fsmbot.flow import MAX_STEPS, OTHERWISE, Flow, Mistake, Node, check_flow
from fsmbot.registry import Registry, load_builtins, load_plugins
from fsmbot.settings import convert_settings, describe, suggest
from fsmbot.yamltree import MAX_BYTES, Tree, read_tree

TOP_KEYS = ("name", "description", "start", "nodes", "on_error", "max_steps", "resources")
"""The keys that a flow file may have at its top level."""

NODE_KEYS = ("handler", "next", "on_error", "remember", "description")
"""The reserved keys of a node that have a meaning in this version."""


OWN = " (if it is your own, name its module with --handlers)"
"""What the message about an unknown handler ends with."""


def load_flow(path: str | Path, registry: Registry | None = None) -> Flow:
    """Load and check a flow file; raises FlowError with every mistake in it.

    registry: where handlers are looked up; by default the built-in ones, those registered with
    `@handler`, and those of installed plug-ins.
    """
    try:
        with Path(path).open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise FlowError(str(path), [Problem(1, 1, f"the file cannot be read: {reason}")]) from error
    return parse_flow(data, str(path), registry)


def parse_flow(data: bytes | str, source: str = "<flow>", registry: Registry | None = None) -> Flow:
    """Read a flow from text; `source` names it in messages, and its folder resolves paths.

    Raises FlowError with every mistake.
    """
    if isinstance(data, str):
        data = data.encode("utf-8", "replace")
    tree, problems = read_tree(data)
    if tree is None and problems:
        raise FlowError(source, problems)
    builder = _Builder(source, registry or load_builtins(), problems, plugins=registry is None)
    flow = builder.build(tree)
    if flow is None or builder.problems:
        raise FlowError(source, builder.problems)
    return flow


class _Builder:
    """Turns a tree into a flow, collecting problems instead of stopping at the first."""

    def __init__(self, source: str, registry: Registry, problems: list[Problem], *, plugins: bool) -> None:
        self.source, self.registry, self.problems = source, registry, problems
        self._plugins_left = plugins
        self._routes_known = not problems

    def build(self, root: Tree | None) -> Flow | None:
        """Return the flow, or None where its outline is missing; mistakes go to `problems`."""
        if root is None or not root.is_map:
            outline = "a flow file is a map with the keys 'name', 'start' and 'nodes'"
            self._note(root or Tree(1, 1), outline)
            return None
        for key, place in root.keys.items():
            if key not in TOP_KEYS:
                self._note(place, f"a flow has no key '{key}'" + suggest(key, TOP_KEYS))
        flow = self._flow(root)
        for mistake in check_flow(flow, routes_known=self._routes_known):
            if mistake.path != ("start",) or (flow.start and flow.nodes):
                self.problems.append(_place(mistake, root))
        return flow

    def _flow(self, root: Tree) -> Flow:
        return Flow(
            name=self._text(root, "name", "the flow") or Path(self.source).stem,
            start=self._start(root),
            nodes=self._nodes(root),
            description=self._text(root, "description", "the flow") or "",
            on_error=self._text(root, "on_error", "the flow"),
            max_steps=self._max_steps(root),
            resources=self._resources(root),
            source=self.source,
            registry=self.registry,
        )

    def _note(self, tree: Tree, message: str) -> None:
        self.problems.append(tree.problem(message))

    def _text(self, tree: Tree, key: str, owner: str) -> str | None:
        """Return the text under an optional key; anything else is a problem."""
        item = tree.value.get(key)
        if item is None:
            return None
        if isinstance(item.value, str) and item.value:
            return item.value
        self._note(item, f"{owner}: '{key}' must be text, not {describe(item)}")
        return None

    def _start(self, root: Tree) -> str:
        if "start" not in root.value:
            self._note(root, "the flow has no 'start'; name the node that comes first")
        return self._text(root, "start", "the flow") or ""

    def _max_steps(self, root: Tree) -> int:
        item = root.value.get("max_steps")
        if item is None:
            return MAX_STEPS
        if type(item.value) is int and item.value > 0:
            return item.value
        self._note(item, f"'max_steps' must be a whole number from 1, not {describe(item)}")
        return MAX_STEPS

    def _nodes(self, root: Tree) -> dict[str, Node]:
        item = root.value.get("nodes")
        if item is None or not item.is_map or not item.value:
            found = "nothing" if item is None else describe(item)
            place = root if item is None else item if item.value else root.keys["nodes"]
            self._note(
                place,
                f"'nodes' must map each node's name to its keys, not {found}; such as "
                f"`greet: {{handler: say, text: Hello!, next: {END}}}`",
            )
            return {}
        return {name: self._node(name, tree, item.keys[name]) for name, tree in item.value.items()}

    def _node(self, name: str, tree: Tree, key: Tree) -> Node:
        """Return one node; where parts of it are broken, a stand-in that blames nobody else."""
        owner = f"node '{name}'"
        if name == END:
            self._note(key, f"'{END}' is the end of every conversation; name the node otherwise")
        if not tree.is_map:
            place = key if tree.value is None else tree
            self._note(place, f"{owner} must be a map such as {{next: {END}}}, not {describe(tree)}")
            self._routes_known = False
            return Node(name, _stand_in(name, END), END)
        target = self._next(owner, tree, key)
        handler = self._handler(name, tree, key)
        on_error = self._text(tree, "on_error", owner)
        if handler is None:
            return Node(name, _stand_in(name, target), target, on_error=on_error)
        return Node(
            name,
            handler,
            target,
            self._settings(owner, handler, tree),
            on_error=on_error,
            remember=self._remember(owner, handler, tree),
            description=self._text(tree, "description", owner) or "",
        )

    def _handler(self, name: str, tree: Tree, key: Tree) -> Handler | None:
        """Look the handler up by the node's `handler:` key, else by its name."""
        named = "handler" in tree.value
        wanted = self._text(tree, "handler", f"node '{name}'") if named else name
        if wanted is None or wanted == END:
            return None
        found = self._find(wanted)
        if found is None:
            rule = "" if named else " (without 'handler:', a node's name is its handler's)"
            hint = suggest(wanted, sorted(self.registry.handlers)) + OWN
            place = tree.value["handler"] if named else key
            self._note(place, f"node '{name}': unknown handler '{wanted}'{rule}{hint}")
        return found

    def _find(self, name: str) -> Handler | None:
        if name not in self.registry.handlers and self._plugins_left:
            self._plugins_left = False
            load_plugins()
        return self.registry.handlers.get(name)

    def _next(self, owner: str, tree: Tree, key: Tree) -> str | Mapping[str, str]:
        """Return the target or the map of targets, or the end where they cannot be read."""
        item = tree.value.get("next")
        targets = item.value.values() if item is not None and item.is_map else [item]
        wrong = [t for t in targets if t is not None and not (isinstance(t.value, str) and t.value)]
        if item is None:
            self._note(key, f"{owner} has no 'next'; name a node, or '{END}'")
        elif item.is_map and not item.value:
            self._note(item, f"{owner}: 'next' is empty; name a node, or map each outcome to one")
        for target in wrong:
            self._note(target, f"{owner}: 'next' must lead to a node's name, not {describe(target)}")
        if item is None or wrong or not item.value:
            self._routes_known = False
            return END
        return item.plain()  # type: ignore[no-any-return]

    def _settings(self, owner: str, handler: Handler, tree: Tree) -> dict[str, Any]:
        for key in RESERVED_KEYS:
            if key in tree.value and key not in NODE_KEYS:
                self._note(
                    tree.keys[key],
                    f"{owner}: '{key}' is reserved and has no meaning in this version; remove it",
                )
        what = f"handler '{handler.name}'"
        return convert_settings(owner, what, handler.settings, tree, RESERVED_KEYS, self._note)

    def _remember(self, owner: str, handler: Handler, tree: Tree) -> str | None:
        name = self._text(tree, "remember", owner)
        if name is not None and not handler.listens:
            self._note(
                tree.keys["remember"],
                f"{owner}: 'remember' keeps the user's answer, but "
                f"handler '{handler.name}' does not listen; remove it",
            )
        return name

    def _resources(self, root: Tree) -> dict[str, dict[str, Any]]:
        item = root.value.get("resources")
        if item is None:
            return {}
        if not item.is_map:
            self._note(item, f"'resources' must be a map from resource to settings, not {describe(item)}")
            return {}
        return {name: self._resource(name, tree, item.keys[name]) for name, tree in item.value.items()}

    def _resource(self, name: str, tree: Tree, key: Tree) -> dict[str, Any]:
        """Return a resource's settings; paths in them are relative to the flow file."""
        factory = self.registry.resources.get(name)
        owner = f"resource '{name}'"
        if factory is None:
            self._note(key, f"unknown {owner}" + suggest(name, sorted(self.registry.resources)))
        elif not tree.is_map:
            place = tree if tree.value else key
            self._note(place, f"{owner}: its settings must be a map, not {describe(tree)}")
        else:
            values = convert_settings(owner, "it", factory.settings, tree, (), self._note)
            folder = Path(self.source).absolute().parent
            values = {k: folder / v if isinstance(v, Path) else v for k, v in values.items()}
            for setting, value in values.items():
                if isinstance(value, Path) and not value.exists():
                    self._note(tree.value[setting], f"{owner}: {setting}: '{value}' does not exist")
            return values
        return {}


def _stand_in(name: str, target: str | Mapping[str, str]) -> Handler:
    """Return a handler for a node whose own is unknown, with the outcomes that its map names."""
    outcomes = () if isinstance(target, str) else tuple(o for o in target if o != OTHERWISE)
    return Handler(name, _stand_in, True, False, False, outcomes or ("",), (), {})


def _place(mistake: Mistake, root: Tree) -> Problem:
    """Find line and column of a mistake: its value, or its key where that holds a map."""
    tree, key = root, root
    for name in mistake.path:
        tree, key = tree.value[name], tree.keys[name]
    at_key = mistake.at_key or isinstance(tree.value, (dict, list))
    return (key if at_key else tree).problem(mistake.message)
