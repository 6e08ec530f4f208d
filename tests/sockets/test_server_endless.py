"""Servers whose lists or streams never end, or repeat the same."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from conftest import THREAD_ID, Kind
from featherhq import (
    DeliveryUnknownError,
    Feather,
    ResponseDecodeError,
)
from featherhq.sandbox import CutStream, Sandbox
from peers import serve_peers
from raw_server import Peer, json_answer

serve = pytest.fixture(serve_peers)


def endless_page(cursors: Iterator[int]) -> bytes:
    """An empty page with a new cursor."""
    return json_answer({"thread": {"messages": [], "pagination": {"nextCursor": f"c-{next(cursors)}"}}})


def test_a_list_that_never_ends(kind: Kind, serve: Callable[..., Peer]) -> None:
    """After a hundred pages without a new message, the call raises an error that says so."""
    cursors = itertools.count()
    peer = serve(lambda *_: endless_page(cursors))
    with pytest.raises(ResponseDecodeError, match="100 pages in a row bring nothing new"):
        list(kind.client(base_url=peer.url).thread(THREAD_ID).messages())
    assert len(peer.seen) == 100


def test_a_send_that_reconciles_with_a_list_that_never_ends(kind: Kind, serve: Callable[..., Peer]) -> None:
    """The error says that the outcome is unknown. The client sends the message once, and the call keeps
    its deadline.
    """
    cursors = itertools.count()
    peer = serve(lambda request, _: None if request.startswith(b"POST") else endless_page(cursors))
    began = time.monotonic()
    with pytest.raises(DeliveryUnknownError):
        kind.client(base_url=peer.url, timeout=2).thread(THREAD_ID).send("hello")
    assert time.monotonic() - began < 2.3
    assert sum(request.startswith(b"POST") for request in peer.seen) == 1


def test_a_conversation_over_a_list_that_never_ends(
    kind: Kind, serve: Callable[..., Peer], caplog: pytest.LogCaptureFixture
) -> None:
    """The conversation scans the list less and less often, and writes a line to the log."""
    cursors = itertools.count()
    peer = serve(lambda request, _: json_answer({}, "404 No") if b"/stream" in request else endless_page(cursors))
    with kind.client(base_url=peer.url, timeout=5).thread(THREAD_ID).conversation() as chat:
        until = time.monotonic() + 20
        while "trying again later" not in caplog.text and time.monotonic() < until:
            assert list(chat.replies(timeout=1)) == []
    assert "bring nothing new, without an end; trying again later" in caplog.text
    assert len(peer.seen) < 500


def test_a_stream_with_an_unrequested_encoding(kind: Kind, serve: Callable[..., Peer]) -> None:
    """The client does not read such a stream. It scans the history instead."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: br\r\nContent-Length: 2\r\n\r\nxx"
    created_at = "2999-01-01T00:00:00Z"
    said = {"id": "m-1", "messageBody": "listed", "direction": "OUTBOUND", "createdAt": created_at}
    page = json_answer({"thread": {"messages": [said]}})
    peer = serve(lambda request, _: head if b"/stream" in request else page)
    with kind.client(base_url=peer.url, timeout=5).thread(THREAD_ID).conversation() as chat:
        assert next(chat.replies(timeout=4)).text == "listed"


def test_a_stream_that_always_repeats_one_message_is_opened_seldom(serve: Callable[..., Peer]) -> None:
    """A stream that ends after one duplicate, each time, is opened less and less often."""
    said = {"id": "m-1", "messageBody": "again", "direction": "OUTBOUND", "createdAt": "2026-01-01T00:00:00Z"}

    def answer(request: bytes, connection: Any) -> bytes | None:
        if b"/stream" not in request:
            return json_answer({"thread": {"messages": []}})
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
        connection.sendall(b"data: " + json.dumps(said).encode() + b"\n\n")
        return None

    peer = serve(answer)
    with (
        Feather("key", base_url=peer.url, rate_limit=None) as feather,
        feather.thread(THREAD_ID).conversation() as chat,
    ):
        assert len(list(chat.replies(timeout=3))) <= 1
    assert sum(b"/stream" in request for request in peer.seen) <= 10


def test_the_log_says_why_a_stream_was_lost(thread: Any, sandbox: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    """The log gives the reason in printable characters."""
    sandbox.inject("streamMessages", CutStream(after_events=0))
    with thread.conversation() as chat:
        assert chat.ask("hello").text
    assert "stream lost:" in caplog.text
    assert caplog.text.replace("\n", "").isprintable()
