"""Every error that this library raises, and nothing else comes out of it.

    FeatherError
    ├── ConfigurationError            no key, a bad key, a bad URL: before any request
    ├── UsageError                    also a RuntimeError: closed, not open, read twice…
    ├── InvalidArgumentError          also a ValueError: not a UUID, an empty message…: before any request
    ├── APIConnectionError            nothing usable came back
    │   └── APITimeoutError           also a TimeoutError
    ├── APIStatusError                Feather answered, and it was no
    │   ├── BadRequestError           400
    │   ├── AuthenticationError       401
    │   ├── PermissionDeniedError     403
    │   ├── NotFoundError             404
    │   ├── ConflictError             409
    │   ├── RateLimitError            429
    │   └── ServerError               5xx
    ├── ResponseDecodeError           a success whose body is not what the contract says
    ├── DeliveryUnknownError          a message may or may not have reached Feather
    └── ReplyTimeoutError             also a TimeoutError: accepted, but no reply in time

`str(error)` is one line on what failed; its note (PEP 678, printed below it in a traceback) says what to do.
Each error pickles with all that it holds. It can be made anew from its `args` alone, as task queues do that keep errors
as JSON; then its line and its kind are all that is left. None holds the API key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

_LONGEST_QUOTE: Final = 200


class FeatherError(Exception):
    """The base of every error here.

    Attributes:
        method: The HTTP method of the request, or `None` where none was made.
        url: Its URL without the query, or `None`.
        attempts: How many requests the call made.
        delivered: For the errors of `send`, `ask` and `create`: whether the message was delivered, or the thread
            made. `True`: it was, so do not send it again. `False`: it was not, so it may be sent again. `None`:
            nobody can tell; look in the thread first.
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
        # The default calls the class with `args` alone, and most of these need more than that.
        return _restore, (type(self), self.args, self.__dict__)


def settled(error: FeatherError, hint: str, *, delivered: bool | None) -> FeatherError:
    """The error, with what has been found out since: whether the message was delivered, and what to do about it."""
    error.delivered = delivered
    error.__notes__ = [hint]
    return error


def _restore(kind: type[FeatherError], args: tuple[Any, ...], state: dict[str, Any]) -> FeatherError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class ConfigurationError(FeatherError):
    """The client cannot work as it was set up. Raised before any request."""

    delivered = False


class UsageError(FeatherError, RuntimeError):
    """Something is used where it cannot be: closed, not open, read twice, in another event loop, without asyncio."""

    delivered = False


class UncopiableError(UsageError, TypeError):
    """A `UsageError` where Python's own protocols for copies and pickles expect a `TypeError`."""


class InvalidArgumentError(FeatherError, ValueError):
    """An argument is not what the contract takes. Raised before any request; nothing was sent."""

    delivered = False


class APIConnectionError(FeatherError):
    """No usable answer came: no connection, or it was lost, or what came back was no HTTP."""


class APITimeoutError(APIConnectionError, TimeoutError):
    """The call's time was up before an answer came."""


class APIStatusError(FeatherError):
    """Feather answered with a status that is no success.

    Attributes:
        status_code: The HTTP status.
        code: Feather's own code for it (`"NOT_FOUND"`), or `None` where the body has none.
        message: Feather's message, or the standard phrase for the status where the body has none.
        request_id: What the vendor's support will ask for, or `None` where the answer names none.
        body: The body: the decoded JSON, or the text of what is not JSON.
        headers: The answer's headers, with names in lower case.
        retry_after: Seconds that Feather asked to wait, or `None`.
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
    """400: Feather does not accept the request as it is."""

    status_code = 400


class AuthenticationError(APIStatusError):
    """401: the API key is missing, wrong or revoked."""

    status_code = 401


class PermissionDeniedError(APIStatusError):
    """403: the API key is good, and not for this."""

    status_code = 403


class NotFoundError(APIStatusError):
    """404: there is no such thread, or it belongs to another organization."""

    status_code = 404


class ConflictError(APIStatusError):
    """409: the request is at odds with what stands on the server."""

    status_code = 409


class RateLimitError(APIStatusError):
    """429: too many requests for the key, and no time left to wait in."""

    status_code = 429


class ServerError(APIStatusError):
    """5xx: Feather, or something in front of it, failed."""


class ResponseDecodeError(FeatherError):
    """Feather said yes, but in a body that is not what the contract says.

    Attributes:
        status_code: The HTTP status, a 2xx.
        body: The body: the decoded JSON, or the text of what is not JSON.
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
    """A message may or may not have reached Feather. It was not sent a second time.

    `__cause__` is the error that left it unknown.

    Attributes:
        thread_id: The thread that it was for.
        text: The message.
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
    """Feather accepted the message, and no reply came in time.

    Attributes:
        thread_id: The thread that the message stands in.
        message_id: The message that was accepted.
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
    429: "Do other processes share this key? Give each its share in rate_limit=.",
}


def class_for_status(status_code: int) -> type[APIStatusError]:
    """The class of error for a status that is no success."""
    if status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return ServerError
    return _BY_STATUS.get(status_code, APIStatusError)


def hint_for_status(
    status_code: int, headers: Mapping[str, str], retry_after: float | None = None, via: str | None = None
) -> str:
    """What to do about a status that is no success.

    Args:
        status_code: The status.
        headers: The answer's headers.
        retry_after: Seconds that the server asked to wait, if it did.
        via: The proxy that the answer came through, if there is one.
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
    """The standard phrase for a status, also for one that has none (522 is Cloudflare's, 599 nobody's)."""
    try:
        return HTTPStatus(status_code).phrase
    except ValueError:
        return "Unknown status"


def printable(text: str) -> str:
    """A server's words as a terminal may show them: what is not printable, as an escape sequence, is written out."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def one_line(text: str) -> str:
    """A server's words, safe to print in one line."""
    # Whatever is left out in the end need not be looked at.
    words = printable(" ".join(text[: 10 * _LONGEST_QUOTE].split()))
    return words if len(words) <= _LONGEST_QUOTE else words[: _LONGEST_QUOTE - 1] + "…"
