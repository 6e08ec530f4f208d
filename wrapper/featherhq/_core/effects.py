"""The language between flows, which decide, and runners, which act.

What a call or a conversation does is written once, as a generator (a *flow*). It yields *effects*, and gets back the
result of each: `response = yield from SendRequest(…)`. A flow opens no socket, reads only the clock that it is given,
and does not know whether a thread or a task runs it. The two runners (`_http/thread_runner.py`, `_http/task_runner.py`)
perform one effect after the other and decide nothing.

A conversation also has a *mailbox*. Its stream and its scans of the history run in the background, as *jobs*. They post
what happens to them as *notices*. So the conversation hears from each of them while it waits for another.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar

from attrs import field, frozen

from featherhq._core.bodies import Unpacker, UnreadableBodyError
from featherhq._core.exchange import Exchange
from featherhq._core.responses import Response, TransportFailure

if TYPE_CHECKING:
    from concurrent.futures import Future

    from featherhq._core.slots import Slot

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

_EVENT_STREAM: Final = "text/event-stream"
# Seconds. A call that waits longer for a free connection has met a leak, and must say so.
_LONGEST_POOL_WAIT: Final = 5.0
READ_AHEAD: Final = 256 * 1024
"""Bytes of a stream that are read ahead of their reader. After that the server has to wait."""

# Bytes that a chunk needs beside its data.
_CHUNK_OVERHEAD: Final = 256
# Seconds. The timeouts of the sockets end a request in good order. It is cancelled only this much later.
_GRACE: Final = 0.05


class Effect(Generic[T_co]):
    """Something that a flow wants done. `yield from` gives its result, with the right type."""

    __slots__ = ()

    def __repr__(self) -> str:
        # Not its attributes: a request holds the key.
        return type(self).__name__

    def __iter__(self) -> Generator[Effect[Any], Any, T_co]:
        return (yield self)  # type: ignore[no-any-return]


Flow = Generator[Effect[Any], Any, T]
"""A flow that returns a `T`."""


@frozen(eq=False, repr=False)
class Sleep(Effect[None]):
    """Wait.

    Attributes:
        seconds: How long.
    """

    seconds: float


@frozen(eq=False, repr=False)
class TakeSlot(Effect[bool]):
    """Wait in the queue of the rate limit for a slot. Gives whether it came in time.

    Attributes:
        slot: What to ask, as often as it says.
        until: The latest time for the slot, in seconds of the monotonic clock.
    """

    slot: Slot
    until: float


@frozen(eq=False, repr=False)
class SendRequest(Effect[Response | TransportFailure]):
    """Send a request. Gives a `Response`, or a `TransportFailure`.

    Attributes:
        request: What `httpx.Client.build_request` takes: `method`, `url`, `headers`, `json`, `params`…
        seconds: How long it may take in all.
        streaming: Whether the response may be an event stream, which is left open for the job that runs this flow.
        exchange: What the request has done on its connection. The transport notes it.
    """

    request: Mapping[str, Any]
    seconds: float
    streaming: bool = False
    exchange: Exchange = field(factory=Exchange)

    @property
    def timeouts(self) -> dict[str, float]:
        """Seconds for each of httpx's phases. None of them may take longer than the whole request."""
        whole = {"connect": self.seconds, "read": self.seconds, "write": self.seconds}
        return whole | {"pool": min(self.seconds, _LONGEST_POOL_WAIT)}

    @property
    def cut(self) -> float:
        """Seconds until the request is cancelled, whatever it is doing."""
        return self.seconds + _GRACE

    def stays_open(self, status_code: int, headers: Mapping[str, str]) -> bool:
        """Whether a response with this head is an event stream, to be read as it comes."""
        media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
        if not (self.streaming and status_code == HTTPStatus.OK and media_type == _EVENT_STREAM):
            return False
        with suppress(UnreadableBodyError):
            Unpacker(headers.get("content-encoding", ""))
            return True
        return False


@frozen(eq=False, repr=False)
class AskKey(Effect["Future[Any] | None"]):
    """Wait for the callable that gives the key. Gives `None` if that takes too long; the callable goes on.

    Attributes:
        ask: Called with a function that runs a callable in the background. Gives the future result.
        seconds: How long to wait.
    """

    ask: Callable[[Callable[[Callable[[], object]], Future[Any]]], Future[Any]]
    seconds: float


@frozen(eq=False, repr=False)
class Consult(AskKey):
    """As `AskKey`, for a callable that asks the ledger of keys."""


@frozen(eq=False, repr=False)
class Announce(Effect[None]):
    """Put a notice into the mailboxes of all conversations that this client has in a thread.

    Attributes:
        thread_id: The thread's id.
        notice: The notice.
    """

    thread_id: str
    notice: Notice


@frozen(eq=False, repr=False)
class Start(Effect[None]):
    """Run a flow in the background, at once. Its result comes as a notice, under the name of the job.

    Attributes:
        job: The name. A job of the same name that still runs is cancelled.
        flow: The flow. If it leaves a stream open, the chunks of the stream and its end follow as notices.
    """

    job: str
    flow: Flow[Any]


@frozen(eq=False, repr=False)
class Cancel(Effect[None]):
    """End a job at once if it still runs, and close its stream. No more of its notices come.

    Attributes:
        job: Its name.
    """

    job: str


@frozen(eq=False, repr=False)
class Receive(Effect["Notice | None"]):
    """Take the next notice out of the mailbox. Gives `None` if none comes in time.

    Attributes:
        seconds: How long to wait for one.
    """

    seconds: float


@frozen(eq=False, repr=False)
class Post(Effect[None]):
    """Put a notice into the mailbox, for whoever reads the conversation.

    Attributes:
        notice: The notice.
    """

    notice: Notice


class JobDone(NamedTuple):
    """A job's flow has ended.

    Attributes:
        job: The job's name.
        outcome: What the flow returned, or the error that it raised.
    """

    job: str
    outcome: Any


class Chunk(NamedTuple):
    """Bytes have come over a stream.

    Attributes:
        job: The name of the job that reads it.
        data: The bytes.
        at: When, in seconds of the monotonic clock.
    """

    job: str
    data: bytes
    at: float


class Ended(NamedTuple):
    """A stream has ended.

    Attributes:
        job: The name of the job that read it.
        reason: Why, in a few words.
        at: When, in seconds of the monotonic clock.
    """

    job: str
    reason: str
    at: float


class Accepted(NamedTuple):
    """A message of this conversation was accepted.

    Attributes:
        message_id: Its id.
        began: When its last attempt began, in seconds of the monotonic clock. What came before is not a reply.
        server_time: The server's time then, in seconds since 1970, or `None` if it is not known.
    """

    message_id: str
    began: float
    server_time: float | None


class Closed(NamedTuple):
    """The conversation was closed.

    Attributes:
        what: What was closed: "conversation", "client", "thread", or "process" in a forked child.
    """

    what: str = "conversation"


Notice = JobDone | Chunk | Ended | Accepted | Closed


def weight(notice: Notice) -> int:
    """Bytes that a notice counts of `READ_AHEAD`. Only chunks count."""
    return len(notice.data) + _CHUNK_OVERHEAD if isinstance(notice, Chunk) else 0


def without(notices: Iterable[Notice], job: str) -> tuple[deque[Notice], int]:
    """The notices of other jobs, in order, and the bytes that they count of `READ_AHEAD`."""
    kept = deque(notice for notice in notices if getattr(notice, "job", None) != job)
    return kept, sum(map(weight, kept))
