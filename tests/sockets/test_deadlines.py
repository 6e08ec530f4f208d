"""Deadlines over sockets: a call ends in time, whatever the network, the server or the stream does."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpx
import pytest
from conftest import THREAD_ID, Kind
from featherhq import (
    APIConnectionError,
    APITimeoutError,
    DeliveryUnknownError,
    FeatherError,
    ReplyTimeoutError,
    ResponseDecodeError,
)
from featherhq._core.exchange import Exchange
from featherhq._http.interrupt import Interrupt
from featherhq._http.operation import operation
from featherhq._http.sockets import SocketTransport
from raw_server import ANSWER, OK, STREAM, Peer, black_hole, json_answer

NO_MESSAGES = json_answer({"thread": {"messages": []}})
ACCEPTED = OK + b"\r\n" + ANSWER


@pytest.fixture
def serve() -> Iterator[Callable[..., Peer]]:
    """A function that starts servers of raw bytes."""
    made: list[Peer] = []

    def make(answer: Any) -> Peer:
        made.append(Peer(answer))
        return made[-1]

    yield make
    for peer in made:
        peer.close()


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Check that the block ends within some seconds."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds


@pytest.fixture
def many_addresses(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses of feather.example. A test adds them."""
    addresses: list[str] = []
    real = socket.getaddrinfo

    def look_up(host: Any, port: Any, *args: Any, **kwargs: Any) -> list[Any]:
        name = host.decode() if isinstance(host, bytes) else host
        found = addresses if name == "feather.example" else [host]
        return [one for address in found for one in real(address, port, *args, **kwargs)]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return addresses


def test_a_host_with_four_dead_addresses(kind: Kind, many_addresses: list[str]) -> None:
    """The attempts to connect to all of them share the time of the call."""
    many_addresses += ["127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"]
    with black_hole() as port:
        client = kind.client(base_url=f"http://feather.example:{port}", timeout=2, max_retries=0)
        with within(2.4), pytest.raises(APIConnectionError, match="no connection in time") as caught:
            client.thread(THREAD_ID).send("hello")
        assert caught.value.delivered is False
        with within(2.4), pytest.raises(APITimeoutError, match="no connection in time"):
            client.threads.get(THREAD_ID)


def test_a_host_with_one_working_address(kind: Kind, many_addresses: list[str], serve: Callable[..., Peer]) -> None:
    """The client finds the working address in time, after others that are dead or refuse."""
    many_addresses += ["127.0.0.2", "127.0.0.3", "127.0.0.1"]
    peer = serve(ACCEPTED)
    client = kind.client(base_url=f"http://feather.example:{peer.port}", timeout=5, max_retries=0)
    with within(4):
        assert client.thread(THREAD_ID).send("hello").message_id == "m-1"


@pytest.mark.parametrize("slowly", [False, True])
def test_a_server_that_does_not_read_the_body(kind: Kind, slowly: bool) -> None:
    """The server reads a message of 24 MB slowly or not at all. The call still ends within about a second of its
    timeout.
    """
    over = threading.Event()

    def sip(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            while not over.wait(0.05):
                if slowly:
                    connection.recv(65536)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=sip, args=[listener.accept()[0]], daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        acceptor = threading.Thread(target=accept)
        acceptor.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread = kind.client(base_url=url, timeout=2, max_retries=0).thread(THREAD_ID)
        message = "x" * 24_000_000
        with within(3.2), pytest.raises(DeliveryUnknownError) as caught:
            thread.send(message)
        assert caught.value.delivered is None
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
        acceptor.join(5)


def flood(request: bytes, connection: socket.socket) -> bytes | None:
    """Accept messages, list none, and send comments as fast as possible for some seconds."""
    if b"/stream" not in request:
        return ACCEPTED if request.startswith(b"POST") else NO_MESSAGES
    connection.sendall(STREAM)
    until = time.monotonic() + 8
    while time.monotonic() < until:
        connection.sendall(b": heartbeat\n\n" * 50)
    return None


@pytest.mark.parametrize("opened", [False, True])
def test_a_flood_of_heartbeats_does_not_delay_ask(kind: Kind, serve: Callable[..., Peer], opened: bool) -> None:
    """`ask` keeps its deadline. Its error says that the message was accepted."""
    peer = serve(flood)
    thread = kind.client(base_url=peer.url).thread(THREAD_ID)
    for _ in range(3):
        if opened:
            with thread.conversation() as chat, within(3.2), pytest.raises(ReplyTimeoutError) as caught:
                chat.ask("hello", timeout=2)
        else:
            with within(3.2), pytest.raises(ReplyTimeoutError) as caught:
                thread.ask("hello", timeout=2)
        assert (caught.value.message_id, caught.value.delivered) == ("m-1", True)


def test_a_flood_of_heartbeats_does_not_delay_replies(kind: Kind, serve: Callable[..., Peer]) -> None:
    """`replies(timeout=…)` ends in time, and so does the block of the conversation."""
    peer = serve(flood)
    with within(3.0), kind.client(base_url=peer.url).thread(THREAD_ID).conversation() as chat:
        assert list(chat.replies(timeout=1)) == []


DATED = b"HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n"


def dated(answer: bytes) -> bytes:
    """Add the server's time to a response."""
    return answer.replace(b"HTTP/1.1 200 OK\r\n", DATED)


def listed(text: str) -> dict[str, Any]:
    """A message of the user in the list, four seconds after that time."""
    return {"id": "m-7", "messageBody": text, "direction": "INBOUND", "createdAt": "2026-01-01T00:00:04Z"}


@pytest.mark.parametrize("found", [False, True])
def test_a_success_whose_body_is_cut_off(kind: Kind, serve: Callable[..., Peer], found: bool) -> None:
    """The status says that the message was accepted. The client finds the message, or the outcome is unknown. It never
    sends the message again.
    """

    def cut_short(request: bytes, connection: socket.socket) -> bytes | None:
        if request.startswith(b"GET"):
            return dated(json_answer({"thread": {"messages": [listed("hello")] * found}}))
        connection.sendall(dated(ACCEPTED)[:-5])
        return None

    peer = serve(cut_short)
    thread = kind.client(base_url=peer.url, timeout=4).thread(THREAD_ID)
    # From here on, the client knows the server's time.
    assert len(list(thread.messages())) == found
    if found:
        sent = kind.client(base_url=peer.url, timeout=4).thread(THREAD_ID).send("hello")
        assert (sent.message_id, sent.reconciled) == ("m-7", True)
    else:
        with within(4.4), pytest.raises(DeliveryUnknownError) as caught:
            thread.send("hello")
        assert caught.value.delivered is None
        assert isinstance(caught.value.__cause__, APIConnectionError)
    assert sum(request.startswith(b"POST") for request in peer.seen) == 1


def test_a_used_connection_that_is_closed_late(kind: Kind, serve: Callable[..., Peer]) -> None:
    """A proxy closes a used connection after more than a second, during the server work. The message may still be
    accepted later, so the client looks for it and finds it.
    """
    there: list[dict[str, Any]] = []

    def cut_late(request: bytes, _: socket.socket) -> bytes | None:
        if request.startswith(b"GET"):
            return dated(json_answer({"thread": {"messages": there}}))
        if b"second" not in request:
            return dated(ACCEPTED)
        time.sleep(1.2)
        threading.Timer(3.5, there.append, [listed("second")]).start()
        return None

    peer = serve(cut_late)
    thread = kind.client(base_url=peer.url, timeout=14).thread(THREAD_ID)
    assert thread.send("first").message_id == "m-1"
    sent = thread.send("second")
    assert (sent.message_id, sent.reconciled) == ("m-7", True)
    assert sum(request.startswith(b"POST") for request in peer.seen) == 2


def test_an_unreadable_response_without_a_message(kind: Kind, serve: Callable[..., Peer]) -> None:
    """The client looks only for messages. Other calls raise a ResponseDecodeError at once."""
    peer = serve(json_answer([]))
    with within(1), pytest.raises(ResponseDecodeError):
        kind.client(base_url=peer.url).threads.get(THREAD_ID)


def test_no_operation_on_a_socket_begins_after_the_deadline(serve: Callable[..., Peer]) -> None:
    """If no time is left for a call, its request does not even begin to connect."""
    peer = serve(ACCEPTED)
    transport = SocketTransport(httpx.create_ssl_context(), httpx.Limits(), None)
    with httpx.Client(transport=transport) as client:
        with operation(0, Interrupt(), Exchange()), pytest.raises(httpx.ConnectTimeout):
            client.get(peer.url)
        assert client.get(peer.url).status_code == 200


def test_errors_say_whether_a_request_was_delivered(kind: Kind, dead_url: str) -> None:
    """If there is no connection to the server, nothing was delivered, and the error of each call says so."""
    client = kind.client(base_url=dead_url, max_retries=0, timeout=2)
    calls: list[Callable[[], Any]] = [
        lambda: client.thread(THREAD_ID).send("x"),
        lambda: client.thread(THREAD_ID).ask("x"),
        lambda: client.threads.create(THREAD_ID),
    ]
    for call in calls:
        with pytest.raises(FeatherError) as caught:
            call()
        assert caught.value.delivered is False
