"""The order of a list: from when its messages became known if their times are equal, and from unclear times."""

from __future__ import annotations

import pytest
from featherhq._core.pagination import NEWEST_FIRST, OLDEST_FIRST, UNKNOWN, oldest_first, order_of
from featherhq.models import Direction, Message
from history_messages import ids, message, messages


def ranks_of(listed: list[Message], *ranks: float) -> dict[str, float]:
    """These ranks for these messages, in order."""
    return dict(zip((one.id for one in listed), ranks, strict=True))


@pytest.mark.parametrize("direction", ["INBOUND", "OUTBOUND"])
def test_known_messages_of_one_direction_show_the_order(direction: Direction) -> None:
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


def test_known_messages_without_times_may_have_equal_ranks() -> None:
    """Messages without times that became known together show neither order."""
    listed = [message(number) for number in range(8)]
    ranks = ranks_of(listed, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 2.0)
    assert order_of(listed, ranks) == OLDEST_FIRST
    assert order_of(listed[::-1], ranks) == NEWEST_FIRST


def test_at_least_half_of_the_pairs_must_show_an_order() -> None:
    """If less than half of the pairs differ, the order is unknown: a few rows may just have changed places."""
    for late, order in ((1, UNKNOWN), (2, OLDEST_FIRST)):
        listed = [message(number, 0 if number < 8 - late else 10) for number in range(8)]
        assert order_of(listed) == order
        assert order_of(listed[::-1]) == -order


def test_more_than_nine_tenths_of_the_pairs_must_agree() -> None:
    """If only two of three pairs agree, or exactly nine of ten, the order is unknown."""
    shuffled = messages(5, 1, 9, 2, 7, every=10)
    assert order_of(shuffled) == order_of(shuffled[::-1]) == UNKNOWN
    nine = messages(20, *range(2, 11), *range(11, 21), every=10)
    assert order_of(nine) == order_of(nine[::-1]) == UNKNOWN
    all_ten = messages(*range(1, 21), every=10)
    assert order_of(all_ten) == OLDEST_FIRST


def test_messages_of_one_moment_are_reversed_if_the_list_is_newest_first() -> None:
    """Messages with the same time are put in the order in which they were made. Half a second is enough to see that
    the list begins with the newest message, and equal times do not hide it.
    """
    listed = [message(4, 0.5), message(3, 0.5), message(2, 0.5), message(1, 0)]
    assert ids(oldest_first(listed)) == [1, 2, 3, 4]
    assert ids(oldest_first([message(2), message(1)], NEWEST_FIRST)) == [1, 2]
    assert ids(oldest_first(messages(2, 1, same=True), NEWEST_FIRST)) == [1, 2]
    assert ids(oldest_first(messages(1, 2, same=True), OLDEST_FIRST)) == [1, 2]
