"""The checks on what a flow remembers: what is taken from memory was put there."""

from __future__ import annotations

from collections.abc import Iterator

from fsmbot.checks.mistakes import Doubt, Mistake, Path
from fsmbot.flow import Flow, Node
from fsmbot.nearby import suggest
from fsmbot.placeholders import placeholders


def check_names(flow: Flow, doubt: Doubt) -> Iterator[Mistake]:
    """What a text or setting takes from memory is put there by something in the flow.

    Handlers of one's own may remember anything, so a flow that has one is not judged.
    """
    if doubt.memory or not _only_builtins(flow):
        return
    known = _remembered(flow)
    for name, command in flow.commands.items():
        for wanted in placeholders(command.say):
            if wanted not in known and wanted not in doubt.words:
                found = f"command '{name}': nothing in this flow remembers '{{{wanted}}}'"
                yield Mistake(("commands", name, "say"), found + suggest(wanted, known))
    for node in flow.nodes.values():
        for path, wanted, shown in _wanted(node):
            if wanted not in known and doubt.words.isdisjoint((wanted, wanted.partition("/")[0])):
                yield Mistake(
                    ("nodes", node.name, *path),
                    f"node '{node.name}': nothing in this flow remembers '{shown}'"
                    + (suggest(wanted, known) or "; let a listening node have `remember: " + wanted + "`"),
                )


def _only_builtins(flow: Flow) -> bool:
    """Return whether all that the flow and its subflows call came with fsmbot."""
    return all(
        _only_builtins(node.flow) if node.flow else node.handler.function.__module__.startswith("fsmbot.")
        for node in flow.nodes.values()
    )


def _remembered(flow: Flow) -> list[str]:
    """Return the names in memory, those that subflows leave behind as "node/name"."""
    known = set(flow.memory)
    for node in flow.nodes.values():
        known.update(name for _, name in remembers(node))
        if node.flow:
            known.update(f"{node.name}/{name}" for name in _remembered(node.flow))
    return sorted(known)


def remembers(node: Node) -> Iterator[tuple[str, str]]:
    """Yield (key, name in memory) for what a node remembers by its keys."""
    if node.remember:
        yield "remember", node.remember
    for key, setting in node.handler.settings.items():
        if setting.marked("remembers") and node.settings.get(key):
            yield key, node.settings[key]


def check_memory(flow: Flow) -> Iterator[Mistake]:
    """What is remembered can be found again: its name has no slash, and is not that of a subflow."""
    inner = {node.name for node in flow.nodes.values() if node.flow}
    for name in flow.memory:
        if name in inner:
            found = f"'{name}' is where the flow of node '{name}' remembers; choose another name"
            yield Mistake(("memory", name), f"memory: {found}", at_key=True)
    for node in flow.nodes.values():
        for key, name in remembers(node):
            where, path = f"node '{node.name}': ", ("nodes", node.name, key)
            if "/" in name:
                found = f"'{name}': a slash leads to what a subflow remembers; name it without one"
                yield Mistake(path, where + found)
            elif name in inner:
                found = f"'{name}' is where the flow of node '{name}' remembers; choose another name"
                yield Mistake(path, where + found)


def _wanted(node: Node) -> Iterator[tuple[Path, str, str]]:
    """Yield (path in the node, name in memory, how it is written) for all that a node takes from memory."""
    for name, setting in node.handler.settings.items():
        value = node.settings.get(name)
        if value and setting.marked("remembered"):
            yield (name,), value, value
        elif value and setting.marked("filled"):
            for path, text in _texts((name,), value):
                for wanted in placeholders(text):
                    yield path, wanted, f"{{{wanted}}}"


def _texts(path: Path, value: str | list[str]) -> Iterator[tuple[Path, str]]:
    """Yield a text, or each of several, with its path."""
    if isinstance(value, str):
        yield path, value
    else:
        yield from (((*path, index), text) for index, text in enumerate(value))
