"""The language between flows, which decide, and runners, which act.

What a call or a conversation does is written once, as a generator (a *flow*). It yields *effects* and is sent back
what came of each: `response = yield from SendRequest(…)`. A flow opens no socket, reads no clock but the one it is
given, and does not know whether a thread or a task runs it. The two runners (`_pump.py`, `_async_pump.py`) perform one
effect after the other and decide nothing.

A conversation has a *mailbox* besides. Its stream and its looks into the history run in the background, as *jobs*, and
post what happens to them as *events*. So a wait for one of them never keeps the others from being heard.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from attrs import define, field, frozen

from featherhq._core.bodies import SHOWN, Unpacker, UnreadableBodyError, read_json
from featherhq._core.secrets import Redactor, Secret
from featherhq._exchange import Exchange
from featherhq.errors import ResponseDecodeError, one_line

if TYPE_CHECKING:
    from concurrent.futures import Future

    from featherhq._core.limit import Slot

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

_EVENT_STREAM: Final = "text/event-stream"
# A call that waits this long for one of its own connections has met a leak, and had better say so.
_LONGEST_POOL_WAIT: Final = 5.0
# Bytes of a stream that are read ahead of whoever they are for; then the server has to wait. A chunk takes more than
# its bytes.
READ_AHEAD: Final = 256 * 1024
_CHUNK_TAKES: Final = 256
# The socket's own timeouts end a call cleanly; the cut that cancels it comes this much later, in seconds.
_GRACE: Final = 0.05


class Effect(Generic[T_co]):
    """Something that a flow wants done. `yield from` gives what came of it, with its type."""

    __slots__ = ()

    def __iter__(self) -> Generator[Effect[Any], Any, T_co]:
        return (yield self)  # type: ignore[no-any-return]


Flow = Generator[Effect[Any], Any, T]
"""A flow whose end gives a `T`."""


@frozen(eq=False)
class Sleep(Effect[None]):
    """Wait.

    Attributes:
        seconds: How long.
    """

    seconds: float


@frozen(eq=False)
class TakeSlot(Effect[bool]):
    """Wait in the line of the rate limit for a slot. Gives whether there was one in time.

    Attributes:
        slot: What to ask, as often as it says.
        until: The moment of the monotonic clock, in seconds, by which the slot has to come.
    """

    slot: Slot
    until: float


@frozen(eq=False)
class SendRequest(Effect["Response | TransportFailure"]):
    """Send a request. Gives a `Response`, or a `TransportFailure`.

    Attributes:
        request: What `httpx.Client.build_request` takes: `method`, `url`, `headers`, `json`, `params`…
        seconds: How long it may take in all.
        streaming: Whether the answer may be an event stream, to be left open for the job that runs this flow.
        exchange: What the request has done on its connection, as far as the runner notes it.
    """

    request: Mapping[str, Any] = field(repr=False)
    seconds: float
    streaming: bool = False
    exchange: Exchange = field(factory=Exchange)

    @property
    def timeouts(self) -> dict[str, float]:
        """Seconds for each of httpx's phases: no one of them may take longer than the whole."""
        whole = {"connect": self.seconds, "read": self.seconds, "write": self.seconds}
        return whole | {"pool": min(self.seconds, _LONGEST_POOL_WAIT)}

    @property
    def cut(self) -> float:
        """Seconds until the request is cut, whatever it is doing."""
        return self.seconds + _GRACE

    def stays_open(self, status_code: int, headers: Mapping[str, str]) -> bool:
        """Whether an answer with this head is to be read piece by piece."""
        media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
        if not (self.streaming and status_code == HTTPStatus.OK and media_type == _EVENT_STREAM):
            return False
        with suppress(UnreadableBodyError):
            Unpacker(headers.get("content-encoding", ""))
            return True
        return False


@frozen(eq=False)
class AskKey(Effect["Future[Any] | None"]):
    """Wait for what a callable gives for a key. Gives `None` where that takes too long; the callable goes on.

    Attributes:
        ask: Called with what runs a callable in the background; gives what comes of it.
        seconds: How long to wait.
    """

    ask: Callable[[Callable[[Callable[[], object]], Future[Any]]], Future[Any]]
    seconds: float


@frozen(eq=False)
class Announce(Effect[None]):
    """Put an event into the mailboxes of all conversations of a thread that this client holds.

    Attributes:
        thread_id: The thread's id.
        event: The event.
    """

    thread_id: str
    event: Event


@frozen(eq=False)
class Start(Effect[None]):
    """Run a flow in the background, at once. What becomes of it comes as events of this job's.

    Attributes:
        job: Its name. A job of the same name that still runs is cancelled.
        flow: The flow. Where it leaves a stream open, the stream's chunks follow as events, and its end.
    """

    job: str
    flow: Flow[Any]


@frozen(eq=False)
class Cancel(Effect[None]):
    """End a job, at once, if it still runs, and close its stream. No more of its events come.

    Attributes:
        job: Its name.
    """

    job: str


@frozen(eq=False)
class Receive(Effect["Event | None"]):
    """Take the next event out of the mailbox. Gives `None` where none comes in time.

    Attributes:
        seconds: How long to wait for one.
    """

    seconds: float


@frozen(eq=False)
class Post(Effect[None]):
    """Put an event into the mailbox, for whoever reads the conversation.

    Attributes:
        event: The event.
    """

    event: Event


@frozen
class JobDone:
    """A job's flow has ended.

    Attributes:
        job: The job's name.
        outcome: What the flow gave, or the error that it raised.
    """

    job: str
    outcome: Any


@frozen
class Chunk:
    """A stream has brought something.

    Attributes:
        job: The name of the job that reads it.
        data: What it has brought.
        at: When, on the monotonic clock, in seconds.
    """

    job: str
    data: bytes
    at: float


@frozen
class Ended:
    """A stream has ended.

    Attributes:
        job: The name of the job that read it.
        reason: Why, in a few words.
        at: When, on the monotonic clock, in seconds.
    """

    job: str
    reason: str
    at: float


@frozen
class Accepted:
    """A message of this conversation was accepted.

    Attributes:
        message_id: Its id.
        began: When its last attempt began, on the monotonic clock, in seconds. What was heard before is no reply.
        server_time: The server's time then, in seconds since 1970, or `None` where it is not known.
    """

    message_id: str
    began: float
    server_time: float | None


@frozen
class Closed:
    """The conversation was closed.

    Attributes:
        what: What was closed, in words: the conversation, the client and so the conversation, the thread itself.
    """

    what: str = "conversation"


Event = JobDone | Chunk | Ended | Accepted | Closed


def weight(event: Event) -> int:
    """What an event counts of `READ_AHEAD`: nothing, but for chunks."""
    return len(event.data) + _CHUNK_TAKES if isinstance(event, Chunk) else 0


def without(events: Iterable[Event], job: str) -> tuple[deque[Event], int]:
    """The events that are not of a job, in order; and what they count of `READ_AHEAD`."""
    kept = deque(event for event in events if getattr(event, "job", None) != job)
    return kept, sum(map(weight, kept))


@frozen
class TransportFailure:
    """No usable answer came.

    Attributes:
        sent: Whether the server may have seen the request. `False` only where it cannot have.
        timed_out: Whether it ended because time was up.
        reason: What happened, in a few words.
        cause: The operating system's error, where there is one.
        status_code: The status, where the head of an answer had come.
        stale: Whether it was a connection used before, and closed without a byte of an answer.
    """

    sent: bool
    timed_out: bool
    reason: str
    cause: BaseException | None = None
    status_code: int | None = None
    stale: bool = False


@define
class Response:
    """An answer to a request; also what the generated functions read in place of an `httpx.Response`.

    Attributes:
        status_code: The HTTP status.
        headers: Its headers; looking one up minds no case.
        content: The body; empty for a stream.
        is_stream: Whether it is a stream that was left open, for whoever started the job.
        method: The method of the request. This and the next two are for the errors that may follow.
        url: Its URL without the query.
        attempts: How many requests it took.
        began: When the attempt began, on the monotonic clock, in seconds.
        via: The proxy that it came through, if there is one; without its password.
        flaw: Why the body is not what the server meant, in words that follow "a body"; `None` where it is.
        secret: The key that was sent.
        redactor: Strikes keys out of whatever is shown.
    """

    status_code: int
    # Not shown, nor is the body: the server may have put the key into them.
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(default=b"", repr=False)
    is_stream: bool = False
    method: str = ""
    url: str = ""
    attempts: int = 0
    began: float = 0.0
    via: str | None = None
    flaw: str | None = None
    secret: Secret | None = None
    redactor: Redactor = field(factory=Redactor, repr=False)

    @property
    def text(self) -> str:
        """The body as text."""
        return self.content.decode("utf-8", "replace")

    @property
    def body(self) -> object:
        """The body as an error shows it: the JSON, or the beginning of what is not JSON, and never a key."""
        if len(self.content) <= SHOWN:
            with suppress(ValueError):
                # Once decoded, nothing in it is escaped but by the server itself.
                return self.redactor.data(read_json(self.content))
        return self.redactor.text(self.content[:SHOWN].decode("utf-8", "replace"))

    def data(self) -> object:
        """The decoded JSON.

        Raises:
            ResponseDecodeError: the body is not JSON.
        """
        problem = None if self.flaw is None else f"a body {self.flaw}"
        if problem is None:
            try:
                return read_json(self.content)
            except ValueError as error:
                problem = f"a body that is not JSON ({one_line(str(error))})" if self.content else "no body"
        # Raised out here, where no JSONDecodeError hangs on to it: that one keeps the document.
        raise self.not_as_promised(problem)

    def json(self) -> object:
        """The decoded JSON, for the generated functions: it objects when it is taken for what it is not.

        They take the top level on trust, and would fail with a bare `TypeError` or `ValueError`. (What is
        inside cannot fail: the overlay makes every field of an answer optional and nullable.)

        Raises:
            ResponseDecodeError: the body is not JSON, or neither an object nor an array.
        """
        data = self.data()
        if isinstance(data, dict):
            return _Object(data, self)
        if isinstance(data, list):
            return _Array(data, self)
        raise self.not_as_promised("JSON that is neither an object nor an array")

    def not_as_promised(self, found: str) -> ResponseDecodeError:
        """The error for a success with a body that the contract does not describe."""
        return ResponseDecodeError(
            f"{self.method} {self.url}: {self.status_code}, but with {found}",
            status_code=self.status_code,
            body=self.body,
            hint="`body` holds what came. A success was announced: do not repeat it unseen. If it comes from "
            "Feather and not from a proxy, its contract has changed: look for a newer featherhq.",
            method=self.method,
            url=self.url,
            attempts=self.attempts,
        )


class _Object(dict[str, Any]):
    """A JSON object that objects to being read as an array. It is empty then, since the frames of the error show it."""

    def __init__(self, data: dict[str, Any], response: Response) -> None:
        super().__init__(data)
        self._response = response

    def __iter__(self) -> Any:
        # `dict(this)` asks for `keys()`, and does not come by here; `for item in this` does.
        self.clear()
        raise self._response.not_as_promised("a JSON object where the contract has an array")


class _Array(list[Any]):
    """A JSON array that objects to being read as an object. It is empty then, as above."""

    def __init__(self, data: list[Any], response: Response) -> None:
        super().__init__(data)
        self._response = response

    @property
    def keys(self) -> Any:
        # `dict(this)` asks for `keys` before anything else.
        self.clear()
        raise self._response.not_as_promised("a JSON array where the contract has an object")
