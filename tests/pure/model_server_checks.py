"""Checks of what a client must do: give each message to its caller once, in order, and soon."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from attrs import frozen
from model_server_records import Row

if TYPE_CHECKING:
    from model_server import ModelServer


class Given(Protocol):
    """A message that a client has given to its caller. `Handed` is one such class."""

    @property
    def message_id(self) -> str: ...
    @property
    def at(self) -> float: ...


@frozen
class Handed:
    """A message that a conversation has given to its caller.

    Attributes:
        message_id: The id.
        text: The text.
        at: When the caller got it, in the world's time.
    """

    message_id: str
    text: str
    at: float


def check_once(rows: Sequence[Row], handed: Sequence[Given], *, or_not: Iterable[Row] = ()) -> None:
    """Check that the caller got each of these messages exactly once, and no others.

    Args:
        rows: The messages that the caller must get, for example `server.expected(thread_id, since)`.
        handed: The messages that the caller got.
        or_not: More messages that the caller may get.
    """
    times = Counter(message.message_id for message in handed)
    wanted = {row.id: row for row in rows}
    repeated = [id_ for id_, number in times.items() if number > 1]
    missing = [row for row in rows if row.id not in times]
    unexpected = times.keys() - wanted.keys() - {row.id for row in or_not}
    assert not repeated, f"given more than once: {[_named(wanted, handed, id_) for id_ in repeated]}"
    assert not missing, f"never given: {[(row.text, row.made_at) for row in missing]}"
    assert not unexpected, f"given, but not expected: {[_named(wanted, handed, id_) for id_ in unexpected]}"


def check_order(server: ModelServer, thread_id: str, handed: Sequence[Given], client: str, *, slack: float = 0) -> None:
    """Check the order in which the caller got the messages.

    A message must not come before an earlier message that the client already had. Two messages with the same time may
    come in any order, because lists may have them in any order. The same is true for messages without a time.

    Args:
        server: The server.
        thread_id: The thread's id.
        handed: The messages that the caller got, in this order.
        client: The client's key.
        slack: The client may have had the earlier message for so many seconds.
    """
    rows = {row.id: row for row in server.rows[thread_id]}
    given_later: list[Row] = []
    for message in reversed(handed):
        row = rows[message.message_id]
        for other in given_later:
            is_earlier = row.stamp is not None and other.stamp is not None and other.stamp < row.stamp
            assert not (other.number < row.number and is_earlier and other.brought(client) < message.at - slack), (
                f"{row.text!r} was given at {message.at:.3f}, before {other.text!r}, "
                f"which the client had since {other.brought(client):.3f}"
            )
        given_later.append(row)


def lateness(
    server: ModelServer, thread_id: str, handed: Sequence[Given], client: str | None = None
) -> dict[str, float]:
    """How many seconds after the client could know of a message the caller got it, by the message's text."""
    at = {message.message_id: message.at for message in handed}
    return {row.text: at[row.id] - server.known_from(row, client) for row in server.rows[thread_id] if row.id in at}


def _named(wanted: Mapping[str, Row], handed: Sequence[Given], id_: str) -> object:
    row = wanted.get(id_)
    return row.text if row is not None else next(message for message in handed if message.message_id == id_)
