"""The order of a list whose messages all have the same time, or none: it follows from when they became known."""

from __future__ import annotations

import pytest
from featherhq._core.pagination import NEWEST_FIRST, OLDEST_FIRST, UNKNOWN, order_of
from featherhq.models import Message
from history_messages import message, messages


def ranks_of(listed: list[Message], *ranks: float) -> dict[str, float]:
    """These ranks for these messages, in order."""
    return dict(zip((one.id for one in listed), ranks, strict=True))


@pytest.mark.parametrize("direction", ["INBOUND", "OUTBOUND"])
def test_known_messages_of_one_direction_show_the_order(direction: str) -> None:
    """It is enough if only the sent messages are known, or only the received ones."""
    listed = [message(number, 0, direction) for number in (1, 2)]
    assert order_of(listed, ranks_of(listed, 10.0, 20.0)) == OLDEST_FIRST
    assert order_of(listed, ranks_of(listed, 20.0, 10.0)) == NEWEST_FIRST
    listed = [message(1, 0, direction), message(2, 0, "INBOUND" if direction == "OUTBOUND" else "OUTBOUND")]
    assert order_of(listed, ranks_of(listed, 10.0, 20.0)) == UNKNOWN


def test_one_pair_of_known_messages_is_enough() -> None:
    """Messages that became known together show no order, but they do not hide the order of the others."""
    listed = messages(1, 2, 3, 4, 5, 6, 7, 8, same=True)
    ranks = ranks_of(listed, 10.0, 10.0, 10.0, 10.0, 10.0, 10.0, 10.0, 20.0)
    assert order_of(listed, ranks) == OLDEST_FIRST
    assert order_of(listed[::-1], ranks) == NEWEST_FIRST


def test_known_messages_without_times_show_the_order_by_any_difference() -> None:
    """If the messages have no times, no clocks can differ. So the smallest difference of their ranks counts."""
    listed = [message(1), message(2)]
    assert order_of(listed, ranks_of(listed, 1.0, 1.5)) == OLDEST_FIRST
    assert order_of(listed, ranks_of(listed, 1.5, 1.0)) == NEWEST_FIRST


def test_known_messages_do_not_count_if_the_times_differ() -> None:
    """If the times differ, only the times can show the order. If they differ by too little, the order is unknown."""
    listed = messages(1, 2)
    assert order_of(listed, ranks_of(listed, 10.0, 20.0)) == UNKNOWN
