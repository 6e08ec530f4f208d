"""A conversation, as flows: open it, send, ask, take messages, close it.

The stream and the scans of the list run in the background and post into the mailbox. So the conversation hears from
each of them while it waits for another.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Final

from featherhq import _forks, _validation
from featherhq._core.attempts import noting
from featherhq._core.calls import Call, as_call, calling
from featherhq._core.effects import Closed, Post, Receive
from featherhq._core.events import ConversationClosed, ConversationOpened, EarlierUnanswered
from featherhq._core.responses import Response
from featherhq._core.retry import Outcome, Stop
from featherhq._threads.flows import Listing
from featherhq._threads.intake import Intake
from featherhq._threads.send import send
from featherhq._threads.state import ConversationState
from featherhq.errors import AuthenticationError, ReplyTimeoutError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from featherhq._core.effects import Flow
    from featherhq._core.retry import Deadline
    from featherhq._settings import Settings
    from featherhq._threads.own import Own
    from featherhq._threads.send import Sent
    from featherhq.models import Message, SentMessage

# `ask` waits for this part of its time for a stream. Then it sends the message without one.
_STREAM_SHARE: Final = 1 / 3
# Seconds, and a part of the time that is left: the list is read so long before an `ask` ends, to be sure.
_LAST_SCAN: Final = 1.0
_LAST_SCAN_PART: Final = 1 / 4
# Seconds. Notices are taken in for so long at a time, and for so much longer than the caller waits.
_CATCHING_UP: Final = 0.25
_LAST_MOMENT: Final = 0.1

# After these, an iteration ends without an error.
_ENDS: Final = frozenset({"conversation", "client"})
_HINTS: Final = {
    "conversation": "Use it within its `with` block: with thread.conversation() as chat: …",
    "client": "End its conversations before you close it.",
    "thread": "Make a new thread to go on. thread.messages() has all messages of this one.",
    "process": "Open a conversation in each process.",
}


class ConversationFlow:
    """One conversation in a thread: `open` it, then send, ask and take messages, then `close` it.

    Args:
        settings: The client's.
        thread_id: The id of the thread.
    """

    def __init__(self, settings: Settings, thread_id: str) -> None:
        self._settings = settings
        self._listing = Listing(thread_id)
        ledger = settings.ledger
        self._state = ConversationState(
            thread_id,
            settings.experience,
            settings.random,
            ledger.server_time,
            ledger.known(thread_id),
            settings.clock(),
            settings.wall_clock(),
            settings.listen,
        )
        self._intake = Intake(settings, self._listing, self._state)
        self._opened = False
        self._reading = Lock()
        _forks.renew(self)

    def forked(self) -> None:
        """As `Forkable.forked`: the conversation goes on in the parent."""
        self._reading, self._intake.closed = Lock(), Closed("process")

    def open(self) -> Flow[None]:
        """Open the stream, so that no message is missed from now on.

        Raises:
            UsageError: the conversation was open before.
            FeatherError: the server cannot be reached, or the key is refused.
        """
        if self._opened:
            raise UsageError("this conversation was open before", hint="Make a new one for each `with` block.")
        if self._intake.closed is not None:
            raise self._not_open(self._intake.closed)
        self._opened, self._intake.retries = True, self._settings.max_retries
        opener = self._intake.opener = Call("conversation", self._listing.thread_id, composite=True)
        with self._alone(), calling(self._settings, opener):
            yield from self._have_stream(self._opens_by())
            opening = self._intake.opening
            if isinstance(opening, Stop) and opening.outcome is Outcome.NEVER_SENT:
                raise opening.error
            if not self._state.is_open:
                self._state.begin_without_stream(self._settings.clock())
            self._settings.listen(ConversationOpened(self))

    def _opens_by(self) -> float:
        """How long a `with` block waits for its stream: as long as a call, unless servers hold back the head."""
        settings = self._settings
        waits = settings.timeout if settings.experience.heads_come else settings.experience.patience
        return settings.clock() + waits

    def close(self) -> Closed:
        """From now on, whoever waits learns that there are no more messages. Returns what closes the mailbox."""
        self._intake.closed = self._intake.closed or Closed()
        self._settings.listen(ConversationClosed(self))
        return self._intake.closed

    def send(self, text: object, deadline: Deadline) -> Flow[SentMessage]:
        """As `send`. Any thread may call it."""
        self._check_open()
        sent = yield from send(self._settings, self._listing.thread_id, text, deadline)
        yield from Post(sent.accepted)
        return sent.receipt

    def ask(self, text: object, deadline: Deadline) -> Flow[Message]:
        """Send a message, and wait for the agent's first message after it.

        Raises:
            ReplyTimeoutError: the message was accepted, and no reply came in time.
            FeatherError: as in `send`.
        """
        self._check_open()
        with self._alone():
            return (yield from self._ask(text, deadline))

    def ask_once(self, text: object, deadline: Deadline) -> Flow[Message]:
        """As `ask`, for a conversation that is opened for this one question."""
        with self._alone():
            return (yield from self._ask(text, deadline))

    def patience(self, timeout: object) -> float | None:
        """How long `next` waits, from the caller's argument.

        Raises:
            InvalidArgumentError: it is not a number of seconds above 0.
        """
        return None if timeout is None else _validation.seconds("timeout", timeout)

    def next(self, patience: float | None) -> Flow[Message | None]:
        """The next message of the agent; `None` if none came in time, or if the conversation is over.

        Args:
            patience: Seconds to wait; `None` for no limit.
        """
        self._check_opened()
        with self._alone():
            until = math.inf if patience is None else self._settings.clock() + patience
            while True:
                if not self._state.messages.inbox.is_full:
                    yield from self._catch_up(until)
                now = self._settings.clock()
                message = self._state.take(now)
                if message is not None:
                    return message
                if (closed := self._intake.closed) is not None:
                    if closed.what in _ENDS:
                        return None
                    raise self._not_open(closed)
                self._intake.raise_trouble()
                if now >= until:
                    return None
                yield from self._wait(until)

    def _ask(self, text: object, deadline: Deadline) -> Flow[Message]:
        _validation.text("text", text)
        asking = Call("ask", self._listing.thread_id, composite=True)
        return as_call(self._settings, asking, self._send_and_wait(text, deadline))

    def _send_and_wait(self, text: object, deadline: Deadline) -> Flow[Message]:
        settings, state = self._settings, self._state
        yield from self._catch_up(deadline.at)
        earlier = len(state.messages.unanswered(settings.clock()))
        if earlier:
            settings.listen(EarlierUnanswered(self._listing.thread_id, earlier))
        state.ask(settings.clock())
        try:
            now = settings.clock()
            yield from self._have_stream(
                now + min(deadline.remaining(now) * _STREAM_SHARE, settings.experience.patience)
            )
            self._check_waiting(None)
            sent = yield from send(settings, self._listing.thread_id, text, deadline)
            own = state.accepted(sent.accepted, settings.clock())
            with noting(lambda: _accepted(own)):
                return (yield from self._reply(sent, own, deadline, earlier))
        finally:
            state.asked()

    def _reply(self, sent: Sent, own: Own, deadline: Deadline, earlier: int) -> Flow[Message]:
        settings, state = self._settings, self._state
        left = deadline.remaining(settings.clock())
        state.scans.want_by(deadline.at - min(_LAST_SCAN, left * _LAST_SCAN_PART))
        while True:
            yield from self._catch_up(deadline.at)
            now = settings.clock()
            last = now >= deadline.at
            reply = state.take_reply(own, now, last=last)
            if reply is not None:
                return reply
            self._check_waiting(own)
            if last or self._intake.trouble is not None:
                break
            yield from self._wait(deadline.at)
        receipt = sent.receipt
        hint = "Do not send it again. The reply may still come: thread.messages() will show it; or raise timeout=."
        if earlier:
            hint += " An earlier message of this conversation was unanswered too, so the next reply may be to that one."
        trouble, self._intake.trouble = self._intake.trouble, None
        raise ReplyTimeoutError(
            f"thread {receipt.thread_id}: message {receipt.message_id} was accepted, but no reply came within "
            f"{deadline.seconds:g} s",
            thread_id=receipt.thread_id,
            message_id=receipt.message_id,
            hint=hint,
        ) from trouble

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

    # The mailbox.

    def _catch_up(self, until: float = math.inf) -> Flow[None]:
        """Take in what is in the mailbox, but only for a moment: a stream may go on to fill it.

        Args:
            until: When the caller must have an answer.
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

    def _check_opened(self) -> None:
        if not self._opened:
            raise UsageError("this conversation is not open", hint=_HINTS["conversation"])

    def _check_open(self) -> None:
        self._check_opened()
        if self._intake.closed is not None:
            raise self._not_open(self._intake.closed)

    def _not_open(self, closed: Closed, when: str = "") -> UsageError:
        thread_id = self._listing.thread_id
        what = {
            "client": "this client was closed",
            "thread": f"thread {thread_id} was closed by this program",
            "process": "this conversation belongs to another process: it was open when this process was forked",
        }
        return UsageError(what.get(closed.what, "this conversation was closed") + when, hint=_HINTS[closed.what])

    def _check_waiting(self, own: Own | None) -> None:
        """Raise if the conversation was closed while somebody waits for a reply."""
        if self._intake.closed is None:
            return
        error = self._not_open(self._intake.closed, " during ask()")
        if own is not None:
            error.__notes__ = [_accepted(own)]
        error.delivered = own is not None
        raise error

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Only one at a time: each message is returned once, so two waiting callers could not rely on it."""
        reading = self._reading
        if not reading.acquire(blocking=False):
            raise UsageError(
                "this conversation is being read elsewhere",
                hint="Read it in one thread or task. Any thread or task may call send().",
            )
        try:
            yield
        finally:
            reading.release()


def _accepted(own: Own) -> str:
    return f"The message was accepted ({own.id}): do not send it again. thread.messages() will show the reply."
