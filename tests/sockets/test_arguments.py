"""Bad input fails before any request, and says what was expected."""

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
def test_a_bad_key(kind: Kind, key: Any) -> None:
    """A key that no header can carry is refused, and not shown."""
    with pytest.raises(ConfigurationError, match="api_key: expected") as caught:
        kind.client(key)
    assert repr(key) not in str(caught.value)


def test_no_key(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a key, the error says where one is expected and where to get it."""
    monkeypatch.delenv("FEATHER_API_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="FEATHER_API_KEY") as caught:
        kind.client(None)
    assert "Settings" in caught.value.__notes__[0]


def test_the_environment(kind: Kind, monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox) -> None:
    """Key and URL come from it; an empty one is told as what it is, and is not the vendor's server."""
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
        7,
    ],
)
def test_a_bad_url(kind: Kind, url: Any) -> None:
    """Only an absolute http(s) URL without query and fragment will do."""
    with pytest.raises(ConfigurationError, match="base_url: expected an absolute URL"):
        kind.client(base_url=url)


def test_a_url_with_a_password(kind: Kind) -> None:
    """It is refused, and the password not shown."""
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
def test_bad_options(kind: Kind, option: dict[str, Any]) -> None:
    """The constructor and with_options refuse the same."""
    with pytest.raises(InvalidArgumentError, match=next(iter(option))):
        kind.client(**option)
    with pytest.raises(InvalidArgumentError, match=next(iter(option))):
        kind.client().with_options(**option)


def test_a_client_of_the_wrong_kind(kind: Kind) -> None:
    """Feather takes an httpx.Client, AsyncFeather an httpx.AsyncClient, and neither anything else."""
    wrong: Any = httpx.Client() if kind.asynchronous else httpx.AsyncClient()
    for given in (wrong, "client"):
        with pytest.raises(InvalidArgumentError, match="http_client: expected"):
            kind.client(http_client=given)
    if kind.asynchronous:
        wrong.close()


BAD_IDS: list[Any] = ["", "..", ".", "abc", THREAD_ID + "/", THREAD_ID.replace("-", ""), f"{{{THREAD_ID}}}", 7, None]


def test_bad_arguments_of_calls(connect: Callable[..., Any], sandbox: Sandbox) -> None:
    """Each is an InvalidArgumentError, which is a ValueError, and the server sees nothing."""
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
    """A uuid.UUID will do wherever an id will."""
    client = connect()
    made = client.threads.create(uuid.UUID(AGENT_ID))
    assert client.thread(uuid.UUID(made.id)).refresh().id == made.id


def test_what_no_request_can_be_made_of(kind: Kind, connect: Callable[..., Any], sandbox: Sandbox) -> None:
    """Generated functions check nothing; an id such as `..` or a body that is no JSON fails all the same."""
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
