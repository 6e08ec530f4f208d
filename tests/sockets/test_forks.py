"""Forked children of a program with threads: each child uses its own connections, and the parent
continues. POSIX only.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import traceback
import weakref
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from conftest import AGENT_ID
from featherhq import AsyncFeather, Feather, _forks
from featherhq._core.slots import Priority, Urgency
from featherhq.sandbox import Sandbox, Stall
from raw_server import Peer, json_answer

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork"),
    # Python 3.12 and newer warn, because this process has threads. These tests need the threads.
    pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning"),
]


def fork_and_run(work: Callable[[], Any]) -> Callable[[], Any]:
    """Fork, and do the work in the child. The returned function waits for the child and returns its result."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            told = json.dumps({"gave": work()})
        except BaseException:  # noqa: BLE001 - the parent raises it again
            told = json.dumps({"raised": traceback.format_exc()})
        try:
            os.write(writing, told.encode())
        finally:
            os._exit(0)
    os.close(writing)

    def end() -> Any:
        with os.fdopen(reading) as pipe:
            told = json.loads(pipe.read())
        os.waitpid(child, 0)
        assert "raised" not in told, told["raised"]
        return told["gave"]

    return end


def in_child(work: Callable[[], Any]) -> Any:
    """Return the result of work in a forked child."""
    return fork_and_run(work)()


def own_thread_id(request: bytes, _: Any) -> bytes:
    """A list with one message, which contains the id of the requested thread."""
    thread_id = request.split(b"/threads/")[1].split(b"/")[0].decode()
    said = {"id": "m-1", "messageBody": thread_id, "direction": "OUTBOUND"}
    return json_answer({"thread": {"messages": [said]}})


@pytest.fixture
def peer() -> Iterator[Peer]:
    made = Peer(own_thread_id)
    yield made
    made.close()


def texts(feather: Feather, thread_id: str) -> list[str]:
    return [message.text for message in feather.thread(thread_id).messages()]


def test_children_get_their_own_responses(peer: Peer) -> None:
    """After a call before the fork, four children and their parent each get only the messages of their own thread."""
    with Feather("key", base_url=peer.url, rate_limit=None) as feather:
        ids = [str(uuid4()) for _ in range(5)]
        assert texts(feather, ids[0]) == [ids[0]]

        def read(id_: str) -> Callable[[], Any]:
            return fork_and_run(lambda: [texts(feather, id_) for _ in range(100)])

        children = [read(id_) for id_ in ids[1:]]
        for _ in range(100):
            assert texts(feather, ids[0]) == [ids[0]]
        for id_, end in zip(ids[1:], children, strict=True):
            assert end() == [[id_]] * 100
        # The parent has one connection, before and after the fork, and each child has one.
        assert peer.connections == 5


def test_the_locks_of_a_child_are_new(sandbox: Sandbox) -> None:
    """A child can send although other threads of the parent hold every lock and wait in the queue of the rate limit at
    the fork.
    """
    with Feather(sandbox.api_key, base_url=sandbox.url, rate_limit=5, timeout=5) as feather:
        thread = feather.threads.create(AGENT_ID)
        settings, runner = feather._settings, feather._runner
        limit = settings.limit
        assert limit is not None
        limit.slot(Urgency(Priority.RECONCILE)).join(lambda: None)
        locks: list[Any] = [
            limit._lock,
            settings.ledger._lock,
            settings.key._lock,
            runner._lock,
            runner._connections._lock,
        ]
        held, over = threading.Event(), threading.Event()

        def hold() -> None:
            for lock in locks:
                lock.acquire()
            held.set()
            over.wait()
            for lock in reversed(locks):
                lock.release()

        holder = threading.Thread(target=hold)
        holder.start()
        held.wait()
        end = fork_and_run(lambda: feather.thread(thread.id).send("from the child").message_id)
        over.set()
        holder.join()
        sent = end()
        assert [message.id for message in sandbox.messages(thread.id) if message.text == "from the child"] == [sent]


def test_an_inherited_conversation_belongs_to_the_parent(sandbox: Sandbox) -> None:
    """A child that uses the conversation gets an error. The conversation continues in the parent after the child has
    closed it.
    """
    with Feather(sandbox.api_key, base_url=sandbox.url, rate_limit=None, timeout=5) as feather:
        thread = feather.threads.create(AGENT_ID)
        with thread.conversation() as chat:
            assert chat.ask("hello").text == "echo: hello"

            def use() -> list[str]:
                told = []
                for use in (lambda: chat.send("no"), lambda: chat.ask("no"), lambda: next(iter(chat))):
                    try:
                        use()
                    except Exception as error:  # noqa: BLE001 - the test checks its text
                        told.append(f"{type(error).__name__}: {error}")
                chat.close()
                feather.close()
                return told

            assert all("UsageError: this conversation belongs to another process" in told for told in in_child(use))
            requests = len(sandbox.requests)
            assert chat.ask("still there?").text == "echo: still there?"
            assert [request.operation for request in sandbox.requests[requests:]] == ["sendMessage"]


def test_a_child_opens_its_own_conversation(sandbox: Sandbox) -> None:
    """A child can open a conversation with the inherited client, while a conversation of the parent is open."""
    with Feather(sandbox.api_key, base_url=sandbox.url, rate_limit=None, timeout=5) as feather:
        thread = feather.threads.create(AGENT_ID)

        def ask() -> str:
            with thread.conversation() as own:
                return own.ask("in the child").text

        with thread.conversation() as chat:
            assert in_child(ask) == "echo: in the child"
            assert chat.ask("in the parent").text in {"echo: in the child", "echo: in the parent"}


def test_a_child_of_a_child(peer: Peer) -> None:
    """The child of a child also gets only the messages of its own thread."""
    with Feather("key", base_url=peer.url, rate_limit=None) as feather:
        first, second, third = (str(uuid4()) for _ in range(3))
        assert texts(feather, first) == [first]

        def work() -> list[Any]:
            return [texts(feather, second), in_child(lambda: texts(feather, third))]

        assert in_child(work) == [[second], [third]]


def test_an_unfinished_send_in_the_parent_does_not_affect_the_child(sandbox: Sandbox) -> None:
    """A child can send while a thread of the parent waited for a response at the fork. Both messages arrive once."""
    sandbox.inject("sendMessage", Stall(1.0), 1)
    with Feather(sandbox.api_key, base_url=sandbox.url, rate_limit=None, timeout=10) as feather:
        thread = feather.threads.create(AGENT_ID)
        sending = threading.Thread(target=lambda: thread.send("from the parent"))
        sending.start()
        sandbox.wait_for_requests(1, "sendMessage")
        in_child(lambda: thread.send("from the child").message_id)
        sending.join()
    said = [message.text for message in sandbox.messages(thread.id) if message.direction == "INBOUND"]
    assert sorted(said) == ["from the child", "from the parent"]


def test_a_used_http_client_is_refused_in_a_child(peer: Peer) -> None:
    """A child refuses an `http_client=` that was used before the fork, and sends nothing, because its connections
    belong to the parent.
    """
    with httpx.Client(trust_env=False) as given:
        feather = Feather("key", base_url=peer.url, rate_limit=None, http_client=given)
        id_ = str(uuid4())

        def use() -> str:
            try:
                return str(texts(feather, id_))
            except RuntimeError as error:
                return str(error)

        # The client has no connection yet, so the child may use it.
        assert in_child(use) == str([id_])
        assert texts(feather, id_) == [id_]
        seen = len(peer.seen)
        assert "was used before this process was forked" in in_child(use)
        assert len(peer.seen) == seen
        assert texts(feather, id_) == [id_]


def test_an_async_client_belongs_to_the_parent() -> None:
    """A child neither uses nor closes the connections of the parent's async client."""
    import asyncio  # noqa: PLC0415 - only this test needs it

    peer = Peer(own_thread_id)
    id_ = str(uuid4())

    async def read(feather: AsyncFeather) -> list[str]:
        return [message.text async for message in feather.thread(id_).messages()]

    def use(feather: AsyncFeather) -> str:
        try:
            return str(asyncio.run(read(feather)))
        except RuntimeError as error:
            return str(error)

    async def program() -> None:
        async with AsyncFeather("key", base_url=peer.url, rate_limit=None) as feather:
            assert await read(feather) == [id_]
            told: list[str] = []
            forked = threading.Thread(target=lambda: told.append(in_child(lambda: use(feather))))
            forked.start()
            await asyncio.to_thread(forked.join)
            assert "another event loop" in told[0]
            assert await read(feather) == [id_]

    asyncio.run(program())
    assert peer.connections == 1
    peer.close()


def test_unfinished_waits_end_silently_in_a_child(sandbox: Sandbox) -> None:
    """When the child discards the unfinished flows of the parent, no error is printed."""
    with Feather(sandbox.api_key, base_url=sandbox.url, rate_limit=None, timeout=5) as feather:
        thread = feather.threads.create(AGENT_ID)
        with thread.conversation() as chat:
            flow = chat._flow.next(None)
            next(flow)

            def collect() -> str:
                noise: list[str] = []
                sys.unraisablehook = lambda told: noise.append(str(told.exc_value))
                flow.close()
                return str(noise)

            assert in_child(collect) == "[]"
            flow.close()


def test_a_fork_without_clients_imports_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fork imports no module when the program has made no client."""
    made: weakref.WeakSet[Any] = weakref.WeakSet()
    monkeypatch.setattr(_forks, "_made", made)
    monkeypatch.setattr(_forks, "import_module", None)
    _forks._before()


def test_a_fork_waits_for_unfinished_imports() -> None:
    """When another thread is in the middle of an import at the fork, the child finds the module imported and does not
    hang.
    """
    program = """
import os, sys, threading, time
from featherhq import Feather
feather = Feather("key", base_url="http://127.0.0.1:1", max_retries=0, timeout=1)
begun = threading.Event()
class Slow:
    def find_spec(self, name, path, target=None):
        if name == "featherhq._threads.conversation":
            begun.set()
            time.sleep(0.3)
sys.meta_path.insert(0, Slow())
importing = threading.Thread(target=lambda: feather.thread("0b7e5f0a-3c1d-4f6e-8a2b-9d8c7b6a5f4e").conversation())
importing.start()
begun.wait()
child = os.fork()
if child == 0:
    try:
        feather.thread("0b7e5f0a-3c1d-4f6e-8a2b-9d8c7b6a5f4e").ask("hello")
    except Exception as error:
        os._exit(7 if "could not connect" in str(error) else 8)
    os._exit(9)
importing.join()
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=20)
    assert done.stdout.split() == ["7"], done.stderr


def test_an_inherited_conversation_that_is_not_open(sandbox: Sandbox) -> None:
    """A child cannot open a conversation that the parent made. The error says that it belongs to another process."""
    with Feather(sandbox.api_key, base_url=sandbox.url, rate_limit=None, timeout=5) as feather:
        chat = feather.threads.create(AGENT_ID).conversation()

        def enter() -> str:
            try:
                with chat:
                    return "open"
            except RuntimeError as error:
                return str(error)

        assert "belongs to another process" in in_child(enter)
