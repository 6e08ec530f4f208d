"""What the server's JSON means to us: messages, and the receipt of one that was sent.

Feather may leave out, null or add any field, so nothing is demanded here but what no conversation can do
without: a message's id and its text. Pure: no sockets, no clock, no httpx.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from attrs import field, frozen

INBOUND: Final = "INBOUND"
"""The direction of what a user wrote, in the contract's own terms."""

OUTBOUND: Final = "OUTBOUND"
"""The direction of what the agent wrote."""


@frozen
class Message:
    """One message of a thread.

    Attributes:
        id: Feather's id for it. Not necessarily a UUID.
        text: What it says (`messageBody` in the contract).
        direction: `"INBOUND"` from the user, `"OUTBOUND"` from the agent; `None` where Feather did not say.
        created_at: When Feather made it, always with a time zone; `None` where it did not say.
        status: Where its delivery stands, in Feather's words; a value that is new is handed on as it came.
        raw: What the server sent, whole.
    """

    id: str
    text: str
    direction: str | None = None
    created_at: datetime | None = None
    status: str | None = None
    raw: Mapping[str, Any] = field(factory=dict, repr=False)


@frozen
class SentMessage:
    """The receipt of a message that Feather has accepted.

    Attributes:
        message_id: Feather's id for the message.
        thread_id: The thread that it stands in.
        status: What Feather said of it; `None` where it said nothing.
        window_expires_in: `windowExpiresIn` as it came: the vendor's page does not tell its unit.
        reconciled: `True` where the answer was lost and the message was found in the thread's history.
    """

    message_id: str
    thread_id: str
    status: str | None = None
    window_expires_in: float | None = None
    reconciled: bool = False


def read_id(value: object) -> str | None:
    """An id as a string: ids are strings in the contract, and a number would be no reason to fail."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return str(value) or None


def read_time(value: object) -> datetime | None:
    """A timestamp with its time zone (UTC where it names none), or `None` for what is not one."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def read_message(data: object) -> Message | None:
    """A message from its JSON, or `None` for what is not one (it has no id, or no text)."""
    if not isinstance(data, Mapping):
        return None
    message_id, text = read_id(data.get("id")), data.get("messageBody")
    if message_id is None or not isinstance(text, str):
        return None
    return Message(
        id=message_id,
        text=text,
        direction=_read_text(data.get("direction")),
        created_at=read_time(data.get("createdAt")),
        status=_read_text(data.get("status")),
        raw=data,
    )


def _read_text(value: object) -> str | None:
    return value if isinstance(value, str) else None
