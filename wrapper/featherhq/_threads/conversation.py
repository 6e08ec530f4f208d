"""A conversation, as flows: open it, send, ask, take messages, close it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, TypeVar

from attrs import evolve

from featherhq import _validation
from featherhq._core.attempts import noting
from featherhq._core.calls import Call, as_call, calling
from featherhq._core.effects import Closed, Post
from featherhq._core.events import ConversationClosed, ConversationOpened, EarlierUnanswered
from featherhq._core.retry import Outcome, Stop
from featherhq._threads.bookmark import After
from featherhq._threads.open_conversation import HINTS, OpenConversation, accepted_note
from featherhq._threads.resumed import ResumedMessages
from featherhq._threads.send import check_key, send, was_begun
from featherhq.errors import ReplyTimeoutError, UsageError
from featherhq.models import Turn

if TYPE_CHECKING:
    from featherhq._core.effects import Flow
    from featherhq._core.retry import Deadline
    from featherhq._settings import Settings
    from featherhq._threads.own import Own
    from featherhq.models import Message, SentMessage

T = TypeVar("T")

# `ask` waits for this part of its time for a stream. Then it sends the message without one.
_STREAM_SHARE: Final = 1 / 3
# Seconds, and a part of the time that is left: the list is read this long before an `ask` ends, to be sure.
_LAST_SCAN: Final = 1.0
_LAST_SCAN_PART: Final = 1 / 4

# After these, an iteration ends without an error.
_ENDS: Final = frozenset({"conversation", "client"})


class ConversationFlow(OpenConversation):
    """One conversation in a thread: `open` it, then send, ask and take messages, then `close` it.

    Args:
        settings: The client's.
        thread_id: The id of the thread.
        after: Where it goes on: a bookmark, a message's id, a `Message` or a `SentMessage`. `None`: it begins with new
            messages.
        timeout: Seconds that the opening may take; `None` for the client's timeout.

    Raises:
        InvalidArgumentError: an argument is invalid.
    """

    def __init__(self, settings: Settings, thread_id: str, after: object = None, timeout: float | None = None) -> None:
        place = after if after is None or isinstance(after, After) else After.read(thread_id, after)
        super().__init__(settings, thread_id, place)
        self._seconds = settings.timeout if timeout is None else _validation.seconds("timeout", timeout)
        self._may_wait = timeout is not None or settings.experience.heads_come

    def open(self) -> Flow[None]:
        """Open the stream, so that no message is missed from now on, and read the list from where it goes on.

        Raises:
            UsageError: the conversation was open before.
            InvalidArgumentError: the message to go on from is not in this thread.
            FeatherError: the server cannot be reached, or the key is refused, or the list cannot be read.
        """
        if self._opened:
            raise UsageError(
                "this conversation was open before", hint="Call thread.conversation() for each `with` block."
            )
        if self._intake.closed is not None:
            raise self._not_open(self._intake.closed)
        self._opened, self._intake.retries = True, self._settings.max_retries
        opener = self._intake.opener = Call("conversation", self._listing.thread_id, composite=True)
        with self._alone(), calling(self._settings, opener):
            # As long as a call may take, unless servers hold back the head of a stream.
            now, patience = self._settings.clock(), self._settings.experience.patience
            yield from self._have_stream(now + (self._seconds if self._may_wait else min(self._seconds, patience)))
            opening = self._intake.opening
            if isinstance(opening, Stop) and opening.outcome is Outcome.NEVER_SENT:
                raise opening.error
            if not self._state.is_open:
                self._state.begin_without_stream(self._settings.clock())
            yield from self._resume(now + self._seconds, self._seconds)
            self._settings.listen(ConversationOpened(self))

    def close(self) -> Closed:
        """From now on, whoever waits learns that there are no more messages. Returns what closes the mailbox."""
        self._intake.closed = self._intake.closed or Closed()
        self._settings.listen(ConversationClosed(self))
        return self._intake.closed

    def bookmark(self) -> str:
        """Where another conversation can go on after all messages that this one has handed out."""
        messages = self._state.messages
        if messages.is_resuming and self._after is not None:
            return self._after.text(self._listing.thread_id)
        return messages.after(self._settings.clock()).text(self._listing.thread_id)

    def send(self, text: object, deadline: Deadline, key: object = None) -> Flow[SentMessage]:
        """As `send`. Any thread may call it."""
        self._check_open()
        sent = yield from send(self._settings, self._listing.thread_id, text, deadline, key)
        yield from Post(sent.accepted)
        return sent.receipt

    def ask(self, text: object, deadline: Deadline, key: object = None) -> Flow[Message]:
        """Send a message, and wait for the agent's first message after it.

        Raises:
            ReplyTimeoutError: the message was accepted, and no reply came in time.
            FeatherError: as in `send`.
        """
        self._check_open()
        with self._alone():
            turn = yield from self._as(Call("ask"), self._turn(text, deadline, None, key))
            return turn.replies[0]

    def ask_once(self, text: object, deadline: Deadline, key: object = None) -> Flow[Message]:
        """As `ask`, for a conversation that is opened for this one question."""
        with self._alone():
            turn = yield from self._as(Call("ask"), self._first_turn(text, deadline, None, key))
            return turn.replies[0]

    def turn(self, text: object, quiet: object, deadline: Deadline, key: object = None) -> Flow[Turn]:
        """Send a message, and take all that the agent says to it until it has been quiet for this many seconds.

        Raises:
            InvalidArgumentError: an argument is invalid.
            ReplyTimeoutError: the message was accepted, and no reply came in time.
            FeatherError: as in `send`.
        """
        self._check_open()
        seconds = _validation.seconds("quiet", quiet)
        with self._alone():
            return (yield from self._as(Call("turn"), self._turn(text, deadline, seconds, key)))

    def turn_once(self, text: object, quiet: object, deadline: Deadline, key: object = None) -> Flow[Turn]:
        """As `turn`, for a conversation that is opened for this one turn."""
        seconds = _validation.seconds("quiet", quiet)
        with self._alone():
            return (yield from self._as(Call("turn"), self._first_turn(text, deadline, seconds, key)))

    def await_reply(self, deadline: Deadline) -> Flow[Message]:
        """The reply to the message that the conversation goes on from. It is opened for this.

        Raises:
            InvalidArgumentError: the message is not in this thread.
            ReplyTimeoutError: no reply came in time.
            FeatherError: the list cannot be read.
        """
        with self._alone():
            own, found = yield from self._as(Call("wait_for_reply"), self._late_replies(deadline, None))
        if found:
            return found[0]
        raise self._no_reply(own, f"no reply to message {own.id} came", deadline, in_doubt=False)

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

    def _as(self, call: Call, flow: Flow[T]) -> Flow[T]:
        """The flow of a call that sends no request itself."""
        call.thread_id, call.composite = self._listing.thread_id, True
        return as_call(self._settings, call, flow)

    def _first_turn(self, text: object, deadline: Deadline, quiet: float | None, key: object) -> Flow[Turn]:
        """As `_turn`, for a conversation that is not open. Its message may have been sent by an earlier call."""
        settings, thread_id = self._settings, self._listing.thread_id
        if not (yield from was_begun(settings, thread_id, text, deadline, key)):
            return (yield from self._turn(text, deadline, quiet, key))
        # The replies may have come already. So the conversation goes on after the message.
        sent = yield from send(settings, thread_id, text, deadline, key)
        self._begin(After.read(thread_id, sent.receipt))
        with noting(lambda: accepted_note(sent.receipt.message_id)):
            own, replies = yield from self._late_replies(deadline, quiet)
        if not replies:
            raise self._no_reply(own, f"message {own.id} was accepted, but no reply came", deadline, in_doubt=False)
        return Turn(sent.receipt, tuple(replies))

    def _late_replies(self, deadline: Deadline, quiet: float | None) -> Flow[tuple[Own, list[Message]]]:
        """The message that the conversation goes on from, and its replies. The conversation is opened for this."""
        settings, state, messages = self._settings, self._state, self._state.messages
        assert isinstance(messages, ResumedMessages)  # noqa: S101 - it was made for this
        own, now = messages.expect_reply(settings.clock()), settings.clock()
        own.expects_more = quiet is not None
        yield from self._have_stream(now + self._stream_patience(deadline, now))
        yield from self._resume(deadline.at, deadline.seconds)
        state.ask(settings.clock())
        try:
            return own, (yield from self._replies(own, deadline, quiet))
        finally:
            state.asked()

    def _turn(self, text: object, deadline: Deadline, quiet: float | None, key: object) -> Flow[Turn]:
        """Send a message and take the replies: the first one, or all until the agent has been quiet for this long."""
        settings, state = self._settings, self._state
        _validation.text("text", text)
        check_key(settings, key)
        yield from self._catch_up(deadline.at)
        earlier = len(state.messages.unanswered(settings.clock()))
        in_doubt = earlier > 0 or settings.owed.is_unanswered(self._listing.thread_id, settings.clock())
        if earlier:
            settings.listen(EarlierUnanswered(self._listing.thread_id, earlier))
        state.ask(settings.clock())
        try:
            now = settings.clock()
            yield from self._have_stream(now + self._stream_patience(deadline, now))
            self._check_waiting(None)
            sent = yield from send(settings, self._listing.thread_id, text, deadline, key)
            own = state.accepted(sent.accepted, settings.clock(), expects_more=quiet is not None)
            with noting(lambda: accepted_note(own.id)):
                replies = yield from self._replies(own, deadline, quiet)
        finally:
            state.asked()
        if not replies:
            what = f"message {own.id} was accepted, but no reply came"
            raise self._no_reply(own, what, deadline, in_doubt=in_doubt)
        return Turn(sent.receipt, tuple(replies), in_doubt=in_doubt)

    def _replies(self, own: Own, deadline: Deadline, quiet: float | None) -> Flow[list[Message]]:
        """Take the replies to a message, once there are enough or the time is up. They stay if the call is given up."""
        settings, state = self._settings, self._state
        left = deadline.remaining(settings.clock())
        last_scan = deadline.at - min(_LAST_SCAN, left * _LAST_SCAN_PART)
        while True:
            yield from self._catch_up(deadline.at)
            now = settings.clock()
            last = now >= deadline.at
            heard = state.replies(own, now, last=last)
            quiet_at = -math.inf if quiet is None else max((one.at for one in heard), default=now) + quiet
            is_over = last or self._intake.closed is not None or self._intake.trouble is not None
            if heard and (is_over or (now >= quiet_at and (quiet is None or state.scans.has_seen(quiet_at)))):
                own.answered, own.expects_more = True, False
                # The first that was certainly made after it comes before one that only may have been.
                first = next((one for one in heard if own.id in one.follows), heard[0])
                return [state.messages.inbox.take_one(one) for one in ([first] if quiet is None else heard)]
            self._check_waiting(own)
            if last or self._intake.trouble is not None:
                own.expects_more = False
                return []
            state.scans.want_by(quiet_at if heard and not state.is_open else last_scan)
            yield from self._wait(min(deadline.at, quiet_at) if heard and quiet_at > now else deadline.at)

    def _no_reply(self, own: Own, what: str, deadline: Deadline, *, in_doubt: bool) -> ReplyTimeoutError:
        """The error for a message without a reply in time."""
        thread_id = self._listing.thread_id
        hint = "Do not send it again. The reply may still come: thread.messages() will show it; or raise timeout=."
        if in_doubt:
            hint += " An earlier message in this thread was unanswered too, so the next reply may be to that one."
        trouble, self._intake.trouble = self._intake.trouble, None
        error = ReplyTimeoutError(
            f"thread {thread_id}: {what} within {deadline.seconds:g} s",
            thread_id=thread_id,
            message_id=own.id,
            hint=hint,
        )
        error.__cause__ = trouble
        return error

    def _stream_patience(self, deadline: Deadline, now: float) -> float:
        """Seconds that a call waits for a stream before it goes on without one."""
        return min(deadline.remaining(now) * _STREAM_SHARE, self._settings.experience.patience)

    def _check_opened(self) -> None:
        if not self._opened:
            raise UsageError("this conversation is not open", hint=HINTS["conversation"])

    def _check_open(self) -> None:
        self._check_opened()
        if self._intake.closed is not None:
            raise self._not_open(self._intake.closed)


def reply_to(settings: Settings, thread_id: str, message_id: object, deadline: Deadline) -> Flow[Message]:
    """The reply to a message that was sent before, also by another process.

    Args:
        settings: The client's.
        thread_id: The id of the thread.
        message_id: The message's id, or its `SentMessage` or `Message`.
        deadline: When the reply must be there.
    """
    after = After.of_message(thread_id, message_id, "message_id", "the id of a message, a SentMessage or a Message")
    # The message may be the last one, which a long list does not show without being read as a whole.
    return ConversationFlow(settings, thread_id, evolve(after, is_proven=True)).await_reply(deadline)
