"""What happens inside a client, for whoever listens: calls, attempts, retries, streams, scans. Pure.

A listener is a function that takes an event. Logging is the first listener (`_logging.py`), and OpenTelemetry the
second (`_telemetry/`). The events are named tuples: Python makes such classes faster than those of attrs, which counts
when a program starts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from featherhq._core.calls import Call


class CallBegan(NamedTuple):
    """A call begins. Until it ends, all events in the same thread or task belong to it.

    Attributes:
        call: The call.
    """

    call: Call


class CallEnded(NamedTuple):
    """A call has ended.

    Attributes:
        call: The call.
        error: Why it failed, or `None`.
        seconds: How long it took.
    """

    call: Call
    error: BaseException | None
    seconds: float


class SlotAwaited(NamedTuple):
    """A request has waited in the queue of the rate limit.

    Attributes:
        priority: The name of the class in which it waited.
        seconds: How long.
        taken: Whether it got a slot. If not, it is not sent.
    """

    priority: str
    seconds: float
    taken: bool


class AttemptBegan(NamedTuple):
    """An attempt begins.

    Attributes:
        method: The HTTP method. It has the same meaning in the other events.
        path: The path of the URL. It has the same meaning in the other events.
        again: How many attempts were made before.
        headers: A listener may add headers to the request here, such as the context of a trace. The key and the
            headers of the caller win over them.
    """

    method: str
    path: str
    again: int
    headers: dict[str, str]


class AttemptEnded(NamedTuple):
    """One attempt has ended.

    Attributes:
        result: The status, or what failed, in a few words. It has the same meaning in the other events.
        seconds: How long the attempt took.
        again: How many attempts were made before.
        outcome: The name of its outcome.
        status_code: The status, or `None` if no response came.
        failure: "timeout" or "connection" if no usable response came, else `None`.
    """

    method: str
    path: str
    result: str
    seconds: float
    again: int
    outcome: str
    status_code: int | None
    failure: str | None

    @property
    def error(self) -> str | None:
        """What went wrong, in a word: the status, or the failure; `None` for a success."""
        if self.failure is None and self.outcome != "done":
            return str(self.status_code)
        return self.failure


class RetryPlanned(NamedTuple):
    """A request is repeated after a wait.

    Attributes:
        delay: The wait, in seconds.
    """

    method: str
    path: str
    result: str
    delay: float


class KeyRefused(NamedTuple):
    """The server refused the key, and the callable returned another one, so the request is repeated at once."""

    method: str
    path: str


class SearchStarted(NamedTuple):
    """The outcome of a message is unknown, so the client looks for it in the thread.

    Attributes:
        problem: Why the outcome is unknown.
    """

    problem: str


class SearchFailed(NamedTuple):
    """The thread could not be read during that search.

    Attributes:
        problem: Why.
        lasting: Whether another scan would fail too, so that the search ends.
    """

    problem: str
    lasting: bool


class LedgerFailed(NamedTuple):
    """The ledger of keys could not note what came of a message. The call goes on without that.

    Attributes:
        problem: Why.
    """

    problem: str


class MessageSentAgain(NamedTuple):
    """A message has not arrived, and is sent again."""

    method: str
    url: str


class EarlierUnanswered(NamedTuple):
    """Somebody asks while earlier messages are unanswered: the next reply may belong to one of those.

    Attributes:
        thread_id: The thread.
        number: How many messages are unanswered.
    """

    thread_id: str
    number: int


class ConversationOpened(NamedTuple):
    """A conversation is open.

    Attributes:
        conversation: It has the same meaning in `ConversationClosed`. To a listener it says only which one it is.
    """

    conversation: object


class ConversationClosed(NamedTuple):
    """A conversation was closed. There is no such event if its owner dropped it instead."""

    conversation: object


class StreamOpened(NamedTuple):
    """A stream is open.

    Attributes:
        renewed: Whether the last one is still open.
    """

    renewed: bool


class StreamLost(NamedTuple):
    """A stream has ended or could not be opened. The conversation connects again.

    Attributes:
        reason: Why, in a few words.
        delay: Seconds until it connects again.
    """

    reason: str
    delay: float


class StreamGivenUp(NamedTuple):
    """There is no usable stream. The conversation reads the list of messages at intervals instead.

    Attributes:
        reason: Why, in a few words.
        seconds: After this many seconds it asks for a stream again.
    """

    reason: str
    seconds: float


class ScanFailed(NamedTuple):
    """The list of messages could not be read. The conversation tries again later.

    Attributes:
        problem: Why.
    """

    problem: str


class CursorRefused(NamedTuple):
    """The server does not accept the id of a message as a cursor now. The list is read from an end."""


class OthersLeftOut(NamedTuple):
    """Messages that name another thread were left out.

    Attributes:
        source: "list" or "stream".
        number: How many.
    """

    source: str
    number: int


class MessagesDropped(NamedTuple):
    """Too many messages were not taken. The oldest were dropped; `thread.messages()` still has them.

    Attributes:
        limit: How many are kept.
    """

    limit: int


class SharedLimitLost(NamedTuple):
    """The store of a shared rate limit does not answer. This process sends its share until the store is back.

    Attributes:
        name: The name of the limit. It has the same meaning in the next event.
        problem: What failed, in a few words.
        rate: The requests per second that this process may send meanwhile.
    """

    name: str
    problem: str
    rate: float


class SharedLimitBack(NamedTuple):
    """The store of a shared rate limit answers again."""

    name: str


Event = (
    CallBegan
    | CallEnded
    | SlotAwaited
    | AttemptBegan
    | AttemptEnded
    | RetryPlanned
    | KeyRefused
    | SearchStarted
    | SearchFailed
    | LedgerFailed
    | MessageSentAgain
    | EarlierUnanswered
    | ConversationOpened
    | ConversationClosed
    | StreamOpened
    | StreamLost
    | StreamGivenUp
    | ScanFailed
    | CursorRefused
    | OthersLeftOut
    | MessagesDropped
    | SharedLimitLost
    | SharedLimitBack
)

Listener = Callable[[Event], None]
"""A function that hears of each event. It must be quick, and must not raise."""
