"""Hostile cases: bodies that are too large, and bodies with a wrong length, wrong chunks or wrong compression."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain, repeat
from typing import Final

from featherhq import (
    APITimeoutError,
    NotFoundError,
)
from hostile import (
    MEBI,
    PIECE,
    End,
    Request,
    Script,
    Step,
    bytewise,
    deflated,
    endless,
    head,
    large,
    says,
    whole,
)
from hostile_case import (
    BLOCK,
    CONNECTION,
    DECODE,
    GOT,
    NO_RESPONSE,
    NOTHING,
    TEXT,
    UNKNOWN,
    ZIP_FIRST,
    ZIP_MORE,
    Case,
)

RAW_FIRST, RAW_MORE = deflated(b"a" * MEBI, -15)
ZLIB_FIRST, ZLIB_MORE = deflated(b"a" * MEBI, 15)
# Each block becomes 16 MiB of the letter "a". The encoder made it at its highest level.
BROTLI_FIRST: Final = bytes.fromhex("cfffff7ff825c2e2b14020f7fedf00")
BROTLI_MORE: Final = bytes.fromhex("fcffff875f02200e0b0074efff0d")
# A frame with a window of 8 MiB. Each block means "128 KiB of this byte" (RFC 8878 section 3.1.1.2).
ZSTD_FIRST: Final = bytes.fromhex("28b52ffd0068")
ZSTD_MORE: Final = ((128 * 1024 << 3) | 2).to_bytes(3, "little") + b"a"
GZIPPED: Final = gzip.compress(TEXT)


def _packed(encoding: bytes, first: bytes, more: bytes, times: int, status: str) -> Script:
    """A response with a compressed body that becomes very large."""
    fields = (b"Content-Encoding: " + encoding, b"Connection: close")
    return lambda _: chain([head(status, *fields), first], repeat(more, times), [End.CLOSE])


def _nested_bomb(status: str) -> Script:
    """A response with a body that was compressed twice and becomes very large."""
    inner = ZIP_FIRST + ZIP_MORE * 1024
    return says(head(status, b"Content-Encoding: gzip, gzip", b"Connection: close"), gzip.compress(inner), End.CLOSE)


SIZES: Final[dict[str, Callable[[str], Script]]] = {
    "64_mib": lambda status: large(b'{"x": "', BLOCK, 1024, b'"}', status),
    "endless": lambda status: endless(head(status, b"Connection: close"), BLOCK),
    "endless_chunks": lambda status: endless(
        head(status, b"Transfer-Encoding: chunked"), b"%x\r\n%s\r\n" % (len(BLOCK), BLOCK)
    ),
    "endless_tiny_chunks": lambda status: endless(head(status, b"Transfer-Encoding: chunked"), b"1\r\na\r\n" * 8192),
    "a_gzip_bomb": lambda status: _packed(b"gzip", ZIP_FIRST, ZIP_MORE, 1024, status),
    "a_zlib_bomb": lambda status: _packed(b"deflate", ZLIB_FIRST, ZLIB_MORE, 1024, status),
    "a_raw_deflate_bomb": lambda status: _packed(b"deflate", RAW_FIRST, RAW_MORE, 1024, status),
    "a_brotli_bomb": lambda status: _packed(b"br", BROTLI_FIRST, BROTLI_MORE, 64, status),
    "a_zstd_bomb": lambda status: _packed(b"zstd", ZSTD_FIRST, ZSTD_MORE, 8192, status),
    "a_gzip_bomb_in_a_gzip": _nested_bomb,
}


LENGTHS: Final[dict[str, tuple[tuple[Step, ...], tuple[object, ...]]]] = {
    "too_long_closed": ((head(length=9999), TEXT, End.CLOSE), CONNECTION),
    "too_long_held": ((head(length=9999), TEXT, End.HOLD), (APITimeoutError,)),
    "too_short": ((head(length=9), TEXT), DECODE),
    "zero": ((head(length=0), TEXT), DECODE),
    "negative": ((head("200 OK", b"Content-Length: -1"), TEXT, End.CLOSE), (*CONNECTION, GOT)),
    "no_number": ((head("200 OK", b"Content-Length: many"), TEXT, End.CLOSE), (*CONNECTION, GOT)),
    "of_5000_digits": ((head("200 OK", b"Content-Length: " + b"9" * 5000), TEXT, End.CLOSE), NO_RESPONSE),
    "repeated": ((head("200 OK", b"Content-Length: %d" % len(TEXT), length=len(TEXT)), TEXT), (*CONNECTION, GOT)),
    "repeated_and_different": ((head("200 OK", b"Content-Length: 2", length=len(TEXT)), TEXT), CONNECTION),
    "beside_chunks": (
        (head("200 OK", b"Transfer-Encoding: chunked", length=3), b"%x\r\n%s\r\n0\r\n\r\n" % (len(TEXT), TEXT)),
        (*CONNECTION, GOT),
    ),
}


def bodies() -> Iterator[Case]:
    """Bodies that are too large or have no end."""
    for name, make in SIZES.items():
        slow = NO_RESPONSE if name == "endless_tiny_chunks" else ()
        yield Case(f"get-{name}", "get", {"get": make("200 OK")}, (*DECODE, *slow), timeout=1.0)
        if name in {"64_mib", "endless", "endless_tiny_chunks", "a_gzip_bomb", "a_gzip_bomb_in_a_gzip"}:
            yield Case(f"get-404-{name}", "get", {"get": make("404 No")}, (NotFoundError, *slow), timeout=1.0)
            yield Case(f"send-{name}", "send", {"send": make("200 OK")}, UNKNOWN, timeout=1.0)
    for name in ("64_mib", "endless", "a_gzip_bomb"):
        make = SIZES[name]
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


def lengths() -> Iterator[Case]:
    """Responses whose length is wrong."""
    for name, (steps, ends) in LENGTHS.items():
        yield Case(f"get-a_length_{name}", "get", {"get": says(*steps)}, ends)
    for name in ("too_long_closed", "too_long_held", "too_short", "repeated_and_different"):
        yield Case(f"send-a_length_{name}", "send", {"send": says(*LENGTHS[name][0])}, UNKNOWN, retries=2)


def chunks() -> Iterator[Case]:
    """Bodies in chunks that are wrong."""
    chunked = head("200 OK", b"Transfer-Encoding: chunked")
    chunk = b"%x\r\n%s\r\n" % (len(TEXT), TEXT)
    odd: dict[str, tuple[Script, tuple[object, ...]]] = {
        "an_extension_of_1_mb": (
            says(chunked, b"%x;%s\r\n%s\r\n0\r\n\r\n" % (len(TEXT), b"x" * MEBI, TEXT)),
            (GOT, *CONNECTION),
        ),
        "an_endless_size": (endless(chunked, b"0" * PIECE), NO_RESPONSE),
        "an_endless_extension": (endless(chunked + b"1;", b"x" * PIECE), NO_RESPONSE),
        "endless_trailers": (endless(chunked + chunk + b"0\r\n", b"X-Trailer: x\r\n" * 4096), (GOT, *NO_RESPONSE)),
        "an_endless_trailer": (endless(chunked + chunk + b"0\r\nX: ", b"x" * PIECE), (GOT, *NO_RESPONSE)),
        "no_end": (says(chunked, chunk, End.HOLD), (APITimeoutError,)),
        "cut_off": (says(chunked, chunk, End.CLOSE), CONNECTION),
    }
    for name, (script, ends) in odd.items():
        yield Case(f"get-chunks-{name}", "get", {"get": script}, ends)
    for name, bad in {
        "no_number": b"zz\r\n",
        "negative": b"-5\r\n",
        "of_5000_digits": b"f" * 5000 + b"\r\n",
        "no_line_end": chunk[:-2] + b"0\r\n\r\n",
    }.items():
        # The head and the body may come together or not.
        yield Case(f"get-chunks-{name}-at_once", "get", {"get": says(chunked + bad, End.CLOSE)}, CONNECTION)
        yield Case(f"get-chunks-{name}-later", "get", {"get": says(chunked, 0.05, bad, End.CLOSE)}, CONNECTION)
        yield Case(f"get-chunks-{name}-held", "get", {"get": says(chunked, 0.05, bad, End.HOLD)}, NO_RESPONSE)


HALF: Final = len(TEXT) // 2
MEMBERS: Final = gzip.compress(TEXT[:HALF]) + gzip.compress(TEXT[HALF:])
RAW: Final = zlib.compressobj(9, zlib.DEFLATED, -15)
PACKED: Final[dict[str, tuple[bytes, bytes, tuple[object, ...]]]] = {
    "cut_off": (b"gzip", GZIPPED[:-12], (*CONNECTION, *DECODE)),
    "without_its_check": (b"gzip", GZIPPED[:-8], (*CONNECTION, *DECODE, GOT)),
    "with_a_wrong_check": (b"gzip", GZIPPED[:-8] + b"\0" * 8, (*CONNECTION, *DECODE)),
    "of_several_members": (b"gzip", MEMBERS, (GOT,)),
    "with_garbage_after_it": (b"gzip", GZIPPED + b"garbage" * 99, (GOT, *CONNECTION, *DECODE)),
    "that_is_none": (b"gzip", TEXT, (*CONNECTION, *DECODE)),
    "that_is_empty": (b"gzip", b"", (*CONNECTION, *DECODE)),
    "deflate": (b"deflate", zlib.compress(TEXT), (GOT,)),
    "raw_deflate": (b"deflate", RAW.compress(TEXT) + RAW.flush(), (GOT,)),
    "twice": (b"gzip, gzip", gzip.compress(GZIPPED), (GOT, *CONNECTION, *DECODE)),
    "99_times": (b", ".join([b"gzip"] * 99), GZIPPED, (*CONNECTION, *DECODE)),
    "unknown": (b"rot13", TEXT, (GOT, *CONNECTION, *DECODE)),
    "identity": (b"identity", TEXT, (GOT,)),
    "nameless": (b",,;q=\x01,", TEXT, (GOT, *CONNECTION, *DECODE)),
    "named_in_1_mb": (b"x" * 60_000, TEXT, (GOT, *CONNECTION, *DECODE)),
    "brotli_that_is_none": (b"br", TEXT, (GOT, *CONNECTION, *DECODE)),
    "zstd_that_is_none": (b"zstd", TEXT, (GOT, *CONNECTION, *DECODE)),
}


def packings() -> Iterator[Case]:
    """Bodies whose compression is wrong or unusual."""
    for name, (encoding, body, ends) in PACKED.items():
        script = says(whole(body, "200 OK", b"Content-Encoding: " + encoding))
        yield Case(f"get-packed-{name}", "get", {"get": script}, ends)
    for name in ("of_several_members", "with_garbage_after_it", "deflate", "raw_deflate"):
        encoding, body, ends = PACKED[name]
        start = head("200 OK", b"Content-Encoding: " + encoding, length=len(body))
        script = partial(_head_and_bytes, start, body)
        yield Case(f"get-packed-{name}-byte_by_byte", "get", {"get": script}, ends, timeout=2.0)
    for name in ("cut_off", "with_a_wrong_check", "that_is_none"):
        encoding, body, _ = PACKED[name]
        script = says(whole(body, "200 OK", b"Content-Encoding: " + encoding))
        yield Case(f"send-packed-{name}", "send", {"send": script}, UNKNOWN, retries=2)
        failed = says(whole(body, "404 Not Found", b"Content-Encoding: " + encoding))
        yield Case(f"get-404-packed-{name}", "get", {"get": failed}, (NotFoundError, *CONNECTION))


def _head_and_bytes(start: bytes, body: bytes, _: Request) -> Iterable[Step]:
    """A head, and a body whose first bytes come one by one."""
    return chain([start], bytewise(body[:99], 0.002), [body[99:]])
