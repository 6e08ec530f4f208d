"""A protocol before aiohttp's own on each connection. It checks the bytes of a server before aiohttp reads them.

If a server sends bytes that were not requested, aiohttp takes them as the response to the next request of the
connection. aiohttp also accepts some heads of responses that are dangerous, and heads without an end.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Final

import aiohttp
import httpx

if TYPE_CHECKING:
    from aiohttp.client_proto import ResponseHandler

    from featherhq._core.exchange import Exchange

LARGEST_HEAD: Final = 100 * 1024
"""The most bytes of the head of a response, together with the interim responses before it. httpx has this limit too."""

_VERSION: Final = b"HTTP/"
_HEAD_ENDS: Final = re.compile(rb"\n\r?\n")
_LENGTH: Final = re.compile(rb"\nContent-Length:([^\n]*)", re.IGNORECASE)
_NUMBER: Final = re.compile(rb"[0-9]{1,18}")
_LAST_CHUNK_ENDS: Final = b"\r\n\r\n"


class AnswerGuard(asyncio.Protocol):
    """The protocol of one connection. It passes what it has checked on to aiohttp's own protocol.

    It checks that each response was requested, and it checks the head of the response. After the head it only counts
    bytes.

    Args:
        protocol: aiohttp's own protocol.
        transport: The connection.

    Attributes:
        answer: The response that aiohttp has begun to read.
    """

    def __init__(self, protocol: ResponseHandler, transport: asyncio.Transport) -> None:
        self._protocol = protocol
        self._transport = transport
        self._exchange: Exchange | None = None
        self._has_body = True
        self._in_head = True
        self._partial = b""
        self._size = 0
        # If the length of the body is known, how many bytes of it are missing. Else the last bytes so far, because a
        # complete chunked body ends with an empty line.
        self._left: int | None = None
        self._last = b""
        # These calls go to aiohttp without a check.
        self.pause_writing = protocol.pause_writing  # type: ignore[method-assign]
        self.resume_writing = protocol.resume_writing  # type: ignore[method-assign]
        self.eof_received = protocol.eof_received  # type: ignore[method-assign]
        self.answer: aiohttp.ClientResponse | None = None

    def begin(self, exchange: Exchange, *, has_body: bool) -> None:
        """A request is about to be sent.

        Args:
            exchange: What the request has done on its connection.
            has_body: Whether its response may have a body. The response to a HEAD request has none.
        """
        self._exchange = exchange
        self._has_body = has_body
        self._in_head = True
        self._partial = b""
        self._size = 0
        self._left = None
        self._last = b""

    def end(self) -> None:
        """The request no longer uses the connection. Bytes that come before the next request were not requested."""
        self._exchange = self.answer = None
        if self._protocol.should_close or (self._left != 0 and self._last != _LAST_CHUNK_ENDS):
            # The connection must not be used again: the response is not complete, or more bytes followed it. The
            # connection is aborted, not closed: over TLS, a close waits for the server, perhaps until the event loop
            # has ended.
            self._transport.abort()
            self._protocol.force_close()

    def connection_lost(self, exc: Exception | None) -> None:
        """As `asyncio.BaseProtocol.connection_lost`."""
        self._protocol.connection_lost(exc)
        content = None if self.answer is None else self.answer.content
        if content is not None and not content.is_eof() and content.exception() is None:
            # If a chunk is broken, aiohttp closes the connection, but a task that reads the body would wait on.
            content.set_exception(aiohttp.ClientPayloadError("the connection ended before the response was complete"))

    def data_received(self, data: bytes) -> None:
        """As `asyncio.Protocol.data_received`: check the bytes, and pass them on to aiohttp."""
        exchange = self._exchange
        if exchange is None or not exchange.sent:
            # No request has left, so these bytes were not requested.
            self._transport.abort()
            return
        if self._in_head:
            exchange.received = True
            try:
                data = self._read_heads(data)
            except httpx.RemoteProtocolError as error:
                self._exchange = None
                # The local variables in its traceback would show the bytes of the server.
                self._protocol.set_exception(error.with_traceback(None))
                self._transport.abort()
                return
        else:
            data = self._of_body(data)
        if data:
            self._protocol.data_received(data)

    def _of_body(self, data: bytes) -> bytes:
        """The bytes that belong to the response. If its length is known, bytes after its end are dropped.

        Then `_left` is less than 0, so `end` closes the connection.
        """
        if self._left is None:
            self._last = (self._last + data[-len(_LAST_CHUNK_ENDS) :])[-len(_LAST_CHUNK_ENDS) :]
            return data
        asked_for = self._left
        self._left -= len(data)
        return data if self._left >= 0 else data[: max(asked_for, 0)]

    def _read_heads(self, data: bytes) -> bytes:
        """The bytes that aiohttp may read, after a check. Returns nothing until a head is complete."""
        # The earlier bytes were searched already. The end of a head may lie across the border, so the search begins two
        # bytes before it.
        searched = max(len(self._partial) - 2, 0)
        data, self._partial = self._partial + data, b""
        whole = b""
        while self._in_head:
            if not _VERSION.startswith(data[: len(_VERSION)]):
                raise httpx.RemoteProtocolError("the response does not begin with an HTTP version")
            end = _HEAD_ENDS.search(data, searched)
            size = len(data) if end is None else end.end()
            if self._size + size > LARGEST_HEAD:
                raise httpx.RemoteProtocolError("the head of a response is too long")
            if end is None:
                self._partial = data
                return whole
            self._size += size
            whole += self._judge(data[:size])
            data, searched = data[size:], 0
        return whole + self._of_body(data)

    def _judge(self, head: bytes) -> bytes:
        """Check a complete head. If it repeats the same `Content-Length`, all but one are removed.

        RFC 9110 section 8.6 allows this. If the lengths differ, the head stays as it is, and aiohttp judges it.
        """
        status = head[9:12]
        if status == b"101":
            raise httpx.RemoteProtocolError("a switch of protocols that was not requested")
        if status.startswith(b"1"):
            # An interim response. Another head follows.
            return head
        self._in_head = False
        named = _LENGTH.findall(head)
        lengths = {length.strip() for line in named for length in line.split(b",")}
        length = lengths.pop() if len(lengths) == 1 else b""
        if not self._has_body or status in {b"204", b"304"}:
            self._left = 0
        elif _NUMBER.fullmatch(length):
            self._left = int(length)
        if length and (len(named) > 1 or b"," in named[0]):
            first, _, rest = _LENGTH.sub(b"", head).partition(b"\n")
            head = b"%b\nContent-Length: %b\r\n%b" % (first, length, rest)
        return head
