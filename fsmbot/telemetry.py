"""Conversations as OpenTelemetry spans: one for a turn, and one in it for each node visited.

    from fsmbot.telemetry import Spans
    session = Session(flow, observers=[Spans()])

Needs the extra `otel` (https://opentelemetry.io/docs/languages/python/). Attributes name flow, session,
node and outcome, never what was said. Where spans go is set up by the program, as ever with OpenTelemetry.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from fsmbot.errors import MissingExtra
from fsmbot.events import Entered, Failed, Listening, Routed
from fsmbot.observe import Observed

if TYPE_CHECKING:
    from opentelemetry.trace import Span, TracerProvider

Attributes = dict[str, str | int]


class Spans:
    """An observer that records spans with a tracer provider, by default the global one.

    Raises MissingExtra where OpenTelemetry is not installed.
    """

    def __init__(self, provider: TracerProvider | None = None) -> None:
        try:
            from opentelemetry import trace
        except ModuleNotFoundError as missing:
            raise MissingExtra("opentelemetry-api", "otel", "recording spans") from missing
        from fsmbot import __version__

        self._trace = trace
        self._tracer = trace.get_tracer("fsmbot", __version__, provider)
        self._open: dict[str, dict[str, Span]] = {}

    def __call__(self, seen: Observed) -> None:
        """Open or close spans as an event tells."""
        event, session = seen.event, seen.session.id
        began = time.time_ns() - int(seen.seconds * 1e9)
        spans = self._open.setdefault(session, {})
        if "" not in spans:
            spans[""] = self._span("fsmbot.turn", began, None, self._attributes(seen))
        if isinstance(event, Entered):
            inside = spans.get(event.node.rpartition("/")[0], spans[""])
            name = f"fsmbot.node {event.node}"
            spans[event.node] = self._span(name, began, inside, self._attributes(seen))
        elif isinstance(event, (Routed, Failed, Listening)):
            self._leave(spans, event)
        if seen.rests:
            self._end_turn(session, event)

    def _span(self, name: str, began: int, parent: Span | None, attributes: Attributes) -> Span:
        context = None if parent is None else self._trace.set_span_in_context(parent)
        return self._tracer.start_span(name, context, attributes=attributes, start_time=began)

    def _attributes(self, seen: Observed) -> Attributes:
        flow = seen.session.flow.name
        facts: Attributes = {"fsmbot.flow": flow, "fsmbot.session": seen.session.id}
        if isinstance(seen.event, Entered):
            facts["fsmbot.node"] = seen.event.node
        return facts

    def _leave(self, spans: dict[str, Any], event: Routed | Failed | Listening) -> None:
        """End the span of a node, unless this turn never entered it."""
        span = spans.pop(event.node, None)
        if span is None:
            return
        if isinstance(event, Routed):
            span.set_attributes({"fsmbot.outcome": event.outcome, "fsmbot.target": event.target})
        elif isinstance(event, Failed):
            kind = event.error.partition(":")[0]
            span.set_status(self._trace.StatusCode.ERROR, kind)
        span.end()

    def _end_turn(self, session: str, event: Any) -> None:
        """End the turn's span, and those of the nodes that it is still inside of."""
        spans = self._open.pop(session)
        turn = spans.pop("")
        for span in reversed(list(spans.values())):
            span.end()
        if isinstance(event, Failed):
            turn.set_status(self._trace.StatusCode.ERROR, event.error.partition(":")[0])
        turn.end()
