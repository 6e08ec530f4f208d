"""The errors of this library. It raises no other errors of its own. They form a tree::

    FeatherError
    ├── ConfigurationError            the key or the URL is missing or invalid; raised before any request
    ├── UsageError                    also a RuntimeError: something is closed, not open, read twice…
    ├── InvalidArgumentError          also a ValueError: not a UUID, an empty message…; raised before any request
    ├── LedgerError                   the ledger of keys cannot be read or written
    ├── APIConnectionError            no usable response came
    │   └── APITimeoutError           also a TimeoutError
    ├── APIStatusError                the status of the response is not a success
    │   ├── BadRequestError           400
    │   ├── AuthenticationError       401
    │   ├── PermissionDeniedError     403
    │   ├── NotFoundError             404
    │   ├── ConflictError             409
    │   ├── RateLimitError            429
    │   └── ServerError               5xx
    ├── ResponseDecodeError           the status is a success, but the body does not match the contract
    ├── DeliveryUnknownError          a message may or may not have reached Feather
    └── ReplyTimeoutError             also a TimeoutError: the message was accepted, but no reply came in time

`str(error)` is one line that says what failed. A note (PEP 678) says what to do. A traceback prints the note below the
line. Errors can be pickled with all their attributes. Task queues that store errors as JSON make an error from its
`args` alone. That works too, but only the class and the line are kept. No error contains the API key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

_LONGEST_QUOTE: Final = 200


class FeatherError(Exception):
    """The base class of all errors of this library.

    For example, with a `thread`::

        from featherhq import FeatherError

        try:
            thread.send("Pay 100")
        except FeatherError as error:
            if error.delivered is False:
                print("It was not sent, so it may be sent again:", error)
            else:
                print("Look into the thread before it is sent again:", error)

    Args:
        message: One line that says what failed.
        hint: What to do. It becomes a note of the error.
        method: See below.
        url: See below.
        attempts: See below.

    Attributes:
        method: The HTTP method of the request, or `None` if no request was made.
        url: The URL of the request without its query, or `None`.
        attempts: How many requests the call has made.
        delivered: For errors of `send`, `ask` and `create`: whether the message was delivered, or the thread was made.
            `True`: it was, so do not send it again. `False`: it was not, so you may send it again. `None`: it is
            unknown, so check the thread first.
    """

    delivered: bool | None = None

    def __init__(
        self,
        message: str = "",
        *,
        hint: str = "",
        method: str | None = None,
        url: str | None = None,
        attempts: int = 0,
    ) -> None:
        super().__init__(message)
        self.method = method
        self.url = url
        self.attempts = attempts
        if hint:
            self.add_note(hint)

    def __reduce__(self) -> tuple[Callable[..., FeatherError], tuple[Any, ...]]:
        # The default calls the class with `args` alone, and would lose all other attributes.
        return _restore, (type(self), self.args, self.__dict__)


def settled(error: FeatherError, hint: str, *, delivered: bool | None) -> FeatherError:
    """Change `delivered` and the hint of an error after a search for the message. Returns the error."""
    error.delivered = delivered
    error.__notes__ = [hint]
    return error


def _restore(kind: type[FeatherError], args: tuple[Any, ...], state: dict[str, Any]) -> FeatherError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class ConfigurationError(FeatherError):
    """The settings of the client are invalid. It is raised before any request."""

    delivered = False


class UsageError(FeatherError, RuntimeError):
    """Something is used in a wrong way: it is closed, not open, read twice, without asyncio, in another event loop."""

    delivered = False


class UncopiableError(UsageError, TypeError):
    """Something cannot be copied or pickled. Python's protocols for copies and pickles expect a `TypeError`."""


class NotMadeByUsersError(UsageError, TypeError):
    """A class was called whose objects are made by calls of this library. A wrong call is a `TypeError` in Python."""


class NotFetchedError(UsageError, AttributeError):
    """An attribute of a thread is unknown, because nothing was fetched about the thread.

    It is an `AttributeError` too, so that `hasattr` and tools that look at all attributes of an object go on to work.
    """


class InvalidArgumentError(FeatherError, ValueError):
    """An argument does not match the contract. It is raised before any request, so nothing was sent."""

    delivered = False


class LedgerError(FeatherError):
    """The ledger of keys cannot be read or written, or did not answer in time.

    It is raised before the request leaves: then `delivered` is `False`, and this call has sent nothing. A message that
    was accepted is returned, even if it could not be recorded.
    """


class APIConnectionError(FeatherError):
    """No usable response came: there was no connection, it was lost, or the response was not HTTP."""


class APITimeoutError(APIConnectionError, TimeoutError):
    """The deadline of the call passed before a response came."""


class APIStatusError(FeatherError):
    """The status of the response is not a success (not 2xx).

    Attributes:
        status_code: The HTTP status.
        code: Feather's own code from the body, such as `"NOT_FOUND"`, or `None` if the body has none.
        message: Feather's message from the body, or the standard phrase for the status if the body has none.
        request_id: The id of the request for the vendor's support, or `None` if the response has none.
        body: The body: the decoded JSON, or the text if it is not JSON.
        headers: The headers of the response. Their names are in lower case.
        retry_after: Seconds that Feather asks to wait (the header `Retry-After`), or `None`.
    """

    status_code: int = 0

    def __init__(
        self,
        message: str = "",
        *,
        status_code: int | None = None,
        code: str | None = None,
        server_message: str = "",
        request_id: str | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        retry_after: float | None = None,
        hint: str = "",
        method: str | None = None,
        url: str | None = None,
        attempts: int = 0,
    ) -> None:
        super().__init__(message, hint=hint, method=method, url=url, attempts=attempts)
        if status_code is not None:
            self.status_code = status_code
        self.code = code
        self.message = server_message
        self.request_id = request_id
        self.body = body
        self.headers = dict(headers or {})
        self.retry_after = retry_after


class BadRequestError(APIStatusError):
    """400: Feather does not accept the request."""

    status_code = 400


class AuthenticationError(APIStatusError):
    """401: the API key is missing, wrong or revoked."""

    status_code = 401


class PermissionDeniedError(APIStatusError):
    """403: the API key is valid, but has no permission for this."""

    status_code = 403


class NotFoundError(APIStatusError):
    """404: the thread does not exist, or belongs to another organization."""

    status_code = 404


class ConflictError(APIStatusError):
    """409: the request conflicts with the state on the server."""

    status_code = 409


class RateLimitError(APIStatusError):
    """429: the key has made too many requests, and no time is left to wait."""

    status_code = 429


class ServerError(APIStatusError):
    """5xx: Feather failed, or a proxy before it."""


class ResponseDecodeError(FeatherError):
    """The status is a success, but the body does not match the contract.

    Attributes:
        status_code: The HTTP status (2xx).
        body: The body: the decoded JSON, or the text if it is not JSON.
    """

    def __init__(
        self,
        message: str = "",
        *,
        status_code: int = 0,
        body: object = None,
        hint: str = "",
        method: str | None = None,
        url: str | None = None,
        attempts: int = 0,
    ) -> None:
        super().__init__(message, hint=hint, method=method, url=url, attempts=attempts)
        self.status_code = status_code
        self.body = body


class DeliveryUnknownError(FeatherError):
    """A message may or may not have reached Feather. The client has not sent it again.

    `__cause__` is the error that made the outcome unknown.

    Attributes:
        thread_id: The id of its thread.
        text: The text of the message.
        sent_at: When the first attempt left that may have delivered it, by the server's clock, in UTC. So the message
            is not older than that: pass it to `thread.find_sent(text, since=error.sent_at)`. `None` if the server has
            told no time.
    """

    def __init__(
        self,
        message: str = "",
        *,
        thread_id: str = "",
        text: str = "",
        sent_at: datetime | None = None,
        hint: str = "",
        method: str | None = None,
        url: str | None = None,
        attempts: int = 0,
    ) -> None:
        super().__init__(message, hint=hint, method=method, url=url, attempts=attempts)
        self.thread_id = thread_id
        self.text = text
        self.sent_at = sent_at


class ReplyTimeoutError(FeatherError, TimeoutError):
    """Feather accepted the message, but no reply came in time.

    Attributes:
        thread_id: The id of the thread.
        message_id: The id of the accepted message.
    """

    delivered = True

    def __init__(
        self,
        message: str = "",
        *,
        thread_id: str = "",
        message_id: str = "",
        hint: str = "",
        method: str | None = None,
        url: str | None = None,
        attempts: int = 0,
    ) -> None:
        super().__init__(message, hint=hint, method=method, url=url, attempts=attempts)
        self.thread_id = thread_id
        self.message_id = message_id


def phrase(status_code: int) -> str:
    """The standard phrase for a status. A status outside the standard (such as Cloudflare's 522) gets one too."""
    try:
        return HTTPStatus(status_code).phrase
    except ValueError:
        return "Unknown status"


def printable(text: str) -> str:
    """Text from a server, safe for a terminal: characters that are not printable become backslash escapes."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def one_line(text: str) -> str:
    """Text from a server, safe to print in one line, and cut if it is long."""
    # Only the beginning can appear in the result, so the rest of a long text is not processed.
    words = printable(" ".join(text[: 10 * _LONGEST_QUOTE].split()))
    return words if len(words) <= _LONGEST_QUOTE else words[: _LONGEST_QUOTE - 1] + "…"
