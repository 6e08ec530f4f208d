"""Where the scans of a conversation begin, what they remember of others, and the order of the messages that wait."""

from __future__ import annotations

import pytest
from fake_time import EPOCH
from featherhq import FeatherError
from featherhq._core.effects import Accepted, SendRequest
from featherhq._core.pagination import NEWEST_FIRST, OLDEST_FIRST
from featherhq._core.slots import Priority, Urgency
from featherhq._logging import log
from featherhq._threads import flows
from featherhq._threads.experience import Experience
from featherhq._threads.inbox import Heard, Inbox
from featherhq._threads.messages import Messages
from featherhq.models import Message
from flow_caller import THREAD, Caller, ok, page
from message_stamps import stamped


def conversation(order: int = OLDEST_FIRST) -> Messages:
    """What is known in a new conversation, which began at 0. The server accepts ids as cursors."""
    return Messages(Experience(order=order, ids_are_cursors=True), lambda now: EPOCH + now, {}, 0.0, EPOCH, log)


def asking(order: int = OLDEST_FIRST) -> Messages:
    """The same, and one of our messages waits for its answer."""
    known = conversation(order)
    known.accepted(Accepted("1", 1.0, EPOCH + 1.0), 1.0, asking=True)
    return known


def read(known: Messages, now: float, *rows: Message) -> list[str]:
    """Read a list with one page from its beginning. Returns the ids of its new messages."""
    scan, _ = known.scan(now, partial=True)
    assert scan.add(rows, None)
    return [message.id for message in known.read(scan, now, now, partial=True)[0]]


def others(count: int) -> list[Message]:
    """Messages from before the conversation."""
    return [stamped(f"other {number}", number - 500.0) for number in range(count)]


def test_a_page_of_a_scan_is_requested_once() -> None:
    """A page of a scan in the background is requested with its cursor. It is not requested again if that fails."""
    caller = Caller(max_retries=2)
    urgency = Urgency(Priority.CHECK)
    caller.run(flows.scan_page(caller.settings, flows.Listing(THREAD), "a", urgency), page([]))
    assert caller.requests[0]["params"]["cursor"] == "a"
    error = caller.run(flows.scan_page(caller.settings, flows.Listing(THREAD), "a", urgency), ok({}, 500))
    assert isinstance(error, FeatherError)
    assert (error.method, error.attempts, len(caller.requests)) == ("GET", 1, 2)


def test_a_stream_is_opened_as_its_conversation_says() -> None:
    """The opening of a stream is as urgent as the conversation says, is repeated as often, and may take as long. By
    default, it may take a little less than the client's timeout.
    """
    caller = Caller(timeout=10.0, rate_limit=10.0)
    urgency = Urgency(Priority.REOPEN)
    stopped = caller.run(flows.open_stream(caller.settings, THREAD, urgency, 1), ok({}, 503))
    assert (stopped.error.method, stopped.error.attempts, len(caller.requests)) == ("GET", 2, 2)
    assert [slot.urgency for slot in caller.slots] == [urgency] * 2
    for seconds, expected in ((None, 9.5), (3.0, 3.0)):
        effect = next(flows.open_stream(Caller(timeout=10.0).settings, THREAD, urgency, 0, seconds))
        assert isinstance(effect, SendRequest)
        assert effect.seconds == expected


def test_a_scan_begins_after_our_first_message() -> None:
    """A scan begins after our first message. If the last one has left out a part, or if three scans have found nothing,
    it reads the whole list, unless somebody still waits for an answer.
    """
    for partial, nothing, now, cursor in (
        (False, 0, 5.0, "1"),
        (False, 0, 99.0, "1"),
        (True, 0, 5.0, "1"),
        (True, 0, 99.0, None),
        (False, 2, 99.0, "1"),
        (False, 3, 99.0, None),
        (False, 3, 5.0, "1"),
    ):
        known = asking()
        for _ in range(nothing):
            scan, behind = known.scan(5.0, partial=False)
            assert behind is not None
            assert scan.add([], None)
            known.read(scan, 5.0, 5.0, partial=False)
        assert known.scan(now, partial=partial)[0].cursor == cursor


def test_a_scan_that_finds_something_removes_doubts() -> None:
    """Only scans in a row that find nothing raise doubts about the message after which they begin."""
    known = asking()
    for page_ in ([], [], [stamped("2", 5.0)], [], []):
        scan, _ = known.scan(9.0, partial=False)
        assert scan.add(page_, None)
        known.read(scan, 9.0, 9.0, partial=False)
    assert known.scan(99.0, partial=False)[0].cursor == "1"


@pytest.mark.parametrize("second", [2.0, -20.0])
def test_a_page_with_old_messages_does_not_follow_our_message(second: float) -> None:
    """If the page after our message shows one that was known before it, or one that is too old, the server has ignored
    the cursor. So the list is read from its beginning.
    """
    known = conversation()
    assert known.hear(stamped("0", 0.5), 0.0, 0.6)
    known.accepted(Accepted("1", 1.0, EPOCH + 1.0), 1.0, asking=True)
    scan, _ = known.scan(9.0, partial=False)
    assert scan.cursor == "1"
    assert not scan.add([stamped("0" if second > 0 else "x", second), stamped("9", 8.0)], None)
    assert scan.cursor is None


def test_a_scan_begins_after_what_was_forgotten() -> None:
    """If a conversation has forgotten its oldest messages, a scan begins at the oldest one that it remembers. The next
    five are its witnesses. A later scan begins where the last one shows.
    """
    known = conversation()
    for number in range(2010):
        known.hear(stamped(str(number), number), 0.0, 5.0 + number)
    for witness, honoured in ((11, True), (15, True), (16, False)):
        scan, _ = known.scan(3000.0, partial=False)
        assert scan.cursor == "10"
        assert not scan.add([stamped(str(witness), witness)], "20")
        assert scan.cursor == ("20" if honoured else None)
    scan, _ = known.scan(3000.0, partial=False)
    assert not scan.add([stamped(str(number), number) for number in range(11, 21)], "20")
    assert scan.add([stamped(str(number), number) for number in range(21, 31)], None)
    known.read(scan, 3000.0, 3000.0, partial=False)
    assert known.scan(3001.0, partial=False)[0].cursor == "20"


def test_a_scan_ends_at_what_was_forgotten() -> None:
    """If lists begin with the newest message, a scan ends at the oldest message that is remembered."""
    known = conversation(NEWEST_FIRST)
    for number in range(2010):
        known.hear(stamped(str(number), number), 0.0, 5.0 + number)
    for number, ends in ((11, False), (10, True)):
        scan, _ = known.scan(3000.0, partial=False)
        assert scan.add([stamped(str(number), number)], "more") is ends


def test_the_first_and_last_messages_of_others_are_remembered() -> None:
    """A list may add fifty messages from before the conversation: the first and the last ones. They count as older than
    all that is known.
    """
    for count, kept in ((3, [*range(3)]), (50, [*range(50)]), (60, [*range(25), *range(35, 60)])):
        known = asking()
        read(known, 99.0, *others(count))
        ranks = known.scan(99.0, partial=True)[0]._ranks
        assert list(ranks) == [*(f"other {number}" for number in kept), "1"]


@pytest.mark.parametrize(("count", "is_new"), [(3, True), (30, True), (60, False)])
def test_after_the_whole_list_an_unknown_message_is_new(count: int, is_new: bool) -> None:
    """Once the whole list was read and remembered, an unknown message is new, also without a time."""
    known = conversation()
    assert read(known, 5.0, *others(count)) == []
    assert read(known, 6.0, stamped("new", None), *others(count)) == ["new"] * is_new


def test_after_a_part_of_the_list_an_unknown_message_may_be_old() -> None:
    """If a scan has ended before the end of the list, an unknown message without a time may be an old one."""
    known = conversation(NEWEST_FIRST)
    scan, _ = known.scan(5.0, partial=True)
    assert scan.add(others(3)[::-1], "more")
    known.read(scan, 5.0, 5.0, partial=True)
    assert read(known, 6.0, stamped("2", None), *others(3)[::-1]) == []


@pytest.mark.parametrize(("at", "order"), [(7.9, "acde"), (8.1, "cdea")])
def test_a_message_that_a_list_lacks_has_its_place_by_its_age(at: float, order: str) -> None:
    """If times do not tell, the list gives the order. A message that it lacks is put before it, or after it if the
    message came within the lag of the list.
    """
    inbox = Inbox(Experience(), log)
    rows = [stamped(id_, None) for id_ in "cde"]
    for message, came in ((rows[2], 9.0), (stamped("a", None), at), (rows[0], 9.0), (rows[1], 9.0)):
        inbox.put(Heard(message, came, frozenset(), frozenset()))
    inbox.put_in_order(rows, 10.0)
    assert "".join(message.id for message in iter(inbox.take, None)) == order


def test_messages_with_one_time_keep_their_order() -> None:
    """Messages that wait are put in the order of their times. Those with the same time keep their order."""
    inbox = Inbox(Experience(), log)
    for id_, second in (("a", 9.0), ("b", 5.0), ("c", 5.0)):
        inbox.put(Heard(stamped(id_, second), 9.0, frozenset(), frozenset()))
    inbox.put_in_order([], 10.0)
    assert [message.id for message in iter(inbox.take, None)] == ["b", "c", "a"]
