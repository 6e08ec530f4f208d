"""Stands before aiohttp's own protocol on each connection, and checks what a server sends before aiohttp sees it.

aiohttp takes bytes that nobody has asked for as the answer to the next request. It also accepts some heads that are
dangerous or that have no end.
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
"""Bytes of the head of an answer, together with the interim answers before it. httpx takes as many."""

_VERSION: Final = b"HTTP/"
_HEAD_ENDS: Final = re.compile(rb"\n\r?\n")
_LENGTH: Final = re.compile(rb"\nContent-Length:([^\n]*)", re.IGNORECASE)
_NUMBER: Final = re.compile(rb"[0-9]{1,18}")
_LAST_CHUNK_ENDS: Final = b"\r\n\r\n"


class AnswerGuard(asyncio.Protocol):
    """The protocol of one connection, before aiohttp's own.

    It checks whether each answer was asked for, and checks the head. After the head, it only counts bytes.

    Args:
        protocol: aiohttp's own.
        transport: The connection.

    Attributes:
        answer: The answer that aiohttp has begun to read.
    """

    def __init__(self, protocol: ResponseHandler, transport: asyncio.Transport) -> None:
        self._protocol = protocol
        self._transport = transport
        self._exchange: Exchange | None = None
        self._has_body = True
        self._in_head = True
        self._partial = b""
        self._size = 0
        # How much is missing of a body of known length, and the last bytes of a chunked one.
        self._left: int | None = None
        self._last = b""
        # These go straight to aiohttp.
        self.pause_writing = protocol.pause_writing  # type: ignore[method-assign]
        self.resume_writing = protocol.resume_writing  # type: ignore[method-assign]
        self.eof_received = protocol.eof_received  # type: ignore[method-assign]
        self.answer: aiohttp.ClientResponse | None = None

    def begin(self, exchange: Exchange, *, has_body: bool) -> None:
        """A request is about to be sent. `has_body`: whether its answer may have a body."""
        self._exchange = exchange
        self._has_body = has_body
        self._in_head = True
        self._partial = b""
        self._size = 0
        self._left = None
        self._last = b""

    def end(self) -> None:
        """The request is done with the connection. From now on nothing may come until the next request."""
        self._exchange = self.answer = None
        if self._protocol.should_close or (self._left != 0 and self._last != _LAST_CHUNK_ENDS):
            # The connection must not be used again: the answer is not complete, or more came after it. It is aborted,
            # because over TLS a regular end waits for the server, perhaps longer than the event loop lives.
            self._transport.abort()
            self._protocol.force_close()

    def connection_lost(self, exc: Exception | None) -> None:
        """As asyncio has it."""
        self._protocol.connection_lost(exc)
        content = None if self.answer is None else self.answer.content
        if content is not None and not content.is_eof() and content.exception() is None:
            # aiohttp closes a connection with a broken chunk, but does not tell whoever reads from it.
            content.set_exception(aiohttp.ClientPayloadError("the connection ended before the answer did"))

    def data_received(self, data: bytes) -> None:
        exchange = self._exchange
        if exchange is None or not exchange.sent:
            # Nobody has asked for this.
            self._transport.abort()
            return
        if self._in_head:
            exchange.received = True
            try:
                data = self._read_heads(data)
            except httpx.RemoteProtocolError as error:
                self._exchange = None
                # The local variables of its frames show what has come.
                self._protocol.set_exception(error.with_traceback(None))
                self._transport.abort()
                return
        else:
            data = self._of_body(data)
        if data:
            self._protocol.data_received(data)

    def _of_body(self, data: bytes) -> bytes:
        """The bytes that belong to the answer, as far as its length is known."""
        if self._left is None:
            self._last = (self._last + data[-len(_LAST_CHUNK_ENDS) :])[-len(_LAST_CHUNK_ENDS) :]
            return data
        asked_for = self._left
        self._left -= len(data)
        return data if self._left >= 0 else data[: max(asked_for, 0)]

    def _read_heads(self, data: bytes) -> bytes:
        """The bytes that aiohttp may see, in a form that it accepts. Nothing until a head is complete."""
        searched = max(len(self._partial) - 2, 0)
        data, self._partial = self._partial + data, b""
        whole = b""
        while self._in_head:
            if not _VERSION.startswith(data[: len(_VERSION)]):
                raise httpx.RemoteProtocolError("the answer does not begin with an HTTP version")
            end = _HEAD_ENDS.search(data, searched)
            size = len(data) if end is None else end.end()
            if self._size + size > LARGEST_HEAD:
                raise httpx.RemoteProtocolError("the head of an answer is too long")
            if end is None:
                self._partial = data
                return whole
            self._size += size
            whole += self._judge(data[:size])
            data, searched = data[size:], 0
        return whole + self._of_body(data)

    def _judge(self, head: bytes) -> bytes:
        """Check a complete head. If it repeats one length, only one is kept."""
        status = head[9:12]
        if status == b"101":
            raise httpx.RemoteProtocolError("a switch of protocols that nobody has asked for")
        if status.startswith(b"1"):
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
