"""What the tests of telemetry share: the real SDK of OpenTelemetry, which exports into memory.

A test module loads this module as a plugin for its fixture. The next word stops pytest's warning: PYTEST_DONT_REWRITE.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider

SCOPE = "featherhq"


class Exported(SpanProcessor):
    """Keeps what is exported while a test runs. OpenTelemetry takes its providers once for a process."""

    def __init__(self) -> None:
        self.is_on = False
        self.all: list[ReadableSpan] = []
        delta: dict[type, AggregationTemporality] = dict.fromkeys((Counter, Histogram), AggregationTemporality.DELTA)
        self._reader = InMemoryMetricReader(preferred_temporality=delta)

    def install(self) -> Exported:
        provider = TracerProvider()
        provider.add_span_processor(self)
        trace.set_tracer_provider(provider)
        metrics.set_meter_provider(MeterProvider([self._reader]))
        return self

    def on_end(self, span: ReadableSpan) -> None:
        if self.is_on:
            self.all.append(span)

    def start(self) -> None:
        self._reader.collect()
        self._reader.get_metrics_data()
        self.all.clear()
        self.is_on = True

    @property
    def ours(self) -> list[ReadableSpan]:
        """Our spans, in the order in which they ended."""
        return [span for span in self.all if span.instrumentation_scope.name == SCOPE]  # type: ignore[union-attr]

    def span(self, name: str) -> ReadableSpan:
        """The only span of an operation."""
        (found,) = self.spans(name)
        return found

    def spans(self, name: str) -> list[ReadableSpan]:
        """Our spans of an operation."""
        return [span for span in self.ours if attributes(span)["messaging.operation.name"] == name]

    def values(self, name: str) -> list[tuple[dict[str, Any], Any]]:
        """As `points`, for one metric."""
        return self.points().get(name, [])

    def points(self) -> dict[str, list[tuple[dict[str, Any], Any]]]:
        """For each metric its points since the last look: their attributes, and a value or a count."""
        return {
            metric.name: [
                (dict(point.attributes), point.count if hasattr(point, "count") else point.value)
                for point in metric.data.data_points
            ]
            for metric in self._metrics()
        }

    def _metrics(self) -> list[Any]:
        data = self._reader.get_metrics_data()
        scopes = [scope for resource in (data.resource_metrics if data else ()) for scope in resource.scope_metrics]
        return [metric for scope in scopes for metric in scope.metrics]

    def everything(self) -> str:
        """All that was exported, as text."""
        spans = [json.loads(span.to_json()) for span in self.all]
        return json.dumps([spans, [json.loads(metric.to_json()) for metric in self._metrics()]])


@cache
def _installed() -> Exported:
    return Exported().install()


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> Iterator[Exported]:
    """What OpenTelemetry exports during the test. Clients that are made from now on have telemetry."""
    monkeypatch.setenv("FEATHER_TELEMETRY", "on")
    one = _installed()
    one.start()
    yield one
    one.is_on = False


def attributes(of: Any) -> Mapping[str, Any]:
    """The attributes of a span or of its event."""
    return dict(of.attributes or {})


def names(span: ReadableSpan) -> list[str]:
    """The names of a span's events, without their prefix."""
    return [event.name.removeprefix("feather.") for event in span.events]


def parent(span: ReadableSpan) -> int | None:
    """The id of a span's parent."""
    return None if span.parent is None else span.parent.span_id


def own_id(span: ReadableSpan) -> int:
    """A span's id."""
    number: int = span.context.span_id
    return number
