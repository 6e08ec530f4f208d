"""The connections: through proxies and TLS as the environment has them, under load, and what their failures mean."""

from __future__ import annotations

import asyncio
import base64
import gzip
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
from conftest import AGENT_ID, THREAD_ID, Kind, count
from featherhq import (
    APIConnectionError,
    APITimeoutError,
    AsyncFeather,
    ConfigurationError,
    DeliveryUnknownError,
    FeatherError,
    UsageError,
)
from featherhq._http import connections
from featherhq.sandbox import CutAfter, CutBefore, Garbage, Sandbox, Stall, Status
from raw_server import ANSWER, OK, Peer, TLSPeer


@pytest.fixture
def tls(tmp_path: Path) -> tuple[ssl.SSLContext, str]:
    """What a server shows a certificate with, and the file with the authority that it is from."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost", "feather.example").configure_cert(context)
    return context, str(tmp_path / "authority.pem")


@pytest.fixture
def peers() -> Iterator[list[Peer]]:
    made: list[Peer] = []
    yield made
    for peer in made:
        peer.close()


def test_certificates_are_those_of_the_environment(
    kind: Kind, peers: list[Peer], tls: tuple[ssl.SSLContext, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """SSL_CERT_FILE is heeded; without it an unknown authority is refused, and nothing was sent."""
    peers.append(TLSPeer(tls=tls[0]))
    url = f"https://localhost:{peers[0].port}"
    with pytest.raises(APIConnectionError, match=r"could not connect: .*certificate verify failed") as caught:
        kind.client(base_url=url, max_retries=0, timeout=5).thread(THREAD_ID).send("hello")
    assert not isinstance(caught.value, APITimeoutError)
    assert "Nothing reached Feather" in str(caught.value.__notes__)
    assert peers[0].seen == []
    monkeypatch.setenv("SSL_CERT_FILE", tls[1])
    assert kind.client(base_url=url).thread(THREAD_ID).send("hello").message_id == "m-1"
    with pytest.raises(APIConnectionError, match="certificate"):
        kind.client(base_url=url.replace("localhost", "127.0.0.1"), max_retries=0).thread(THREAD_ID).send("hello")


def test_certificates_that_are_not_there(kind: Kind, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An SSL_CERT_FILE that names no file, or no certificates, fails in so many words before any request."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    with pytest.raises(ConfigurationError, match="invalid proxy or TLS settings"):
        kind.client().thread(THREAD_ID).send("hello")


@pytest.mark.parametrize(("name", "value"), [("HTTPS_PROXY", "ftp://proxy"), ("ALL_PROXY", "socks5://127.0.0.1:1")])
def test_proxies_that_cannot_be(kind: Kind, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """One of an unknown kind, or of a kind that an extra of httpx is for."""
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=rf"{name}: expected a proxy|invalid proxy or TLS settings") as caught:
        kind.client().thread(THREAD_ID).send("hello")
    assert name in f"{caught.value} {caught.value.__notes__}"


@pytest.mark.parametrize("user", ["", "user:p%40ss@"])
def test_an_http_proxy(kind: Kind, peers: list[Peer], monkeypatch: pytest.MonkeyPatch, user: str) -> None:
    """Requests go to it whole, with its own user name and password if the environment has them."""
    peers.append(Peer())
    monkeypatch.setenv("HTTP_PROXY", f"http://{user}127.0.0.1:{peers[0].port}")
    client = kind.client(base_url="http://feather.invalid/base")
    for text in ("hello", "again"):
        assert client.thread(THREAD_ID).send(text).message_id == "m-1"
    credentials = b"proxy-authorization: basic " + base64.b64encode(b"user:p@ss").lower()
    for request in peers[0].seen:
        assert request.startswith(b"POST http://feather.invalid/base/api/v1/threads/")
        assert b"host: feather.invalid\r\n" in request.lower()
        assert (credentials in request.lower()) == bool(user)
        assert (b"proxy-authorization" in request.lower()) == bool(user)
    assert peers[0].connections == 1


@pytest.mark.parametrize("user", ["", "user:p%40ss@"])
def test_an_https_host_behind_a_proxy(
    kind: Kind, peers: list[Peer], tls: tuple[ssl.SSLContext, str], monkeypatch: pytest.MonkeyPatch, user: str
) -> None:
    """A tunnel is asked for, with the proxy's password and without the API key; what goes through it is the proxy's."""
    peers.append(Peer(tls=tls[0]))
    monkeypatch.setenv("SSL_CERT_FILE", tls[1])
    monkeypatch.setenv("HTTPS_PROXY", f"http://{user}127.0.0.1:{peers[0].port}")
    client = kind.client("the-api-key", base_url="https://feather.example")
    for text in ("hello", "again"):
        assert client.thread(THREAD_ID).send(text).message_id == "m-1"
    tunnel, *requests = peers[0].seen
    assert tunnel.startswith(b"CONNECT feather.example:443")
    assert b"the-api-key" not in tunnel
    assert (b"basic " + base64.b64encode(b"user:p@ss").lower() in tunnel.lower()) == bool(user)
    assert len(requests) == 2
    for request in requests:
        assert request.startswith(b"POST /api/v1/threads/")
        assert b"proxy-authorization" not in request.lower()


def test_a_proxy_that_refuses(kind: Kind, peers: list[Peer], monkeypatch: pytest.MonkeyPatch, dead_url: str) -> None:
    """Nothing reached Feather: so it is repeated, a POST too, and told as what it is."""
    peers.append(Peer(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"))
    for url, what in (
        (f"http://127.0.0.1:{peers[0].port}", "the proxy refused: .*Proxy Authentication Required"),
        (dead_url, "could not connect"),
    ):
        monkeypatch.setenv("HTTPS_PROXY", url)
        with pytest.raises(APIConnectionError, match=what) as caught:
            kind.client(base_url="https://feather.example", max_retries=1, timeout=5).thread(THREAD_ID).send("hello")
        assert caught.value.attempts == 2
        assert "Nothing reached Feather" in str(caught.value.__notes__)


@pytest.mark.parametrize(
    ("fault", "what"),
    [
        (CutBefore(), "the connection was lost"),
        (CutAfter(), "the connection was lost"),
        (Garbage(), "the answer is not valid HTTP"),
        (Stall(), "no answer in time"),
    ],
    ids=repr,
)
def test_what_may_have_been_sent_is_never_taken_for_what_was_not(
    connect: Callable[..., Any], sandbox: Sandbox, fault: Any, what: str
) -> None:
    """However the connection ends after a POST has gone out, first used or used before: it is not repeated."""
    client = connect(timeout=1, max_retries=3)
    for used_before in (False, True):
        sandbox.inject("createThread", fault)
        with pytest.raises(APIConnectionError, match=what) as caught:
            client.threads.create(AGENT_ID)
        assert caught.value.attempts == 1
        assert "may have reached Feather" in str(caught.value.__notes__)
        if not used_before:
            client.threads.create(AGENT_ID)
    assert count(sandbox, "createThread") == 3


def test_a_message_that_was_accepted_before_the_connection_broke_stands_once(
    connect: Callable[..., Any], sandbox: Sandbox
) -> None:
    """Found in the history, and not sent again."""
    thread = connect(timeout=8).threads.create(AGENT_ID)
    sandbox.inject("sendMessage", CutAfter())
    sent = thread.send("once")
    assert sent.reconciled
    said = [message for message in sandbox.messages(thread.id) if message.direction == "INBOUND"]
    assert [(message.id, message.text) for message in said] == [(sent.message_id, "once")]
    assert count(sandbox, "sendMessage") == 1


def test_every_repeat_is_counted(connect: Callable[..., Any], sandbox: Sandbox) -> None:
    """A GET whose connection was lost is repeated by nobody but us: attempts, log and limit see each request."""
    client = connect(max_retries=1, timeout=5)
    thread = client.threads.create(AGENT_ID)
    sandbox.inject("getThread", CutBefore(), 2)
    with pytest.raises(APIConnectionError) as caught:
        thread.refresh()
    assert caught.value.attempts == 2
    assert count(sandbox, "getThread") == 2


def test_cookies_are_not_kept(kind: Kind, peers: list[Peer]) -> None:
    """Nothing here needs one, and a server could set them without end."""
    peers.append(Peer(OK + b"Set-Cookie: lb=7; Path=/\r\n\r\n" + ANSWER))
    client = kind.client(base_url=f"http://127.0.0.1:{peers[0].port}")
    for text in ("hello", "again"):
        client.thread(THREAD_ID).send(text)
    assert peers[0].seen[0].lower().count(b"cookie") == 0
    assert peers[0].seen[1].lower().count(b"cookie") == 0


def test_compressed_answers_are_read(kind: Kind, peers: list[Peer]) -> None:
    """By whoever asked for them; a broken one is told as such."""
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


def test_a_long_head_is_read(kind: Kind, peers: list[Peer]) -> None:
    """Of some tens of kilobytes, as gateways have them."""
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
def test_what_is_no_http_is_not_quoted(
    kind: Kind, peers: list[Peer], answer: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """It may hold the key: neither the error nor the log shows it, and both say what it was."""
    caplog.set_level("DEBUG", "featherhq")
    peers.append(Peer(answer))
    client = kind.client("very-secret-key", base_url=f"http://127.0.0.1:{peers[0].port}", max_retries=0, timeout=3)
    with pytest.raises(APIConnectionError, match=r"the answer is not valid HTTP: [\w ]+") as caught:
        client.threads.create(AGENT_ID)
    assert "very-secret-key" not in f"{caught.value!r} {caught.value.__cause__!r} {vars(caught.value)}"
    assert "not valid HTTP" in caplog.text
    assert "very-secret-key" not in "".join(
        record.getMessage() for record in caplog.records if record.name == "featherhq"
    )


def test_a_call_that_finds_no_free_connection(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says so in time, and was never sent; and those who wait are served in their order."""
    monkeypatch.setattr(connections, "CALL_LIMITS", httpx.Limits(max_connections=1))

    async def program() -> None:
        async with AsyncFeather(sandbox.api_key, base_url=sandbox.url, rate_limit=None, max_retries=0) as feather:
            thread = await feather.threads.create(AGENT_ID)
            sandbox.inject("getThread", Stall())
            stalled = asyncio.create_task(thread.refresh())
            await asyncio.to_thread(sandbox.wait_for_requests, 1, "getThread")
            with pytest.raises(APITimeoutError, match="no free connection in time") as caught:
                await thread.send("hello", timeout=0.3)
            assert "Nothing reached Feather" in str(caught.value.__notes__)
            stalled.cancel()
            await asyncio.wait([stalled])
            order: list[int] = []

            async def call(number: int) -> None:
                await thread.refresh()
                order.append(number)

            await asyncio.gather(*(call(number) for number in range(50)))
            assert order == list(range(50))

    asyncio.run(program())


def test_calls_and_streams_that_are_cancelled_leave_the_pool_whole(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After hundreds of tasks cancelled in calls and conversations on a small pool, the next ones succeed."""
    monkeypatch.setattr(connections, "CALL_LIMITS", httpx.Limits(max_connections=10))

    async def program() -> None:
        async with AsyncFeather(sandbox.api_key, base_url=sandbox.url, rate_limit=None, timeout=5) as feather:
            thread = await feather.threads.create(AGENT_ID)

            async def converse() -> None:
                async with thread.conversation() as chat:
                    await chat.ask("no")

            async def cut(work: Any, seconds: float) -> None:
                with suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await work

            for wave in range(10):
                works = [thread.refresh() if number % 2 else converse() for number in range(50)]
                await asyncio.gather(*(cut(work, number * wave / 5000) for number, work in enumerate(works)))
            await asyncio.gather(*(thread.refresh() for _ in range(100)))
            another = await feather.threads.create(AGENT_ID)
            assert (await another.ask("still there?")).text == "echo: still there?"

    asyncio.run(program())


def test_a_hundred_and_fifty_open_streams_keep_no_call_waiting(sandbox: Sandbox) -> None:
    """Streams have connections of their own, as many as there are streams."""

    async def program() -> None:
        async with AsyncFeather(sandbox.api_key, base_url=sandbox.url, rate_limit=None) as feather:
            thread = await feather.threads.create(AGENT_ID)
            chats = [thread.conversation() for _ in range(150)]
            await asyncio.gather(*(chat.__aenter__() for chat in chats))
            await thread.send("hello", timeout=2)
            for chat in chats:
                async for message in chat.replies(timeout=5):
                    assert message.text == "echo: hello"
                    break
            await asyncio.gather(*(chat.aclose() for chat in chats))

    asyncio.run(program())


def test_an_import_brings_no_more_than_it_needs() -> None:
    """No httpx, aiohttp or generated code; a client brings httpx, an AsyncFeather aiohttp, a call its own models."""
    heavy = {"httpx", "httpcore", "aiohttp", "asyncio", "featherhq_api", "featherhq.sandbox", "featherhq._cli"}
    heavy |= {"starlette", "uvicorn", "jsonschema", "argparse", "_pytest"}
    steps = {
        "import featherhq": set(),
        "from featherhq import Feather, AsyncFeather": set(),
        "f = Feather('key')": {"httpx", "httpcore"},
        "import asyncio": {"asyncio"},
        "from featherhq._threads.send import send": set(),
        "next(send(f._settings, 'x', 'hello', f._settings.deadline(None)))": {"featherhq_api"},
        "AsyncFeather('key')": {"aiohttp"},
    }
    code = "".join(f"{step}\nprint(*sys.modules)\n" for step in steps)
    ran = subprocess.run([sys.executable, "-c", f"import sys\n{code}"], capture_output=True, text=True, check=True)
    expected: set[str] = set()
    for line, new in zip(ran.stdout.splitlines(), steps.values(), strict=True):
        expected |= new
        assert set(line.split()) & heavy == expected
    models = {name for name in ran.stdout.split() if name.startswith("featherhq_api.models.")}
    assert models == {f"featherhq_api.models.send_message_{part}" for part in ("body", "response")}


def test_another_event_loop(sandbox: Sandbox) -> None:
    """Connections belong to the loop that they were made in; who comes with another is told so, and nothing is sent."""
    feather = AsyncFeather(sandbox.api_key, base_url=sandbox.url)
    with asyncio.Runner() as runner:
        thread = runner.run(feather.threads.create(AGENT_ID))
        with pytest.raises(UsageError, match="another event loop") as caught, asyncio.Runner() as other:
            other.run(thread.send("hello"))
        assert "Nothing was sent" in str(caught.value.__notes__)
        runner.run(feather.aclose())
    assert count(sandbox, "sendMessage") == 0


def test_a_client_that_was_handed_in_is_used_as_it_is(sandbox: Sandbox) -> None:
    """With its own transport, and not closed."""

    async def program() -> None:
        async with httpx.AsyncClient() as given:
            async with AsyncFeather(sandbox.api_key, base_url=sandbox.url, http_client=given) as feather:
                await feather.threads.create(AGENT_ID)
            assert not given.is_closed
            assert (await given.get(sandbox.url)).status_code == 404

    asyncio.run(program())


def test_an_unknown_delivery_is_told_apart_from_none(connect: Callable[..., Any], sandbox: Sandbox) -> None:
    """No answer in time, and a history that cannot be read: nobody knows. No connection: everybody does."""
    thread = connect(timeout=1, max_retries=0).threads.create(AGENT_ID)
    sandbox.inject("sendMessage", Stall())
    sandbox.inject("listMessages", Status(403), 9)
    with pytest.raises(DeliveryUnknownError):
        thread.send("hello")
    sandbox.stop()
    with pytest.raises(APIConnectionError, match="could not connect"):
        thread.send("hello")
