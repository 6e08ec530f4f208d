"""The send ledger: which listed message belongs to which send."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from conftest import THREAD_ID
from featherhq._threads.ledger import Match, Sending, SendLedger
from featherhq.models import Direction, Message


def message(number: int, at: float | None, text: str = "yes", direction: Direction = "INBOUND") -> Message:
    """A message as the history lists it."""
    return Message(str(number), text, direction, None if at is None else datetime.fromtimestamp(at, UTC))


def find(ledger: SendLedger, sending: Sending, *listed: Message, now: float = 12.0) -> Message | Match:
    """Look for the message of `sending` among the listed messages."""
    return ledger.find(sending, listed, now)


def ledger_with_clock() -> SendLedger:
    """A send ledger that knows the server's clock: it is 1000 at our time 0."""
    ledger = SendLedger()
    ledger.heard_time(1000, 0)
    return ledger


def test_the_ledger_learns_the_servers_clock_from_its_dates() -> None:
    """The offset is the highest one that fits all dates, until the server sets its clock back. Without a date it is
    unknown.
    """
    ledger = SendLedger()
    assert ledger.floor(10) is None
    assert ledger.server_time(10) is None
    ledger.heard_time(None, 10)
    assert ledger.floor(10) is None
    for date, now, offset in ((1000, 10, 990), (1001, 11.5, 990), (1002, 11.6, 990.4), (900, 12, 888)):
        ledger.heard_time(date, now)
        assert ledger.offset == pytest.approx(offset)
    assert ledger.floor(10) == pytest.approx(896)
    assert ledger.server_time(10) == pytest.approx(898)


def test_the_floor_of_a_send_does_not_move() -> None:
    """The floor is the earliest time that the message can have. It depends on the clock at the start of the send, or on
    the first known clock. Later dates do not change it.
    """
    ledger = SendLedger()
    with ledger.sending("t", "yes", 10) as early:
        assert early.floor is None
        ledger.heard_time(1011, 11)
        assert early.floor == pytest.approx(1008)
        ledger.heard_time(2012, 12)
        assert early.floor == pytest.approx(1008)
        with ledger.sending("t", "yes", 13) as later:
            assert later.floor == pytest.approx(2011)


def test_each_listed_message_matches_one_send() -> None:
    """A listed message does not match if it is the agent's, if it may belong to another unfinished send, or if another
    send has it.
    """
    ledger = ledger_with_clock()
    with ledger.sending("t", "yes", 10) as first, ledger.sending("t", " yes\n", 10) as second:
        listed = [message(1, 1010), message(2, 1011, direction="OUTBOUND")]
        first.waiting, first.finished = False, True
        assert find(ledger, first, *listed) is Match.UNSURE
        second.waiting = False
        # The server work for the first is over, and may go on for the second: so the message belongs to the first.
        assert find(ledger, second, *listed) is Match.UNSURE
        assert find(ledger, first, *listed) == listed[0]
        first.finished = False
        assert find(ledger, second, *listed) is Match.ABSENT
        assert find(ledger, second, *listed, message(5, None)) is Match.UNSURE
        assert find(ledger, second, *listed, message(6, 1012)) == message(6, 1012)


def test_a_message_that_was_listed_before_the_send_is_not_a_match() -> None:
    """A message that was listed before the send is not a match, whatever its text and its time are."""
    ledger = ledger_with_clock()
    ledger.saw("t", [message(7, 1012), message(8, 1012, "other"), message(9, None)], 13)
    with ledger.sending("t", "yes", 14) as sending:
        sending.waiting = False
        assert find(ledger, sending, message(7, 1012), message(8, 1012, "other"), message(9, None)) is Match.ABSENT
        # A message that was listed after the start of the send may match.
        ledger.saw("t", [message(10, 1015)], 15)
        assert find(ledger, sending, message(10, 1015)) == message(10, 1015)


@pytest.mark.parametrize(
    ("at", "text", "match"),
    [
        (1008.1, "yes", None),
        (1007.9, "yes", Match.UNSURE),
        (409, "yes", Match.UNSURE),
        (407, "yes", Match.ABSENT),
        (None, "yes", Match.UNSURE),
        (1008.1, "YES", Match.UNSURE),
        (1007.9, "YES", Match.ABSENT),
        (None, "YES", Match.UNSURE),
        (1008.1, "another send's", Match.ABSENT),
        (None, "another send's", Match.ABSENT),
    ],
)
def test_a_possible_match_leaves_the_outcome_unsure(at: float | None, text: str, match: Match | None) -> None:
    """An equal text that is up to ten minutes too old is a possible match. Another text at the right time is one too,
    unless it belongs to another send.
    """
    ledger = ledger_with_clock()
    with ledger.sending("t", "yes", 10) as sending, ledger.sending("t", "another send's", 10):
        sending.waiting = False
        listed = message(1, at, text)
        assert find(ledger, sending, listed) == (listed if match is None else match)
        agents = message(1, at, text, "OUTBOUND")
        assert find(ledger, sending, agents, now=13) is Match.ABSENT if match is not None else True


def test_without_a_known_clock_each_message_is_a_possible_match() -> None:
    """If the server's clock is unknown, each message that belongs to no send is a possible match."""
    ledger = SendLedger()
    with ledger.sending("t", "yes", 10) as sending:
        sending.waiting = False
        assert find(ledger, sending) is Match.ABSENT
        assert find(ledger, sending, message(1, 1010)) is Match.UNSURE
        assert find(ledger, sending, message(1, 1010, "no")) is Match.UNSURE


def test_a_list_without_a_confirmed_message_proves_nothing() -> None:
    """If a list does not show a confirmed message, it may not show this message either."""
    ledger = ledger_with_clock()
    with ledger.sending("t", "yes", 14) as sending:
        sending.waiting = False
        with ledger.sending("t", "other", 14) as other:
            ledger.confirm(other, "8", 15)
        assert find(ledger, sending, now=16) is Match.UNSURE
        assert find(ledger, sending, message(8, 1014, "other"), now=16) is Match.ABSENT


def test_a_message_with_a_wrong_time_makes_times_unreliable() -> None:
    """If one of our own messages has a wrong time, an equal text that is far too old may be a match."""
    ledger = ledger_with_clock()
    with ledger.sending("t", "yes", 14) as sending:
        sending.waiting = False
        with ledger.sending("t", "other", 14) as other:
            ledger.confirm(other, "8", 15)
        assert find(ledger, sending, message(8, 500, "other"), message(9, 300), now=16) is Match.UNSURE
        assert find(ledger, sending, message(8, 1014, "other"), message(9, 300), now=16) is Match.ABSENT


def test_texts_are_compared_as_servers_may_store_them() -> None:
    """Two texts are equal if they differ only in white space or in Unicode normalisation."""
    ledger = ledger_with_clock()
    for number, (sent, stored) in enumerate([(" a  b\n", "a b"), ("cafe\u0301", "caf\xe9"), ("a\r\nb", "a\nb")]):
        with ledger.sending("t", sent, 10) as sending:
            sending.waiting = False
            listed = message(number, 1010, stored)
            assert find(ledger, sending, listed) == listed


def test_known_messages_are_forgotten_after_thirty_seconds() -> None:
    """The ledger forgets a message thirty seconds after it was listed. If it was confirmed later, the thirty seconds
    begin then.
    """
    ledger = ledger_with_clock()
    with ledger.sending("t", "yes", 100) as last:
        ledger.confirm(last, "10", 101)
    assert ledger.known("t") == {"10": 101}
    # It was listed, and a moment later it was confirmed: the ledger knows it since then.
    ledger.saw("t", [message(12, 1000)], 102)
    with ledger.sending("t", "yes", 102) as found:
        ledger.confirm(found, "12", 103)
        ledger.confirm(found, "13", 103)
        ledger.confirm(found, "13", 103)
    ledger.saw("t", [message(14, 1000)], 132.5)
    assert set(ledger.known("t")) == {"12", "13", "14"}
    ledger.saw("u", [message(11, 1000)], 170)
    assert ledger.known("t") == {}
    assert ledger.known("u") == {"11": 170}


@pytest.mark.slow
def test_the_ledger_forgets_the_oldest_confirmed_messages() -> None:
    """The ledger keeps only the last thousands of confirmed messages, and each for thirty seconds. So its memory is
    bounded.
    """
    ledger = SendLedger()
    for number in range(20_000):
        with ledger.sending(THREAD_ID, "hello", number / 1000) as sending:
            ledger.confirm(sending, str(number), number / 1000)
    known = ledger.known(THREAD_ID)
    assert len(known) == 8_000
    assert "19999" in known
    assert "11999" not in known
    with ledger.sending("another", "hello", 60) as sending:
        ledger.confirm(sending, "later", 60)
    assert ledger.known(THREAD_ID) == {}
