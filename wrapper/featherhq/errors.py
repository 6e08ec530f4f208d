"""The errors of this library. It raises no other errors of its own.

    FeatherError
    ├── ConfigurationError            the key or the URL is missing or invalid; raised before any request
    ├── UsageError                    also a RuntimeError: a thing is closed, not open, read twice…
    ├── InvalidArgumentError          also a ValueError: not a UUID, an empty message…; raised before any request
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
from http import HTTPStatus
from typing import Any, Final

_LONGEST_QUOTE: Final = 200


class FeatherError(Exception):
    """The base class of all errors of this library.

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
    """A thing is used wrongly: it is closed, not open, read twice, of another event loop, or used without asyncio."""

    delivered = False


class UncopiableError(UsageError, TypeError):
    """A thing cannot be copied or pickled. Python's protocols for copies and pickles expect a `TypeError`."""


class InvalidArgumentError(FeatherError, ValueError):
    """An argument does not match the contract. It is raised before any request, so nothing was sent."""

    delivered = False


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
    """A message may or may not have reached Feather. It was not sent again after that.

    `__cause__` is the error that made the outcome unknown.

    Attributes:
        thread_id: The id of its thread.
        text: The text of the message.
    """

    def __init__(
        self,
        message: str = "",
        *,
        thread_id: str = "",
        text: str = "",
        hint: str = "",
        method: str | None = None,
        url: str | None = None,
        attempts: int = 0,
    ) -> None:
        super().__init__(message, hint=hint, method=method, url=url, attempts=attempts)
        self.thread_id = thread_id
        self.text = text


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


_BY_STATUS: Final[Mapping[int, type[APIStatusError]]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    429: RateLimitError,
}

_HINTS: Final[Mapping[int, str]] = {
    400: "Feather's message says what it did not accept. Nothing was done.",
    401: "Check the key: dashboard → Settings → API Keys. The key in FEATHER_API_KEY may have been revoked.",
    403: "The key is valid but may not do this. Check its permissions and its organization.",
    404: "Check the id, and check that it belongs to the organization of this API key.",
    407: "A proxy on the way wants a user name and a password. Put them into HTTPS_PROXY or HTTP_PROXY.",
    429: "Do other processes share this key? Give each its share in rate_limit=, or all of them one SharedRateLimit.",
}


def class_for_status(status_code: int) -> type[APIStatusError]:
    """The class of the error for a status that is not a success."""
    if status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return ServerError
    return _BY_STATUS.get(status_code, APIStatusError)


def hint_for_status(
    status_code: int, headers: Mapping[str, str], retry_after: float | None = None, via: str | None = None
) -> str:
    """The hint for a status that is not a success: what the caller can do.

    Args:
        status_code: The status.
        headers: The headers of the response.
        retry_after: Seconds that the server asks to wait, if it does.
        via: The proxy that the response came through, if there is one.
    """
    hint = _hint(status_code, headers)
    if retry_after is not None:
        hint = f"Wait for {retry_after:g} s (`retry_after`). {hint}"
    return hint if via is None else f"{hint} The response came through the proxy {via}."


def _hint(status_code: int, headers: Mapping[str, str]) -> str:
    if status_code < HTTPStatus.BAD_REQUEST:
        moved_to = one_line(headers.get("location", "another place"))
        return f"Redirects are not followed: the key must not go elsewhere. If {moved_to} is right, set base_url to it."
    if status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return "Feather or a proxy before it failed. If that goes on, give `request_id` to the vendor's support."
    return _HINTS.get(status_code, "`body` holds what the server said.")


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
