"""The checks on a flow's graph: one rule, one function.

`check_flow` returns every mistake with the path of keys where it stands, so that a loader can
name line and column and a flow built in Python is held to the same rules.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fsmbot.checks.loops import check_silence
from fsmbot.checks.memory import check_memory, check_names
from fsmbot.checks.mistakes import Doubt, Mistake, Path, closure
from fsmbot.contract import END
from fsmbot.flow import OTHERWISE, Flow, Node
from fsmbot.nearby import Guesses, nearest

MOST_NAMES = 12
"""How many names a message lists."""


def check_flow(flow: Flow, doubt: Doubt | None = None) -> list[Mistake]:
    """Return every mistake in the graph; an empty list means that the flow can run.

    doubt: what could not be read of the flow, so that nobody is blamed for the want of it.
    """
    doubt = doubt or Doubt()
    mistakes = [*check_start(flow, doubt.guesses), *check_ends(flow)]
    mistakes += [*check_targets(flow, doubt.guesses), *check_outcomes(flow, doubt.guesses)]
    mistakes = [m for m in mistakes if not doubt.explains(m)]
    known = not doubt.routes and not mistakes
    if known:
        mistakes += [*check_reachable(flow), *check_unused_ends(flow)]
    mistakes += check_silence(flow, ways_out=known)
    return [*mistakes, *check_memory(flow), *check_names(flow, doubt)]


def check_start(flow: Flow, guesses: Guesses) -> Iterator[Mistake]:
    """The start is one of the nodes."""
    if flow.start in flow.ends and flow.start not in flow.nodes:
        yield Mistake(
            ("start",),
            f"start names '{flow.start}', where a conversation finishes; name the node that comes first",
        )
    elif flow.start not in flow.nodes:
        yield Mistake(
            ("start",),
            f"start names unknown node '{flow.start}'" + guesses.suggest(flow.start, flow.nodes),
            wanted=flow.start,
        )


def check_ends(flow: Flow) -> Iterator[Mistake]:
    """An end is no node."""
    for place, end in enumerate(flow.outcomes):
        if end in flow.nodes:
            yield Mistake(
                ("outcomes", place), f"'{end}' is an end of this flow and one of its nodes; rename one"
            )


def check_targets(flow: Flow, guesses: Guesses) -> Iterator[Mistake]:
    """Every route leads to a node or to an end."""
    known = dict.fromkeys([*flow.nodes, *flow.ends])
    for path, what, target in _all_targets(flow):
        if target == END and flow.outcomes:
            yield Mistake(
                path,
                f"{what} goes to '{END}', but this flow names its ends; choose {_either(flow.outcomes)}",
            )
        elif target not in known:
            message = f"{what} goes to unknown node '{target}'"
            yield Mistake(path, message + guesses.suggest(target, known), wanted=target)


def _either(names: Sequence[str], word: str = "or") -> str:
    """Return names in quotes, the first of many."""
    shown = [f"'{name}'" for name in names[:MOST_NAMES]] + ["..."] * (len(names) > MOST_NAMES)
    return f" {word} ".join(shown)


def _all_targets(flow: Flow) -> Iterator[tuple[Path, str, str]]:
    """Yield (path, who says so, target) for each route as written."""
    if flow.on_error is not None:
        yield ("on_error",), "the flow's on_error", flow.on_error
    for node in flow.nodes.values():
        where, path = f"node '{node.name}': ", ("nodes", node.name)
        if isinstance(node.next, str):
            yield (*path, "next"), f"{where}next", node.next
        else:
            for outcome, target in node.next.items():
                yield (*path, "next", outcome), f"{where}outcome '{outcome}'", target
        if node.on_error is not None:
            yield (*path, "on_error"), f"{where}on_error", node.on_error


def check_outcomes(flow: Flow, guesses: Guesses) -> Iterator[Mistake]:
    """A map in `next` covers exactly the outcomes of the handler."""
    for node in flow.nodes.values():
        if isinstance(node.next, str):
            continue
        path: Path = ("nodes", node.name, "next")
        outcomes = dict.fromkeys(node.outcomes)
        if not outcomes:
            yield Mistake(path, f"node '{node.name}': {_what(node)} has one way out; let next name one node")
            continue
        surplus = [name for name in node.next if name not in outcomes and name != OTHERWISE]
        missing = [name for name in outcomes if name not in node.next]
        meant = _meant(surplus, missing, guesses)
        for name in surplus:
            hint = f"; did you mean '{meant[name]}'?" if name in meant else guesses.suggest(name, outcomes)
            message = f"node '{node.name}': {_what(node)} has no outcome '{name}'{hint}"
            yield Mistake((*path, name), message, at_key=True)
        yield from _covered(node, path, missing, set(meant.values()))


def _covered(node: Node, path: Path, missing: list[str], meant: set[str]) -> Iterator[Mistake]:
    """Report what `next` leaves open, or covers twice; `meant` are outcomes that it names misspelt."""
    left = [name for name in missing if name not in meant]
    if left and OTHERWISE not in node.next and OTHERWISE not in meant:
        them = (
            f"outcome '{left[0]}'; add it" if len(left) == 1 else f"outcomes {_either(left, 'and')}; add them"
        )
        message = f"node '{node.name}': next does not cover {them}, or '{OTHERWISE}' for the rest"
        yield Mistake(path, message)
    if OTHERWISE in node.next and not missing:
        yield Mistake(
            (*path, OTHERWISE),
            f"node '{node.name}': '{OTHERWISE}' covers nothing; every outcome is named already, so remove it",
            at_key=True,
        )


def _meant(surplus: list[str], missing: list[str], guesses: Guesses) -> dict[str, str]:
    """Return which outcome each name was probably meant to be."""
    if len(surplus) == len(missing) == 1 and nearest(surplus[0], [OTHERWISE]) != OTHERWISE:
        return {surplus[0]: missing[0]}
    near = {name: guesses.nearest(name, missing) or guesses.nearest(name, [OTHERWISE]) for name in surplus}
    return {name: outcome for name, outcome in near.items() if outcome}


def _what(node: Node) -> str:
    return f"{'flow' if node.flow else 'handler'} '{node.handler.name}'"


def check_reachable(flow: Flow) -> Iterator[Mistake]:
    """Every node can be reached from the start; what only follows an unreached one is told with that."""
    seen = closure([flow.start], lambda name: _targets(flow, name))
    order = {name: place for place, name in enumerate(flow.nodes) if name not in seen}
    led_to = {target for name in order for target in _targets(flow, name) if target != name}
    for name in sorted(order, key=led_to.__contains__):  # first those that nothing leads to
        if name not in seen:
            found = closure([name], lambda n: _targets(flow, n), seen)
            after = sorted((n for n in found if n in order and n != name), key=order.__getitem__)
            rest = f" (nor what follows it: {_listed(after)})" if after else ""
            yield Mistake(("nodes", name), f"node '{name}' is never reached{rest}; route to it or remove it")


def _listed(names: Sequence[str]) -> str:
    return ", ".join([*names[:MOST_NAMES], *["..."] * (len(names) > MOST_NAMES)])


def check_unused_ends(flow: Flow) -> Iterator[Mistake]:
    """Every end that a flow names is the target of some route."""
    used = {target for name in flow.nodes for target in _targets(flow, name)}
    for place, end in enumerate(flow.outcomes):
        if end not in used:
            yield Mistake(("outcomes", place), f"no route leads to the end '{end}'; route to it or remove it")


def _targets(flow: Flow, name: str) -> list[str]:
    """Return all that a node may lead to, failures included."""
    if name not in flow.nodes:
        return []
    error = flow.error_target(flow.nodes[name])
    return [*flow.nodes[name].routes().values(), *([error] if error else [])]
