"""A server that sends hostile responses, and the parts of which its responses are made."""

from __future__ import annotations

import json
import select
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from itertools import chain, repeat
from typing import Final, Self

from attrs import frozen
from conftest import THREAD_ID
from raw_server import STREAM, Peer

OTHER_THREAD: Final = "99999999-3c1d-4f6e-8a2b-9d8c7b6a5f4e"
KEY: Final = "k3y/0f+Ada~=99"
MEBI: Final = 1024 * 1024
PIECE: Final = 64 * 1024


class End(Enum):
    """What may end a response if the connection does not stay open for the next request."""

    CLOSE = auto()
    RESET = auto()
    HOLD = auto()
    """Send nothing more until the client closes the connection."""


Step = bytes | float | End
"""Bytes to send, seconds to wait, or the end."""


@frozen
class Request:
    """A request that the server received."""

    raw: bytes
    server: Hostile | None = None

    @property
    def target(self) -> str:
        return self.raw.split(b" ", 2)[1].decode("latin-1")

    @property
    def thread_id(self) -> str:
        return self.target.partition("?")[0].split("/")[4]

    @property
    def operation(self) -> str:
        method, path = self.raw.partition(b" ")[0], self.target.partition("?")[0]
        if method == b"POST":
            return "create" if path.endswith("/threads/web") else "send"
        last = path.rpartition("/")[2]
        return {"messages": "list", "stream": "stream"}.get(last, "get")

    @property
    def number(self) -> int:
        """The number of earlier requests of this operation."""
        assert self.server is not None
        return self.server.count(self.operation) - 1


Script = Callable[[Request], Iterable[Step]]


class Hostile(Peer):
    """A server that responds to each operation with its script. It knows when each connection has ended.

    Args:
        scripts: The script of each operation. The other operations get correct responses.
        take: A function that serves each connection instead of the scripts.
    """

    def __init__(
        self, scripts: Mapping[str, Script], take: Callable[[Hostile, socket.socket], None] | None = None
    ) -> None:
        self.scripts = {**FRIENDLY, **scripts}
        self._take = take
        # The time of a message that is sent several times.
        self.born = _stamp(0.5)
        self._serving: list[threading.Thread] = []
        self._sockets: list[socket.socket] = []
        super().__init__(self._respond)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def requests(self) -> list[Request]:
        return [Request(raw) for raw in self.seen]

    def count(self, operation: str) -> int:
        """The number of requests of an operation."""
        return sum(request.operation == operation for request in self.requests)

    def all_ended(self, seconds: float) -> bool:
        """Whether the client has closed all connections, at the latest after these seconds."""
        until = time.monotonic() + seconds
        for serving in list(self._serving):
            serving.join(max(0.0, until - time.monotonic()))
        return not any(serving.is_alive() for serving in self._serving)

    def close(self) -> None:
        super().close()
        for opened in self._sockets:
            with suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)
        self.all_ended(5)

    def _serve(self, plain: socket.socket) -> None:
        self._serving.append(threading.current_thread())
        self._sockets.append(plain)
        if self._take is None:
            super()._serve(plain)
            return
        with suppress(OSError), plain:
            self._take(self, plain)

    def _respond(self, raw: bytes, connection: socket.socket) -> bytes | None:
        request = Request(raw, self)
        for step in self.scripts[request.operation](request):
            if isinstance(step, bytes):
                connection.sendall(step)
            elif isinstance(step, End):
                finish(connection, step)
                return None
            elif has_left(connection, step):
                return None
        return b""


def finish(connection: socket.socket, end: End) -> None:
    """End a response and its connection."""
    if end is End.RESET:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    elif end is End.HOLD:
        while connection.recv(PIECE):
            pass


def has_left(connection: socket.socket, seconds: float) -> bool:
    """Wait, and tell whether the client has closed the connection."""
    readable, _, _ = select.select([connection], [], [], seconds)
    return bool(readable) and not connection.recv(1, socket.MSG_PEEK)


def head(status: str = "200 OK", *fields: bytes, media: str = "application/json", length: int | None = None) -> bytes:
    """The head of a response. It has these further header fields as they are."""
    lines = [f"HTTP/1.1 {status}".encode(), f"Content-Type: {media}".encode(), *fields]
    lines += [] if length is None else [b"Content-Length: %d" % length]
    return b"\r\n".join([*lines, b"", b""])


def whole(body: bytes, status: str = "200 OK", *fields: bytes, media: str = "application/json") -> bytes:
    """A complete response."""
    return head(status, *fields, media=media, length=len(body)) + body


def says(*steps: Step) -> Script:
    """A script that sends these steps for each request."""
    return lambda _: steps


def as_json(data: object, status: str = "200 OK", *fields: bytes) -> bytes:
    """A complete response with a JSON body."""
    return whole(json.dumps(data).encode(), status, *fields)


def large(before: bytes, block: bytes, times: int, after: bytes, status: str = "200 OK", *fields: bytes) -> Script:
    """A script that sends a body of many equal blocks. It never holds the whole body in memory."""
    length = len(before) + len(block) * times + len(after)
    return lambda _: chain([head(status, *fields, length=length), before], repeat(block, times), [after])


def endless(first: bytes, block: bytes) -> Script:
    """A script that sends a response without an end, as fast as the client reads it."""
    return lambda _: chain([first], repeat(block))


def dripping(data: bytes, seconds: float) -> Script:
    """A script that sends a response byte by byte."""

    def script(_: Request) -> Iterator[Step]:
        for number in range(len(data)):
            yield data[number : number + 1]
            yield seconds

    return script


def bytewise(data: bytes, seconds: float) -> Iterator[Step]:
    """Bytes one by one, with a pause after each."""
    for number in range(len(data)):
        yield data[number : number + 1]
        yield seconds


def in_turn(*scripts: Script) -> Script:
    """A script that uses the first script for the first request, and so on. The last script serves all
    later requests.
    """
    return lambda request: scripts[min(request.number, len(scripts) - 1)](request)


def message(id_: object = "m-9", text: object = "good", seconds: float = 0.5, **fields: object) -> dict[str, object]:
    """A new message of the agent."""
    made: dict[str, object] = {"id": id_, "threadId": THREAD_ID, "messageBody": text, "direction": "OUTBOUND"}
    return {**made, "createdAt": _stamp(seconds), **fields}


def later(at: str) -> str:
    """The time a fifth of a second later."""
    return (datetime.fromisoformat(at) + timedelta(seconds=0.2)).isoformat()


def _stamp(seconds: float) -> str:
    """The time in so many seconds from now."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def event(data: object, *lines: bytes) -> bytes:
    """An event of a stream. Data that are bytes are sent as they are."""
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    return b"".join(line + b"\n" for line in lines) + b"data: " + raw + b"\n\n"


def page(messages: object, cursor: object = None) -> dict[str, object]:
    """A page of a list of messages."""
    return {"thread": {"id": THREAD_ID, "messages": messages, "pagination": {"nextCursor": cursor}}}


def listing(make: Callable[[], object]) -> Script:
    """A script that sends a page. It makes the page when the request comes."""
    return lambda _: [as_json(make())]


def streaming(make: Callable[[], Iterable[Step]], first: bytes = STREAM) -> Script:
    """A script that sends an event stream. It makes the events when the request comes, and the stream stays open."""
    return lambda _: chain([first], make(), [End.HOLD])


def on_send(make: Callable[[], Iterable[Step]]) -> Script:
    """A script of a stream that sends these steps after the client has sent a message."""

    def stream(request: Request) -> Iterator[Step]:
        assert request.server is not None
        yield STREAM
        while not request.server.count("send"):
            yield 0.02
        yield 0.05
        yield from make()
        yield End.HOLD

    return stream


def deflated(block: bytes, wbits: int, level: int = 9) -> tuple[bytes, bytes]:
    """The beginning of a compressed body, and a block that may be repeated without an end."""
    compress = zlib.compressobj(level, zlib.DEFLATED, wbits)
    first = compress.compress(block) + compress.flush(zlib.Z_FULL_FLUSH)
    return first, compress.compress(block) + compress.flush(zlib.Z_FULL_FLUSH)


def flushed_gzip(data: bytes) -> bytes:
    """A compressed body that was flushed and not ended."""
    compress = zlib.compressobj(9, zlib.DEFLATED, 31)
    return compress.compress(data) + compress.flush(zlib.Z_SYNC_FLUSH)


def good_event() -> bytes:
    """An event with a message that the client has to return."""
    return event(message())


def same_event(request: Request) -> bytes:
    """An event with such a message. It is the same in each stream of a server."""
    assert request.server is not None
    return event(message(createdAt=request.server.born))


def thread_response(request: Request) -> dict[str, object]:
    """The correct data for a request to get a thread."""
    return {"thread": {"id": request.thread_id, "messages": []}}


FRIENDLY: Final[Mapping[str, Script]] = {
    "create": lambda _: [as_json({"thread": {"id": THREAD_ID}})],
    "get": lambda request: [as_json(thread_response(request))],
    "send": lambda _: [as_json({"messageId": "m-1"})],
    "list": lambda _: [as_json(page([]))],
    "stream": lambda _: [STREAM, End.HOLD],
}
