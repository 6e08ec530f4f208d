"""What the model server records: requests, messages and streams."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal

from attrs import define, field
from fake_time_network import Connection, Exchange
from model_server_options import Ending

if TYPE_CHECKING:
    from model_server_faults import Fault

INBOUND: Final = "INBOUND"
"""The direction of a user's message."""
OUTBOUND: Final = "OUTBOUND"
"""The direction of an agent's message."""


@define(eq=False)
class Call:
    """A request that a client made.

    Attributes:
        operation: The `operationId`, or `""`.
        thread_id: The id of its thread, or `""`.
        client: The client's key.
        at: When the request left the client.
        params: The query.
        arrived_at: When it arrived at the server. `None` if it has not arrived.
        outcome: The status of the response, or what happened instead. `None` if that is not known yet.
        fault: The fault that it got.
    """

    operation: str
    thread_id: str
    client: str
    at: float
    params: Mapping[str, str]
    arrived_at: float | None = None
    outcome: int | str | None = None
    fault: Fault | None = None


@define(eq=False)
class Row:
    """A message.

    Attributes:
        number: Its place in the server's order of all messages of all threads.
        id: The id.
        thread_id: The id of its thread.
        direction: As in the contract.
        text: The text, as it is stored.
        made_at: When it was created, in the world's time.
        stamp: Its `createdAt`.
        visible_at: When lists begin to show it.
        rank: Its place in lists. They are sorted by this number.
        deleted_at: When it was deleted. `inf` if it was not.
        pushed: When a stream first brought it to each client.
        listed: When a list first brought it to each client.
    """

    number: int
    id: str
    thread_id: str
    direction: str
    text: str
    made_at: float
    stamp: str | None
    visible_at: float
    rank: float
    deleted_at: float = math.inf
    pushed: dict[str, float] = field(factory=dict)
    listed: dict[str, float] = field(factory=dict)

    @property
    def pushed_at(self) -> float | None:
        """When a stream first brought it to any client. `None` if no stream did."""
        return min(self.pushed.values(), default=None)

    def brought(self, client: str) -> float:
        """When a stream or a list first brought it to this client. `inf` if none did."""
        return min(self.pushed.get(client, math.inf), self.listed.get(client, math.inf))

    @cached_property
    def json(self) -> str:
        """The message in the contract's form, as JSON."""
        return json.dumps(self.data())

    def data(self) -> dict[str, Any]:
        """The message in the contract's form."""
        return {
            "id": self.id,
            "threadId": self.thread_id,
            "direction": self.direction,
            "messageBody": self.text,
            "status": "RECEIVED" if self.direction == INBOUND else "SENT",
            "twilioMessageSid": None,
            "twilioErrorCode": None,
            "createdAt": self.stamp,
            "updatedAt": self.stamp,
            "sentAt": None,
            "deliveredAt": None,
            "readAt": None,
        }


@define(eq=False)
class Stream:
    """An event stream.

    Attributes:
        thread_id: The id of its thread.
        client: The client's key.
        way: The time of an event on the network.
        since: When the server began to write to it.
        opened_at: When its head reached the client. `None` before that.
        ended_at: When it ended for the server. `inf` before that.
        ending: How it ended. `left` means that the client closed it.
        brought: The numbers of the messages that it brought.
        exchange: The request that asked for it.
        connection: The client's end of it. `None` until the head has reached the client.
        waiting: The writes that wait for the head.
        wire_free_at: When the last data that was written arrives.
    """

    thread_id: str
    client: str
    way: float
    since: float
    opened_at: float | None = None
    ended_at: float = math.inf
    ending: Ending | Literal["left"] | None = None
    brought: list[int] = field(factory=list)
    exchange: Exchange | None = field(default=None, repr=False)
    connection: Connection | None = field(default=None, repr=False)
    waiting: list[Callable[[], None]] = field(factory=list, repr=False)
    wire_free_at: float = 0.0

    @property
    def is_open(self) -> bool:
        """Whether the server writes to it."""
        return self.ended_at == math.inf

    @property
    def lost_at(self) -> float:
        """From when on the client gets nothing more from it."""
        ends = () if self.connection is None else (self.connection.died_at, self.connection.closed_at)
        return min((at for at in ends if at is not None), default=self.ended_at)
