"""Hostile connections: they break during a response, or they bring bytes that belong to no request."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Final

from conftest import THREAD_ID
from featherhq import (
    APITimeoutError,
)
from hostile import (
    FRIENDLY,
    OTHER_THREAD,
    End,
    Hostile,
    Request,
    as_json,
    bytewise,
    dripping,
    finish,
    in_turn,
    page,
    says,
)
from hostile_case import (
    CONNECTION,
    GOT,
    UNKNOWN,
    Case,
)
from raw_server import read_request


def connections() -> Iterator[Case]:
    """Connections that are silent, slow, closed or reset at each point of a response."""
    responses = {
        "get": as_json({"thread": {"id": THREAD_ID}}),
        "create": as_json({"thread": {"id": THREAD_ID}}),
        "list": as_json(page([])),
        "send": as_json({"messageId": "m-1"}),
    }
    for call, response in responses.items():
        body = response.index(b"\r\n\r\n") + 4
        late: tuple[object, ...] = UNKNOWN if call == "send" else (APITimeoutError,)
        lost: tuple[object, ...] = UNKNOWN if call == "send" else CONNECTION
        for name, script, ends in (
            ("silence", says(End.HOLD), late),
            ("a_head_that_drips", dripping(response, 0.05), late),
            ("a_body_that_drips", lambda _, a=response, b=body: chain([a[:b]], bytewise(a[b:], 0.2)), late),
            ("closed_before_the_head", says(End.CLOSE), lost),
            ("closed_in_the_head", says(response[:20], End.CLOSE), lost),
            ("closed_after_the_head", says(response[:body], End.CLOSE), lost),
            ("closed_in_the_body", says(response[:-3], End.CLOSE), lost),
            ("reset_before_the_head", says(End.RESET), lost),
            ("reset_in_the_head", says(response[:20], 0.05, End.RESET), lost),
            ("reset_after_the_head", says(response[:body], 0.05, End.RESET), lost),
            ("reset_in_the_body", says(response[:-3], 0.05, End.RESET), lost),
        ):
            if call in {"get", "send"} or name in {"silence", "a_body_that_drips", "reset_in_the_body"}:
                yield Case(f"{call}-{name}", call, {call: script}, ends, retries=2 if call == "send" else 0)
    flaky = in_turn(says(End.RESET), FRIENDLY["get"])
    yield Case("get-reset_once", "get", {"get": flaky}, (GOT,), timeout=1.5, retries=1)


def thread_bytes(thread_id: str) -> bytes:
    """The response to a request to get a thread."""
    return as_json({"thread": {"id": thread_id}})


def second_response(delay: float) -> Callable[[Hostile, socket.socket], None]:
    """After the first response of a connection, another one follows, for another thread. The next responses are
    correct.
    """

    def take(server: Hostile, connection: socket.socket) -> None:
        first = True
        while raw := read_request(connection):
            server.seen.append(raw)
            right = thread_bytes(Request(raw).thread_id)
            stray = thread_bytes(OTHER_THREAD) if first else b""
            connection.sendall(right if delay else right + stray)
            if delay and first:
                time.sleep(delay)
                connection.sendall(stray)
            first = False

    return take


def response_before_the_request(server: Hostile, connection: socket.socket) -> None:
    """The server sends a response before any request."""
    connection.sendall(thread_bytes(OTHER_THREAD))
    while raw := read_request(connection):
        server.seen.append(raw)
        connection.sendall(thread_bytes(Request(raw).thread_id))


def closed_when_used_again(server: Hostile, connection: socket.socket) -> None:
    """The server closes the connection when the second request comes."""
    raw = read_request(connection)
    server.seen.append(raw)
    connection.sendall(thread_bytes(Request(raw).thread_id))
    connection.recv(1, socket.MSG_PEEK)
    finish(connection, End.RESET)


def first_closed_when_used_again(server: Hostile, connection: socket.socket) -> None:
    """The server closes the first connection when its second request comes. The other connections stay open, and all
    their responses are correct.
    """
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
    """The server closes the connection after each response, although the head says that it stays open."""
    raw = read_request(connection)
    if raw:
        server.seen.append(raw)
        connection.sendall(thread_bytes(Request(raw).thread_id))


def too_many_bytes(server: Hostile, connection: socket.socket) -> None:
    """After each response the server sends some bytes that are not HTTP."""
    while raw := read_request(connection):
        server.seen.append(raw)
        connection.sendall(thread_bytes(Request(raw).thread_id) + b"\0\xffgarbage\r\n\r\n")


STRAYS: Final[dict[str, Callable[[Hostile, socket.socket], None]]] = {
    "right_behind": second_response(0),
    "5_ms_later": second_response(0.005),
    "50_ms_later": second_response(0.05),
    "before_the_request": response_before_the_request,
    "closed_when_used_again": closed_when_used_again,
    "closed_after_each": closed_after_each,
    "too_many_bytes": too_many_bytes,
}
