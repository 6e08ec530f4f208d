"""What all operations of a conversation have in common: its stream, its mailbox, and who may use it when.

The stream and the scans of the list run in the background and post into the mailbox. So the conversation hears from
each of them while it waits for another.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Final

from featherhq import _forks
from featherhq._core.effects import Closed, Receive
from featherhq._core.responses import Response
from featherhq._core.retry import Stop
from featherhq._threads.bookmark import After
from featherhq._threads.flows import Listing
from featherhq._threads.intake import Intake
from featherhq._threads.resumed import ResumedMessages
from featherhq._threads.state import ConversationState
from featherhq.errors import APITimeoutError, AuthenticationError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from featherhq._core.effects import Flow
    from featherhq._settings import Settings
    from featherhq._threads.own import Own

# Seconds. Notices are taken in for this long at a time, and for this much longer than the caller waits.
_CATCHING_UP: Final = 0.25
_LAST_MOMENT: Final = 0.1
# If this many scans have not found a message, the thread does not have it. The second comes after the longest lag.
_MISSES: Final = 2

HINTS: Final = {
    "conversation": "Use it within its `with` block: with thread.conversation() as chat: …",
    "client": "End its conversations before you close it.",
    "thread": "Make a new thread to go on. thread.messages() has all messages of this one.",
    "process": "Open a conversation in each process.",
}


class OpenConversation:
    """The stream and the mailbox of one conversation.

    Args:
        settings: The client's.
        thread_id: The id of the thread.
        after: Where it goes on, or `None` if it begins with new messages.
    """

    def __init__(self, settings: Settings, thread_id: str, after: After | None) -> None:
        self._settings = settings
        self._listing = Listing(thread_id)
        self._opened = False
        self._reading = Lock()
        self._begin(after)
        _forks.renew(self)

    def _begin(self, after: After | None) -> None:
        """Begin to collect what becomes known. Nothing may run in the background yet."""
        settings, ledger = self._settings, self._settings.ledger
        self._state = ConversationState(
            self._listing.thread_id,
            settings.experience,
            settings.random,
            ledger.server_time,
            ledger.known(self._listing.thread_id),
            settings.clock(),
            settings.wall_clock(),
            settings.listen,
            after,
        )
        self._after = after
        self._intake = Intake(settings, self._listing, self._state)

    def forked(self) -> None:
        """As `Forkable.forked`: the conversation goes on in the parent."""
        self._reading, self._intake.closed = Lock(), Closed("process")

    def _have_stream(self, until: float) -> Flow[None]:
        """Wait until there is a stream, or until it is clear that there is none now."""
        settings, state, intake = self._settings, self._state, self._intake
        intake.opening = None
        yield from intake.start()
        while state.is_opening and intake.opening is None and intake.closed is None:
            if settings.clock() >= until:
                settings.experience.head_came(in_time=False)
                return
            yield from self._receive(until)
            yield from intake.start()
        opening = intake.opening
        if isinstance(opening, Stop) and isinstance(opening.error, AuthenticationError):
            intake.trouble = None
            raise opening.error
        if isinstance(opening, Response):
            settings.experience.head_came(in_time=True)

    def _resume(self, until: float, seconds: float) -> Flow[None]:
        """Wait until the list was read from where the conversation goes on.

        Args:
            until: When the caller must have a result.
            seconds: How long the caller has in all, for an error.

        Raises:
            InvalidArgumentError: the message to go on from is not in this thread.
            FeatherError: the list cannot be read.
        """
        state, intake, messages = self._state, self._intake, self._state.messages
        if not isinstance(messages, ResumedMessages):
            return
        state.note_waiting(somebody=True)
        try:
            while messages.is_resuming:
                self._check_waiting(None)
                intake.raise_trouble()
                if messages.misses >= _MISSES and self._after is not None:
                    raise self._after.not_in(self._listing.thread_id)
                if self._settings.clock() >= until:
                    raise APITimeoutError(
                        f"thread {self._listing.thread_id}: the list was not read from `after` on within {seconds:g} s",
                        hint="No message was returned. Try again from the same place, or raise timeout=.",
                    ) from intake.failure
                yield from self._wait(until)
        finally:
            state.note_waiting(somebody=False)

    # The mailbox.

    def _catch_up(self, until: float = math.inf) -> Flow[None]:
        """Take in what is in the mailbox, but only for a moment: a stream may go on to fill it.

        Args:
            until: When the caller must have a result.
        """
        began = self._settings.clock()
        ends = began + min(_CATCHING_UP, max(0.0, until - began) + _LAST_MOMENT)
        while self._settings.clock() < ends:
            notice = yield from Receive(0)
            if notice is None:
                return
            self._intake.take_in(notice)
            if isinstance(notice, Closed) or (self._state.messages.inbox.is_full and not self._state.is_asking):
                return

    def _wait(self, until: float) -> Flow[None]:
        """Start what must be started, and wait until something happens or more must be started."""
        yield from self._intake.start()
        yield from self._receive(min(until, self._state.due(self._settings.clock())))

    def _receive(self, until: float) -> Flow[None]:
        notice = yield from Receive(max(0.0, until - self._settings.clock()))
        self._state.streams.listened(self._settings.clock())
        if notice is not None:
            self._intake.take_in(notice)

    # Who may do what.

    def _not_open(self, closed: Closed, when: str = "") -> UsageError:
        thread_id = self._listing.thread_id
        what = {
            "client": "this client was closed",
            "thread": f"thread {thread_id} was closed by this program",
            "process": "this conversation belongs to another process: it was open when this process was forked",
        }
        return UsageError(what.get(closed.what, "this conversation was closed") + when, hint=HINTS[closed.what])

    def _check_waiting(self, own: Own | None) -> None:
        """Raise if the conversation was closed while somebody waits for a reply."""
        if self._intake.closed is None:
            return
        error = self._not_open(self._intake.closed, " during this call")
        if own is not None:
            error.__notes__ = [accepted_note(own.id)]
        error.delivered = own is not None
        raise error

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Only one at a time: each message is returned once, so two waiting callers could not rely on it."""
        reading = self._reading
        if not reading.acquire(blocking=False):
            raise UsageError(
                "another thread or task is reading this conversation",
                hint="Read it in one thread or task. Any thread or task may call send().",
            )
        try:
            yield
        finally:
            reading.release()


def accepted_note(message_id: str) -> str:
    """What is said to an exception that ends a call after its message was accepted."""
    return f"The message was accepted ({message_id}): do not send it again. thread.messages() will show the reply."
