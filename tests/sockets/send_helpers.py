"""What the tests of `send()` share: messages that are sent at the same time, and the texts in a thread."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from conftest import AGENT_ID, Kind
from featherhq import (
    AsyncFeather,
    Feather,
    FeatherError,
)
from featherhq.sandbox import Sandbox


def texts(sandbox: Sandbox, thread: Any) -> list[str]:
    """The texts of the user's messages in a thread."""
    return [message.text for message in sandbox.messages(thread.id) if message.direction == "INBOUND"]


class ParallelSends:
    """ParallelSends messages at the same time, each to a thread of its own. So a test waits only once for all of them.

    Args:
        kind: The kind of client. It decides between threads and tasks.
        sandbox: The server.
        options: The client's options.
    """

    def __init__(self, kind: Kind, sandbox: Sandbox, **options: Any) -> None:
        self._kind, self._sandbox = kind, sandbox
        self._options: dict[str, Any] = {"base_url": sandbox.url, "rate_limit": None, "timeout": 14, **options}
        self.took: list[float] = []

    def new_thread(self, *faults: Any) -> str:
        """Create a thread in which each attempt to send meets the next of these faults."""
        thread_id: str = self._sandbox._app.state.create(AGENT_ID, {}, {})["id"]
        for fault in faults:
            self._sandbox.inject("sendMessage", fault, thread_id=thread_id)
        return thread_id

    def to(self, thread_ids: Sequence[str], text: str = "hello", **options: Any) -> list[Any]:
        """Send the text to all threads at the same time, and return the receipts or the errors."""
        if self._kind.asynchronous:
            sent: list[tuple[Any, float]] = self._kind.run(self._tasks(thread_ids, text, options))
        else:
            sent = self._threads(thread_ids, text, options)
        self.took = [seconds for _, seconds in sent]
        return [outcome for outcome, _ in sent]

    def messages(self, thread_id: str) -> list[str]:
        """The texts of the messages in a thread."""
        return [said.text for said in self._sandbox.messages(thread_id)]

    def attempts(self, thread_id: str) -> int:
        """The number of requests to send a message to a thread."""
        return sum(thread_id in seen.path and seen.operation == "sendMessage" for seen in self._sandbox.requests)

    async def _tasks(self, thread_ids: Sequence[str], text: str, options: Any) -> list[tuple[Any, float]]:
        async with AsyncFeather(self._sandbox.api_key, **self._options) as feather:

            async def one(thread_id: str) -> tuple[Any, float]:
                began = time.monotonic()
                try:
                    outcome: Any = await feather.thread(thread_id).send(text, **options)
                except FeatherError as error:
                    outcome = error
                return outcome, time.monotonic() - began

            return list(await asyncio.gather(*map(one, thread_ids)))

    def _threads(self, thread_ids: Sequence[str], text: str, options: Any) -> list[tuple[Any, float]]:
        with Feather(self._sandbox.api_key, **self._options) as feather, ThreadPoolExecutor(len(thread_ids)) as pool:

            def one(thread_id: str) -> tuple[Any, float]:
                began = time.monotonic()
                try:
                    outcome: Any = feather.thread(thread_id).send(text, **options)
                except FeatherError as error:
                    outcome = error
                return outcome, time.monotonic() - began

            return list(pool.map(one, thread_ids))
