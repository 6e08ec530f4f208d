"""Errors and messages of this library as parts of a web service's responses, for any framework.

    try:
        reply = thread.ask(question)
    except FeatherError as error:
        return JsonResponse(body_of(error), status=status_of(error), headers=headers_of(error))

`docs/errors.md` has the table of statuses, and says why they are so. It needs no extra. For Starlette and FastAPI,
`featherhq.contrib.starlette` makes whole responses of them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from featherhq import errors
from featherhq.errors import FeatherError

if TYPE_CHECKING:
    from featherhq.models import Message

__all__ = ["body_of", "headers_of", "message_data", "status_of"]

_FAULT: Final = "The service has a fault. Please try again later."
_AWAY: Final = "The chat does not work at the moment. Please try again later."
_BUSY: Final = "The chat is busy at the moment. Please try again soon."
_INVALID: Final = "This request is not valid."
_LATE: Final = "The chat did not answer in time. Please try again."
# The first that fits counts. Whatever is not here is the fault of the server behind this service: 502.
_STATUSES: Final[tuple[tuple[type[FeatherError], int, str], ...]] = (
    (errors.InvalidArgumentError, 400, _INVALID),
    (errors.BadRequestError, 400, _INVALID),
    (errors.NotFoundError, 404, "There is no such chat."),
    (errors.ConflictError, 409, "The chat has changed. Please load the page again."),
    # It is the limit of this service. The visitor may have made one request only.
    (errors.RateLimitError, 503, _BUSY),
    (errors.LedgerError, 503, _AWAY),
    # The service is set up wrongly, or has a bug. The visitor can do nothing about it.
    (errors.AuthenticationError, 500, _FAULT),
    (errors.PermissionDeniedError, 500, _FAULT),
    (errors.ConfigurationError, 500, _FAULT),
    (errors.UsageError, 500, _FAULT),
    (errors.APITimeoutError, 504, _LATE),
    (errors.ReplyTimeoutError, 504, "Your message has arrived, but there is no reply yet."),
    (errors.DeliveryUnknownError, 504, "It is not certain that your message has arrived."),
    (FeatherError, 502, _AWAY),
)


def status_of(error: FeatherError) -> int:
    """The HTTP status with which a web service answers if an error of this library ends its work.

    It is about the service, not about Feather: a 429 of Feather is a 503 of the service, and a wrong API key a 500.
    """
    return _told(error)[0]


def headers_of(error: FeatherError) -> dict[str, str]:
    """The headers of this response: `Retry-After` in whole seconds if the rate limit was hit, else none."""
    if isinstance(error, errors.RateLimitError):
        return {"Retry-After": str(math.ceil(error.retry_after or 1))}
    return {}


def body_of(error: FeatherError) -> dict[str, Any]:
    """The body of this response, for JSON.

    It has `kind` (the class of the error), `status`, `delivered`, and `message`, which a visitor may read. It has no
    ids, no URLs and no text of Feather.
    """
    status, text = _told(error)
    return {"kind": type(error).__name__, "status": status, "delivered": error.delivered, "message": text}


def message_data(message: Message) -> dict[str, str | None]:
    """What a page needs of a message, for JSON: `id`, `text`, `direction` and `created_at` (ISO 8601, or `None`)."""
    at = message.created_at
    return {
        "id": message.id,
        "text": message.text,
        "direction": message.direction,
        "created_at": None if at is None else at.isoformat(),
    }


def _told(error: FeatherError) -> tuple[int, str]:
    """The status, and what a visitor may read."""
    return next((status, text) for kind, status, text in _STATUSES if isinstance(error, kind))
