"""One node of a flow file: its handler or flow, where it leads, its settings and limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fsmbot.checks.mistakes import Doubt
from fsmbot.contract import END, RESERVED_KEYS, Handler, bare
from fsmbot.errors import Problem
from fsmbot.flow import OTHERWISE, Flow, Node
from fsmbot.flowfile.fields import Fields
from fsmbot.flowfile.misplaced import nest
from fsmbot.flowfile.settings import convert_settings, instead, settle_keys
from fsmbot.flowfile.subflows import Subflows
from fsmbot.flowfile.yamltree import Tree
from fsmbot.limits import MAX_TIMEOUT, MAX_TIMES, MAX_WAIT, Retry
from fsmbot.nearby import nearest, suggest
from fsmbot.registry import Registry, load_plugins

NODE_KEYS = ("handler", "next", "on_error", "timeout", "retry", "remember", "description")
"""The reserved keys of a node that calls a handler."""

FLOW_KEYS = ("flow", "next", "on_error", "description")
"""The keys of a node that runs a flow."""

MAX_NAME = 100
"""Characters of a node's name; those of a subflow's nodes are told after it, level by level."""

OWN = " (if it is your own, name its module with --handlers)"
"""What the message about an unknown handler ends with."""


class NodeReader(Fields):
    """Reads the nodes of one file.

    doubt: what could not be read of them so far.
    """

    def __init__(
        self, problems: list[Problem], registry: Registry, subflows: Subflows | None = None, *, plugins: bool
    ) -> None:
        super().__init__(problems)
        self.registry, self.doubt = registry, Doubt()
        self._subflows, self._plugins_left = subflows, plugins

    def at(self, problems: list[Problem], subflows: Subflows) -> NodeReader:
        """Return a reader of the same handlers for another file."""
        inner = NodeReader(problems, self.registry, subflows, plugins=self._plugins_left)
        inner.doubt.guesses = self.doubt.guesses
        return inner

    def read(self, name: str, tree: Tree, key: Tree) -> Node:
        """Return one node; where parts of it are broken, a stand-in that blames nobody else."""
        owner = f"node '{name}'"
        if name == END:
            self.note(key, f"'{END}' is the end of every conversation; name the node otherwise")
        if not name:
            self.note(key, "a node needs a name; write one before the ':'")
            self.doubt.routes = True
        if len(name) > MAX_NAME:
            self.note(key, f"{owner}: a name of {len(name):,} characters; at most {MAX_NAME} may be")
        if "/" in name:
            self.note(key, f"{owner}: a slash parts a subflow's nodes from its own; name the node without it")
        if not tree.is_map:
            place = key if tree.value is None else tree
            self.note(place, f"{owner} must be a map such as {{next: {END}}}{instead(tree)}{_as_map(tree)}")
            self._unread(name)
            return Node(name, _stand_in(name, END), END)
        if "flow" in tree.value:
            return self._subflow(name, owner, tree, key)
        return self._handled(name, owner, tree, key)

    def _handled(self, name: str, owner: str, tree: Tree, key: Tree) -> Node:
        handler = self._handler(name, tree, key)
        if handler is None:
            self.doubt.memory = True
        else:
            self._settle(owner, handler, tree)
        target = self._next(name, tree, key)
        on_error = self.text(tree, "on_error", owner)
        if handler is None:
            return Node(name, _stand_in(name, target), target, on_error=on_error)
        settings = convert_settings(owner, f"handler '{handler.name}'", handler.settings, tree, self.note)
        known = self._outcomes_known(handler, settings, tree)
        return Node(
            name,
            handler if known else _stand_in(name, target),
            target,
            settings,
            on_error=on_error,
            remember=self._remember(owner, handler, tree),
            description=self.text(tree, "description", owner) or "",
            timeout=self.seconds(tree, "timeout", owner, MAX_TIMEOUT),
            retry=self._retry(owner, tree),
        )

    def _settle(self, owner: str, handler: Handler, tree: Tree) -> None:
        """Note keys that the handler does not have, or that stand beside what they belong into."""
        known = [*handler.settings, *NODE_KEYS]
        maps = ["next", "retry", *(s.name for s in handler.settings.values() if bare(s.type) is dict)]
        nest(
            tree,
            lambda holder, empty, key: empty and holder in maps and key not in known,
            lambda place, message: self.note(place, f"{owner}: {message}"),
        )
        what = f"{owner}: handler '{handler.name}' has no setting"
        for lost in settle_keys(tree, known, self.note, what, handler.settings):
            self.doubt.words |= lost.words()

    def _outcomes_known(self, handler: Handler, settings: dict[str, Any], tree: Tree) -> bool:
        """Say whether the outcomes can be told; those of a broken setting are the keys as written."""
        item = tree.value.get(handler.outcomes_of)
        if not handler.outcomes_of or handler.outcomes_of in settings:
            return True
        if item is not None and item.is_map and item.value:
            settings[handler.outcomes_of] = dict.fromkeys(item.value)
            return True
        return False

    def _subflow(self, name: str, owner: str, tree: Tree, key: Tree) -> Node:
        """Return a node that runs another flow; its handler stands for that flow."""
        self._only_flow_keys(owner, tree)
        target = self._next(name, tree, key)
        on_error = self.text(tree, "on_error", owner)
        flow = self._flow(owner, tree)
        if flow is None:
            self.doubt.routes = True
            self.doubt.words.add(name)
            return Node(name, _stand_in(name, target), target, on_error=on_error)
        described = self.text(tree, "description", owner) or flow.description
        stand_in = Handler(tree.value["flow"].value, _stand_in, False, False, False, flow.outcomes, (), {})
        return Node(name, stand_in, target, on_error=on_error, description=described, flow=flow)

    def _only_flow_keys(self, owner: str, tree: Tree) -> None:
        for name in [name for name in tree.keys if name in RESERVED_KEYS and name not in FLOW_KEYS]:
            why = "runs a flow" if name == "handler" else "runs a flow, whose own nodes may have it"
            place = tree.keys[name]
            self.note(place, f"{owner}: '{name}' has no meaning here, as the node {why}; remove it")
        known = [*FLOW_KEYS, *RESERVED_KEYS]
        nest(
            tree,
            lambda holder, empty, key: empty and holder == "next" and key not in known,
            lambda place, message: self.note(place, f"{owner}: {message}"),
        )
        settle_keys(tree, known, self.note, f"{owner}: a node that runs a flow has no key", FLOW_KEYS)

    def _flow(self, owner: str, tree: Tree) -> Flow | None:
        item, name = tree.value["flow"], self.text(tree, "flow", owner)
        if name is None or self._subflows is None:
            return None
        flow, problems = self._subflows.load(name)
        for problem in problems:
            if problem.source:
                self.problems.append(problem)
            else:
                self.note(item, f"{owner}: {problem.message}")
        return flow

    def _handler(self, name: str, tree: Tree, key: Tree) -> Handler | None:
        """Look the handler up by the node's `handler:` key, else by its name."""
        self._settle_handler(name, tree)
        named = "handler" in tree.value
        wanted = self.text(tree, "handler", f"node '{name}'") if named else name
        if wanted is None or (wanted == END and not named):
            return None
        found = self._find(wanted)
        if found is None:
            self._unknown(name, wanted, tree.value["handler"] if named else key, named)
        return found

    def _settle_handler(self, name: str, tree: Tree) -> None:
        """Read a key such as `type: say` as the handler, where there is no other."""
        if "handler" in tree.value or self._find(name):
            return
        for key, item in tree.value.items():
            if (
                key not in RESERVED_KEYS
                and nearest(key, ["handler"])
                and isinstance(item.value, str)
                and item.value in self.registry.handlers
            ):
                self.note(tree.keys[key], f"node '{name}' has no key '{key}'; did you mean 'handler'?")
                tree.rename(key, "handler")
                return

    def _unknown(self, name: str, wanted: str, place: Tree, named: bool) -> None:
        """Note an unknown handler; one that is only misspelt in the node's name is its name, too."""
        known = sorted(self.registry.handlers)
        rule = "" if named else " (without 'handler:', a node's name is its handler's)"
        self.note(place, f"node '{name}': unknown handler '{wanted}'{rule}{suggest(wanted, known)}{OWN}")
        near = nearest(wanted, known)
        if near and not named:
            self.doubt.nodes.add(near)
            self.doubt.routes = True

    def _find(self, name: str) -> Handler | None:
        if name not in self.registry.handlers and self._plugins_left:
            self._plugins_left = False
            load_plugins()
        return self.registry.handlers.get(name)

    def _next(self, name: str, tree: Tree, key: Tree) -> str | Mapping[str, str]:
        """Return the target or the map of targets, or the end where they cannot be read."""
        owner, item = f"node '{name}'", tree.value.get("next")
        targets = item.value.values() if item is not None and item.is_map else [item]
        wrong = [t for t in targets if t is not None and not (isinstance(t.value, str) and t.value)]
        if item is None:
            self.note(key, f"{owner} has no 'next'; name the node that follows, or '{END}'")
        elif item.is_map and not item.value:
            self.note(item, f"{owner}: 'next' is empty; name a node, or map each outcome to one")
        for target in wrong:
            found = instead(target) + _mend(target)
            self.note(target, f"{owner}: 'next' must lead to a node's name{found}")
        if item is None or wrong or not item.value:
            self._unread(name)
            return END
        return item.plain()  # type: ignore[no-any-return]

    def _unread(self, name: str) -> None:
        """Let nobody be blamed for where a node leads, as something else stands in for that."""
        self.doubt.routes = True
        self.doubt.unread.add(("nodes", name, "next"))

    def _remember(self, owner: str, handler: Handler, tree: Tree) -> str | None:
        name = self.text(tree, "remember", owner)
        if name is None and "remember" in tree.value:
            self.doubt.words |= tree.value["remember"].words()
        if name is not None and not handler.listens:
            self.note(
                tree.keys["remember"],
                f"{owner}: 'remember' keeps the user's answer, but "
                f"handler '{handler.name}' does not listen; remove it",
            )
        return name

    def _retry(self, owner: str, tree: Tree) -> Retry | None:
        item = self.mapping(tree, "retry", owner, "{times: 2}")
        if item is None:
            return None
        self.known(item, ("times", "wait"), f"{owner}: 'retry'")
        if "times" not in item.value:
            self.note(item, f"{owner}: 'retry' needs 'times', how often to try again")
        times = self.whole(item, "times", f"{owner}: retry", MAX_TIMES)
        wait = self.seconds(item, "wait", f"{owner}: retry", MAX_WAIT, zero=True)
        return Retry(times or 1, wait or 0.0)


def _as_map(tree: Tree) -> str:
    """Say how what stands for a node can be made a map."""
    if not isinstance(tree.value, str):
        return "; write its keys without '- '" if isinstance(tree.value, list) and tree.value else ""
    key, _, rest = tree.value.partition(" ")
    return f"; write `{key}: {rest}`" if key in RESERVED_KEYS else f"; did you mean {{next: {tree.value}}}?"


def _mend(target: Tree) -> str:
    """Say how a list of one node can be made a target."""
    one = isinstance(target.value, list) and len(target.value) == 1 and target.value[0].value
    return f"; write {one} without the brackets" if isinstance(one, str) else ""


def _stand_in(name: str, target: str | Mapping[str, str]) -> Handler:
    """Return a handler for a node whose own is unknown, with the outcomes that its map names."""
    outcomes = () if isinstance(target, str) else tuple(o for o in target if o != OTHERWISE)
    return Handler(name, _stand_in, True, False, False, outcomes or ("",), (), {})
