"""The checks on what a flow remembers: what is taken from memory was put there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice

from fsmbot.checks.mistakes import Doubt, Mistake, Path
from fsmbot.flow import Flow, Node
from fsmbot.placeholders import placeholders

MOST_NAMES = 1_000
"""How many names in memory an unknown one is compared with."""

Own = dict[Flow, Mapping[str, None]]
"""The names that each flow remembers itself."""


def check_names(flow: Flow, doubt: Doubt) -> Iterator[Mistake]:
    """What a text or setting takes from memory is put there by something in the flow.

    Handlers of one's own may remember anything, so a flow that has one is not judged.
    """
    if doubt.memory or not _only_builtins(flow):
        return
    own: Own = {}
    known = sorted(islice(_names(flow, own), MOST_NAMES))
    for owner, path, wanted, shown in _all_wanted(flow):
        if not _remembered(wanted, flow, own) and doubt.words.isdisjoint((wanted, wanted.partition("/")[0])):
            hint = doubt.guesses.suggest(wanted, known)
            hint = hint or f"; let a listening node have `remember: {wanted}`"
            yield Mistake(path, f"{owner}: nothing in this flow remembers '{shown}'{hint}")


def _only_builtins(flow: Flow) -> bool:
    """Return whether all that the flow and its subflows call came with fsmbot."""
    return all(
        _only_builtins(node.flow) if node.flow else node.handler.function.__module__.startswith("fsmbot.")
        for node in flow.nodes.values()
    )


def _own_names(flow: Flow, own: Own) -> Mapping[str, None]:
    """Return the names that a flow remembers itself, looked for once."""
    if flow not in own:
        names = [name for node in flow.nodes.values() for _, name in remembers(node)]
        own[flow] = dict.fromkeys([*flow.memory, *names])
    return own[flow]


def _remembered(name: str, flow: Flow, own: Own) -> bool:
    """Say whether a name is in memory; what a subflow leaves behind is called "node/name"."""
    if name in _own_names(flow, own):
        return True
    node, _, rest = name.partition("/")
    inner = flow.nodes[node].flow if rest and node in flow.nodes else None
    return inner is not None and _remembered(rest, inner, own)


def _names(flow: Flow, own: Own) -> Iterator[str]:
    """Yield the names in memory, the flow's own first."""
    yield from _own_names(flow, own)
    for node in flow.nodes.values():
        if node.flow:
            yield from (f"{node.name}/{name}" for name in _names(node.flow, own))


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


def _all_wanted(flow: Flow) -> Iterator[tuple[str, Path, str, str]]:
    """Yield (who, path, name in memory, how it is written) for all that a flow takes from memory."""
    for name, command in flow.commands.items():
        for wanted in placeholders(command.say):
            yield f"command '{name}'", ("commands", name, "say"), wanted, f"{{{wanted}}}"
    for node in flow.nodes.values():
        for path, wanted, shown in _wanted(node):
            yield f"node '{node.name}'", ("nodes", node.name, *path), wanted, shown


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
