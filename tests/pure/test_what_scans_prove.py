"""What a conversation concludes from a list that a scan has read: what is new, what is late, and what is settled."""

from __future__ import annotations

import pytest
from fake_time import EPOCH
from featherhq._core.effects import Accepted
from featherhq._core.pagination import NEWEST_FIRST, OLDEST_FIRST, UNKNOWN
from featherhq._logging import log
from featherhq._threads.experience import Experience
from featherhq._threads.history import Anchor, HistoryScan
from featherhq._threads.inbox import Inbox
from featherhq._threads.messages import Messages
from featherhq.models import Message
from history_messages import START, ids, known as lists, message as numbered, messages
from message_stamps import stamped


class Reader:
    """The messages of a conversation that began at 0, and the lists that it reads.

    Args:
        order: The order of all lists.
        before: Ids of messages that were known before, each with when it became known.
    """

    def __init__(self, order: int = OLDEST_FIRST, before: dict[str, float] | None = None) -> None:
        self.experience = Experience(order=order)
        self.messages = Messages(self.experience, lambda now: EPOCH + now, before or {}, 0.0, EPOCH, log)

    def send(self, id_: str, began: float) -> None:
        """A message of ours is accepted at once."""
        self.messages.accepted(Accepted(id_, began, EPOCH + began), began, asking=False)

    def read(self, now: float, *rows: Message, partial: bool = False) -> tuple[list[str], bool]:
        """Read a list with one page. Returns the ids of its new messages, and whether the list lags."""
        self.scan, _ = self.messages.scan(now, partial=partial)
        assert self.scan.add(rows, None)
        fresh, lags = self.messages.read(self.scan, now, now, partial=partial)
        return [message.id for message in fresh], lags

    def settled(self, now: float) -> set[str]:
        """The ids at which a list that is newest first would end now: the next scan stops at each of them."""
        self.experience.order, ends = NEWEST_FIRST, set()
        for id_ in [*"123456789"]:
            scan, _ = self.messages.scan(now, partial=False)
            if scan.add([stamped(id_, None)], "more"):
                ends.add(id_)
        return ends


def user(id_: str, second: float | None) -> Message:
    """A message of the user."""
    return stamped(id_, second, "x", "INBOUND")


# Lists that lag.


def test_a_list_lags_if_it_lacks_a_message_that_exists() -> None:
    """A list lags if it lacks a message that became known before the scan began, at most thirty seconds ago. What is
    not shown for longer than that was deleted.
    """
    for now, lags in ((5.0, False), (6.0, True), (35.0, True), (36.0, False)):
        reader = Reader()
        reader.send("1", 5.0)
        assert reader.read(now, user("9", -50.0)) == ([], lags)
    reader = Reader(before={"1": -1.0})
    assert reader.read(2.0, user("9", -50.0)) == ([], False)


def test_a_list_that_catches_up_shows_how_much_it_lagged() -> None:
    """If a list lacks a message and a later one shows it, the lag lies between the age of the message at these two
    scans.
    """
    reader = Reader()
    reader.send("1", 5.0)
    assert reader.read(9.0, user("9", -50.0)) == ([], True)
    assert reader.experience.lags is None
    assert reader.read(12.0, user("9", -50.0), user("1", 5.0)) == ([], False)
    assert reader.experience.lags is True
    assert (reader.experience.lag, reader.experience.longest_lag) == (4.0, 7.0)
    assert reader.read(20.0, user("9", -50.0), user("1", 5.0)) == ([], False)
    assert reader.experience.longest_lag == 7.0


@pytest.mark.parametrize(("age", "fresh"), [(0.0, False), (0.2, True), (0.4, True), (0.6, False)])
def test_lists_do_not_lag_if_they_show_what_was_made_a_moment_ago(age: float, fresh: bool) -> None:
    """If five lists show a message that became known less than half a second before, lists do not lag."""
    reader = Reader()
    rows: list[Message] = []
    for number in range(5):
        at = 10.0 * number
        assert reader.experience.lags is None
        reader.send(str(number), at)
        rows.append(user(str(number), at))
        reader.read(at + age, *rows)
    assert reader.experience.lags is (False if fresh else None)


def test_a_message_that_the_list_lacks_does_not_make_it_fresh() -> None:
    """A list that lacks a new message is not fresh, however often that happens."""
    reader = Reader()
    for number in range(6):
        at = 10.0 * number
        reader.send(str(number), at)
        assert reader.read(at + 0.2, user("x", -50.0)) == ([], True)
    assert reader.experience.lags is None


# Settled messages, at which the next scan may end.


def test_a_message_is_settled_when_it_was_known_for_ten_seconds() -> None:
    """A message is settled if a list shows it when it was known for ten seconds. A scan that has left out a part
    settles nothing.
    """
    for now, partial, settled in ((14.9, False, set()), (15.0, False, {"1"}), (16.0, True, set())):
        reader = Reader()
        reader.send("1", 5.0)
        reader.read(now, user("1", 5.0), partial=partial)
        assert reader.settled(now) == settled


def test_an_old_message_of_others_is_settled_when_it_is_seen() -> None:
    """A message is settled by the first list if it was made more than ten seconds before all that may be new."""
    reader = Reader()
    reader.send("1", 1.0)
    rows = [user("2", -13.5), user("3", -12.5), user("4", -5.0), user("1", 1.0)]
    reader.read(2.0, *rows)
    assert reader.settled(3.0) == {"2"}


def test_the_next_scan_begins_at_settled_messages() -> None:
    """If lists begin with the oldest message, the next scan begins after a settled one. If a list brings no better
    place, the next scan begins there too.
    """
    reader = Reader()
    rows = [user(str(number), number - 60.0) for number in range(1, 9)]
    reader.send("9", 1.0)
    reader.read(2.0, *rows, user("9", 1.0))
    reader.read(3.0, *rows, user("9", 1.0))
    scan, _ = reader.messages.scan(4.0, partial=False)
    assert scan.cursor == "3"
    assert not scan.add([], None)
    assert scan.add(rows[:1], None)
    reader.messages.read(scan, 4.0, 4.0, partial=False)
    scan, _ = reader.messages.scan(5.0, partial=False)
    assert scan.cursor == "3"


# Places in a list.


def test_our_message_after_others_shows_the_order_of_a_list_with_one_time() -> None:
    """If all messages of a list have one time, a message of ours that stands after others shows that the list begins
    with the oldest message. A list with several times, or without ours, or without others, shows no order.
    """
    for rows, order in (
        ([user("0", 0.0), user("1", 0.0)], OLDEST_FIRST),
        ([user("0", 0.0), user("1", 1.0)], UNKNOWN),
        ([user("0", 0.0), user("2", 0.0)], UNKNOWN),
        ([user("2", 0.0), user("1", 0.0)], UNKNOWN),
        ([user("1", 0.0), user("0", 0.0)], UNKNOWN),
    ):
        reader = Reader(UNKNOWN, {"0": -50.0})
        reader.send("1", 1.0)
        reader.read(2.0, *rows)
        scan, _ = reader.messages.scan(3.0, partial=True)
        assert scan.order == order


def test_ten_messages_with_one_time_are_told_apart_by_their_places() -> None:
    """If ten messages or more have one time, it says nothing. So what stands before ours is not new. If fewer have one
    time, or if there are two times, the times count.
    """
    for count, other, is_new in ((9, 4.0, True), (10, 4.0, False), (10, 5.0, True)):
        reader = Reader()
        reader.send("1", 4.0)
        rows = [stamped("2", 4.0), user("1", 4.0)]
        rows += [user(str(number), 4.0) for number in range(20, 18 + count - 1)]
        rows.append(user("99", other))
        assert len(rows) == count
        assert reader.read(8.0, *rows)[0] == ["2"] * is_new


def test_the_users_messages_are_never_new() -> None:
    """A message of the user that another client has sent is not handed out, whatever its time is."""
    reader = Reader()
    reader.send("1", 4.0)
    assert reader.read(8.0, user("1", 4.0), user("2", 5.0), stamped("3", 6.0)) == (["3"], False)


def test_a_message_of_the_user_becomes_known_when_it_was_made() -> None:
    """A message of another client gets its place among ours by its time. One from before the conversation counts as
    known since its beginning.
    """
    reader = Reader()
    reader.read(9.0, user("1", -50.0), user("2", None), stamped("3", -60.0), partial=True)
    reader.read(9.0, user("4", 7.0), partial=True)
    scan, _ = reader.messages.scan(10.0, partial=True)
    assert {id_: scan._ranks[id_] for id_ in "1234"} == {"1": 0.0, "2": 0.0, "3": 0.0, "4": 7.0}


# Scans and their anchors.


def test_an_anchor_has_at_most_five_witnesses() -> None:
    """The witnesses of an anchor are the first five known messages after it, because they must be on its first page."""
    scan = HistoryScan(lists())
    assert not scan.add(messages(1, 2, 3), "3")
    assert scan.add(messages(*range(4, 20)), None)
    assert scan.next_anchor([str(number) for number in range(4, 20)]) == Anchor("3", frozenset("45678"))


def test_a_page_with_messages_from_before_its_anchor_is_not_the_one_after_it() -> None:
    """If the page after an anchor shows a message that became known before the anchor, the server has ignored the
    cursor, and the scan reads the list from its beginning.
    """
    scan = HistoryScan(lists(ids_are_cursors=True), anchor=Anchor("5"), ranks={"1": 1, "5": 5}, floor=START)
    assert not scan.add([numbered(1, 1), numbered(6, 6)], None)
    assert scan.cursor is None
    assert scan.add(messages(1, 5, 6), None)
    assert ids(scan.listed) == [1, 5, 6]


def test_ids_of_two_messages_are_told_apart_among_the_last_256() -> None:
    """The client compares a message with an earlier one of that id if no more than 255 other ids came since then."""
    for others, apart in ((255, True), (256, False)):
        inbox = Inbox(Experience(), log)
        inbox.told_apart(stamped("1", 5.25))
        for number in range(others):
            inbox.told_apart(stamped(f"other {number}", 6.25))
        assert (inbox.told_apart(stamped("1", 9.25, "y")).id != "1") is apart
