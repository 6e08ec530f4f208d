"""Spans of the tracers of HTTP libraries are children of ours, and each request carries one context."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from conftest import AGENT_ID, KEY, Kind
from featherhq import Feather
from featherhq.sandbox import Sandbox, Stall, Status
from opentelemetry import propagate
from opentelemetry.context import Context
from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.propagators.textmap import CarrierT, Setter, TextMapPropagator
from opentelemetry.sdk.trace import ReadableSpan
from sight import renderings
from telemetry_helpers import SCOPE, Exported, own_id, parent

pytest_plugins = ["telemetry_helpers"]
# Before the fixtures that make clients.
pytestmark = pytest.mark.usefixtures("exported")

CAPTURE = "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_CLIENT_REQUEST"
SANITIZE = "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SANITIZE_FIELDS"
TRACERS = (HTTPXClientInstrumentor, AioHttpClientInstrumentor)


@pytest.fixture
def instrument() -> Iterator[Callable[[], None]]:
    """A function that turns both tracers on."""

    def turn_on() -> None:
        for tracer in TRACERS:
            tracer().instrument()

    yield turn_on
    for tracer in TRACERS:
        if tracer().is_instrumented_by_opentelemetry:
            tracer().uninstrument()


def carried(sandbox: Sandbox) -> list[int]:
    """The ids of the spans whose context came with each request."""
    contexts = [request.headers["traceparent"] for request in sandbox.requests]
    return [int(context.split("-")[2], 16) for context in contexts]


def of_http(exported: Exported) -> list[ReadableSpan]:
    """The spans of the tracers."""
    return [span for span in exported.all if span not in exported.ours]


def test_spans_of_a_tracer_are_children_of_ours(
    connect: Callable[..., Any], sandbox: Sandbox, exported: Exported, instrument: Callable[[], None]
) -> None:
    """With a tracer of the HTTP library, each attempt has its span below the span of the call, also if the client was
    made before. The request carries the context of the tracer's span, once.
    """
    feather = connect()
    instrument()
    sandbox.inject("createThread", Status(429, headers={"Retry-After": "0.01"}))
    feather.threads.create(AGENT_ID).ask("hello")
    https = of_http(exported)
    assert [span.name for span in https] == ["POST", "POST", "GET", "POST"]
    below = [exported.span(name) for name in ("create", "create", "stream", "send")]
    assert list(map(parent, https)) == list(map(own_id, below))
    assert carried(sandbox) == list(map(own_id, https))
    assert {span.context.trace_id for span in below[:2]} == {span.context.trace_id for span in https[:2]}


def test_a_client_that_was_used_before_has_spans_too(
    connect: Callable[..., Any], sandbox: Sandbox, exported: Exported, instrument: Callable[[], None]
) -> None:
    """A client that was made and used before `instrument()` has our spans. Its requests carry a context: that of the
    tracer if it sees the request, else that of our span.
    """
    feather = connect()
    thread = feather.threads.create(AGENT_ID)
    instrument()
    exported.start()
    thread.refresh()
    seen = of_http(exported)
    assert carried(sandbox)[-1] == own_id(seen[0] if seen else exported.span("get"))


def test_without_a_tracer_our_own_context_is_carried(thread: Any, sandbox: Sandbox, exported: Exported) -> None:
    """Without a tracer of the HTTP library, requests carry the context of our span, also those in the background."""
    exported.start()
    thread.ask("hello")
    assert carried(sandbox)[-2:] == [own_id(exported.span("stream")), own_id(exported.span("send"))]


@pytest.mark.parametrize("own", [False, True], ids=["ours", "http_client"])
def test_the_sanitising_setting_hides_the_key(
    kind: Kind,
    sandbox: Sandbox,
    exported: Exported,
    instrument: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
    own: bool,
) -> None:
    """If a tracer captures all headers, the setting that the documentation names keeps the key out of its spans.

    Without the setting the key would be there, if the tracer sees it. That is why the documentation names it.
    """
    given: dict[str, Any] = {}
    if own:
        given["http_client"] = httpx.AsyncClient() if kind.asynchronous else httpx.Client()
    sees_key = own or not kind.asynchronous
    for sanitized in ("", "x-api-key"):
        monkeypatch.setenv(CAPTURE, ".*")
        monkeypatch.setenv(SANITIZE, sanitized)
        instrument()
        exported.start()
        kind.client(base_url=sandbox.url, **given).threads.create(AGENT_ID)
        text = exported.everything()
        assert "http.request.header.user_agent" in text
        assert (KEY in text) == (sees_key and not sanitized)
        assert ("[REDACTED]" in text) == (sees_key and bool(sanitized))
        for tracer in TRACERS:
            tracer().uninstrument()
    if own:
        kind.run(given["http_client"].aclose()) if kind.asynchronous else given["http_client"].close()


class Broken(TextMapPropagator):
    """A propagator that gives headers which cannot be sent."""

    def inject(self, carrier: CarrierT, context: Context | None = None, setter: Setter[CarrierT] = None) -> None:  # type: ignore[assignment]  # noqa: ARG002
        carrier["broken"] = "two\nlines"  # type: ignore[index]

    def extract(self, carrier: Any, context: Any = None, getter: Any = None) -> Context:  # noqa: ARG002
        return Context()

    @property
    def fields(self) -> set[str]:
        return set()


def test_the_caller_and_the_program_choose_the_headers(
    connect: Callable[..., Any], sandbox: Sandbox, exported: Exported, caplog: pytest.LogCaptureFixture
) -> None:
    """A header of the caller wins over ours of the same name. A header that cannot be sent is left out, with a
    warning, and the request is sent.
    """
    assert exported.ours == []
    feather = connect()
    feather.with_options(headers={"TraceParent": "mine"}).threads.create(AGENT_ID)
    assert sandbox.requests[-1].headers["traceparent"] == "mine"
    before = propagate.get_global_textmap()
    propagate.set_global_textmap(Broken())
    try:
        feather.threads.create(AGENT_ID)
        feather.threads.create(AGENT_ID)
    finally:
        propagate.set_global_textmap(before)
    assert "broken" not in sandbox.requests[-1].headers
    assert [record.message for record in caplog.records if "telemetry" in record.message] == [
        "telemetry failed (InvalidArgumentError); calls go on without it"
    ]
    assert {span.instrumentation_scope.name for span in exported.all} == {SCOPE}  # type: ignore[union-attr]


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no such signals")
@pytest.mark.usefixtures("no_collection")
def test_an_exception_of_a_signal_passes_through_a_tracer(sandbox: Sandbox, instrument: Callable[[], None]) -> None:
    """If a signal handler raises while a traced request is under way, its exception ends the call. It is unchanged, and
    shows the key nowhere, also not in the local variables of the tracer.
    """

    class TimeLimitError(Exception):
        """The time limit of a task queue."""

    raised = TimeLimitError()

    def ring(*_: object) -> None:
        raise raised

    instrument()
    sandbox.inject("createThread", Stall())
    before = signal.signal(signal.SIGALRM, ring)
    try:
        with Feather(KEY, base_url=sandbox.url) as feather:
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            with pytest.raises(TimeLimitError) as caught:
                feather.threads.create(AGENT_ID)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert caught.value is raised
    assert not [text for text in renderings(raised) if KEY in text]
