"""The threads and messages of a sandbox, in memory. No I/O: the caller supplies the clock and the ids."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from attrs import define, field, frozen

from featherhq.models import INBOUND, OUTBOUND, Message
from featherhq.sandbox._pages import after, page_head, page_size, pagination

if TYPE_CHECKING:
    from collections.abc import Callable

DEFAULT_LIMIT: Final = 50
DEFAULT_THREADS: Final = 10
LARGEST_LIMIT: Final = 100
_WINDOW: Final = 3600
_AGENT: Final = "Sandbox agent"


class UnknownThreadError(Exception):
    """There is no thread with this id."""


class ClosedThreadError(Exception):
    """The thread is closed, so it accepts no message. This is a guess: the contract (`closeThread`) does not say it."""


@frozen
class Change:
    """A change of one thread. It is recorded before it is made.

    Attributes:
        thread: The `Thread` object, if it is new or changed.
        messages: New messages, in order.
        answered: The id of the user's message to which the new messages are all replies, if it is one.
    """

    thread: dict[str, Any] | None = None
    messages: tuple[dict[str, Any], ...] = ()
    answered: str | None = None


@define
class ThreadState:
    """A thread.

    Attributes:
        details: The thread, as the contract's `Thread` object.
        messages: Its messages, as the contract's message objects, oldest first.
        owed: The texts of the user's messages to which the agent has not replied yet, by their ids, oldest first.
    """

    details: dict[str, Any]
    messages: list[dict[str, Any]] = field(factory=list)
    owed: dict[str, str] = field(factory=dict)

    def add(self, message: dict[str, Any], *, owed: bool) -> None:
        """Add a message. `owed` says whether the agent still has to reply to it."""
        self.messages.append(message)
        if owed:
            self.owed[message["id"]] = message["messageBody"]

    def history(self) -> list[Message]:
        """The messages in the client's type, oldest first."""
        return [as_message(message) for message in list(self.messages)]

    def last_said(self, count: int) -> list[dict[str, Any]]:
        """At most `count` of the agent's last messages, oldest first."""
        said = [message for message in self.messages if message["direction"] == OUTBOUND]
        return said[max(0, len(said) - count) :]


@define(eq=False)
class State:
    """All threads of one sandbox.

    Attributes:
        clock: Returns the time, in seconds since 1970.
        new_id: Returns a new UUID.
        newest_first: Whether the newest message or thread is listed first. The contract does not say it.
        largest_page: The largest number of messages in a page.
        threads: The threads, by id.
        record: Called before each change. If it raises an error, nothing is changed.
    """

    clock: Callable[[], float]
    new_id: Callable[[], str]
    newest_first: bool = False
    largest_page: int = LARGEST_LIMIT
    threads: dict[str, ThreadState] = field(factory=dict)
    record: Callable[[Change], None] | None = None

    def create(self, agent_id: str, metadata: dict[str, str], variables: dict[str, str]) -> dict[str, Any]:
        """Create a thread, and return the contract's `Thread` object."""
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
        self._record(Change(thread=details))
        self.threads[details["id"]] = ThreadState(details)
        return details

    def list_threads(
        self, limit: str | None, cursor: str | None, agent_id: str | None, is_active: str | None
    ) -> dict[str, Any]:
        """A page of the threads, in the order in which they were created or in the reverse order.

        The contract (`listThreads`) does not say much about it. So this is a guess, by the list of messages.

        Args:
            limit: The size of the page, as for `page`. One that is not a number means 10.
            cursor: The id of the thread before the page. If there is no such thread, the page is empty.
            agent_id: The id of the agent; `None` for all.
            is_active: "true" or "false"; `None` for all. Any other value matches no thread.
        """
        size = page_size(limit, DEFAULT_THREADS, self.largest_page)
        listed = [thread.details for thread in self.threads.values()]
        if self.newest_first:
            listed.reverse()
        if cursor is not None:
            listed = after(listed, cursor)
        matching = [
            details
            for details in listed
            if agent_id in (None, details["agentId"]) and is_active in (None, str(details["isActive"]).lower())
        ]
        return {"threads": matching[:size], "pagination": pagination(matching, size)}

    def get(self, thread_id: str) -> ThreadState:
        """The thread with an id.

        Raises:
            UnknownThreadError: There is none.
        """
        try:
            return self.threads[thread_id.lower()]
        except KeyError:
            raise UnknownThreadError from None

    def update(self, thread_id: str, metadata: dict[str, str], variables: dict[str, str]) -> dict[str, Any]:
        """Merge metadata and variables into a thread, and return its `Thread` object."""
        details = self.get(thread_id).details
        return self._change(
            details,
            metadata={**details["metadata"], **metadata},
            variables={**details["variables"], **variables},
            updatedAt=self._now(),
        )

    def close(self, thread_id: str, reason: str | None) -> dict[str, Any]:
        """Close a thread, and return its `Thread` object. A thread that is closed already does not change."""
        details = self.get(thread_id).details
        if details["isActive"]:
            now = self._now()
            self._change(details, isActive=False, closedAt=now, closedReason=reason, updatedAt=now)
        hidden = {"agentId", "agentDetails", "agentVersionDetails"}
        return {name: value for name, value in details.items() if name not in hidden}

    def accept(self, thread_id: str, text: str) -> dict[str, Any]:
        """Add a message of the user, and return the contract's response to `sendMessage`.

        Raises:
            UnknownThreadError: There is no such thread.
            ClosedThreadError: The thread is closed.
        """
        thread = self.get(thread_id)
        if not thread.details["isActive"]:
            raise ClosedThreadError
        message = self._message(thread, INBOUND, "RECEIVED", text)
        self._record(Change(messages=(message,)))
        thread.add(message, owed=True)
        return {
            "status": "accepted",
            "threadId": message["threadId"],
            "messageId": message["id"],
            "windowExpiresIn": _WINDOW,
        }

    def say(self, thread_id: str, text: str) -> dict[str, Any]:
        """Add a message of the agent, and return the contract's message object."""
        return self._say(thread_id, [text], None)[0]

    def answer(self, thread_id: str, message_id: str, replies: list[str]) -> list[dict[str, Any]]:
        """Add all replies of the agent to a user's message, and return the contract's message objects."""
        said = self._say(thread_id, replies, message_id)
        self.get(thread_id).owed.pop(message_id, None)
        return said

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
        """A page of a thread's messages, as the contract's `ThreadMessages` object.

        Args:
            thread_id: The thread's id.
            limit: The size of the page. The contract allows any string: one that is not a number means 50.
            cursor: The id of the message before the page. If there is no such message, the page is empty.
            direction: The direction of the messages to list; `None` for all.
            status: The status of the messages to list; `None` for all.
            hidden: How many of the newest messages to leave out.
            without: The text of messages to leave out; `None` for none.

        Raises:
            UnknownThreadError: There is no such thread.
        """
        thread = self.get(thread_id)
        size = page_size(limit, DEFAULT_LIMIT, self.largest_page)
        listed = thread.messages[: max(0, len(thread.messages) - hidden)]
        if self.newest_first:
            listed.reverse()
        if cursor is not None:
            listed = after(listed, cursor)
        matching = [
            message
            for message in listed
            if direction in (None, message["direction"])
            and status in (None, message["status"])
            and message["messageBody"] != without
        ]
        return {
            **page_head(thread.details),
            "messages": matching[:size],
            "pagination": pagination(matching, size),
        }

    def _say(self, thread_id: str, texts: list[str], answered: str | None) -> list[dict[str, Any]]:
        thread = self.get(thread_id)
        said = [self._message(thread, OUTBOUND, "SENT", text) for text in texts]
        self._record(Change(messages=tuple(said), answered=answered))
        for message in said:
            thread.add(message, owed=False)
        return said

    def _change(self, details: dict[str, Any], **changed: Any) -> dict[str, Any]:
        self._record(Change(thread={**details, **changed}))
        details.update(changed)
        return details

    def _record(self, change: Change) -> None:
        if self.record is not None:
            self.record(change)

    def _message(self, thread: ThreadState, direction: str, status: str, text: str) -> dict[str, Any]:
        now = self._now()
        return {
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

    def _now(self) -> str:
        moment = datetime.fromtimestamp(self.clock(), UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def as_message(data: dict[str, Any]) -> Message:
    """Convert a message object of the contract to the client's type."""
    made_at = data["createdAt"]
    return Message(
        id=data["id"],
        text=data["messageBody"],
        direction=data["direction"],
        # A test may have removed it.
        created_at=None if made_at is None else datetime.fromisoformat(made_at),
        status=data["status"],
        raw=data,
    )
