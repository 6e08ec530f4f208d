"""Answers of servers that repeat the key of a request, and answers that make a call fail."""

from __future__ import annotations

import socket
from contextlib import suppress
from urllib.parse import quote

from raw_server import ANSWER, OK, json_answer


def in_the_body(text: str) -> bytes:
    return json_answer({"message": text, "code": text, text: [text]}, "400 Bad Request")


def in_json_escapes(text: str) -> bytes:
    body = '{"message": "' + "".join(f"\\u{ord(one):04x}" for one in text) + '"}'
    return b"HTTP/1.1 403 No\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body.encode())


def in_percent_escapes(text: str) -> bytes:
    return json_answer({"message": quote(text), "url": "".join(f"%{ord(one):02X}" for one in text)}, "409 Conflict")


def in_a_success(text: str) -> bytes:
    return json_answer([text, {text: f"key={text}"}])


def in_broken_json(text: str) -> bytes:
    body = f'{{"message": "{text}'.encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def in_a_broken_encoding(text: str) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(text)}\r\n\r\n"
    return (head + text).encode()


def in_a_header_value(text: str) -> bytes:
    fields = f"X-Request-Id: {text}\r\nRetry-After: {text}\r\nX-Echo: {text}\r\nContent-Length: 0\r\n\r\n"
    return f"HTTP/1.1 404 No\r\n{fields}".encode()


def in_a_header_name(text: str) -> bytes:
    return f"HTTP/1.1 404 No\r\nX-{text}: yes\r\n{text}: yes\r\nContent-Length: 0\r\n\r\n".encode()


def in_the_reason(text: str) -> bytes:
    return f"HTTP/1.1 422 {text}\r\nContent-Length: 0\r\n\r\n".encode()


def in_a_redirect(text: str) -> bytes:
    return f"HTTP/1.1 302 Found\r\nLocation: https://elsewhere/{text}?key={text}\r\nContent-Length: 0\r\n\r\n".encode()


def without_http(text: str) -> bytes:
    return f"{text} is no key\r\n\r\n".encode()


def in_a_broken_header(text: str) -> bytes:
    return f"HTTP/1.1 200 OK\r\n{text} {text}\x01\r\n\r\n".encode()


ECHOES = [
    in_the_body,
    in_json_escapes,
    in_percent_escapes,
    in_a_success,
    in_broken_json,
    in_a_broken_encoding,
    in_a_header_value,
    in_a_header_name,
    in_the_reason,
    in_a_redirect,
    without_http,
    in_a_broken_header,
]


def never(_: bytes, connection: socket.socket) -> None:
    """Send no head."""
    with suppress(OSError):
        connection.recv(1)


def cut(_: bytes, __: socket.socket) -> None:
    """Close the connection without a response."""


def cut_in_the_body(_: bytes, connection: socket.socket) -> None:
    connection.sendall(OK + b"\r\n" + ANSWER[:4])


def unauthorized(_: bytes, __: socket.socket) -> bytes:
    return json_answer({"message": "no"}, "401 Unauthorized")


def failed(_: bytes, __: socket.socket) -> bytes:
    return json_answer({"status": 500, "message": "no", "code": "NO", "success": False}, "500 No")


ENDS = [never, cut, cut_in_the_body, unauthorized, failed]
