"""No error of a failed call shows the API key."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from conftest import THREAD_ID, Kind
from featherhq import AsyncFeather, ConfigurationError, FeatherError, InvalidArgumentError, UsageError
from featherhq_api.api.threads import get_thread
from key_answers import (
    ECHOES,
    ENDS,
    cut,
    in_a_header_value,
    in_a_redirect,
    in_the_body,
    in_the_reason,
    unauthorized,
)
from key_helpers import error_of, look, new_key, watch_for_key
from peers import serve_peers
from raw_server import Peer, json_answer
from sight import Watch

key = pytest.fixture(new_key)
watch = pytest.fixture(watch_for_key)
serve = pytest.fixture(serve_peers)


def ask(client: Any) -> None:
    with client.thread(THREAD_ID).conversation() as chat:
        chat.ask("hello")


CALLS: dict[str, Callable[[Any], Any]] = {
    "get": lambda client: client.threads.get(THREAD_ID),
    "send": lambda client: client.thread(THREAD_ID).send("hello"),
    "ask": ask,
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
def test_errors_of_failed_calls(
    kind: Kind, serve: Callable[..., Peer], key: str, watch: Watch, end: Callable[..., bytes | None], call: str
) -> None:
    """An error status, a missing head and a lost connection raise our errors, and these do not show the key."""
    peer = serve(end)
    client = kind.client(key, base_url=peer.url, timeout=0.6, max_retries=0)
    error = error_of(lambda: CALLS[call](client))
    assert isinstance(error, FeatherError)
    assert any(key.encode() in request for request in peer.seen)
    look(watch, error, code=call == "get")


@pytest.mark.parametrize("call", ["get", "send", "generated"])
@pytest.mark.parametrize("echo", ECHOES, ids=lambda echo: echo.__name__)
def test_a_server_that_echoes_the_key(
    kind: Kind, serve: Callable[..., Peer], key: str, watch: Watch, echo: Callable[[str], bytes], call: str
) -> None:
    """No error shows the key, wherever and in whatever form the server repeats it."""
    peer = serve(echo(key))
    client = kind.client(key, base_url=peer.url, timeout=0.6, max_retries=0)
    if call == "generated":
        error = error_of(lambda: kind.generated(get_thread, THREAD_ID, client=client.api))
    else:
        error = error_of(lambda: CALLS[call](client))
    assert isinstance(error, FeatherError)
    look(watch, error)


@pytest.mark.parametrize("echo", [in_the_body, in_a_header_value, in_a_redirect], ids=lambda echo: echo.__name__)
def test_an_earlier_key(
    kind: Kind, serve: Callable[..., Peer], key: str, watch: Watch, echo: Callable[[str], bytes]
) -> None:
    """After a change of the key, errors show neither the earlier key nor the later one."""
    later = f"{key[::-1]}-later"
    keys = iter([key, later])

    def answer(request: bytes, _: socket.socket) -> bytes:
        return echo(key) if later.encode() in request else unauthorized(request, _)

    client = kind.client(lambda: next(keys), base_url=serve(answer).url, timeout=2, max_retries=0)
    error = error_of(lambda: client.threads.get(THREAD_ID))
    assert "***" in f"{error.__notes__} {vars(error)}"
    look(watch, error)
    look(Watch(later), error)


@pytest.mark.parametrize("event", ["request", "response"])
def test_a_hook_that_fails(kind: Kind, serve: Callable[..., Peer], key: str, watch: Watch, event: str) -> None:
    """The caller gets the error that a hook of its `http_client=` raises, and no frame of that error shows the key."""

    def fail(_: object) -> None:
        raise KeyError("a hook")

    async def fail_later(_: object) -> None:
        raise KeyError("a hook")

    hooks: Any = {event: [fail_later if kind.asynchronous else fail]}
    http: Any = (httpx.AsyncClient if kind.asynchronous else httpx.Client)(event_hooks=hooks)
    client = kind.client(key, base_url=serve(in_the_body(key)).url, http_client=http, timeout=2)
    error = error_of(lambda: client.threads.get(THREAD_ID))
    assert isinstance(error, KeyError)
    look(watch, error)
    if kind.asynchronous:
        kind.run(http.aclose())
    else:
        http.close()


@pytest.mark.parametrize("end", [*ENDS, "echo"], ids=lambda end: getattr(end, "__name__", end))
def test_an_http_client_of_the_caller(kind: Kind, serve: Callable[..., Peer], key: str, watch: Watch, end: Any) -> None:
    """Errors of calls through an `http_client=` do not show the key."""
    http: Any = (httpx.AsyncClient if kind.asynchronous else httpx.Client)()
    peer = serve(in_the_reason(key) if end == "echo" else end)
    client = kind.client(key, base_url=peer.url, http_client=http, timeout=0.6, max_retries=0)
    error = error_of(lambda: client.thread(THREAD_ID).send("hello"))
    assert isinstance(error, FeatherError)
    look(watch, error)
    if kind.asynchronous:
        kind.run(http.aclose())
    else:
        http.close()


def is_answered(value: Callable[[str], Any]) -> Any:
    return lambda key: lambda: value(key)


def raises(key: str) -> Callable[[], str]:
    def ask() -> str:
        raise LookupError(len(key))

    return ask


SOURCES: dict[str, Callable[[str], Any]] = {
    "raises": raises,
    "none": is_answered(lambda _: None),
    "bytes": is_answered(str.encode),
    "empty": is_answered(lambda _: ""),
    "a_line_break": is_answered(lambda key: f"{key}\n"),
    "a_list": is_answered(lambda key: [key]),
}


@pytest.mark.parametrize("source", SOURCES)
def test_a_key_function_that_returns_no_valid_key(
    kind: Kind, serve: Callable[..., Peer], key: str, watch: Watch, source: str
) -> None:
    """The client refuses the value without showing it, because the value may contain the key."""
    client = kind.client(SOURCES[source](key), base_url=serve(cut).url, timeout=2)
    error = error_of(lambda: client.threads.get(THREAD_ID))
    assert isinstance(error, ConfigurationError)
    look(watch, error)


def test_a_key_function_that_blocks(kind: Kind, serve: Callable[..., Peer], key: str, watch: Watch) -> None:
    """The call ends at its deadline without a key. Neither its error nor the error of a later call shows the key."""
    release = threading.Event()

    def wait() -> str:
        release.wait(5)
        return key

    client = kind.client(wait, base_url=serve(in_the_body(key)).url, timeout=0.2, max_retries=0)
    look(watch, error_of(lambda: client.threads.get(THREAD_ID)))
    release.set()
    look(watch, error_of(lambda: client.with_options(timeout=3).threads.get(THREAD_ID)))


@pytest.mark.parametrize(
    ("problem", "options"),
    [
        ("api_key", {"api_key": "{}\n"}),
        ("api_key", {"api_key": "{} é"}),
        ("FEATHER_API_KEY", {"api_key": None}),
        ("http_client", {"http_client": "none"}),
        ("base_url", {"base_url": "nowhere"}),
        ("timeout", {"timeout": -1}),
        ("headers", {"headers": {"X-API-Key": "another"}}),
    ],
)
def test_invalid_settings(
    kind: Kind, key: str, watch: Watch, monkeypatch: pytest.MonkeyPatch, problem: str, options: dict[str, Any]
) -> None:
    """The error names the invalid setting, and shows neither a valid nor an invalid key."""
    monkeypatch.setenv("FEATHER_API_KEY", f"{key}\n")

    given = {"api_key": "{}", **options}
    api_key = given.pop("api_key")
    error = error_of(lambda: kind.client(api_key and api_key.format(key), **given))
    assert isinstance(error, ConfigurationError | InvalidArgumentError)
    assert str(error).startswith(problem)
    look(watch, error)


def test_a_closed_client(kind: Kind, serve: Callable[..., Peer], key: str, watch: Watch) -> None:
    """The error of a call on a closed client does not show the key, whether the client was used before or not."""
    for calls in range(2):
        client = kind.client(key, base_url=serve(json_answer({"thread": {"id": THREAD_ID}})).url)
        for _ in range(calls):
            client.threads.get(THREAD_ID)
        (client.aclose if kind.asynchronous else client.close)()
        error = error_of(lambda client=client: client.threads.get(THREAD_ID))  # type: ignore[misc]
        assert isinstance(error, UsageError)
        look(watch, error)


def test_another_event_loop(serve: Callable[..., Peer], key: str, watch: Watch) -> None:
    """The errors of an `AsyncFeather` in a second event loop, or without any, do not show the key."""
    peer = serve(json_answer({"thread": {"id": THREAD_ID}}))
    client = AsyncFeather(key, base_url=peer.url)
    no_loop: Any = client.threads.get(THREAD_ID)
    look(watch, error_of(lambda: no_loop.send(None)))
    with asyncio.Runner() as runner:
        runner.run(client.threads.get(THREAD_ID))
        error = error_of(lambda: asyncio.run(client.threads.get(THREAD_ID)))
        assert isinstance(error, UsageError)
        look(watch, error)
        runner.run(client.aclose())
