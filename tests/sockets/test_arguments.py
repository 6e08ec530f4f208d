"""An invalid argument raises an error before any request, and the error says what was expected."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

import httpx
import pytest
from conftest import AGENT_ID, THREAD_ID, Kind
from featherhq import ConfigurationError, InvalidArgumentError
from featherhq.sandbox import Sandbox
from featherhq_api.api.threads import get_thread


@pytest.mark.parametrize("key", ["", "a\nb", "a b", " key", "key\n", "schlüssel", 7, b"key"])
def test_an_invalid_key(kind: Kind, key: Any) -> None:
    """The client refuses a key that is not valid in a header, and the error does not show it."""
    with pytest.raises(ConfigurationError, match="api_key: expected") as caught:
        kind.client(key)
    assert repr(key) not in str(caught.value)


def test_no_key(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a key, the error says where the client looks for one and where the user gets one."""
    monkeypatch.delenv("FEATHER_API_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="FEATHER_API_KEY") as caught:
        kind.client(None)
    assert "Settings" in caught.value.__notes__[0]


def test_key_and_url_from_the_environment(kind: Kind, monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox) -> None:
    """The client reads the key and the URL from the environment. For an empty variable, the error
    says that it is empty.
    """
    monkeypatch.setenv("FEATHER_API_KEY", sandbox.api_key)
    monkeypatch.setenv("FEATHER_BASE_URL", sandbox.url)
    assert kind.client(None).threads.create(AGENT_ID).id
    monkeypatch.setenv("FEATHER_BASE_URL", "")
    with pytest.raises(ConfigurationError, match=r"FEATHER_BASE_URL: expected .* is empty"):
        kind.client(None)
    monkeypatch.delenv("FEATHER_BASE_URL")
    assert "prod.featherhq.com" in repr(kind.client(None))
    monkeypatch.setenv("FEATHER_API_KEY", "")
    with pytest.raises(ConfigurationError, match=r"FEATHER_API_KEY: expected .* is empty"):
        kind.client(None)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/api",
        "feather",
        "ftp://x.y",
        "https://",
        "https://x.y?a=1",
        "https://x.y#a",
        "https://x:99999",
        "http://[",
        "http://a\x00b",
        7,
    ],
)
def test_an_invalid_url(kind: Kind, url: Any) -> None:
    """The client accepts only an absolute http or https URL, without a query and a fragment."""
    with pytest.raises(ConfigurationError, match="base_url: expected an absolute URL"):
        kind.client(base_url=url)


def test_a_url_with_a_password(kind: Kind) -> None:
    """The client refuses such a URL, and the error does not show the password."""
    with pytest.raises(ConfigurationError, match="user name") as caught:
        kind.client(base_url="https://me:hunter2@x.y")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "option",
    [
        {"timeout": -1},
        {"timeout": 0},
        {"timeout": float("nan")},
        {"timeout": float("inf")},
        {"timeout": "60"},
        {"timeout": None},
        {"timeout": True},
        {"max_retries": -1},
        {"max_retries": 1.5},
        {"max_retries": True},
        {"rate_limit": 0},
        {"rate_limit": -1},
        {"rate_limit": "10"},
        {"headers": "a: b"},
        {"headers": {"a b": "c"}},
        {"headers": {"a": "b\r\nc: d"}},
        {"headers": {"a": 1}},
        {"headers": {1: "a"}},
        {"headers": {"x-api-key": "k"}},
    ],
    ids=str,
)
def test_invalid_options(kind: Kind, option: dict[str, Any]) -> None:
    """The constructor and with_options refuse the same options."""
    with pytest.raises(InvalidArgumentError, match=next(iter(option))):
        kind.client(**option)
    with pytest.raises(InvalidArgumentError, match=next(iter(option))):
        kind.client().with_options(**option)


def test_an_http_client_of_the_wrong_kind(kind: Kind) -> None:
    """Feather accepts only an httpx.Client, and AsyncFeather accepts only an httpx.AsyncClient."""
    wrong: Any = httpx.Client() if kind.asynchronous else httpx.AsyncClient()
    for given in (wrong, "client"):
        with pytest.raises(InvalidArgumentError, match="http_client: expected"):
            kind.client(http_client=given)
    if kind.asynchronous:
        wrong.close()


BAD_IDS: list[Any] = ["", "..", ".", "abc", THREAD_ID + "/", THREAD_ID.replace("-", ""), f"{{{THREAD_ID}}}", 7, None]


def test_invalid_arguments_of_calls(connect: Callable[..., Any], sandbox: Sandbox) -> None:
    """Each invalid argument raises an InvalidArgumentError, which is a ValueError, and the server receives nothing."""
    client = connect()
    thread = client.thread(THREAD_ID)
    calls: list[Callable[[], Any]] = []
    for bad in BAD_IDS:
        calls += [partial(client.thread, bad), partial(client.threads.get, bad), partial(client.threads.create, bad)]
    for text in ("", None, 7, b"hello", "half \ud83d"):
        calls += [partial(thread.send, text), partial(thread.ask, text)]
    for timeout in (-1, 0, "1", float("nan")):
        calls += [partial(thread.send, "a", timeout=timeout), partial(thread.ask, "a", timeout=timeout)]
    for strings in ({"a": 1}, {1: "a"}, ["a"], "a", {"a": "\ud83d"}, {"\ud83d": "a"}):
        calls += [partial(thread.update, metadata=strings), partial(client.threads.create, AGENT_ID, variables=strings)]
    calls += [partial(thread.messages, page_size=page_size) for page_size in (0, 101, "5", 1.5, True)]
    calls += [
        partial(thread.messages, direction="SIDEWAYS"),
        partial(thread.messages, status=7),
        partial(thread.close, 7),
        partial(thread.close, "\ud83d"),
    ]
    for call in calls:
        with pytest.raises(InvalidArgumentError, match="expected") as caught:
            call()
        assert isinstance(caught.value, ValueError)
        assert caught.value.attempts == 0
    assert sandbox.requests == []


def test_ids_as_uuids(connect: Callable[..., Any]) -> None:
    """Each method that accepts an id also accepts a uuid.UUID."""
    client = connect()
    made = client.threads.create(uuid.UUID(AGENT_ID))
    assert client.thread(uuid.UUID(made.id)).refresh().id == made.id


def test_arguments_that_make_no_request(kind: Kind, connect: Callable[..., Any], sandbox: Sandbox) -> None:
    """Generated functions do not check their arguments. But an id such as `..` or a body that is not JSON also raises
    an InvalidArgumentError.
    """
    client = connect()
    with pytest.raises(InvalidArgumentError, match=r"'\.\.'"):
        kind.generated(get_thread, "..", client=client.api)

    def request() -> None:
        if kind.asynchronous:
            kind.run(client.api.get_async_httpx_client().request(method="post", url="/x", json=object()))
        else:
            client.api.get_httpx_client().request(method="post", url="/x", json=object())

    with pytest.raises(InvalidArgumentError, match="no request can be made"):
        request()
    assert sandbox.requests == []
