"""Hostile responses that show the API key, in each form in which a server may spell it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from hostile import (
    KEY,
    End,
    Script,
    says,
    whole,
)

SPELLED: Final = {
    "plain": KEY,
    "json_escaped": KEY.replace("/", r"\/").replace("+", r"\u002B"),
    "unicode_escaped": "".join(f"\\u{ord(letter):04x}" for letter in KEY),
    "percent_escaped": "".join(letter if letter.isalnum() else f"%{ord(letter):02X}" for letter in KEY),
}


def echoes() -> Iterator[tuple[str, str, Script]]:
    """Calls, and responses with the key in their bodies."""
    for name, text in SPELLED.items():
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


def echoes_in_fields() -> Iterator[tuple[str, str, Script]]:
    """Calls, and responses with the key in a header field or in a broken head."""
    plain = KEY.encode()
    odd_field = b"X-API-Key: " + plain
    as_name = KEY.replace("/", "-").replace("=", "-").encode()
    yield "get-field", "get", says(whole(b"{}", "401 No", odd_field, b"X-Request-Id: " + plain, b"Location: /" + plain))
    yield "get-request-id", "get", says(whole(b"{}", "404 No", b"X-Request-Id: a" + plain + b"b"))
    yield (
        "get-location",
        "get",
        says(whole(b"", "302 Found", b"Location: https://x/?key=" + SPELLED["percent_escaped"].encode())),
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
