# Made by `make generate` from _async/conversation.py: change that file, not this one.
"""A conversation as its users see it: a block, messages sent, and iteration over the replies. It decides nothing."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING, Self

from featherhq._lazy import Lazy
from featherhq._resource import Resource
from featherhq._settings import DEFAULT_QUIET, Settings
from featherhq.models import Message, SentMessage, Turn

if TYPE_CHECKING:
    from featherhq._http import thread_mailbox, thread_runner
    from featherhq._threads import conversation
else:
    # Imported by what needs them, and by whoever asks what the annotations mean.
    thread_mailbox, thread_runner = Lazy("featherhq._http.thread_mailbox"), Lazy("featherhq._http.thread_runner")
    conversation = Lazy("featherhq._threads.conversation")


class Conversation(Resource):
    """Receives the new messages of a thread and sends messages, over one live connection.

    While the block lasts, each new message of the agent is returned once and in order, whatever happens to the
    connection. If the stream ends, breaks or falls silent, the conversation opens it again and reads what it has missed
    from the thread's history. If there is no event stream, the conversation reads the history at intervals instead.

    One thread at a time may wait for messages. Any thread may call `send`.
    """

    def __init__(
        self,
        settings: Settings,
        runner: thread_runner.ThreadRunner,
        thread_id: str,
        after: str | Message | SentMessage | None,
        timeout: float | None,
    ) -> None:
        self._settings = settings
        self._runner = runner
        self._flow = conversation.ConversationFlow(settings, thread_id, after, timeout)
        self._mailbox = runner.mailbox(thread_id)
        # Ends the background jobs if the caller drops the conversation without leaving its block.
        weakref.finalize(self, self._mailbox.abandon).atexit = False

    def __enter__(self) -> Self:
        try:
            self._runner.run(self._flow.open(), self._mailbox)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *args: object) -> None:
        self.close()

    def close(self) -> None:
        """End the conversation and its connection. Whoever iterates over it comes to the end."""
        self._mailbox.close(self._flow.close())

    def send(self, text: str, *, key: str | None = None, timeout: float | None = None) -> SentMessage:
        """As `Thread.send`."""
        deadline = self._settings.deadline(timeout)
        return self._runner.run(self._flow.send(text, deadline, key), self._mailbox)

    def ask(self, text: str, *, key: str | None = None, timeout: float | None = None) -> Message:
        """Send a user's message and wait for the agent's first message after it.

        Earlier messages stay for the iteration, and so do those that follow the reply: the last 256 of them. A reply
        looks like a late answer to an earlier message. So a warning is logged if an earlier message is unanswered.

        Args:
            text: The message, with one character at least.
            key: As in `Thread.send`.
            timeout: Seconds for both, in all. Default: the client's own.

        Raises:
            ReplyTimeoutError: Feather accepted the message, and no reply came in time.
            FeatherError: as in `send`.
        """
        deadline = self._settings.deadline(timeout)
        return self._runner.run(self._flow.ask(text, deadline, key), self._mailbox)

    def turn(
        self, text: str, *, quiet: float = DEFAULT_QUIET, key: str | None = None, timeout: float | None = None
    ) -> Turn:
        """As `Thread.turn`. `in_doubt` says whether an earlier message of this conversation was unanswered."""
        deadline = self._settings.deadline(timeout)
        return self._runner.run(self._flow.turn(text, quiet, deadline, key), self._mailbox)

    @property
    def bookmark(self) -> str:
        """Where another conversation, also in another process, can go on: `thread.conversation(after=bookmark)`.

        Store it after each message that was handled, best in one transaction with what the message has changed. Then
        each message is handled once, also if the process is killed. It is a short string that holds no text and no key.
        """
        return self._flow.bookmark()

    def replies(self, timeout: float | None = None) -> Iterator[Message]:
        """The agent's messages as they come.

        Args:
            timeout: The iteration ends, without an error, after so many seconds without a new message. `None`: it goes
                on until the conversation is closed.

        Raises:
            InvalidArgumentError: the timeout is not a number of seconds above 0.
            FeatherError: no messages can be received (the key is refused, the thread is gone). Errors that may pass are
                not raised: the conversation tries again.
        """
        return _Replies(self._runner, self._mailbox, self._flow, self._flow.patience(timeout))

    def __iter__(self) -> Iterator[Message]:
        return self.replies()


class _Replies(Resource):
    """Iterates over a conversation. An interrupted wait does not end the iteration."""

    def __init__(
        self,
        runner: thread_runner.ThreadRunner,
        mailbox: thread_mailbox.ThreadMailbox,
        flow: conversation.ConversationFlow,
        patience: float | None,
    ) -> None:
        self._runner = runner
        self._mailbox = mailbox
        self._flow = flow
        self._patience = patience
        self._ended = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Message:
        message = None if self._ended else self._runner.run(self._flow.next(self._patience), self._mailbox)
        if message is None:
            self._ended = True
            raise StopIteration
        return message
