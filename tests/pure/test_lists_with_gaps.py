"""Lists that a scan cannot fully trust: rows of other threads, repeated cursors, missing times, late clocks."""

from __future__ import annotations

import attrs
from fake_time import EPOCH
from featherhq._core.effects import Accepted
from featherhq._core.events import Event, OthersLeftOut
from featherhq._core.pagination import NEWEST_FIRST, OLDEST_FIRST, UNKNOWN
from featherhq._logging import log
from featherhq._threads import flows
from featherhq._threads.experience import Experience
from featherhq._threads.history import Anchor, HistoryScan
from featherhq._threads.ledger import SendLedger
from featherhq._threads.messages import Messages
from flow_caller import OTHER, THREAD, Caller, page, rows
from history_messages import known as lists, messages
from message_stamps import stamped
from taken_replies import take_reply


def test_messages_of_other_threads_are_counted() -> None:
    """Messages of other threads are left out of a list, and an event tells how many. Without any there is no event."""
    caller = Caller()
    heard: list[Event] = []
    settings = attrs.evolve(caller.settings, listen=heard.append)
    for listed, left_out in ((rows(1, 2), []), ([*rows(1, 2), *rows(3, threadId=OTHER)], [OthersLeftOut("list", 1)])):
        heard.clear()
        flow = flows.list_messages(settings, flows.Listing(THREAD), None, settings.deadline(5))
        assert [message.id for message in caller.run(flow, page(listed)).messages] == ["1", "2"]
        assert [event for event in heard if isinstance(event, OthersLeftOut)] == left_out


def test_only_a_list_that_was_read_to_its_end_is_whole() -> None:
    """A scan has not listed the whole list if it ends at a repeated cursor, or if it began at an anchor."""
    scan = HistoryScan(lists())
    assert not scan.add(messages(1), "1")
    assert scan.add(messages(2), "1")
    assert not scan.is_whole
    scan = HistoryScan(lists(), anchor=Anchor("1", frozenset("2")))
    assert scan.add(messages(2), None)
    assert not scan.is_whole
    scan = HistoryScan(lists())
    assert scan.add(messages(1), None)
    assert scan.is_whole


def test_two_messages_are_enough_to_check_whether_ids_are_cursors() -> None:
    """If nothing comes after an anchor without witnesses, the first page checks whether ids are cursors. It needs two
    messages for that.
    """
    scan = HistoryScan(lists(), anchor=Anchor("70"))
    assert not scan.add(messages(1, 2), "opaque")
    assert not scan.add([], None)
    assert scan.cursor == "1"


def test_known_messages_show_the_order_during_a_scan() -> None:
    """If all times are the same, a scan knows the order from the order in which messages became known."""
    for ranks, order in (({"1": 1, "2": 9}, OLDEST_FIRST), ({"1": 9, "2": 1}, NEWEST_FIRST)):
        scan = HistoryScan(Experience(), ranks=ranks)
        scan.add(messages(1, 2, 3, same=True), None)
        assert scan.order == order


def test_messages_before_the_conversation_show_the_order() -> None:
    """If nothing else shows the order of a list, messages from before the conversation count as older than ours."""
    known = Messages(Experience(order=UNKNOWN), lambda now: EPOCH + now, {"0": -50.0}, 0.0, EPOCH, log)
    known.accepted(Accepted("1", 1.0, EPOCH + 1.0), 1.0, asking=False)
    scan, _ = known.scan(99.0, partial=True)
    assert scan.add([stamped("1", 0.0, "x", "INBOUND"), stamped("0", 0.0)], None)
    assert [message.id for message in scan.listed] == ["0", "1"]


def test_an_anchor_stands_before_its_witness_in_the_order_of_the_server() -> None:
    """A cursor of the server is an anchor only if a known message comes after it in the server's order. The times may
    have another order. If the list begins with the newest message, no cursor of the server is an anchor.
    """
    scan = HistoryScan(lists())
    assert not scan.add(messages(1, 4), "a")
    assert scan.add(messages(2, 3), None)
    assert scan.next_anchor(["4"]) is None
    assert scan.next_anchor(["2"]) == Anchor("a", frozenset("2"))
    scan = HistoryScan(lists(NEWEST_FIRST))
    assert not scan.add(messages(9, 8, 7), "a")
    assert scan.add(messages(6), None)
    assert scan.next_anchor(["6", "7", "8", "9"]) == Anchor("6", frozenset("789"))


def test_what_follows_an_anchor_is_new() -> None:
    """After an anchor, what stands after all messages of others is new, also without a time. What stands before one of
    them is not.
    """
    for listed, fresh in (("2", ["2"]), ("x02", ["2"]), ("0", [])):
        experience = Experience(order=OLDEST_FIRST, ids_are_cursors=True)
        known = Messages(experience, lambda now: EPOCH + now, {"0": 9.0}, 0.0, EPOCH, log)
        known.accepted(Accepted("1", 1.0, EPOCH + 1.0), 1.0, asking=True)
        scan, _ = known.scan(10.0, partial=False)
        assert scan.cursor == "1"
        assert scan.add([stamped(id_, None) for id_ in listed], None)
        assert [message.id for message in known.read(scan, 10.0, 10.0, partial=False)[0]] == fresh


def test_what_follows_an_anchor_answers_only_what_stands_before_it() -> None:
    """A message after an anchor answers our message at the anchor, but not a later one that the list lacks."""
    experience = Experience(order=OLDEST_FIRST, ids_are_cursors=True)
    known = Messages(experience, lambda now: EPOCH + now, {}, 0.0, EPOCH, log)
    first, second = (
        known.accepted(Accepted(id_, at, EPOCH + at), at, asking=True) for id_, at in (("1", 1.0), ("3", 8.0))
    )
    scan, _ = known.scan(10.0, partial=False)
    reply = stamped("2", 5.0)
    assert scan.add([reply], None)
    known.read(scan, 10.0, 10.0, partial=False)
    assert take_reply(known.inbox, second, 10.0, last=True) is None
    assert take_reply(known.inbox, first, 10.0) == reply


def test_the_time_of_the_server_may_become_known_later() -> None:
    """As long as the server's time is not known, our own clock tells what is older than the conversation. Then the
    server's clock does.
    """
    offsets: list[float] = []
    for told, is_new in ((False, True), (True, False)):
        known = Messages(Experience(), lambda now: EPOCH + now + offsets[0] if offsets else None, {}, 0.0, EPOCH, log)
        if told:
            offsets.append(100.0)
            known.time_is_known()
        assert known.hear(stamped("1", 50.0), 0.0, 1.0) is is_new
        assert known.hear(stamped("2", 98.0), 0.0, 1.0)


def test_a_forgotten_message_shows_no_lag() -> None:
    """If a message was forgotten and becomes known again, a list that shows it says nothing about lags."""
    ledger = SendLedger()
    shown = stamped("1", 5.0, "hello", "INBOUND")
    with ledger.sending(THREAD, "hello", 5.0) as first:
        ledger.confirm(first, "1", 6.0)
        ledger.find(first, [], 7.0)
    ledger.saw(THREAD, [stamped("2", 5.0)], 120.0)
    ledger.saw(THREAD, [shown], 121.0)
    with ledger.sending(THREAD, "hello", 125.0) as later:
        ledger.find(later, [shown], 130.0)
    assert ledger.longest_lag == 0.0
