"""Messages whose times are seconds after the start of fake time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from fake_time import EPOCH
from featherhq.models import Direction, Message


def stamped(id_: str, second: float | None, text: str = "x", direction: Direction | None = "OUTBOUND") -> Message:
    """A message with this id, so many seconds after the start, or without a time."""
    made = None if second is None else datetime.fromtimestamp(EPOCH, UTC) + timedelta(seconds=second)
    return Message(id_, text, direction, made)
