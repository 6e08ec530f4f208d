"""What came of a request: a response, or a failure of the transport."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from attrs import define, field, frozen

from featherhq._core.bodies import SHOWN, read_json
from featherhq._core.secrets import Redactor, Secret
from featherhq.errors import ResponseDecodeError, one_line


@frozen
class TransportFailure:
    """No usable response came.

    Attributes:
        sent: Whether the server may have seen the request. `False` only if it cannot have seen it.
        timed_out: Whether the time was up.
        reason: What happened, in a few words.
        cause: The operating system's error, if there is one.
        status_code: The status, if the head of a response had come.
        stale: Whether the connection was used before, and was closed without a byte of a response.
    """

    sent: bool
    timed_out: bool
    reason: str
    cause: BaseException | None = None
    status_code: int | None = None
    stale: bool = False


@define
class Response:
    """A response to a request. The generated functions read it in place of an `httpx.Response`.

    Attributes:
        status_code: The HTTP status.
        headers: Its headers. Names are compared without case.
        content: The body; empty for a stream.
        is_stream: Whether it is a stream that was left open for the job that asked for it.
        method: The method of the request. This and the next two are for errors that may follow.
        url: Its URL without the query.
        attempts: How many requests it took.
        began: When the attempt began, on the monotonic clock, in seconds.
        via: The proxy that it came through, if there is one, without its password.
        flaw: Why the body cannot be used, in words that follow "a body"; `None` if it can.
        secret: The key that was sent.
        redactor: Removes keys from what is shown.
    """

    status_code: int
    # Neither the headers nor the body are shown: the server may have put the key into them.
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
        """The body as an error shows it, without keys: the JSON, or the beginning of a text that is not JSON."""
        if len(self.content) <= SHOWN:
            with suppress(ValueError):
                # After decoding, only the server itself may have escaped something in it.
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
        # Raised here, outside the `except`: a JSONDecodeError in its context would hold the whole document.
        raise self.not_as_promised(problem)

    def json(self) -> object:
        """The decoded JSON for the generated functions. It raises if it is read as something that it is not.

        The generated functions do not check the top level, and would fail with a bare `TypeError` or `ValueError`. They
        cannot fail further inside: the overlay makes every field of a response optional and nullable.

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
            hint="`body` holds what came. The status says success: do not repeat the request without a check. If the "
            "body comes from Feather and not from a proxy, the contract has changed: look for a newer featherhq.",
            method=self.method,
            url=self.url,
            attempts=self.attempts,
        )


class _Object(dict[str, Any]):
    """A JSON object that raises if it is read as an array. It is emptied first: tracebacks show it."""

    def __init__(self, data: dict[str, Any], response: Response) -> None:
        super().__init__(data)
        self._response = response

    def __iter__(self) -> Any:
        # `for item in this` calls this. `dict(this)` calls `keys()` instead.
        self.clear()
        raise self._response.not_as_promised("a JSON object where the contract has an array")


class _Array(list[Any]):
    """A JSON array that raises if it is read as an object. It is emptied first, as above."""

    def __init__(self, data: list[Any], response: Response) -> None:
        super().__init__(data)
        self._response = response

    @property
    def keys(self) -> Any:
        # `dict(this)` asks for `keys` first.
        self.clear()
        raise self._response.not_as_promised("a JSON array where the contract has an object")
