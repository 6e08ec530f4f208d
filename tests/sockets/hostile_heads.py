"""Hostile cases: heads, waits in `Retry-After`, and the texts of errors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain, repeat
from typing import Final

from featherhq import (
    APIStatusError,
    APITimeoutError,
    BadRequestError,
    NotFoundError,
    RateLimitError,
    ServerError,
)
from hostile import (
    MEBI,
    PIECE,
    End,
    Script,
    as_json,
    endless,
    page,
    says,
    whole,
)
from hostile_case import (
    CONNECTION,
    DECODE,
    GOT,
    HARMFUL,
    NO_RESPONSE,
    NOTHING,
    TEXT,
    UNKNOWN,
    Case,
)

OK: Final = b"HTTP/1.1 200 OK\r\n"
REST: Final = b"Content-Length: %d\r\n\r\n%s" % (len(TEXT), TEXT)
ODD_HEADS: Final[dict[str, tuple[Script, tuple[object, ...]]]] = {
    "an_endless_head": (endless(OK, b"X-Field: x\r\n" * 4096), NO_RESPONSE),
    "an_endless_field": (endless(OK + b"X: ", b"x" * PIECE), NO_RESPONSE),
    "an_endless_name": (endless(OK, b"x" * PIECE), NO_RESPONSE),
    "an_endless_status_line": (endless(b"HTTP/1.1 200 ", b"x" * PIECE), NO_RESPONSE),
    "10000_fields": (says(OK, b"X-Field: x\r\n" * 10_000, REST), (GOT, *CONNECTION)),
    "a_reason_of_1_mb": (says(b"HTTP/1.1 200 " + b"x" * MEBI + b"\r\n", REST), (GOT, *CONNECTION)),
    "a_field_of_1_mb": (says(OK, b"X-Field: " + b"x" * MEBI + b"\r\n", REST), (GOT, *CONNECTION)),
    "a_folded_field": (says(OK, b"X-Field: x\r\n y\r\n\tz\r\n", REST), (GOT, *CONNECTION)),
    "status_999": (says(b"HTTP/1.1 999 No\r\n", REST), (APIStatusError, ServerError, *CONNECTION)),
    "status_abc": (says(b"HTTP/1.1 abc No\r\n", REST), CONNECTION),
    "status_0": (says(b"HTTP/1.1 000 No\r\n", REST), (APIStatusError, *CONNECTION)),
    "status_of_5000_digits": (says(b"HTTP/1.1 " + b"2" * 5000 + b" OK\r\n", REST), CONNECTION),
    "version_9_9": (says(b"HTTP/9.9 200 OK\r\n", REST), (GOT, *CONNECTION)),
    "version_0_9": (says(TEXT, End.CLOSE), CONNECTION),
    "endless_100_continue": (endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 512), NO_RESPONSE),
    "endless_103_hints": (endless(b"", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 512), NO_RESPONSE),
    "a_slow_100_continue": (lambda _: chain.from_iterable(repeat((b"HTTP/1.1 100 X\r\n\r\n", 0.05))), NO_RESPONSE),
    "a_switch_of_protocols": (
        says(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", End.HOLD),
        (APIStatusError, *NO_RESPONSE),
    ),
    "no_http": (says(b"220 mail.example ESMTP\r\n", End.HOLD), NO_RESPONSE),
    "binary": (says(bytes(range(256)) * 64, End.CLOSE), CONNECTION),
    "endless_binary": (endless(b"", bytes(range(256)) * 256), NO_RESPONSE),
    "endless_line_ends": (endless(b"", b"\r\n" * 32_768), NO_RESPONSE),
    "tls": (says(bytes.fromhex("1603030200020001fc0303") + b"\x8f" * 507, End.HOLD), NO_RESPONSE),
    "nul_bytes": (says(OK, b"X-Field: \0\0\r\n", REST), (GOT, *CONNECTION)),
    "status_204_with_a_body": (says(b"HTTP/1.1 204 No Content\r\n", REST), (*DECODE, *CONNECTION)),
    "status_205": (says(b"HTTP/1.1 205 Reset\r\nContent-Length: 0\r\n\r\n"), (*DECODE, *CONNECTION)),
    "status_304_with_a_body": (says(b"HTTP/1.1 304 Not Modified\r\n", REST), (APIStatusError, *CONNECTION)),
    "nothing_but_a_line_end": (says(b"\r\n\r\n", End.CLOSE), CONNECTION),
    "a_name_with_a_space": (says(OK, b"X Field : x\r\n", REST), (GOT, *CONNECTION)),
    "no_name": (says(OK, b": x\r\n", REST), (GOT, *CONNECTION)),
    "5000_cookies": (
        says(OK, b"".join(b"Set-Cookie: c%d=%d; Path=/\r\n" % (n, n) for n in range(5000)), REST),
        (GOT, *CONNECTION),
    ),
    "cookies": (
        says(OK, b"Set-Cookie: a=1\r\nSet-Cookie: b=2; Expires=Tue, 99 Foo 99999 99:99:99 GMT\r\n", REST),
        (GOT,),
    ),
    "a_date_of_the_year_99999": (says(OK, b"Date: Tue, 01 Jan 99999 00:00:00 GMT\r\n", REST), (GOT,)),
    "a_date_of_the_year_1": (says(OK, b"Date: Mon, 01 Jan 0001 00:00:00 +2359\r\n", REST), (GOT,)),
    "a_date_of_400_digits": (says(OK, b"Date: " + b"9" * 400 + b"\r\n", REST), (GOT,)),
    "a_media_type_of_60_kb": (says(OK, b"Content-Type: " + b"x/" * 30_000 + b"\r\n", REST), (GOT, *CONNECTION)),
    "an_odd_charset": (
        says(OK, b"Content-Type: application/json; charset=\xff\x80zip\r\n", REST),
        (GOT, *CONNECTION),
    ),
}


def heads() -> Iterator[Case]:
    """Heads that have no end, are not HTTP or have unprintable characters."""
    for name, (script, ends) in ODD_HEADS.items():
        yield Case(f"get-{name}", "get", {"get": script}, ends)
    for name in ("an_endless_head", "status_abc", "binary", "endless_100_continue", "tls", "status_204_with_a_body"):
        yield Case(f"send-{name}", "send", {"send": ODD_HEADS[name][0]}, UNKNOWN, retries=2)
        quiet = NOTHING if name != "status_204_with_a_body" else (*NOTHING, *DECODE)
        yield Case(f"replies-{name}", "replies", {"stream": ODD_HEADS[name][0]}, quiet)
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


WAITS: Final = {
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


def waits() -> Iterator[Case]:
    """Waits that no client could keep."""
    for name, wait in WAITS.items():
        for status, ends in (("429 Slow", (RateLimitError,)), ("503 Later", (ServerError, *UNKNOWN))):
            if status.startswith("503") and name not in {"of_400_digits", "of_5000_digits", "inf", "of_the_year_99999"}:
                continue
            call = "get" if status.startswith("429") else "send"
            script = says(whole(b"", status, b"Retry-After: " + wait))
            # Some parsers read the year 0 as 2000. Then there is no wait, as below.
            none = (APITimeoutError,) if name == "of_the_year_0" else ()
            yield Case(
                f"{call}-{status[:3]}-a_wait_{name}",
                call,
                {call: script},
                (*ends, *none, *CONNECTION),
                retries=2,
                rate_limit=50,
            )
    for name, wait in WAITS.items():
        # If `Date` has the same time, there is no wait. Then the rate limit ends the call.
        script = says(whole(b"", "429 Slow", b"Retry-After: " + wait, b"Date: " + wait[:300]))
        if name.startswith("of_the_year"):
            at_last = (RateLimitError, *NO_RESPONSE)
            yield Case(f"get-429-a_date_{name}", "get", {"get": script}, at_last, retries=2, rate_limit=50)
    too_often = says(whole(b"", "429 Slow", b"Retry-After: " + b"9" * 400))
    yield Case("replies-429-a_wait_of_400_digits", "replies", {"stream": too_often}, NOTHING, rate_limit=50)


def error_texts() -> Iterator[Case]:
    """Errors whose texts a terminal should not show."""
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


def error_fields() -> Iterator[Case]:
    """Errors with header fields that a terminal should not show."""
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
    """A receipt with this `Date`."""
    return says(as_json({"messageId": "m-1"}, "200 OK", b"Date: " + date))


def _dated_page(date: bytes) -> Script:
    """An empty page with this `Date`."""
    return says(as_json(page([]), "200 OK", b"Date: " + date))
