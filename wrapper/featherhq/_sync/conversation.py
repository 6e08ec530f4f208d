# Made by `make generate` from _async/conversation.py: change that file, not this one.
"""A conversation as its users see it: a block, messages sent, and iteration over the replies. It decides nothing."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Self

from featherhq._lazy import Lazy
from featherhq._resource import Resource, Returned
from featherhq._settings import DEFAULT_QUIET, Settings
from featherhq.models import Message, SentMessage, Turn

if TYPE_CHECKING:
    from featherhq._http import thread_mailbox, thread_runner
    from featherhq._threads import conversation
else:
    # Imported by what needs them, and by whoever asks what the annotations mean.
    thread_mailbox, thread_runner = Lazy("featherhq._http.thread_mailbox"), Lazy("featherhq._http.thread_runner")
    conversation = Lazy("featherhq._threads.conversation")


class Conversation(Returned, Resource):
    """Sends messages to a thread and receives the agent's messages, over one live connection.

    `thread.conversation()` returns one. It is open while its `with` block lasts. In this time, each new message
    of the agent is returned once and in order, whatever happens to the connection. If the event stream ends, breaks or
    falls silent, the conversation opens it again and reads what it has missed from the thread's history. If there is no
    event stream, the conversation reads the history at intervals instead.

    With a `thread`, for example::

        with thread.conversation() as chat:
            chat.send("Where is my order?")
            for message in chat.replies(timeout=10):
                print(message.text)

    One Python thread at a time may wait for messages. Any Python thread may call `send`.
    """

    _from = "Call thread.conversation()."

    def _with(
        self,
        settings: Settings,
        runner: thread_runner.ThreadRunner,
        thread_id: str,
        after: str | Message | SentMessage | None,
        timeout: float | None,
    ) -> Self:
        self._settings = settings
        self._runner = runner
        self._flow = conversation.ConversationFlow(settings, thread_id, after, timeout)
        self._mailbox = runner.mailbox(thread_id)
        # Ends the background jobs if the caller drops the conversation without leaving its block.
        weakref.finalize(self, self._mailbox.abandon).atexit = False
        return self

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
        """Send a user's message, at most once. Returns when Feather has accepted it. It does not wait for a reply.

        Args:
            text: The message, with one character at least.
            key: As in `Thread.send`.
            timeout: Seconds in all. Default: the client's own.

        Raises:
            UsageError: the conversation is not open. Nothing was sent.
            FeatherError: as in `Thread.send`.
        """
        deadline = self._settings.deadline(timeout)
        return self._runner.run(self._flow.send(text, deadline, key), self._mailbox)

    def ask(self, text: str, *, key: str | None = None, timeout: float | None = None) -> Message:
        """Send a user's message, and wait for the agent's first message after it.

        Earlier messages stay for the iteration, and so do those that follow the reply: the last 256 of them. A reply
        looks like a late reply to an earlier message. So a warning is logged if an earlier message is unanswered.

        Args:
            text: The message, with one character at least.
            key: As in `Thread.send`.
            timeout: Seconds for both, in all. Default: the client's own.

        Raises:
            UsageError: the conversation is not open, or somebody else waits for messages. Nothing was sent.
            ReplyTimeoutError: Feather accepted the message, and no reply came in time.
            FeatherError: as in `Thread.send`.
        """
        deadline = self._settings.deadline(timeout)
        return self._runner.run(self._flow.ask(text, deadline, key), self._mailbox)

    def turn(
        self, text: str, *, quiet: float = DEFAULT_QUIET, key: str | None = None, timeout: float | None = None
    ) -> Turn:
        """Send a user's message, and wait for all that the agent says to it.

        `in_doubt` of the turn says whether an earlier message of this conversation was unanswered.

        Args:
            text: The message, with one character at least.
            quiet: The turn is over if no message has come for this many seconds.
            key: As in `Thread.send`.
            timeout: Seconds for all of it. If they are over after the first reply, the turn has what came until then.
                Default: the client's own.

        Raises:
            UsageError: the conversation is not open, or somebody else waits for messages. Nothing was sent.
            ReplyTimeoutError: Feather accepted the message, and no reply came in time.
            FeatherError: as in `Thread.send`.
        """
        deadline = self._settings.deadline(timeout)
        return self._runner.run(self._flow.turn(text, quiet, deadline, key), self._mailbox)

    @property
    def bookmark(self) -> str:
        """Where another conversation can go on, also in another process: `thread.conversation(after=bookmark)`.

        It is a short string. It holds no text and no key. Store it after each message that was handled, best in one
        transaction with what the message has changed. Then each message is handled once, also if the process is killed.
        """
        return self._flow.bookmark()

    def replies(self, timeout: float | None = None) -> Replies:
        """The agent's messages as they come.

        With an open conversation `chat`, for example::

            for message in chat.replies(timeout=10):
                print(message.text)

        Args:
            timeout: The iteration ends, without an error, after this many seconds without a new message. `None`: it
                goes on until the conversation is closed.

        Raises:
            InvalidArgumentError: the timeout is not a number of seconds above 0.
            UsageError: the conversation was not opened, or somebody else waits for messages. It is raised when the
                iteration begins.
            FeatherError: no messages can be received (the key is refused, the thread is gone). Errors that may pass are
                not raised: the conversation tries again.
        """
        return Replies._made()._with(self._runner, self._mailbox, self._flow, self._flow.patience(timeout))

    def __iter__(self) -> Replies:
        return self.replies()


class Replies(Returned, Resource):
    """Iterates over the agent's messages in a conversation. `chat.replies()` returns one.

    An exception that interrupts a wait does not end the iteration, as it would end a generator's: you may go on.
    """

    _from = "Call chat.replies(), or iterate over the conversation."

    def _with(
        self,
        runner: thread_runner.ThreadRunner,
        mailbox: thread_mailbox.ThreadMailbox,
        flow: conversation.ConversationFlow,
        patience: float | None,
    ) -> Self:
        self._runner = runner
        self._mailbox = mailbox
        self._flow = flow
        self._patience = patience
        self._ended = False
        return self

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Message:
        message = None if self._ended else self._runner.run(self._flow.next(self._patience), self._mailbox)
        if message is None:
            self._ended = True
            raise StopIteration
        return message

    def close(self) -> None:
        """End this iteration, and not the conversation. Messages that were not taken stay for the next iteration.

        If a Python thread waits in this iteration, its wait goes on.
        """
        self._ended = True
