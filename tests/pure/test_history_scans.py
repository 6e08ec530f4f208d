"""Scans of a list of messages: where a scan ends, and which order it gives the messages."""

from __future__ import annotations

from featherhq._core.pagination import NEWEST_FIRST, OLDEST_FIRST, UNKNOWN
from featherhq._threads.experience import Experience
from featherhq._threads.history import Anchor, HistoryScan
from history_messages import START, ids, known, message, messages

# The end of a scan.


def test_a_scan_ends_as_soon_as_it_can() -> None:
    """A scan from the newest message on ends at a message that was read before, or that is certainly too old."""
    scan = HistoryScan(Experience(), settled={"3"})
    assert scan.cursor is None
    assert not scan.add(messages(9, 8, 7), "7")
    assert scan.cursor == "7"
    assert scan.add(messages(6, 3, 2), "2")
    assert ids(scan.listed) == [2, 3, 6, 7, 8, 9]

    scan = HistoryScan(Experience(), floor=START + 20)
    assert not scan.add(messages(90, 80, 11), "11")
    assert scan.add(messages(9), "9")
    assert ids(scan.listed) == [9, 11, 80, 90]

    scan = HistoryScan(known(NEWEST_FIRST), anchor=Anchor("5"))
    assert not scan.guesses
    assert scan.add(messages(6, 5), "5")


def test_a_scan_that_finds_nothing_ends() -> None:
    """A scan ends after twenty messages that are a little too old, or when a cursor comes again."""
    scan = HistoryScan(known(NEWEST_FIRST), floor=START + 10)
    assert not scan.add(messages(*range(99, 80, -1), every=0.1), "a")
    assert scan.add(messages(80, every=0.1), "b")
    for experience in (known(OLDEST_FIRST), known(NEWEST_FIRST), Experience()):
        scan = HistoryScan(experience, settled={"gone"})
        assert not scan.add(messages(1), "1")
        assert scan.add(messages(1), "1")


def test_messages_out_of_order_do_not_end_a_scan_too_soon() -> None:
    """A message that is a little too old does not end a scan, because new messages may follow it."""
    scan = HistoryScan(known(NEWEST_FIRST), floor=START + 50)
    assert not scan.add(messages(60, 45, 58), "58")
    assert scan.add(messages(55, 30), "30")
    assert ids(scan.listed) == [30, 45, 55, 58, 60]


# The order of what a scan lists.


def test_known_messages_show_the_order_of_a_list_with_one_time() -> None:
    """If all times are the same, the order in which messages became known shows the order of the list.

    If that shows nothing, known messages count as older than new ones.
    """
    for ranks, order in (({"1": 1, "2": 2}, 1), ({"1": 2, "2": 1}, -1)):
        scan = HistoryScan(Experience(), ranks=ranks)
        scan.add(messages(1, 2, 3, same=True), None)
        assert ids(scan.listed) == [1, 2, 3][::order]
    scan = HistoryScan(Experience(), ranks={"3": 0})
    scan.add(messages(1, 2, 3, same=True), None)
    assert ids(scan.listed) == [3, 2, 1]
    scan = HistoryScan(Experience(), ranks={"1": 0})
    scan.add(messages(1, 2, 3, same=True), None)
    assert ids(scan.listed) == [1, 2, 3]


def test_a_shuffled_page_shows_no_order() -> None:
    """A scan reads a shuffled list to its end, and sorts the messages by time."""
    scan = HistoryScan(Experience(), settled={"1"})
    assert not scan.add(messages(5, 1, 9, 2, 7), "7")
    assert scan.add(messages(3, 8), None)
    assert ids(scan.listed) == [1, 2, 3, 5, 7, 8, 9]


def test_the_next_scan_uses_what_the_last_one_has_learned() -> None:
    """Enough times show the order of all lists, and a page that shows no order does not change that."""
    experience = Experience()
    assert HistoryScan(experience).add(messages(3, 2, 1), None)
    assert experience.order == UNKNOWN
    assert HistoryScan(experience).add(messages(*range(16, 0, -1)), None)
    assert experience.order == NEWEST_FIRST
    scan = HistoryScan(experience)
    assert scan.add(messages(1, 2, same=True), None)
    assert ids(scan.listed) == [2, 1]


def test_a_list_may_turn_out_to_have_the_other_order() -> None:
    """If a list has the other order than expected, the scan begins again at the list's beginning.

    The messages that follow the anchor are older ones then.
    """
    scan = HistoryScan(Experience(), anchor=Anchor("1", frozenset({"2"})), order=OLDEST_FIRST)
    assert scan.cursor == "1"
    page = [message(2, -10), message(3, -20), message(4, -30), message(5, -40)]
    assert not scan.add(page, "5")
    found: tuple[object, ...] = (scan.cursor, scan.order, scan.from_anchor)
    assert found == (None, NEWEST_FIRST, False)
