"""What came of a request: a response, or a failure of the transport."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Final

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
    # The decoded JSON between a check and its use.
    _checked: object = field(default=None, init=False, repr=False)

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
        """As `data`, for the generated functions, which read this in place of an `httpx.Response`."""
        checked, self._checked = self._checked, None
        return self.data() if checked is None else checked

    def check(self, expected: Mapping[str, type | tuple[type, ...]]) -> None:
        """Check the type of the JSON value. Generated code would read an object as an array of its keys.

        Args:
            expected: The type that the contract documents, by status: `200`, `2XX` or `default`.

        Raises:
            ResponseDecodeError: the body is not JSON, or of another type.
        """
        status = str(self.status_code)
        keys = (status, f"{status[0]}XX", "default")
        wanted = next((expected[key] for key in keys if key in expected), None)
        if wanted is None:
            return
        self._checked = self.data()
        if not isinstance(self._checked, wanted) or (isinstance(self._checked, bool) and wanted is not bool):
            kind, self._checked = _KINDS[type(self._checked)], None
            raise self.not_as_promised(f"a JSON body that is {kind} where the contract has {_KINDS[wanted]}")

    def not_as_promised(self, found: str) -> ResponseDecodeError:
        """The error for a success with a body that the contract does not describe."""
        return ResponseDecodeError(
            f"{self.method} {self.url}: {self.status_code}, but with {found}",
            status_code=self.status_code,
            body=self.body,
            hint="`body` holds the body. The status is a success, so check before you repeat the request. If the body "
            "comes from Feather and not from a proxy, the contract may have changed: look for a newer featherhq.",
            method=self.method,
            url=self.url,
            attempts=self.attempts,
        )


_KINDS: Final[dict[object, str]] = {
    dict: "an object",
    list: "an array",
    str: "a string",
    bool: "a boolean",
    int: "a number",
    (int, float): "a number",
    float: "a number",
    type(None): "null",
}
