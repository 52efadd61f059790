"""What `/why`, `/state` and `/save` show: a chat put into lines of text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from fsmbot.conversation import Chat, Exchange, Talk
from fsmbot.events import Commanded, Ended, Entered, Failed, Listening, Routed, Said
from fsmbot.registry import Resources
from fsmbot.text import safe, safe_line

WIDTH = 200
"""Characters of a single value that are shown before it is cut."""


def why(exchange: Exchange) -> list[str]:
    """Explain a turn: what was said, the nodes with outcome, target, notes and times, and how it ended."""
    lines = [f"you said: {shorten(exchange.text)}", *_visits(exchange)]
    if exchange.error:
        lines.append(f"failed: {exchange.error}")
    if exchange.taken_back:
        lines.append("the turn was taken back; the conversation stands where it stood")
    return lines


def _visits(exchange: Exchange) -> Iterator[str]:
    """Yield a line for each node that was left, and one for where the conversation came to rest."""
    width = max((len(event.node) for event in exchange.events), default=0)
    said, spent, asked = 0, dict[str, float](), ""
    for event, seconds in zip(exchange.events, exchange.seconds, strict=True):
        if isinstance(event, Entered):
            spent[event.node] = seconds
        elif event.node in spent:
            spent[event.node] += seconds
        name = f"  {event.node:{width}}  "
        if isinstance(event, Said):
            said += len(event.text)
        elif isinstance(event, Routed):
            yield name + _route(event, said, spent.get(event.node))
        elif isinstance(event, Failed):
            yield f"{name}failed: {event.error} -> {event.target}  ({_duration(spent[event.node])})"
        elif isinstance(event, Commanded) and event.command != asked:  # it also parts two messages
            asked = event.command
            yield f"{name}was asked for: {asked}"
        elif isinstance(event, Listening):
            yield f"{name}waits for you"
        elif isinstance(event, Ended):
            yield "the conversation ended" + (f": {event.outcome}" if event.outcome else "")
        said = said if isinstance(event, Said) else 0


def _route(event: Routed, said: int, seconds: float | None) -> str:
    """Return `medical -> ask_doctor  (score 0.93; words head, hurts; 0.2 ms)`."""
    facts = [f"{name} {_fact(value)}" for name, value in event.notes.items()]
    if said:
        facts.insert(0, f"said {said:,} characters")
    if event.stopped:
        facts.append("stopped by you")
    if seconds is not None:
        facts.append(_duration(seconds))
    outcome = f"{event.outcome} " if event.outcome else ""
    return f"{outcome}-> {event.target}" + (f"  ({'; '.join(facts)})" if facts else "")


def _duration(seconds: float) -> str:
    """Return a time as a reader wants it: 5 µs, 0.1 ms, 23 ms, 1.5 s."""
    if seconds >= 1:
        return f"{seconds:.1f} s"
    if seconds < 1e-4:
        return f"{1e6 * seconds:.0f} µs"
    return f"{1000 * seconds:.{0 if seconds >= 0.01 else 1}f} ms"


def _fact(value: object) -> str:
    """Return a note's value as a reader wants it."""
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, (list, tuple)):
        return shorten(", ".join(map(_fact, value))) or "none"
    if isinstance(value, Mapping):
        return shorten(", ".join(f"{key} {_fact(item)}" for key, item in value.items())) or "none"
    return shorten(str(value))


def shorten(text: str) -> str:
    """Return text on one safe line, cut where it is long."""
    line = safe_line(text)
    return line if len(line) <= WIDTH else f"{line[:WIDTH]}... ({len(line):,} characters)"


def state(chat: Chat) -> list[str]:
    """Tell where the conversation stands, what it remembers, and what is loaded."""
    now = chat.session.state
    facts = {
        "flow": f"{chat.session.flow.name} ({chat.session.flow.source})",
        "node": now.node or chat.session.flow.start,
        "status": now.status,
        "turns": str(now.answered),
        "memory": json.dumps(now.memory, ensure_ascii=False) if now.memory else "empty",
        **dict(statuses(chat.resources)),
    }
    if chat.session.flow is not chat.flow:
        facts["reload"] = "the next conversation takes the edited flow"
    width = max(map(len, facts))
    return [f"{name + ':':{width + 1}} {value}" for name, value in facts.items()]


def statuses(resources: Resources) -> Iterator[tuple[str, str]]:
    """Yield what the resources built so far say about themselves in a `status` of short text."""
    for name, built in resources.built():
        status = getattr(built, "status", None)
        if isinstance(status, str) and status:
            yield name, safe_line(status)


def markdown(title: str, talks: tuple[Talk, ...]) -> str:
    """Return conversations as Markdown; every message is a quotation, so none can pose as a heading."""
    lines = [f"# Conversation with {_escape(safe_line(title))}"]
    answered = [talk for talk in talks if any(message.role == "user" for message in talk)]
    talks = tuple(answered) or talks[-1:]
    for number, talk in enumerate(talks, 1):
        if len(talks) > 1:
            lines += ["", f"## Conversation {number}"]
        for message, following in zip(talk, (*talk[1:], None), strict=True):
            lines += ["", "**You**" if message.role == "user" else "**Bot**", ""]
            lines += [f"> {_escape(line)}".rstrip() for line in safe(message.text).split("\n")]
            if message.role == "user" and (following is None or following.role == "user"):
                lines += ["", "*(no answer)*"]
    return "\n".join(lines) + "\n"


def _escape(line: str) -> str:
    """Keep a message from smuggling HTML in."""
    return line.replace("<", "\\<")
