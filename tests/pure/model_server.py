"""A model of Feather's web chat, for `fake_time`: right by default, and wrong in whatever way a test asks for.

Nobody outside knows how the real server counts, orders, stamps, lags and cuts. So all of that is an option here, to be
set by hand (`Options`), drawn (`drawn`), or done to single requests (`Fault`) and single messages (`ModelServer.say`).
It keeps a record of all that it was asked and of when each message could be known, and tells from that what a client
owes: each message once (`check_once`), in order (`check_order`), soon (`lateness`), and for few requests (`cost`).
"""

from __future__ import annotations

import json
import math
import random
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import formatdate
from functools import cached_property, partial
from itertools import islice
from operator import attrgetter
from typing import Any, Final, Literal, Protocol
from uuid import UUID

from attrs import define, field, frozen
from fake_time import EPOCH, Connection, Exchange, World
from featherhq._core.responses import Response, TransportFailure

BASE_URL: Final = "https://feather.test"
INBOUND: Final = "INBOUND"
OUTBOUND: Final = "OUTBOUND"
AGENT_ID: Final = "6f1c9a52-8d0e-4b7a-9c55-0f6f2c9e4b11"
_PATH: Final = "/api/v1/threads/"
_LARGEST_PAGE: Final = 100
_DEFAULT_PAGE: Final = 50
# Seconds after which a server gives up a connection on which the client does not answer.
_UNACKNOWLEDGED: Final = 30.0
_HTML: Final = b"<html><body><h1>Something is in the way</h1></body></html>"

Range = tuple[float, float]
"""Seconds, from and to; which of them is drawn."""
Counting = Literal["bucket", "sliding", "fixed"]
"""How requests are counted."""
Ending = Literal["ended", "lost", "died"]
"""How a stream ends: in good order, torn off, or without a word to the client."""


@define(kw_only=True)
class Options:
    """How the server is. All may be changed while it runs. Probabilities are from 0 to 1, times in seconds.

    Attributes:
        latency: What a request takes, there and back.
        counting: How it limits requests; `None` for no limit.
        rate: Requests a second.
        by_key: Whether each key has a limit of its own.
        too_many_wait: The `Retry-After` of its 429s.
        stream_status: What it answers to those who would open a stream.
        stream_html: Whether a stream is answered with HTML.
        stream_retry_after: The `Retry-After` of a stream's refusal.
        stream_way: What an event takes to the client.
        head: How long the head of a stream is held back; `None` for good.
        head_keeps: Whether what happens while the head is held back comes after it; else it is lost.
        life: How long streams live; `None` for ever.
        ending: How they end.
        silent_death: The probability that they die without a word instead.
        heartbeat: Between two comments; `None` for none.
        greeting: What is sent at once.
        replay: How many of the agent's last messages are sent at once.
        one_stream: Whether a second stream of a thread is refused, or ends the first.
        mute: Whether streams bring heartbeats alone.
        envelope: The name of the object that an event's message stands in; `None` for none.
        fields: Whether events have `id:` and `event:`.
        drop: The probability that a message is not streamed.
        duplicate: That it is streamed twice.
        hold: That it is streamed late, and so out of order.
        held: How late.
        split: That it arrives in two pieces.
        newest_first: Which way lists run.
        largest_page: Messages in a page, at the most.
        any_cursor: Whether the id of any message is a cursor; else only those that were handed out.
        bad_cursor: What comes for what is no cursor: a status, or an empty page.
        lag: After how long a message is listed.
        stale_list: The probability that a list is one of `stale_by` seconds ago.
        stale_by: That long.
        misplaced: The probability that a message stands one or two places too far down.
        stamps: `createdAt`: to the millisecond, to the second, all the same, or `null`.
        inbound_skew: What the clock that stamps users' messages is ahead by.
        outbound_skew: What the clock that stamps the agent's messages is ahead by.
        date_skew: What the clock of the `Date` header is ahead by.
        escape: Whether texts are stored with `&amp;` for `&`.
        closed: Whether messages are refused with a 409.
    """

    latency: Range = (0.02, 0.06)
    counting: Counting | None = "sliding"
    rate: float = 10.0
    by_key: bool = True
    too_many_wait: str | None = "1"
    stream_status: int = 200
    stream_html: bool = False
    stream_retry_after: str | None = None
    stream_way: Range = (0.005, 0.03)
    head: Range | None = (0.0, 0.0)
    head_keeps: bool = True
    life: Range | None = (55.0, 65.0)
    ending: Ending = "ended"
    silent_death: float = 0.0
    heartbeat: float | None = 15.0
    greeting: bytes = b": open\n\n"
    replay: int = 0
    one_stream: Literal["refuse", "replace"] | None = None
    mute: bool = False
    envelope: Literal["message", "data"] | None = None
    fields: bool = False
    drop: float = 0.0
    duplicate: float = 0.0
    hold: float = 0.0
    held: Range = (0.05, 0.5)
    split: float = 0.0
    newest_first: bool = False
    largest_page: int = _LARGEST_PAGE
    any_cursor: bool = True
    bad_cursor: Literal[400, 404, "empty"] = 400
    lag: Range = (0.0, 0.0)
    stale_list: float = 0.0
    stale_by: float = 1.0
    misplaced: float = 0.0
    stamps: Literal["millisecond", "second", "same", "none"] = "millisecond"
    inbound_skew: float = 0.0
    outbound_skew: float = 0.0
    date_skew: float = 0.0
    escape: bool = False
    closed: bool = False


def drawn(rng: random.Random) -> Options:
    """A server that is odd in some ways, but keeps its lists within two seconds of the truth."""

    def sometimes(odd: Any, usual: Any, probability: float = 0.25) -> Any:
        return odd if rng.random() < probability else usual

    return Options(
        latency=rng.choice([(0.005, 0.02), (0.02, 0.06), (0.05, 0.6)]),
        counting=rng.choice(["bucket", "sliding", "fixed"]),
        stream_status=sometimes(404, 200, 0.1),
        stream_html=sometimes(True, False, 0.05),
        head=sometimes((0.2, 1.5), (0.0, 0.0)),
        life=rng.choice([(55.0, 65.0), (5.0, 30.0), (280.0, 320.0), None]),
        ending=rng.choice(["ended", "lost"]),
        heartbeat=rng.choice([None, 1.0, 15.0, 30.0]),
        replay=sometimes(rng.randint(1, 5), 0),
        one_stream=rng.choice([None, None, "refuse", "replace"]),
        mute=sometimes(True, False, 0.1),
        envelope=rng.choice([None, "message", "data"]),
        fields=rng.random() < 1 / 2,
        drop=sometimes(0.1, 0.0),
        duplicate=sometimes(0.2, 0.0),
        hold=sometimes(0.2, 0.0),
        split=sometimes(0.5, 0.0),
        newest_first=rng.random() < 1 / 2,
        largest_page=rng.choice([100, 100, 20, 5, 2]),
        any_cursor=rng.random() < 1 / 2,
        bad_cursor=rng.choice([400, 404, "empty"]),
        lag=sometimes((0.0, 1.5), (0.0, 0.0)),
        stale_list=sometimes(0.2, 0.0),
        stamps=rng.choice(["millisecond", "millisecond", "second"]),
        inbound_skew=sometimes(rng.uniform(-1.5, 1.5), 0.0),
        outbound_skew=sometimes(rng.uniform(-1.5, 1.5), 0.0),
        date_skew=sometimes(rng.uniform(-1.0, 1.0), 0.0),
        escape=sometimes(True, False, 0.1),
    )


@frozen(kw_only=True)
class Fault:
    """What goes wrong with one request. Times count from its arrival at the server, in seconds.

    Attributes:
        kind: What the client gets. `answer`: the usual one, late, and later than the work where both are given.
        work: When the server does what was asked; `None`: never.
        after: When the client hears of it.
        status: For `status`.
        retry_after: For `status`: the header.
        html: For `status`: whether it is a proxy's page, and no error in the contract's form.
    """

    kind: Literal["answer", "never sent", "stale", "lost", "silence", "status", "unreadable", "cut body"]
    work: float | None = None
    after: float = 0.0
    status: int = 500
    retry_after: str | None = None
    html: bool = False


def never_sent() -> Fault:
    """It does not leave."""
    return Fault(kind="never sent")


def stale(after: float = 0.0) -> Fault:
    """The connection was used before, and is closed without a byte; nothing is done."""
    return Fault(kind="stale", after=after)


def lost_before() -> Fault:
    """The connection is lost before the work."""
    return Fault(kind="lost")


def lost_after() -> Fault:
    """The connection is lost after the work."""
    return Fault(kind="lost", work=0.0)


def proxy_cut(after: float = 0.2, work: float | None = 3.0) -> Fault:
    """A load balancer cuts the connection, and the server goes on with its work all the same."""
    return Fault(kind="lost", after=after, work=work)


def silence(work: float | None = None) -> Fault:
    """Nothing is heard until the client's time is up; the work is done later, or never."""
    return Fault(kind="silence", work=work)


def slow(seconds: float) -> Fault:
    """The work, and its answer, are late."""
    return Fault(kind="answer", work=seconds, after=seconds)


def late_answer(seconds: float) -> Fault:
    """The work is done at once, and its answer is late."""
    return Fault(kind="answer", work=0.0, after=seconds)


def status(code: int, *, retry_after: str | None = None, after: float = 0.0, work: float | None = None) -> Fault:
    """A status: 502 and 504 as a proxy's page, all others in the contract's form."""
    return Fault(kind="status", status=code, retry_after=retry_after, after=after, work=work, html=code in {502, 504})


def unreadable() -> Fault:
    """The work is done, and the body of the 200 is not JSON."""
    return Fault(kind="unreadable", work=0.0)


def cut_body() -> Fault:
    """The work is done, and the body of the 200 is cut off."""
    return Fault(kind="cut body", work=0.0)


MISHAPS: Final = (
    never_sent(),
    stale(),
    lost_before(),
    lost_after(),
    proxy_cut(),
    slow(2.0),
    status(500),
    status(502),
    status(502, work=0.0),
    status(503),
    status(503, retry_after="1"),
    status(504, after=1.0, work=3.0),
    status(429, retry_after="1"),
    unreadable(),
    cut_body(),
)
"""Faults of all kinds that a client gets over."""


def mishaps(rate: float, *operations: str) -> Callable[[Call, random.Random], Fault | None]:
    """A plan for `ModelServer.plan`: so many of the requests of these operations (or of all) go wrong."""

    def plan(call: Call, rng: random.Random) -> Fault | None:
        if operations and call.operation not in operations:
            return None
        return rng.choice(MISHAPS) if rng.random() < rate else None

    return plan


@define(eq=False)
class Call:
    """A request that was made.

    Attributes:
        operation: The `operationId`, or `""`.
        thread_id: Its thread, or `""`.
        client: Its key.
        at: When it left.
        params: The query.
        arrived_at: When it came to the server; `None` if it did not.
        outcome: The status, or what became of it; `None` while it is not known.
        fault: What went wrong by plan.
    """

    operation: str
    thread_id: str
    client: str
    at: float
    params: Mapping[str, str]
    arrived_at: float | None = None
    outcome: int | str | None = None
    fault: Fault | None = None


@define(eq=False)
class Row:
    """A message.

    Attributes:
        number: Its place in the server's order; over all threads.
        id: Its id.
        thread_id: Its thread.
        direction: As in the contract.
        text: As it is stored.
        made_at: When, in the world's time.
        stamp: Its `createdAt`.
        visible_at: From when it is listed.
        rank: Its place in lists.
        deleted_at: Since when it is not listed any more.
        pushed: When a stream first brought it, by client.
        listed: When a list first brought it, by client.
    """

    number: int
    id: str
    thread_id: str
    direction: str
    text: str
    made_at: float
    stamp: str | None
    visible_at: float
    rank: float
    deleted_at: float = math.inf
    pushed: dict[str, float] = field(factory=dict)
    listed: dict[str, float] = field(factory=dict)

    @property
    def pushed_at(self) -> float | None:
        """When a stream first brought it to anybody."""
        return min(self.pushed.values(), default=None)

    def brought(self, client: str) -> float:
        """When it first came to a client, by whatever way; never, if it did not."""
        return min(self.pushed.get(client, math.inf), self.listed.get(client, math.inf))

    @cached_property
    def json(self) -> str:
        """It, as lists show it."""
        return json.dumps(self.data())

    def data(self) -> dict[str, Any]:
        """It, in the contract's form."""
        return {
            "id": self.id,
            "threadId": self.thread_id,
            "direction": self.direction,
            "messageBody": self.text,
            "status": "RECEIVED" if self.direction == INBOUND else "SENT",
            "twilioMessageSid": None,
            "twilioErrorCode": None,
            "createdAt": self.stamp,
            "updatedAt": self.stamp,
            "sentAt": None,
            "deliveredAt": None,
            "readAt": None,
        }


@define(eq=False)
class Stream:
    """An event stream.

    Attributes:
        thread_id: Its thread.
        client: Its client's key.
        way: What an event takes.
        since: From when the server writes to it.
        opened_at: When its head reached the client; `None` before.
        ended_at: When it ended for the server; never, yet, by default.
        ending: How.
        brought: The numbers of the messages that it brought.
    """

    thread_id: str
    client: str
    way: float
    since: float
    opened_at: float | None = None
    ended_at: float = math.inf
    ending: Ending | Literal["left"] | None = None
    brought: list[int] = field(factory=list)
    exchange: Exchange | None = field(default=None, repr=False)
    connection: Connection | None = field(default=None, repr=False)
    waiting: list[Callable[[], None]] = field(factory=list, repr=False)
    wire_free_at: float = 0.0

    @property
    def is_open(self) -> bool:
        """Whether the server writes to it."""
        return self.ended_at == math.inf

    @property
    def lost_at(self) -> float:
        """From when nothing of it reaches the client."""
        ends = () if self.connection is None else (self.connection.died_at, self.connection.closed_at)
        return min((at for at in ends if at is not None), default=self.ended_at)


class Given(Protocol):
    """What was handed out; `Handed` is one."""

    @property
    def message_id(self) -> str: ...
    @property
    def at(self) -> float: ...


@frozen
class Handed:
    """A message that a conversation has handed out.

    Attributes:
        message_id: Its id.
        text: Its text.
        at: When, in the world's time.
    """

    message_id: str
    text: str
    at: float


class ModelServer:
    """The server.

    Args:
        world: The world that it lives in.
        options: How it is.
        base_url: Where it is.
        agent: What the agent says to a text: replies, each with the seconds until it is said.
        seed: Of what is drawn.

    Attributes:
        options: As given; may be changed.
        plan: Draws what goes wrong with a request; `mishaps` makes one.
        keys: The keys that are taken; `None` for all.
        rows: The messages of each thread, in the server's order.
        calls: The requests that were made.
        streams: The streams that were asked for, and not refused.
        refused: How many requests were over the limit, by key.
    """

    def __init__(
        self,
        world: World,
        options: Options | None = None,
        *,
        base_url: str = BASE_URL,
        agent: Callable[[str], Iterable[tuple[float, str]]] | None = None,
        seed: int = 0,
    ) -> None:
        self.options = options or Options()
        self.plan: Callable[[Call, random.Random], Fault | None] | None = None
        self.keys: set[str] | None = None
        self.rows: dict[str, list[Row]] = {}
        self.calls: list[Call] = []
        self.streams: list[Stream] = []
        self.refused: Counter[str] = Counter()
        self._world, self._agent = world, agent
        self._base_url = base_url
        self._random = random.Random(seed)  # noqa: S311 - nothing here is secret
        self._faults: dict[tuple[str, str | None], deque[Fault]] = defaultdict(deque)
        self._counters: dict[str, _Counter] = {}
        self._cursors: set[tuple[str, str]] = set()
        self._by_id: dict[str, Row] = {}
        self._live: dict[str, list[Stream]] = defaultdict(list)
        self._made = 0
        world.serve(base_url, self.handle)

    # What a test does to it.

    def thread(self) -> str:
        """Make a thread; its id."""
        thread_id = self._new_id()
        self.rows[thread_id] = []
        return thread_id

    def say(
        self,
        thread_id: str,
        text: str,
        *,
        direction: str = OUTBOUND,
        streamed: bool | float | None = None,
        listed_after: float | None = None,
        ago: float = 0.0,
        stamp_skew: float = 0.0,
    ) -> Row:
        """Add a message, now. What is not given is as the options say.

        Args:
            thread_id: Its thread.
            text: Its text.
            direction: Of whom.
            streamed: Whether streams bring it, or after how many seconds.
            listed_after: After how many seconds lists bring it.
            ago: How many seconds ago it was made; it is streamed to nobody then.
            stamp_skew: What its time is ahead by, besides.
        """
        now, options = self._world.now, self.options
        self._made += 1
        lag = self._draw(options.lag) if listed_after is None else listed_after
        lower = self._random.choice([1.5, 2.5]) if self._chance(options.misplaced) else 0.0
        row = Row(
            number=self._made,
            id=self._new_id(),
            thread_id=thread_id,
            direction=direction,
            text=text.replace("&", "&amp;") if options.escape else text,
            made_at=now - ago,
            stamp=self._stamp(now - ago + stamp_skew, direction),
            visible_at=now - ago + lag,
            rank=self._made + lower,
        )
        self._world.note("server", f"{direction} {text!r}")
        self.rows[thread_id].append(row)
        self._by_id[row.id] = row
        if direction == OUTBOUND and not ago:
            self._stream_it(row, streamed)
        return row

    def old(self, thread_id: str, count: int, *, ago: float = 86_400.0, every: float = 60.0) -> list[Row]:
        """Messages of an earlier day, of the user and the agent in turns; the last one was made so many seconds ago."""
        return [
            self.say(
                thread_id,
                f"old {number}",
                direction=OUTBOUND if number % 2 else INBOUND,
                ago=ago + every * (count - 1 - number),
                listed_after=0.0,
            )
            for number in range(count)
        ]

    def delete(self, row: Row) -> None:
        """List a message no more; its id is no cursor any more."""
        row.deleted_at = self._world.now

    def fault(self, operation: str, *faults: Fault, thread_id: str | None = None) -> None:
        """Let the next requests of an operation (`"*"`: of any) go wrong, of a thread or of any."""
        self._faults[operation, thread_id].extend(faults)

    def refuse_streams(
        self, status: int, *, seconds: float = math.inf, retry_after: str | None = None, html: bool = False
    ) -> None:
        """Answer those who would open a stream with a status, or with a 200 and HTML; for so long."""
        before = (self.options.stream_status, self.options.stream_retry_after, self.options.stream_html)

        def change(status: int, retry_after: str | None, html: bool) -> None:
            self.options.stream_status, self.options.stream_retry_after = status, retry_after
            self.options.stream_html = html

        change(status, retry_after, html)
        if seconds < math.inf:
            self._world.after(seconds, lambda: change(*before))

    def cut(self, thread_id: str | None = None, *, ending: Ending = "lost") -> int:
        """Cut all streams, or those of a thread; how many."""
        cut = self.open_streams(thread_id)
        for stream in cut:
            self._end(stream, ending)
        return len(cut)

    # What it tells.

    def open_streams(self, thread_id: str | None = None) -> list[Stream]:
        """The streams that it writes to."""
        live = self._live.values() if thread_id is None else [self._live[thread_id]]
        return [stream for streams in live for stream in streams if stream.is_open]

    def expected(self, thread_id: str, since: float = 0.0) -> list[Row]:
        """The agent's messages that were made from a moment on and not deleted, in the server's order."""
        return [
            row
            for row in self.rows[thread_id]
            if row.direction == OUTBOUND and row.made_at >= since and row.deleted_at == math.inf
        ]

    def received(self, thread_id: str) -> list[str]:
        """The texts of the users' messages, in the server's order."""
        return [row.text for row in self.rows[thread_id] if row.direction == INBOUND]

    def known_from(self, row: Row, client: str | None = None) -> float:
        """When a message could first be known to a client, or to any.

        That is when a stream brought it; or else when it was listed and no stream was there that should have.
        """
        pushed = row.pushed_at if client is None else row.pushed.get(client)
        gap = row.made_at
        for stream in sorted(self.streams, key=lambda stream: stream.since):
            mine = stream.thread_id == row.thread_id and client in (None, stream.client)
            if mine and stream.opened_at is not None and stream.since <= gap < stream.lost_at:
                gap = stream.lost_at
        return min(math.inf if pushed is None else pushed, max(row.visible_at, gap))

    def cost(
        self, since: float = 0.0, until: float = math.inf, *, client: str | None = None, thread_id: str | None = None
    ) -> Counter[str]:
        """The requests that left within a time, by operation."""
        return Counter(
            call.operation
            for call in self.calls
            if since <= call.at < until and client in (None, call.client) and thread_id in (None, call.thread_id)
        )

    # Requests.

    def handle(self, exchange: Exchange) -> None:
        """Take a request."""
        call = self._record(exchange)
        call.fault = fault = self._fault_for(call)
        way = self._draw(self.options.latency) / 2
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
        path = exchange.url.removeprefix(self._base_url)
        thread_id, _, rest = path.removeprefix(_PATH).partition("/")
        operation = {
            ("POST", "messages"): "sendMessage",
            ("GET", "messages"): "listMessages",
            ("GET", "stream"): "streamMessages",
            ("GET", ""): "getThread",
        }.get((exchange.method, rest), "")
        if (exchange.method, path) == ("POST", _PATH + "web"):
            operation, thread_id = "createThread", ""
        key = exchange.headers.get("x-api-key", "")
        call = Call(operation, thread_id, key, self._world.now, dict(exchange.params))
        self.calls.append(call)
        return call

    def _fault_for(self, call: Call) -> Fault | None:
        for name in (call.operation, "*"):
            for thread_id in (call.thread_id, None):
                if faults := self._faults.get((name, thread_id)):
                    return faults.popleft()
        return None if self.plan is None else self.plan(call, self._random)

    def _arrive(self, exchange: Exchange, call: Call, fault: Fault | None, way: float) -> None:
        call.arrived_at = self._world.now
        if not self._admits(call.client):
            self.refused[call.client] += 1
            headers = {} if self.options.too_many_wait is None else {"retry-after": self.options.too_many_wait}
            self._answer(exchange, call, way, self._error(429, headers))
        elif self.keys is not None and call.client not in self.keys:
            self._answer(exchange, call, way, self._error(401))
        elif fault is None:
            self._do(exchange, call, way)
        else:
            self._go_wrong(exchange, call, fault, way)

    def _go_wrong(self, exchange: Exchange, call: Call, fault: Fault, way: float) -> None:
        if fault.kind == "answer":
            if fault.work is not None and fault.work < fault.after:
                self._world.after(
                    fault.work, partial(self._answer_late, exchange, call, fault.after - fault.work + way)
                )
            else:
                self._world.after(fault.after, partial(self._do, exchange, call, way))
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
            self._answer(exchange, call, later, Response(200, self._headers(), b'{"status": "acc'))
        else:
            headers = {} if fault.retry_after is None else {"retry-after": fault.retry_after}
            answer = self._error(fault.status, headers, html=fault.html)
            self._answer(exchange, call, later, answer)

    def _do(self, exchange: Exchange, call: Call, way: float) -> None:
        """Do what was asked, and say so."""
        if call.operation == "streamMessages" and call.thread_id in self.rows:
            self._open_stream(exchange, call, way)
            return
        answer, rows = self._work(exchange, call)
        self._answer(exchange, call, way, answer, rows)

    def _answer_late(self, exchange: Exchange, call: Call, after: float) -> None:
        answer, rows = self._work(exchange, call)
        self._answer(exchange, call, after, answer, rows)

    def _answer(self, exchange: Exchange, call: Call, after: float, answer: Response, rows: Sequence[Row] = ()) -> None:
        call.outcome = answer.status_code

        def arrive() -> None:
            if exchange.answer(answer):
                for row in rows:
                    row.listed.setdefault(call.client, self._world.now)

        self._world.after(after, arrive)

    def _fail(self, exchange: Exchange, call: Call, after: float, failure: TransportFailure) -> None:
        call.outcome = failure.reason
        self._world.after(after, lambda: exchange.answer(failure))

    def _work(self, exchange: Exchange, call: Call) -> tuple[Response, Sequence[Row]]:
        if call.operation == "createThread":
            return self._json({"thread": self._details(self.thread())}), ()
        if call.thread_id not in self.rows or not call.operation:
            return self._error(404), ()
        if call.operation == "getThread":
            return self._json({"thread": self._details(call.thread_id)}), ()
        if call.operation == "listMessages":
            return self._list(call)
        assert call.operation == "sendMessage"
        if self.options.closed:
            return self._error(409), ()
        text = exchange.json.get("message") if isinstance(exchange.json, Mapping) else None
        if not isinstance(text, str) or not text:
            return self._error(400), ()
        row = self.say(call.thread_id, text, direction=INBOUND)
        for delay, reply in self._agent(text) if self._agent is not None else ():
            self._world.after(delay, partial(self.say, call.thread_id, reply))
        receipt = {"status": "accepted", "threadId": call.thread_id, "messageId": row.id, "windowExpiresIn": 3600}
        return self._json(receipt), ()

    def _list(self, call: Call) -> tuple[Response, Sequence[Row]]:
        options, thread_id, params = self.options, call.thread_id, call.params
        as_of = self._world.now - (options.stale_by if self._chance(options.stale_list) else 0.0)
        limit = params.get("limit", "")
        size = min(int(limit) if limit.isdecimal() else _DEFAULT_PAGE, options.largest_page)
        rows = sorted(self.rows[thread_id], key=attrgetter("rank"), reverse=options.newest_first)
        cursor = params.get("cursor")
        if cursor is not None:
            known = self._by_id.get(cursor)
            there = known is not None and known.thread_id == thread_id and known.deleted_at > as_of
            if not there or not (options.any_cursor or (thread_id, cursor) in self._cursors):
                if options.bad_cursor != "empty":
                    return self._error(options.bad_cursor), ()
                rows = []
            else:
                rows = rows[1 + next(place for place, row in enumerate(rows) if row.id == cursor) :]
        directions = {params.get("direction"), None}
        listed = (
            row
            for row in rows
            if row.visible_at <= as_of < row.deleted_at and (len(directions) == 1 or row.direction in directions)
        )
        shown = list(islice(listed, size))
        following = shown[-1].id if next(listed, None) is not None else None
        if following is not None:
            self._cursors.add((thread_id, following))
        # Rows stay as they are, and are listed many times.
        messages = ",".join([row.json for row in shown])
        pagination = json.dumps({"limit": size, "nextCursor": following})
        page = f'{{"thread": {{"agentId": "{AGENT_ID}", "messages": [{messages}], "pagination": {pagination}}}}}'
        return Response(200, self._headers(), page.encode()), shown

    # Streams.

    def _open_stream(self, exchange: Exchange, call: Call, way: float) -> None:
        options, live = self.options, self._live[call.thread_id]
        if options.stream_html:
            self._answer(exchange, call, way, Response(200, self._headers("text/html"), _HTML))
            return
        code = options.stream_status
        if code == 200 and options.one_stream == "refuse" and live:
            code = 409
        if code != 200:
            wait = options.stream_retry_after
            self._answer(exchange, call, way, self._error(code, {} if wait is None else {"retry-after": wait}))
            return
        if options.one_stream == "replace":
            for other in list(live):
                self._end(other, "ended")
        stream = Stream(call.thread_id, call.client, self._draw(options.stream_way), self._world.now, exchange=exchange)
        live.append(stream)
        self.streams.append(stream)
        call.outcome = 200
        exchange.on_close = partial(self._left, stream)
        if options.head is not None:
            self._world.after(way + self._draw(options.head), partial(self._begin, exchange, stream))

    def _begin(self, exchange: Exchange, stream: Stream) -> None:
        """The head reaches the client."""
        options = self.options
        headers = self._headers("text/event-stream")
        connection = exchange.open(Response(200, headers, is_stream=True)) if stream.is_open else None
        if connection is None:
            # Where the client left, the server has heard of it; where it sleeps, it has not.
            return
        stream.connection, stream.opened_at = connection, self._world.now
        if options.greeting:
            self._write(stream, options.greeting)
        said = self.expected(stream.thread_id, -math.inf)
        for row in said[max(0, len(said) - options.replay) :] if options.replay else ():
            self._write(stream, self._event(row), row)
        waiting, stream.waiting = stream.waiting, []
        for write in waiting if options.head_keeps else ():
            write()
        if options.heartbeat is not None:
            self._world.after(options.heartbeat, partial(self._beat, stream))
        if options.life is not None:
            ending: Ending = "died" if self._chance(options.silent_death) else options.ending
            self._world.after(self._draw(options.life), partial(self._end, stream, ending))

    def _beat(self, stream: Stream) -> None:
        if stream.is_open:
            self._write(stream, b": heartbeat\n\n")
            if self.options.heartbeat is not None:
                self._world.after(self.options.heartbeat, partial(self._beat, stream))

    def _stream_it(self, row: Row, streamed: bool | float | None) -> None:
        options = self.options
        for stream in self.open_streams(row.thread_id):
            if options.mute or streamed is False:
                continue
            delay = streamed if isinstance(streamed, float | int) and not isinstance(streamed, bool) else 0.0
            if streamed is None:
                if self._chance(options.drop):
                    continue
                delay = self._draw(options.held) if self._chance(options.hold) else 0.0
            write = partial(self._write, stream, self._event(row), row)
            for _ in range(2 if self._chance(options.duplicate) else 1):
                if stream.connection is None:
                    stream.waiting.append(write)
                elif delay:
                    self._world.after(delay, write)
                else:
                    write()

    def _write(self, stream: Stream, data: bytes, row: Row | None = None) -> None:
        """Put something on the wire, on which nothing overtakes."""
        if not stream.is_open:
            return
        pieces = [data]
        if row is not None and self._chance(self.options.split):
            place = self._random.randrange(1, len(data))
            pieces = [data[:place], data[place:]]
        for number, piece in enumerate(pieces):
            arrives = max(stream.wire_free_at, self._world.now + stream.way) + (0.01 if number else 0.0)
            stream.wire_free_at = arrives
            whole = row if number == len(pieces) - 1 else None
            self._world.at(arrives, partial(self._bring, stream, piece, whole))

    def _bring(self, stream: Stream, data: bytes, row: Row | None) -> None:
        assert stream.connection is not None
        if not stream.connection.write(data):
            # Nobody acknowledges what is sent; after a while the server takes it as lost.
            self._world.after(_UNACKNOWLEDGED, partial(self._end, stream, "died"))
        elif row is not None:
            row.pushed.setdefault(stream.client, self._world.now)
            stream.brought.append(row.number)

    def _end(self, stream: Stream, ending: Ending) -> None:
        if not stream.is_open:
            return
        self._world.note("server", f"a stream {ending}")
        self._forget(stream, ending)
        connection = stream.connection
        if connection is None:
            if ending != "died" and stream.exchange is not None:
                stream.exchange.answer(TransportFailure(True, False, "the connection was lost"))
        elif ending == "died":
            connection.die()
        elif ending == "lost":
            connection.end("the connection was lost")
        else:
            # What is on the wire arrives before the end.
            self._world.at(max(stream.wire_free_at, self._world.now + stream.way), connection.end)

    def _left(self, stream: Stream) -> None:
        if stream.is_open:
            self._forget(stream, "left")

    def _forget(self, stream: Stream, ending: Ending | Literal["left"]) -> None:
        stream.ended_at, stream.ending = self._world.now, ending
        self._live[stream.thread_id].remove(stream)

    # Forms of answers.

    def _event(self, row: Row) -> bytes:
        envelope = self.options.envelope
        data = json.dumps(row.data() if envelope is None else {envelope: row.data()})
        fields = f"id: {row.number}\nevent: message\n" if self.options.fields else ""
        return f"{fields}data: {data}\n\n".encode()

    def _json(self, data: object) -> Response:
        return Response(200, self._headers(), json.dumps(data).encode())

    def _error(self, code: int, headers: Mapping[str, str] | None = None, *, html: bool = False) -> Response:
        if html:
            return Response(code, self._headers("text/html") | dict(headers or {}), _HTML)
        name, message = _ERRORS.get(code, (f"ERROR_{code}", "Something went wrong"))
        body = {"status": code, "message": message, "code": name, "success": False}
        return Response(code, self._headers() | dict(headers or {}), json.dumps(body).encode())

    def _headers(self, media_type: str = "application/json") -> dict[str, str]:
        date = formatdate(EPOCH + self._world.now + self.options.date_skew, usegmt=True)
        return {"content-type": media_type, "date": date}

    def _details(self, thread_id: str) -> dict[str, Any]:
        return {
            "id": thread_id,
            "organizationId": AGENT_ID,
            "agentVersionId": AGENT_ID,
            "isActive": not self.options.closed,
            "createdAt": self._stamp(self._world.now, INBOUND),
            "agentId": AGENT_ID,
            "metadata": {},
            "variables": {},
        }

    def _stamp(self, at: float, direction: str) -> str | None:
        options = self.options
        if options.stamps == "none":
            return None
        skew = options.inbound_skew if direction == INBOUND else options.outbound_skew
        seconds = EPOCH if options.stamps == "same" else EPOCH + at + skew
        if options.stamps == "second":
            seconds = math.floor(seconds)
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    # Chance, and the limit.

    def _new_id(self) -> str:
        return str(UUID(int=self._random.getrandbits(128), version=4))

    def _draw(self, span: Range) -> float:
        low, high = span
        return low if low == high else self._random.uniform(low, high)

    def _chance(self, probability: float) -> bool:
        return probability > 0 and self._random.random() < probability

    def _admits(self, client: str) -> bool:
        options = self.options
        if options.counting is None:
            return True
        whose = client if options.by_key else ""
        counter = self._counters.setdefault(whose, _Counter(options.counting, options.rate))
        return counter.take(self._world.now)


_ERRORS: Final = {
    400: ("BAD_REQUEST", "Bad request"),
    401: ("UNAUTHORIZED", "Unauthorized"),
    403: ("FORBIDDEN", "Forbidden"),
    404: ("NOT_FOUND", "Not found"),
    409: ("CONFLICT", "Conflict"),
    429: ("TOO_MANY_REQUESTS", "Too many requests"),
    500: ("INTERNAL_SERVER_ERROR", "Internal server error"),
    503: ("SERVICE_UNAVAILABLE", "Service unavailable"),
}


class _Counter:
    """Counts requests in one of three ways, and says which are too many."""

    def __init__(self, counting: Counting, rate: float) -> None:
        self._counting, self._rate = counting, rate
        self._tokens, self._at = max(1.0, rate), -math.inf
        self._taken: deque[float] = deque()

    def take(self, now: float) -> bool:
        if self._counting == "bucket":
            self._tokens = min(max(1.0, self._rate), self._tokens + (now - self._at) * self._rate)
            self._at = now
            # Sums of floats are off by a hair.
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


# What a client owes.


def check_once(rows: Sequence[Row], handed: Sequence[Given], *, or_not: Iterable[Row] = ()) -> None:
    """Each message was handed out, exactly once, and nothing else was.

    Args:
        rows: What had to be handed out, such as `server.expected(thread_id, since)` gives.
        handed: What was handed out.
        or_not: What may have been handed out, or not.
    """
    given = Counter(message.message_id for message in handed)
    wanted = {row.id: row for row in rows}
    twice = [id_ for id_, times in given.items() if times > 1]
    lost = [row for row in rows if row.id not in given]
    strange = given.keys() - wanted.keys() - {row.id for row in or_not}
    assert not twice, f"handed out twice: {[_named(wanted, handed, id_) for id_ in twice]}"
    assert not lost, f"never handed out: {[(row.text, row.made_at) for row in lost]}"
    assert not strange, f"nobody asked for: {[_named(wanted, handed, id_) for id_ in strange]}"


def check_order(server: ModelServer, thread_id: str, handed: Sequence[Given], client: str, *, slack: float = 0) -> None:
    """Nothing was handed out before a message that stands before it and had come to the client by then.

    Messages that bear the same time, or none, may come in any order: lists may hold them in either.

    Args:
        server: The server.
        thread_id: The thread.
        handed: What was handed out, in that order.
        client: To whom: the key.
        slack: Seconds for which a message may have been there.
    """
    rows = {row.id: row for row in server.rows[thread_id]}
    before: list[Row] = []
    for message in reversed(handed):
        row = rows[message.message_id]
        for later in before:
            # `later` was handed out after `row`.
            told = row.stamp is not None and later.stamp is not None and later.stamp < row.stamp
            assert not (later.number < row.number and told and later.brought(client) < message.at - slack), (
                f"{row.text!r} was handed out at {message.at:.3f}, before {later.text!r}, "
                f"which was there since {later.brought(client):.3f}"
            )
        before.append(row)


def lateness(
    server: ModelServer, thread_id: str, handed: Sequence[Given], client: str | None = None
) -> dict[str, float]:
    """Seconds between when each message could first be known and when it was handed out, by its text."""
    at = {message.message_id: message.at for message in handed}
    return {row.text: at[row.id] - server.known_from(row, client) for row in server.rows[thread_id] if row.id in at}


def _named(wanted: Mapping[str, Row], handed: Sequence[Given], id_: str) -> object:
    row = wanted.get(id_)
    return row.text if row is not None else next(message for message in handed if message.message_id == id_)
