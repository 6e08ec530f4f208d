"""How the model server processes a request: its faults, its rate limit, its work and its response."""

from __future__ import annotations

import math
from collections import Counter, defaultdict, deque
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from fake_time import Exchange, World
from featherhq._core.responses import Response, TransportFailure
from model_server_faults import Fault
from model_server_lists import Messages
from model_server_options import Chance, Counting
from model_server_records import INBOUND, Call, Row
from model_server_responses import Responses
from model_server_streams import Streams

if TYPE_CHECKING:
    from model_server import ModelServer

_PATH: Final = "/api/v1/threads/"
_OPERATIONS: Final = {
    ("POST", "messages"): "sendMessage",
    ("GET", "messages"): "listMessages",
    ("GET", "stream"): "streamMessages",
    ("GET", ""): "getThread",
}


class Requests:
    """Processes the requests to a server.

    Args:
        server: The server.
        world: The world that has it.
        chance: Its random choices.
        messages: Its messages.
        streams: Its streams.
        responses: Makes its responses.

    Attributes:
        calls: The requests so far.
        refused: How many requests were over the rate limit, by key.
        faults: The faults of the next requests, by operation and thread.
    """

    def __init__(
        self,
        server: ModelServer,
        world: World,
        chance: Chance,
        messages: Messages,
        streams: Streams,
        responses: Responses,
    ) -> None:
        self.calls: list[Call] = []
        self.refused: Counter[str] = Counter()
        self.faults: dict[tuple[str, str | None], deque[Fault]] = defaultdict(deque)
        self._server, self._world, self._chance = server, world, chance
        self._messages, self._streams, self._responses = messages, streams, responses
        self._counters: dict[str, _Counter] = {}

    def handle(self, exchange: Exchange) -> None:
        """Process a request."""
        call = self._record(exchange)
        call.fault = fault = self._fault_for(call)
        way = self._chance.draw(self._server.options.latency) / 2
        kind = None if fault is None else fault.kind
        after = 0.0 if fault is None else fault.after
        if kind == "never sent":
            self._fail(exchange, call, way, TransportFailure(False, False, "could not connect"))
        elif kind == "stale":
            failure = TransportFailure(True, False, "the connection was closed", stale=True)
            self._fail(exchange, call, way + after, failure)
            if fault is not None and fault.work is not None:
                self._world.after(way + fault.work, partial(self._work, exchange, call))
        else:
            self._world.after(way, partial(self._arrive, exchange, call, fault, way))

    def _record(self, exchange: Exchange) -> Call:
        path = exchange.url.removeprefix(self._server.base_url)
        thread_id, _, rest = path.removeprefix(_PATH).partition("/")
        operation = _OPERATIONS.get((exchange.method, rest), "")
        if (exchange.method, path) == ("POST", _PATH + "web"):
            operation, thread_id = "createThread", ""
        key = exchange.headers.get("x-api-key", "")
        call = Call(operation, thread_id, key, self._world.now, dict(exchange.params))
        self.calls.append(call)
        return call

    def _fault_for(self, call: Call) -> Fault | None:
        for name in (call.operation, "*"):
            for thread_id in (call.thread_id, None):
                if faults := self.faults.get((name, thread_id)):
                    return faults.popleft()
        return None if self._server.plan is None else self._server.plan(call, self._chance.random)

    def _arrive(self, exchange: Exchange, call: Call, fault: Fault | None, way: float) -> None:
        call.arrived_at = self._world.now
        options, keys = self._server.options, self._server.keys
        if not self._admits(call.client):
            self.refused[call.client] += 1
            headers = {} if options.too_many_wait is None else {"retry-after": options.too_many_wait}
            self._respond(exchange, call, way, self._responses.error(429, headers))
        elif keys is not None and call.client not in keys:
            self._respond(exchange, call, way, self._responses.error(401))
        elif fault is None:
            self._process(exchange, call, way)
        else:
            self._go_wrong(exchange, call, fault, way)

    def _go_wrong(self, exchange: Exchange, call: Call, fault: Fault, way: float) -> None:
        if fault.kind == "response":
            if fault.work is not None and fault.work < fault.after:
                later = fault.after - fault.work + way
                self._world.after(fault.work, partial(self._work_and_respond, exchange, call, later))
            else:
                self._world.after(fault.after, partial(self._process, exchange, call, way))
            return
        if fault.work is not None and call.operation != "streamMessages":
            self._world.after(fault.work, partial(self._work, exchange, call))
        later = fault.after + way
        if fault.kind == "silence":
            call.outcome = "silence"
        elif fault.kind == "lost":
            self._fail(exchange, call, later, TransportFailure(True, False, "the connection was lost"))
        elif fault.kind == "cut body":
            failure = TransportFailure(True, False, "the answer was cut off", status_code=200)
            self._fail(exchange, call, later, failure)
        elif fault.kind == "unreadable":
            self._respond(exchange, call, later, Response(200, self._responses.headers(), b'{"status": "acc'))
        else:
            headers = {} if fault.retry_after is None else {"retry-after": fault.retry_after}
            self._respond(exchange, call, later, self._responses.error(fault.status, headers, html=fault.html))

    def _process(self, exchange: Exchange, call: Call, way: float) -> None:
        if call.operation != "streamMessages" or call.thread_id not in self._messages.rows:
            self._work_and_respond(exchange, call, way)
        elif (refusal := self._streams.refusal(call.thread_id)) is not None:
            self._respond(exchange, call, way, refusal)
        else:
            self._streams.accept(exchange, call, way)

    def _work_and_respond(self, exchange: Exchange, call: Call, after: float) -> None:
        response, rows = self._work(exchange, call)
        self._respond(exchange, call, after, response, rows)

    def _respond(
        self, exchange: Exchange, call: Call, after: float, response: Response, rows: Sequence[Row] = ()
    ) -> None:
        call.outcome = response.status_code

        def arrive() -> None:
            if exchange.respond(response):
                for row in rows:
                    row.listed.setdefault(call.client, self._world.now)

        self._world.after(after, arrive)

    def _fail(self, exchange: Exchange, call: Call, after: float, failure: TransportFailure) -> None:
        call.outcome = failure.reason
        self._world.after(after, lambda: exchange.respond(failure))

    def _work(self, exchange: Exchange, call: Call) -> tuple[Response, Sequence[Row]]:
        """Do the work. Returns the response, and the messages in it."""
        if call.operation == "createThread":
            return self._responses.thread(self._server.thread()), ()
        if call.thread_id not in self._messages.rows or not call.operation:
            return self._responses.error(404), ()
        if call.operation == "getThread":
            return self._responses.thread(call.thread_id), ()
        if call.operation == "listMessages":
            return self._messages.page(call.thread_id, call.params)
        assert call.operation == "sendMessage"
        if self._server.options.closed:
            return self._responses.error(409), ()
        text = exchange.json.get("message") if isinstance(exchange.json, Mapping) else None
        if not isinstance(text, str) or not text:
            return self._responses.error(400), ()
        row = self._server.say(call.thread_id, text, direction=INBOUND)
        for delay, reply in self._server.agent(text):
            self._world.after(delay, partial(self._server.say, call.thread_id, reply))
        receipt = {"status": "accepted", "threadId": call.thread_id, "messageId": row.id, "windowExpiresIn": 3600}
        return self._responses.json(receipt), ()

    def _admits(self, client: str) -> bool:
        options = self._server.options
        if options.counting is None:
            return True
        counted_for = client if options.by_key else ""
        counter = self._counters.setdefault(counted_for, _Counter(options.counting, options.rate))
        return counter.take(self._world.now)


class _Counter:
    """Counts requests for the rate limit, in one of three ways."""

    def __init__(self, counting: Counting, rate: float) -> None:
        self._counting, self._rate = counting, rate
        self._tokens, self._at = max(1.0, rate), -math.inf
        self._taken: deque[float] = deque()

    def take(self, now: float) -> bool:
        """Count a request. Returns whether it is within the limit."""
        if self._counting == "bucket":
            self._tokens = min(max(1.0, self._rate), self._tokens + (now - self._at) * self._rate)
            self._at = now
            # Sums of floats are not exact.
            if self._tokens < 1 - 1e-9:
                return False
            self._tokens -= 1
            return True
        since = math.floor(now) if self._counting == "fixed" else now - 1
        while self._taken and self._taken[0] < since + (0 if self._counting == "fixed" else 1e-9):
            self._taken.popleft()
        if len(self._taken) >= max(1, math.floor(self._rate)):
            return False
        self._taken.append(now)
        return True
