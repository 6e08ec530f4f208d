"""A conversation, as flows: what its state says is to be done, done; what came of it, told to the state.

All that must outlast a call stands in the state and in the mailbox, so that a call may be given up at any moment, by a
task that is cancelled, say, and the next one goes on from there. The stream and the looks into the list run in the
background and post into the mailbox, so that each is heard while the others wait.
"""

from __future__ import annotations

import math
from collections import deque
from contextlib import contextmanager
from http import HTTPStatus
from threading import Lock
from typing import TYPE_CHECKING, Final

from featherhq import _arguments, _forks
from featherhq._core.attempts import noting
from featherhq._core.effects import (
    Accepted,
    Cancel,
    Chunk,
    Closed,
    Ended,
    JobDone,
    Post,
    Receive,
    Response,
    Start,
)
from featherhq._core.pagination import EndlessListError
from featherhq._core.retry import Outcome, Stop
from featherhq._log import logger
from featherhq._threads import flows
from featherhq._threads.flows import LASTING, Listing, Page
from featherhq._threads.send import send
from featherhq._threads.state import AskPage, Connect, ConversationState
from featherhq.errors import (
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    FeatherError,
    NotFoundError,
    ReplyTimeoutError,
    UsageError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from featherhq._core.effects import Event, Flow
    from featherhq._core.retry import Deadline
    from featherhq._settings import Settings
    from featherhq._threads.messages import Own
    from featherhq._threads.send import Sent
    from featherhq._threads.state import Command
    from featherhq.models import Message, SentMessage

_LOOK: Final = "look"
# Of an `ask`'s time, what opening the stream may take before the message is sent without it.
_STREAM_SHARE: Final = 1 / 3
# The list has the last word: it is looked at this long before an `ask` ends (seconds, or a part of its time).
_LAST_LOOK: Final = 1.0
_LAST_LOOK_PART: Final = 1 / 4
# What is in the mailbox is taken in for so long at a time, and so much longer than somebody waits (seconds).
_CATCHING_UP: Final = 0.25
_LAST_MOMENT: Final = 0.1
# The server says that there is no stream here, and not that there is none now.
_NO_STREAM: Final = frozenset(
    {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_ACCEPTABLE, HTTPStatus.NOT_IMPLEMENTED}
)


# What ends a conversation in good order, for whoever iterates over it; what else does is told.
_ENDS: Final = frozenset({"conversation", "client"})
_OPEN: Final = {
    "conversation": "Use it within its `with` block: with thread.conversation() as chat: …",
    "client": "End its conversations before it.",
    "thread": "Make a new thread to go on. thread.messages() has all that was said.",
    "process": "Open one in each process.",
}


class ConversationFlow:
    """One conversation in a thread: `open` it, then send, ask and take messages, then `close` it.

    Args:
        settings: The client's.
        thread_id: The thread's id.
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
        )
        self._opened = False
        self._closed: Closed | None = None
        self._reader = Lock()
        # What the state has told, and has not been done yet: a call may be given up while it waits for a job to end.
        self._commands: deque[Command] = deque()
        # What the last job that tried to open a stream came to, and what keeps the list from being read for good.
        self._opening: object = None
        self._retries = 0
        self._trouble: FeatherError | None = None
        _forks.renew(self)

    def forked(self) -> None:
        """As `Forkable.forked`: the conversation goes on in the parent."""
        self._reader, self._closed = Lock(), Closed("process")

    def open(self) -> Flow[None]:
        """Open the stream, so that nothing is missed from now on.

        Raises:
            UsageError: the conversation was open before.
            FeatherError: there is no way to the server, or the key is refused.
        """
        if self._opened:
            raise UsageError("this conversation was open before", hint="Make a new one for each `with` block.")
        if self._closed is not None:
            raise self._not_open(self._closed)
        self._opened, self._retries = True, self._settings.max_retries
        with self._alone():
            yield from self._have_stream(self._opens_by())
            opening = self._opening
            if isinstance(opening, Stop) and opening.outcome is Outcome.NEVER_SENT:
                raise opening.error
            if not self._state.is_open:
                self._state.unheard(self._settings.clock())

    def _opens_by(self) -> float:
        """Until when a `with` block waits for its stream: all of a call's time, but where heads are held back."""
        settings = self._settings
        waits = settings.timeout if settings.experience.heads_come else settings.experience.patience
        return settings.clock() + waits

    def close(self) -> Closed:
        """From now on, whoever waits is told that there are no more messages. Gives what to close the mailbox with."""
        self._closed = self._closed or Closed()
        return self._closed

    def send(self, text: object, deadline: Deadline) -> Flow[SentMessage]:
        """As `send`; from any thread."""
        self._check_open()
        sent = yield from send(self._settings, self._listing.thread_id, text, deadline)
        yield from Post(sent.accepted)
        return sent.receipt

    def ask(self, text: object, deadline: Deadline) -> Flow[Message]:
        """Send a message; the agent's first message after it.

        Raises:
            ReplyTimeoutError: it was accepted, and no reply came in time.
            FeatherError: as `send`.
        """
        self._check_open()
        with self._alone():
            return (yield from self._ask(text, deadline))

    def ask_once(self, text: object, deadline: Deadline) -> Flow[Message]:
        """As `ask`, for a conversation that is opened for this one turn."""
        with self._alone():
            return (yield from self._ask(text, deadline))

    def patience(self, timeout: object) -> float | None:
        """How long `next` is to wait, from what a caller gave.

        Raises:
            InvalidArgumentError: it is no number of seconds above 0.
        """
        return None if timeout is None else _arguments.seconds("timeout", timeout)

    def next(self, patience: float | None) -> Flow[Message | None]:
        """The next of the agent's messages; `None` where none came in time, or the conversation has ended.

        Args:
            patience: Seconds to wait for it; `None` for as long as it takes.
        """
        self._check_opened()
        with self._alone():
            until = math.inf if patience is None else self._settings.clock() + patience
            while True:
                if not self._state.messages.is_full:
                    yield from self._catch_up(until)
                now = self._settings.clock()
                message = self._state.take(now)
                if message is not None:
                    return message
                if self._closed is not None:
                    if self._closed.what in _ENDS:
                        return None
                    raise self._not_open(self._closed)
                self._raise_trouble()
                if now >= until:
                    return None
                yield from self._wait(until)

    def _ask(self, text: object, deadline: Deadline) -> Flow[Message]:
        settings, state = self._settings, self._state
        _arguments.text("text", text)
        yield from self._catch_up(deadline.at)
        earlier = len(state.messages.unanswered(settings.clock()))
        if earlier:
            logger.warning(
                "thread %s: earlier messages are unanswered (%d); what comes next may be a reply to one of them",
                self._listing.thread_id,
                earlier,
            )
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
        state.look_by(deadline.at - min(_LAST_LOOK, left * _LAST_LOOK_PART))
        while True:
            yield from self._catch_up(deadline.at)
            now = settings.clock()
            last = now >= deadline.at
            reply = state.take_reply(own, now, last=last)
            if reply is not None:
                return reply
            self._check_waiting(own)
            if last or self._trouble is not None:
                break
            yield from self._wait(deadline.at)
        receipt = sent.receipt
        hint = "Do not send it again. The reply may still come: thread.messages() will show it; or raise timeout=."
        if earlier:
            hint += " An earlier message of this conversation was unanswered too, so the next reply may be to that one."
        trouble, self._trouble = self._trouble, None
        raise ReplyTimeoutError(
            f"thread {receipt.thread_id}: message {receipt.message_id} was accepted, and no reply came within "
            f"{deadline.seconds:g} s",
            thread_id=receipt.thread_id,
            message_id=receipt.message_id,
            hint=hint,
        ) from trouble

    def _have_stream(self, until: float) -> Flow[None]:
        """Wait until there is a stream, or it has turned out that there is none to be had just now."""
        settings, state = self._settings, self._state
        self._opening = None
        yield from self._start()
        while state.is_opening and self._opening is None and self._closed is None:
            if settings.clock() >= until:
                settings.experience.head_came(in_time=False)
                return
            yield from self._receive(until)
            yield from self._start()
        opening = self._opening
        if isinstance(opening, Stop) and isinstance(opening.error, AuthenticationError):
            self._trouble = None
            raise opening.error
        if isinstance(opening, Response):
            settings.experience.head_came(in_time=True)

    # The mailbox.

    def _catch_up(self, until: float = math.inf) -> Flow[None]:
        """Take in what is in the mailbox; for a moment at the most, as a stream may fill it all the time.

        Args:
            until: When whoever waits has to have an answer.
        """
        began = self._settings.clock()
        ends = began + min(_CATCHING_UP, max(0.0, until - began) + _LAST_MOMENT)
        while self._settings.clock() < ends:
            event = yield from Receive(0)
            if event is None:
                return
            self._take_in(event)
            if isinstance(event, Closed) or (self._state.messages.is_full and not self._state.is_asking):
                return

    def _wait(self, until: float) -> Flow[None]:
        """Do what is to be done, and wait for something to happen, or for there to be more to do."""
        yield from self._start()
        yield from self._receive(min(until, self._state.due(self._settings.clock())))

    def _receive(self, until: float) -> Flow[None]:
        event = yield from Receive(max(0.0, until - self._settings.clock()))
        self._state.listened(self._settings.clock())
        if event is not None:
            self._take_in(event)

    def _start(self) -> Flow[None]:
        """Start and end what the state says; what a call was given up over, the next one does."""
        settings, todo = self._settings, self._commands
        todo.extend(self._state.commands(settings.clock(), settings.wall_clock()))
        while todo:
            # Told once, though the call be given up just then: both `Start` and `Cancel` act before they wait.
            command = todo.popleft()
            if isinstance(command, Connect):
                retries, self._retries = self._retries, 0
                yield from Start(
                    command.job,
                    flows.open_stream(settings, self._listing.thread_id, command.urgency, retries),
                )
            elif isinstance(command, AskPage):
                yield from Start(
                    _LOOK,
                    flows.look(settings, self._listing, command.cursor, command.urgency),
                )
            else:
                yield from Cancel(command.job)

    def _take_in(self, event: Event) -> None:
        now = self._settings.clock()
        if isinstance(event, Chunk):
            self._saw(self._state.heard(event.job, event.data, event.at))
        elif isinstance(event, Ended):
            self._state.ended(event.job, event.reason, event.at)
        elif isinstance(event, Accepted):
            self._state.accepted(event, now)
        elif isinstance(event, Closed):
            self._closed = self._closed or event
        elif event.job == _LOOK:
            self._take_look(event.outcome, now)
        else:
            self._take_opening(event, now)

    def _take_opening(self, event: JobDone, now: float) -> None:
        """A job has opened a stream, or has failed to."""
        opening, self._opening = event.outcome, event.outcome
        if isinstance(opening, Response):
            if opening.is_stream:
                self._state.opened(event.job, now)
            else:
                self._state.refused(event.job, f"{opening.status_code} without an event stream", now)
        elif isinstance(opening, Stop):
            error = opening.error
            if isinstance(error, AuthenticationError):
                self._trouble = error
            if isinstance(error, APIStatusError) and error.status_code in _NO_STREAM:
                self._state.refused(event.job, str(error), now)
            else:
                wait = error.retry_after if isinstance(error, APIStatusError) else None
                self._state.failed(event.job, str(error), now, wait)
        else:
            self._state.failed(event.job, str(opening), now)
            raise opening

    def _take_look(self, outcome: Page | BaseException, now: float) -> None:
        """A page of the list has come, or could not be had."""
        if isinstance(outcome, Page):
            try:
                self._saw(self._state.page(outcome.messages, outcome.next_cursor, now))
            except EndlessListError as error:
                self._state.unreadable(now)
                logger.warning("list: %s; looking again later", error)
        elif isinstance(outcome, BadRequestError | NotFoundError) and self._state.page_refused(now):
            logger.debug("list: the server does not take a message's id as a cursor just now; reading from an end")
        else:
            self._state.unreadable(now)
            if not isinstance(outcome, FeatherError):
                raise outcome
            if isinstance(outcome, LASTING) and not self._state.is_open:
                self._trouble = outcome
            else:
                logger.warning("list: %s; looking again later", outcome)

    def _raise_trouble(self) -> None:
        trouble, self._trouble = self._trouble, None
        if trouble is not None:
            raise trouble

    def _saw(self, messages: list[Message]) -> None:
        if messages:
            self._settings.ledger.saw(self._listing.thread_id, messages, self._settings.clock())

    # Who may do what.

    def _check_opened(self) -> None:
        if not self._opened:
            raise UsageError(
                "this conversation is not open",
                hint="Use it within its `with` block: with thread.conversation() as chat: …",
            )

    def _check_open(self) -> None:
        self._check_opened()
        if self._closed is not None:
            raise self._not_open(self._closed)

    def _not_open(self, closed: Closed, when: str = "") -> UsageError:
        thread_id = self._listing.thread_id
        told = {
            "client": "this client was closed",
            "thread": f"thread {thread_id} was closed by this program",
            "process": "this conversation is another process's: it was open when this one was forked",
        }
        return UsageError(told.get(closed.what, "this conversation was closed") + when, hint=_OPEN[closed.what])

    def _check_waiting(self, own: Own | None) -> None:
        """Raise, where the conversation was closed under somebody who waits for a reply."""
        if self._closed is None:
            return
        error = self._not_open(self._closed, " during ask()")
        if own is not None:
            error.__notes__ = [_accepted(own)]
        error.delivered = own is not None
        raise error

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One at a time: a message is handed out once, and of two who wait for it neither could rely on it."""
        reader = self._reader
        if not reader.acquire(blocking=False):
            raise UsageError(
                "this conversation is being read elsewhere",
                hint="Read it in one thread or task; send() may be called from any.",
            )
        try:
            yield
        finally:
            reader.release()


def _accepted(own: Own) -> str:
    return f"The message was accepted ({own.id}): do not send it again. thread.messages() will show the reply."
