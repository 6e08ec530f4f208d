"""A fleet: many conversations that are open at once and share one API key and its rate limit."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, Self

from attrs import Factory, define
from client_naive import ERRORS, Conversation, Opener
from featherhq import Message
from server_rate_limit_control import Control, made_at


@define
class Ask:
    """One ask.

    Attributes:
        began: When it began, in seconds of the monotonic clock.
        took: How many seconds it took.
        error: The name of the error that it raised.
    """

    began: float
    took: float
    error: str | None


@define
class Received:
    """What the client delivered to its callers.

    Attributes:
        times: How often it delivered each message, by the message's id.
        delays: Seconds from when the agent wrote a message without a question until the client delivered it.
        crossed: The number of asks that got a message which is no reply to them.
        errors: The errors of opening and of listening, by name.
    """

    times: Counter[str] = Factory(Counter)
    delays: list[float] = Factory(list)
    crossed: int = 0
    errors: Counter[str] = Factory(Counter)

    def add(self, message: Message, asked: str | None = None) -> None:
        """Count a message.

        Args:
            message: The message.
            asked: The question that it answers, or `None` if a listener received it.
        """
        self.times[message.id] += 1
        text = message.text.partition(" ")[2]
        if text == "unasked" and self.times[message.id] == 1:
            self.delays.append(time.monotonic() - made_at(message.text))
        self.crossed += asked is not None and text != f"re {asked}"


class Fleet:
    """Many conversations of one client. Some of them ask, and the others are idle: they only listen.

    Args:
        opener: Opens a conversation.
        ids: The threads.
        asking: Those of the threads that ask.
        rate: Asks a second in the whole fleet. The time between two asks varies by half.
    """

    def __init__(self, opener: Opener, ids: list[str], asking: Iterable[str] = (), rate: float = 1.0) -> None:
        self.received = Received()
        self.asks: list[Ask] = []
        self.skipped = 0
        self._open = opener
        self._ids = ids
        self._asking = frozenset(asking)
        self._rate = rate
        self._dice = random.Random(1)  # noqa: S311 - the same random times for each client
        self._began = time.monotonic()
        self._opened: dict[str, float] = {}
        self._all_open = asyncio.Event()
        self._ready: deque[tuple[str, Conversation]] = deque()
        self._asks: set[asyncio.Task[None]] = set()
        self._ending = asyncio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        """Open all conversations. Close them at the end of the block."""
        # An error that no client should raise ends the whole group.
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._hold(thread_id)) for thread_id in self._ids]
            if self._asking:
                tasks.append(group.create_task(self._ask_in_turn(group)))
            try:
                yield self
            finally:
                for task in tasks:
                    task.cancel()

    @property
    def opened(self) -> list[float]:
        """For each conversation that was ever open: seconds from the start until it was open."""
        return list(self._opened.values())

    async def all_open(self) -> None:
        """Wait until every conversation was open once."""
        await self._all_open.wait()

    async def finish(self) -> None:
        """Begin no further ask, and wait for the asks that have begun."""
        self._ending.set()
        if self._asks:
            await asyncio.wait(self._asks)

    async def settle(self, control: Control, quiet: float, grace: float) -> dict[str, Any]:
        """Receive the messages that are left in the conversations that ask. Return the server's last report.

        Args:
            control: The server's control.
            quiet: A conversation has nothing left when nothing comes for so many seconds.
            grace: If a message was written and not delivered, wait for it at most so many seconds.
        """
        until = time.monotonic() + grace
        await asyncio.gather(*(self._drain(conversation, quiet) for _, conversation in self._ready))
        while True:
            report = await control.report()
            incomplete = {
                thread_id
                for thread_id, thread in report["threads"].items()
                if any(reply not in self.received.times for reply in (*thread["replies"], *thread["unasked"]))
            }
            if not incomplete or time.monotonic() > until:
                return report
            left = [conversation for thread_id, conversation in self._ready if thread_id in incomplete]
            await asyncio.gather(asyncio.sleep(quiet), *(self._drain(conversation, quiet) for conversation in left))

    async def _drain(self, conversation: Conversation, quiet: float) -> None:
        try:
            async for message in conversation.replies(timeout=quiet):
                self.received.add(message)
        except ERRORS as error:
            self.received.errors[type(error).__name__] += 1

    async def _hold(self, thread_id: str) -> None:
        """Hold a conversation open until this task is cancelled. If an error ends it, open it again."""
        while True:
            try:
                async with self._open(thread_id) as conversation:
                    self._opened.setdefault(thread_id, time.monotonic() - self._began)
                    if len(self._opened) == len(self._ids):
                        self._all_open.set()
                    if thread_id in self._asking:
                        self._ready.append((thread_id, conversation))
                        await asyncio.Event().wait()
                    async for message in conversation.replies():
                        self.received.add(message)
            except ERRORS as error:
                self.received.errors[type(error).__name__] += 1
                await asyncio.sleep(self._dice.uniform(1, 2))

    async def _ask_in_turn(self, group: asyncio.TaskGroup) -> None:
        """Let the conversation ask that has waited longest. Each ask is a task, so a slow one delays no other."""
        due = time.monotonic()
        number = 0
        while not self._ending.is_set():
            due += self._dice.uniform(0.5, 1.5) / self._rate
            await asyncio.sleep(due - time.monotonic())
            if self._ending.is_set():
                return
            if not self._ready:
                self.skipped += 1
                continue
            number += 1
            task = group.create_task(self._ask(*self._ready.popleft(), str(number)))
            self._asks.add(task)
            task.add_done_callback(self._asks.discard)

    async def _ask(self, thread_id: str, conversation: Conversation, text: str) -> None:
        began, failed = time.monotonic(), None
        try:
            self.received.add(await conversation.ask(text), text)
        except ERRORS as error:
            failed = type(error).__name__
        self.asks.append(Ask(began, time.monotonic() - began, failed))
        self._ready.append((thread_id, conversation))
