"""The connections of `server_rate_limit.py`: they parse requests, and write answers and streams."""

from __future__ import annotations

import asyncio
import email.utils
import json
import socket
import struct
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

from attrs import define, field
from server_rate_limit_threads import Thread

HEARTBEAT: Final = 15.0
"""Seconds between two heartbeats on a stream."""
_STREAM_HEADERS: Final = (
    b"Content-Type: text/event-stream\r\nCache-Control: no-store\r\nTransfer-Encoding: chunked\r\n\r\n"
)


@define(eq=False)
class Connection(asyncio.Protocol):
    """One connection of a client. It becomes a stream when the client opens one.

    Attributes:
        handle: Answers a request: it takes the connection, the method, the target and the body.
        thread: The thread of the stream, or `None` if this is no stream.
        unread: Bytes that are no complete request yet.
        timers: The next heartbeat, and the end of the stream.
    """

    handle: Callable[[Connection, str, str, bytes], None]
    transport: asyncio.Transport = field(init=False)
    thread: Thread | None = None
    unread: bytes = b""
    timers: list[asyncio.TimerHandle] = field(factory=list)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - TCP has this kind
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - every reason is treated the same
        """Forget the stream."""
        self._close_stream()

    def data_received(self, data: bytes) -> None:
        """Answer every complete request."""
        self.unread += data
        while True:
            head, found, rest = self.unread.partition(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
            if not found or len(rest) < length:
                return
            self.unread = rest[length:]
            method, target, _ = head.decode("latin-1").split(" ", 2)
            self.handle(self, method, target, rest[:length])

    def answer(self, status: HTTPStatus, data: object, headers: bytes = b"") -> None:
        """Answer with JSON."""
        body = json.dumps(data).encode()
        self._write_head(status, headers + b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body))
        self.transport.write(body)

    def open_stream(self, thread: Thread) -> None:
        """Answer with a stream that stays open."""
        self.thread = thread
        thread.streams.add(self)
        self._write_head(HTTPStatus.OK, _STREAM_HEADERS)
        self._write_chunk(b": open\n\n")
        self._schedule_heartbeat()

    def write_event(self, message: dict[str, Any]) -> None:
        """Write a message to the stream."""
        self._write_chunk(f"id: {message['id']}\nevent: message\ndata: {json.dumps(message)}\n\n".encode())

    def schedule_cut(self, seconds: float, cut: Callable[[], object]) -> None:
        """Call `cut` after so many seconds, if the stream is still open."""
        self.timers.append(asyncio.get_running_loop().call_later(seconds, cut))

    def abort(self) -> None:
        """Reset the connection, as a load balancer does."""
        self._close_stream()
        linger = struct.pack("ii", 1, 0)
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.transport.abort()

    def _close_stream(self) -> None:
        for timer in self.timers:
            timer.cancel()
        self.timers.clear()
        if self.thread is not None:
            self.thread.streams.discard(self)
            self.thread = None

    def _schedule_heartbeat(self) -> None:
        self.timers[:1] = [asyncio.get_running_loop().call_later(HEARTBEAT, self._write_heartbeat)]

    def _write_heartbeat(self) -> None:
        self._write_chunk(b": heartbeat\n\n")
        self._schedule_heartbeat()

    def _write_head(self, status: HTTPStatus, headers: bytes) -> None:
        date = email.utils.formatdate(usegmt=True).encode()
        line = b"HTTP/1.1 %d %s\r\nDate: %s\r\n" % (status, status.phrase.encode(), date)
        self.transport.write(line + headers)

    def _write_chunk(self, chunk: bytes) -> None:
        self.transport.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
