"""Between a conversation's state and its mailbox: starts the jobs that the state asks for, and takes in their notices.

All that must outlast a call stands here, in the state and in the mailbox. So a call may be given up at any time, for
example when its task is cancelled, and the next call goes on from there.
"""

from __future__ import annotations

from collections import deque
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from featherhq._core.effects import Accepted, Cancel, Chunk, Closed, Ended, Start
from featherhq._core.events import CursorRefused, ScanFailed, StreamOpened
from featherhq._core.pagination import EndlessListError
from featherhq._core.responses import Response
from featherhq._core.retry import Stop
from featherhq._threads import flows
from featherhq._threads.flows import LASTING, Page
from featherhq._threads.scans import AskPage
from featherhq._threads.streams import Connect
from featherhq.errors import APIStatusError, AuthenticationError, BadRequestError, FeatherError, NotFoundError

if TYPE_CHECKING:
    from featherhq._core.calls import Call
    from featherhq._core.effects import Flow, JobDone, Notice
    from featherhq._settings import Settings
    from featherhq._threads.flows import Listing
    from featherhq._threads.state import Command, ConversationState
    from featherhq.models import Message

_SCAN: Final = "scan"
# With these statuses, the server says that it has no streams at all, and not only none at the moment.
_NO_STREAM: Final = frozenset(
    {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_ACCEPTABLE, HTTPStatus.NOT_IMPLEMENTED}
)


class Intake:
    """Starts jobs and takes in notices, for one conversation.

    Args:
        settings: The client's.
        listing: The list that scans read.
        state: What is known about the conversation.

    Attributes:
        closed: What was closed, if the conversation is over.
        opening: The result of the last job that tried to open a stream.
        trouble: The error that keeps the list from being read for good, until somebody is told.
        failure: The last error of the list.
        retries: How often the next job may repeat its request to open a stream.
        opener: The call that opened the conversation.
    """

    def __init__(self, settings: Settings, listing: Listing, state: ConversationState) -> None:
        self.closed: Closed | None = None
        self.opening: object = None
        self.trouble: FeatherError | None = None
        self.failure: FeatherError | None = None
        self.retries = 0
        self.opener: Call | None = None
        self._settings = settings
        self._listing = listing
        self._state = state
        # Commands that were given but not carried out yet: a call may be given up while it waits for a job to end.
        self._commands: deque[Command] = deque()

    def start(self) -> Flow[None]:
        """Start and end the jobs that the state asks for."""
        settings, todo = self._settings, self._commands
        todo.extend(self._state.commands(settings.clock(), settings.wall_clock()))
        while todo:
            # Taken out first, even if the call is given up just then: `Start` and `Cancel` act before they wait.
            command = todo.popleft()
            if isinstance(command, Connect):
                retries, self.retries = self.retries, 0
                flow = flows.open_stream(
                    settings, self._listing.thread_id, command.urgency, retries, opener=self.opener
                )
                yield from Start(command.job, flow)
            elif isinstance(command, AskPage):
                page = flows.scan_page(settings, self._listing, command.cursor, command.urgency, self.opener)
                yield from Start(_SCAN, page)
            else:
                yield from Cancel(command.job)

    def take_in(self, notice: Notice) -> None:
        """Take in what has happened."""
        now, streams = self._settings.clock(), self._state.streams
        if isinstance(notice, Chunk):
            self._saw(streams.heard(notice.job, notice.data, notice.at))
        elif isinstance(notice, Ended):
            streams.ended(notice.job, notice.reason, notice.at)
        elif isinstance(notice, Accepted):
            self._state.accepted(notice, now)
        elif isinstance(notice, Closed):
            self.closed = self.closed or notice
        elif notice.job == _SCAN:
            self._take_page(notice.outcome, now)
        else:
            self._take_opening(notice, now)

    def raise_trouble(self) -> None:
        """Raise the error that keeps the list from being read, once."""
        trouble, self.trouble = self.trouble, None
        if trouble is not None:
            raise trouble

    def _take_opening(self, notice: JobDone, now: float) -> None:
        """A job has opened a stream, or has failed to."""
        streams, opening = self._state.streams, notice.outcome
        self.opening = opening
        if isinstance(opening, Response):
            if opening.is_stream:
                self._settings.listen(StreamOpened(renewed=self._state.is_open))
                streams.opened(notice.job, now)
            else:
                streams.refused(notice.job, f"{opening.status_code} without an event stream", now)
        elif isinstance(opening, Stop):
            error = opening.error
            if isinstance(error, AuthenticationError):
                self.trouble = error
            if isinstance(error, APIStatusError) and error.status_code in _NO_STREAM:
                streams.refused(notice.job, str(error), now)
            else:
                wait = error.retry_after if isinstance(error, APIStatusError) else None
                streams.failed(notice.job, str(error), now, wait)
        else:
            streams.failed(notice.job, str(opening), now)
            raise opening

    def _take_page(self, outcome: Page | BaseException, now: float) -> None:
        """A page of the list has come, or could not be read."""
        scans, listen = self._state.scans, self._settings.listen
        if isinstance(outcome, Page):
            try:
                self._saw(scans.page(outcome.messages, outcome.next_cursor, now))
            except EndlessListError as error:
                scans.failed(now)
                listen(ScanFailed(str(error)))
        elif isinstance(outcome, BadRequestError | NotFoundError) and scans.page_refused(now):
            listen(CursorRefused())
        else:
            scans.failed(now)
            if not isinstance(outcome, FeatherError):
                raise outcome
            self.failure = outcome
            if isinstance(outcome, LASTING) and (self._state.messages.is_resuming or not self._state.is_open):
                self.trouble = outcome
            else:
                listen(ScanFailed(str(outcome)))

    def _saw(self, messages: list[Message]) -> None:
        if messages:
            self._settings.owed.saw(self._listing.thread_id, messages)
            self._settings.ledger.saw(self._listing.thread_id, messages, self._settings.clock())
