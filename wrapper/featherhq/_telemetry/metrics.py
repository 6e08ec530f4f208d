"""The metrics of all clients. Each instrument is made once for the process."""

from __future__ import annotations

import weakref
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import metrics
from opentelemetry.metrics import Observation

from featherhq import _forks
from featherhq._core import events
from featherhq._version import __version__
from featherhq.errors import DeliveryUnknownError, FeatherError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from opentelemetry.metrics import CallbackOptions
    from opentelemetry.util.types import AttributeValue

    from featherhq._core.calls import Call
    from featherhq._core.events import Event

# Seconds. Those of the conventions, and three more: an agent may take its time.
_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 30.0, 60.0)

HISTOGRAMS: Final = {
    "messaging.client.operation.duration": "Duration of calls.",
    "feather.client.attempt.duration": "Duration of attempts, each of which is one request.",
    "feather.client.slot.wait": "Time that requests have waited in the queue of the rate limit.",
}
COUNTERS: Final = {
    "messaging.client.sent.messages": ("{message}", "Messages that were sent, by what became of them."),
    "feather.client.stream.opened": ("{stream}", "Streams that were opened."),
    "feather.client.stream.lost": ("{stream}", "Streams that were lost or not opened, and are opened again."),
    "feather.client.stream.given_up": ("{conversation}", "How often a conversation fell back to reading the list."),
}
CONVERSATIONS: Final = "feather.client.conversation.open"

_all: Final[weakref.WeakSet[Metrics]] = weakref.WeakSet()


class Metrics:
    """What one client adds to the metrics.

    Args:
        server: Attributes that all its values have.
    """

    def __init__(self, server: Mapping[str, AttributeValue]) -> None:
        self._server = server
        self._instruments = _instruments()
        self._conversations: weakref.WeakSet[Any] = weakref.WeakSet()
        _all.add(self)
        _forks.renew(self)

    def forked(self) -> None:
        """As `Forkable.forked`: the conversations go on in the parent."""
        self._conversations = weakref.WeakSet()

    @property
    def open(self) -> tuple[frozenset[tuple[str, AttributeValue]], int]:
        """The attributes of the client, and how many of its conversations are open."""
        return frozenset(self._server.items()), len(self._conversations)

    def hear(self, event: Event) -> None:
        """Hear an event that is not the end of a call."""
        if isinstance(event, events.AttemptEnded):
            self._attempt_ended(event)
        elif isinstance(event, events.SlotAwaited):
            waited = {"feather.priority": event.priority, "feather.slot.taken": event.taken}
            self._record("feather.client.slot.wait", event.seconds, waited)
        elif isinstance(event, events.StreamOpened):
            self._record("feather.client.stream.opened", 1, {"feather.stream.renewed": event.renewed})
        elif isinstance(event, events.StreamLost):
            self._record("feather.client.stream.lost", 1)
        elif isinstance(event, events.StreamGivenUp):
            self._record("feather.client.stream.given_up", 1)
        elif isinstance(event, events.ConversationOpened):
            self._conversations.add(event.conversation)
        elif isinstance(event, events.ConversationClosed):
            self._conversations.discard(event.conversation)

    def call_ended(
        self, call: Call, event: events.CallEnded, attributes: Mapping[str, AttributeValue], *, sent: bool
    ) -> None:
        """A call has ended.

        Args:
            call: The call.
            event: Its end.
            attributes: What to say of it.
            sent: Whether it has sent a request.
        """
        self._record("messaging.client.operation.duration", event.seconds, attributes)
        if call.name == "send" and sent:
            outcome = _outcome(call, event.error)
            self._record("messaging.client.sent.messages", 1, {**attributes, "feather.outcome": outcome})

    def _attempt_ended(self, event: events.AttemptEnded) -> None:
        attributes: dict[str, AttributeValue] = {
            "http.request.method": event.method,
            "feather.outcome": event.outcome,
        }
        if event.status_code is not None:
            attributes["http.response.status_code"] = event.status_code
        if event.error is not None:
            attributes["error.type"] = event.error
        self._record("feather.client.attempt.duration", event.seconds, attributes)

    def _record(self, name: str, value: float, attributes: Mapping[str, Any] | None = None) -> None:
        self._instruments[name](value, {**self._server, **(attributes or {})})


def _outcome(call: Call, error: BaseException | None) -> str:
    """What became of a message."""
    if error is None:
        return "reconciled" if call.reconciled else "accepted"
    if isinstance(error, DeliveryUnknownError):
        return "unknown"
    return "failed" if isinstance(error, FeatherError) else "interrupted"


@cache
def _instruments() -> dict[str, Callable[[float, Mapping[str, AttributeValue]], None]]:
    """What records a value, by the name of its instrument. A provider that is set later is found."""
    meter = metrics.get_meter("featherhq", __version__)
    meter.create_observable_up_down_counter(CONVERSATIONS, [_conversations], "{conversation}", "Open conversations.")
    record: dict[str, Callable[[float, Mapping[str, AttributeValue]], None]] = {}
    for name, about in HISTOGRAMS.items():
        record[name] = meter.create_histogram(name, "s", about, explicit_bucket_boundaries_advisory=_BUCKETS).record
    for name, (unit, about) in COUNTERS.items():
        record[name] = meter.create_counter(name, unit, about).add
    return record


def _conversations(_: CallbackOptions) -> Iterator[Observation]:
    """How many conversations are open. Those that were dropped without being closed do not count."""
    counts: Counter[frozenset[tuple[str, AttributeValue]]] = Counter()
    for one in list(_all):
        server, number = one.open
        counts[server] += number
    for server, number in counts.items():
        yield Observation(number, dict(server))
