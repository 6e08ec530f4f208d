"""Draw docs/trace.svg: a real trace of an `ask` whose first request was refused and whose second response was lost.

It runs against the sandbox, with OpenTelemetry's SDK and its tracer for httpx. `make trace` runs it. The times differ
each time.
"""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any, Final

from featherhq import Feather
from featherhq.sandbox import CutAfter, Sandbox, Status
from opentelemetry import trace
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

PICTURE: Final = Path(__file__).parent.parent / "docs" / "trace.svg"
AGENT_ID: Final = "6f1c9a52-8d0e-4b7a-9c55-0f6f2c9e4b11"
# Pixels.
WIDTH: Final = 1160
NAMES: Final = 270
TIMES: Final = 560
ROW: Final = 22
EVENT: Final = 18
TOP: Final = 34
# The colors of bars, by who has made the span.
COLORS: Final = {"program": "#7a7a7a", "featherhq": "#2f6f9f", "the tracer of httpx": "#c98a2b"}
TRACER: Final = "the tracer of httpx"
STYLE: Final = (
    "text{font-family:sans-serif;font-size:12px;fill:#222}.time{fill:#777;font-size:11px}"
    ".event{fill:#8a2f3b;font-size:11px}.name{font-weight:600}"
)
# What is shown of an event, and in which words.
SHOWN: Final = {
    "http.request.method": "{}",
    "http.response.status_code": "{}",
    "error.type": "error {}",
    "feather.outcome": "{}",
    "feather.delay": "after {:.2f} s",
    "feather.priority": "class {}",
    "feather.duration": "{:.2f} s",
}


def recorded() -> list[ReadableSpan]:
    """The spans of the run."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    HTTPXClientInstrumentor().instrument()
    # Four slots a second: the search for the message is the fifth request, so it waits in the line.
    with Sandbox() as sandbox, Feather(sandbox.api_key, base_url=sandbox.url, rate_limit=4) as feather:
        thread = feather.threads.create(AGENT_ID)
        # So that the picture shows no imports.
        feather.with_options(rate_limit=None).thread(thread.id).ask("Hello")
        exporter.clear()
        sandbox.inject("sendMessage", Status(503, headers={"Retry-After": "0.2"}))
        sandbox.inject("sendMessage", CutAfter())
        with trace.get_tracer("program").start_as_current_span("POST /support"):
            thread.ask("Where is my order?")
    HTTPXClientInstrumentor().uninstrument()
    return list(exporter.get_finished_spans())


def in_order(spans: list[ReadableSpan], parent: int | None = None, depth: int = 0) -> list[tuple[ReadableSpan, int]]:
    """The spans below a parent, each followed by those below it, with their depths."""
    rows = []
    for span in sorted(spans, key=lambda one: int(one.start_time or 0)):
        if (span.parent.span_id if span.parent else None) == parent:
            rows += [(span, depth), *in_order(spans, span.context.span_id, depth + 1)]
    return rows


def label(event: Any) -> str:
    """What is shown of an event of a span."""
    given = dict(event.attributes)
    if given.get("error.type") == str(given.get("http.response.status_code")):
        del given["error.type"]
    said = [words.format(given[name]) for name, words in SHOWN.items() if name in given]
    return " · ".join([event.name.removeprefix("feather."), *said])


def bar(span: ReadableSpan, depth: int, y: int, at: Callable[[int | None], float]) -> list[str]:
    """The row of a span, and below it those of its events.

    Args:
        span: The span.
        depth: How many spans are above it.
        y: Where the row begins, in pixels.
        at: Gives the place of a time, in pixels.
    """
    scope = span.instrumentation_scope.name if span.instrumentation_scope else ""
    begin, end, color = at(span.start_time), at(span.end_time), COLORS.get(scope, COLORS[TRACER])
    width, milliseconds = max(2.0, end - begin), (int(span.end_time or 0) - int(span.start_time or 0)) / 1e6
    parts = [
        f'<text x="{10 + depth * 16}" y="{y + 15}" class="name">{escape(span.name)}</text>',
        f'<rect x="{begin:.1f}" y="{y + 4}" width="{width:.1f}" height="14" rx="2" fill="{color}"/>',
        f'<text x="{end + 6:.1f}" y="{y + 15}" class="time">{milliseconds:.0f} ms</text>',
    ]
    for number, event in enumerate(span.events):
        x, below = at(event.timestamp), y + ROW + number * EVENT
        parts += [
            f'<path d="M{x:.1f} {below + 5} l5 5 l-5 5 l-5 -5 z" fill="#b03a48"/>',
            f'<text x="{x + 10:.1f}" y="{below + 14}" class="event">{escape(label(event))}</text>',
        ]
    return parts


def drawn(spans: list[ReadableSpan]) -> str:
    """The picture."""
    first = min(int(span.start_time or 0) for span in spans)
    length = max(int(span.end_time or 0) for span in spans) - first

    def at(time: int | None) -> float:
        return NAMES + (int(time or 0) - first) / length * TIMES

    parts, y = [], TOP
    for span, depth in in_order(spans):
        parts += bar(span, depth, y, at)
        y += ROW + EVENT * len(span.events)
    for part in range(5):
        x = NAMES + TIMES * part / 4
        parts.insert(0, f'<line x1="{x}" y1="22" x2="{x}" y2="{y}" stroke="#ddd"/>')
        parts.append(f'<text x="{x}" y="16" class="time">{length / 1e6 * part / 4:.0f} ms</text>')
    for number, (maker, color) in enumerate(COLORS.items()):
        x = NAMES + number * 150
        parts.append(f'<rect x="{x}" y="{y + 10}" width="12" height="12" rx="2" fill="{color}"/>')
        parts.append(f'<text x="{x + 18}" y="{y + 20}" class="time">{maker}</text>')
    height = y + 32
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}">'
    ground = '<rect width="100%" height="100%" fill="#fff"/>'
    return "\n".join([head, f"<style>{STYLE}</style>", ground, *parts, "</svg>\n"])


if __name__ == "__main__":
    PICTURE.write_text(drawn(recorded()), "utf-8")
    print(f"docs/{PICTURE.name} is drawn")
