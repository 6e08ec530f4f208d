"""Spans and metrics, as the real SDK of OpenTelemetry exports them."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from typing import Any

import pytest
from conftest import AGENT_ID, KEY, Kind, count
from conversation_helpers import gone
from featherhq import AsyncFeather, DeliveryUnknownError, NotFoundError
from featherhq.sandbox import CutAfter, CutStream, Sandbox, Stall, Status
from featherhq_api.api.threads import get_thread
from opentelemetry.trace import SpanKind, StatusCode
from telemetry_helpers import Exported, attributes, names, own_id, parent

pytest_plugins = ["telemetry_helpers"]
# Before the fixtures that make clients.
pytestmark = pytest.mark.usefixtures("exported")

CALLS: dict[str, Callable[[Any, Any], object]] = {
    "create": lambda feather, _: feather.threads.create(AGENT_ID),
    "get": lambda feather, thread: feather.threads.get(thread.id),
    "update": lambda _, thread: thread.update(metadata={"a": "b"}),
    "messages": lambda _, thread: list(thread.messages()),
    "send": lambda _, thread: thread.send("hello"),
    "close": lambda _, thread: thread.close(),
}


def open_conversations(exported: Exported) -> int:
    """How many conversations of all clients are open, as the metric says."""
    return sum(number for _, number in exported.values("feather.client.conversation.open"))


def test_each_call_is_one_span(connect: Callable[..., Any], exported: Exported) -> None:
    """A call is one span with the names of the conventions for messaging, and with one event for its attempt. The span
    names the server and the thread. The metrics have its duration.
    """
    feather = connect()
    thread = feather.threads.create(AGENT_ID)
    exported.start()
    for call in CALLS.values():
        call(feather, thread)
    assert [span.name.partition(" ")[0] for span in exported.ours] == list(CALLS)
    for span in exported.ours:
        given = attributes(span)
        assert (span.kind, parent(span), names(span)) == (SpanKind.CLIENT, None, ["attempt_ended"])
        assert (given["messaging.system"], given["server.address"]) == ("feather", "127.0.0.1")
        assert given["server.port"] == int(feather.api._base_url.rpartition(":")[2])
        assert span.name == f"{given['messaging.operation.name']} {given['messaging.destination.template']}"
        assert given["messaging.destination.name"] == thread.id or span.name == "create threads"
        assert span.status.status_code is StatusCode.UNSET
    durations = exported.values("messaging.client.operation.duration")
    assert {point["messaging.operation.name"]: number for point, number in durations} == dict.fromkeys(CALLS, 1)


def test_a_generated_function_is_a_span(kind: Kind, thread: Any, connect: Any, exported: Exported) -> None:
    """A call of `feather.api` is named after its method, because the path has too many values. A generated
    `send_message` is a span like that of `thread.send`.
    """
    exported.start()
    kind.generated(get_thread, thread.id, client=connect().api)
    span = exported.span("api")
    assert span.name == "api GET"
    assert attributes(span)["http.request.method"] == "GET"
    assert names(span) == ["attempt_ended"]


def test_an_ask_has_its_stream_and_its_message_below_it(thread: Any, exported: Exported) -> None:
    """An `ask` is one trace: below its span are those of the stream and of the message, also if another thread or task
    opens the stream. The message's span has its id.
    """
    exported.start()
    thread.ask("hello")
    stream, send, ask = (exported.span(name) for name in ("stream", "send", "ask"))
    assert ask.kind is SpanKind.INTERNAL
    assert parent(stream) == parent(send) == own_id(ask)
    assert attributes(send)["messaging.operation.type"] == "send"
    assert attributes(send)["messaging.message.id"]
    assert attributes(send)["feather.message.reconciled"] is False
    ((point, number),) = exported.values("messaging.client.sent.messages")
    assert (point["feather.outcome"], number) == ("accepted", 1)


def test_retries_are_events(thread: Any, sandbox: Sandbox, exported: Exported) -> None:
    """Retries of a call are events of its span, with the wait, the status and the number of the attempt. A 429 is
    counted as refused.
    """
    exported.start()
    sandbox.inject("getThread", Status(429, headers={"Retry-After": "0.01"}))
    thread.refresh()
    span = exported.span("get")
    assert names(span) == ["attempt_ended", "retry_planned", "attempt_ended"]
    first, planned, last = map(attributes, span.events)
    assert first["http.response.status_code"] == 429
    assert (first["error.type"], first["feather.outcome"]) == ("429", "refused")
    assert "http.request.resend_count" not in first
    assert planned == {"feather.delay": 0.01}
    assert (last["http.request.resend_count"], last["feather.outcome"]) == (1, "done")
    assert attributes(span)["feather.requests"] == 2
    statuses = {point["http.response.status_code"] for point, _ in exported.values("feather.client.attempt.duration")}
    assert statuses == {200, 429}


def test_a_lost_response_is_looked_for_in_the_same_span(thread: Any, sandbox: Sandbox, exported: Exported) -> None:
    """If the response to a message is lost, the search for the message is in the span of the call. The message counts
    as reconciled.
    """
    exported.start()
    sandbox.inject("sendMessage", CutAfter())
    assert thread.send("hello").reconciled
    span = exported.span("send")
    assert names(span) == ["attempt_ended", "search_started", "attempt_ended"]
    lost, _, listed = map(attributes, span.events)
    assert (lost["error.type"], lost["feather.outcome"]) == ("connection", "unknown")
    assert (listed["http.request.method"], listed["http.response.status_code"]) == ("GET", 200)
    assert attributes(span)["feather.message.reconciled"] is True
    assert span.status.status_code is StatusCode.UNSET
    assert [point["feather.outcome"] for point, _ in exported.values("messaging.client.sent.messages")] == [
        "reconciled"
    ]


def test_an_unknown_outcome_is_an_error(connect: Callable[..., Any], sandbox: Sandbox, exported: Exported) -> None:
    """A message of unknown outcome counts as unknown. Its span has the class of the error, and no text."""
    thread = connect(timeout=0.6).threads.create(AGENT_ID)
    sandbox.inject("sendMessage", Stall())
    exported.start()
    with pytest.raises(DeliveryUnknownError):
        thread.send("hello")
    span = exported.span("send")
    assert attributes(span)["error.type"] == "DeliveryUnknownError"
    assert attributes(span.events[0])["error.type"] == "timeout"
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, None)
    assert [point["feather.outcome"] for point, _ in exported.values("messaging.client.sent.messages")] == ["unknown"]


def test_an_error_has_its_status(connect: Callable[..., Any], sandbox: Sandbox, exported: Exported) -> None:
    """The span of a call that failed has the class of the error and the status. So does the duration."""
    thread = connect().threads.create(AGENT_ID)
    sandbox.inject("sendMessage", Status(404))
    exported.start()
    with pytest.raises(NotFoundError):
        thread.send("hello")
    given = attributes(exported.span("send"))
    assert (given["error.type"], given["http.response.status_code"]) == ("NotFoundError", 404)
    assert given["feather.message.delivered"] is False
    points = exported.points()
    assert points["messaging.client.operation.duration"][0][0]["error.type"] == "NotFoundError"
    assert points["messaging.client.sent.messages"][0][0]["feather.outcome"] == "failed"


def test_streams_are_short_spans_with_a_link(thread: Any, sandbox: Sandbox, exported: Exported) -> None:
    """Only the opening of a stream is a span. A stream that is opened again later is linked to the span in which the
    conversation was opened. Losses are counted.
    """
    exported.start()
    sandbox.inject("streamMessages", CutStream(after_events=1))
    with thread.conversation() as chat:
        opened = exported.span("conversation")
        first = exported.span("stream")
        assert (parent(first), first.links) == (own_id(opened), ())
        chat.send("hello")
        next(iter(chat))
        chat.ask("hello again")
        assert open_conversations(exported) == 1
    again = exported.spans("stream")[1]
    assert [link.context.span_id for link in again.links] == [own_id(opened)]
    assert names(exported.span("ask"))[:1] in (["stream_lost"], ["stream_opened"])


def test_streams_that_open_again_and_conversations_that_fall_back(
    thread: Any, sandbox: Sandbox, exported: Exported
) -> None:
    """The metrics count streams that were opened and lost, conversations without a stream, and open conversations."""
    exported.start()
    sandbox.inject("streamMessages", Status(404))
    with thread.conversation() as chat:
        chat.send("hello")
        next(iter(chat))
        assert exported.span("conversation").events
        assert exported.spans("scan")
    given_up = exported.values("feather.client.stream.given_up")
    assert [number for _, number in given_up] == [1]
    exported.start()
    sandbox.inject("streamMessages", CutStream(after_events=0))
    with thread.conversation() as chat:
        list(chat.replies(timeout=0.3))
        chat.ask("hello")
    points = exported.points()
    assert sum(number for _, number in points["feather.client.stream.lost"]) >= 1
    assert sum(number for _, number in points["feather.client.stream.opened"]) >= 2


def test_a_conversation_that_was_dropped_is_not_open(thread: Any, exported: Exported) -> None:
    """A conversation whose owner has dropped it without closing it does not count as open."""
    chat = thread.conversation()
    chat.__enter__()
    assert open_conversations(exported) == 1
    del chat
    gc.collect()
    assert open_conversations(exported) == 0


def test_nothing_of_a_text_or_a_key_is_exported(
    connect: Callable[..., Any], sandbox: Sandbox, exported: Exported
) -> None:
    """No text of a message, no query and no key is in anything that is exported, also if the server quotes them."""
    feather = connect(timeout=3)
    thread = feather.threads.create(AGENT_ID, metadata={"secret-name": "secret-value"})
    quoting = Status(400, body=b'{"code": "BAD", "message": "secret-text ' + KEY.encode() + b'"}')
    with thread.conversation() as chat:
        chat.ask("secret-text")
        sandbox.inject("sendMessage", CutAfter())
        chat.send("secret-text again")
    list(thread.messages(page_size=1, status="SENT"))
    sandbox.inject("sendMessage", quoting)
    with pytest.raises(Exception, match="BAD"):
        thread.send("secret-text")
    text = exported.everything()
    assert "attempt_ended" in text
    for secret in ("secret", KEY, "limit=1", "status=", "?"):
        assert secret not in text


def test_a_call_that_is_cancelled_is_no_error(sandbox: Sandbox, exported: Exported) -> None:
    """The span of a call whose task was cancelled says so, and is no error of the call."""

    async def main() -> None:
        async with AsyncFeather(KEY, base_url=sandbox.url) as feather:
            thread = await feather.threads.create(AGENT_ID)
            sandbox.inject("sendMessage", Stall())
            task = asyncio.create_task(thread.send("hello"))
            await asyncio.to_thread(gone, lambda: not count(sandbox, "sendMessage"))
            task.cancel()
            await asyncio.wait([task])

    asyncio.run(main())
    span = exported.span("send")
    assert attributes(span)["error.type"] == "asyncio.exceptions.CancelledError"
    assert span.status.status_code is StatusCode.UNSET
    ((point, _),) = exported.values("messaging.client.sent.messages")
    assert point["feather.outcome"] == "interrupted"
