"""Servers that mean ill, what each is asked, and how that has to end. The cases' own words are in `CASES`."""

from __future__ import annotations

import gzip
import json
import math
import re
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
from functools import partial
from itertools import chain, count, repeat
from typing import Final, Self

from attrs import frozen
from conftest import THREAD_ID
from featherhq import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    BadRequestError,
    DeliveryUnknownError,
    NotFoundError,
    RateLimitError,
    ReplyTimeoutError,
    ResponseDecodeError,
    ServerError,
)
from raw_server import STREAM, Peer, read_request

OTHER_THREAD: Final = "99999999-3c1d-4f6e-8a2b-9d8c7b6a5f4e"
KEY: Final = "k3y/0f+Ada~=99"
MEBI: Final = 1024 * 1024
PIECE: Final = 64 * 1024
ANY: Final = object()
"""Whatever value comes, it is right."""


class End(Enum):
    """What may end an answer, where the connection is not kept for the next request."""

    CLOSE = auto()
    RESET = auto()
    HOLD = auto()
    """Say nothing more until the client goes away."""


Step = bytes | float | End
"""Bytes to send; seconds to wait; or the end."""


@frozen
class Request:
    """A request that has come to a server."""

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
        """How many requests of this operation came before."""
        assert self.server is not None
        return self.server.count(self.operation) - 1


Script = Callable[[Request], Iterable[Step]]


class Hostile(Peer):
    """A server that answers each operation by its script, and knows when each of its connections has ended.

    Args:
        scripts: For each operation what it is answered; the others are answered as they should be.
        take: Where given, does all that is done on each connection instead.
    """

    def __init__(
        self, scripts: Mapping[str, Script], take: Callable[[Hostile, socket.socket], None] | None = None
    ) -> None:
        self.scripts = {**FRIENDLY, **scripts}
        self._take = take
        # A message's time, the same whenever it is said again.
        self.born = _stamp(0.5)
        self._serving: list[threading.Thread] = []
        self._sockets: list[socket.socket] = []
        super().__init__(self._answered)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def requests(self) -> list[Request]:
        return [Request(raw) for raw in self.seen]

    def count(self, operation: str) -> int:
        """How many requests of an operation came."""
        return sum(request.operation == operation for request in self.requests)

    def all_ended(self, seconds: float) -> bool:
        """Whether the client has ended all connections, or does so in time."""
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

    def _answered(self, raw: bytes, connection: socket.socket) -> bytes | None:
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
    """End an answer, and with it the connection."""
    if end is End.RESET:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    elif end is End.HOLD:
        while connection.recv(PIECE):
            pass


def has_left(connection: socket.socket, seconds: float) -> bool:
    """Wait; whether the client has gone away meanwhile."""
    readable, _, _ = select.select([connection], [], [], seconds)
    return bool(readable) and not connection.recv(1, socket.MSG_PEEK)


# What answers are made of.


def head(status: str = "200 OK", *fields: bytes, media: str = "application/json", length: int | None = None) -> bytes:
    """The head of an answer, with more header lines as they are."""
    lines = [f"HTTP/1.1 {status}".encode(), f"Content-Type: {media}".encode(), *fields]
    lines += [] if length is None else [b"Content-Length: %d" % length]
    return b"\r\n".join([*lines, b"", b""])


def whole(body: bytes, status: str = "200 OK", *fields: bytes, media: str = "application/json") -> bytes:
    """A whole answer."""
    return head(status, *fields, media=media, length=len(body)) + body


def says(*steps: Step) -> Script:
    """These steps, whatever is asked."""
    return lambda _: steps


def as_json(data: object, status: str = "200 OK", *fields: bytes) -> bytes:
    return whole(json.dumps(data).encode(), status, *fields)


def large(before: bytes, block: bytes, times: int, after: bytes, status: str = "200 OK", *fields: bytes) -> Script:
    """A body of many equal blocks, which is never held as a whole."""
    length = len(before) + len(block) * times + len(after)
    return lambda _: chain([head(status, *fields, length=length), before], repeat(block, times), [after])


def endless(first: bytes, block: bytes) -> Script:
    """An answer that never ends, as fast as it is taken."""
    return lambda _: chain([first], repeat(block))


def dripping(data: bytes, seconds: float) -> Script:
    """An answer a byte at a time."""

    def script(_: Request) -> Iterator[Step]:
        for number in range(len(data)):
            yield data[number : number + 1]
            yield seconds

    return script


def in_turn(*scripts: Script) -> Script:
    """The first request gets the first, and so on; the last one is for all that follow."""
    return lambda request: scripts[min(request.number, len(scripts) - 1)](request)


def message(id_: object = "m-9", text: object = "good", seconds: float = 0.5, **fields: object) -> dict[str, object]:
    """A message of the agent's, made just now."""
    made: dict[str, object] = {"id": id_, "threadId": THREAD_ID, "messageBody": text, "direction": "OUTBOUND"}
    return {**made, "createdAt": _stamp(seconds), **fields}


def later(at: str) -> str:
    """A fifth of a second later."""
    return (datetime.fromisoformat(at) + timedelta(seconds=0.2)).isoformat()


def _stamp(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def event(data: object, *lines: bytes) -> bytes:
    """An event of a stream; bytes are its data as they are."""
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    return b"".join(line + b"\n" for line in lines) + b"data: " + raw + b"\n\n"


def page(messages: object, cursor: object = None) -> dict[str, object]:
    return {"thread": {"id": THREAD_ID, "messages": messages, "pagination": {"nextCursor": cursor}}}


def listing(make: Callable[[], object]) -> Script:
    """A page of what is made when it is asked for."""
    return lambda _: [as_json(make())]


def streaming(make: Callable[[], Iterable[Step]], first: bytes = STREAM) -> Script:
    """An event stream of what is made when it is asked for; it stays open after it."""
    return lambda _: chain([first], make(), [End.HOLD])


def deflated(block: bytes, wbits: int, level: int = 9) -> tuple[bytes, bytes]:
    """The beginning of a compressed body, and a piece of it that may be repeated without end."""
    compress = zlib.compressobj(level, zlib.DEFLATED, wbits)
    first = compress.compress(block) + compress.flush(zlib.Z_FULL_FLUSH)
    return first, compress.compress(block) + compress.flush(zlib.Z_FULL_FLUSH)


def good_event() -> bytes:
    return event(message())


def same_event(request: Request) -> bytes:
    """As above, and the very same in each stream of a server."""
    assert request.server is not None
    return event(message(createdAt=request.server.born))


def answered_thread(request: Request) -> dict[str, object]:
    return {"thread": {"id": request.thread_id, "messages": []}}


FRIENDLY: Final[Mapping[str, Script]] = {
    "create": lambda _: [as_json({"thread": {"id": THREAD_ID}})],
    "get": lambda request: [as_json(answered_thread(request))],
    "send": lambda _: [as_json({"messageId": "m-1"})],
    "list": lambda _: [as_json(page([]))],
    "stream": lambda _: [STREAM, End.HOLD],
}

# The cases.


@frozen
class Case:
    """One hostile answer, one call, and how it has to end.

    Attributes:
        name: The case's id.
        call: What is done: `get`, `create`, `use`, `send`, `list`, `ask`, `replies`, `chat_ask`.
        scripts: What the server does, by operation.
        ends: The classes of error that it may end in, exactly these, and the values.
        timeout: The client's, in seconds.
        retries: The client's.
        seconds: What all of it may take, where that is not one call's timeout.
        rate_limit: The client's.
        ticks: Whether the event loop may not stand still.
        patience: Seconds without a message after which `replies` ends.
    """

    name: str
    call: str
    scripts: Mapping[str, Script]
    ends: tuple[object, ...]
    timeout: float = 0.6
    retries: int = 0
    seconds: float | None = None
    rate_limit: float | None = None
    ticks: bool = False
    patience: float = 0.5


NO_ANSWER: Final = (APIConnectionError, APITimeoutError)
CONNECTION: Final = (APIConnectionError,)
DECODE: Final = (ResponseDecodeError,)
UNKNOWN: Final = (DeliveryUnknownError,)
GOT: Final = THREAD_ID
MADE: Final = THREAD_ID
GOOD: Final = (["good"],)
NOTHING: Final[tuple[list[str], ...]] = ([],)

DEEP: Final = 100_000
UNREADABLE: Final[dict[str, Script]] = {
    "arrays_100000_deep": says(whole(b"[" * DEEP + b"]" * DEEP)),
    "objects_100000_deep": says(whole(b'{"thread":' * DEEP + b"1" + b"}" * DEEP)),
    "an_open_array_100000_deep": says(whole(b"[" * DEEP)),
    "an_inner_array_100000_deep": says(whole(b'{"thread": {"messages":' + b"[" * DEEP + b"]" * DEEP + b"}}")),
    "no_json": says(whole(b"<html>no\x1b[31m\xe2\x80\xae</html>", media="text/html")),
    "an_empty_body": says(whole(b"")),
    "nan": says(whole(b"NaN")),
    "a_list": says(whole(b"[]")),
    "null": says(whole(b"null")),
    "a_number": says(whole(b"17")),
    "a_number_of_5000_digits": says(whole(b'{"thread": ' + b"9" * 5000 + b', "messageId": ' + b"9" * 5000 + b"}")),
    "a_string": says(whole(b'"thread"')),
    "a_lone_surrogate": says(whole(rb'"\ud800"')),
    "a_thread_that_is_a_list": says(whole(b'{"thread": [], "messageId": []}')),
    "a_thread_that_is_null": says(whole(b'{"thread": null, "messageId": null}')),
    "a_cut_object": says(whole(b'{"thread": {"id": "x", "messages": [], "messageId')),
    "invalid_utf8": says(whole(b'\xff\xfe\xfd{"thread": {"id": "\xc3\x28"}}\x80')),
    "millions_of_values": large(b'{"x":[', b"[]," * 21_845, 250, b"[]]}"),
}

MANIFOLD: Final = {
    "arrays_100000_deep",
    "an_inner_array_100000_deep",
    "no_json",
    "an_empty_body",
    "a_list",
    "a_thread_that_is_a_list",
    "a_number_of_5000_digits",
    "millions_of_values",
}
"""Those that each call is answered with; the others do for one."""

ID_ENDS: Final[dict[str, tuple[object, tuple[object, ...]]]] = {
    "dots": ("..", DECODE),
    "one_dot": (".", DECODE),
    "with_a_slash": ("a/b", (ResponseDecodeError, "used")),
    "climbing": ("../../admin", (ResponseDecodeError, "used")),
    "with_a_query": ("a?b#c", (ResponseDecodeError, "used")),
    "a_lone_surrogate": ("\ud800", DECODE),
    "of_1_mb": ("x" * MEBI, (ResponseDecodeError, APIConnectionError, APIStatusError, DeliveryUnknownError, "used")),
    "with_control_characters": ("a\r\nb\x1b[2J\0", (ResponseDecodeError, "used")),
    "with_bidi_controls": ("a\u202eb\u2066", (ResponseDecodeError, "used")),
    "empty": ("", DECODE),
    "true": (True, DECODE),
    "an_object": ({"id": 1}, DECODE),
    "1e999": (math.inf, DECODE),
}


def unreadable() -> Iterator[Case]:
    """Bodies that are no JSON, or not the JSON that was promised."""
    for name, script in UNREADABLE.items():
        for call in ("get", "create", "list") if name in MANIFOLD else ("get",):
            yield Case(f"{call}-{name}", call, {call: script}, DECODE, timeout=1.0)
        yield Case(f"send-{name}", "send", {"send": script}, UNKNOWN)
    for name in ("arrays_100000_deep", "an_empty_body", "a_number_of_5000_digits", "millions_of_values"):
        script = UNREADABLE[name]
        yield Case(f"ask-{name}", "ask", {"send": script}, UNKNOWN)
        yield Case(f"chat_ask-history-{name}", "chat_ask", {"list": script}, (ReplyTimeoutError,), timeout=1.0)
        yield Case(
            f"replies-history-{name}", "replies", {"list": script, "stream": says(whole(b"", "404 No"))}, NOTHING
        )
        as_error = says(head("500 No", length=len(b"[" * DEEP)) + b"[" * DEEP)
        yield Case(
            f"get-error-{name}", "get", {"get": _with_status(script, b"404 Not Found")}, (NotFoundError,), timeout=1.0
        )
        if name == "arrays_100000_deep":
            yield Case(f"send-error-{name}", "send", {"send": as_error}, UNKNOWN)
    for name, (id_, ends) in ID_ENDS.items():
        yield Case(f"create-an_id_{name}", "use", {"create": says(as_json({"thread": {"id": id_}}))}, ends)
    for name, body in {
        "nan_inside": b'{"thread": {"id": "%s", "metadata": NaN, "x": [NaN, -Infinity]}}',
        "huge_number_inside": b'{"thread": {"id": "%s", "createdAt": 1e999, "updatedAt": -1e999}}',
        "duplicate_keys": b'{"thread": 1, "thread": {"id": 1, "id": "%s"}}',
        "a_bom": b'\xef\xbb\xbf{"thread": {"id": "%s"}}',
        "wrong_types_inside": b'{"thread": {"id": "%s", "metadata": [], "variables": 1, "createdAt": {}, "agent": []}}',
        "surrogates_inside": b'{"thread": {"id": "%s", "metadata": {"\\ud800": "\\udfff"}, "status": "\\ud83d"}}',
    }.items():
        script = says(whole(body.replace(b"%s", THREAD_ID.encode())))
        yield Case(f"get-{name}", "get", {"get": script}, (GOT, ResponseDecodeError))
    utf16 = json.dumps({"thread": {"id": THREAD_ID}}).encode("utf-16")
    yield Case("get-utf16", "get", {"get": says(whole(utf16))}, (GOT, ResponseDecodeError))
    for name, receipt, ends in (
        ("an_id_of_1_mb", {"messageId": "x" * MEBI}, (ANY, DeliveryUnknownError)),
        ("an_id_of_5000_digits", b'{"messageId": ' + b"9" * 5000 + b"}", UNKNOWN),
        ("an_empty_id", {"messageId": ""}, UNKNOWN),
        ("an_id_that_is_true", {"messageId": True}, UNKNOWN),
        ("an_id_with_controls", {"messageId": "m\x1b[2J\n\u202e"}, (ANY, DeliveryUnknownError)),
        ("a_surrogate_id", {"messageId": "\ud800"}, (ANY, DeliveryUnknownError)),
        ("odd_fields", b'{"messageId": "m", "status": 1e999, "windowExpiresIn": NaN, "threadId": []}', ("m",)),
        ("a_huge_window", b'{"messageId": "m", "windowExpiresIn": 1e999}', ("m",)),
        ("a_surrogate_for_its_thread", b'{"messageId": "m", "threadId": "\\ud800"}', ("m", DeliveryUnknownError)),
    ):
        raw = receipt if isinstance(receipt, bytes) else json.dumps(receipt).encode()
        yield Case(f"send-{name}", "send", {"send": says(whole(raw))}, ends)
        if ANY in ends:
            late = (ReplyTimeoutError, DeliveryUnknownError)
            yield Case(f"ask-{name}", "ask", {"send": says(whole(raw))}, late)


def _with_status(script: Script, status: bytes) -> Script:
    def changed(request: Request) -> Iterator[Step]:
        for step in script(request):
            yield step.replace(b"HTTP/1.1 200 OK", b"HTTP/1.1 " + status, 1) if isinstance(step, bytes) else step

    return changed


BLOCK: Final = b"a" * PIECE
ZIP_FIRST, ZIP_MORE = deflated(b"a" * MEBI, 31)
RAW_FIRST, RAW_MORE = deflated(b"a" * MEBI, -15)
ZLIB_FIRST, ZLIB_MORE = deflated(b"a" * MEBI, 15)
# Made by the encoder at its best: the letter "a", 16 MiB of it in each piece.
BROTLI_FIRST: Final = bytes.fromhex("cfffff7ff825c2e2b14020f7fedf00")
BROTLI_MORE: Final = bytes.fromhex("fcffff875f02200e0b0074efff0d")
# A frame with a window of 8 MiB, and blocks that say "128 KiB of this byte" (RFC 8878 section 3.1.1.2).
ZSTD_FIRST: Final = bytes.fromhex("28b52ffd0068")
ZSTD_MORE: Final = ((128 * 1024 << 3) | 2).to_bytes(3, "little") + b"a"
TEXT: Final = json.dumps({"thread": {"id": THREAD_ID}}).encode()
THREAD: Final = TEXT
GZIPPED: Final = gzip.compress(TEXT)


def bodies() -> Iterator[Case]:
    """Bodies that are too large, of no end, wrongly framed or wrongly packed."""
    sizes: dict[str, Callable[[str], Script]] = {
        "64_mib": lambda status: large(b'{"x": "', BLOCK, 1024, b'"}', status),
        "endless": lambda status: endless(head(status, b"Connection: close"), BLOCK),
        "endless_chunks": lambda status: endless(
            head(status, b"Transfer-Encoding: chunked"), b"%x\r\n%s\r\n" % (len(BLOCK), BLOCK)
        ),
        "endless_tiny_chunks": lambda status: endless(
            head(status, b"Transfer-Encoding: chunked"), b"1\r\na\r\n" * 8192
        ),
        "a_gzip_bomb": lambda status: _packed(b"gzip", ZIP_FIRST, ZIP_MORE, 1024, status),
        "a_zlib_bomb": lambda status: _packed(b"deflate", ZLIB_FIRST, ZLIB_MORE, 1024, status),
        "a_raw_deflate_bomb": lambda status: _packed(b"deflate", RAW_FIRST, RAW_MORE, 1024, status),
        "a_brotli_bomb": lambda status: _packed(b"br", BROTLI_FIRST, BROTLI_MORE, 64, status),
        "a_zstd_bomb": lambda status: _packed(b"zstd", ZSTD_FIRST, ZSTD_MORE, 8192, status),
        "a_gzip_bomb_in_a_gzip": _nested_bomb,
    }
    for name, make in sizes.items():
        slow = NO_ANSWER if name == "endless_tiny_chunks" else ()
        yield Case(f"get-{name}", "get", {"get": make("200 OK")}, (*DECODE, *slow), timeout=1.0)
        if name in {"64_mib", "endless", "endless_tiny_chunks", "a_gzip_bomb", "a_gzip_bomb_in_a_gzip"}:
            yield Case(f"get-404-{name}", "get", {"get": make("404 No")}, (NotFoundError, *slow), timeout=1.0)
            yield Case(f"send-{name}", "send", {"send": make("200 OK")}, UNKNOWN, timeout=1.0)
    for name in ("64_mib", "endless", "a_gzip_bomb"):
        make = sizes[name]
        yield Case(f"create-{name}", "create", {"create": make("200 OK")}, DECODE, timeout=1.0)
        yield Case(f"list-{name}", "list", {"list": make("200 OK")}, DECODE, timeout=1.0)
        yield Case(f"send-500-{name}", "send", {"send": make("500 No")}, UNKNOWN, timeout=1.0, retries=2)
        yield Case(f"send-history-{name}", "send", {"send": says(End.CLOSE), "list": make("200 OK")}, UNKNOWN)
        no_stream = {"stream": says(whole(b"", "404 No")), "list": make("200 OK")}
        yield Case(f"replies-history-{name}", "replies", no_stream, NOTHING, patience=1.5)
        refused = {"stream": make("404 No")}
        yield Case(f"replies-refused-{name}", "replies", refused, NOTHING, timeout=1.0)
        no_events = {"stream": make("200 OK")}
        yield Case(f"replies-json-{name}", "replies", no_events, NOTHING, timeout=1.0)
    lengths: dict[str, tuple[tuple[Step, ...], tuple[object, ...]]] = {
        "too_long_closed": ((head(length=9999), TEXT, End.CLOSE), CONNECTION),
        "too_long_held": ((head(length=9999), TEXT, End.HOLD), (APITimeoutError,)),
        "too_short": ((head(length=9), TEXT), DECODE),
        "zero": ((head(length=0), TEXT), DECODE),
        "negative": ((head("200 OK", b"Content-Length: -1"), TEXT, End.CLOSE), (*CONNECTION, GOT)),
        "no_number": ((head("200 OK", b"Content-Length: many"), TEXT, End.CLOSE), (*CONNECTION, GOT)),
        "of_5000_digits": ((head("200 OK", b"Content-Length: " + b"9" * 5000), TEXT, End.CLOSE), NO_ANSWER),
        "repeated": ((head("200 OK", b"Content-Length: %d" % len(TEXT), length=len(TEXT)), TEXT), (*CONNECTION, GOT)),
        "repeated_and_different": ((head("200 OK", b"Content-Length: 2", length=len(TEXT)), TEXT), CONNECTION),
        "beside_chunks": (
            (head("200 OK", b"Transfer-Encoding: chunked", length=3), b"%x\r\n%s\r\n0\r\n\r\n" % (len(TEXT), TEXT)),
            (*CONNECTION, GOT),
        ),
    }
    for name, (steps, ends) in lengths.items():
        yield Case(f"get-a_length_{name}", "get", {"get": says(*steps)}, ends)
    for name in ("too_long_closed", "too_long_held", "too_short", "repeated_and_different"):
        yield Case(f"send-a_length_{name}", "send", {"send": says(*lengths[name][0])}, UNKNOWN, retries=2)
    chunked = head("200 OK", b"Transfer-Encoding: chunked")
    chunk = b"%x\r\n%s\r\n" % (len(TEXT), TEXT)
    chunks: dict[str, tuple[Script, tuple[object, ...]]] = {
        "an_extension_of_1_mb": (
            says(chunked, b"%x;%s\r\n%s\r\n0\r\n\r\n" % (len(TEXT), b"x" * MEBI, TEXT)),
            (GOT, *CONNECTION),
        ),
        "an_endless_size": (endless(chunked, b"0" * PIECE), NO_ANSWER),
        "an_endless_extension": (endless(chunked + b"1;", b"x" * PIECE), NO_ANSWER),
        "endless_trailers": (endless(chunked + chunk + b"0\r\n", b"X-Trailer: x\r\n" * 4096), (GOT, *NO_ANSWER)),
        "an_endless_trailer": (endless(chunked + chunk + b"0\r\nX: ", b"x" * PIECE), (GOT, *NO_ANSWER)),
        "no_end": (says(chunked, chunk, End.HOLD), (APITimeoutError,)),
        "cut_off": (says(chunked, chunk, End.CLOSE), CONNECTION),
    }
    for name, (script, ends) in chunks.items():
        yield Case(f"get-chunks-{name}", "get", {"get": script}, ends)
    for name, bad in {
        "no_number": b"zz\r\n",
        "negative": b"-5\r\n",
        "of_5000_digits": b"f" * 5000 + b"\r\n",
        "no_line_end": chunk[:-2] + b"0\r\n\r\n",
    }.items():
        # Whether the head and the body come together or not.
        yield Case(f"get-chunks-{name}-at_once", "get", {"get": says(chunked + bad, End.CLOSE)}, CONNECTION)
        yield Case(f"get-chunks-{name}-later", "get", {"get": says(chunked, 0.05, bad, End.CLOSE)}, CONNECTION)
        yield Case(f"get-chunks-{name}-held", "get", {"get": says(chunked, 0.05, bad, End.HOLD)}, NO_ANSWER)


def packings() -> Iterator[Case]:
    """Bodies that are packed wrongly, or in an odd way."""
    half = len(TEXT) // 2
    members = gzip.compress(TEXT[:half]) + gzip.compress(TEXT[half:])
    raw = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed: dict[str, tuple[bytes, bytes, tuple[object, ...]]] = {
        "cut_off": (b"gzip", GZIPPED[:-12], (*CONNECTION, *DECODE)),
        "without_its_check": (b"gzip", GZIPPED[:-8], (*CONNECTION, *DECODE, GOT)),
        "with_a_wrong_check": (b"gzip", GZIPPED[:-8] + b"\0" * 8, (*CONNECTION, *DECODE)),
        "of_several_members": (b"gzip", members, (GOT,)),
        "with_garbage_after_it": (b"gzip", GZIPPED + b"garbage" * 99, (GOT, *CONNECTION, *DECODE)),
        "that_is_none": (b"gzip", TEXT, (*CONNECTION, *DECODE)),
        "that_is_empty": (b"gzip", b"", (*CONNECTION, *DECODE)),
        "deflate": (b"deflate", zlib.compress(TEXT), (GOT,)),
        "raw_deflate": (b"deflate", raw.compress(TEXT) + raw.flush(), (GOT,)),
        "twice": (b"gzip, gzip", gzip.compress(GZIPPED), (GOT, *CONNECTION, *DECODE)),
        "99_times": (b", ".join([b"gzip"] * 99), GZIPPED, (*CONNECTION, *DECODE)),
        "unknown": (b"rot13", TEXT, (GOT, *CONNECTION, *DECODE)),
        "identity": (b"identity", TEXT, (GOT,)),
        "nameless": (b",,;q=\x01,", TEXT, (GOT, *CONNECTION, *DECODE)),
        "named_in_1_mb": (b"x" * 60_000, TEXT, (GOT, *CONNECTION, *DECODE)),
        "brotli_that_is_none": (b"br", TEXT, (GOT, *CONNECTION, *DECODE)),
        "zstd_that_is_none": (b"zstd", TEXT, (GOT, *CONNECTION, *DECODE)),
    }
    for name, (encoding, body, ends) in packed.items():
        script = says(whole(body, "200 OK", b"Content-Encoding: " + encoding))
        yield Case(f"get-packed-{name}", "get", {"get": script}, ends)
    for name in ("of_several_members", "with_garbage_after_it", "deflate", "raw_deflate"):
        encoding, body, ends = packed[name]
        start = head("200 OK", b"Content-Encoding: " + encoding, length=len(body))
        script = partial(_head_and_bytes, start, body)
        yield Case(f"get-packed-{name}-byte_by_byte", "get", {"get": script}, ends, timeout=2.0)
    for name in ("cut_off", "with_a_wrong_check", "that_is_none"):
        encoding, body, _ = packed[name]
        script = says(whole(body, "200 OK", b"Content-Encoding: " + encoding))
        yield Case(f"send-packed-{name}", "send", {"send": script}, UNKNOWN, retries=2)
        failed = says(whole(body, "404 Not Found", b"Content-Encoding: " + encoding))
        yield Case(f"get-404-packed-{name}", "get", {"get": failed}, (NotFoundError, *CONNECTION))


def _head_and_bytes(start: bytes, body: bytes, _: Request) -> Iterable[Step]:
    return chain([start], _bytewise(body[:99], 0.002), [body[99:]])


def _packed(encoding: bytes, first: bytes, more: bytes, times: int, status: str) -> Script:
    fields = (b"Content-Encoding: " + encoding, b"Connection: close")
    return lambda _: chain([head(status, *fields), first], repeat(more, times), [End.CLOSE])


def _nested_bomb(status: str) -> Script:
    inner = ZIP_FIRST + ZIP_MORE * 1024
    return says(head(status, b"Content-Encoding: gzip, gzip", b"Connection: close"), gzip.compress(inner), End.CLOSE)


HARMFUL: Final = "\x1b[31mred\x9b2J\u202eabc\u2066\u2028next\r\nline\0\x7f\u200f"


def heads() -> Iterator[Case]:
    """Heads of no end, of no HTTP, and with what no terminal should be shown."""
    ok = b"HTTP/1.1 200 OK\r\n"
    rest = b"Content-Length: %d\r\n\r\n%s" % (len(TEXT), TEXT)
    odd: dict[str, tuple[Script, tuple[object, ...]]] = {
        "an_endless_head": (endless(ok, b"X-Field: x\r\n" * 4096), NO_ANSWER),
        "an_endless_field": (endless(ok + b"X: ", b"x" * PIECE), NO_ANSWER),
        "an_endless_name": (endless(ok, b"x" * PIECE), NO_ANSWER),
        "an_endless_status_line": (endless(b"HTTP/1.1 200 ", b"x" * PIECE), NO_ANSWER),
        "10000_fields": (says(ok, b"X-Field: x\r\n" * 10_000, rest), (GOT, *CONNECTION)),
        "a_reason_of_1_mb": (says(b"HTTP/1.1 200 " + b"x" * MEBI + b"\r\n", rest), (GOT, *CONNECTION)),
        "a_field_of_1_mb": (says(ok, b"X-Field: " + b"x" * MEBI + b"\r\n", rest), (GOT, *CONNECTION)),
        "a_folded_field": (says(ok, b"X-Field: x\r\n y\r\n\tz\r\n", rest), (GOT, *CONNECTION)),
        "status_999": (says(b"HTTP/1.1 999 No\r\n", rest), (APIStatusError, ServerError, *CONNECTION)),
        "status_abc": (says(b"HTTP/1.1 abc No\r\n", rest), CONNECTION),
        "status_0": (says(b"HTTP/1.1 000 No\r\n", rest), (APIStatusError, *CONNECTION)),
        "status_of_5000_digits": (says(b"HTTP/1.1 " + b"2" * 5000 + b" OK\r\n", rest), CONNECTION),
        "version_9_9": (says(b"HTTP/9.9 200 OK\r\n", rest), (GOT, *CONNECTION)),
        "version_0_9": (says(TEXT, End.CLOSE), CONNECTION),
        "endless_100_continue": (endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 512), NO_ANSWER),
        "endless_103_hints": (endless(b"", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 512), NO_ANSWER),
        "a_slow_100_continue": (lambda _: chain.from_iterable(repeat((b"HTTP/1.1 100 X\r\n\r\n", 0.05))), NO_ANSWER),
        "a_switch_of_protocols": (
            says(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", End.HOLD),
            (APIStatusError, *NO_ANSWER),
        ),
        "no_http": (says(b"220 mail.example ESMTP\r\n", End.HOLD), NO_ANSWER),
        "binary": (says(bytes(range(256)) * 64, End.CLOSE), CONNECTION),
        "endless_binary": (endless(b"", bytes(range(256)) * 256), NO_ANSWER),
        "endless_line_ends": (endless(b"", b"\r\n" * 32_768), NO_ANSWER),
        "tls": (says(bytes.fromhex("1603030200020001fc0303") + b"\x8f" * 507, End.HOLD), NO_ANSWER),
        "nul_bytes": (says(ok, b"X-Field: \0\0\r\n", rest), (GOT, *CONNECTION)),
        "status_204_with_a_body": (says(b"HTTP/1.1 204 No Content\r\n", rest), (*DECODE, *CONNECTION)),
        "status_205": (says(b"HTTP/1.1 205 Reset\r\nContent-Length: 0\r\n\r\n"), (*DECODE, *CONNECTION)),
        "status_304_with_a_body": (says(b"HTTP/1.1 304 Not Modified\r\n", rest), (APIStatusError, *CONNECTION)),
        "nothing_but_a_line_end": (says(b"\r\n\r\n", End.CLOSE), CONNECTION),
        "a_name_with_a_space": (says(ok, b"X Field : x\r\n", rest), (GOT, *CONNECTION)),
        "no_name": (says(ok, b": x\r\n", rest), (GOT, *CONNECTION)),
        "5000_cookies": (
            says(ok, b"".join(b"Set-Cookie: c%d=%d; Path=/\r\n" % (n, n) for n in range(5000)), rest),
            (GOT, *CONNECTION),
        ),
        "cookies": (
            says(ok, b"Set-Cookie: a=1\r\nSet-Cookie: b=2; Expires=Tue, 99 Foo 99999 99:99:99 GMT\r\n", rest),
            (GOT,),
        ),
        "a_date_of_the_year_99999": (says(ok, b"Date: Tue, 01 Jan 99999 00:00:00 GMT\r\n", rest), (GOT,)),
        "a_date_of_the_year_1": (says(ok, b"Date: Mon, 01 Jan 0001 00:00:00 +2359\r\n", rest), (GOT,)),
        "a_date_of_400_digits": (says(ok, b"Date: " + b"9" * 400 + b"\r\n", rest), (GOT,)),
        "a_media_type_of_60_kb": (says(ok, b"Content-Type: " + b"x/" * 30_000 + b"\r\n", rest), (GOT, *CONNECTION)),
        "an_odd_charset": (
            says(ok, b"Content-Type: application/json; charset=\xff\x80zip\r\n", rest),
            (GOT, *CONNECTION),
        ),
    }
    for name, (script, ends) in odd.items():
        yield Case(f"get-{name}", "get", {"get": script}, ends)
    for name in ("an_endless_head", "status_abc", "binary", "endless_100_continue", "tls", "status_204_with_a_body"):
        yield Case(f"send-{name}", "send", {"send": odd[name][0]}, UNKNOWN, retries=2)
        quiet = NOTHING if name != "status_204_with_a_body" else (*NOTHING, *DECODE)
        yield Case(f"replies-{name}", "replies", {"stream": odd[name][0]}, quiet)
    yield Case("send-a_date_of_the_year_99999", "send", {"send": _dated(b"Tue, 01 Jan 99999 00:00:00 GMT")}, ("m-1",))
    lost = {"get": says(End.CLOSE), "list": _dated_page(b"Fri, 31 Dec 9999 23:59:59 GMT"), "send": says(End.CLOSE)}
    yield Case("send-lost-with_a_date_of_the_year_9999", "send", lost, UNKNOWN, retries=2)
    for name, place in {
        "of_10_kb": b"https://feather.example/" + b"x" * 10_000,
        "with_controls": b"https://x/\x1b[31m\xe2\x80\xae\x9b",
        "of_another_scheme": b"javascript:alert(1)//\x7f",
        "that_is_no_url": b"http://[::1/%zz:99999999",
    }.items():
        moved = says(whole(b"", "302 Found", b"Location: " + place))
        yield Case(f"get-a_location_{name}", "get", {"get": moved}, (APIStatusError, *CONNECTION))
        yield Case(f"send-a_location_{name}", "send", {"send": moved}, (APIStatusError, *UNKNOWN))


def waits_and_words() -> Iterator[Case]:
    """Waits that nobody could keep to, and errors in words that no terminal should be shown."""
    waits = {
        "of_400_digits": b"9" * 400,
        "of_5000_digits": b"9" * 5000,
        "negative": b"-5",
        "nan": b"nan",
        "inf": b"inf",
        "1e308": b"1e308",
        "underscores": b"1_0",
        "of_the_year_99999": b"Tue, 01 Jan 99999 00:00:00 GMT",
        "of_the_year_9999": b"Fri, 31 Dec 9999 23:59:59 GMT",
        "of_the_year_0": b"Sat, 01 Jan 0000 00:00:00 GMT",
        "with_an_odd_zone": b"Tue, 01 Jan 2030 00:00:00 +9999",
        "of_arabic_digits": "٣".encode(),
    }
    for name, wait in waits.items():
        for status, ends in (("429 Slow", (RateLimitError,)), ("503 Later", (ServerError, *UNKNOWN))):
            if status.startswith("503") and name not in {"of_400_digits", "of_5000_digits", "inf", "of_the_year_99999"}:
                continue
            call = "get" if status.startswith("429") else "send"
            script = says(whole(b"", status, b"Retry-After: " + wait))
            # The year 0 some read as 2000, which is no wait at all, as below.
            none = (APITimeoutError,) if name == "of_the_year_0" else ()
            yield Case(
                f"{call}-{status[:3]}-a_wait_{name}",
                call,
                {call: script},
                (*ends, *none, *CONNECTION),
                retries=2,
                rate_limit=50,
            )
    for name, wait in waits.items():
        # Where the server's clock says the same, that is no wait at all: then its own limit is what ends the call.
        script = says(whole(b"", "429 Slow", b"Retry-After: " + wait, b"Date: " + wait[:300]))
        if name.startswith("of_the_year"):
            at_last = (RateLimitError, *NO_ANSWER)
            yield Case(f"get-429-a_date_{name}", "get", {"get": script}, at_last, retries=2, rate_limit=50)
    too_often = says(whole(b"", "429 Slow", b"Retry-After: " + b"9" * 400))
    yield Case("replies-429-a_wait_of_400_digits", "replies", {"stream": too_often}, NOTHING, rate_limit=50)
    for name, text in {
        "controls": HARMFUL,
        "surrogates": "\ud800\udfff",
        "1_mb": "x" * MEBI,
        "lines": "a\n" * 999,
    }.items():
        body = json.dumps({"code": text, "message": text, "name": text, "statusCode": text}).encode()
        for status, kinds in (
            ("400 Bad", (BadRequestError,)),
            ("500 No", (ServerError,)),
            ("418 Pot", (APIStatusError,)),
        ):
            yield Case(f"get-{status[:3]}-says_{name}", "get", {"get": says(whole(body, status))}, kinds)
        yield Case(f"send-400-says_{name}", "send", {"send": says(whole(body, "400 No"))}, (BadRequestError,))
        yield Case(f"ask-400-says_{name}", "ask", {"send": says(whole(body, "400 No"))}, (BadRequestError,))
        yield Case(f"replies-404-says_{name}", "replies", {"stream": says(whole(body, "404 No"))}, NOTHING)
        plain = says(whole(text.encode("utf-8", "surrogatepass"), "400 No", media="text/plain"))
        yield Case(f"get-400-plainly_says_{name}", "get", {"get": plain}, (BadRequestError,))
    raw = b"\x1b[31m\x9b2J\xe2\x80\xaeabc\x85"
    for field in (b"X-Request-Id", b"Request-Id", b"CF-Ray", b"Location", b"Retry-After", b"WWW-Authenticate"):
        script = says(whole(b"", "404 Not Found", field + b": " + raw))
        yield Case(f"get-a_field_{field.decode()}", "get", {"get": script}, (NotFoundError, *CONNECTION))
    long_id = says(whole(b"", "404 Not Found", b"X-Request-Id: " + b"i" * 60_000))
    yield Case("get-a_request_id_of_60_kb", "get", {"get": long_id}, (NotFoundError, *CONNECTION))
    reason = says(b"HTTP/1.1 404 " + raw + b"\r\nContent-Length: 0\r\n\r\n")
    yield Case("get-a_reason_with_controls", "get", {"get": reason}, (NotFoundError, *CONNECTION))
    wrong = says(b"HTTP/1.1 200 OK\r\n" + raw + b"\r\n\r\n", End.CLOSE)
    yield Case("get-a_broken_field_with_controls", "get", {"get": wrong}, CONNECTION)
    yield Case("send-a_broken_field_with_controls", "send", {"send": wrong}, UNKNOWN)


def _dated(date: bytes) -> Script:
    return says(as_json({"messageId": "m-1"}, "200 OK", b"Date: " + date))


def _dated_page(date: bytes) -> Script:
    return says(as_json(page([]), "200 OK", b"Date: " + date))


ODD_TIMES: Final = {
    "no_time": "yesterday",
    "of_the_year_0": "0000-01-01T00:00:00Z",
    "of_the_year_1": "0001-01-01T00:00:00+14:00",
    "of_the_year_9999": "9999-12-31T23:59:59-14:00",
    "of_the_year_99999": "99999-01-01T00:00:00Z",
    "with_an_odd_offset": "2026-01-01T00:00:00+99:99",
    "with_an_offset_of_a_day": "2026-01-01T00:00:00+23:59:59.999999",
    "of_5000_digits": "9" * 5000,
    "a_number": 10**400,
    "an_object": {"a": 1},
}


def retries() -> Iterator[Case]:
    """Streams that ask for delays that cannot be."""
    for name, digits in {
        "of_400_digits": b"9" * 400,
        "of_5000_digits": b"9" * 5000,
        "negative": b"-5",
        "in_letters": b"soon",
        "in_odd_digits": "²".encode(),
    }.items():
        wish = b"retry: " + digits + b"\n\n"
        open_ = streaming(lambda wish=wish: [wish, good_event()])  # type: ignore[misc]
        yield Case(f"replies-retry_{name}", "replies", {"stream": open_}, GOOD)
        upon = on_send(lambda wish=wish: [wish, good_event()])  # type: ignore[misc]
        yield Case(f"ask-retry_{name}", "ask", {"stream": upon}, ("good",), timeout=1.0)
        ended = partial(_said_and_closed, wish)
        yield Case(f"replies-retry_{name}-and_the_end", "replies", {"stream": ended}, GOOD, patience=0.8)


def _said_and_closed(before: bytes, request: Request) -> Iterable[Step]:
    return [STREAM, before, same_event(request), End.CLOSE]


FLOODS: Final = {
    "heartbeats": b":\n" * 32_768,
    "blank_lines": b"\n" * PIECE,
    "lone_crs": b"\r" * PIECE,
    "empty_events": b"data:\n\n" * 8192,
    "empty_objects": b"data: {}\n\n" * 6000,
    "events_of_another_kind": b"event: x\ndata: [1]\n\n" * 3000,
    "unknown_fields": b"field: x\n" * 7000,
    "one_line": b"x" * PIECE,
    "one_comment": b":" * PIECE,
    "one_event": b"data: x\n" * 8192,
    "one_id": b"id: x\n" * 8192,
    "one_event_of_empty_lines": b"data\n" * 13_000,
}
ZIPPED: Final = head("200 OK", b"Content-Encoding: gzip", media="text/event-stream")
NO_REPLY: Final = (ReplyTimeoutError,)


def floods() -> Iterator[Case]:
    """Streams that never stop."""
    for name, block in FLOODS.items():
        script = endless(STREAM, block)
        yield Case(f"replies-endless_{name}", "replies", {"stream": script}, NOTHING, ticks=True)
        if name in {"heartbeats", "blank_lines", "empty_objects", "one_line", "one_event"}:
            yield Case(f"chat_ask-endless_{name}", "chat_ask", {"stream": script}, NO_REPLY, timeout=1.0, ticks=True)
    for name in ("heartbeats", "empty_objects", "one_line"):
        script = endless(STREAM, FLOODS[name])
        yield Case(f"ask-endless_{name}", "ask", {"stream": script}, NO_REPLY, timeout=1.0, ticks=True)

    def own(_: Request) -> Iterable[Step]:
        return chain([STREAM], repeat(event(message("m-0", "mine", direction="INBOUND")) * 200))

    def copies(request: Request) -> Iterable[Step]:
        return chain([STREAM], repeat(same_event(request) * 200))

    def huge(_: Request) -> Iterable[Step]:
        return chain([STREAM], repeat(b"data: " + b"x" * PIECE + b"\n", 1600), [b"\n", good_event(), End.HOLD])

    def bytewise(_: Request) -> Iterable[Step]:
        return chain([STREAM], _bytewise(good_event(), 0.001), [End.HOLD])

    def slow(_: Request) -> Iterable[Step]:
        return chain([STREAM], chain.from_iterable(repeat((b"x", 0.02))))

    yield Case("replies-endless_own_messages", "replies", {"stream": own}, NOTHING)
    yield Case("replies-endless_copies", "replies", {"stream": copies}, GOOD, ticks=True)
    yield Case("replies-an_event_of_100_mb", "replies", {"stream": huge}, (*NOTHING, *GOOD), timeout=1.0)
    yield Case("replies-byte_by_byte", "replies", {"stream": bytewise}, GOOD, patience=1.0)
    yield Case("ask-byte_by_byte_without_end", "ask", {"stream": slow}, NO_REPLY)
    for name, block in {"heartbeats": b":\n", "one_line": b"x", "empty_events": b"data:\n\n"}.items():
        first, more = deflated(block * (MEBI // len(block)), 31)
        bomb = endless(ZIPPED + first, more)
        yield Case(f"replies-a_gzip_bomb_of_{name}", "replies", {"stream": bomb}, NOTHING, ticks=True)
    bomb = says(ZIPPED, ZIP_FIRST, ZIP_MORE * 1024, End.HOLD)
    yield Case("ask-a_gzip_bomb", "ask", {"stream": bomb}, NO_REPLY, timeout=1.0)
    endless_html = endless(head(media="text/html"), b"x" * PIECE)
    yield Case("replies-endless_html", "replies", {"stream": endless_html}, NOTHING, timeout=1.0)


def no_messages() -> Iterator[Case]:
    """Events that are no messages of this thread, each before one that is: that one is handed out."""
    junk: dict[str, Callable[[], list[object]]] = {
        "arrays": lambda: [[], [[]], [message("m-1", "in an array")]],
        "scalars": lambda: [1, "text", None, True, 1.5, b"NaN", b"1e999", b"9" * 5000],
        "arrays_100000_deep": lambda: [b"[" * DEEP, b"[" * DEEP + b"]" * DEEP],
        "objects_40000_deep": lambda: [b'{"message":' * 40_000, b'{"data":' * 40_000 + b"1" + b"}" * 40_000],
        "no_text": lambda: [message("m-1", None), message("m-1", ["x"]), {"id": "m-1"}],
        "no_id": lambda: [
            message("", "x"),
            message(None, "x"),
            message([], "x"),
            message(False, "x"),
            {"messageBody": "x"},
        ],
        "envelopes": lambda: [{"message": {"message": {"message": {}}}}, {"data": [], "message": {"data": 1}}],
        "invalid_utf8": lambda: [b'{"id": "\xff\xfe', b"\xc3\x28", b"\xed\xa0\x80"],
        "nul_bytes": lambda: [b"\0" * 99, b'{"id": "\0"}'],
        "an_id_of_900_kb": lambda: [message("x" * 900_000, None)],
        "millions_of_values": lambda: [b"[" + b"[]," * 300_000 + b"[]]"],
        "another_thread": lambda: [message("m-8", "of another thread", threadId=OTHER_THREAD)],
        "another_thread_enveloped": lambda: [{"message": message("m-8", "of another thread", threadId=OTHER_THREAD)}],
    }
    for name, make in junk.items():
        script = streaming(lambda make=make: [*map(event, make()), good_event()])  # type: ignore[misc]
        yield Case(f"replies-events_of_{name}", "replies", {"stream": script}, GOOD)
        if name in {"scalars", "arrays_100000_deep", "no_id", "another_thread", "another_thread_enveloped"}:
            upon = on_send(lambda make=make: [*map(event, make()), good_event()])  # type: ignore[misc]
            yield Case(f"chat_ask-events_of_{name}", "chat_ask", {"stream": upon}, ("good",), timeout=1.0)


def odd_messages() -> Iterator[Case]:
    """Messages with odd ids, texts and times."""
    lines = streaming(lambda: [event(message(), b"id: " + b"i" * MEBI, b"event: " + b"e" * 1000), good_event()])
    yield Case("replies-an_event_id_of_1_mb", "replies", {"stream": lines}, (*NOTHING, *GOOD))
    some = streaming(lambda: [event(message(), b"id: " + b"i" * 900_000)])
    yield Case("replies-an_event_id_of_900_kb", "replies", {"stream": some}, GOOD)
    odd_id = partial(_said_and_closed, b"id: \x1b\r\0\xff\xe2\x80\xae\nevent: \x1b[31m\n")
    yield Case("replies-an_odd_event_id", "replies", {"stream": odd_id}, GOOD)
    for name, id_ in {"a_surrogate": "\ud800", "controls": "\x1b[2J\n", "a_huge_number": 10**4000}.items():
        script = streaming(lambda id_=id_: [event(message(id_)), good_event()])  # type: ignore[misc]
        yield Case(f"replies-a_message_id_of_{name}", "replies", {"stream": script}, (["good", "good"], ["good"]))
    one_id = streaming(lambda: [event(message("m-1", "one", 0.2)), event(message("m-1", "two", 0.4))])
    yield Case("replies-one_id_for_two_messages", "replies", {"stream": one_id}, (["one", "two"],))
    texts = streaming(lambda: [event(message("m-1", "\ud800")), event(message("m-2", HARMFUL)), good_event()])
    yield Case("replies-odd_texts", "replies", {"stream": texts}, (["\ud800", HARMFUL, "good"],))
    for name, at in ODD_TIMES.items():
        script = streaming(lambda at=at: [event(message("m-1", createdAt=at)), event(message("m-2", "last"))])  # type: ignore[misc]
        yield Case(f"replies-a_time_{name}", "replies", {"stream": script}, (["good", "last"], ["last"]))
    members = streaming(
        lambda: [gzip.compress(event(message("m-1", "one"))), 0.05, gzip.compress(event(message("m-2", "two")))], ZIPPED
    )
    yield Case("replies-gzip_members", "replies", {"stream": members}, (["one", "two"],))
    flushed = streaming(lambda: [_flushed(event(message("m-1", "one")))], ZIPPED)
    yield Case("replies-gzip_flushed", "replies", {"stream": flushed}, (["one"],))


def no_streams() -> Iterator[Case]:
    """Heads of streams that do not come, that are none, and connections that break around them."""
    broken = says(ZIPPED, gzip.compress(b"data: x\n\n")[:-4] + b"garbage", End.HOLD)
    yield Case("replies-broken_gzip", "replies", {"stream": broken}, NOTHING)
    html = says(head(media="text/html"), b"<html>", End.HOLD)
    yield Case("replies-html", "replies", {"stream": html}, NOTHING)
    empty = says(whole(b"", media="text/event-stream"))
    yield Case("replies-a_stream_of_no_bytes", "replies", {"stream": empty}, NOTHING)
    for status in ("204 No Content", "205 Reset", "206 Partial", "304 Not Modified"):
        script = says(whole(b"", status, media="text/event-stream"))
        yield Case(f"replies-status_{status[:3]}", "replies", {"stream": script}, NOTHING)
    yield Case("replies-a_head_that_does_not_come", "replies", {"stream": says(End.HOLD)}, NOTHING)
    yield Case("ask-a_head_that_does_not_come", "ask", {"stream": says(End.HOLD)}, NO_REPLY, timeout=1.0)
    yield Case("replies-a_head_that_drips", "replies", {"stream": dripping(STREAM, 0.1)}, NOTHING)
    for end in (End.CLOSE, End.RESET):
        phases = {"before_the_head": (), "in_the_head": (STREAM[:30],), "after_the_head": (STREAM,)}
        for phase, steps in phases.items():
            script, name = says(*steps, end), f"{'closed' if end is End.CLOSE else 'reset'}_{phase}"
            yield Case(f"replies-{name}", "replies", {"stream": script}, NOTHING)
            yield Case(f"ask-{name}", "ask", {"stream": script}, NO_REPLY, timeout=1.0)


def _bytewise(data: bytes, seconds: float) -> Iterator[Step]:
    for number in range(len(data)):
        yield data[number : number + 1]
        yield seconds


def _flushed(data: bytes) -> bytes:
    compress = zlib.compressobj(9, zlib.DEFLATED, 31)
    return compress.compress(data) + compress.flush(zlib.Z_SYNC_FLUSH)


def on_send(make: Callable[[], Iterable[Step]]) -> Script:
    """A stream that says this when a message has come."""

    def stream(request: Request) -> Iterator[Step]:
        assert request.server is not None
        yield STREAM
        while not request.server.count("send"):
            yield 0.02
        yield 0.05
        yield from make()
        yield End.HOLD

    return stream


def lists() -> Iterator[Case]:
    """Histories that lead in circles, never end, or list what is none of the thread's."""

    def always_new(make: Callable[[int], object]) -> Script:
        numbers = count()

        def script(_: Request) -> Iterator[Step]:
            number = next(numbers)
            yield as_json(page(make(number), f"c-{number}-{time.monotonic_ns()}"))

        return script

    at = "2026-01-01T00:00:00Z"
    rows = [message(f"o-{number}", "old", direction="INBOUND", createdAt=at) for number in range(3)]

    def loop(request: Request) -> Iterator[Step]:
        found = re.search(r"cursor=c-(\d)", request.target)
        yield as_json(page(rows, f"c-{(int(found[1]) + 1) % 3 if found else 0}"))

    hostile: dict[str, tuple[Script, tuple[object, ...]]] = {
        "the_same_messages_under_new_cursors": (always_new(lambda _: rows), (["old"] * 3, *DECODE, *NO_ANSWER)),
        "empty_pages_under_new_cursors": (always_new(lambda _: []), ([], *DECODE, *NO_ANSWER)),
        "the_cursor_just_asked_for": (says(as_json(page(rows, "c-0"))), (["old"] * 3, *DECODE)),
        "a_loop_of_three_cursors": (loop, (["old"] * 3, *DECODE)),
        "a_page_of_15_mib": (
            large(
                b'{"thread": {"messages": [{"id": "m-9", "createdAt": "2026-01-01T00:00:00Z", "messageBody": "',
                BLOCK,
                240,
                b'"}], "pagination": {}}}',
            ),
            (ANY, *DECODE),
        ),
        "a_page_of_many_tiny_messages": (
            large(
                b'{"thread": {"messages": [',
                b'{"id":"1","messageBody":""},' * 2300,
                240,
                b'{"id":"2","messageBody":""}], "pagination": {}}}',
            ),
            (ANY, *DECODE),
        ),
        "messages_that_are_no_list": (says(as_json(page({"id": "m-1"}))), DECODE),
        "messages_that_are_null": (says(as_json(page(None))), DECODE),
        "messages_that_are_a_string": (says(as_json(page("messages"))), DECODE),
        "rows_that_are_no_messages": (says(as_json(page([1, None, [], "x", {}]))), DECODE),
        "rows_100000_deep": (
            says(whole(b'{"thread": {"messages": [{"id": "1", "messageBody": ' + b"[" * DEEP + b"]" * DEEP + b"}]}}")),
            DECODE,
        ),
    }
    for name, pagination in {"a_list": [], "a_string": "c", "a_number": 10**400, "null": None}.items():
        data = {"thread": {"messages": [], "pagination": pagination}}
        hostile[f"pagination_that_is_{name}"] = (says(as_json(data)), ([], *DECODE))
    for name, cursor in {
        "of_1_mb": "c" * MEBI,
        "with_controls": "\x1b\r\n\0\u202e",
        "that_is_a_surrogate": "\ud800",
        "of_4000_digits": 10**4000,
        "that_is_an_object": {},
        "that_is_true": True,
        "that_is_empty": "",
        "like_a_path": "../../x?y#z&limit=9",
    }.items():
        script = in_turn(says(as_json(page(rows[:1], cursor))), says(as_json(page(rows[1:]))))
        some = (["old"] * 3, ["old"], *DECODE, *CONNECTION)
        yield Case(f"list-a_cursor_{name}", "list", {"list": script}, some)
        lost = {"send": says(End.CLOSE), "list": script}
        yield Case(f"send-lost-a_cursor_{name}", "send", lost, UNKNOWN, retries=2)
    for name, (script, ends) in hostile.items():
        yield Case(f"list-{name}", "list", {"list": script}, ends, timeout=1.0)
        yield Case(f"send-lost-{name}", "send", {"send": says(End.CLOSE), "list": script}, UNKNOWN, retries=2)
        no_stream = {"stream": says(whole(b"", "404 No")), "list": script}
        if name in {"the_same_messages_under_new_cursors", "a_loop_of_three_cursors", "messages_that_are_no_list"}:
            yield Case(f"replies-{name}", "replies", no_stream, NOTHING, patience=1.3)


def odd_rows() -> Iterator[Case]:
    """Histories with messages of odd times, of other threads, and of one id."""
    for name, at in ODD_TIMES.items():
        script = listing(lambda at=at: page([message("m-1", "good", createdAt=at)]))  # type: ignore[misc]
        yield Case(f"list-a_time_{name}", "list", {"list": script}, GOOD)
        own = listing(lambda at=at: page([message("m-1", "hello", direction="INBOUND", createdAt=at)]))  # type: ignore[misc]
        yield Case(f"send-lost-found-a_time_{name}", "send", {"send": says(End.CLOSE), "list": own}, (*UNKNOWN, "m-1"))

    def mixed() -> object:
        others = [message(f"x-{n}", "of another thread", threadId=OTHER_THREAD) for n in range(2)]
        return page([others[0], message("m-1", "one"), others[1], message("m-2", "two", 0.6)])

    yield Case("list-messages_of_another_thread", "list", {"list": listing(mixed)}, (["one", "two"],))
    no_stream = {"stream": says(whole(b"", "404 No")), "list": listing(mixed)}
    yield Case("replies-messages_of_another_thread", "replies", no_stream, (["one", "two"],), patience=1.6)
    foreign = listing(lambda: page([message("x-1", "hello", direction="INBOUND", threadId=OTHER_THREAD)]))
    yield Case(
        "send-lost-found_in_another_thread", "send", {"send": says(End.CLOSE), "list": foreign}, UNKNOWN, retries=2
    )
    mine = listing(lambda: page([message("m-5", "hello", 0.05, direction="INBOUND")]))
    yield Case("send-lost-found", "send", {"send": says(End.CLOSE), "list": mine}, (*UNKNOWN, "m-5"), retries=2)

    def twins(request: Request) -> Iterable[Step]:
        assert request.server is not None
        # Both were made once, whenever they are listed.
        at = request.server.born
        return [as_json(page([message("m-1", "one", createdAt=at), message("m-1", "two", createdAt=later(at))]))]

    yield Case("list-one_id_for_two_messages", "list", {"list": twins}, (["one", "two"],))
    without_stream = {"stream": says(whole(b"", "404 No")), "list": twins}
    yield Case("replies-one_id_for_two_listed", "replies", without_stream, (["one", "two"],), patience=1.6)
    for name, script in {"messages_of_another_thread": listing(mixed), "one_id_for_two_messages": twins}.items():
        lost = {"send": says(End.CLOSE), "list": script}
        yield Case(f"send-lost-{name}", "send", lost, UNKNOWN, retries=2)
    surrogates = listing(lambda: page([message("\ud800", "\udfff", seconds=0.1), message("m-2", HARMFUL)]))
    yield Case("list-odd_texts", "list", {"list": surrogates}, (["\udfff", HARMFUL], *DECODE))
    long = listing(lambda: page([message("x" * MEBI, "good")]))
    yield Case("list-an_id_of_1_mb", "list", {"list": long}, (*GOOD, *DECODE))
    for status in ("400 Bad", "404 No", "500 No"):
        refused = {"send": says(End.CLOSE), "list": says(whole(b"{}", status))}
        yield Case(f"send-lost-history_{status[:3]}", "send", refused, UNKNOWN, retries=2)


def connections() -> Iterator[Case]:
    """Connections that are silent, slow, closed or reset, at each point of an answer."""
    answers = {
        "get": as_json({"thread": {"id": THREAD_ID}}),
        "create": as_json({"thread": {"id": THREAD_ID}}),
        "list": as_json(page([])),
        "send": as_json({"messageId": "m-1"}),
    }
    for call, answer in answers.items():
        body = answer.index(b"\r\n\r\n") + 4
        late: tuple[object, ...] = UNKNOWN if call == "send" else (APITimeoutError,)
        lost: tuple[object, ...] = UNKNOWN if call == "send" else CONNECTION
        for name, script, ends in (
            ("silence", says(End.HOLD), late),
            ("a_head_that_drips", dripping(answer, 0.05), late),
            ("a_body_that_drips", lambda _, a=answer, b=body: chain([a[:b]], _bytewise(a[b:], 0.2)), late),
            ("closed_before_the_head", says(End.CLOSE), lost),
            ("closed_in_the_head", says(answer[:20], End.CLOSE), lost),
            ("closed_after_the_head", says(answer[:body], End.CLOSE), lost),
            ("closed_in_the_body", says(answer[:-3], End.CLOSE), lost),
            ("reset_before_the_head", says(End.RESET), lost),
            ("reset_in_the_head", says(answer[:20], 0.05, End.RESET), lost),
            ("reset_after_the_head", says(answer[:body], 0.05, End.RESET), lost),
            ("reset_in_the_body", says(answer[:-3], 0.05, End.RESET), lost),
        ):
            if call in {"get", "send"} or name in {"silence", "a_body_that_drips", "reset_in_the_body"}:
                yield Case(f"{call}-{name}", call, {call: script}, ends, retries=2 if call == "send" else 0)
    flaky = in_turn(says(End.RESET), FRIENDLY["get"])
    yield Case("get-reset_once", "get", {"get": flaky}, (GOT,), timeout=1.5, retries=1)


CASES: Final = [
    *unreadable(),
    *bodies(),
    *packings(),
    *heads(),
    *waits_and_words(),
    *retries(),
    *floods(),
    *no_messages(),
    *odd_messages(),
    *no_streams(),
    *lists(),
    *odd_rows(),
    *connections(),
]


# The key, in the forms in which a server may echo it.


def echoes() -> Iterator[tuple[str, str, Script]]:
    """What is asked, and an answer that shows the key."""
    spelled = {
        "plain": KEY,
        "json_escaped": KEY.replace("/", r"\/").replace("+", r"\u002B"),
        "unicode_escaped": "".join(f"\\u{ord(letter):04x}" for letter in KEY),
        "percent_escaped": "".join(letter if letter.isalnum() else f"%{ord(letter):02X}" for letter in KEY),
    }
    for name, text in spelled.items():
        raw = text.encode()
        body = b'{"code": "C", "message": "no key %s here", "more": {"%s": ["%s"]}}' % (raw, raw, raw)
        yield f"get-error-{name}", "get", says(whole(body, "403 No"))
        yield f"get-error-text-{name}", "get", says(whole(b"no key <%s>" % raw, "500 No", media="text/plain"))
        yield f"get-long-text-{name}", "get", says(whole(b"x" * 190 + raw + b"y" * 99, "400 No", media="text/plain"))
        yield f"get-cut-json-{name}", "get", says(whole(body[:-20], "404 No"))
        yield f"get-success-{name}", "get", says(whole(body))
        yield f"get-success-text-{name}", "get", says(whole(b"<html>%s" % raw))
        yield f"send-success-{name}", "send", says(whole(body))
        yield f"send-error-{name}", "send", says(whole(body, "500 No"))
        yield f"ask-error-{name}", "ask", says(whole(body, "400 No"))
    plain = KEY.encode()
    odd_field = b"X-API-Key: " + plain
    as_name = KEY.replace("/", "-").replace("=", "-").encode()
    yield "get-field", "get", says(whole(b"{}", "401 No", odd_field, b"X-Request-Id: " + plain, b"Location: /" + plain))
    yield "get-request-id", "get", says(whole(b"{}", "404 No", b"X-Request-Id: a" + plain + b"b"))
    yield (
        "get-location",
        "get",
        says(whole(b"", "302 Found", b"Location: https://x/?key=" + spelled["percent_escaped"].encode())),
    )
    yield "get-reason", "get", says(b"HTTP/1.1 404 " + plain + b"\r\nContent-Length: 0\r\n\r\n")
    yield "get-status-line", "get", says(b"HTTP/1.1 " + plain + b"\r\n\r\n", End.CLOSE)
    yield "get-no-http", "get", says(plain * 3 + b"\r\n\r\n", End.CLOSE)
    yield "get-broken-field", "get", says(b"HTTP/1.1 200 OK\r\n" + plain + b"\r\n\r\n", End.CLOSE)
    yield "get-broken-length", "get", says(b"HTTP/1.1 200 OK\r\nContent-Length: " + plain + b"\r\n\r\n", End.CLOSE)
    yield (
        "get-broken-chunk",
        "get",
        says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + plain + b"\r\n", End.CLOSE),
    )
    yield "get-encoding", "get", says(whole(b"{}", "404 No", b"Content-Encoding: " + plain))
    yield "send-no-http", "send", says(plain * 3 + b"\r\n\r\n", End.CLOSE)
    yield (
        "get-field-name",
        "get",
        says(whole(b"{}", "404 No", as_name + b": x", plain.replace(b"/", b"").replace(b"=", b"") + b": y")),
    )


# Connections on which an answer comes that nobody asked for. Each takes a whole connection.


def thread_answer(thread_id: str) -> bytes:
    return as_json({"thread": {"id": thread_id}})


def second_answer(delay: float) -> Callable[[Hostile, socket.socket], None]:
    """After the first answer of a connection comes another one, for another thread; the next ones are right."""

    def take(server: Hostile, connection: socket.socket) -> None:
        first = True
        while raw := read_request(connection):
            server.seen.append(raw)
            right = thread_answer(Request(raw).thread_id)
            stray = thread_answer(OTHER_THREAD) if first else b""
            connection.sendall(right if delay else right + stray)
            if delay and first:
                time.sleep(delay)
                connection.sendall(stray)
            first = False

    return take


def answer_before_the_request(server: Hostile, connection: socket.socket) -> None:
    """The answer is there before anything was asked."""
    connection.sendall(thread_answer(OTHER_THREAD))
    while raw := read_request(connection):
        server.seen.append(raw)
        connection.sendall(thread_answer(Request(raw).thread_id))


def closed_when_used_again(server: Hostile, connection: socket.socket) -> None:
    """The connection is closed when its second request comes."""
    raw = read_request(connection)
    server.seen.append(raw)
    connection.sendall(thread_answer(Request(raw).thread_id))
    connection.recv(1, socket.MSG_PEEK)
    finish(connection, End.RESET)


def first_closed_when_used_again(server: Hostile, connection: socket.socket) -> None:
    """As above, but the connections after the first are kept, and every operation is answered as it should be."""
    kept = server.connections > 1
    answered = 0
    while raw := read_request(connection):
        if answered and not kept:
            finish(connection, End.RESET)
            return
        server.seen.append(raw)
        answered += 1
        request = Request(raw, server)
        for step in FRIENDLY[request.operation](request):
            assert isinstance(step, bytes)
            connection.sendall(step)


def closed_after_each(server: Hostile, connection: socket.socket) -> None:
    """The connection is closed behind each answer, though the head says that it is kept."""
    raw = read_request(connection)
    if raw:
        server.seen.append(raw)
        connection.sendall(thread_answer(Request(raw).thread_id))


def too_many_bytes(server: Hostile, connection: socket.socket) -> None:
    """Behind each answer come some bytes that are no HTTP."""
    while raw := read_request(connection):
        server.seen.append(raw)
        connection.sendall(thread_answer(Request(raw).thread_id) + b"\0\xffgarbage\r\n\r\n")


STRAYS: Final[dict[str, Callable[[Hostile, socket.socket], None]]] = {
    "right_behind": second_answer(0),
    "5_ms_later": second_answer(0.005),
    "50_ms_later": second_answer(0.05),
    "before_the_request": answer_before_the_request,
    "closed_when_used_again": closed_when_used_again,
    "closed_after_each": closed_after_each,
    "too_many_bytes": too_many_bytes,
}
