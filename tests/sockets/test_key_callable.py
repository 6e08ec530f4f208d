"""An API key from a function: the client calls the function when it needs a key or when a key was refused."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from conftest import AGENT_ID, THREAD_ID, Kind, count
from featherhq import (
    APITimeoutError,
    AsyncFeather,
    AuthenticationError,
    ConfigurationError,
    Feather,
)
from featherhq._core.key import Key
from featherhq._core.secrets import Secret
from featherhq.sandbox import Sandbox


def test_many_threads_call_the_key_function_once(sandbox: Sandbox) -> None:
    """Twenty threads share one call of the key function, first without a key and again after a refused key."""
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


def test_many_tasks_call_the_key_function_once(sandbox: Sandbox) -> None:
    """Twenty tasks share one call of a coroutine function, first without a key and again after a refused key."""
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


def test_a_refused_key_is_requested_once_more(kind: Kind, sandbox: Sandbox) -> None:
    """When the function gives the same refused key again, the call raises the AuthenticationError."""
    asked: list[int] = []

    def key() -> str:
        asked.append(1)
        return "wrong"

    with pytest.raises(AuthenticationError):
        kind.client(key, base_url=sandbox.url).threads.get(THREAD_ID)
    assert (len(asked), count(sandbox, "getThread")) == (2, 1)


def test_a_key_function_that_takes_too_long(kind: Kind, sandbox: Sandbox) -> None:
    """The call ends at its deadline, names the key function in its error, and sends nothing."""
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
def test_a_key_function_that_gives_no_key(kind: Kind, sandbox: Sandbox, gives: Callable[[], Any], told: str) -> None:
    """The error names the function, and its cause is what the function raised. The next call tries the
    function again.
    """

    def my_vault() -> Any:
        return gives()

    client = kind.client(my_vault, base_url=sandbox.url)
    for _ in range(2):
        with pytest.raises(ConfigurationError, match=rf"api_key: the callable .*my_vault {told}") as caught:
            client.threads.get(THREAD_ID)
    assert ("raised" in told) == (caught.value.__cause__ is not None)
    assert sandbox.requests == []


class AwaitableOnly:
    """An awaitable object that is not a coroutine."""

    def __await__(self) -> Iterator[None]:
        yield


async def a_coroutine() -> str:
    return "key"


@pytest.mark.parametrize("key", [a_coroutine, AwaitableOnly])
def test_a_coroutine_function_needs_an_async_client(sandbox: Sandbox, key: Any) -> None:
    """A `Feather` refuses a coroutine function, because it has no event loop to run it in."""
    with (
        Feather(key, base_url=sandbox.url) as feather,
        pytest.raises(ConfigurationError, match="raised TypeError") as caught,
    ):
        feather.threads.get(THREAD_ID)
    assert "AsyncFeather" in str(caught.value.__cause__)


def test_a_key_that_another_call_has_just_renewed() -> None:
    """The client uses the renewed key, and does not call the key function again."""
    key = Key(lambda: "newest")
    old, new = Secret("old"), Secret("new")
    key._current = new

    def run(_: Any) -> Any:
        raise AssertionError("the key function was called")

    assert key._once(run, old).result(0) is new
