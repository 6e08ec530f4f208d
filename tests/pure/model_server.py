"""A model of Feather's server, for `fake_time`. It is correct by default, and a test can make it wrong in many ways.

It is not known how the real server counts requests, orders and stamps messages, delays lists or ends streams. So a test
can set all of that (`Options`) or draw it (`drawn`). It can also change single requests (`Fault`) and single messages
(`ModelServer.say`).

The server records all requests, and from when on each message could be known. So a test can check what a client must
do: give each message to its caller once (`check_once`), in order (`check_order`), soon (`lateness`), and with few
requests (`cost`).
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

from fake_time import World
from model_server_checks import Given, Handed, check_once, check_order, lateness
from model_server_faults import (
    MISHAPS,
    Fault,
    cut_body,
    late_answer,
    lost_after,
    lost_before,
    mishaps,
    never_sent,
    proxy_cut,
    silence,
    slow,
    stale,
    status,
    unreadable,
)
from model_server_lists import Messages
from model_server_options import Chance, Counting, Ending, Options, Range, drawn
from model_server_records import INBOUND, OUTBOUND, Call, Row, Stream
from model_server_requests import Requests
from model_server_responses import AGENT_ID, Responses
from model_server_streams import Streams

# Tests import all of these from here.
__all__ = [
    "AGENT_ID",
    "BASE_URL",
    "INBOUND",
    "MISHAPS",
    "OUTBOUND",
    "Call",
    "Counting",
    "Ending",
    "Fault",
    "Given",
    "Handed",
    "ModelServer",
    "Options",
    "Range",
    "Row",
    "Stream",
    "check_once",
    "check_order",
    "cut_body",
    "drawn",
    "late_answer",
    "lateness",
    "lost_after",
    "lost_before",
    "mishaps",
    "never_sent",
    "proxy_cut",
    "silence",
    "slow",
    "stale",
    "status",
    "unreadable",
]

BASE_URL: Final = "https://feather.test"

Agent = Callable[[str], Iterable[tuple[float, str]]]
"""Gives the agent's replies to a text. Each comes with the seconds until the agent says it."""


class ModelServer:
    """The server.

    Args:
        world: The world that has the server.
        options: How it behaves.
        base_url: Its URL.
        agent: Gives the agent's replies. By default the agent does not reply.
        seed: The seed of its random choices.

    Attributes:
        options: How it behaves. A test may change them.
        base_url: Its URL.
        agent: Gives the agent's replies.
        plan: Draws a fault for each request. `mishaps` makes one.
        keys: The valid keys. `None` means that all keys are valid.
        rows: The messages of each thread, in the server's order.
        calls: The requests so far.
        streams: All streams that were not refused.
        refused: How many requests were over the rate limit, by key.
    """

    def __init__(
        self,
        world: World,
        options: Options | None = None,
        *,
        base_url: str = BASE_URL,
        agent: Agent | None = None,
        seed: int = 0,
    ) -> None:
        self.options = options or Options()
        self.base_url = base_url
        self.agent: Agent = agent or (lambda _: ())
        self.plan: Callable[[Call, random.Random], Fault | None] | None = None
        self.keys: set[str] | None = None
        self._world, self._chance = world, Chance(seed)
        responses = Responses(world, self.options)
        self._messages = Messages(world, self.options, self._chance, responses)
        self._streams = Streams(world, self.options, self._chance, self._messages, responses)
        requests = Requests(self, world, self._chance, self._messages, self._streams, responses)
        self.rows, self._by_id = self._messages.rows, self._messages.by_id
        self.calls, self.refused, self._faults = requests.calls, requests.refused, requests.faults
        self.streams = self._streams.all
        self._event, self._stamp = responses.event, responses.stamp
        world.serve(base_url, requests.handle)

    # A test calls these methods to change something.

    def thread(self) -> str:
        """Make a thread. Returns its id."""
        thread_id = self._chance.new_id()
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
        """Add a message now. What is not given is as the options say.

        Args:
            thread_id: The thread's id.
            text: The text.
            direction: Whether it is a user's or an agent's message.
            streamed: Whether streams bring it, or after how many seconds.
            listed_after: After how many seconds lists show it.
            ago: How many seconds ago it was created. If this is not 0, no stream brings it.
            stamp_skew: By how many more seconds its `createdAt` is ahead.
        """
        row = self._messages.add(thread_id, text, direction, listed_after=listed_after, ago=ago, stamp_skew=stamp_skew)
        self._world.log("server", f"{direction} {text!r}")
        if direction == OUTBOUND and not ago:
            self._streams.send(row, streamed)
        return row

    def old(self, thread_id: str, count: int, *, ago: float = 86_400.0, every: float = 60.0) -> list[Row]:
        """Add messages of an earlier day. The user and the agent write in turns.

        Args:
            thread_id: The thread's id.
            count: How many messages.
            ago: How many seconds ago the last one was created.
            every: The seconds between two messages.
        """
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
        """Delete a message. Lists no longer show it, and its id is no longer a valid cursor."""
        row.deleted_at = self._world.now

    def fault(self, operation: str, *faults: Fault, thread_id: str | None = None) -> None:
        """Give a fault to each of the next requests of an operation.

        Args:
            operation: The `operationId`. `"*"` means any operation.
            faults: The faults, in order.
            thread_id: The thread's id. `None` means any thread.
        """
        self._faults[operation, thread_id].extend(faults)

    def refuse_streams(
        self, status: int, *, seconds: float = math.inf, retry_after: str | None = None, html: bool = False
    ) -> None:
        """Refuse streams for a time.

        Args:
            status: The status of the response.
            seconds: For how long.
            retry_after: The `Retry-After` header.
            html: Whether the response is a 200 with an HTML page instead.
        """
        before = (self.options.stream_status, self.options.stream_retry_after, self.options.stream_html)

        def change(status: int, retry_after: str | None, html: bool) -> None:
            self.options.stream_status, self.options.stream_retry_after = status, retry_after
            self.options.stream_html = html

        change(status, retry_after, html)
        if seconds < math.inf:
            self._world.after(seconds, lambda: change(*before))

    def cut(self, thread_id: str | None = None, *, ending: Ending = "lost") -> int:
        """End the open streams of a thread, or of all threads. Returns how many."""
        streams = self.open_streams(thread_id)
        for stream in streams:
            self._streams.end(stream, ending)
        return len(streams)

    # A test calls these methods to ask something.

    def open_streams(self, thread_id: str | None = None) -> list[Stream]:
        """The open streams of a thread, or of all threads."""
        return self._streams.open(thread_id)

    def expected(self, thread_id: str, since: float = 0.0) -> list[Row]:
        """The agent's messages since this time, without those that were deleted, in the server's order."""
        return self._messages.expected(thread_id, since)

    def received(self, thread_id: str) -> list[str]:
        """The texts of the users' messages, in the server's order."""
        return self._messages.received(thread_id)

    def known_from(self, row: Row, client: str | None = None) -> float:
        """The first time at which a client, or any client, could know of a message.

        It is the time at which a stream brought it. If no stream brought it, it is the time at which it was listed, but
        not earlier than the end of a stream that should have brought it.
        """
        pushed = row.pushed_at if client is None else row.pushed.get(client)
        gap = row.made_at
        for stream in sorted(self.streams, key=lambda stream: stream.since):
            concerned = stream.thread_id == row.thread_id and client in (None, stream.client)
            if concerned and stream.opened_at is not None and stream.since <= gap < stream.lost_at:
                gap = stream.lost_at
        return min(math.inf if pushed is None else pushed, max(row.visible_at, gap))

    def cost(
        self, since: float = 0.0, until: float = math.inf, *, client: str | None = None, thread_id: str | None = None
    ) -> Counter[str]:
        """How many requests left the client in this time, by operation."""
        return Counter(
            call.operation
            for call in self.calls
            if since <= call.at < until and client in (None, call.client) and thread_id in (None, call.thread_id)
        )
