"""What other tools and other ways of using it meet: inspection, copies, event loops, warnings, proxies, mocks, keys."""

from __future__ import annotations

import asyncio
import copy
import gc
import gzip
import inspect
import itertools
import json
import logging
import pickle
import signal
import subprocess
import sys
import threading
import time
import typing
import warnings
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import create_autospec
from uuid import uuid4

import aiohttp
import attrs
import cattrs
import featherhq
import featherhq.sandbox
import httpx
import pytest
import trio
from conftest import AGENT_ID, THREAD_ID, Kind, count
from featherhq import (
    APIConnectionError,
    APITimeoutError,
    AsyncFeather,
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    DeliveryUnknownError,
    Feather,
    FeatherError,
    ReplyTimeoutError,
    ResponseDecodeError,
    UsageError,
)
from featherhq._core.key import Key
from featherhq._core.secrets import Secret
from featherhq.sandbox import CutAfter, CutStream, Mute, Sandbox, Stall, Status
from featherhq_api.api.threads import send_message
from featherhq_api.models import SendMessageBody
from raw_server import ANSWER, OK, Peer, json_answer

PUBLIC = {
    f"{module.__name__}.{name}": one
    for module in (featherhq, featherhq.sandbox)
    for name in module.__all__
    if isinstance(one := getattr(module, name), type)
}


@pytest.fixture
def serve() -> Iterator[Callable[..., Peer]]:
    """Makes servers of raw bytes."""
    made: list[Peer] = []

    def make(answer: Any, **options: Any) -> Peer:
        made.append(Peer(answer, **options))
        return made[-1]

    yield make
    for peer in made:
        peer.close()


# Inspection and copies.


@pytest.mark.parametrize("name", PUBLIC)
def test_tools_can_look_into_every_public_class(name: str) -> None:
    """Type hints, attrs' fields, sources and autospecs, of each class and its methods."""
    public = PUBLIC[name]
    assert inspect.getsource(public).startswith(("class ", "@"))
    assert typing.get_type_hints(public) is not None
    if attrs.has(public):
        attrs.resolve_types(public)
    for member in vars(public).values():
        function = member.fget if isinstance(member, property) else member
        if inspect.isfunction(function):
            typing.get_type_hints(function)
            inspect.signature(function, eval_str=True)
    assert create_autospec(public) is not None
    assert create_autospec(public, instance=True) is not None


def test_what_is_data_can_be_copied(thread: Any) -> None:
    """`details`, messages and receipts: copies and pickles are equal to them."""
    sent = thread.send("hello")
    [message, *_] = thread.messages()
    assert thread.details.closed_at is None or not thread.details.closed_at
    for one in (thread.details, sent, message):
        assert copy.copy(one) == one
        assert copy.deepcopy(one) == one
        assert pickle.loads(pickle.dumps(one)) == one  # noqa: S301 - our own
    assert cattrs.unstructure(sent)["message_id"] == sent.message_id
    assert cattrs.unstructure(message)["text"] == "hello"


def test_what_holds_connections_cannot_be_copied(connect: Callable[..., Any]) -> None:
    """Nor pickled; the error says what to do instead, in the class that such tools look for."""
    client = connect()
    thread = client.thread(THREAD_ID)
    for one in (client, client.threads, thread, thread.conversation(), client.api):
        live = getattr(one, "target", one)
        for make in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(TypeError, match="cannot be copied or pickled") as caught:
                make(live)
            assert isinstance(caught.value, UsageError)
            assert "Make a client in each process" in str(caught.value.__notes__)


def test_errors_can_be_made_anew_from_their_args() -> None:
    """As task queues do that keep errors as JSON: the class, the line, and the status of the class."""
    kinds = [one for one in PUBLIC.values() if issubclass(one, FeatherError)]
    assert len(kinds) > 15
    for error in kinds:
        made = error("what failed")
        again = type(made)(*json.loads(json.dumps(made.args)))
        assert (str(again), again.args) == ("what failed", ("what failed",))
        assert getattr(again, "status_code", None) == getattr(made, "status_code", None)
        assert pickle.loads(pickle.dumps(again)).args == again.args  # noqa: S301 - our own
    assert featherhq.NotFoundError("no").status_code == 404


# Wrong uses.


def test_without_an_event_loop_of_asyncio(sandbox: Sandbox) -> None:
    """Under trio, or with no loop at all, it says so, and nothing was sent."""
    feather = AsyncFeather(sandbox.api_key, base_url=sandbox.url)
    with pytest.raises(UsageError, match="event loop of asyncio") as caught:
        trio.run(feather.threads.get, THREAD_ID)
    assert "trio.to_thread" in str(caught.value.__notes__)
    with pytest.raises(UsageError, match="event loop of asyncio"):
        feather.threads.get(THREAD_ID).send(None)
    assert isinstance(caught.value, RuntimeError)
    assert sandbox.requests == []


def test_closing_the_client_ends_who_iterates(sandbox: Sandbox) -> None:
    """`aclose()`, or `close()`, ends the loops over its conversations without an error."""

    async def program(name: str) -> list[str]:
        feather = AsyncFeather(sandbox.api_key, base_url=sandbox.url, rate_limit=None)
        thread = await feather.threads.create(AGENT_ID)
        given: list[str] = []
        is_open = asyncio.Event()

        async def listen() -> None:
            async with thread.conversation() as chat:
                is_open.set()
                given.extend([message.text async for message in chat])

        listening = asyncio.create_task(listen())
        await is_open.wait()
        await asyncio.sleep(0.05)
        await getattr(feather, name)()
        await asyncio.wait_for(listening, 5)
        return given

    for name in ("aclose", "close"):
        assert asyncio.run(program(name)) == []


def test_close_works_on_an_async_conversation(sandbox: Sandbox) -> None:
    """As `aclose` does."""

    async def program() -> list[Any]:
        async with AsyncFeather(sandbox.api_key, base_url=sandbox.url, rate_limit=None) as feather:
            thread = await feather.threads.create(AGENT_ID)
            async with thread.conversation() as chat:
                await chat.close()
                return [message async for message in chat]

    assert asyncio.run(program()) == []


def test_an_ask_that_is_cancelled_after_its_message_was_accepted(kind: Kind) -> None:
    """The error says that it was: whoever repeats it would send it twice."""
    with Sandbox(agent=lambda *_: [], rate_limit=None) as silent:
        if kind.asynchronous:

            async def program() -> BaseException:
                async with AsyncFeather(silent.api_key, base_url=silent.url, rate_limit=None) as feather:
                    asking = asyncio.create_task((await feather.threads.create(AGENT_ID)).ask("hello"))
                    await asyncio.to_thread(silent.wait_for_requests, 1, "sendMessage")
                    await asyncio.sleep(0.1)
                    asking.cancel()
                    with pytest.raises(asyncio.CancelledError) as caught:
                        await asking
                    return caught.value

            error = asyncio.run(program())
        else:
            error = TimeoutError("time is up")

            def handle(*_: object) -> None:
                raise error

            before = signal.signal(signal.SIGALRM, handle)
            with Feather(silent.api_key, base_url=silent.url, rate_limit=None) as feather:
                thread = feather.threads.create(AGENT_ID)
                signal.setitimer(signal.ITIMER_REAL, 0.4)
                with pytest.raises(TimeoutError) as caught:
                    thread.ask("hello")
            signal.signal(signal.SIGALRM, before)
            assert caught.value is error
    assert "The message was accepted" in str(error.__notes__)


@pytest.mark.parametrize("waits", ["next", "ask"])
def test_a_thread_that_is_closed_under_a_conversation(connect: Callable[..., Any], waits: str) -> None:
    """By the same client, elsewhere in the program: the wait ends with an error that says so."""
    client = connect(timeout=10)
    thread = client.threads.create(AGENT_ID)
    with thread.conversation() as chat:
        client.thread(thread.id).close("over")
        began = time.monotonic()
        with pytest.raises(UsageError, match=rf"thread {thread.id} was closed by this program"):
            next(iter(chat)) if waits == "next" else chat.ask("hello?")
        assert time.monotonic() - began < 1


def test_another_thread_that_is_closed(connect: Callable[..., Any]) -> None:
    """It is no concern of a conversation."""
    client = connect(timeout=10)
    thread, other = client.threads.create(AGENT_ID), client.threads.create(AGENT_ID)
    with thread.conversation() as chat:
        other.close()
        assert chat.ask("hello?").text == "echo: hello?"


def test_a_wait_ends_when_its_thread_is_closed(sandbox: Sandbox) -> None:
    """Also where the wait had begun before."""
    with Feather(sandbox.api_key, base_url=sandbox.url, rate_limit=None, timeout=10) as feather:
        thread = feather.threads.create(AGENT_ID)
        with thread.conversation() as chat:
            closing = threading.Timer(0.1, thread.close)
            closing.start()
            with pytest.raises(UsageError, match="was closed by this program"):
                next(iter(chat))
            closing.join()


def test_a_message_to_a_closed_thread(connect: Callable[..., Any]) -> None:
    """The 400 stays what it is, and its note says what may be the cause."""
    thread = connect().threads.create(AGENT_ID).close()
    with pytest.raises(BadRequestError) as caught:
        thread.send("hello")
    assert "The thread may be closed" in str(caught.value.__notes__)
    assert caught.value.delivered is False


@pytest.mark.parametrize("path", ["/api/v1", "/api/v1/", "/gateway/api/v1"])
def test_a_base_url_with_the_path_of_the_api(kind: Kind, path: str) -> None:
    """Every request adds it, so it is told and not asked for twice."""
    with pytest.raises(ConfigurationError, match="ends in /api/v1"):
        kind.client(base_url=f"http://127.0.0.1{path}")


# Warnings and noise.


@pytest.mark.parametrize("used", [False, True])
def test_a_client_that_is_not_closed(sandbox: Sandbox, used: bool) -> None:
    """One warning, that names it; none where there was nothing to close."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        feather = Feather(sandbox.api_key, base_url=sandbox.url, rate_limit=None)
        if used:
            thread = feather.threads.create(AGENT_ID)
            del feather
            gc.collect()
            # Whoever holds a thread of it holds it too.
            assert thread.ask("hello").text
            del thread
        else:
            del feather
        gc.collect()
    assert [str(one.message) for one in told] == [
        f"unclosed <Feather for {sandbox.url}>: use it in a `with` block, or close it"
    ] * used


@pytest.mark.parametrize("ended", [False, True])
def test_an_async_client_that_is_not_closed(sandbox: Sandbox, ended: bool) -> None:
    """The same, within its event loop, and after that has ended; nothing of aiohttp's or asyncio's."""
    noise: list[Any] = []
    held: list[Any] = []

    async def program() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: noise.append(context))
        feather = AsyncFeather(sandbox.api_key, base_url=sandbox.url, rate_limit=None)
        await (await feather.threads.create(AGENT_ID)).ask("hello")
        held.append(feather)
        if not ended:
            held.clear()
            del feather
            gc.collect()
            await asyncio.sleep(0.05)

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        asyncio.run(program())
        held.clear()
        gc.collect()
    assert [str(one.message) for one in told] == [
        f"unclosed <AsyncFeather for {sandbox.url}>: use it in a `with` block, or close it"
    ]
    assert noise == []


# Proxies, mocks, tracing.


def test_this_machine_is_reached_directly(
    kind: Kind, sandbox: Sandbox, dead_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever proxies the environment names, and whatever it excepts from them."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy"):
        monkeypatch.setenv(name, dead_url)
    for no_proxy in ("", "localhost,fd00::/8", "[::1]", "127.0.0.0/8", "*.orb.internal,0:0:0:0:0:0:0:1"):
        monkeypatch.setenv("NO_PROXY", no_proxy)
        assert kind.client(base_url=sandbox.url).threads.create(AGENT_ID).id


def test_a_proxy_is_named(kind: Kind, dead_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the error of a request that went through it, without its password, and with where it was set."""
    monkeypatch.setenv("HTTPS_PROXY", dead_url.replace("//", "//user:hidden@"))
    with pytest.raises(APIConnectionError, match=rf"through the proxy {dead_url} \(HTTPS_PROXY\)") as caught:
        kind.client(base_url="https://feather.test", max_retries=0).thread(THREAD_ID).send("hello")
    assert caught.value.delivered is False
    assert "hidden" not in f"{caught.value}{caught.value.__notes__}"


def test_a_status_from_behind_a_proxy(kind: Kind, serve: Callable[..., Peer], monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be the proxy's own, so its note names that."""
    peer = serve(json_answer({"message": "no"}, "403 Forbidden"))
    monkeypatch.setenv("HTTP_PROXY", peer.url)
    with pytest.raises(FeatherError) as caught:
        kind.client(base_url="http://feather.test").threads.get(THREAD_ID)
    assert f"came through the proxy {peer.url}" in str(caught.value.__notes__)


def test_a_proxy_that_drops_the_tunnel(kind: Kind, serve: Callable[..., Peer], monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was sent to Feather: a message may be sent again, and the error says so."""
    peer = serve(lambda _request, _connection: None)
    monkeypatch.setenv("HTTPS_PROXY", peer.url)
    with pytest.raises(APIConnectionError, match="through the proxy") as caught:
        kind.client(base_url="https://feather.test", max_retries=1, timeout=3).thread(THREAD_ID).send("hello")
    assert caught.value.delivered is False
    assert caught.value.attempts == 2
    assert all(request.startswith(b"CONNECT") for request in peer.seen)


def test_tools_that_wrap_send_see_each_call(kind: Kind, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Sentry's tracing does it: by putting its own in the place of `send` of httpx's clients."""
    seen: list[str] = []
    sync, asynchronous, below = httpx.Client.send, httpx.AsyncClient.send, aiohttp.ClientSession.__init__

    def send(self: Any, request: httpx.Request, **options: Any) -> httpx.Response:
        seen.append(request.method)
        return sync(self, request, **options)

    async def asend(self: Any, request: httpx.Request, **options: Any) -> httpx.Response:
        seen.append(request.method)
        return await asynchronous(self, request, **options)

    async def begins(_: Any, __: Any, told: aiohttp.TraceRequestStartParams) -> None:
        seen.append(told.method)

    def init(self: Any, *arguments: Any, **options: Any) -> None:
        traced = aiohttp.TraceConfig()
        traced.on_request_start.append(begins)
        options["trace_configs"] = [*(options.get("trace_configs") or ()), traced]
        below(self, *arguments, **options)

    monkeypatch.setattr(httpx.Client, "send", send)
    monkeypatch.setattr(httpx.AsyncClient, "send", asend)
    monkeypatch.setattr(aiohttp.ClientSession, "__init__", init)
    kind.client(base_url=sandbox.url).threads.create(AGENT_ID).refresh()
    assert seen == ["POST", "GET"]


def test_what_replaces_httpxs_own_transport_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """pytest-httpx does that to intercept requests; nothing is connected to then."""
    url = f"https://{uuid4()}.test"

    def answer(_transport: Any, request: httpx.Request) -> httpx.Response:
        assert str(request.url).startswith(url)
        return httpx.Response(200, json={"thread": {"id": THREAD_ID}})

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", answer)
    with Feather("key", base_url=url) as feather:
        assert feather.threads.get(THREAD_ID).details is not None


def test_mocks_of_httpx_with_a_client_of_yours(kind: Kind) -> None:
    """What `http_client=` is for: any transport, such as a mock's, answers both kinds."""
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json={"thread": {"id": THREAD_ID}}))
    given = (httpx.AsyncClient if kind.asynchronous else httpx.Client)(transport=transport)
    assert kind.client(base_url="https://feather.test", http_client=given).threads.get(THREAD_ID).id == THREAD_ID


# Streams, answers, and generated functions.


def test_streams_are_asked_for_as_they_are(thread: Any, sandbox: Sandbox) -> None:
    """Compression may hold messages back; calls may be compressed."""
    assert thread.ask("hello").text
    asked = {request.operation: request.headers["accept-encoding"] for request in sandbox.requests}
    assert asked["streamMessages"] == "identity"
    assert asked["sendMessage"] == "gzip, deflate"


def test_equal_lengths_are_one(kind: Kind, serve: Callable[..., Peer]) -> None:
    """A proxy that repeats `Content-Length` is no reason to fail; sync and async read it alike."""
    peer = serve(OK + b"Content-Length: %d\r\n\r\n" % len(ANSWER) + ANSWER)
    assert kind.client(base_url=peer.url).thread(THREAD_ID).send("hello").message_id == "m-1"


@pytest.mark.parametrize("lost", [False, True])
def test_a_generated_send_is_sent_once(kind: Kind, connect: Callable[..., Any], sandbox: Sandbox, lost: bool) -> None:
    """As `thread.send`, whoever asks: where the answer is lost, the message is found in the thread."""
    client = connect(timeout=10)
    thread_id = client.threads.create(AGENT_ID).id
    if lost:
        sandbox.inject("sendMessage", CutAfter())
    sent = kind.generated(send_message, thread_id, client=client.api, body=SendMessageBody(message="pay 100"))
    [message] = [said for said in sandbox.messages(thread_id) if said.direction == "INBOUND"]
    assert (sent.status_code, sent.parsed.message_id, sent.parsed.thread_id) == (200, message.id, thread_id)
    with pytest.raises(featherhq.InvalidArgumentError):
        kind.generated(send_message, thread_id, client=client.api, body=SendMessageBody(message=""))


def test_a_generated_send_of_unknown_outcome(kind: Kind, connect: Callable[..., Any], sandbox: Sandbox) -> None:
    """It says so, and was not sent twice."""
    client = connect(timeout=1.5)
    thread_id = client.threads.create(AGENT_ID).id
    sandbox.inject("sendMessage", Stall(), 9)
    with pytest.raises(DeliveryUnknownError):
        kind.generated(send_message, thread_id, client=client.api, body=SendMessageBody(message="pay 100"))
    assert count(sandbox, "sendMessage") == 1


def test_an_answer_for_another_thread(kind: Kind, serve: Callable[..., Peer]) -> None:
    """It is not taken for ours, whatever it is an answer to."""
    other = str(uuid4())
    peer = serve(lambda *_: json_answer({"messageId": "m-1", "threadId": other, "thread": {"id": other}}))
    client = kind.client(base_url=peer.url, timeout=1.5)
    with pytest.raises(ResponseDecodeError, match="another thread"):
        client.threads.get(THREAD_ID)
    with pytest.raises(DeliveryUnknownError, match="another thread"):
        client.thread(THREAD_ID).send("hello")
    assert sum(request.startswith(b"POST") for request in peer.seen) == 1


# Numbers in errors.


def test_errors_name_numbers(kind: Kind, connect: Callable[..., Any], sandbox: Sandbox) -> None:
    """How long a deadline was, and how long the server asks to wait."""
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


# Keys that change.


def test_many_refusals_ask_for_a_key_once(sandbox: Sandbox) -> None:
    """Twenty threads at once, with no key yet, and again with one that was refused."""
    given = ["old", sandbox.api_key]
    asked: list[int] = []

    def key() -> str:
        asked.append(1)
        time.sleep(0.1)
        return given[min(len(asked), 2) - 1]

    with Feather(key, base_url=sandbox.url, rate_limit=None, timeout=10) as feather:
        made: list[Any] = []
        threads = [threading.Thread(target=lambda: made.append(feather.threads.create(AGENT_ID))) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (len(made), len(asked)) == (20, 2)


def test_many_tasks_ask_for_a_key_once(sandbox: Sandbox) -> None:
    """The same for tasks, with a coroutine function."""
    given = ["old", sandbox.api_key]
    asked: list[int] = []

    async def key() -> str:
        asked.append(1)
        await asyncio.sleep(0.1)
        return given[min(len(asked), 2) - 1]

    async def program() -> int:
        async with AsyncFeather(key, base_url=sandbox.url, rate_limit=None, timeout=10) as feather:
            return len(await asyncio.gather(*(feather.threads.create(AGENT_ID) for _ in range(20))))

    assert (asyncio.run(program()), len(asked)) == (20, 2)


def test_a_key_that_stays_refused_is_asked_for_once_more(kind: Kind, sandbox: Sandbox) -> None:
    """Where there is no other, the refusal is what it is."""
    asked: list[int] = []

    def key() -> str:
        asked.append(1)
        return "wrong"

    with pytest.raises(AuthenticationError):
        kind.client(key, base_url=sandbox.url).threads.get(THREAD_ID)
    assert (len(asked), count(sandbox, "getThread")) == (2, 1)


def test_a_key_that_takes_too_long(kind: Kind, sandbox: Sandbox) -> None:
    """The call keeps its deadline, says what it waited for, and nothing was sent."""
    over = threading.Event()

    def key() -> str:
        over.wait(20)
        return sandbox.api_key

    began = time.monotonic()
    with pytest.raises(APITimeoutError, match=r"the callable .*key returned no key in time .*timeout 0\.5 s") as caught:
        kind.client(key, base_url=sandbox.url, timeout=0.5).thread(THREAD_ID).send("hello")
    assert time.monotonic() - began < 0.8
    assert caught.value.delivered is False
    assert sandbox.requests == []
    over.set()


@pytest.mark.parametrize(
    ("gives", "told"),
    [
        (lambda: None, "returned a value that is of type NoneType"),
        (lambda: b"key", "returned a value that is of type bytes"),
        (lambda: "", "returned a value that is empty"),
        (lambda: "a key", "returned a value that contains white space"),
        (lambda: 1 / 0, "raised ZeroDivisionError"),
        (sys.exit, "raised SystemExit"),
    ],
)
def test_a_callable_that_gives_no_key(kind: Kind, sandbox: Sandbox, gives: Callable[[], Any], told: str) -> None:
    """An error of ours that names it, with what it raised as the cause; the next call asks again."""

    def my_vault() -> Any:
        return gives()

    client = kind.client(my_vault, base_url=sandbox.url)
    for _ in range(2):
        with pytest.raises(ConfigurationError, match=rf"api_key: the callable .*my_vault {told}") as caught:
            client.threads.get(THREAD_ID)
    assert ("raised" in told) == (caught.value.__cause__ is not None)
    assert sandbox.requests == []


class Promise:
    """Awaitable, and no coroutine."""

    def __await__(self) -> Iterator[None]:
        yield


async def a_coroutine() -> str:
    return "key"


@pytest.mark.parametrize("key", [a_coroutine, Promise])
def test_a_coroutine_function_needs_an_async_client(sandbox: Sandbox, key: Any) -> None:
    """A `Feather` has no loop to run it in."""
    with (
        Feather(key, base_url=sandbox.url) as feather,
        pytest.raises(ConfigurationError, match="raised TypeError") as caught,
    ):
        feather.threads.get(THREAD_ID)
    assert "AsyncFeather" in str(caught.value.__cause__)


# The log.


def test_each_line_is_printed_once(sandbox: Sandbox) -> None:
    """FEATHER_LOG=debug beside a program that sets up logging itself."""
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


# Polling that costs.


def endless(cursors: Iterator[int]) -> bytes:
    """A page with nothing in it, and a cursor that nobody has seen before."""
    return json_answer({"thread": {"messages": [], "pagination": {"nextCursor": f"c-{next(cursors)}"}}})


def test_a_list_without_end(kind: Kind, serve: Callable[..., Peer]) -> None:
    """Page after page that brings nothing new: an error that says so, after a hundred."""
    cursors = itertools.count()
    peer = serve(lambda *_: endless(cursors))
    with pytest.raises(ResponseDecodeError, match="100 pages in a row bring nothing new"):
        list(kind.client(base_url=peer.url).thread(THREAD_ID).messages())
    assert len(peer.seen) == 100


def test_a_message_that_is_looked_for_in_a_list_without_end(kind: Kind, serve: Callable[..., Peer]) -> None:
    """Nobody knows what has become of it; it is not sent twice, and the call ends in time."""
    cursors = itertools.count()
    peer = serve(lambda request, _: None if request.startswith(b"POST") else endless(cursors))
    began = time.monotonic()
    with pytest.raises(DeliveryUnknownError):
        kind.client(base_url=peer.url, timeout=2).thread(THREAD_ID).send("hello")
    assert time.monotonic() - began < 2.3
    assert sum(request.startswith(b"POST") for request in peer.seen) == 1


def test_a_conversation_over_a_list_without_end(
    kind: Kind, serve: Callable[..., Peer], caplog: pytest.LogCaptureFixture
) -> None:
    """Looked at ever more seldom, with a line in the log."""
    cursors = itertools.count()
    peer = serve(lambda request, _: json_answer({}, "404 No") if b"/stream" in request else endless(cursors))
    with kind.client(base_url=peer.url, timeout=5).thread(THREAD_ID).conversation() as chat:
        assert list(chat.replies(timeout=3)) == []
    assert "bring nothing new, without an end; trying again later" in caplog.text
    assert len(peer.seen) < 500


def test_a_stream_in_a_coding_that_was_not_asked_for(kind: Kind, serve: Callable[..., Peer]) -> None:
    """It is no stream for us: the history is looked at instead."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: br\r\nContent-Length: 2\r\n\r\nxx"
    created_at = "2999-01-01T00:00:00Z"
    said = {"id": "m-1", "messageBody": "listed", "direction": "OUTBOUND", "createdAt": created_at}
    page = json_answer({"thread": {"messages": [said]}})
    peer = serve(lambda request, _: head if b"/stream" in request else page)
    with kind.client(base_url=peer.url, timeout=5).thread(THREAD_ID).conversation() as chat:
        assert next(chat.replies(timeout=4)).text == "listed"


def test_a_stream_that_gives_the_same_again_and_again_is_not_opened_in_a_storm(serve: Callable[..., Peer]) -> None:
    """It delivers one duplicate and ends, for ever: opened ever more seldom."""
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


def test_a_stream_that_is_cut_says_why(thread: Any, sandbox: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    """In the log, in words that can be printed."""
    sandbox.inject("streamMessages", CutStream(after_events=0))
    with thread.conversation() as chat:
        assert chat.ask("hello").text
    assert "stream lost:" in caplog.text
    assert caplog.text.replace("\n", "").isprintable()


# Servers that are broken or hostile: one of each kind. `test_hostile.py` has a thousand more.


def spoken(**fields: Any) -> dict[str, Any]:
    """A message of the agent's, far enough in the future to be new."""
    said = {"id": "m-1", "messageBody": "one", "direction": "OUTBOUND", "createdAt": "2999-01-01T00:00:00Z"}
    return {**said, **fields}


def streaming(*said: dict[str, Any], flood: bytes = b"") -> Callable[..., bytes | None]:
    """Answers with a stream of messages, and then a flood; lists nothing."""

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
    """On a stream and in a list; the log says that there were some."""
    other = spoken(id="m-0", threadId=str(uuid4()), messageBody="not yours")
    ours = spoken(threadId=THREAD_ID.upper())
    client = kind.client(base_url=serve(streaming(other, ours)).url)
    with client.thread(THREAD_ID).conversation() as chat:
        assert next(chat.replies(timeout=5)).text == "one"
    assert "stream: left out 1 message(s) of other threads" in caplog.text
    listed = serve(json_answer({"thread": {"messages": [other, ours]}}))
    assert [one.text for one in kind.client(base_url=listed.url).thread(THREAD_ID).messages()] == ["one"]
    assert "list: left out 1 message(s) of other threads" in caplog.text


def test_two_messages_of_one_id(kind: Kind, serve: Callable[..., Peer]) -> None:
    """Both are handed out, under the id that the server gave them; the same one again is not."""
    first, second = spoken(), spoken(messageBody="two", createdAt="2999-01-01T00:00:01Z")
    again = spoken(messageBody="one ", createdAt="2999-01-01T00:00:00.123Z")
    with (
        kind.client(base_url=serve(streaming(first, again, second, first)).url).thread(THREAD_ID).conversation() as chat
    ):
        assert [(one.id, one.text) for one in chat.replies(timeout=1)] == [("m-1", "one"), ("m-1", "two")]
    listed = serve(json_answer({"thread": {"messages": [first, second, first]}}))
    assert [one.text for one in kind.client(base_url=listed.url).thread(THREAD_ID).messages()] == ["one", "two"]


def test_a_stream_that_brings_nothing_at_full_speed(
    kind: Kind, serve: Callable[..., Peer], caplog: pytest.LogCaptureFixture
) -> None:
    """It is closed after some megabytes, and opened again later."""
    peer = serve(streaming(flood=(b": " + b"nothing" * 500 + b"\n\n") * 20))
    with kind.client(base_url=peer.url).thread(THREAD_ID).conversation() as chat:
        deadline = time.monotonic() + 20
        while "bytes without a new message" not in caplog.text and time.monotonic() < deadline:
            assert list(chat.replies(timeout=0.5)) == []
    assert "bytes without a new message" in caplog.text


@pytest.mark.parametrize("cursor", ["x" * 1025, "\x1b[31m", "\ud800"])
def test_a_cursor_that_can_be_none(kind: Kind, serve: Callable[..., Peer], cursor: str) -> None:
    """It blames the server, and is not asked for."""
    peer = serve(json_answer({"thread": {"messages": [spoken()], "pagination": {"nextCursor": cursor}}}))
    with pytest.raises(ResponseDecodeError, match="an invalid cursor"):
        list(kind.client(base_url=peer.url).thread(THREAD_ID).messages())
    assert len(peer.seen) == 1


def test_an_answer_of_too_many_values(kind: Kind, serve: Callable[..., Peer]) -> None:
    """Each would take many times the memory that it has in the text."""
    peer = serve(json_answer({"thread": {"messages": [0] * 60_000}}))
    with pytest.raises(ResponseDecodeError, match="more than 50,000 values"):
        list(kind.client(base_url=peer.url).thread(THREAD_ID).messages())


@pytest.mark.parametrize("status", ["200 OK", "404 No"])
def test_an_answer_that_is_too_large(kind: Kind, serve: Callable[..., Peer], status: str) -> None:
    """It is not read to its end. An error status stays what it is, with the beginning of the body."""
    body = gzip.compress(b" " * (17 * 1024 * 1024))
    head = f"HTTP/1.1 {status}\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n"
    peer = serve(head.encode() + body)
    with pytest.raises(FeatherError) as caught:
        kind.client(base_url=peer.url, timeout=10).threads.get(THREAD_ID)
    assert len(str(caught.value.body)) <= 256 * 1024  # type: ignore[attr-defined]
    assert ("of more than 16,777,216 bytes" in str(caught.value)) == status.startswith("200")


def test_a_redirect_to_nowhere(kind: Kind, serve: Callable[..., Peer]) -> None:
    """It is the status that it is, though its `Location` is none."""
    for location in (b"http://[", b"http://\xff/", b"//x:99999999/"):
        peer = serve(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + location + b"\r\n\r\n")
        with pytest.raises(featherhq.APIStatusError) as caught:
            kind.client(base_url=peer.url, max_retries=0).threads.get(THREAD_ID)
        assert caught.value.status_code == 302


def test_a_broken_chunk_ends_the_answer(kind: Kind, serve: Callable[..., Peer]) -> None:
    """At once, also where it comes after the head."""

    def answer(_: bytes, connection: Any) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        time.sleep(0.1)
        connection.sendall(b"zz\r\n")
        connection.recv(1)

    began = time.monotonic()
    with pytest.raises(APIConnectionError):
        kind.client(base_url=serve(answer).url, max_retries=0, timeout=10).threads.get(THREAD_ID)
    assert time.monotonic() - began < 5


def test_a_key_that_another_call_has_renewed_just_now() -> None:
    """It is taken, and nobody is asked again."""
    key = Key(lambda: "newest")
    old, new = Secret("old"), Secret("new")
    key._current = new

    def run(_: Any) -> Any:
        raise AssertionError("it was asked for")

    assert key._once(run, old).result(0) is new
