"""The language between the core, which decides, and the pumps, which act.

What a call does is written once, as a generator (a *plan*) that yields steps and is sent back what came of
them. A plan opens no socket, reads no clock but the one it is given, and does not know whether a thread or a task runs
it. The two pumps (`_pump.py`, `_async_pump.py`) take one step after the other and decide nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Final, TypeVar

from attrs import define, field, frozen

from featherhq._errors import ResponseDecodeError

T = TypeVar("T")

_EVENT_STREAM: Final = "text/event-stream"
# A call that waits this long for one of its own connections has met a leak, and had better say so.
_LONGEST_POOL_WAIT: Final = 5.0
# Chunks of a stream that are read ahead of whom they are for; then the server has to wait.
READ_AHEAD: Final = 256
# The socket's own timeouts end a call cleanly; the cut that cancels it comes this much later, in seconds.
_GRACE: Final = 0.05


@frozen
class Sleep:
    """Wait. Gives `None`."""

    seconds: float


@frozen
class Pause:
    """Wait, but not after the line that holds the stream is closed. Gives whether it is."""

    seconds: float


@frozen
class Exchange:
    """Send a request. Gives an `Answer`, or a `Failure`.

    Attributes:
        request: What `httpx.Client.build_request` takes: `method`, `url`, `headers`, `json`, `params`…
        seconds: How long it may take in all.
        streaming: Whether the answer may be an event stream, to be left open; one that was open before is closed.
    """

    request: Mapping[str, Any]
    seconds: float
    streaming: bool = False

    @property
    def timeouts(self) -> dict[str, float]:
        """Seconds for each of httpx's phases: no one of them may take longer than the whole."""
        whole = {"connect": self.seconds, "read": self.seconds, "write": self.seconds}
        return whole | {"pool": min(self.seconds, _LONGEST_POOL_WAIT)}

    @property
    def cut(self) -> float:
        """Seconds until the exchange is cut, whatever it is doing."""
        return self.seconds + _GRACE

    def within(self, clock: Callable[[], float], chunks: Iterable[bytes]) -> Iterator[bytes]:
        """A body's chunks, as long as there is time: for an `http_client=` whose sockets are not ours."""
        until = clock() + self.seconds
        for chunk in chunks:
            if clock() > until:
                raise TimeoutError
            yield chunk

    def stays_open(self, status_code: int, headers: Mapping[str, str]) -> bool:
        """Whether an answer with this head is to be read piece by piece."""
        media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
        return self.streaming and status_code == HTTPStatus.OK and media_type == _EVENT_STREAM


@frozen
class ReadStream:
    """Read what the open stream has next. Gives bytes, `b""` at its end, a `Failure`, or `None` after a silence."""

    seconds: float


@frozen
class HangUp:
    """Close the stream. Gives `None`."""


Step = Sleep | Pause | Exchange | ReadStream | HangUp
Plan = Generator[Step, Any, T]
"""A plan whose end gives a `T`."""


@frozen
class Failure:
    """No answer came.

    Attributes:
        sent: Whether the server may have seen the request. `False` only where it cannot have.
        timed_out: Whether it ended because time was up.
        reason: What happened, in a few words.
        cause: The operating system's error, where there is one.
    """

    sent: bool
    timed_out: bool
    reason: str
    cause: BaseException | None = None


@define
class Answer:
    """An answer to a request; also what the generated functions read in place of an `httpx.Response`.

    Attributes:
        status_code: The HTTP status.
        headers: Its headers; looking one up minds no case.
        content: The body; empty for a stream.
        is_stream: Whether it is a stream that was left open, for `ReadStream`.
        method: The method of the request. This and the next two are for the errors that may follow.
        url: Its URL without the query.
        attempts: How many requests it took.
        secret: The key that was sent, to be struck out of whatever is shown.
    """

    status_code: int
    headers: Mapping[str, str]
    content: bytes = field(default=b"", repr=False)
    is_stream: bool = False
    method: str = ""
    url: str = ""
    attempts: int = 0
    secret: str = field(default="", repr=False)

    @property
    def text(self) -> str:
        """The body as text."""
        return self.content.decode("utf-8", "replace")

    @property
    def body(self) -> object:
        """The body as an error shows it: the JSON, or the text of what is not JSON, and never the key."""
        shown = self.redact(self.text)
        try:
            return json.loads(shown)
        except ValueError:
            return shown

    def redact(self, text: str) -> str:
        """The text without the key, which a server may have echoed."""
        return text.replace(self.secret, "***") if self.secret else text

    def data(self) -> object:
        """The decoded JSON.

        Raises:
            ResponseDecodeError: the body is not JSON.
        """
        with suppress(ValueError):
            return json.loads(self.content)
        # Raised out here, where no JSONDecodeError hangs on to it: that one keeps the document.
        raise self.not_as_promised("a body that is not JSON")

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
            hint="`body` holds what came. Feather did what was asked: do not repeat it unseen. If it comes from "
            "Feather and not from a proxy, its contract has changed: look for a newer featherhq.",
            method=self.method,
            url=self.url,
            attempts=self.attempts,
        )


class _Object(dict[str, Any]):
    """A JSON object that objects to being read as an array."""

    def __init__(self, data: dict[str, Any], answer: Answer) -> None:
        super().__init__(data)
        self._answer = answer

    def __iter__(self) -> Any:
        # `dict(this)` asks for `keys()`, and does not come by here; `for item in this` does.
        raise self._answer.not_as_promised("a JSON object where the contract has an array")


class _Array(list[Any]):
    """A JSON array that objects to being read as an object."""

    def __init__(self, data: list[Any], answer: Answer) -> None:
        super().__init__(data)
        self._answer = answer

    @property
    def keys(self) -> Any:
        # `dict(this)` asks for `keys` before anything else.
        raise self._answer.not_as_promised("a JSON array where the contract has an object")
