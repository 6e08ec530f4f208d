"""Threads and messages, as the sandbox keeps them. Pure: no sockets, no tasks; clock and ids come from outside."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from attrs import define, field, frozen

from featherhq.models import INBOUND, OUTBOUND, Message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

DEFAULT_LIMIT: Final = 50
LARGEST_LIMIT: Final = 100
_WINDOW: Final = 3600
_AGENT: Final = "Sandbox agent"


class UnknownThreadError(Exception):
    """There is no thread of that id."""


class ClosedThreadError(Exception):
    """The thread is closed. That Feather then takes no more messages is a guess: its pages do not say."""


@define
class ThreadState:
    """A thread, in the contract's own terms."""

    details: dict[str, Any]
    messages: list[dict[str, Any]] = field(factory=list)

    def history(self) -> list[Message]:
        """Its messages as the client reads them, oldest first."""
        return [as_message(message) for message in list(self.messages)]

    def last_said(self, count: int) -> list[dict[str, Any]]:
        """The agent's last messages, so many of them at the most, oldest first."""
        said = [message for message in self.messages if message["direction"] == OUTBOUND]
        return said[max(0, len(said) - count) :]


@frozen
class State:
    """All threads of one sandbox.

    Attributes:
        clock: The time in seconds since 1970.
        new_id: Makes a UUID.
        newest_first: Which way lists run; the vendor's pages do not say.
        largest_page: Messages in a page, at the most.
    """

    clock: Callable[[], float]
    new_id: Callable[[], str]
    newest_first: bool = False
    largest_page: int = LARGEST_LIMIT
    threads: dict[str, ThreadState] = field(factory=dict)

    def create(self, agent_id: str, metadata: dict[str, str], variables: dict[str, str]) -> dict[str, Any]:
        """Open a thread; what the contract calls a `Thread`."""
        now = self._now()
        version = self.new_id()
        details: dict[str, Any] = {
            "id": self.new_id(),
            "organizationId": self.new_id(),
            "agentVersionId": version,
            "toPhoneNumber": "",
            "fromPhoneNumber": None,
            "fromPhoneNumberId": None,
            "leadId": None,
            "isActive": True,
            "createdAt": now,
            "updatedAt": now,
            "closedAt": None,
            "closedReason": None,
            "agentId": agent_id,
            "agentDetails": {"id": agent_id, "name": _AGENT, "description": "Answers without a network."},
            "agentVersionDetails": {
                "id": version,
                "version": 1,
                "name": _AGENT,
                "smsMaxTokens": 256,
                "smsTemperature": 0,
                "discardInboundSms": False,
            },
            "metadata": metadata,
            "variables": variables,
        }
        self.threads[details["id"]] = ThreadState(details)
        return details

    def get(self, thread_id: str) -> ThreadState:
        """A thread.

        Raises:
            UnknownThreadError: there is none of that id.
        """
        try:
            return self.threads[thread_id.lower()]
        except KeyError:
            raise UnknownThreadError from None

    def update(self, thread_id: str, metadata: dict[str, str], variables: dict[str, str]) -> dict[str, Any]:
        """Merge metadata and variables into a thread."""
        details = self.get(thread_id).details
        details["metadata"] = {**details["metadata"], **metadata}
        details["variables"] = {**details["variables"], **variables}
        details["updatedAt"] = self._now()
        return details

    def close(self, thread_id: str, reason: str | None) -> dict[str, Any]:
        """Close a thread; its first closing stands."""
        details = self.get(thread_id).details
        if details["isActive"]:
            now = self._now()
            details |= {"isActive": False, "closedAt": now, "closedReason": reason, "updatedAt": now}
        hidden = {"agentId", "agentDetails", "agentVersionDetails"}
        return {name: value for name, value in details.items() if name not in hidden}

    def accept(self, thread_id: str, text: str) -> dict[str, Any]:
        """Take in a user's message; what the contract answers to it.

        Raises:
            UnknownThreadError: there is no such thread.
            ClosedThreadError: it is closed.
        """
        if not self.get(thread_id).details["isActive"]:
            raise ClosedThreadError
        message = self._add(thread_id, INBOUND, "RECEIVED", text)
        return {
            "status": "accepted",
            "threadId": message["threadId"],
            "messageId": message["id"],
            "windowExpiresIn": _WINDOW,
        }

    def say(self, thread_id: str, text: str) -> dict[str, Any]:
        """Add a message of the agent; the message, as it is listed and streamed."""
        return self._add(thread_id, OUTBOUND, "SENT", text)

    def page(
        self,
        thread_id: str,
        limit: str | None,
        cursor: str | None,
        direction: str | None,
        status: str | None,
        *,
        hidden: int = 0,
        without: str | None = None,
    ) -> dict[str, Any]:
        """A page of messages, without so many of the newest; what the contract calls `ThreadMessages`.

        Messages whose text is `without` are left out as well.

        A limit that is no number counts as the default, since the contract takes any string; a cursor that
        names no message has nothing after it.
        """
        thread = self.get(thread_id)
        size = min(max(int(limit) if limit and limit.isdecimal() else DEFAULT_LIMIT, 1), self.largest_page)
        listed = thread.messages[: max(0, len(thread.messages) - hidden)]
        if self.newest_first:
            listed.reverse()
        if cursor is not None:
            listed = _after(listed, cursor)
        matching = [
            message
            for message in listed
            if direction in (None, message["direction"])
            and status in (None, message["status"])
            and message["messageBody"] != without
        ]
        shown = matching[:size]
        details = thread.details
        return {
            "agentId": details["agentId"],
            "agentDetails": {**details["agentDetails"], "agentType": "CHAT"},
            "agentVersionId": details["agentVersionId"],
            "agentVersionDetails": {
                "id": details["agentVersionId"],
                "version": 1,
                "mode": "FLOW",
                "smsMaxTokens": 256,
                "smsTemperature": 0,
            },
            "messages": shown,
            "pagination": {"limit": size, "nextCursor": shown[-1]["id"] if len(matching) > size else None},
        }

    def _add(self, thread_id: str, direction: str, status: str, text: str) -> dict[str, Any]:
        thread = self.get(thread_id)
        now = self._now()
        message = {
            "id": self.new_id(),
            "threadId": thread.details["id"],
            "direction": direction,
            "messageBody": text,
            "status": status,
            "twilioMessageSid": None,
            "twilioAccountSid": None,
            "twilioNumSegments": None,
            "twilioPrice": None,
            "twilioPriceCurrency": None,
            "twilioErrorCode": None,
            "twilioErrorMessage": None,
            "createdAt": now,
            "updatedAt": now,
            "sentAt": None,
            "deliveredAt": None,
            "readAt": None,
        }
        thread.messages.append(message)
        return message

    def _now(self) -> str:
        moment = datetime.fromtimestamp(self.clock(), UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def as_message(data: dict[str, Any]) -> Message:
    """A message as the client's type has it, from what a `State` made."""
    made_at = data["createdAt"]
    return Message(
        id=data["id"],
        text=data["messageBody"],
        direction=data["direction"],
        # A test may have taken it away.
        created_at=None if made_at is None else datetime.fromisoformat(made_at),
        status=data["status"],
        raw=data,
    )


def _after(messages: Iterable[dict[str, Any]], cursor: str) -> list[dict[str, Any]]:
    rest = iter(messages)
    for message in rest:
        if message["id"] == cursor:
            return list(rest)
    return []
