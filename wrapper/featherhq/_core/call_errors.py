"""The errors that end a call: each says in one line what failed, and in a note what to do. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from featherhq.errors import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    one_line,
    phrase,
    printable,
)

if TYPE_CHECKING:
    from featherhq._core.responses import Response, TransportFailure
    from featherhq._core.retry import Retry

_REQUEST_ID_HEADERS: Final = ("x-request-id", "request-id", "x-correlation-id", "cf-ray")

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


def status_error(retry: Retry, response: Response, retry_after: float | None) -> APIStatusError:
    """The error for a response whose status is not a success."""
    headers = {name: printable(value) for name, value in response.redactor.headers(response.headers).items()}
    status, body = response.status_code, response.body
    said = body if isinstance(body, dict) else {}
    code, message = said.get("code"), said.get("message")
    code = one_line(code) if isinstance(code, str) and code else None
    message = printable(message) if isinstance(message, str) and message else phrase(status)
    request_id = read_request_id(headers)
    known_as = f"request id {request_id}, " if request_id else ""
    summary = " ".join(filter(None, (str(status), code)))
    return _class_for(status)(
        f"{retry.method} {retry.url}: {summary}: {one_line(message)} ({known_as}{_count(retry)})",
        status_code=status,
        code=code,
        server_message=message,
        request_id=request_id,
        body=body,
        headers=headers,
        retry_after=retry_after,
        hint=_hint_for(status, headers, retry_after, response.via),
        method=retry.method,
        url=retry.url,
        attempts=retry.attempts,
    )


def read_request_id(headers: Mapping[str, str]) -> str | None:
    """The id of a request for the vendor's support, from the headers of its response, or `None` if it has none."""
    return next((one_line(headers[name]) for name in _REQUEST_ID_HEADERS if headers.get(name)), None)


def connection_error(retry: Retry, failure: TransportFailure) -> APIConnectionError:
    """The error for a request that got no usable response."""
    if not failure.sent:
        hint = "Nothing reached Feather. Check the network, DNS, proxies (HTTPS_PROXY) and base_url."
    elif retry.is_repeatable:
        hint = "The request may have reached Feather. It is safe to repeat."
    else:
        hint = "The request may have reached Feather. Check before you repeat it: Feather may have done it."
    error = (APITimeoutError if failure.timed_out else APIConnectionError)(
        f"{retry.method} {retry.url}: {one_line(failure.reason)} ({_count(retry, timed=failure.timed_out)})",
        hint=hint,
        method=retry.method,
        url=retry.url,
        attempts=retry.attempts,
    )
    error.__cause__ = failure.cause
    return error


def no_slot(retry: Retry, rate: float, pace: float, label: str | None = None) -> APITimeoutError:
    """The error for a call that gets no slot of its rate limit in time.

    Args:
        retry: The attempts of the call.
        rate: The limit, in requests per second.
        pace: The requests per second that are allowed now. They are fewer after 429s.
        label: What the limit is called. Default: this client's own.
    """
    label = label or f"this client's limit of {rate:g} requests per second"
    slowed = "" if pace >= rate else f", slowed down to {pace:.2g} after 429s,"
    return _unsent(
        retry,
        f"not sent, because {label}{slowed} has no free slot before the deadline",
        "Raise timeout=, or rate_limit= if your plan allows more requests per second."
        if pace >= rate
        else "Do other processes share this key? Give each its share in rate_limit=, or all of them one "
        "SharedRateLimit; or raise timeout=.",
    )


def no_key(retry: Retry, name: str) -> APITimeoutError:
    """The error for a call whose callable `api_key=` returns no key in time."""
    return _unsent(
        retry,
        f"api_key: the callable {name} returned no key in time",
        "Nothing was sent. Make the callable faster, or raise timeout=.",
    )


def no_time(retry: Retry) -> APITimeoutError:
    """The error for a call that has no time left for another request."""
    return _unsent(retry, "no time is left for another request", "Raise timeout=.")


def _unsent(retry: Retry, what: str, hint: str) -> APITimeoutError:
    error = APITimeoutError(
        f"{retry.method} {retry.url}: {what} ({_count(retry, timed=True)})",
        hint=hint,
        method=retry.method,
        url=retry.url,
        attempts=retry.attempts,
    )
    error.delivered = False
    return error


def _count(retry: Retry, *, timed: bool = False) -> str:
    count = "1 attempt" if retry.attempts == 1 else f"{retry.attempts} attempts"
    seconds = retry.deadline.seconds
    return f"{count}, timeout {seconds:g} s" if timed and seconds < math.inf else count


def _class_for(status_code: int) -> type[APIStatusError]:
    """The class of the error for a status that is not a success."""
    if status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return ServerError
    return _BY_STATUS.get(status_code, APIStatusError)


def _hint_for(
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
