"""The threads of `server_rate_limit.py`: their messages, pages of them, and what the server counts in each thread."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from attrs import define, field

if TYPE_CHECKING:
    from server_rate_limit_connections import Connection

_DEFAULT_LIMIT: Final = 50
_LARGEST_LIMIT: Final = 100


@define(eq=False)
class Thread:
    """A thread.

    Attributes:
        id: Its id.
        messages: Its messages as the contract defines them, oldest first.
        streams: The connections that listen to it.
        requests: The number of requests for each operation. Refused requests count too.
        refused: The number of refused requests (429).
        opened: The number of streams that were opened.
        replies: The ids of the agent's replies.
        unasked: The ids of what the agent said without a question.
        gap: If this is not `None`, the server cuts the stream at each message, and the reply comes so many seconds
            after the cut.
        after_cut: How many messages the agent writes without a question after the next cut.
    """

    id: str
    messages: list[dict[str, Any]] = field(factory=list)
    streams: set[Connection] = field(factory=set)
    requests: Counter[str] = field(factory=Counter)
    refused: int = 0
    opened: int = 0
    replies: list[str] = field(factory=list)
    unasked: list[str] = field(factory=list)
    gap: float | None = None
    after_cut: int = 0

    def add(self, direction: str, text: str) -> dict[str, Any]:
        """Add a message, and return it."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        message = {
            "id": str(uuid4()),
            "threadId": self.id,
            "direction": direction,
            "messageBody": text,
            "status": "RECEIVED" if direction == "INBOUND" else "SENT",
            "createdAt": now,
            "updatedAt": now,
        }
        self.messages.append(message)
        return message

    def page(self, query: dict[str, str], *, newest_first: bool) -> dict[str, Any]:
        """Return one page of messages. The cursor is the id of the last message on the page before."""
        limit, cursor = query.get("limit", ""), query.get("cursor")
        size = min(max(int(limit) if limit.isdecimal() else _DEFAULT_LIMIT, 1), _LARGEST_LIMIT)
        listed = self.messages[::-1] if newest_first else self.messages
        if cursor is not None:
            ids = [message["id"] for message in listed]
            listed = listed[ids.index(cursor) + 1 :] if cursor in ids else []
        filters = [name for name in ("direction", "status") if name in query]
        matching = [message for message in listed if all(message[name] == query[name] for name in filters)]
        more = len(matching) > size
        cursor = matching[size - 1]["id"] if more else None
        return {"thread": {"messages": matching[:size], "pagination": {"limit": size, "nextCursor": cursor}}}

    def report(self) -> dict[str, Any]:
        """Return what was counted. `texts` are the users' messages, and how often each of them is in the thread."""
        texts = Counter(message["messageBody"] for message in self.messages if message["direction"] == "INBOUND")
        return {
            "requests": self.requests,
            "refused": self.refused,
            "opened": self.opened,
            "texts": texts,
            "replies": self.replies,
            "unasked": self.unasked,
        }
