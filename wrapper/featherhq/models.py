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

LONGEST_ID: Final = 1024
"""Characters of an id or a cursor: they are kept, and go into URLs."""


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
    """An id or a cursor as a string; `None` for what can be none.

    Ids are strings in the contract, and a number would be no reason to fail. What is too long, or holds what no one
    could print or put into a URL (controls, half a surrogate pair), is none.
    """
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = str(value)
    return text if text and len(text) <= LONGEST_ID and text.isprintable() else None


def read_time(value: object) -> datetime | None:
    """A timestamp with its time zone (UTC where it names none), or `None` for what is not one."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        # At the ends of the calendar, a moment may have no place in another time zone.
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment


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


def is_of(message: Message, thread_id: str) -> bool:
    """Whether a message is of a thread, by the thread's id in it, where it names one."""
    theirs = message.raw.get("threadId")
    return not isinstance(theirs, str) or theirs.lower() == thread_id.lower()


def _read_text(value: object) -> str | None:
    return value if isinstance(value, str) else None
