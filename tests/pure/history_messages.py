"""Messages for the tests of lists and scans. Their ids are numbers, and their times are seconds after a fixed start."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from featherhq._core.pagination import OLDEST_FIRST
from featherhq._threads.experience import Experience
from featherhq.models import Direction, Message

START = 1_700_000_000.0


def message(number: int, second: float | None = None, direction: Direction = "OUTBOUND") -> Message:
    """A message with this id, so many seconds after the start, or without a time."""
    start = datetime.fromtimestamp(START, UTC)
    return Message(str(number), "x", direction, None if second is None else start + timedelta(seconds=second))


def messages(*numbers: int, same: bool = False, every: float = 1.0) -> list[Message]:
    """Messages with these ids. Their times follow from their ids, or are all the same."""
    return [message(number, 0 if same else number * every) for number in numbers]


def ids(listed: list[Message]) -> list[int]:
    """The ids of these messages."""
    return [int(one.id) for one in listed]


def known(order: int = OLDEST_FIRST, *, ids_are_cursors: bool | None = None) -> Experience:
    """The experience with a server whose lists have this order."""
    return Experience(order=order, ids_are_cursors=ids_are_cursors)
