"""A server that counts: it keeps threads, cuts streams, and answers 429 to more than its rate. Run by `fleet.py`.

Runs in a process of its own: it prints its URL on the first line and ends with its standard input. It is much faster
than its rate, so that what a caller waits is the rate's doing and the client's. There is one key, whatever is sent.

Paths below `/-/` are for the measurement, and are not counted:

- `GET /-/report`: what was counted, see `Server.report`.
- `POST /-/say?thread=ID`: the agent says something unasked; with `&after=cut`, right after the thread's stream is next
  cut, before anybody can be connected again.
- `POST /-/cut`: cut all streams, or those of `?thread=ID`.
- `POST /-/gap?thread=ID&seconds=S`: from now on, each message that this thread accepts has the stream cut at once, and
  the reply is made so many seconds after that.
"""

from __future__ import annotations

import argparse
import asyncio
import email.utils
import json
import random
import socket
import struct
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from itertools import chain
from typing import Any, Final, Protocol
from urllib.parse import parse_qsl, unquote
from uuid import uuid4

from attrs import define, field

RATE: Final = 10
"""Requests that are let in a second."""
HEARTBEAT: Final = 15.0
"""Seconds between two comments on a stream."""
SEND: Final = "sendMessage"
STREAM: Final = "streamMessages"
LIST: Final = "listMessages"

_DEFAULT_LIMIT: Final = 50
_LARGEST_LIMIT: Final = 100
_WINDOW: Final = 3600
_STREAM_HEAD: Final = (
    b"Content-Type: text/event-stream\r\nCache-Control: no-store\r\nTransfer-Encoding: chunked\r\n\r\n"
)
# The operations on a thread, by method and by what follows its id in the path.
_OPERATIONS: Final = {
    ("POST", "messages"): SEND,
    ("GET", "messages"): LIST,
    ("GET", "stream"): STREAM,
    ("GET", ""): "getThread",
}


class Count(Protocol):
    """A way of counting requests."""

    def take(self, now: float) -> bool:
        """Whether a request that comes now (seconds, monotonic) is let in. One that is not does not count."""


class Bucket:
    """A token bucket: full at the start, with a second's worth, and filled evenly."""

    def __init__(self) -> None:
        self._tokens = float(RATE)
        self._at = 0.0

    def take(self, now: float) -> bool:
        """As `Count.take`."""
        self._tokens = min(RATE, self._tokens + (now - self._at) * RATE)
        self._at = now
        # Sums of floats may fall short of a whole token by a hair.
        free = self._tokens >= 1 - 1e-9
        self._tokens -= free
        return free


class Sliding:
    """A sliding window: of the requests let in, no more than the rate within any second."""

    def __init__(self) -> None:
        self._taken: deque[float] = deque()

    def take(self, now: float) -> bool:
        """As `Count.take`."""
        while self._taken and self._taken[0] <= now - 1:
            self._taken.popleft()
        free = len(self._taken) < RATE
        if free:
            self._taken.append(now)
        return free


class Fixed:
    """Windows of one second, each from a whole second of the clock to the next: no more than the rate in each."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()
        self._window = -1
        self._taken = 0

    def take(self, now: float) -> bool:
        """As `Count.take`."""
        window = int(now + self._offset)
        if window != self._window:
            self._window, self._taken = window, 0
        free = self._taken < RATE
        self._taken += free
        return free


COUNTING: Final[dict[str, Callable[[], Count]]] = {"bucket": Bucket, "sliding": Sliding, "fixed": Fixed}


def made_at(text: str) -> float:
    """When the agent said this: seconds of this machine's monotonic clock, which all its processes share."""
    return float(text.partition(" ")[0])


@define(eq=False)
class Thread:
    """A thread, and what was counted in it.

    Attributes:
        id: Its id.
        messages: Its messages in the contract's own terms, oldest first.
        streams: Who listens.
        requests: How many there were of each operation, with those that were refused.
        refused: How many of them were refused (429).
        opened: How many streams were opened.
        replies: The ids of what the agent said in answer to a message.
        unasked: The ids of what it said besides.
        gap: Seconds after the cut at which replies are made; `None` where nothing is cut for them.
        armed: How often the agent is to say something after the next cut.
    """

    id: str
    messages: list[dict[str, Any]] = field(factory=list)
    streams: set[Connection] = field(factory=set)
    requests: Counter[str] = field(factory=Counter)
    refused: int = 0
    opened: int = 0
    replies: list[str] = field(factory=list)
    unasked: list[str] = field(factory=list)
    gap: float | None = None
    armed: int = 0

    def add(self, direction: str, text: str) -> dict[str, Any]:
        """Put a message into it."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        message = {
            "id": str(uuid4()),
            "threadId": self.id,
            "direction": direction,
            "messageBody": text,
            "status": "RECEIVED" if direction == "INBOUND" else "SENT",
            "createdAt": now,
            "updatedAt": now,
        }
        self.messages.append(message)
        return message

    def page(self, query: dict[str, str], *, newest_first: bool) -> dict[str, Any]:
        """A page of its messages. A cursor is the id of the last message of the page before."""
        limit, cursor = query.get("limit", ""), query.get("cursor")
        size = min(max(int(limit) if limit.isdecimal() else _DEFAULT_LIMIT, 1), _LARGEST_LIMIT)
        listed = self.messages[::-1] if newest_first else self.messages
        if cursor is not None:
            ids = [message["id"] for message in listed]
            listed = listed[ids.index(cursor) + 1 :] if cursor in ids else []
        wanted = [name for name in ("direction", "status") if name in query]
        matching = [message for message in listed if all(message[name] == query[name] for name in wanted)]
        more = len(matching) > size
        cursor = matching[size - 1]["id"] if more else None
        return {"thread": {"messages": matching[:size], "pagination": {"limit": size, "nextCursor": cursor}}}

    def report(self) -> dict[str, Any]:
        """What was counted in it; its `texts` are those of users, each with how often it is there."""
        texts = Counter(message["messageBody"] for message in self.messages if message["direction"] == "INBOUND")
        return {
            "requests": self.requests,
            "refused": self.refused,
            "opened": self.opened,
            "texts": texts,
            "replies": self.replies,
            "unasked": self.unasked,
        }


class Server:
    """All threads, and who is connected.

    Args:
        count: How requests are counted.
        agent: Seconds until the agent answers a message.
        life: Seconds between which streams are cut; `None` where they are not.
        newest_first: Which way lists run.
        seed: For the streams' lives.
    """

    def __init__(
        self, count: Count, agent: float, life: tuple[float, float] | None, *, newest_first: bool, seed: int
    ) -> None:
        self._count = count
        self._agent = agent
        self._life = life
        self._newest_first = newest_first
        self._dice = random.Random(seed)  # noqa: S311 - not for secrets
        self._threads: dict[str, Thread] = {}
        self._requests: Counter[str] = Counter()
        self._refused = 0
        self._loop = asyncio.get_running_loop()

    def handle(self, caller: Connection, method: str, target: str, body: bytes) -> None:
        """Answer a request."""
        path, _, found = target.partition("?")
        query = dict(parse_qsl(found))
        parts = unquote(path).strip("/").split("/")
        if parts[0] == "-":
            caller.answer(HTTPStatus.OK, self._control(parts[-1], query))
            return
        thread = None
        if [method, *parts] == ["POST", "api", "v1", "threads", "web"]:
            operation: str | None = "createThread"
        else:
            operation = _OPERATIONS.get((method, "/".join(parts[4:])))
            thread = self._thread(parts[3]) if operation else None
        self._requests[operation or "unknown"] += 1
        if thread is not None:
            thread.requests[operation or ""] += 1
        if not self._count.take(time.monotonic()):
            self._refused += 1
            if thread is not None:
                thread.refused += 1
            caller.answer(
                HTTPStatus.TOO_MANY_REQUESTS,
                {"status": 429, "message": "Too many requests", "code": "TOO_MANY_REQUESTS", "success": False},
                b"Retry-After: 1\r\n",
            )
        elif operation is None:
            caller.answer(HTTPStatus.NOT_FOUND, {"status": 404, "message": "Not found", "success": False})
        elif operation == STREAM and thread is not None:
            self._open(caller, thread)
        elif operation == SEND and thread is not None:
            self._accept(caller, thread, json.loads(body)["message"])
        elif operation == LIST and thread is not None:
            caller.answer(HTTPStatus.OK, thread.page(query, newest_first=self._newest_first))
        else:
            thread = thread or self._thread(str(uuid4()))
            caller.answer(HTTPStatus.OK, {"thread": {"id": thread.id, "isActive": True}})

    def _thread(self, thread_id: str) -> Thread:
        """A thread, which is made where there is none yet."""
        thread_id = thread_id.lower()
        return self._threads.setdefault(thread_id, Thread(thread_id))

    def _accept(self, caller: Connection, thread: Thread, text: str) -> None:
        message = thread.add("INBOUND", text)
        caller.answer(
            HTTPStatus.OK,
            {
                "status": "accepted",
                "threadId": thread.id,
                "messageId": message["id"],
                "windowExpiresIn": _WINDOW,
            },
        )
        if thread.gap is not None:
            self._cut(thread.streams)
        wait = self._agent if thread.gap is None else thread.gap
        self._loop.call_later(wait, self._say, thread, f"re {text}", thread.replies)

    def _say(self, thread: Thread, text: str, ids: list[str]) -> dict[str, Any]:
        said = thread.add("OUTBOUND", f"{time.monotonic()} {text}")
        ids.append(said["id"])
        for stream in thread.streams:
            stream.write_event(said)
        return said

    def _open(self, caller: Connection, thread: Thread) -> None:
        thread.opened += 1
        caller.open(thread)
        if self._life is not None:
            caller.cut_in(self._dice.uniform(*self._life), partial(self._cut, [caller]))

    def _cut(self, streams: Iterable[Connection]) -> int:
        """Cut streams; how many there were."""
        cut = list(streams)
        for stream in cut:
            thread = stream.thread
            stream.abort()
            if thread is not None:
                # At once, before anybody can be connected again.
                for _ in range(thread.armed):
                    self._say(thread, "unasked", thread.unasked)
                thread.armed = 0
        return len(cut)

    def _control(self, what: str, query: dict[str, str]) -> object:
        thread = self._thread(query["thread"]) if "thread" in query else None
        if what == "report":
            return self.report()
        if what == "cut":
            threads = self._threads.values() if thread is None else [thread]
            return self._cut(chain.from_iterable(thread.streams for thread in threads))
        if thread is None:
            return None
        if what == "gap":
            thread.gap = float(query["seconds"])
        elif query.get("after") == "cut":
            thread.armed += 1
        else:
            return self._say(thread, "unasked", thread.unasked)
        return None

    def report(self) -> dict[str, Any]:
        """What was counted since the start: `requests` by operation, those `refused` (429), streams that are open, the
        same for each thread, and over all of them the messages, those that stand there `doubled`, and the replies.
        """
        threads = {thread.id: thread.report() for thread in self._threads.values()}
        return {
            "requests": self._requests,
            "refused": self._refused,
            "streams": sum(len(thread.streams) for thread in self._threads.values()),
            "messages": sum(found["texts"].total() for found in threads.values()),
            "doubled": sum(found["texts"].total() - len(found["texts"]) for found in threads.values()),
            "replies": sum(len(found["replies"]) for found in threads.values()),
            "unasked": sum(len(found["unasked"]) for found in threads.values()),
            "threads": threads,
        }


@define(eq=False)
class Connection(asyncio.Protocol):
    """One caller; a stream, once it has asked for one."""

    server: Server
    transport: asyncio.Transport = field(init=False)
    thread: Thread | None = None
    waiting: bytes = b""
    timers: list[asyncio.TimerHandle] = field(factory=list)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what is written to."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - of TCP it is
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the reason is all the same
        """The caller is gone."""
        self._leave()

    def data_received(self, data: bytes) -> None:
        """Answer each request that is there in full."""
        self.waiting += data
        while True:
            head, found, rest = self.waiting.partition(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
            if not found or len(rest) < length:
                return
            self.waiting = rest[length:]
            method, target, _ = head.decode("latin-1").split(" ", 2)
            self.server.handle(self, method, target, rest[:length])

    def answer(self, status: HTTPStatus, data: object, headers: bytes = b"") -> None:
        """Answer with JSON."""
        body = json.dumps(data).encode()
        self._write_head(status, headers + b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body))
        self.transport.write(body)

    def open(self, thread: Thread) -> None:
        """Answer with a stream that goes on."""
        self.thread = thread
        thread.streams.add(self)
        self._write_head(HTTPStatus.OK, _STREAM_HEAD)
        self._write_chunk(b": open\n\n")
        self._beat_later()

    def write_event(self, message: dict[str, Any]) -> None:
        """Stream a message."""
        self._write_chunk(f"id: {message['id']}\nevent: message\ndata: {json.dumps(message)}\n\n".encode())

    def cut_in(self, seconds: float, cut: Callable[[], object]) -> None:
        """Have the stream cut, in so many seconds, if it is still there."""
        self.timers.append(asyncio.get_running_loop().call_later(seconds, cut))

    def abort(self) -> None:
        """Reset the connection, as a load balancer does."""
        self._leave()
        linger = struct.pack("ii", 1, 0)
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.transport.abort()

    def _leave(self) -> None:
        for timer in self.timers:
            timer.cancel()
        self.timers.clear()
        if self.thread is not None:
            self.thread.streams.discard(self)
            self.thread = None

    def _beat_later(self) -> None:
        self.timers[:1] = [asyncio.get_running_loop().call_later(HEARTBEAT, self._beat)]

    def _beat(self) -> None:
        self._write_chunk(b": heartbeat\n\n")
        self._beat_later()

    def _write_head(self, status: HTTPStatus, headers: bytes) -> None:
        date = email.utils.formatdate(usegmt=True).encode()
        line = b"HTTP/1.1 %d %s\r\nDate: %s\r\n" % (status, status.phrase.encode(), date)
        self.transport.write(line + headers)

    def _write_chunk(self, chunk: bytes) -> None:
        self.transport.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))


async def serve(given: argparse.Namespace) -> None:
    """Serve until the standard input ends; the first line of output is the URL."""
    loop = asyncio.get_running_loop()
    life = tuple(given.life) if given.life else None
    kept = Server(COUNTING[given.counting](), given.agent, life, newest_first=given.newest_first, seed=given.seed)
    server = await loop.create_server(lambda: Connection(kept), "127.0.0.1", 0, backlog=4096)
    async with server:
        print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
        await loop.run_in_executor(None, sys.stdin.read)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counting", choices=COUNTING, default="bucket", help="how requests are counted")
    parser.add_argument("--agent", type=float, default=1.0, help="seconds until the agent answers")
    parser.add_argument("--life", type=float, nargs=2, help="seconds between which streams are cut; never without")
    parser.add_argument("--newest-first", action="store_true", help="lists run from the newest message on")
    parser.add_argument("--seed", type=int, default=1)
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
