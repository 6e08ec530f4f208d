"""What a type checker says about programs that use the library. mypy and pyright read this file; it is never run.

`type: ignore` stands where a mistake must be found. Both checkers report such a comment if there is no mistake.
"""

from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing, closing
from datetime import datetime
from typing import assert_type

from featherhq import (
    AsyncConversation,
    AsyncFeather,
    AsyncReplies,
    AsyncThread,
    AsyncThreads,
    Conversation,
    Feather,
    Message,
    Replies,
    SentMessage,
    Thread,
    Threads,
    Turn,
)
from featherhq.models import INBOUND, Direction, Status


class Subclass(Feather):
    """Users may subclass a client, and add attributes."""

    def __init__(self, tenant: str) -> None:
        super().__init__("key", timeout=5)
        self.tenant = tenant


def attributes(thread: Thread) -> None:
    assert_type(thread.id, str)
    assert_type(thread.metadata, dict[str, str])
    assert_type(thread.variables, dict[str, str])
    assert_type(thread.created_at, datetime | None)
    assert_type(thread.is_active, bool | None)
    thread.is_active = False  # type: ignore[misc]  # it is read from `details`
    thread.is_activ  # type: ignore[attr-defined]  # noqa: B018


def calls(feather: Subclass, direction: Direction, status: Status) -> None:
    assert_type(feather.with_options(timeout=1), Subclass)
    assert_type(feather.threads, Threads)
    thread = feather.threads.create("6f1c9a52-8d0e-4b7a-9c55-0f6f2c9e4b11", metadata={"customer": "Ada"})
    assert_type(thread, Thread)
    assert_type(thread.refresh(), Thread)
    assert_type(thread.send("Hello"), SentMessage)
    assert_type(thread.ask("Hello"), Message)
    assert_type(thread.turn("Hello"), Turn)
    assert_type(thread.messages(), Generator[Message])
    thread.messages(direction="INBOUND", status="FAILED")
    thread.messages(direction=INBOUND)
    thread.messages(direction=direction, status=status)
    assert_type(feather.threads.list(), Generator[Thread])


def typos(feather: Feather, thread: Thread, message: Message) -> None:
    thread.messages(direction="INBUND")  # type: ignore[arg-type]
    thread.messages(status="DELIVRED")  # type: ignore[arg-type]
    feather.threads.create("id", metadata={"number": 7})  # type: ignore[dict-item]
    if message.direction == "OUTBUND":  # type: ignore[comparison-overlap]
        return
    assert_type(message.direction, Direction | None)
    # The server may send others than the contract lists, so it is any string.
    assert_type(message.status, str | None)


def constructors() -> None:
    """No class that calls return takes what only the library has."""
    Thread("0b7e5f0a-3c1d-4f6e-8a2b-9d8c7b6a5f4e")  # type: ignore[call-arg]
    Threads(None)  # type: ignore[call-arg]
    Conversation(None)  # type: ignore[call-arg]
    Replies(None)  # type: ignore[call-arg]
    AsyncThread("0b7e5f0a-3c1d-4f6e-8a2b-9d8c7b6a5f4e")  # type: ignore[call-arg]
    AsyncThreads(None)  # type: ignore[call-arg]


def closed_early(feather: Feather, thread: Thread) -> None:
    with closing(thread.messages()) as messages:
        assert_type(next(messages), Message)
    with closing(feather.threads.list()) as threads:
        assert_type(next(threads), Thread)
    with thread.conversation() as chat:
        assert_type(chat, Conversation)
        with closing(chat.replies(timeout=1)) as replies:
            assert_type(replies, Replies)
            assert_type([reply.text for reply in replies], list[str])
        for message in chat:
            assert_type(message, Message)


async def closed_early_async(feather: AsyncFeather, thread: AsyncThread) -> None:
    assert_type(thread.messages(), AsyncGenerator[Message])
    async with aclosing(thread.messages()) as messages:
        assert_type(await anext(messages), Message)
    async with aclosing(feather.threads.list()) as threads:
        assert_type(await anext(threads), AsyncThread)
    async with thread.conversation() as chat:
        assert_type(chat, AsyncConversation)
        async with aclosing(chat.replies(timeout=1)) as replies:
            assert_type(replies, AsyncReplies)
            assert_type([reply.text async for reply in replies], list[str])
        async for message in chat:
            assert_type(message, Message)
    thread.ask("Hello").text  # type: ignore[attr-defined]  # noqa: B018 - the await was forgotten
