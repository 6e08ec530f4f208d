"""Hostile cases: event streams."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain, repeat
from typing import Final

from hostile import (
    MEBI,
    OTHER_THREAD,
    PIECE,
    End,
    Request,
    Step,
    bytewise,
    deflated,
    dripping,
    endless,
    event,
    flushed_gzip,
    good_event,
    head,
    message,
    on_send,
    same_event,
    says,
    streaming,
    whole,
)
from hostile_case import (
    DEEP,
    GOOD,
    HARMFUL,
    NO_REPLY,
    NOTHING,
    ODD_TIMES,
    ZIP_FIRST,
    ZIP_MORE,
    ZIPPED,
    Case,
)
from raw_server import STREAM


def retry_fields() -> Iterator[Case]:
    """Streams that ask for an impossible delay before the next connection."""
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
        ended = partial(said_and_closed, wish)
        yield Case(f"replies-retry_{name}-and_the_end", "replies", {"stream": ended}, GOOD, patience=0.8)


def said_and_closed(before: bytes, request: Request) -> Iterable[Step]:
    """A stream that sends these bytes and a message, and ends."""
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


def _own_messages(_: Request) -> Iterable[Step]:
    """A stream that sends the user's own message without an end."""
    return chain([STREAM], repeat(event(message("m-0", "mine", direction="INBOUND")) * 200))


def _copies(request: Request) -> Iterable[Step]:
    """A stream that sends the same message without an end."""
    return chain([STREAM], repeat(same_event(request) * 200))


def _huge_event(_: Request) -> Iterable[Step]:
    """A stream that sends an event of 100 MB, and a message."""
    return chain([STREAM], repeat(b"data: " + b"x" * PIECE + b"\n", 1600), [b"\n", good_event(), End.HOLD])


def _bytewise_event(_: Request) -> Iterable[Step]:
    """A stream that sends a message byte by byte."""
    return chain([STREAM], bytewise(good_event(), 0.001), [End.HOLD])


def _slow_bytes(_: Request) -> Iterable[Step]:
    """A stream that sends a byte from time to time, without an end."""
    return chain([STREAM], chain.from_iterable(repeat((b"x", 0.02))))


def floods() -> Iterator[Case]:
    """Streams that send without an end."""
    for name, block in FLOODS.items():
        script = endless(STREAM, block)
        yield Case(f"replies-endless_{name}", "replies", {"stream": script}, NOTHING, ticks=True)
        if name in {"heartbeats", "blank_lines", "empty_objects", "one_line", "one_event"}:
            yield Case(f"chat_ask-endless_{name}", "chat_ask", {"stream": script}, NO_REPLY, timeout=1.0, ticks=True)
    for name in ("heartbeats", "empty_objects", "one_line"):
        script = endless(STREAM, FLOODS[name])
        yield Case(f"ask-endless_{name}", "ask", {"stream": script}, NO_REPLY, timeout=1.0, ticks=True)

    yield Case("replies-endless_own_messages", "replies", {"stream": _own_messages}, NOTHING)
    yield Case("replies-endless_copies", "replies", {"stream": _copies}, GOOD, ticks=True)
    yield Case("replies-an_event_of_100_mb", "replies", {"stream": _huge_event}, (*NOTHING, *GOOD), timeout=1.0)
    yield Case("replies-byte_by_byte", "replies", {"stream": _bytewise_event}, GOOD, patience=1.0)
    yield Case("ask-byte_by_byte_without_end", "ask", {"stream": _slow_bytes}, NO_REPLY)


def bombs() -> Iterator[Case]:
    """Streams that unpack to much more than was sent, and an endless page."""
    for name, block in {"heartbeats": b":\n", "one_line": b"x", "empty_events": b"data:\n\n"}.items():
        first, more = deflated(block * (MEBI // len(block)), 31)
        bomb = endless(ZIPPED + first, more)
        yield Case(f"replies-a_gzip_bomb_of_{name}", "replies", {"stream": bomb}, NOTHING, ticks=True)
    bomb = says(ZIPPED, ZIP_FIRST, ZIP_MORE * 1024, End.HOLD)
    yield Case("ask-a_gzip_bomb", "ask", {"stream": bomb}, NO_REPLY, timeout=1.0)
    endless_html = endless(head(media="text/html"), b"x" * PIECE)
    yield Case("replies-endless_html", "replies", {"stream": endless_html}, NOTHING, timeout=1.0)


def no_messages() -> Iterator[Case]:
    """Events that are no messages of this thread. A message of this thread follows them, and the client returns it."""
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
    """Messages with unusual ids, texts and times."""
    lines = streaming(lambda: [event(message(), b"id: " + b"i" * MEBI, b"event: " + b"e" * 1000), good_event()])
    yield Case("replies-an_event_id_of_1_mb", "replies", {"stream": lines}, (*NOTHING, *GOOD))
    some = streaming(lambda: [event(message(), b"id: " + b"i" * 900_000)])
    yield Case("replies-an_event_id_of_900_kb", "replies", {"stream": some}, GOOD)
    odd_id = partial(said_and_closed, b"id: \x1b\r\0\xff\xe2\x80\xae\nevent: \x1b[31m\n")
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
    flushed = streaming(lambda: [flushed_gzip(event(message("m-1", "one")))], ZIPPED)
    yield Case("replies-gzip_flushed", "replies", {"stream": flushed}, (["one"],))


def no_streams() -> Iterator[Case]:
    """Responses that are no event streams, and connections that break while a stream opens."""
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
