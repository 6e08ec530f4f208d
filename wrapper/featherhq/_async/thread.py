"""A thread, and what can be done with it. It decides nothing."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Self

from featherhq._async.conversation import AsyncConversation
from featherhq._lazy import Lazy
from featherhq._resource import Returned
from featherhq._settings import DEFAULT_PAGE_SIZE, DEFAULT_QUIET, Settings
from featherhq._threads import details as read, flows
from featherhq._threads.search import find_sent
from featherhq._threads.send import send
from featherhq.models import Direction, Message, SentMessage, Status, Turn

if TYPE_CHECKING:
    from featherhq_api import models

    from featherhq._http import task_runner
    from featherhq._threads import conversation, lists
else:
    # Imported by what needs them, and by whoever asks what the annotations mean.
    models = Lazy("featherhq_api.models")
    task_runner, conversation = Lazy("featherhq._http.task_runner"), Lazy("featherhq._threads.conversation")
    lists = Lazy("featherhq._threads.lists")


class AsyncThread(Returned):
    """A web chat thread: the messages between a user and an agent.

    `feather.threads.create(agent_id)` makes one. `feather.threads.get(thread_id)`, `feather.threads.list()` and
    `feather.thread(thread_id)` return those that exist.

    With a client `feather`, for example::

        thread = await feather.threads.create("6f1c9a52-8d0e-4b7a-9c55-0f6f2c9e4b11", metadata={"customer": "Ada"})
        reply = await thread.ask("Where is my order?")
        print(thread.metadata["customer"], reply.text)

    Attributes:
        id: Its id.
        details: The generated model of Feather's last response about the thread. `None` if nothing was fetched, which
            happens only after `feather.thread(thread_id)`. `refresh` fetches it.
    """

    _from = "Call feather.threads.create(agent_id), feather.threads.get(id) or feather.thread(id)."

    def _with(
        self, settings: Settings, runner: task_runner.TaskRunner, thread_id: str, details: models.Thread | None = None
    ) -> Self:
        self._settings = settings
        self._runner = runner
        self.id = thread_id
        self.details = details
        return self

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id}>"

    @property
    def metadata(self) -> dict[str, str]:
        """The metadata of the thread, from `details`: a copy. Values that are not strings are left out.

        Raises:
            UsageError: nothing was fetched about the thread. Call `refresh` first.
        """
        return read.strings(self.id, self.details, "metadata")

    @property
    def variables(self) -> dict[str, str]:
        """The variables of the thread, from `details`: a copy. Values that are not strings are left out.

        Raises:
            UsageError: nothing was fetched about the thread. Call `refresh` first.
        """
        return read.strings(self.id, self.details, "variables")

    @property
    def created_at(self) -> datetime | None:
        """When Feather made the thread, with a time zone. `None` if Feather did not send a valid time.

        Raises:
            UsageError: nothing was fetched about the thread. Call `refresh` first.
        """
        return read.created_at(self.id, self.details)

    @property
    def is_active(self) -> bool | None:
        """Whether the thread was active when `details` was fetched. `None` if Feather did not send it.

        Raises:
            UsageError: nothing was fetched about the thread. Call `refresh` first.
        """
        return read.is_active(self.id, self.details)

    async def send(self, text: str, *, key: str | None = None, timeout: float | None = None) -> SentMessage:
        """Send a user's message, at most once. Returns when Feather has accepted it.

        Args:
            text: The message, with one character at least.
            key: Your name for this message, such as the id of an order. All calls with the same key, also in other
                processes and after a crash, send the message once and get the same receipt. It needs
                `AsyncFeather(ledger=…)`.
            timeout: Seconds in all. Default: the client's own.

        Raises:
            InvalidArgumentError: the message is empty or is not a string, or the key was used for another message.
                Nothing was sent.
            UsageError: there is a key, but the client has no ledger. Nothing was sent.
            LedgerError: the ledger failed. Nothing was sent.
            DeliveryUnknownError: the message may or may not have arrived. The note says whether the thread was read.
            FeatherError: the message has not arrived: `delivered` is `False`.
        """
        deadline = self._settings.deadline(timeout)
        return (await self._runner.run(send(self._settings, self.id, text, deadline, key))).receipt

    async def find_sent(self, text: str, *, since: datetime, timeout: float | None = None) -> Message | None:
        """Look for a message of the user in the thread, without sending anything.

        It reads the list of messages once, and returns the oldest one with this text. It cannot tell two messages with
        equal texts from each other: if somebody else has sent this text since then, you may get that message. A message
        that has just arrived may be missing, because lists may lag. `send` with a `key` has neither limit.

        Args:
            text: The message. White space at its ends, or repeated in it, does not count.
            since: The server's time, with a time zone, such as `error.sent_at` of a `DeliveryUnknownError`. Messages
                that are older by more than two seconds are not returned.
            timeout: Seconds in all. Default: the client's own.

        Raises:
            InvalidArgumentError: the message is empty or is not a string, or the time has no time zone.
            FeatherError: Feather did not return the list.
        """
        deadline = self._settings.deadline(timeout)
        return await self._runner.run(find_sent(self._settings, self.id, text, since, deadline))

    async def ask(self, text: str, *, key: str | None = None, timeout: float | None = None) -> Message:
        """Send a user's message, and wait for the agent's first message after it.

        Args:
            text: The message, with one character at least.
            key: As in `send`.
            timeout: Seconds for both, in all. Default: the client's own.

        Raises:
            ReplyTimeoutError: Feather accepted the message, and no reply came in time.
            FeatherError: as in `send`.
        """
        deadline = self._settings.deadline(timeout)
        async with self._runner.mailbox(self.id) as mailbox:
            flow = conversation.ConversationFlow(self._settings, self.id).ask_once(text, deadline, key)
            return await self._runner.run(flow, mailbox)

    async def turn(
        self, text: str, *, quiet: float = DEFAULT_QUIET, key: str | None = None, timeout: float | None = None
    ) -> Turn:
        """Send a user's message, and wait for all that the agent says to it.

        Agents may reply in several messages, and nothing tells which is the last. So this waits until the agent has
        been quiet for a while.

        Args:
            text: The message, with one character at least.
            quiet: The turn is over if no message has come for this many seconds.
            key: As in `send`.
            timeout: Seconds for all of it. If they are over after the first reply, the turn has what came until then.
                Default: the client's own.

        Raises:
            ReplyTimeoutError: Feather accepted the message, and no reply came in time.
            FeatherError: as in `send`.
        """
        deadline = self._settings.deadline(timeout)
        async with self._runner.mailbox(self.id) as mailbox:
            flow = conversation.ConversationFlow(self._settings, self.id).turn_once(text, quiet, deadline, key)
            return await self._runner.run(flow, mailbox)

    async def wait_for_reply(self, message_id: str | SentMessage, *, timeout: float | None = None) -> Message:
        """Wait for the reply to a message that was sent before, also by another process.

        The reply is the agent's first message after it, in the order of the list. It may have come already.

        Args:
            message_id: The message's id, or its `SentMessage`.
            timeout: Seconds in all. Default: the client's own.

        Raises:
            InvalidArgumentError: the id is invalid, or belongs to another thread.
            ReplyTimeoutError: no reply came in time. In a long thread, an id that the thread does not have may end in
                this error too.
            FeatherError: the thread's messages could not be read.
        """
        deadline = self._settings.deadline(timeout)
        async with self._runner.mailbox(self.id) as mailbox:
            flow = conversation.reply_to(self._settings, self.id, message_id, deadline)
            return await self._runner.run(flow, mailbox)

    def conversation(
        self, *, after: str | Message | SentMessage | None = None, timeout: float | None = None
    ) -> AsyncConversation:
        """A conversation over one live connection, for the time of an `async with` block.

        For example::

            async with thread.conversation() as chat:
                await chat.send("And when will it arrive?")
                async for message in chat.replies(timeout=10):
                    print(message.text)

        Args:
            after: Where to go on: a bookmark of an earlier conversation (`chat.bookmark`), the id of a message, a
                `Message` or a `SentMessage`. The conversation then begins with all that the agent has said after it.
                Default: only new messages.
            timeout: Seconds that the opening may take. Default: the client's own.

        Raises:
            InvalidArgumentError: an argument is invalid, or belongs to another thread. If this thread does not have the
                id, that is raised when the block is entered.
            FeatherError: when the block is entered: Feather cannot be reached, or refuses the key.
        """
        return AsyncConversation._made()._with(self._settings, self._runner, self.id, after, timeout)

    def messages(
        self,
        *,
        direction: Direction | None = None,
        status: Status | None = None,
        after: str | Message | SentMessage | None = None,
        newest_first: bool = False,
        page_size: int = DEFAULT_PAGE_SIZE,
        timeout: float | None = None,
    ) -> AsyncGenerator[Message]:
        """Every message of the thread, oldest first. Pages are fetched when they are needed.

        For example::

            async for message in thread.messages(direction="OUTBOUND"):
                print(message.created_at, message.text)

        Args:
            direction: `"INBOUND"` for the user's messages only, `"OUTBOUND"` for the agent's only. Default: both.
            status: Only messages with this status, such as `"FAILED"`. Default: all.
            after: Only messages after this place: a bookmark, the id of a message, a `Message` or a `SentMessage`. Only
                the pages after it are fetched. What a conversation has returned before its bookmark was made does not
                come again.
            newest_first: Begin with the newest message. If Feather lists the newest first too, the last messages of a
                long thread cost one request. If it does not, the whole list is read first.
            page_size: Messages per request, 1 to 100.
            timeout: Seconds that reading the next messages may take in all. Default: the client's own.

        Raises:
            InvalidArgumentError: an argument is invalid, or `after` does not belong to this thread.
            ResponseDecodeError: a message has no id or no text.
            FeatherError: Feather did not return them.
        """
        return self._pages(
            lists.MessageList(
                self._settings,
                self.id,
                direction=direction,
                status=status,
                after=after,
                newest_first=newest_first,
                page_size=page_size,
                timeout=timeout,
            )
        )

    async def _pages(self, listed: lists.MessageList) -> AsyncGenerator[Message]:
        while not listed.is_over:
            for message in await self._runner.run(listed.next()):
                yield message

    async def update(
        self,
        *,
        metadata: Mapping[str, str] | None = None,
        variables: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Self:
        """Merge metadata and variables into the thread, and refresh `details`.

        Args:
            metadata: Strings by their names, to add or to replace. Default: none.
            variables: Strings by their names, to add or to replace. Default: none.
            timeout: Seconds in all. Default: the client's own.

        Raises:
            InvalidArgumentError: a value is not a string.
            FeatherError: Feather did not update the thread.
        """
        flow = flows.update_thread(self._settings, self.id, metadata, variables, timeout)
        self.details = await self._runner.run(flow)
        return self

    async def close(self, reason: str | None = None, *, timeout: float | None = None) -> Self:
        """Close the thread, and refresh `details`. Open conversations of this client in it end with a `UsageError`.

        Args:
            reason: Why, or `None`.
            timeout: Seconds in all. Default: the client's own.

        Raises:
            InvalidArgumentError: the reason is not a string.
            FeatherError: Feather did not close the thread.
        """
        self.details = await self._runner.run(flows.close_thread(self._settings, self.id, reason, timeout))
        return self

    async def refresh(self, *, timeout: float | None = None) -> Self:
        """Fetch `details` again.

        Args:
            timeout: Seconds in all. Default: the client's own.

        Raises:
            FeatherError: Feather did not return them.
        """
        self.details = await self._runner.run(flows.get_thread(self._settings, self.id, timeout))
        return self
