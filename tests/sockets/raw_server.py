"""A server of raw bytes. It can send what a normal HTTP server would not send."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

# A body, and the first lines of its response. A test adds header fields or the empty line between them.
ANSWER = b'{"messageId": "m-1"}'
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n" % len(ANSWER)
# The head of an event stream.
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"

Answer = bytes | Callable[[bytes, socket.socket], bytes | None]


def json_answer(data: object, status: str = "200 OK") -> bytes:
    """A whole response with JSON."""
    body = json.dumps(data).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class Peer:
    """A server of raw HTTP. It sends the responses that a test gives it, and keeps the requests.

    Args:
        answer: The response to each request. Or a function that gets the request and the connection, and returns the
            response. If it returns `None`, the connection is closed.
        tls: The TLS settings inside a tunnel, if a client asks for one.

    Attributes:
        seen: The requests, in order.
        connections: How many connections were made.
        port: The server's port.
        url: Its URL.
    """

    def __init__(self, answer: Answer = OK + b"\r\n" + ANSWER, *, tls: ssl.SSLContext | None = None) -> None:
        self.seen: list[bytes] = []
        self.connections = 0
        self._answer = answer
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        with suppress(OSError), ExitStack() as open_:
            connection = open_.enter_context(plain)
            while request := read_request(connection):
                self.seen.append(request)
                if request.startswith(b"CONNECT") and self._tls is not None:
                    connection.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
                    connection = open_.enter_context(self._tls.wrap_socket(plain, server_side=True))
                    continue
                answer = self._answer(request, connection) if callable(self._answer) else self._answer
                if answer is None:
                    return
                connection.sendall(answer)


class TLSPeer(Peer):
    """A server of raw HTTP that uses TLS from the first byte."""

    def _serve(self, plain: socket.socket) -> None:
        assert self._tls is not None
        with suppress(OSError):
            super()._serve(self._tls.wrap_socket(plain, server_side=True))


def read_request(connection: socket.socket) -> bytes:
    """Read the next request with its body. The result is empty if no request comes."""
    data = b""
    while b"\r\n\r\n" not in data and (more := connection.recv(65536)):
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
    while len(body) < length:
        body += connection.recv(65536)
    return data and head + b"\r\n\r\n" + body


@contextmanager
def black_hole() -> Iterator[int]:
    """A port of all loopback addresses where no connection is accepted. Connecting to it never ends."""
    with socket.create_server(("", 0), backlog=0) as listener, ExitStack() as open_:
        port: int = listener.getsockname()[1]
        for _ in range(8):
            filler = open_.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        yield port
