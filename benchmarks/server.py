"""A server for benchmarks: fixed answers, as fast as Python gives them, so that it is the clients that are measured.

It looks at nothing but the method and the path. The sandbox, which checks and keeps what it is sent, would be slower
than the clients. Run by `bench.py`, in a process of its own; it ends with its standard input.
"""

from __future__ import annotations

import asyncio
import email.utils
import itertools
import json
import sys
import time
from datetime import UTC, datetime
from typing import Final

from attrs import define, field

THREAD_ID: Final = "0b7e5f0a-3c1d-4f6e-8a2b-9d8c7b6a5f4e"
SAY: Final = "/-/say"
"""Where a POST has a message written to every open stream; it answers how many there are."""
OPEN: Final = "/-/open"
"""Where a GET gives how many connections are open, and how many of them are streams."""

_SENT: Final = {"messageId": "0000000000000000", "threadId": THREAD_ID, "status": "SENT", "windowExpiresIn": 86400}
_THREAD: Final[object] = {"thread": {"id": THREAD_ID, "messages": [], "nextCursor": None}}
_STREAM: Final = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n: open\n\n\r\n"
)
# As servers do, with a date, so that whoever reads it does so here too.
_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\nDate: %s\r\nContent-Type: application/json\r\nContent-Length: %%d\r\n\r\n%%s"
    % email.utils.formatdate(usegmt=True).encode()
)


def _answer(data: object) -> bytes:
    body = json.dumps(data).encode()
    return _HEAD % (len(body), body)


@define(eq=False)
class Connection(asyncio.Protocol):
    """One caller."""

    connections: set[asyncio.Transport]
    streams: set[asyncio.Transport]
    transport: asyncio.Transport = field(init=False)
    waiting: bytes = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what is written to."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - of TCP it is
        self.transport = transport
        self.connections.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the reason is all the same
        """The caller is gone."""
        self.connections.discard(self.transport)
        self.streams.discard(self.transport)

    def data_received(self, data: bytes) -> None:
        """Answer each request that is there in full."""
        self.waiting += data
        while True:
            head, found, rest = self.waiting.partition(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
            if not found or len(rest) < length:
                return
            self.waiting = rest[length:]
            self._handle(*head.split(b" ", 2)[:2])

    def _handle(self, method: bytes, target: bytes) -> None:
        path = target.partition(b"?")[0].decode()
        if path == SAY:
            self.transport.write(_answer(self._say()))
        elif path == OPEN:
            self.transport.write(_answer({"connections": len(self.connections), "streams": len(self.streams)}))
        elif path.endswith("/stream"):
            self.streams.add(self.transport)
            self.transport.write(_STREAM)
        else:
            self.transport.write(_sent() if method == b"POST" else _THREAD_BYTES)

    def _say(self) -> int:
        # The time of this machine's monotonic clock, which all its processes share.
        now = time.monotonic()
        said = {
            "id": f"r-{now}",
            "direction": "OUTBOUND",
            "messageBody": repr(now),
            "createdAt": datetime.now(UTC).isoformat(),
        }
        event = f"id: {said['id']}\nevent: message\ndata: {json.dumps(said)}\n\n".encode()
        for stream in self.streams:
            stream.write(b"%x\r\n%s\r\n" % (len(event), event))
        return len(self.streams)


def _sent() -> bytes:
    return _SENT_BYTES.replace(b"0" * 16, b"%016d" % next(_NUMBERS))


_NUMBERS: Final = itertools.count()
_SENT_BYTES: Final = _answer(_SENT)
_THREAD_BYTES: Final = _answer(_THREAD)


async def serve() -> None:
    """Serve until the standard input ends; the first line of output is the URL."""
    connections: set[asyncio.Transport] = set()
    streams: set[asyncio.Transport] = set()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(connections, streams), "127.0.0.1", 0, backlog=4096)
    async with server:
        print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
        await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve())
