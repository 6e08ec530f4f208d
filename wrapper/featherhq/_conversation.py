"""A conversation, as plans: what its core says is to be done, done; what came of it, told to the core.

All that must outlast a call stands in the core, so that a call may be given up at any step, by a task that is
cancelled, say, and the next one goes on from there.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from featherhq import _arguments, _operations
from featherhq._errors import APIStatusError, AuthenticationError, ConfigurationError, FeatherError, ReplyTimeoutError
from featherhq._log import logger
from featherhq._operations import LASTING, Listing
from featherhq._retry import LONGEST_ATTEMPT, Deadline, Fate, GiveUp
from featherhq._steps import Answer, Failure, HangUp, Pause, ReadStream
from featherhq._talk import Connect, Listen, Look, Talk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from featherhq._models import Message, SentMessage
    from featherhq._settings import Settings
    from featherhq._steps import Plan

# Of an `ask`'s time, what opening the stream may take before the message is sent without it.
_STREAM_SHARE: Final = 1 / 3
# The history has the last word: it is looked at this long before an `ask` ends (seconds, or a part of its time).
_LAST_LOOK: Final = 1.0
_LAST_LOOK_PART: Final = 1 / 4
# The server says that there is no stream here, and not that there is none now.
_NO_STREAM: Final = frozenset(
    {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_ACCEPTABLE, HTTPStatus.NOT_IMPLEMENTED}
)


class Dialogue:
    """One conversation in a thread: `open` it, then send, ask and take messages, then `close` it.

    Args:
        settings: The client's.
        thread_id: The thread's id.
    """

    def __init__(self, settings: Settings, thread_id: str) -> None:
        self._settings = settings
        self._listing = Listing(thread_id)
        began, wall_time = settings.clock(), settings.wall_clock()

        def floor() -> float | None:
            told = settings.deliveries.floor(began)
            # A server that never tells its time: ours is the best there is.
            return wall_time if told is None else told

        self._talk = Talk(settings.random, floor, settings.deliveries.known(thread_id), began)
        self._opened = self._closed = self._reading = False

    def open(self) -> Plan[None]:
        """Open the stream, so that nothing is missed from now on.

        Raises:
            ConfigurationError: the conversation was open before.
            FeatherError: there is no way to the server, or the key is refused.
        """
        if self._opened:
            raise ConfigurationError("this conversation was open before", hint="Make a new one for each `with` block.")
        self._opened = True
        yield from self._connect(self._settings.deadline(None), must=True)

    def close(self) -> None:
        """From now on, whoever waits for messages is told that there are no more."""
        self._closed = True

    def send(self, text: object, deadline: Deadline) -> Plan[SentMessage]:
        """As `_operations.send`."""
        self._check_open()
        sent = yield from _operations.send(self._settings, self._listing.thread_id, text, deadline)
        self._talk.sent(sent.message_id, self._settings.clock())
        return sent

    def ask(self, text: object, deadline: Deadline) -> Plan[Message]:
        """Send a message; the agent's first message after it.

        Raises:
            ReplyTimeoutError: it was accepted, and no reply came in time.
            FeatherError: as `send`.
        """
        _arguments.text("text", text)
        self._check_open()
        with self._alone():
            yield from self._read_what_is_there()
            sent = yield from _operations.send(self._settings, self._listing.thread_id, text, deadline)
            turn = self._talk.sent(sent.message_id, self._settings.clock())
            return (yield from self._reply(sent, turn, deadline))

    def ask_once(self, text: object, deadline: Deadline) -> Plan[Message]:
        """As `ask`, for a conversation that is opened for this one turn."""
        _arguments.text("text", text)
        yield from self._connect(deadline.share(self._settings.clock(), _STREAM_SHARE), must=False)
        yield from self._read_what_is_there()
        sent = yield from _operations.send(self._settings, self._listing.thread_id, text, deadline)
        # Whatever stands before it in the thread is none of this turn's business.
        turn = self._talk.sent(sent.message_id, self._settings.clock())
        self._talk.starts_here(sent.message_id)
        return (yield from self._reply(sent, turn, deadline))

    def patience(self, timeout: object) -> float | None:
        """How long `next` is to wait, from what a caller gave.

        Raises:
            InvalidArgumentError: it is no number of seconds above 0.
        """
        return None if timeout is None else _arguments.seconds("timeout", timeout)

    def next(self, patience: float | None) -> Plan[Message | None]:
        """The next of the agent's messages; `None` where none came in time, or the conversation has ended.

        Args:
            patience: Seconds to wait for it; `None` for as long as it takes.
        """
        deadline = Deadline(math.inf if patience is None else self._settings.clock() + patience)
        with self._alone():
            return (yield from self._wait(0, deadline))

    def _reply(self, sent: SentMessage, turn: int, deadline: Deadline) -> Plan[Message]:
        left = deadline.remaining(self._settings.clock())
        last_look = deadline.at - min(_LAST_LOOK, left * _LAST_LOOK_PART)
        trouble = None
        try:
            reply = yield from self._wait(turn, deadline, last_look)
        except LASTING as error:
            reply, trouble = None, error
        if reply is not None:
            return reply
        raise ReplyTimeoutError(
            f"thread {sent.thread_id}: message {sent.message_id} was accepted, and no reply came in time",
            thread_id=sent.thread_id,
            message_id=sent.message_id,
            hint="Do not send it again. The reply may still come: thread.messages() will show it; or raise timeout=.",
        ) from trouble

    def _wait(self, turn: int, deadline: Deadline, last_look: float | None = None) -> Plan[Message | None]:
        """Do what the core says, until it has a message of a turn, or time is up."""
        while True:
            message = self._talk.take(turn)
            now = self._settings.clock()
            if message is not None or self._closed or not deadline.remaining(now):
                return message
            if last_look is not None and now < last_look:
                self._talk.look_by(last_look)
            yield from self._do_next(deadline, now)

    def _do_next(self, deadline: Deadline, now: float) -> Plan[None]:
        action = self._talk.next(now)
        left = deadline.remaining(now)
        if isinstance(action, Connect):
            yield from self._connect(Deadline(now + min(left, LONGEST_ATTEMPT)), must=False)
        elif isinstance(action, Look):
            yield from self._look(action, Deadline(now + min(left, LONGEST_ATTEMPT)))
        elif isinstance(action, Listen):
            yield from self._listen(min(action.seconds, left))
        elif (yield Pause(min(action.seconds, left))) and not self._closed:
            raise ConfigurationError("this client is closed", hint="End its conversations before it.")

    def _connect(self, deadline: Deadline, *, must: bool) -> Plan[None]:
        # Later on, when to try again is the core's to say.
        retries = self._settings.max_retries if must else 0
        outcome = yield from _operations.open_stream(self._settings, self._listing.thread_id, deadline, retries)
        now = self._settings.clock()
        if isinstance(outcome, Answer):
            if outcome.is_stream:
                self._talk.opened(now)
            else:
                self._talk.refused(f"{outcome.status_code} without an event stream", now)
            return
        self._not_connected(outcome, now, must=must)

    def _not_connected(self, outcome: GiveUp, now: float, *, must: bool) -> None:
        error = outcome.error
        if isinstance(error, AuthenticationError) or (must and outcome.fate is Fate.NEVER_SENT):
            raise error
        if isinstance(error, APIStatusError) and error.status_code in _NO_STREAM:
            self._talk.refused(str(error), now)
        else:
            self._talk.ended(str(error), now, error.retry_after if isinstance(error, APIStatusError) else None)

    def _look(self, look: Look, deadline: Deadline) -> Plan[None]:
        connected = self._talk.connected
        try:
            page = yield from _operations.list_messages(self._settings, self._listing, look.cursor, deadline)
        except FeatherError as error:
            if isinstance(error, LASTING) and not connected:
                raise
            logger.warning("history: %s; looking again later", error)
            self._talk.unreadable(self._settings.clock())
            return
        now = self._settings.clock()
        self._saw(self._talk.page(page.messages, page.next_cursor, now))
        if connected and not self._talk.connected:
            yield HangUp()

    def _listen(self, seconds: float) -> Plan[bool]:
        """Read from the stream once; whether anything came."""
        chunk = yield ReadStream(seconds)
        now = self._settings.clock()
        if chunk is None:
            self._talk.silent(now)
        elif isinstance(chunk, Failure):
            self._talk.ended(chunk.reason, now)
        elif not chunk:
            if not self._closed:
                self._talk.ended("it ended", now)
        else:
            self._saw(self._talk.heard(chunk, now))
        if not self._talk.connected:
            yield HangUp()
        return bool(chunk)

    def _read_what_is_there(self) -> Plan[None]:
        """What came before a message is sent is no reply to it."""
        while self._talk.connected and (yield from self._listen(0)):
            pass

    def _saw(self, messages: list[Message]) -> None:
        self._settings.deliveries.saw(self._listing.thread_id, messages, self._settings.clock())

    def _check_open(self) -> None:
        if not self._opened or self._closed:
            raise ConfigurationError(
                "this conversation is not open",
                hint="Use it within its `with` block: with thread.conversation() as chat: …",
            )

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One at a time: a message is handed out once, and of two who wait for it neither could rely on it."""
        if not self._opened:
            self._check_open()
        if self._reading:
            raise ConfigurationError(
                "this conversation is being read elsewhere",
                hint="Read it in one thread or task; send() may be called from any.",
            )
        self._reading = True
        try:
            yield
        finally:
            self._reading = False
