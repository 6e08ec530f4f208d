"""Broken or hostile servers, one test for each kind. `test_hostile.py` has more than a thousand cases."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import featherhq
import featherhq.sandbox
import pytest
from conftest import THREAD_ID, Kind
from featherhq import (
    APIConnectionError,
    FeatherError,
    ResponseDecodeError,
)
from peers import serve_peers
from raw_server import Peer, json_answer

serve = pytest.fixture(serve_peers)


def agent_message(**fields: Any) -> dict[str, Any]:
    """A message from the agent, dated far in the future, so that it is new."""
    said = {"id": "m-1", "messageBody": "one", "direction": "OUTBOUND", "createdAt": "2999-01-01T00:00:00Z"}
    return {**said, **fields}


def stream_of(*said: dict[str, Any], flood: bytes = b"") -> Callable[..., bytes | None]:
    """Serve a stream of messages, then a flood of bytes. The list of messages is empty."""

    def answer(request: bytes, connection: Any) -> bytes | None:
        if b"/stream" not in request:
            return json_answer({"thread": {"messages": []}})
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
        for one in said:
            connection.sendall(b"data: " + json.dumps(one).encode() + b"\n\n")
        while flood:
            connection.sendall(flood)
        connection.recv(1)
        return None

    return answer


def test_messages_of_another_thread_are_left_out(
    kind: Kind, serve: Callable[..., Peer], caplog: pytest.LogCaptureFixture
) -> None:
    """The client leaves out messages of other threads, on a stream and in a list. The log says how many."""
    other = agent_message(id="m-0", threadId=str(uuid4()), messageBody="not yours")
    ours = agent_message(threadId=THREAD_ID.upper())
    client = kind.client(base_url=serve(stream_of(other, ours)).url)
    with client.thread(THREAD_ID).conversation() as chat:
        assert next(chat.replies(timeout=5)).text == "one"
    assert "stream: left out 1 message(s) of other threads" in caplog.text
    listed = serve(json_answer({"thread": {"messages": [other, ours]}}))
    assert [one.text for one in kind.client(base_url=listed.url).thread(THREAD_ID).messages()] == ["one"]
    assert "list: left out 1 message(s) of other threads" in caplog.text


def test_two_messages_with_the_same_id(kind: Kind, serve: Callable[..., Peer]) -> None:
    """The client returns both messages, with the id that the server gave them. It returns a repeated message once."""
    first, second = agent_message(), agent_message(messageBody="two", createdAt="2999-01-01T00:00:01Z")
    again = agent_message(messageBody="one ", createdAt="2999-01-01T00:00:00.123Z")
    with (
        kind.client(base_url=serve(stream_of(first, again, second, first)).url).thread(THREAD_ID).conversation() as chat
    ):
        assert [(one.id, one.text) for one in chat.replies(timeout=1)] == [("m-1", "one"), ("m-1", "two")]
    listed = serve(json_answer({"thread": {"messages": [first, second, first]}}))
    assert [one.text for one in kind.client(base_url=listed.url).thread(THREAD_ID).messages()] == ["one", "two"]


def test_a_fast_stream_without_messages(
    kind: Kind, serve: Callable[..., Peer], caplog: pytest.LogCaptureFixture
) -> None:
    """The client closes such a stream after some megabytes, and opens it again later."""
    peer = serve(stream_of(flood=(b": " + b"nothing" * 500 + b"\n\n") * 20))
    with kind.client(base_url=peer.url).thread(THREAD_ID).conversation() as chat:
        deadline = time.monotonic() + 20
        while "bytes without a new message" not in caplog.text and time.monotonic() < deadline:
            assert list(chat.replies(timeout=0.5)) == []
    assert "bytes without a new message" in caplog.text


@pytest.mark.parametrize("cursor", ["x" * 1025, "\x1b[31m", "\ud800"])
def test_an_invalid_cursor(kind: Kind, serve: Callable[..., Peer], cursor: str) -> None:
    """The error names the server as the cause, and the client does not request the page of this cursor."""
    peer = serve(json_answer({"thread": {"messages": [agent_message()], "pagination": {"nextCursor": cursor}}}))
    with pytest.raises(ResponseDecodeError, match="an invalid cursor"):
        list(kind.client(base_url=peer.url).thread(THREAD_ID).messages())
    assert len(peer.seen) == 1


def test_a_response_with_too_many_values(kind: Kind, serve: Callable[..., Peer]) -> None:
    """The client refuses such a response, because each value takes far more memory than its text."""
    peer = serve(json_answer({"thread": {"messages": [0] * 60_000}}))
    with pytest.raises(ResponseDecodeError, match="more than 50,000 values"):
        list(kind.client(base_url=peer.url).thread(THREAD_ID).messages())


@pytest.mark.parametrize("status", ["200 OK", "404 No"])
def test_a_response_that_is_too_large(kind: Kind, serve: Callable[..., Peer], status: str) -> None:
    """The client does not read the whole response. An error status raises its own error, with the beginning of the
    body.
    """
    body = gzip.compress(b" " * (17 * 1024 * 1024))
    head = f"HTTP/1.1 {status}\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n"
    peer = serve(head.encode() + body)
    with pytest.raises(FeatherError) as caught:
        kind.client(base_url=peer.url, timeout=10).threads.get(THREAD_ID)
    assert len(str(caught.value.body)) <= 256 * 1024  # type: ignore[attr-defined]
    assert ("of more than 16,777,216 bytes" in str(caught.value)) == status.startswith("200")


def test_a_redirect_with_an_invalid_location(kind: Kind, serve: Callable[..., Peer]) -> None:
    """The client raises an error with the status 302, although the `Location` is invalid."""
    for location in (b"http://[", b"http://\xff/", b"//x:99999999/"):
        peer = serve(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + location + b"\r\n\r\n")
        with pytest.raises(featherhq.APIStatusError) as caught:
            kind.client(base_url=peer.url, max_retries=0).threads.get(THREAD_ID)
        assert caught.value.status_code == 302


def test_a_broken_chunk_ends_the_response(kind: Kind, serve: Callable[..., Peer]) -> None:
    """The call fails at once, also when the broken chunk comes after the head."""

    def answer(_: bytes, connection: Any) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        time.sleep(0.1)
        connection.sendall(b"zz\r\n")
        connection.recv(1)

    began = time.monotonic()
    with pytest.raises(APIConnectionError):
        kind.client(base_url=serve(answer).url, max_retries=0, timeout=10).threads.get(THREAD_ID)
    assert time.monotonic() - began < 5


def test_both_clients_read_headers_alike(kind: Kind, serve: Callable[..., Peer]) -> None:
    """Values of a repeated header are joined, and bytes that are not ASCII are decoded, in the same way for both."""
    head = b"HTTP/1.1 404 No\r\nContent-Length: 0\r\nX-Two: 1\r\nx-two: 2\r\nX-Name: Ren\xe9e\r\n"
    for extra, name, value in (
        (b"", "x-two", "1, 2"),
        (b"", "x-name", "Ren\xe9e"),
        (b"Retry-After: 1\r\nRetry-After: 2\r\n", "retry-after", "1, 2"),
    ):
        peer = serve(head + extra + b"\r\n")
        with pytest.raises(featherhq.NotFoundError) as caught:
            kind.client(base_url=peer.url, timeout=5).thread(THREAD_ID).refresh()
        assert caught.value.headers[name] == value
        assert caught.value.retry_after is None
