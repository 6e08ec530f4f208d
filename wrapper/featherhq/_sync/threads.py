# Made by `make generate` from _async/threads.py: change that file, not this one.
"""The threads of a client, and what can be done with one. They decide nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Self
from uuid import UUID

from featherhq import _validation
from featherhq._lazy import Lazy
from featherhq._resource import Resource
from featherhq._settings import DEFAULT_PAGE_SIZE, DEFAULT_QUIET, Settings
from featherhq._sync.conversation import Conversation
from featherhq._threads import flows
from featherhq._threads.search import find_sent
from featherhq._threads.send import send
from featherhq.models import Message, SentMessage, Turn

if TYPE_CHECKING:
    from featherhq_api import models

    from featherhq._http import thread_runner
    from featherhq._threads import conversation, lists
else:
    # Imported by what needs them, and by whoever asks what the annotations mean.
    models = Lazy("featherhq_api.models")
    thread_runner, conversation = Lazy("featherhq._http.thread_runner"), Lazy("featherhq._threads.conversation")
    lists = Lazy("featherhq._threads.lists")


class Threads(Resource):
    """Makes threads and finds them."""

    def __init__(self, settings: Settings, runner: thread_runner.ThreadRunner) -> None:
        self._settings = settings
        self._runner = runner

    def create(
        self,
        agent_id: str | UUID,
        *,
        metadata: Mapping[str, str] | None = None,
        variables: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Thread:
        """Make a web chat thread with an agent.

        Args:
            agent_id: The agent's id, a UUID.
            metadata: Strings by their names, or `None`.
            variables: Strings by their names, or `None`.
            timeout: Seconds in all. Default: the client's own.

        Raises:
            InvalidArgumentError: the id is not a UUID, or a value is not a string.
            FeatherError: Feather did not make the thread (`delivered` is `False`), or the outcome is unknown (`None`).
                A thread that was made twice costs no more than an empty thread.
        """
        flow = flows.create_thread(self._settings, agent_id, metadata, variables, timeout)
        thread_id, details = self._runner.run(flow)
        return Thread(self._settings, self._runner, thread_id, details)

    def get(self, thread_id: str | UUID, *, timeout: float | None = None) -> Thread:
        """A thread with its `details`.

        Args:
            thread_id: The thread's id, a UUID.
            timeout: Seconds in all. Default: the client's own.

        Raises:
            InvalidArgumentError: the id is not a UUID.
            FeatherError: Feather did not return the thread.
        """
        checked = _validation.identifier("thread_id", thread_id)
        return Thread(self._settings, self._runner, checked).refresh(timeout=timeout)

    def list(
        self,
        *,
        agent_id: str | UUID | None = None,
        is_active: bool | None = None,
        page_size: int = DEFAULT_PAGE_SIZE,
        timeout: float | None = None,
    ) -> Iterator[Thread]:
        """The threads of the organization, each with its `details`. Pages are fetched when they are needed.

        Threads of all kinds are listed, in the server's order: the vendor's page does not say which order that is.

        Args:
            agent_id: Only threads with this agent.
            is_active: `True` for active threads only, `False` for closed ones only.
            page_size: Threads per request, 1 to 100.
            timeout: Seconds until the next threads must be there. Default: the client's own.

        Raises:
            InvalidArgumentError: an argument is invalid.
            ResponseDecodeError: there is no list, or a thread has no id.
            FeatherError: Feather did not return them.
        """
        return self._pages(lists.ThreadList(self._settings, agent_id, is_active, page_size, timeout))

    def _pages(self, listed: lists.ThreadList) -> Iterator[Thread]:
        while not listed.is_over:
            for thread_id, details in self._runner.run(listed.next()):
                yield Thread(self._settings, self._runner, thread_id, details)


class Thread(Resource):
    """A web chat thread.

    Attributes:
        id: Its id.
        details: The generated model of Feather's last answer about the thread, or `None` before the first answer.
    """

    def __init__(
        self,
        settings: Settings,
        runner: thread_runner.ThreadRunner,
        thread_id: str,
        details: models.Thread | None = None,
    ) -> None:
        self._settings = settings
        self._runner = runner
        self.id = thread_id
        self.details = details

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id}>"

    def send(self, text: str, *, key: str | None = None, timeout: float | None = None) -> SentMessage:
        """Send a user's message, at most once. Returns when Feather has accepted it.

        Args:
            text: The message, with one character at least.
            key: Your name for this message, such as the id of an order. All calls with the same key, also in other
                processes and after a crash, send the message once and get the same receipt. It needs
                `Feather(ledger=…)`.
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
        return (self._runner.run(send(self._settings, self.id, text, deadline, key))).receipt

    def find_sent(self, text: str, *, since: datetime, timeout: float | None = None) -> Message | None:
        """Look for a message of the user in the thread, without sending anything.

        It reads the list once, and returns the oldest message with this text. So it cannot tell two messages with equal
        texts from each other: if somebody else has sent this text since then, you may get that message. A message that
        has just arrived may be missing, because lists may lag. `send` with a `key` knows both.

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
        return self._runner.run(find_sent(self._settings, self.id, text, since, deadline))

    def ask(self, text: str, *, key: str | None = None, timeout: float | None = None) -> Message:
        """Send a user's message and wait for the agent's first message after it.

        Args:
            text: The message, with one character at least.
            key: As in `send`.
            timeout: Seconds for both, in all. Default: the client's own.

        Raises:
            ReplyTimeoutError: Feather accepted the message, and no reply came in time.
            FeatherError: as in `send`.
        """
        deadline = self._settings.deadline(timeout)
        with self._runner.mailbox(self.id) as mailbox:
            flow = conversation.ConversationFlow(self._settings, self.id).ask_once(text, deadline, key)
            return self._runner.run(flow, mailbox)

    def turn(
        self, text: str, *, quiet: float = DEFAULT_QUIET, key: str | None = None, timeout: float | None = None
    ) -> Turn:
        """Send a user's message, and wait for all that the agent says to it.

        Agents may answer in several messages, and nothing tells which is the last. So this waits until the agent has
        been quiet for a while.

        Args:
            text: The message, with one character at least.
            quiet: The turn is over if no message has come for so many seconds.
            key: As in `send`.
            timeout: Seconds for all of it. If they are over after the first reply, the turn has what came until then.
                Default: the client's own.

        Raises:
            ReplyTimeoutError: Feather accepted the message, and no reply came in time.
            FeatherError: as in `send`.
        """
        deadline = self._settings.deadline(timeout)
        with self._runner.mailbox(self.id) as mailbox:
            flow = conversation.ConversationFlow(self._settings, self.id).turn_once(text, quiet, deadline, key)
            return self._runner.run(flow, mailbox)

    def wait_for_reply(self, message_id: str | SentMessage, *, timeout: float | None = None) -> Message:
        """Wait for the reply to a message that was sent before, also by another process.

        The reply is the agent's first message after it, in the order of the list. It may have come already.

        Args:
            message_id: The message's id, or its `SentMessage`.
            timeout: Seconds in all. Default: the client's own.

        Raises:
            InvalidArgumentError: the id is invalid, or belongs to another thread.
            ReplyTimeoutError: no reply came in time. In a long thread, an unknown id looks like this too.
            FeatherError: the thread's messages could not be read.
        """
        deadline = self._settings.deadline(timeout)
        with self._runner.mailbox(self.id) as mailbox:
            flow = conversation.reply_to(self._settings, self.id, message_id, deadline)
            return self._runner.run(flow, mailbox)

    def conversation(
        self, *, after: str | Message | SentMessage | None = None, timeout: float | None = None
    ) -> Conversation:
        """A conversation over one live connection, for the time of a `with` block.

            with thread.conversation() as chat:
                chat.send("And when will it arrive?")
                for message in chat.replies(timeout=10):
                    print(message.text)

        Args:
            after: Where to go on: a bookmark of an earlier conversation (`chat.bookmark`), the id of a message, a
                `Message` or a `SentMessage`. The conversation then begins with all that the agent has said after it.
                Default: only new messages.
            timeout: Seconds that the opening may take. Default: the client's own.

        Raises:
            InvalidArgumentError: an argument is invalid, or belongs to another thread. An id that this thread does not
                have is found out when the block is entered.
        """
        return Conversation(self._settings, self._runner, self.id, after, timeout)

    def messages(
        self,
        *,
        direction: str | None = None,
        status: str | None = None,
        after: str | Message | SentMessage | None = None,
        newest_first: bool = False,
        page_size: int = DEFAULT_PAGE_SIZE,
        timeout: float | None = None,
    ) -> Iterator[Message]:
        """Every message of the thread, oldest first. Pages are fetched when they are needed.

        Args:
            direction: `"INBOUND"` for the user's messages only, `"OUTBOUND"` for the agent's only.
            status: Only messages with this status, such as `"FAILED"`.
            after: Only messages after this place: a bookmark, the id of a message, a `Message` or a `SentMessage`. Only
                the pages after it are fetched. What was handed out before a bookmark was made does not come again.
            newest_first: Begin with the newest message. If Feather lists the newest first too, the last messages of a
                long thread cost one request; else the whole list is read first.
            page_size: Messages per request, 1 to 100.
            timeout: Seconds until the next messages must be there. Default: the client's own.

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

    def _pages(self, listed: lists.MessageList) -> Iterator[Message]:
        while not listed.is_over:
            for message in self._runner.run(listed.next()):
                yield message

    def update(
        self,
        *,
        metadata: Mapping[str, str] | None = None,
        variables: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Self:
        """Merge metadata and variables into the thread, and refresh `details`.

        Args:
            metadata: Strings by their names, or `None`.
            variables: Strings by their names, or `None`.
            timeout: Seconds in all. Default: the client's own.

        Raises:
            InvalidArgumentError: a value is not a string.
            FeatherError: Feather did not update the thread.
        """
        flow = flows.update_thread(self._settings, self.id, metadata, variables, timeout)
        self.details = self._runner.run(flow)
        return self

    def close(self, reason: str | None = None, *, timeout: float | None = None) -> Self:
        """Close the thread, and refresh `details`.

        Args:
            reason: Why, or `None`.
            timeout: Seconds in all. Default: the client's own.

        Raises:
            InvalidArgumentError: the reason is not a string.
            FeatherError: Feather did not close the thread.
        """
        self.details = self._runner.run(flows.close_thread(self._settings, self.id, reason, timeout))
        return self

    def refresh(self, *, timeout: float | None = None) -> Self:
        """Fetch `details` again.

        Args:
            timeout: Seconds in all. Default: the client's own.

        Raises:
            FeatherError: Feather did not return them.
        """
        self.details = self._runner.run(flows.get_thread(self._settings, self.id, timeout))
        return self
