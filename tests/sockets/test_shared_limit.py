"""A rate limit that clients and processes share through a real Redis: calls, forks, failures, and what is shown."""

from __future__ import annotations

import asyncio
import logging
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
import redis.asyncio
from conftest import AGENT_ID, KEY, Kind
from featherhq import (
    APITimeoutError,
    AsyncFeather,
    ConfigurationError,
    Feather,
    InvalidArgumentError,
    RateLimit,
    SharedRateLimit,
    UsageError,
)
from featherhq._redis import asker, clients
from featherhq.sandbox import Sandbox, Status
from redis_server import RedisServer, free_port
from sight import pretty, renderings
from test_forks import in_child

PASSWORD = "hunter-2-and-3"


@pytest.fixture(scope="module")
def redis_server() -> Iterator[RedisServer]:
    with RedisServer() as running:
        yield running


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A limit of its own for each test."""
    return str(request.node.name).replace("[", "-").replace("]", "")


def used_before(server: RedisServer, name: str, rate: float = 10.0) -> None:
    """Let the limit have a history without a recent burst, so that no test waits for the beginning."""
    keys = server.client()
    keys.rpush(f"featherhq:{{{name}}}:reserved", *([0] * max(1, int(rate))))
    keys.close()


def test_clients_of_both_kinds_share_one_limit(
    kind: Kind, sandbox: Sandbox, redis_server: RedisServer, name: str
) -> None:
    """Two clients, a view and a second object of the same name together send no more than one could."""
    used_before(redis_server, name, 4)
    limit = SharedRateLimit(redis_server.url, 4, name=name)
    again = SharedRateLimit(redis_server.client(), 4.0, name=name)
    clients = [kind.client(base_url=sandbox.url, rate_limit=one) for one in (limit, again)]
    clients.append(kind.client(base_url=sandbox.url).with_options(rate_limit=limit))
    for client in clients:
        client.threads.create(AGENT_ID)
        client.threads.create(AGENT_ID)
    times = [request.at for request in sandbox.requests]
    assert len(times) == 6
    # Two at once. The first one may arrive late, because it makes the connection.
    assert times[4] - times[1] > 0.5
    assert again._reservations.sharers == 2


def test_a_call_that_gets_no_slot_in_time(kind: Kind, sandbox: Sandbox, redis_server: RedisServer, name: str) -> None:
    """It fails at once, and the error names the shared limit."""
    used_before(redis_server, name, 1)
    client = kind.client(base_url=sandbox.url, rate_limit=SharedRateLimit(redis_server.url, 0.1, name=name))
    client.threads.create(AGENT_ID)
    began = time.monotonic()
    with pytest.raises(
        APITimeoutError, match=r"the shared limit of 0.1 requests per second \(.*\) has no free slot"
    ) as caught:
        client.with_options(timeout=5).threads.create(AGENT_ID)
    assert caught.value.delivered is False
    assert time.monotonic() - began < 4


def test_a_429_holds_the_other_clients(kind: Kind, sandbox: Sandbox, redis_server: RedisServer, name: str) -> None:
    """If the server refuses a request of one client, another one waits too."""
    used_before(redis_server, name)
    one, other = (
        kind.client(base_url=sandbox.url, rate_limit=SharedRateLimit(redis_server.url, name=name)) for _ in range(2)
    )
    other.threads.create(AGENT_ID)
    sandbox.inject("createThread", Status(429, headers={"Retry-After": "0.6"}))
    began = time.monotonic()
    one.with_options(max_retries=2).threads.create(AGENT_ID)
    other.threads.create(AGENT_ID)
    assert time.monotonic() - began >= 0.6
    hold = redis_server.client()
    assert hold.get(f"featherhq:{{{name}}}:hold") is not None
    hold.close()


def test_without_redis_no_call_fails(kind: Kind, sandbox: Sandbox, name: str, caplog: pytest.LogCaptureFixture) -> None:
    """If nothing listens there, calls go out at the rate of one process. The log says so once, without the password."""
    caplog.set_level(logging.INFO, "featherhq")
    url = f"redis://user:{PASSWORD}@127.0.0.1:{free_port()}/0"
    limit = SharedRateLimit(url, 20, name=name)
    client = kind.client(base_url=sandbox.url, rate_limit=limit)
    for _ in range(3):
        client.threads.create(AGENT_ID)
    times = [request.at for request in sandbox.requests]
    assert times[2] - times[1] > 0.04
    lines = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(lines) == 1
    assert "Redis could not be asked (ConnectionError" in lines[0]
    assert "at most 20 requests per second until Redis answers" in lines[0]
    assert PASSWORD not in caplog.text + pretty(limit)


def test_a_redis_that_hangs_and_comes_back(
    kind: Kind, sandbox: Sandbox, redis_server: RedisServer, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A call waits for a quarter of a second, and then goes out. When Redis goes on, its answer is used."""
    caplog.set_level(logging.INFO, "featherhq")
    used_before(redis_server, name)
    limit = SharedRateLimit(redis_server.url, name=name)
    client = kind.client(base_url=sandbox.url, rate_limit=limit)
    client.threads.create(AGENT_ID)
    redis_server.hang()
    try:
        began = time.monotonic()
        client.threads.create(AGENT_ID)
        took = time.monotonic() - began
    finally:
        redis_server.go_on()
    assert 0.2 < took < 2
    until = time.monotonic() + 10
    while "Redis answers again" not in caplog.text and time.monotonic() < until:
        client.threads.create(AGENT_ID)
    assert caplog.text.count("did not answer within 0.25 s") == 1
    assert caplog.text.count("Redis answers again") == 1


def test_a_child_asks_for_itself(sandbox: Sandbox, redis_server: RedisServer, name: str) -> None:
    """A limit that was used before the fork works in the child, which counts as one more process."""
    used_before(redis_server, name)
    limit = SharedRateLimit(redis_server.url, name=name)
    with Feather(KEY, base_url=sandbox.url, rate_limit=limit) as feather:
        feather.threads.create(AGENT_ID)

        def child() -> list[Any]:
            feather.threads.create(AGENT_ID)
            reservations = limit._reservations
            return [reservations.sharers, reservations.is_lost]

        assert in_child(child) == [2, False]
        feather.threads.create(AGENT_ID)
    assert len(sandbox.requests) == 3


def test_one_limit_in_several_event_loops(sandbox: Sandbox, redis_server: RedisServer, name: str) -> None:
    """One object may be given to clients in several event loops, at the same time and one after the other."""
    used_before(redis_server, name, 50)
    limit = SharedRateLimit(redis_server.url, 50, name=name)

    async def program() -> None:
        async with AsyncFeather(KEY, base_url=sandbox.url, rate_limit=limit) as feather:
            await asyncio.gather(*(feather.threads.create(AGENT_ID) for _ in range(5)))

    loops = [threading.Thread(target=asyncio.run, args=[program()]) for _ in range(3)]
    for one in loops:
        one.start()
    for one in loops:
        one.join()
    assert len(sandbox.requests) == 15


def test_a_clock_that_was_set_back(sandbox: Sandbox, redis_server: RedisServer, name: str) -> None:
    """If the clock of Redis is an hour before what was reserved, the limit begins anew. No call waits for an hour."""
    keys = redis_server.client()
    later = int((time.time() + 3600) * 1_000_000)
    keys.rpush(f"featherhq:{{{name}}}:reserved", *([later] * 10))
    keys.zadd(f"featherhq:{{{name}}}:sharers", {"somebody": later})
    keys.close()
    with Feather(
        KEY, base_url=sandbox.url, rate_limit=SharedRateLimit(redis_server.url, name=name), timeout=5
    ) as feather:
        feather.threads.create(AGENT_ID)


def test_all_keys_expire_and_are_in_one_slot(sandbox: Sandbox, redis_server: RedisServer, name: str) -> None:
    """Nothing stays in Redis, and the keys of a limit are in one hash slot of a cluster."""
    used_before(redis_server, name)
    limit = SharedRateLimit(redis_server.url, name=name)
    with Feather(KEY, base_url=sandbox.url, rate_limit=limit, max_retries=1) as feather:
        sandbox.inject("createThread", Status(429, headers={"Retry-After": "0.1"}))
        feather.threads.create(AGENT_ID)
    keys = redis_server.client(decode_responses=True)
    found: Any = keys.keys(f"featherhq:{{{name}}}:*")
    assert len(found) == 3
    assert all(0 < int(str(keys.ttl(key))) <= 86_400 for key in found)
    keys.close()


def test_the_thread_ends_when_nothing_is_asked(
    sandbox: Sandbox, redis_server: RedisServer, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends after a while without a question, and begins again with the next one."""
    monkeypatch.setattr(asker, "_IDLE", 0.01)
    used_before(redis_server, name)
    before = set(threading.enumerate())
    with Feather(KEY, base_url=sandbox.url, rate_limit=SharedRateLimit(redis_server.url, name=name)) as feather:
        for _ in range(2):
            feather.threads.create(AGENT_ID)
            for thread in set(threading.enumerate()) - before:
                if thread.name == "featherhq-limit":
                    thread.join(15)
                    assert not thread.is_alive()
        assert len(sandbox.requests) == 2


def test_no_thread_can_be_started(
    sandbox: Sandbox, redis_server: RedisServer, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the end of a program Python starts no more threads. A call goes out all the same."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    limit = SharedRateLimit(redis_server.url, name=name)
    with Feather(KEY, base_url=sandbox.url, rate_limit=limit) as feather:
        monkeypatch.setattr(threading.Thread, "start", refuse)
        feather.threads.create(AGENT_ID)
        assert limit._reservations.is_lost


def test_a_client_that_raises_anything(sandbox: Sandbox, redis_server: RedisServer, name: str) -> None:
    """Whatever the caller's own client raises, no call fails."""

    class Broken(redis.Redis):
        def evalsha(self, *_: Any) -> Any:
            raise ZeroDivisionError(PASSWORD)

    limit = SharedRateLimit(Broken(port=redis_server.port), name=name)
    with Feather(KEY, base_url=sandbox.url, rate_limit=limit) as feather:
        feather.threads.create(AGENT_ID)
    assert limit._reservations.is_lost
    assert clients.problem(ZeroDivisionError(PASSWORD)) == "Redis could not be asked (ZeroDivisionError)"
    assert clients.problem(redis.ConnectionError()) == "Redis could not be asked (ConnectionError)"


# What is refused.


@pytest.mark.parametrize(
    "url", [f"http://u:{PASSWORD}@x", f"redis://u:{PASSWORD}@x:port", f"{PASSWORD}", ""], ids=range(4)
)
def test_an_invalid_url(url: str, name: str) -> None:
    """The error does not show the URL, because it may hold a password; nor do the variables of its frames."""
    with pytest.raises(ConfigurationError, match="url_or_client: expected a URL such as") as caught:
        SharedRateLimit(url, name=name)
    shown = list(renderings(caught.value))
    assert not [text for text in shown if PASSWORD in text]


def test_a_client_of_the_wrong_kind(name: str) -> None:
    """An asyncio client is refused with what to pass: the same object serves both kinds of client."""
    with pytest.raises(InvalidArgumentError, match=r"expected a redis:// URL or a redis.Redis, got") as caught:
        SharedRateLimit(redis.asyncio.Redis(), name=name)  # type: ignore[arg-type]
    assert "for AsyncFeather too" in str(caught.value.__notes__)
    with pytest.raises(InvalidArgumentError, match=r"got a builtins\.int"):
        SharedRateLimit(7, name=name)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong", [{"name": ""}, {"name": "a{b"}, {"name": 7}, {"rate": 0}, {"burst": 0}, {"name": "\ud800"}]
)
def test_invalid_arguments(wrong: dict[str, Any]) -> None:
    """The error names the argument."""
    with pytest.raises(InvalidArgumentError, match=f"^{next(iter(wrong))}: expected "):
        SharedRateLimit("redis://127.0.0.1", **{"name": "x", **wrong})


def test_the_default_burst_is_half_a_second(name: str) -> None:
    """It is at least 1."""
    sizes = {rate: SharedRateLimit("redis://127.0.0.1", rate, name=name).burst for rate in (10, 2.5, 0.5, 100)}
    assert sizes == {10: 5, 2.5: 1, 0.5: 1, 100: 50}
    assert repr(SharedRateLimit("redis://u:p@127.0.0.1", name="x")) == "SharedRateLimit(rate=10, name='x', burst=5)"


def test_a_shared_limit_is_not_copied(name: str) -> None:
    """A copy could not share the thread, so the error says to make another one."""
    with pytest.raises(UsageError, match="cannot be copied or pickled"):
        pickle.dumps(SharedRateLimit("redis://127.0.0.1", name=name))


def test_without_the_package_redis() -> None:
    """The error says what to install. Without a shared limit, the package redis is never imported."""
    code = """
import sys
from featherhq import ConfigurationError, Feather, RateLimit, SharedRateLimit
Feather("key", rate_limit=RateLimit(10, burst=5)).close()
assert "redis" not in sys.modules
sys.modules["redis"] = None
try:
    SharedRateLimit("redis://127.0.0.1", name="x")
except ConfigurationError as error:
    print(error, error.__notes__)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "url_or_client: Redis needs the package redis, which is not installed" in ran.stdout
    assert "pip install 'featherhq[redis]'" in ran.stdout


def test_a_limit_with_a_burst(connect: Callable[..., Any], sandbox: Sandbox) -> None:
    """`RateLimit(5, burst=2)` lets two requests out at once and no more, also for a view."""
    client = connect()
    client.threads.create(AGENT_ID)
    client = client.with_options(rate_limit=RateLimit(5, burst=2))
    for _ in range(4):
        client.threads.create(AGENT_ID)
    times = [request.at for request in sandbox.requests][1:]
    assert times[3] - times[0] > 0.35
