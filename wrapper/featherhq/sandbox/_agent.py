"""The sandbox's default agent, and the runner that calls an agent for each message."""

from __future__ import annotations

import asyncio
import logging
import re
import traceback
from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from featherhq.models import INBOUND, Message
from featherhq.sandbox import _checks
from featherhq.sandbox._blocking import in_thread
from featherhq.sandbox._redaction import redactor

if TYPE_CHECKING:
    from collections.abc import Callable

    from featherhq.sandbox._state import State

logger: Final = logging.getLogger("featherhq.sandbox")


def default_agent(text: str, history: list[Message]) -> str | list[str]:
    """Reply to a message with fixed sentences. No model is used, and equal arguments give equal replies.

    Args:
        text: The user's message.
        history: The thread's earlier messages, oldest first.

    Returns:
        One reply, or a list of replies.
    """
    words = set(re.findall(r"[a-z]+", text.lower()))
    asked_before = " ".join(message.text.lower() for message in history if message.direction == INBOUND)
    if words & {"bye", "thanks", "thank"}:
        return "You are welcome. Have a good day!"
    if words & {"when", "arrive", "delivery", "delivered"}:
        order = "Order 1042" if "order" in asked_before or "order" in words else "It"
        return [f"{order} will arrive on Thursday, between 9 and 12.", "Is there anything else?"]
    if "order" in words:
        return "Order 1042 left our warehouse this morning."
    if words & {"hi", "hello", "hey"} and not history:
        return "Hello! What can I do for you?"
    return f"You said: {text}"


class AgentRunner:
    """Calls the agent for each message, for one message of a thread at a time.

    Args:
        agent: The agent. See `Sandbox`.
        state: The threads and their messages.
        reply: Adds the replies to a message to its thread.
        api_key: The key that the log must not show.

    Attributes:
        tasks: The messages whose replies are not complete.
    """

    def __init__(
        self,
        agent: Callable[[str, list[Message]], str | list[str]],
        state: State,
        reply: Callable[[str, str, list[str]], object],
        api_key: str,
    ) -> None:
        self.tasks: set[asyncio.Task[None]] = set()
        self._agent = agent
        self._state = state
        self._add_replies = reply
        self._api_key = api_key
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def resume(self) -> None:
        """Reply to the messages that are still without a reply, in this event loop."""
        # A lock belongs to the event loop in which it was used.
        self._locks.clear()
        for thread_id, thread in self._state.threads.items():
            for message_id, text in thread.owed.items():
                self.start(thread_id, message_id, text)

    def start(self, thread_id: str, message_id: str, text: str) -> None:
        """Reply to a message in the background."""
        task = asyncio.create_task(self._reply(thread_id, message_id, text))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _reply(self, thread_id: str, message_id: str, text: str) -> None:
        async with self._locks[thread_id]:
            history = [message for message in self._state.get(thread_id).history() if message.id != message_id]
            replies = await in_thread(lambda: self._replies(text, history), "feather-sandbox-agent")
            try:
                self._add_replies(thread_id, message_id, replies)
            except OSError as error:
                logger.error("a reply of the agent was not written: %s", error)  # noqa: TRY400 - the text says all

    def _replies(self, text: str, history: list[Message]) -> list[str]:
        """The agent's replies; none if it fails."""
        try:
            result: Any = self._agent(text, history)
            several = isinstance(result, Iterable) and not isinstance(result, str)
            replies: list[Any] = list(result) if several else [result]
            for reply in replies:
                _checks.instance("a reply of the agent", reply, str, "a string")
        except Exception:  # noqa: BLE001 - no error of the agent may stop the sandbox
            # Format the traceback here, because it may contain the key.
            trace = redactor(self._api_key)(traceback.format_exc())
            logger.error("the agent failed, so there is no reply\n%s", trace)  # noqa: TRY400
            return []
        return replies
