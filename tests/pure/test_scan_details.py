"""Scans of a list: where a scan ends, where the next one begins, and which order a list without times has."""

from __future__ import annotations

from fake_time import EPOCH
from featherhq._core.pagination import NEWEST_FIRST, OLDEST_FIRST
from featherhq._threads.experience import Experience
from featherhq._threads.history import Anchor, HistoryScan
from message_stamps import stamped


def test_a_scan_ends_at_a_settled_message() -> None:
    """If the list begins with the newest message, a scan ends at the first settled message. If no message is
    settled, it ends at a message that is well older than the floor, or after many that are a little older.
    """
    newest = [stamped(str(number), number) for number in range(60, 0, -1)]
    scan = HistoryScan(Experience(order=NEWEST_FIRST), settled=["40"])
    assert not scan.add(newest[:10], "a")
    assert scan.add(newest[10:21], "b")
    for floor, over in ((61.0, False), (62.0, True), (59.0, False)):
        scan = HistoryScan(Experience(order=NEWEST_FIRST), floor=EPOCH + floor)
        assert scan.add(newest[:10], "a") is over
    scan = HistoryScan(Experience(order=NEWEST_FIRST), floor=EPOCH + 60.5)
    assert not scan.add([stamped(str(number), 60 - number / 100) for number in range(19)], "a")
    assert scan.add([stamped("19", 59.5)], "b")


def test_the_next_scan_begins_at_a_cursor_or_at_a_message() -> None:
    """The next scan begins at the last cursor that the server gave before a known message. Without such a cursor, it
    begins at a known message. The known messages after that place are the witnesses.
    """
    listed = [stamped(str(number), number * 5) for number in range(12)]
    scan = HistoryScan(Experience(order=OLDEST_FIRST))
    scan.add(listed[:5], "a")
    scan.add(listed[5:10], "b")
    scan.add(listed[10:], None)
    assert scan.is_whole
    assert scan.next_anchor([str(number) for number in range(8)]) == Anchor("a", frozenset({"5", "6", "7"}))
    assert scan.next_anchor([str(number) for number in range(12)]) == Anchor("b", frozenset({"10", "11"}))
    assert scan.next_anchor(["0", "1", "2"]) == Anchor("0", frozenset({"1", "2"}))
    assert scan.next_anchor(["0"]) is None
    assert scan.next_anchor([]) is None
    single = HistoryScan(Experience(order=OLDEST_FIRST))
    single.add(listed, None)
    assert single.next_anchor([str(number) for number in range(9)]) == Anchor("3", frozenset("45678"))


def test_known_messages_show_the_order_of_a_list_without_times() -> None:
    """Messages from before the conversation are older than its own messages. If there are none of them, known
    messages are older than the others in a short list, and newer in a long one.
    """

    def way(listed: str, before: str = "") -> int:
        # The messages with capital letters are known.
        ranks = {one: 1.0 for one in listed if one.isupper()}
        scan = HistoryScan(Experience(), ranks=ranks, before=before)
        scan.add([stamped(one, None) for one in listed], None)
        return scan.way

    assert way("abc") == OLDEST_FIRST
    assert (way("BxK", "B"), way("KxB", "B")) == (OLDEST_FIRST, NEWEST_FIRST)
    assert (way("ABabcK", "AB"), way("KabcAB", "AB")) == (OLDEST_FIRST, NEWEST_FIRST)
    # The mean place of the messages from before decides, and not the middle of the list.
    assert way("aBcKdefghij", "B") == OLDEST_FIRST
    assert (way("Kab"), way("abK")) == (OLDEST_FIRST, NEWEST_FIRST)
    assert (way("KLaM"), way("aKLb")) == (OLDEST_FIRST, OLDEST_FIRST)
    assert (way("abcdefghiK"), way("abcdefghijK")) == (NEWEST_FIRST, OLDEST_FIRST)
    assert (way("Kabcdefghi"), way("Kabcdefghij")) == (OLDEST_FIRST, NEWEST_FIRST)


def test_a_scan_cannot_list_messages_before_its_anchor() -> None:
    """A scan that begins at a known message lists neither this message nor those that became known earlier. If the
    anchor is a cursor of the server, or is not used, the scan excludes no message.
    """
    ranks = {"0": 0.0, "1": 1.0, "2": 2.0}
    scan = HistoryScan(Experience(order=OLDEST_FIRST), ranks=ranks, anchor=Anchor("1", frozenset({"2"})))
    assert [scan.begins_after(one) for one in ("0", "1", "2", "x")] == [True, True, False, False]
    scan.refused()
    assert not scan.begins_after("0")
    scan = HistoryScan(Experience(order=OLDEST_FIRST), ranks=ranks, anchor=Anchor("cursor", frozenset({"2"})))
    assert [scan.begins_after(one) for one in ("0", "x")] == [False, False]


def test_a_scan_begins_again_three_times_at_most() -> None:
    """If the server refuses the cursors of a list, a scan begins again, but at most three times."""
    scan = HistoryScan(Experience())
    for _ in range(3):
        assert not scan.may_begin_again
        scan.add([stamped("1", 1.0)], "cursor")
        assert scan.may_begin_again
        scan.refused()
        assert (scan.cursor, scan.listed) == (None, [])
    scan.add([stamped("1", 1.0)], "cursor")
    assert not scan.may_begin_again


def test_a_scan_may_end_at_its_anchor() -> None:
    """If the list begins with the newest message and the server's time is not known, a scan ends at the message of
    its anchor.
    """
    scan = HistoryScan(Experience(order=NEWEST_FIRST), anchor=Anchor("5"))
    assert not scan.add([stamped(str(number), None) for number in (9, 8, 7)], "a")
    assert scan.add([stamped(str(number), None) for number in (6, 5, 4)], "b")
    scan = HistoryScan(Experience(order=NEWEST_FIRST), anchor=Anchor("5"), floor=EPOCH)
    assert not scan.add([stamped(str(number), None) for number in (6, 5, 4)], "a")
