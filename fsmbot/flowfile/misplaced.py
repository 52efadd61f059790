"""Lines that stand at the wrong depth: YAML reads them as part of something else.

What was meant can be told from the keys. Each mistake is noted, and the tree is put right, so that the
rest of the file is judged as it was meant.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from fsmbot.contract import RESERVED_KEYS
from fsmbot.flowfile.settings import Note
from fsmbot.flowfile.yamltree import Tree

Belongs = Callable[[str, bool, str], bool]
"""Says of (key, whether nothing stands there, the key that follows) whether that belongs inside."""


def nest(tree: Tree, belongs: Belongs, note: Note) -> None:
    """Put the keys that should be indented further into the key before them."""
    holder, empty = "", False
    for name in list(tree.value):
        if holder and belongs(holder, empty, name):
            note(
                tree.keys[name],
                f"'{name}' is indented like '{holder}'; indent it further, to stand below that",
            )
            tree.move(name, tree.value[holder])
        else:
            holder, empty = name, tree.value[name].value is None


def nest_nodes(nodes: Tree, note: Note) -> None:
    """Put the keys of nodes that stand among the nodes into the node before them."""

    def belongs(holder: str, empty: bool, name: str) -> bool:
        item = nodes.value[name]
        key = name in RESERVED_KEYS and not _is_node(item)
        inside = nodes.value[holder]
        return (key and (empty or inside.is_map)) or (empty and item.value is not None and not item.is_map)

    nest(nodes, belongs, note)


def lift_nodes(root: Tree, outline: Collection[str], settings: Collection[str], note: Note) -> None:
    """Put nodes that stand outside of `nodes`, or inside a node, among the nodes."""
    nodes = root.value.get("nodes")
    if nodes is None or not nodes.is_map:
        return
    for name in _nodes_in(root, outline):
        note(
            root.keys[name], f"'{name}' stands outside of 'nodes'; indent it below that, like the other nodes"
        )
        root.move(name, nodes)
    for holder, tree in list(nodes.value.items()):
        for name in _nodes_in(tree, [*RESERVED_KEYS, *settings]) if tree.is_map else ():
            note(tree.keys[name], f"'{name}' stands inside node '{holder}'; indent it like '{holder}'")
            tree.move(name, nodes)


def outline_inside(root: Tree) -> tuple[str, Tree] | None:
    """Return the key that `nodes` stands inside of by mistake, and the place of `nodes`."""
    for name, tree in root.value.items():
        if "nodes" not in root.value and tree.is_map and "nodes" in tree.value:
            return name, tree.keys["nodes"]
    return None


def _nodes_in(tree: Tree, known: Collection[str]) -> list[str]:
    return [name for name, item in tree.value.items() if name not in known and _is_node(item)]


def _is_node(tree: Tree) -> bool:
    return tree.is_map and ("next" in tree.value or "handler" in tree.value)
