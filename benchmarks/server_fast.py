"""A fast server with fixed answers, for measurements of the clients' own speed.

It reads only the method and the path of a request. The sandbox would be slower than the clients, because it checks and
keeps every request. This server runs in its own process, and ends when its standard input ends.
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
"""The path of a POST that writes a message to every open stream. It answers the number of streams."""
OPEN: Final = "/-/open"
"""The path of a GET that answers the number of open connections, and how many of them are streams."""

_SENT: Final = {"messageId": "0000000000000000", "threadId": THREAD_ID, "status": "SENT", "windowExpiresIn": 86400}
_THREAD: Final[object] = {"thread": {"id": THREAD_ID, "messages": [], "nextCursor": None}}
_STREAM: Final = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n: open\n\n\r\n"
)
# Real servers send a date. Some clients parse it, and the measurement has to include that.
_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\nDate: %s\r\nContent-Type: application/json\r\nContent-Length: %%d\r\n\r\n%%s"
    % email.utils.formatdate(usegmt=True).encode()
)


def _answer(data: object) -> bytes:
    body = json.dumps(data).encode()
    return _HEAD % (len(body), body)


@define(eq=False)
class Connection(asyncio.Protocol):
    """One connection of a client.

    Attributes:
        connections: All open connections of the server.
        streams: Those of them that are streams.
        unread: Bytes that are no complete request yet.
    """

    connections: set[asyncio.Transport]
    streams: set[asyncio.Transport]
    transport: asyncio.Transport = field(init=False)
    unread: bytes = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - TCP has this kind
        self.transport = transport
        self.connections.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - every reason is treated the same
        """Forget the connection."""
        self.connections.discard(self.transport)
        self.streams.discard(self.transport)

    def data_received(self, data: bytes) -> None:
        """Answer every complete request."""
        self.unread += data
        while True:
            head, found, rest = self.unread.partition(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
            if not found or len(rest) < length:
                return
            self.unread = rest[length:]
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
        # All processes of a machine share the monotonic clock.
        now = time.monotonic()
        message = {
            "id": f"r-{now}",
            "direction": "OUTBOUND",
            "messageBody": repr(now),
            "createdAt": datetime.now(UTC).isoformat(),
        }
        event = f"id: {message['id']}\nevent: message\ndata: {json.dumps(message)}\n\n".encode()
        for stream in self.streams:
            stream.write(b"%x\r\n%s\r\n" % (len(event), event))
        return len(self.streams)


def _sent() -> bytes:
    return _SENT_BYTES.replace(b"0" * 16, b"%016d" % next(_NUMBERS))


_NUMBERS: Final = itertools.count()
_SENT_BYTES: Final = _answer(_SENT)
_THREAD_BYTES: Final = _answer(_THREAD)


async def serve() -> None:
    """Print the URL, and serve until the standard input ends."""
    connections: set[asyncio.Transport] = set()
    streams: set[asyncio.Transport] = set()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(connections, streams), "127.0.0.1", 0, backlog=4096)
    async with server:
        print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
        await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve())
