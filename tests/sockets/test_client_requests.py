"""Requests and responses of the client: encodings, generated functions, errors with numbers, and the log."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import featherhq
import featherhq.sandbox
import pytest
from conftest import AGENT_ID, THREAD_ID, Kind, count
from featherhq import (
    APITimeoutError,
    ConfigurationError,
    DeliveryUnknownError,
    ReplyTimeoutError,
    ResponseDecodeError,
)
from featherhq.sandbox import CutAfter, Mute, Sandbox, Stall, Status
from featherhq_api.api.threads import send_message
from featherhq_api.models import SendMessageBody
from peers import serve_peers
from raw_server import ANSWER, OK, Peer, json_answer

serve = pytest.fixture(serve_peers)


@pytest.mark.parametrize("path", ["/api/v1", "/api/v1/", "/gateway/api/v1"])
def test_a_base_url_with_the_api_path(kind: Kind, path: str) -> None:
    """The client refuses such a URL, because each request adds this path itself."""
    with pytest.raises(ConfigurationError, match="ends in /api/v1"):
        kind.client(base_url=f"http://127.0.0.1{path}")


def test_streams_are_requested_without_compression(thread: Any, sandbox: Sandbox) -> None:
    """The client asks for streams without compression, which may delay messages. It accepts compressed responses to
    other requests.
    """
    assert thread.ask("hello").text
    asked = {request.operation: request.headers["accept-encoding"] for request in sandbox.requests}
    assert asked["streamMessages"] == "identity"
    assert asked["sendMessage"] == "gzip, deflate"


def test_a_repeated_content_length_is_accepted(kind: Kind, serve: Callable[..., Peer]) -> None:
    """Sync and async clients accept a response with two equal `Content-Length` headers. Some proxies repeat it."""
    peer = serve(OK + b"Content-Length: %d\r\n\r\n" % len(ANSWER) + ANSWER)
    assert kind.client(base_url=peer.url).thread(THREAD_ID).send("hello").message_id == "m-1"


@pytest.mark.parametrize("headers", [{}, {"accept": "text/plain", "USER-AGENT": "mine"}])
def test_each_header_is_sent_once(kind: Kind, serve: Callable[..., Peer], headers: dict[str, str]) -> None:
    """This holds for all calls, and for headers of the caller in another spelling, which replace ours. Some proxies
    refuse a request with two media types.
    """
    peer = serve(json_answer({"thread": {"id": THREAD_ID}, "messageId": "m-1"}))
    client = kind.client(base_url=peer.url, headers=headers)
    client.threads.create(AGENT_ID).update(metadata={"a": "b"})
    client.threads.get(THREAD_ID).close()
    client.thread(THREAD_ID).send("hello")
    kind.generated(send_message, THREAD_ID, client=client.api, body=SendMessageBody(message="hello"))
    assert len(peer.seen) == 6
    for request in peer.seen:
        lines = request.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
        sent = [line.partition(":")[0].lower() for line in lines]
        assert len(sent) == len(set(sent)), lines
        assert {f"{name}: {value}" for name, value in headers.items()} <= set(lines)


def test_a_json_body_has_its_media_type(kind: Kind, serve: Callable[..., Peer]) -> None:
    """A request that names no media type gets one, and one that names it keeps it."""
    peer = serve(json_answer({}))
    api = kind.client(base_url=peer.url).api
    for headers in ({}, {"content-type": "application/merge-patch+json"}):
        request = {"method": "patch", "url": "/a", "json": {}, "headers": headers}
        if kind.asynchronous:
            kind.run(api.get_async_httpx_client().request(**request))
        else:
            api.get_httpx_client().request(**request)
    assert b"\r\nContent-Type: application/json\r\n" in peer.seen[0]
    assert b"\r\ncontent-type: application/merge-patch+json\r\n" in peer.seen[1]
    assert b"Content-Type" not in peer.seen[1]


@pytest.mark.parametrize("lost", [False, True])
def test_a_generated_send_is_sent_once(kind: Kind, connect: Callable[..., Any], sandbox: Sandbox, lost: bool) -> None:
    """The generated function sends a message once, as `thread.send` does. When the response is lost, the client finds
    the message in the thread.
    """
    client = connect(timeout=10)
    thread_id = client.threads.create(AGENT_ID).id
    if lost:
        sandbox.inject("sendMessage", CutAfter())
    sent = kind.generated(send_message, thread_id, client=client.api, body=SendMessageBody(message="pay 100"))
    [message] = [said for said in sandbox.messages(thread_id) if said.direction == "INBOUND"]
    assert (sent.status_code, sent.parsed.message_id, sent.parsed.thread_id) == (200, message.id, thread_id)
    with pytest.raises(featherhq.InvalidArgumentError):
        kind.generated(send_message, thread_id, client=client.api, body=SendMessageBody(message=""))


def test_a_generated_send_with_an_unknown_outcome(kind: Kind, connect: Callable[..., Any], sandbox: Sandbox) -> None:
    """The error says that the outcome is unknown, and the client sends the message only once."""
    client = connect(timeout=1.5)
    thread_id = client.threads.create(AGENT_ID).id
    sandbox.inject("sendMessage", Stall(), 9)
    with pytest.raises(DeliveryUnknownError):
        kind.generated(send_message, thread_id, client=client.api, body=SendMessageBody(message="pay 100"))
    assert count(sandbox, "sendMessage") == 1


def test_a_response_for_another_thread(kind: Kind, serve: Callable[..., Peer]) -> None:
    """The client rejects a response that names another thread."""
    other = str(uuid4())
    peer = serve(lambda *_: json_answer({"messageId": "m-1", "threadId": other, "thread": {"id": other}}))
    client = kind.client(base_url=peer.url, timeout=1.5)
    with pytest.raises(ResponseDecodeError, match="another thread"):
        client.threads.get(THREAD_ID)
    with pytest.raises(DeliveryUnknownError, match="another thread"):
        client.thread(THREAD_ID).send("hello")
    assert sum(request.startswith(b"POST") for request in peer.seen) == 1


def test_errors_name_deadlines_and_waiting_times(kind: Kind, connect: Callable[..., Any], sandbox: Sandbox) -> None:
    """Errors name the length of the deadline and the time that the server asks the client to wait."""
    client = connect(timeout=0.4)
    sandbox.inject("getThread", Stall())
    with pytest.raises(APITimeoutError, match=r"timeout 0\.4 s"):
        client.threads.get(THREAD_ID)
    sandbox.inject("getThread", Status(429, headers={"Retry-After": "7"}))
    with pytest.raises(featherhq.RateLimitError) as caught:
        client.threads.get(THREAD_ID)
    assert "Wait for 7 s" in str(caught.value.__notes__)
    sandbox.inject("streamMessages", Mute(), 9)
    thread = client.threads.create(AGENT_ID)
    with Sandbox(agent=lambda *_: [], rate_limit=None) as silent:
        thread = kind.client(silent.api_key, base_url=silent.url).threads.create(AGENT_ID)
        with pytest.raises(ReplyTimeoutError, match=r"no reply came within 0\.5 s"):
            thread.ask("hello", timeout=0.5)


def test_feather_log_beside_logging_of_the_program(sandbox: Sandbox) -> None:
    """FEATHER_LOG=debug prints each line once, also when the program sets up logging itself."""
    program = (
        "import logging; logging.basicConfig(level='DEBUG', format='%(name)s %(message)s')\n"
        "from featherhq import Feather\n"
        f"with Feather('wrong', base_url={sandbox.url!r}, max_retries=0) as feather:\n"
        "    try: feather.threads.get('6f1c9a52-8d0e-4b7a-9c55-0f6f2c9e4b11')\n"
        "    except Exception: pass\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env={"FEATHER_LOG": "debug"}
    )
    ours = [line for line in done.stderr.splitlines() if "401" in line and "featherhq" in line]
    assert len(ours) == 1
    assert logging.getLogger("featherhq").name == "featherhq"
