"""No printed or copied object and no log line shows the API key."""

from __future__ import annotations

import asyncio
import copy
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from conftest import AGENT_ID, THREAD_ID, Kind
from featherhq import FeatherError
from featherhq.sandbox import Sandbox
from featherhq_api.api.threads import get_thread
from key_answers import (
    ECHOES,
)
from key_helpers import error_of, look, new_key, raw, watch_for_key
from peers import serve_peers
from raw_server import Peer, json_answer
from sight import Watch, every_record, pretty

key = pytest.fixture(new_key)
watch = pytest.fixture(watch_for_key)
serve = pytest.fixture(serve_peers)


@pytest.fixture
def sandbox(key: str) -> Iterator[Sandbox]:
    with Sandbox(agent=lambda text, _: f"echo: {text}", api_key=key, rate_limit=None) as running:
        yield running


@contextmanager
def objects_of_a_program(kind: Kind, sandbox: Sandbox) -> Iterator[list[Any]]:
    """All objects that a program has during a conversation."""
    client = kind.client(sandbox.api_key, base_url=sandbox.url, timeout=5)
    thread = client.threads.create(AGENT_ID)
    with thread.conversation() as chat:
        sent, reply = chat.send("hello"), chat.ask("again")
        held = [client, client.with_options(timeout=3), client.threads, client.api, thread, thread.details, chat]
        yield [raw(thing) for thing in [*held, chat.replies(), sent, reply, *thread.messages()]]


def test_objects_that_are_printed(kind: Kind, sandbox: Sandbox, watch: Watch) -> None:
    """`repr`, `vars` and rich do not show the key for any object, nor for any object of the package inside it."""
    with objects_of_a_program(kind, sandbox) as todo:
        seen: dict[int, Any] = {}
        while todo:
            thing = todo.pop()
            if id(thing) in seen:
                continue
            seen[id(thing)] = thing
            held = _values_in(thing)
            for told in (repr(thing), repr(held), pretty(thing), pretty(held)):
                watch.look(type(thing).__name__, told)
            todo += [below for below in held if type(below).__module__.startswith("featherhq")]
        # The loop must reach the object that holds the key.
        assert {"Settings", "Key", "Secret", "SendLedger"} <= {type(thing).__name__ for thing in seen.values()}


def _values_in(thing: object) -> list[object]:
    """The attributes of an object, and the items of those that are collections."""
    names = {name for kind in type(thing).__mro__ for name in getattr(kind, "__slots__", ())}
    values = [*getattr(thing, "__dict__", {}).values(), *(getattr(thing, name, None) for name in sorted(names))]
    inside = [list(value.values()) if isinstance(value, dict) else value for value in values]
    return [*values, *(one for below in inside if isinstance(below, list | tuple | set) for one in below)]


def test_objects_that_are_copied(kind: Kind, sandbox: Sandbox, watch: Watch) -> None:
    """An object with the key cannot be pickled or copied, and its error does not show the key. Pickles and copies of
    other objects do not contain the key.
    """
    with objects_of_a_program(kind, sandbox) as held:
        holders = held[:3] + held[4:5] + held[6:7]
        for thing in holders:
            for copied in (pickle.dumps, copy.deepcopy, copy.copy):
                error = error_of(lambda copied=copied, thing=thing: copied(thing))  # type: ignore[misc]
                assert isinstance(error, TypeError)
                look(watch, error)
        for thing in held:
            with suppress(Exception):
                watch.look(type(thing).__name__, pickle.dumps(thing).decode("latin-1"))
            with suppress(Exception):
                watch.look(type(thing).__name__, pretty(copy.deepcopy(thing)))


@pytest.mark.parametrize("debug", [False, True])
def test_no_log_shows_the_key(
    kind: Kind, sandbox: Sandbox, watch: Watch, capfd: pytest.CaptureFixture[str], debug: bool
) -> None:
    """During a call, an `ask` and a conversation, no line of any logger shows the key, at any level. This also holds
    when asyncio logs each of its steps.
    """
    names = set()

    def see(where: str, told: str) -> None:
        names.add(where.rpartition(" ")[2].partition(".")[0])
        watch.look(where, told)

    async def tell_all() -> None:
        loop = asyncio.get_running_loop()
        loop.set_debug(debug)
        loop.slow_callback_duration = 0 if debug else 10

    with every_record(see):
        kind.run(tell_all())
        client = kind.client(sandbox.api_key, base_url=sandbox.url, timeout=5)
        thread = client.threads.create(AGENT_ID)
        thread.ask("hello")
        with thread.conversation() as chat:
            assert chat.ask("again").text == "echo: again"
        assert isinstance(error_of(lambda: client.threads.get(THREAD_ID)), FeatherError)
        assert kind.generated(get_thread, thread.id, client=client.api)
    watch.look("what is printed", "".join(capfd.readouterr()))
    assert {"featherhq", "asyncio"} <= names
    assert kind.asynchronous or {"httpx", "httpcore"} <= names


def test_what_a_sandbox_records(kind: Kind, sandbox: Sandbox, watch: Watch) -> None:
    """Neither the recorded requests of a sandbox nor its errors show the key."""
    with objects_of_a_program(kind, sandbox):
        recorded = sandbox.requests
        assert len(recorded) > 3
        for seen in recorded:
            watch.look("a recorded request", pretty([seen, _values_in(seen)]))
    look(watch, error_of(lambda: sandbox.wait_for_requests(99, timeout=0.01)))


@pytest.mark.parametrize("echo", ECHOES, ids=lambda echo: echo.__name__)
def test_logs_with_a_server_that_echoes_the_key(
    kind: Kind, serve: Callable[..., Peer], key: str, watch: Watch, echo: Callable[[str], bytes]
) -> None:
    """Also then no log shows the key. The only exception is httpcore's own DEBUG line about the head of a response."""

    def see(where: str, told: str) -> None:
        if "receive_response_headers." not in told:
            watch.look(where, told)

    client = kind.client(key, base_url=serve(echo(key)).url, timeout=0.6, max_retries=0)
    with every_record(see):
        error_of(lambda: client.threads.get(THREAD_ID))
        error_of(lambda: client.thread(THREAD_ID).send("hello"))


def test_a_program_that_disables_logging(
    kind: Kind, serve: Callable[..., Peer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client writes no log lines, and works as usual."""
    import logging  # noqa: PLC0415 - only this test needs it

    told: list[str] = []
    monkeypatch.setattr(logging.root.manager, "disable", logging.CRITICAL)
    client = kind.client(base_url=serve(json_answer({"thread": {"id": THREAD_ID}})).url)
    with every_record(lambda _, line: told.append(line)):
        assert client.threads.get(THREAD_ID).id == THREAD_ID
    assert told == []
