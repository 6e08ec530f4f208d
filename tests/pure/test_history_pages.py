"""Lists of messages in pages: the order of a list, and a whole history in the order of its times."""

from __future__ import annotations

import pytest
from featherhq._core.pagination import (
    NEWEST_FIRST,
    OLDEST_FIRST,
    UNKNOWN,
    History,
    Pages,
    oldest_first,
    order_for_all,
    order_of,
)
from featherhq.models import Message
from history_messages import ids, message, messages
from hypothesis import given, strategies as st

# A whole history.


def read_history(listed: list[Message], size: int) -> list[Message]:
    """Read a list as a history, in pages of this size."""
    pages = [listed[i : i + size] for i in range(0, len(listed), size)] or [[]]
    history, read = History(), []
    for number, page in enumerate(pages, 1):
        read += history.add(page, str(number) if number < len(pages) else None)
    assert history.next_cursor is None
    return read


@given(st.lists(st.integers(0, 60), max_size=40).map(sorted), st.booleans(), st.integers(1, 5))
def test_a_history_begins_with_the_oldest_message(seconds: list[int], newest_first: bool, size: int) -> None:
    """A list in either order and in pages of any size gives each message once, the oldest first.

    Some messages have the same time.
    """
    made = [message(number, second) for number, second in enumerate(seconds)]
    read = read_history(made[::-1] if newest_first else made, size)
    assert sorted(read, key=lambda one: int(one.id)) == made
    times = [one.created_at for one in read]
    assert times == sorted(times)  # type: ignore[type-var]
    if len(set(seconds)) == len(seconds) or not newest_first:
        assert read == made


@pytest.mark.parametrize("newest_first", [False, True])
@given(
    rows=st.lists(st.tuples(st.floats(0, 120), st.floats(0, 10)), max_size=60),
    size=st.sampled_from([1, 2, 7, 20]),
)
def test_a_history_sorts_messages_that_are_a_little_out_of_order(
    newest_first: bool, rows: list[tuple[float, float]], size: int
) -> None:
    """If messages are out of order by up to ten seconds, also across two pages, a history sorts them by time."""
    made = [(second + late, message(number, round(second, 3))) for number, (second, late) in enumerate(rows)]
    listed = [one for _, one in sorted(made, key=lambda row: row[0], reverse=newest_first)]
    read = read_history(listed, size)
    assert {one.id for one in read} == {one.id for one in listed}
    assert len(read) == len(listed)
    times = [one.created_at for one in read]
    assert times == sorted(times)  # type: ignore[type-var]


def test_a_list_with_the_newest_message_first_may_begin_out_of_order() -> None:
    """Two exchanged messages at the beginning of a list do not change the order that all other messages show."""
    listed = messages(99, 100, *range(80, 0, -10))
    assert ids(read_history(listed, 2)) == [*range(10, 90, 10), 99, 100]


def test_a_history_gives_messages_page_by_page() -> None:
    """If a list begins with the oldest message, each page gives all messages except those of its last ten seconds.

    A few messages do not show the order of a list. If the list begins with the newest message, a history gives no
    message before the end.
    """
    history = History()
    assert ids(history.add(messages(*range(0, 200, 10)), "a")) == [*range(0, 180, 10)]
    assert history.next_cursor == "a"
    assert ids(history.add(messages(189, 191, 300), "b")) == [180, 189, 190, 191]
    assert ids(history.add(messages(295), None)) == [295, 300]
    for listed in (messages(100, 50, 25), messages(25, 50, 100), messages(*range(200, 0, -10))):
        history = History()
        assert history.add(listed, "a") == []
        assert ids(history.add(messages(0), None)) == [0, *sorted(ids(listed))]


def test_messages_without_times_keep_the_order_of_the_server() -> None:
    """If a list begins with the newest message, messages without times are reversed together with all others."""
    assert oldest_first([message(1), message(2)]) == [message(1), message(2)]
    mixed = [message(3, 3), message(2), message(1, 1)]
    assert oldest_first(mixed) == mixed[::-1]


def test_a_message_without_a_time_keeps_its_place() -> None:
    """A history gives a message without a time where the server lists it."""
    history = History()
    first = history.add([message(1, 1), message(2), message(3, 60)], "a")
    assert ids(first + history.add([message(4, 61)], None)) == [1, 2, 3, 4]


def test_a_message_without_a_time_delays_no_other_message() -> None:
    """In a long history, a page with one message without a time gives all of its messages."""
    history = History()
    page = [message(number, number * 10) for number in range(20)]
    given = history.add([*page, message(99)], "more")
    assert ids(given) == [*range(20), 99]


def test_pages_never_repeat() -> None:
    """A list ends at a cursor that was requested before, also if it is the first one."""
    pages = Pages("a")
    assert pages.cursor == "a"
    assert pages.follow("b", brought_something=True)
    assert pages.cursor == "b"
    for cursor in ("a", "b", None):
        assert not pages.follow(cursor, brought_something=True)
        assert pages.cursor == "b"
    history = History()
    assert history.add(messages(1), "1") == []
    assert ids(history.add(messages(1), "1")) == [1]
    assert history.next_cursor is None


# The order of a list.


def test_the_times_of_messages_show_the_order_of_a_list() -> None:
    """Nine tenths of the pairs of times must agree on the order of a list.

    Neighbours may be out of order. A shuffled page does not show the order. Times less than three seconds apart do not
    show it either, because clocks may differ.
    """
    assert order_of(messages(1, 2, 3, every=4)) == OLDEST_FIRST
    assert order_of(messages(3, 2, 1, every=4)) == NEWEST_FIRST
    assert order_of(messages(3, 2, 1)) == UNKNOWN
    assert order_of(messages(3, 2, 1), apart=0) == NEWEST_FIRST
    assert order_of(messages(2, 1, 4, 3, 6, 5, 8, 7, every=2)) == OLDEST_FIRST
    assert order_of(messages(5, 1, 9, 2, 7)) == UNKNOWN
    assert order_of([]) == order_of(messages(1)) == order_of(messages(1, 2, same=True)) == UNKNOWN
    assert order_of([message(1), message(2)]) == UNKNOWN
    assert order_for_all(messages(*range(14))) == UNKNOWN
    assert order_for_all(messages(*range(16))) == OLDEST_FIRST
    assert order_for_all(messages(*range(16, 0, -1))) == NEWEST_FIRST


def test_sent_and_received_messages_show_the_order_separately() -> None:
    """The order of a list is still found if a reply comes before the receipt of its question.

    Messages that became known within three seconds do not show the order.
    """
    listed = [message(1, 0, "INBOUND"), message(2, 0), message(3, 0, "INBOUND"), message(4, 0)]
    ranks = {"1": 12.0, "2": 11.0, "3": 24.0, "4": 23.0}
    assert order_of(listed, ranks) == OLDEST_FIRST
    assert order_of(listed[::-1], ranks) == NEWEST_FIRST
    assert order_of(listed, {id_: rank / 10 for id_, rank in ranks.items()}) == UNKNOWN
