"""Anchors of scans: where a scan begins, whether the server accepts that cursor, and where the next scan may begin.

An anchor is a cursor after which a scan begins. If the server did not give that cursor in this scan, it is a guess.
Witnesses are known messages that come after the anchor. They show that the server accepts the cursor.
"""

from __future__ import annotations

import pytest
from featherhq._core.pagination import NEWEST_FIRST, OLDEST_FIRST
from featherhq._threads.experience import Experience
from featherhq._threads.history import Anchor, HistoryScan
from featherhq.models import Message
from history_messages import START, ids, known, message, messages

# A scan begins at an anchor.


def test_a_scan_begins_where_the_last_one_ended() -> None:
    """A list with the oldest message first is read from an anchor; a witness shows that the server accepts it."""
    anchor = Anchor("7", frozenset({"8", "deleted"}))
    scan = HistoryScan(known(), anchor=anchor, ranks={"7": 1, "8": 2})
    assert (scan.cursor, scan.guesses, scan.from_anchor) == ("7", True, True)
    assert not scan.add(messages(8, 9), "9")
    assert not scan.guesses
    assert scan.add(messages(10), None)
    assert ids(scan.listed) == [8, 9, 10]
    assert scan.from_anchor
    assert not scan.found_nothing
    assert scan.begins_after("7")
    assert not scan.begins_after("8")
    assert not scan.begins_after("unknown")


def test_a_scan_jumps_to_its_anchor_when_it_learns_the_order_of_the_list() -> None:
    """If a list turns out to begin with the oldest message, the scan skips the old messages before the anchor.

    If the scan has already listed the anchor, it continues page by page.
    """
    scan = HistoryScan(Experience(), anchor=Anchor("70", frozenset({"71"})))
    assert (scan.cursor, scan.from_anchor) == (None, False)
    assert not scan.add(messages(1, 2, 3, every=4), "3")
    assert (scan.cursor, scan.from_anchor) == ("70", True)
    assert scan.add(messages(71, 72, every=4), None)
    assert ids(scan.listed) == [71, 72]

    scan = HistoryScan(Experience(), anchor=Anchor("2", frozenset({"3"})))
    assert not scan.add(messages(1, 2, 3, every=4), "3")
    assert (scan.cursor, scan.from_anchor) == ("3", False)
    assert scan.add(messages(4, every=4), None)
    assert ids(scan.listed) == [1, 2, 3, 4]
    assert not scan.begins_after("2")


# Whether the ids of messages are cursors.


def test_a_scan_learns_whether_ids_are_cursors() -> None:
    """An anchor without witnesses is proven by the messages after it, or else by a known message on the first page."""
    experience = Experience()
    scan = HistoryScan(experience, anchor=Anchor("70"))
    assert not scan.add(messages(1, 2, 3, every=4), "opaque")
    assert scan.cursor == "70"
    assert scan.add(messages(71), None)
    assert ids(scan.listed) == [71]
    assert experience.ids_are_cursors is True

    for page, are_cursors in ((messages(3, 4), True), ([], False), (messages(1, 2), False)):
        experience = Experience()
        scan = HistoryScan(experience, anchor=Anchor("70"))
        assert not scan.add(messages(1, 2, 3, every=4), "opaque")
        # The page after the anchor is empty. A server may also answer an unknown cursor with an empty page.
        assert not scan.add([], None)
        assert scan.cursor == "2"
        assert scan.add(page, None) == are_cursors
        assert experience.ids_are_cursors is are_cursors
        assert scan.found_nothing == are_cursors
        if not are_cursors:
            assert scan.cursor is None
            assert not scan.add(messages(1, 2, 3, every=4), "opaque")
            assert scan.cursor == "opaque"


def test_an_anchor_without_witnesses_is_used_if_ids_may_be_cursors() -> None:
    """If ids are cursors, the anchor is used at once; if that is unknown, it is used after the first page."""
    assert HistoryScan(known(ids_are_cursors=True), anchor=Anchor("70")).cursor == "70"
    for are_cursors in (None, False):
        scan = HistoryScan(known(ids_are_cursors=are_cursors), anchor=Anchor("70"))
        assert scan.cursor is None
        assert not scan.add(messages(1, 2, 3, every=4), "opaque")
        assert scan.cursor == ("70" if are_cursors is None else "opaque")


def test_a_wrong_guess_does_not_prove_that_ids_are_no_cursors() -> None:
    """The message of the anchor may be deleted, so a wrong guess says nothing about other ids."""
    for page in ([], messages(1, 2), messages(9)):
        experience = known()
        scan = HistoryScan(experience, anchor=Anchor("5", frozenset({"6"})))
        assert not scan.add(page, None)
        assert experience.ids_are_cursors is None


def test_a_cursor_of_the_server_does_not_prove_that_ids_are_cursors() -> None:
    """A server may accept only the cursors that it has given."""
    experience = known()
    scan = HistoryScan(experience)
    assert not scan.add(messages(1, 2, 3), "3")
    assert scan.add(messages(4, 5), None)
    anchor = scan.next_anchor(["4", "5"])
    assert anchor is not None
    assert anchor.cursor == "3"
    again = HistoryScan(experience, anchor=anchor)
    assert again.add(messages(4, 5, 6), None)
    assert experience.ids_are_cursors is None


# A wrong guess.


@pytest.mark.parametrize(
    "page",
    [[], messages(1, 2), messages(9, 10)],
    ids=["empty", "from the beginning", "after something else"],
)
def test_a_scan_without_its_witnesses_begins_again(page: list[Message]) -> None:
    """If no witness comes, the scan reads the list from its beginning, and guesses no more."""
    scan = HistoryScan(known(), anchor=Anchor("5", frozenset({"6"})))
    assert not scan.add(page, "x")
    assert (scan.cursor, scan.guesses, scan.from_anchor) == (None, False, False)
    assert not scan.add(messages(1, 2, 3), "3")
    assert scan.cursor == "3"
    assert scan.add(messages(4, 7), None)
    assert ids(scan.listed) == [1, 2, 3, 4, 7]


def test_a_scan_whose_anchor_is_refused_begins_again() -> None:
    """If the server refuses the anchor with a 400 or a 404, the scan reads the list from its beginning."""
    scan = HistoryScan(known(), anchor=Anchor("5", frozenset({"6"})))
    assert scan.guesses
    scan.refused()
    assert (scan.cursor, scan.guesses, scan.from_anchor) == (None, False, False)
    assert scan.add(messages(1, 2), None)
    assert ids(scan.listed) == [1, 2]
    assert not scan.begins_after("5")


def test_an_empty_page_after_an_anchor_without_witnesses_is_the_end() -> None:
    """If ids are cursors, an empty page after such an anchor means that there is nothing new.

    If the page has a message from before the anchor, or one that is far too old, the guess was wrong.
    """
    experience = known(ids_are_cursors=True)
    scan = HistoryScan(experience, anchor=Anchor("5"))
    assert scan.add([], None)
    assert scan.found_nothing
    assert scan.listed == []
    for page in (messages(6, 1), [message(9, -11)]):
        scan = HistoryScan(experience, anchor=Anchor("5"), ranks={"1": 1, "5": 5}, floor=START)
        assert not scan.add(page, None)
        assert scan.cursor is None
        assert not scan.found_nothing
    scan = HistoryScan(experience, anchor=Anchor("5"), ranks={"1": 1, "5": 5}, floor=START)
    assert scan.add([message(9, -9), *messages(6)], None)
    assert ids(scan.listed) == [9, 6]


def test_a_guess_that_cannot_be_proven_is_dropped() -> None:
    """If the first page has only one message, nothing can prove a guess, so the scan begins again.

    It reads the list from its beginning.
    """
    scan = HistoryScan(known(), anchor=Anchor("70"))
    assert not scan.add([message(1, 0)], "1")
    assert scan.cursor == "70"
    assert not scan.add([], None)
    begun: tuple[object, ...] = (scan.cursor, scan.from_anchor)
    assert begun == (None, False)
    assert scan.may_begin_again is False


# The anchor of the next scan.


def test_the_next_scan_begins_up_to_five_known_messages_before_the_last() -> None:
    """The anchor is a known message, and the known messages after it are its witnesses."""
    for order in (OLDEST_FIRST, NEWEST_FIRST):
        scan = HistoryScan(known(order))
        assert scan.add(messages(*range(1, 20))[::order], None)
        anchor = scan.next_anchor([str(number) for number in range(2, 19, 2)])
        assert anchor == Anchor("8", frozenset({"10", "12", "14", "16", "18"}))
        assert scan.next_anchor(["4", "6"]) == Anchor("4", frozenset({"6"}))
        assert scan.next_anchor(["4"]) is None
        assert scan.next_anchor([]) is None


def test_a_cursor_of_the_server_is_the_best_anchor() -> None:
    """The anchor is the last cursor that the server gave before the last known message.

    If the server gave no such cursor, a scan that began at an anchor keeps it, as long as it lists known messages.
    """
    scan = HistoryScan(known())
    assert not scan.add(messages(1, 2, 3), "a")
    assert not scan.add(messages(4, 5), "b")
    assert scan.add(messages(6, 7), None)
    assert scan.next_anchor(["2", "6"]) == Anchor("b", frozenset({"6"}))
    assert scan.next_anchor(["2", "5"]) == Anchor("a", frozenset({"5"}))
    scan = HistoryScan(known(), anchor=Anchor("b", frozenset({"6"})))
    assert scan.add(messages(6, 7, 8), None)
    assert scan.next_anchor(["7", "8"]) == Anchor("b", frozenset({"7", "8"}))
    assert scan.next_anchor([]) is None
    # If ids are no cursors, there is no other anchor.
    scan = HistoryScan(known(ids_are_cursors=False))
    assert scan.add(messages(1, 2, 3), None)
    assert scan.next_anchor(["1", "2"]) is None
