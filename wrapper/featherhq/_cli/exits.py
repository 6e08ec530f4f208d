"""The exit statuses of the command line, and the one that an error gives."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from featherhq.errors import (
    APIConnectionError,
    APIStatusError,
    AuthenticationError,
    ConfigurationError,
    DeliveryUnknownError,
    FeatherError,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ReplyTimeoutError,
    ResponseDecodeError,
    ServerError,
    UsageError,
)


class Exit(IntEnum):
    """The exit statuses."""

    DONE = 0
    FAILURE = 1
    WRONG_USE = 2
    KEY_REFUSED = 3
    NOT_FOUND = 4
    REFUSED = 5
    RATE_LIMIT = 6
    NOT_DELIVERED = 7
    UNKNOWN = 8
    NO_REPLY = 9
    INTERRUPTED = 130
    BROKEN_PIPE = 141


MEANINGS: Final = {
    Exit.DONE: "done",
    Exit.FAILURE: "another failure, such as a port that is in use",
    Exit.WRONG_USE: "wrong use or wrong settings; nothing was sent",
    Exit.KEY_REFUSED: "Feather refused the API key (401, 403)",
    Exit.NOT_FOUND: "there is no such thread (404)",
    Exit.REFUSED: "Feather refused the request (400, 409 and other 4xx), for example because the thread is closed",
    Exit.RATE_LIMIT: "the rate limit (429)",
    Exit.NOT_DELIVERED: "no connection, a timeout, or a failure of the server; no message was delivered",
    Exit.UNKNOWN: "it is unknown whether the message was delivered: check before you send it again",
    Exit.NO_REPLY: "the message was accepted, but no reply came in time: do not send it again",
    Exit.INTERRUPTED: "ctrl-c",
    Exit.BROKEN_PIPE: "the reader of the output has gone",
}
"""What each status means, for `--help`."""

# The first class that fits counts.
_BY_CLASS: Final[tuple[tuple[type[FeatherError], Exit], ...]] = (
    (ConfigurationError, Exit.WRONG_USE),
    (UsageError, Exit.WRONG_USE),
    (InvalidArgumentError, Exit.WRONG_USE),
    (DeliveryUnknownError, Exit.UNKNOWN),
    (ReplyTimeoutError, Exit.NO_REPLY),
    (AuthenticationError, Exit.KEY_REFUSED),
    (PermissionDeniedError, Exit.KEY_REFUSED),
    (NotFoundError, Exit.NOT_FOUND),
    (RateLimitError, Exit.RATE_LIMIT),
    (ServerError, Exit.NOT_DELIVERED),
    (APIStatusError, Exit.REFUSED),
    (APIConnectionError, Exit.NOT_DELIVERED),
    (ResponseDecodeError, Exit.NOT_DELIVERED),
)


def exit_of(error: FeatherError) -> Exit:
    """The exit status for an error of the library."""
    status = next((status for kind, status in _BY_CLASS if isinstance(error, kind)), Exit.FAILURE)
    # Only a POST delivers something. To read again, or to update again, does no harm.
    if status in {Exit.NOT_DELIVERED, Exit.REFUSED} and error.method == "POST" and error.delivered is None:
        return Exit.UNKNOWN
    return status


def may_pass(error: FeatherError) -> bool:
    """Whether the same call may succeed later."""
    return exit_of(error) in {Exit.RATE_LIMIT, Exit.NOT_DELIVERED, Exit.UNKNOWN, Exit.NO_REPLY}
