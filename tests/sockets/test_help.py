"""What `help()`, `inspect` and docstrings tell users, and that it is true."""

from __future__ import annotations

import asyncio
import inspect
import pydoc
import re
import textwrap
from collections.abc import Iterator
from contextlib import aclosing, closing
from pathlib import Path
from typing import Any, get_args

import featherhq
import pytest
from conftest import AGENT_ID, THREAD_ID, Kind, count
from featherhq import AsyncFeather, Feather, UsageError, models
from featherhq.sandbox import Sandbox
from featherhq_api.models import ListMessagesDirection, ListMessagesStatus
from redis_server import RedisServer


@pytest.fixture(scope="module")
def redis_server() -> Iterator[RedisServer]:
    with RedisServer() as running:
        yield running


RETURNED = ["Threads", "Thread", "Conversation", "Replies"]
DOCUMENTED = [getattr(featherhq, prefix + name) for prefix in ("", "Async") for name in ("Feather", *RETURNED)]


@pytest.mark.parametrize("name", [prefix + name for prefix in ("", "Async") for name in RETURNED])
@pytest.mark.parametrize("arguments", [(), (THREAD_ID,), (None, None, THREAD_ID, None)])
def test_classes_that_calls_return_take_no_arguments(name: str, arguments: tuple[Any, ...]) -> None:
    """`help()` shows no private parameter. Whoever calls the class hears which call returns such an object."""
    kind = getattr(featherhq, name)
    assert str(inspect.signature(kind)) == "()"
    text = pydoc.plain(pydoc.render_doc(kind))
    assert not re.search(r"settings|runner|mailbox|flow", text)
    assert not inspect.get_annotations(kind)
    with pytest.raises(UsageError, match=rf"^{name}\(\) cannot be called") as caught:
        kind(*arguments)
    assert isinstance(caught.value, TypeError)
    assert re.search(r"feather\.thread|thread\.conversation|chat\.replies", caught.value.__notes__[0])


@pytest.mark.parametrize("kind", [Feather, AsyncFeather])
def test_help_leads_from_a_client_to_its_threads(kind: type) -> None:
    """`help(Feather)` shows a whole example, and how to make, get and list threads."""
    text = pydoc.plain(pydoc.render_doc(kind))
    for call in ("threads.create(", "threads.get(", "threads.list(", "thread.ask("):
        assert call in text


def test_a_client_may_be_subclassed(sandbox: Sandbox) -> None:
    """A subclass has its own arguments. Its views and its threads work."""

    class Tenant(Feather):
        def __init__(self, name: str) -> None:
            super().__init__(sandbox.api_key, base_url=sandbox.url, rate_limit=None)
            self.name = name

    with Tenant("acme") as tenant:
        view = tenant.with_options(timeout=5)
        assert isinstance(view, Tenant)
        assert view.threads.create(AGENT_ID).ask("hello").text == "echo: hello"


def test_the_literals_are_values_of_the_contract() -> None:
    """What a type checker accepts as a direction or a status, the contract accepts too. A contract that has got a new
    value needs no change here: at run time it is accepted at once.
    """
    assert set(get_args(models.Direction)) <= set(ListMessagesDirection)
    assert set(get_args(models.Status)) <= set(ListMessagesStatus)
    assert len(get_args(models.Status)) >= 9


def test_plain_attributes_of_a_thread(kind: Kind, sandbox: Sandbox) -> None:
    """A thread that a call has fetched shows its metadata, variables, time and activity as plain values."""
    client = kind.client(base_url=sandbox.url)
    thread = client.threads.create(AGENT_ID, metadata={"customer": "Ada"}, variables={"plan": "pro"})
    (listed,) = client.threads.list()
    for one in (thread, listed, client.threads.get(thread.id)):
        assert (one.metadata, one.variables, one.is_active) == ({"customer": "Ada"}, {"plan": "pro"}, True)
        assert one.created_at.utcoffset() is not None
    assert thread.update(metadata={"order": "7"}).metadata == {"customer": "Ada", "order": "7"}
    assert thread.close().is_active is False
    known = client.thread(thread.id)
    for name in ("metadata", "variables", "created_at", "is_active"):
        assert not hasattr(known, name)
    assert known.refresh().is_active is False


def test_lists_may_be_closed_early(sandbox: Sandbox) -> None:
    """`closing` ends a list of messages or threads. No further page is requested."""
    with Feather(sandbox.api_key, base_url=sandbox.url, rate_limit=None) as feather:
        thread = feather.threads.create(AGENT_ID)
        thread.ask("hello")
        for listed, operation in (
            (thread.messages(page_size=1), "listMessages"),
            (feather.threads.list(page_size=1), "listThreads"),
        ):
            before = count(sandbox, operation)
            with closing(listed):
                next(listed)
            read = count(sandbox, operation) - before
            assert list(listed) == []
            assert count(sandbox, operation) - before == read


def test_closed_replies_leave_the_conversation_open(sandbox: Sandbox) -> None:
    """`close()` ends one iteration. What was not taken stays for the next one, and the conversation goes on."""
    with Feather(sandbox.api_key, base_url=sandbox.url, rate_limit=None) as feather:
        thread = feather.threads.create(AGENT_ID)
        with thread.conversation() as chat:
            sandbox.say(thread.id, "one")
            sandbox.say(thread.id, "two")
            with closing(chat.replies()) as replies:
                assert next(replies).text == "one"
            assert list(replies) == []
            assert next(chat.replies()).text == "two"
            assert chat.ask("three").text == "echo: three"


async def _closed_replies(sandbox: Sandbox) -> None:
    async with AsyncFeather(sandbox.api_key, base_url=sandbox.url, rate_limit=None) as feather:
        thread = await feather.threads.create(AGENT_ID)
        async with thread.conversation() as chat:
            sandbox.say(thread.id, "one")
            sandbox.say(thread.id, "two")
            async with aclosing(chat.replies()) as replies:
                assert (await anext(replies)).text == "one"
            assert [message async for message in replies] == []
            replies = chat.replies()
            assert (await anext(replies)).text == "two"
            await replies.close()
            assert [message async for message in replies] == []
            async with aclosing(thread.messages(page_size=1)) as messages:
                await anext(messages)
            assert [message async for message in messages] == []


def test_closed_replies_leave_an_async_conversation_open(sandbox: Sandbox) -> None:
    """The same for `aclosing`, `aclose()` and `close()`, and for a list of messages."""
    asyncio.run(_closed_replies(sandbox))


def examples(*things: Any) -> dict[str, str]:
    """The examples in docstrings, by the names of what they are for: what follows a line that ends in `::`."""
    found = {}
    for thing in things:
        parts = {thing.__name__: thing.__doc__}
        if isinstance(thing, type):
            parts |= {f"{thing.__name__}.{name}": part.__doc__ for name, part in vars(thing).items() if name[0] != "_"}
        for name, doc in parts.items():
            block = re.search(r"::\n\n((?: {4}.*\n|\n)+)", inspect.cleandoc(doc or "") + "\n")
            if block:
                found[name] = textwrap.dedent(block[1])
    return found


OTHERS = ("FeatherError", "RateLimit", "SharedRateLimit", "SQLiteLedger", "RedisLedger")
EXAMPLES = examples(featherhq, *DOCUMENTED, *(getattr(featherhq, name) for name in OTHERS))


def test_all_examples_are_found() -> None:
    """Each public class that does something has an example, and so has the package."""
    kinds = {kind.__name__ for kind in DOCUMENTED if not kind.__name__.endswith("Replies")}
    assert {"featherhq", *kinds, *OTHERS} <= set(EXAMPLES)
    assert {"Feather.threads", "AsyncThread.messages", "AsyncConversation.replies"} <= set(EXAMPLES)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_the_examples_run(
    name: str, sandbox: Sandbox, redis_server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each example in a docstring runs as it stands, with the `feather`, the `thread` or the `chat` that it names."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FEATHER_API_KEY", sandbox.api_key)
    monkeypatch.setenv("FEATHER_BASE_URL", sandbox.url)
    with Feather() as feather:
        thread_id = feather.threads.create(AGENT_ID, metadata={"customer": "Ada"}).id
    code = EXAMPLES[name].replace("timeout=10", "timeout=0.1").replace("redis://localhost:6379/0", redis_server.url)
    if name.startswith("Async"):
        program = f"""
async def main():
    async with featherhq.AsyncFeather() as feather:
        thread = feather.thread("{thread_id}")
        async with thread.conversation() as chat:
{textwrap.indent(code, " " * 12)}
asyncio.run(main())
"""
    else:
        program = f"""
with featherhq.Feather() as feather:
    thread = feather.thread("{thread_id}")
    with thread.conversation() as chat:
{textwrap.indent(code, " " * 8)}
"""
    exec(compile(program, name, "exec"), {"asyncio": asyncio, "featherhq": featherhq})  # noqa: S102 - our own text
