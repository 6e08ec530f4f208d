"""A server on the loopback interface. It answers each request with what it was told last, and keeps the request."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from http import HTTPStatus
from typing import BinaryIO

from attrs import frozen


@frozen
class Request:
    """A request.

    Attributes:
        method: Its method.
        target: Its path and query, as they were sent.
        headers: Its headers. All names are in lower case. Equal names are joined with a line break.
        body: Its body.
    """

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class Server:
    """The server. One call is made at a time, so there is one answer at a time.

    Attributes:
        url: Its URL.
        seen: The requests since they were cleared.
    """

    def __init__(self) -> None:
        self.seen: list[Request] = []
        self._answer = b""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def answer_with(self, status: int, media: str | None, content: bytes) -> None:
        """Give all following requests this answer."""
        lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
        if media is not None:
            lines += [f"Content-Type: {media}"]
        if status != HTTPStatus.NO_CONTENT:
            lines += [f"Content-Length: {len(content)}"]
        self._answer = "".join(f"{line}\r\n" for line in [*lines, ""]).encode() + content

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with suppress(OSError), connection, connection.makefile("rb") as stream:
            while (request := _read(stream)) is not None:
                self.seen.append(request)
                connection.sendall(self._answer)


def _read(stream: BinaryIO) -> Request | None:
    """The next request, or `None` at the end of the connection."""
    first = stream.readline().decode("latin-1").split()
    if not first:
        return None
    headers: dict[str, str] = {}
    while line := stream.readline().decode("utf-8", "surrogateescape").rstrip("\r\n"):
        name, _, value = line.partition(":")
        name, value = name.lower(), value.strip()
        headers[name] = f"{headers[name]}\n{value}" if name in headers else value
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = b""
        while size := int(stream.readline(), 16):
            body += stream.read(size)
            stream.readline()
        stream.readline()
    else:
        body = stream.read(int(headers.get("content-length", 0)))
    return Request(first[0], first[1], headers, body)
