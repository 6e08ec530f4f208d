"""Messages, and the receipt for a message that was sent, read from the server's JSON.

Feather may omit any field, set it to null, or add new fields. So only two fields of a message are required here: its id
and its text. A conversation cannot work without them. Pure: no sockets, no clock, no httpx.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeAlias

from attrs import field, frozen

Direction: TypeAlias = Literal["INBOUND", "OUTBOUND"]
"""Who wrote a message: `"INBOUND"` the user, `"OUTBOUND"` the agent."""

Status: TypeAlias = Literal[
    "QUEUED", "SENDING", "SENT", "DELIVERED", "FAILED", "UNDELIVERED", "READ", "RECEIVED", "DISCARDED"
]
"""What the contract lists as the status of a message's delivery, for `messages(status=…)`."""

INBOUND: Final = "INBOUND"
"""The direction of a message that the user wrote, as in the contract."""

OUTBOUND: Final = "OUTBOUND"
"""The direction of a message that the agent wrote."""

LONGEST_ID: Final = 1024
"""The most characters of an id or a cursor. They are kept in memory, and used in URLs."""


@frozen
class Message:
    """One message of a thread.

    Attributes:
        id: Its id on the server. It may be something other than a UUID.
        text: Its text (`messageBody` in the contract).
        direction: `"INBOUND"` from the user, or `"OUTBOUND"` from the agent. `None` if Feather has sent neither of
            the two. What it has sent is in `raw["direction"]`.
        created_at: When Feather made it, with a time zone. `None` if Feather did not send a valid time.
        status: The status of its delivery, as Feather sent it. It may have values that the contract does not list.
        raw: The whole JSON object that the server sent.
    """

    id: str
    text: str
    direction: Direction | None = None
    created_at: datetime | None = None
    status: str | None = None
    raw: Mapping[str, Any] = field(factory=dict, repr=False)


@frozen
class SentMessage:
    """The receipt for a message that Feather has accepted.

    Attributes:
        message_id: The id of the message on the server.
        thread_id: The id of its thread.
        status: The status of its delivery, as Feather sent it. `None` if Feather did not send it.
        window_expires_in: `windowExpiresIn` as Feather sent it. The vendor's page does not name its unit.
        reconciled: `True` if the response was lost, and the message was found in the thread's history.
        request_id: The id of the request for the vendor's support, or `None` if the response had none or was lost.
        sent_at: When the first attempt left that may have delivered it, by the server's clock, in UTC. So the message
            is not older than that. `None` if the server has told no time.
    """

    message_id: str
    thread_id: str
    status: str | None = None
    window_expires_in: float | None = None
    reconciled: bool = False
    request_id: str | None = None
    sent_at: datetime | None = None


@frozen
class Turn:
    """A message that was sent, and all that the agent said to it until it was quiet.

    Attributes:
        sent: The receipt for the message.
        replies: The agent's messages, in order. There is at least one.
        in_doubt: Whether an earlier message was still unanswered. Then some of the replies may belong to that one.
    """

    sent: SentMessage
    replies: tuple[Message, ...]
    in_doubt: bool = False

    @property
    def text(self) -> str:
        """The texts of the replies, one below the other."""
        return "\n".join(message.text for message in self.replies)


def read_id(value: object) -> str | None:
    """An id or a cursor as a string, or `None` if the value is invalid.

    Ids are strings in the contract, but whole numbers are accepted too. A value is invalid if it is too long, or if it
    contains a character that cannot be printed or put into a URL (a control character, or half of a surrogate pair).
    """
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = str(value)
    return text if text and len(text) <= LONGEST_ID and text.isprintable() else None


def read_time(value: object) -> datetime | None:
    """A timestamp with its time zone, or `None` if the value is not a timestamp. Without a time zone it is in UTC."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        # Near the years 1 and 9999, the conversion to another time zone may overflow. Such a time is not valid here.
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment


def read_message(data: object) -> Message | None:
    """A message from its JSON, or `None` if the JSON has no valid id or no text."""
    if not isinstance(data, Mapping):
        return None
    message_id, text = read_id(data.get("id")), data.get("messageBody")
    if message_id is None or not isinstance(text, str):
        return None
    return Message(
        id=message_id,
        text=text,
        direction=_read_direction(data.get("direction")),
        created_at=read_time(data.get("createdAt")),
        status=_read_text(data.get("status")),
        raw=data,
    )


def is_of(message: Message, thread_id: str) -> bool:
    """Whether a message belongs to a thread. A message without a thread id (`threadId`) belongs to any thread."""
    theirs = message.raw.get("threadId")
    return not isinstance(theirs, str) or theirs.lower() == thread_id.lower()


def _read_direction(value: object) -> Direction | None:
    return INBOUND if value == INBOUND else OUTBOUND if value == OUTBOUND else None


def _read_text(value: object) -> str | None:
    return value if isinstance(value, str) else None
