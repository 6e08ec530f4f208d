"""A span for each call, with an event for each attempt. Imported when a program that uses OpenTelemetry makes a call.

Names and attributes follow OpenTelemetry's conventions for messaging and for HTTP. What these do not name begins with
"feather." No text of a message or of an error goes into a span: the server may quote what it was sent.
"""

from __future__ import annotations

import re
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from attrs import define, field
from opentelemetry import context, propagate, trace
from opentelemetry.trace import Link, SpanKind, StatusCode

from featherhq import _validation
from featherhq._core import events
from featherhq._telemetry.metrics import Metrics
from featherhq._version import __version__
from featherhq.errors import FeatherError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextvars import Token

    from opentelemetry.context import Context
    from opentelemetry.trace import Span
    from opentelemetry.util.types import AttributeValue

    from featherhq._core.calls import Call
    from featherhq._core.events import Event

    Attributes = Mapping[str, AttributeValue]

SYSTEM: Final = "feather"
# Types of operations in the conventions for messaging. Other calls have none.
_TYPES: Final = {"send": "send", "messages": "receive", "find_sent": "receive", "scan": "receive"}
_PORTS: Final = {"http": 80, "https": 443}
# Seconds. A shorter wait in the queue of the rate limit is no event of a span.
_SHORTEST_WAIT: Final = 0.001

# Of each event, what goes into the span. An event that is not listed goes in without attributes.
_ATTRIBUTES: Final[dict[type[Any], Callable[[Any], dict[str, AttributeValue | None]]]] = {
    events.AttemptEnded: lambda it: {
        "http.request.method": it.method,
        "url.path": it.path,
        "http.request.resend_count": it.again or None,
        "http.response.status_code": it.status_code,
        "error.type": it.error,
        "feather.outcome": it.outcome,
        "feather.duration": it.seconds,
    },
    events.RetryPlanned: lambda it: {"feather.delay": it.delay},
    events.SlotAwaited: lambda it: {
        "feather.priority": it.priority,
        "feather.duration": it.seconds,
        "feather.slot.taken": it.taken,
    },
    events.SearchFailed: lambda it: {"feather.lasting": it.lasting},
    events.EarlierUnanswered: lambda it: {"feather.count": it.number},
    events.StreamOpened: lambda it: {"feather.stream.renewed": it.renewed},
    events.StreamLost: lambda it: {"feather.delay": it.delay},
    events.StreamGivenUp: lambda it: {"feather.delay": it.seconds},
    events.OthersLeftOut: lambda it: {"feather.source": it.source, "feather.count": it.number},
    events.MessagesDropped: lambda it: {"feather.limit": it.limit},
}
# These are no events of a span.
_NOT_EVENTS: Final = (
    events.CallBegan,
    events.CallEnded,
    events.AttemptBegan,
    events.ConversationOpened,
    events.ConversationClosed,
    # A limit belongs to many clients.
    events.SharedLimitLost,
    events.SharedLimitBack,
)
_current: Final[ContextVar[Call | None]] = ContextVar("featherhq_call", default=None)


@define(eq=False, repr=False)
class _Trace:
    """What belongs to a call.

    Attributes:
        span: Its span.
        within: The context in which that span is the current one.
        token: Ends that context.
        outer: The call that made this one, if there is one.
        requests: How many requests it has sent.
    """

    span: Span
    within: Context
    token: Token[Context]
    outer: Call | None = field(repr=False)
    requests: int = 0


class Telemetry:
    """Tells OpenTelemetry of the events of one client.

    Args:
        base_url: The URL that all its requests go to.
    """

    def __init__(self, base_url: str) -> None:
        parts = urlsplit(base_url)
        self._server: Attributes = {
            "messaging.system": SYSTEM,
            "server.address": parts.hostname or "",
            "server.port": parts.port or _PORTS[parts.scheme],
        }
        # Without a provider this is a proxy, which finds a provider that is set later.
        self._tracer = trace.get_tracer("featherhq", __version__)
        self._metrics = Metrics(self._server)

    def hear(self, event: Event) -> None:
        """Hear an event. The span of its call is the current one."""
        call = _current.get()
        open_now: _Trace | None = None if call is None else call.trace
        if isinstance(event, events.CallBegan):
            self._begin(event.call)
        elif isinstance(event, events.CallEnded):
            self._end(event)
        elif isinstance(event, events.AttemptBegan):
            if open_now is not None:
                open_now.requests += 1
            _propagate(event.headers)
        else:
            self._metrics.hear(event)
            if open_now is not None and open_now.span.is_recording():
                _note(open_now.span, event)

    def _begin(self, call: Call) -> None:
        opener: _Trace | None = None if call.opener is None else call.opener.trace
        links = []
        if opener is not None and opener.span is not trace.get_current_span():
            links.append(Link(opener.span.get_span_context()))
        span = self._tracer.start_span(
            span_name(call),
            kind=SpanKind.INTERNAL if call.composite else SpanKind.CLIENT,
            attributes={**self._server, **_operation(call), **_thread(call)},
            links=links,
        )
        within = trace.set_span_in_context(span)
        call.trace = _Trace(span, within, context.attach(within), _current.get())
        _current.set(call)

    def _end(self, event: events.CallEnded) -> None:
        call, error = event.call, event.error
        mine: _Trace | None = call.trace
        if mine is None:
            # The program has imported OpenTelemetry during the call, or could not begin its span.
            return
        try:
            failed = {} if error is None else {"error.type": type_of(error)}
            self._metrics.call_ended(call, event, {**_operation(call), **failed}, sent=mine.requests > 0)
            if mine.span.is_recording():
                mine.span.set_attributes({**_thread(call), **_result(call), **failed, **_details(error)})
                if not call.composite:
                    mine.span.set_attribute("feather.requests", mine.requests)
                if isinstance(error, Exception):
                    # What comes from outside, such as a cancellation, is no failure of the call.
                    mine.span.set_status(StatusCode.ERROR)
        finally:
            _current.set(mine.outer)
            mine.outer = None
            if not isinstance(error, GeneratorExit) or context.get_current() is mine.within:
                # Else the flow was abandoned, and is closed somewhere else.
                context.detach(mine.token)
            mine.span.end()


def span_name(call: Call) -> str:
    """The name of a call's span, after the conventions for messaging: `{operation} {destination}`."""
    return f"{call.name} {call.method or _destination(call)}"


def type_of(error: BaseException) -> str:
    """The class of an error, for `error.type`."""
    kind = type(error)
    plain = isinstance(error, FeatherError) or kind.__module__ == "builtins"
    return kind.__qualname__ if plain else f"{kind.__module__}.{kind.__qualname__}"


def _destination(call: Call) -> str:
    return "threads" if call.name in {"create", "list"} else "threads/{thread_id}"


def _operation(call: Call) -> dict[str, AttributeValue]:
    """What spans and metrics say of a call. All of it has few values."""
    attributes: dict[str, AttributeValue] = {"messaging.operation.name": call.name}
    if call.name in _TYPES:
        attributes["messaging.operation.type"] = _TYPES[call.name]
    if call.method is None:
        attributes["messaging.destination.template"] = _destination(call)
    else:
        attributes["http.request.method"] = call.method
    return attributes


def _thread(call: Call) -> dict[str, AttributeValue]:
    return {} if call.thread_id is None else {"messaging.destination.name": call.thread_id}


def _result(call: Call) -> dict[str, AttributeValue]:
    if call.message_id is None:
        return {}
    return {"messaging.message.id": call.message_id, "feather.message.reconciled": call.reconciled}


def _details(error: BaseException | None) -> dict[str, AttributeValue]:
    """What the error of a call says, without its text."""
    given = {
        "http.response.status_code": getattr(error, "status_code", None),
        "feather.message.delivered": getattr(error, "delivered", None),
    }
    return {name: value for name, value in given.items() if isinstance(value, int)}


def _note(span: Span, event: Event) -> None:
    """Make an event of the span from an event of the client."""
    kind = type(event)
    if kind in _NOT_EVENTS or (isinstance(event, events.SlotAwaited) and event.taken and _is_short(event)):
        return
    given = _ATTRIBUTES.get(kind, lambda _: {})(event)
    span.add_event(event_name(kind), {name: value for name, value in given.items() if value is not None})


def _is_short(event: events.SlotAwaited) -> bool:
    return event.seconds < _SHORTEST_WAIT


def event_name(kind: type[Any]) -> str:
    """The name in a span of a class of events: `AttemptEnded` is `feather.attempt_ended`."""
    return "feather." + re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()


def _propagate(headers: dict[str, str]) -> None:
    """Add the context of the trace to a request, in the form that the program has chosen.

    A tracer of the HTTP library may replace it later by its own, which is a child of ours.
    """
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    if carrier:
        headers.update(_validation.headers(carrier))
