"""Lists in pages, and scans of a thread's history: which way they run, where they begin and when they end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

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
from featherhq._threads.experience import Experience
from featherhq._threads.history import Anchor, HistoryScan
from featherhq.models import Message
from hypothesis import given, strategies as st

NOW = 1_700_000_000.0


def message(number: int, second: float | None = None, direction: str = "OUTBOUND") -> Message:
    start = datetime.fromtimestamp(NOW, UTC)
    return Message(str(number), "x", direction, None if second is None else start + timedelta(seconds=second))


def messages(*numbers: int, same: bool = False, every: float = 1.0) -> list[Message]:
    return [message(number, 0 if same else number * every) for number in numbers]


def ids(listed: list[Message]) -> list[int]:
    return [int(one.id) for one in listed]


def known(order: int = OLDEST_FIRST, *, ids_are_cursors: bool | None = None) -> Experience:
    """Of a server whose lists run this way."""
    return Experience(order=order, ids_are_cursors=ids_are_cursors)


# A whole history, for `messages()`.


def handed_out(listed: list[Message], size: int) -> list[Message]:
    """What comes of a list in pages of so many."""
    pages = [listed[i : i + size] for i in range(0, len(listed), size)] or [[]]
    history, given_out = History(), []
    for number, page in enumerate(pages, 1):
        given_out += history.add(page, str(number) if number < len(pages) else None)
    assert history.next_cursor is None
    return given_out


@given(st.lists(st.integers(0, 60), max_size=40).map(sorted), st.booleans(), st.integers(1, 5))
def test_history_is_in_order_whichever_way_it_comes(seconds: list[int], newest_first: bool, size: int) -> None:
    """In pages of any size, some with the same time: each message once, oldest first."""
    made = [message(number, second) for number, second in enumerate(seconds)]
    given_out = handed_out(made[::-1] if newest_first else made, size)
    assert sorted(given_out, key=lambda one: int(one.id)) == made
    times = [one.created_at for one in given_out]
    assert times == sorted(times)  # type: ignore[type-var]
    if len(set(seconds)) == len(seconds) or not newest_first:
        assert given_out == made


@pytest.mark.parametrize("newest_first", [False, True])
@given(
    rows=st.lists(st.tuples(st.floats(0, 120), st.floats(0, 10)), max_size=60),
    size=st.sampled_from([1, 2, 7, 20]),
)
def test_rows_a_little_out_of_order(newest_first: bool, rows: list[tuple[float, float]], size: int) -> None:
    """By ten seconds at the most, also across two pages: what comes out is in the order of its times."""
    made = [(second + late, message(number, round(second, 3))) for number, (second, late) in enumerate(rows)]
    listed = [one for _, one in sorted(made, key=lambda row: row[0], reverse=newest_first)]
    given_out = handed_out(listed, size)
    assert {one.id for one in given_out} == {one.id for one in listed}
    assert len(given_out) == len(listed)
    times = [one.created_at for one in given_out]
    assert times == sorted(times)  # type: ignore[type-var]


def test_a_list_that_runs_backwards_and_begins_out_of_order() -> None:
    """Two rows at its beginning that have changed places do not make it one that runs forwards."""
    listed = messages(99, 100, *range(80, 0, -10))
    assert ids(handed_out(listed, 2)) == [*range(10, 90, 10), 99, 100]


def test_messages_are_handed_out_as_pages_come() -> None:
    """Once it is known that a list runs from the oldest on: all of a page but its last ten seconds. A few messages do
    not tell it, and where it runs from the newest on, nothing can be handed out before the end.
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


def test_messages_without_times_keep_the_servers_order() -> None:
    """Nothing tells otherwise; where others tell that the list runs backwards, they are turned with it."""
    assert oldest_first([message(1), message(2)]) == [message(1), message(2)]
    mixed = [message(3, 3), message(2), message(1, 1)]
    assert oldest_first(mixed) == mixed[::-1]


def test_one_message_without_a_time_among_others() -> None:
    """It is handed out where the server lists it, and breaks nothing."""
    history = History()
    first = history.add([message(1, 1), message(2), message(3, 60)], "a")
    assert ids(first + history.add([message(4, 61)], None)) == [1, 2, 3, 4]


def test_pages_never_go_round_in_a_circle() -> None:
    """A cursor that was asked for before, the first one too, is the end."""
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


def test_which_way_a_list_runs() -> None:
    """By nine tenths of its times; neighbours may be out of order, and a shuffled page tells nothing.

    Nor do times that are less than three seconds apart, since clocks may be.
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


# Scans for what is new.


def test_a_scan_ends_as_soon_as_it_can() -> None:
    """From the newest on: at what is settled, or at what is older than the floor for sure."""
    scan = HistoryScan(Experience(), settled={"3"})
    assert scan.cursor is None
    assert not scan.add(messages(9, 8, 7), "7")
    assert scan.cursor == "7"
    assert scan.add(messages(6, 3, 2), "2")
    assert ids(scan.listed) == [2, 3, 6, 7, 8, 9]

    scan = HistoryScan(Experience(), floor=NOW + 20)
    assert not scan.add(messages(90, 80, 11), "11")
    assert scan.add(messages(9), "9")
    assert ids(scan.listed) == [9, 11, 80, 90]

    scan = HistoryScan(known(NEWEST_FIRST), anchor=Anchor("5"))
    assert not scan.guesses
    assert scan.add(messages(6, 5), "5")


def test_a_scan_for_what_never_comes_ends() -> None:
    """Twenty messages that are a little too old are enough, and a cursor that comes again is the end."""
    scan = HistoryScan(known(NEWEST_FIRST), floor=NOW + 10)
    assert not scan.add(messages(*range(99, 80, -1), every=0.1), "a")
    assert scan.add(messages(80, every=0.1), "b")
    for experience in (known(OLDEST_FIRST), known(NEWEST_FIRST), Experience()):
        scan = HistoryScan(experience, settled={"gone"})
        assert not scan.add(messages(1), "1")
        assert scan.add(messages(1), "1")


def test_rows_out_of_order_end_no_scan_too_soon() -> None:
    """One that is a little older than the floor may stand before others that are new."""
    scan = HistoryScan(known(NEWEST_FIRST), floor=NOW + 50)
    assert not scan.add(messages(60, 45, 58), "58")
    assert scan.add(messages(55, 30), "30")
    assert ids(scan.listed) == [30, 45, 55, 58, 60]


def test_a_scan_begins_where_the_last_one_ended() -> None:
    """From the oldest on it begins at an anchor; a witness that comes after it shows that the server has heeded it."""
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


def test_a_scan_jumps_when_it_has_found_out_which_way_the_list_runs() -> None:
    """What stands between is old; but it goes on page by page where the anchor is listed already."""
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


def test_whether_ids_serve_as_cursors_is_found_out() -> None:
    """Where an anchor has no witnesses: by what comes after it, or by what comes after another that is known."""
    experience = Experience()
    scan = HistoryScan(experience, anchor=Anchor("70"))
    assert not scan.add(messages(1, 2, 3, every=4), "opaque")
    assert scan.cursor == "70"
    assert scan.add(messages(71), None)
    assert ids(scan.listed) == [71]
    assert experience.ids_are_cursors is True

    for page, serve in ((messages(3, 4), True), ([], False), (messages(1, 2), False)):
        experience = Experience()
        scan = HistoryScan(experience, anchor=Anchor("70"))
        assert not scan.add(messages(1, 2, 3, every=4), "opaque")
        # Nothing comes after it: that is what a server also says to a cursor that it does not know.
        assert not scan.add([], None)
        assert scan.cursor == "2"
        assert scan.add(page, None) == serve
        assert experience.ids_are_cursors is serve
        assert scan.found_nothing == serve
        if not serve:
            assert scan.cursor is None
            assert not scan.add(messages(1, 2, 3, every=4), "opaque")
            assert scan.cursor == "opaque"


def test_an_anchor_without_witnesses_is_used_as_far_as_it_is_known_to_serve() -> None:
    """At once, once the list's first page is at hand, or never."""
    assert HistoryScan(known(ids_are_cursors=True), anchor=Anchor("70")).cursor == "70"
    for serve in (None, False):
        scan = HistoryScan(known(ids_are_cursors=serve), anchor=Anchor("70"))
        assert scan.cursor is None
        assert not scan.add(messages(1, 2, 3, every=4), "opaque")
        assert scan.cursor == ("70" if serve is None else "opaque")


def test_a_guess_that_is_not_heeded_proves_nothing_of_others() -> None:
    """Its message may be gone; so it is not known by it that ids serve as cursors."""
    for page in ([], messages(1, 2), messages(9)):
        experience = known()
        scan = HistoryScan(experience, anchor=Anchor("5", frozenset({"6"})))
        assert not scan.add(page, None)
        assert experience.ids_are_cursors is None


def test_a_cursor_that_was_handed_out_proves_nothing_of_others() -> None:
    """A server may take those alone, and none that it has not handed out."""
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


@pytest.mark.parametrize(
    "page",
    [[], messages(1, 2), messages(9, 10)],
    ids=["empty", "from the beginning", "after something else"],
)
def test_a_guess_that_is_not_heeded_sends_a_scan_back(page: list[Message]) -> None:
    """Where none of the witnesses comes, the list is read from its beginning, and with no more guesses."""
    scan = HistoryScan(known(), anchor=Anchor("5", frozenset({"6"})))
    assert not scan.add(page, "x")
    assert (scan.cursor, scan.guesses, scan.from_anchor) == (None, False, False)
    assert not scan.add(messages(1, 2, 3), "3")
    assert scan.cursor == "3"
    assert scan.add(messages(4, 7), None)
    assert ids(scan.listed) == [1, 2, 3, 4, 7]


def test_a_guess_that_is_refused_sends_a_scan_back() -> None:
    """With a 400 or a 404: as above."""
    scan = HistoryScan(known(), anchor=Anchor("5", frozenset({"6"})))
    assert scan.guesses
    scan.refused()
    assert (scan.cursor, scan.guesses, scan.from_anchor) == (None, False, False)
    assert scan.add(messages(1, 2), None)
    assert ids(scan.listed) == [1, 2]
    assert not scan.begins_after("5")


def test_without_witnesses_an_empty_page_is_the_end() -> None:
    """Where ids are known to serve as cursors. A page of what came before the anchor, or is far too old, is not its."""
    experience = known(ids_are_cursors=True)
    scan = HistoryScan(experience, anchor=Anchor("5"))
    assert scan.add([], None)
    assert scan.found_nothing
    assert scan.listed == []
    for page in (messages(6, 1), [message(9, -11)]):
        scan = HistoryScan(experience, anchor=Anchor("5"), ranks={"1": 1, "5": 5}, floor=NOW)
        assert not scan.add(page, None)
        assert scan.cursor is None
        assert not scan.found_nothing
    scan = HistoryScan(experience, anchor=Anchor("5"), ranks={"1": 1, "5": 5}, floor=NOW)
    assert scan.add([message(9, -9), *messages(6)], None)
    assert ids(scan.listed) == [9, 6]


def test_where_the_next_scan_may_begin() -> None:
    """At a known message, up to five known ones before the last; those that come after it bear witness."""
    for order in (OLDEST_FIRST, NEWEST_FIRST):
        scan = HistoryScan(known(order))
        assert scan.add(messages(*range(1, 20))[::order], None)
        anchor = scan.next_anchor([str(number) for number in range(2, 19, 2)])
        assert anchor == Anchor("8", frozenset({"10", "12", "14", "16", "18"}))
        assert scan.next_anchor(["4", "6"]) == Anchor("4", frozenset({"6"}))
        assert scan.next_anchor(["4"]) is None
        assert scan.next_anchor([]) is None


def test_a_cursor_that_was_handed_out_is_the_best_anchor() -> None:
    """The last one before the last known message; and where a scan began is kept, as long as it lists known ones."""
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
    # Where ids do not serve, there is nothing else to begin at.
    scan = HistoryScan(known(ids_are_cursors=False))
    assert scan.add(messages(1, 2, 3), None)
    assert scan.next_anchor(["1", "2"]) is None


def test_a_list_of_one_time_is_ordered_by_what_is_known() -> None:
    """By when messages became known; or else as what is known is older than what is not."""
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


def test_what_was_sent_and_what_was_heard_are_ranked_apart() -> None:
    """An answer may be heard before the receipt of its question comes; that turns no list round.

    Nor do messages that became known within three seconds.
    """
    listed = [message(1, 0, "INBOUND"), message(2, 0), message(3, 0, "INBOUND"), message(4, 0)]
    ranks = {"1": 12.0, "2": 11.0, "3": 24.0, "4": 23.0}
    assert order_of(listed, ranks) == OLDEST_FIRST
    assert order_of(listed[::-1], ranks) == NEWEST_FIRST
    assert order_of(listed, {id_: rank / 10 for id_, rank in ranks.items()}) == UNKNOWN


def test_a_shuffled_page_tells_no_order() -> None:
    """It is read on to the end, and put in order by its times."""
    scan = HistoryScan(Experience(), settled={"1"})
    assert not scan.add(messages(5, 1, 9, 2, 7), "7")
    assert scan.add(messages(3, 8), None)
    assert ids(scan.listed) == [1, 2, 3, 5, 7, 8, 9]


def test_what_one_scan_has_found_out_holds_for_the_next() -> None:
    """Which way lists run is told by enough of their times, and not taken back by a page that tells nothing."""
    experience = Experience()
    assert HistoryScan(experience).add(messages(3, 2, 1), None)
    assert experience.order == UNKNOWN
    assert HistoryScan(experience).add(messages(*range(16, 0, -1)), None)
    assert experience.order == NEWEST_FIRST
    scan = HistoryScan(experience)
    assert scan.add(messages(1, 2, same=True), None)
    assert ids(scan.listed) == [2, 1]
