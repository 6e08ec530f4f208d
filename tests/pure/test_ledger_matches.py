"""The send ledger: which listed message belongs to which call, and what the ledger remembers."""

from __future__ import annotations

import pytest
from fake_time import EPOCH
from featherhq._threads.ledger import Match, SendLedger
from featherhq.models import Message
from flow_caller import OTHER, THREAD
from message_stamps import stamped


def found(ledger: SendLedger, *listed: Message, text: str = "hello", finished: bool = False) -> Message | Match:
    """What a list shows about a message. Its call began at 10, and its response can no longer come."""
    with ledger.sending(THREAD, text, 10.0) as mine:
        mine.waiting, mine.finished = False, finished
        return ledger.find(mine, listed, 20.0)


def timed() -> SendLedger:
    """A ledger that knows the server's time. The floor of a call that began at 10 is 8 seconds after the epoch."""
    ledger = SendLedger()
    ledger.heard_time(EPOCH, 0.0)
    return ledger


def user(id_: str, second: float | None, text: str = "hello") -> Message:
    """A message of the user."""
    return stamped(id_, second, text, "INBOUND")


def test_a_message_may_belong_to_an_equal_one_that_waits() -> None:
    """If two calls send equal texts, a listed message belongs to neither of them while the response to the other one
    may still come.
    """
    ledger = SendLedger()
    ledger.heard_time(EPOCH, 0.0)
    listed = [stamped("2", 3.0, "hello", "INBOUND")]
    with ledger.sending(THREAD, "hello", 2.0) as other, ledger.sending(THREAD, " hello\n", 3.0) as mine:
        mine.waiting = False
        assert ledger.find(mine, listed, 4.0) is Match.UNSURE
        other.waiting = False
        assert ledger.find(mine, listed, 4.0) == listed[0]


@pytest.mark.parametrize(
    ("shown", "match"),
    [
        (user("1", 8.0), None),
        (user("1", 7.5), Match.UNSURE),
        (user("1", 8.0 - 600.0), Match.UNSURE),
        (user("1", 8.0 - 600.5), Match.ABSENT),
        (user("1", None), Match.UNSURE),
        (user("1", 8.0, "another"), Match.UNSURE),
        (user("1", 7.5, "another"), Match.ABSENT),
        (user("1", None, "another"), Match.UNSURE),
        (user("1", 9.0, " hel\u006co\n"), None),
        (stamped("1", 9.0, "hello"), Match.ABSENT),
        (stamped("1", 9.0, "another"), Match.ABSENT),
        (stamped("1", 9.0, "hello", None), None),
    ],
)
def test_a_listed_message_is_compared_by_text_time_and_direction(shown: Message, match: Match | None) -> None:
    """A listed message is the message of a call if its text, its time and its direction match. If one of these is
    uncertain, the result is unsure.
    """
    assert found(timed(), shown) == (shown if match is None else match)
    assert found(timed(), user("0", -900.0), shown) == (shown if match is None else match)


def test_a_message_that_was_known_before_is_not_a_match() -> None:
    """A message is not a match if it belongs to another call, or if it was listed before this call began. If it was
    listed at that moment or later, it may be a match.
    """
    shown = user("1", 9.0)
    ledger = timed()
    with ledger.sending(THREAD, "hello", 5.0) as other:
        pass
    ledger.confirm(other, "1", 15.0)
    assert found(ledger, shown) is Match.ABSENT
    for since, match in ((9.9, Match.ABSENT), (10.0, shown), (12.0, shown)):
        ledger = timed()
        ledger.saw(THREAD, [shown], since)
        assert found(ledger, shown) == match
    ledger = timed()
    ledger.saw(OTHER, [shown], 5.0)
    assert found(ledger, shown) == shown
    # A message that was found for one call belongs to that call.
    assert found(ledger, shown) is Match.ABSENT


def test_times_prove_nothing_if_clocks_disagree() -> None:
    """If one of our own messages has a time from before its call, an equal text may be a match, however old it is."""
    old = user("2", 8.0 - 700.0)
    for second, match in ((3.0, Match.ABSENT), (2.5, Match.UNSURE)):
        ledger = timed()
        with ledger.sending(THREAD, "first", 5.0) as other:
            pass
        ledger.confirm(other, "1", 6.0)
        assert found(ledger, user("1", second, "first"), old) is match
        # The messages of others show nothing about the clocks.
        ledger = timed()
        ledger.saw(THREAD, [user("1", second, "first")], 6.0)
        assert found(ledger, user("1", second, "first"), old) is Match.ABSENT
    ledger = timed()
    assert found(ledger, user("1", 8.0)) == user("1", 8.0)
    assert found(ledger, user("1", 7.5), old) is Match.UNSURE


def test_equal_texts_are_assigned_by_counting() -> None:
    """If several calls send equal texts, the first matches belong to the calls that the server is done with.
    Messages in other threads and with other texts do not count. But the text of another call explains a listed
    message.
    """
    one, two = user("1", 9.0), user("2", 9.5)
    for finished, other_finished, listed, match in (
        (False, False, [one], one),
        (False, True, [one], Match.UNSURE),
        (False, True, [one, two], two),
        (True, True, [one], one),
        (True, True, [one, two], one),
    ):
        ledger = timed()
        with ledger.sending(THREAD, "hello", 9.0) as other:
            other.waiting, other.finished = False, other_finished
            assert found(ledger, *listed, finished=finished) == match
    ledger = timed()
    with ledger.sending(OTHER, "hello", 9.0), ledger.sending(THREAD, "bye", 9.0):
        assert found(ledger, user("3", 9.0, "bye")) is Match.ABSENT
        assert found(ledger, user("3", 9.0, "bye"), one) == one
    with timed().sending(THREAD, "hello", 10.0) as mine:
        assert timed().find(mine, [one], 20.0) == one


def test_a_list_that_lacks_a_confirmed_message_lags() -> None:
    """A list that lacks a confirmed message may lack other messages too. When a later list shows that message,
    the lag is known. A message that was only listed before may have been deleted.
    """
    ledger = timed()
    with ledger.sending(THREAD, "first", 5.0) as other:
        pass
    ledger.confirm(other, "1", 6.0)
    assert found(ledger) is Match.UNSURE
    assert ledger.longest_lag == 0.0
    assert found(ledger, user("1", 5.0, "first")) is Match.ABSENT
    assert ledger.longest_lag == 14.0
    with ledger.sending(THREAD, "hello", 10.0) as mine:
        assert ledger.find(mine, [user("1", 5.0, "first")], 25.0) is Match.ABSENT
    assert ledger.longest_lag == 14.0
    ledger = timed()
    ledger.saw(THREAD, [user("1", 5.0, "first")], 6.0)
    assert found(ledger) is Match.ABSENT


def test_the_ledger_remembers_recent_messages_only() -> None:
    """The ledger remembers messages from up to thirty seconds before the oldest open call began. It remembers at
    most eight thousand.
    """
    ledger = timed()
    ledger.saw(THREAD, [user("1", 0.0)], 0.0)
    with ledger.sending(OTHER, "x", 20.0):
        ledger.saw(THREAD, [user("2", 0.0)], 30.0)
        assert set(ledger.known(THREAD)) == {"1", "2"}
        ledger.saw(THREAD, [user("3", 0.0)], 90.0)
        assert ledger.known(THREAD) == {"1": 0.0, "2": 30.0, "3": 90.0}
    ledger.saw(THREAD, [user("3", 0.0), user("4", 0.0)], 120.0)
    assert ledger.known(THREAD) == {"3": 90.0, "4": 120.0}
    ledger.saw(OTHER, [user(str(number), 0.0) for number in range(8000)], 120.0)
    assert ledger.known(THREAD) == {}
    assert len(ledger.known(OTHER)) == 8000


def test_the_highest_known_time_of_the_server_counts() -> None:
    """A date is a little old when it arrives, so the highest one counts. A much lower date means that the server's
    clock was set back.
    """
    ledger = SendLedger()
    assert ledger.server_time(5.0) is None
    assert ledger.floor(5.0) is None
    with ledger.sending(THREAD, "x", 1.0) as sending:
        assert sending.floor is None
        ledger.heard_time(None, 2.0)
        assert sending.floor is None
        ledger.heard_time(EPOCH, 0.0)
        assert sending.floor == EPOCH + 1.0 - 2.0
        ledger.heard_time(EPOCH + 1, 0.0)
        assert sending.floor == EPOCH - 1.0
    for date, known in ((EPOCH, 1.0), (EPOCH - 1.0, 1.0), (EPOCH - 1.1, -1.1), (EPOCH + 3, 3.0)):
        ledger.heard_time(date, 0.0)
        assert ledger.server_time(7.0) == EPOCH + known + 7.0
