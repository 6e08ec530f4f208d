"""Responses as servers send them: cookies, compressed bodies, long heads, and bytes that are not HTTP."""

from __future__ import annotations

import gzip

import pytest
from conftest import AGENT_ID, THREAD_ID, Kind
from featherhq import APIConnectionError, FeatherError
from raw_server import ANSWER, OK, Peer

pytest_plugins = ["transport_helpers"]


def test_cookies_are_not_kept(kind: Kind, peers: list[Peer]) -> None:
    """The client needs no cookies and does not keep them, because a server could set any number of them."""
    peers.append(Peer(OK + b"Set-Cookie: lb=7; Path=/\r\n\r\n" + ANSWER))
    client = kind.client(base_url=f"http://127.0.0.1:{peers[0].port}")
    for text in ("hello", "again"):
        client.thread(THREAD_ID).send(text)
    assert peers[0].seen[0].lower().count(b"cookie") == 0
    assert peers[0].seen[1].lower().count(b"cookie") == 0


def test_compressed_responses(kind: Kind, peers: list[Peer]) -> None:
    """A compressed response is unpacked. If that fails, the error says so."""
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
    packed = gzip.compress(ANSWER)
    for body, broken in ((packed, False), (b"not gzip", True)):
        peers.append(Peer(head % len(body) + body))
        client = kind.client(base_url=f"http://127.0.0.1:{peers[-1].port}", max_retries=0, timeout=3)
        if not broken:
            assert client.thread(THREAD_ID).send("hello").message_id == "m-1"
        else:
            with pytest.raises(FeatherError, match="cannot be unpacked"):
                client.threads.create(AGENT_ID)


def test_a_long_head(kind: Kind, peers: list[Peer]) -> None:
    """The client reads a head of some tens of kilobytes, because gateways send such heads."""
    peers.append(Peer(OK + b"Content-Security-Policy: " + b"x" * 50_000 + b"\r\n\r\n" + ANSWER))
    client = kind.client(base_url=f"http://127.0.0.1:{peers[0].port}")
    assert client.thread(THREAD_ID).send("hello").message_id == "m-1"


@pytest.mark.parametrize(
    "answer",
    [
        b"very-secret-key is wrong\r\n\r\n",
        b"HTTP/1.1 very-secret-key\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nvery-secret-key\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nvery-secret-key\r\n",
    ],
)
def test_invalid_http_is_not_quoted(
    kind: Kind, peers: list[Peer], answer: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """A response that is not valid HTTP may contain the key. So neither the error nor the log quotes it. Both say what
    happened.
    """
    caplog.set_level("DEBUG", "featherhq")
    peers.append(Peer(answer))
    client = kind.client("very-secret-key", base_url=f"http://127.0.0.1:{peers[0].port}", max_retries=0, timeout=3)
    with pytest.raises(APIConnectionError, match=r"the response is not valid HTTP: [\w ]+") as caught:
        client.threads.create(AGENT_ID)
    assert "very-secret-key" not in f"{caught.value!r} {caught.value.__cause__!r} {vars(caught.value)}"
    assert "not valid HTTP" in caplog.text
    assert "very-secret-key" not in "".join(
        record.getMessage() for record in caplog.records if record.name == "featherhq"
    )
