"""The settings of resources in a flow file, and in the flows that it runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fsmbot.errors import Problem
from fsmbot.flow import Node
from fsmbot.flowfile.fields import Fields
from fsmbot.flowfile.settings import convert_settings, describe, settle_keys
from fsmbot.flowfile.yamltree import Tree
from fsmbot.nearby import suggest
from fsmbot.registry import Registry


class ResourceReader(Fields):
    """Reads `resources:` of the file at `source`, whose folder resolves paths."""

    def __init__(self, problems: list[Problem], registry: Registry, source: str) -> None:
        super().__init__(problems)
        self._registry, self._source = registry, source

    def read(self, root: Tree, nodes: Mapping[str, Node]) -> dict[str, dict[str, Any]]:
        """Return the settings by resource, with those of subflows for what this flow does not set."""
        return self._with_inner(self._own(root), nodes, root)

    def _own(self, root: Tree) -> dict[str, dict[str, Any]]:
        item = root.value.get("resources")
        if item is None:
            return {}
        if not item.is_map:
            self.note(item, f"'resources' must be a map from resource to settings, not {describe(item)}")
            return {}
        return {name: self._resource(name, tree, item.keys[name]) for name, tree in item.value.items()}

    def _with_inner(
        self, own: dict[str, dict[str, Any]], nodes: Mapping[str, Node], root: Tree
    ) -> dict[str, dict[str, Any]]:
        inner: dict[str, Mapping[str, Any]] = {}
        for name, node in nodes.items():
            for resource, settings in node.flow.resources.items() if node.flow else ():
                if resource not in own and inner.setdefault(resource, settings) != settings:
                    self.note(
                        root.value["nodes"].keys[name],
                        f"node '{name}': its flow sets resource '{resource}' otherwise than the flow of "
                        "another node; say under 'resources' here which it is to be",
                    )
        return {**inner, **own}  # type: ignore[dict-item]

    def _resource(self, name: str, tree: Tree, key: Tree) -> dict[str, Any]:
        """Return a resource's settings; paths in them are relative to the flow file."""
        factory = self._registry.resources.get(name)
        owner = f"resource '{name}'"
        if factory is None:
            self.note(key, f"unknown {owner}" + suggest(name, sorted(self._registry.resources)))
        elif not tree.is_map:
            place = tree if tree.value else key
            self.note(place, f"{owner}: its settings must be a map, not {describe(tree)}")
        else:
            settle_keys(tree, factory.settings, self.note, f"{owner} has no setting", factory.settings)
            values = convert_settings(owner, "it", factory.settings, tree, self.note)
            folder = Path(self._source).absolute().parent
            values = {k: folder / v if isinstance(v, Path) else v for k, v in values.items()}
            for setting, value in values.items():
                if isinstance(value, Path) and not _exists(value):
                    self.note(tree.value[setting], f"{owner}: {setting}: '{value}' does not exist")
            return values
        return {}


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # such as a name that is too long, or a folder that may not be read
        return False
