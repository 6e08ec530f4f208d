"""What happens inside a client, for whoever listens: attempts, retries, streams, scans. Pure.

A listener is a function that takes an event. Logging is the first listener (`_logging.py`).
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen


@frozen
class AttemptEnded:
    """One attempt has ended.

    Attributes:
        method: The HTTP method. It has the same meaning in the other events.
        path: The path of the URL. It has the same meaning in the other events.
        result: The status, or what failed, in a few words. It has the same meaning in the other events.
        seconds: How long the attempt took.
    """

    method: str
    path: str
    result: str
    seconds: float


@frozen
class RetryPlanned:
    """A request is repeated after a wait.

    Attributes:
        delay: The wait, in seconds.
    """

    method: str
    path: str
    result: str
    delay: float


@frozen
class KeyRefused:
    """The server refused the key, and the callable returned another one, so the request is repeated at once."""

    method: str
    path: str


@frozen
class SearchStarted:
    """The outcome of a message is unknown, so the client looks for it in the thread.

    Attributes:
        problem: Why the outcome is unknown.
    """

    problem: str


@frozen
class SearchFailed:
    """The thread could not be read during that search.

    Attributes:
        problem: Why.
        lasting: Whether another scan would fail too, so that the search ends.
    """

    problem: str
    lasting: bool


@frozen
class MessageSentAgain:
    """A message has not arrived, and is sent again."""

    method: str
    url: str


@frozen
class EarlierUnanswered:
    """Somebody asks while earlier messages are unanswered: the next reply may belong to one of those.

    Attributes:
        thread_id: The thread.
        count: How many messages are unanswered.
    """

    thread_id: str
    count: int


@frozen
class StreamLost:
    """A stream has ended or could not be opened. The conversation connects again.

    Attributes:
        reason: Why, in a few words.
        delay: Seconds until it connects again.
    """

    reason: str
    delay: float


@frozen
class StreamGivenUp:
    """There is no usable stream. The conversation reads the list of messages at intervals instead.

    Attributes:
        reason: Why, in a few words.
        seconds: After so many seconds it asks for a stream again.
    """

    reason: str
    seconds: float


@frozen
class ScanFailed:
    """The list of messages could not be read. The conversation tries again later.

    Attributes:
        problem: Why.
    """

    problem: str


@frozen
class CursorRefused:
    """The server does not accept the id of a message as a cursor now. The list is read from an end."""


@frozen
class OthersLeftOut:
    """Messages that name another thread were left out.

    Attributes:
        source: "list" or "stream".
        count: How many.
    """

    source: str
    count: int


@frozen
class MessagesDropped:
    """Too many messages were not taken. The oldest were dropped; `thread.messages()` still has them.

    Attributes:
        limit: How many are kept.
    """

    limit: int


Event = (
    AttemptEnded
    | RetryPlanned
    | KeyRefused
    | SearchStarted
    | SearchFailed
    | MessageSentAgain
    | EarlierUnanswered
    | StreamLost
    | StreamGivenUp
    | ScanFailed
    | CursorRefused
    | OthersLeftOut
    | MessagesDropped
)

Listener = Callable[[Event], None]
"""A function that hears of each event. It must be quick, and must not raise."""
