"""The receipt of a message: read from a response, and kept as text in the ledger of keys. Pure."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING

from attrs import asdict

from featherhq._core.call_errors import read_request_id
from featherhq._core.responses import Response
from featherhq.errors import LedgerError, ResponseDecodeError, printable
from featherhq.models import SentMessage, read_id, read_time

if TYPE_CHECKING:
    from datetime import datetime


def read_receipt(response: Response, thread_id: str, sent_at: datetime | None) -> SentMessage | ResponseDecodeError:
    """The receipt in a response, or the error if it cannot be read."""
    try:
        receipt = response.data()
    except ResponseDecodeError as error:
        return error
    if not isinstance(receipt, dict) or (message_id := read_id(receipt.get("messageId"))) is None:
        return response.not_as_promised("no valid messageId")
    theirs = receipt.get("threadId")
    if isinstance(theirs, str) and theirs.lower() != thread_id.lower():
        return response.not_as_promised("a receipt for another thread")
    status, expires = receipt.get("status"), receipt.get("windowExpiresIn")
    headers = {name: printable(value) for name, value in response.redactor.headers(response.headers).items()}
    return SentMessage(
        message_id=message_id,
        thread_id=read_id(receipt.get("threadId")) or thread_id,
        status=status if isinstance(status, str) else None,
        window_expires_in=expires if isinstance(expires, int | float) else None,
        request_id=read_request_id(headers),
        sent_at=sent_at,
    )


def as_answered(receipt: SentMessage) -> Response:
    """The response to a message whose own response was lost, as far as it is known."""
    known = {"messageId": receipt.message_id, "threadId": receipt.thread_id, "status": receipt.status}
    body = {name: value for name, value in known.items() if value is not None}
    return Response(HTTPStatus.OK, {"content-type": "application/json"}, json.dumps(body).encode())


def to_text(receipt: SentMessage) -> str:
    """A receipt as text, for the ledger."""
    fields = asdict(receipt)
    fields["sent_at"] = receipt.sent_at and receipt.sent_at.isoformat()
    return json.dumps(fields)


def from_text(text: str) -> SentMessage:
    """The receipt that `to_text` made the text of.

    Raises:
        LedgerError: it is another text.
    """
    try:
        fields = json.loads(text)
        return SentMessage(**(fields | {"sent_at": read_time(fields["sent_at"])}))
    except (TypeError, ValueError, KeyError):
        problem = "the ledger has returned a receipt that this client has not written"
    raise LedgerError(problem, hint="Check the ledger's methods begin and done: they must return it unchanged.")
