"""When a conversation reads its list again: if a reply is owed, in silence, and after a list that may have lagged."""

from __future__ import annotations

import math

import pytest
from conversation_pages import PageTalk
from featherhq._core.pagination import OLDEST_FIRST
from featherhq._core.slots import Priority
from featherhq._threads.experience import Experience
from featherhq._threads.table import Regions, Trigger
from taken_replies import take_reply


def doubtful(experience: Experience | None = None) -> tuple[PageTalk, str]:
    """A conversation whose list was read just after its stream had opened, so that it may have lagged."""
    talk = PageTalk(experience)
    job = talk.open_after_gap()
    talk.scan(0.1)
    talk.read()
    return talk, job


# While a reply is owed.


def test_a_silent_stream_is_checked_less_and_less_often() -> None:
    """While a reply is owed and the stream is silent, the list is read after 5 seconds, then after 15, then after 30.
    A message of ours that was accepted begins this anew.
    """
    talk = PageTalk()
    talk.open()
    talk.now += 1.0
    talk.send("1")
    own = talk.made("1", direction="INBOUND")
    for wait in (5.0, 15.0, 30.0):
        assert talk.scan(wait).urgency.priority is Priority.OWED
        assert not talk.read(own)
    talk.send("2")
    assert talk.scan(5.0).urgency.priority is Priority.OWED


def test_a_message_begins_the_checks_anew() -> None:
    """If a message comes that is not the reply, the silence begins anew. The stream has delivered by then, so the
    check comes after 20 seconds.
    """
    talk = PageTalk()
    job = talk.open()
    talk.now += 20.0
    talk.send("1")
    own = talk.made("1", direction="INBOUND")
    for wait in (5.0, 15.0):
        talk.scan(wait)
        talk.read(own)
    assert talk.hear(job, ("2", 30.0))
    talk.scan(20.0)


def test_a_stream_that_opens_begins_the_checks_anew() -> None:
    """The scans from the time without a stream do not count once there is one, so it is checked 15 seconds after the
    first scan.
    """
    talk = PageTalk(Experience(lags=False))
    talk.state.streams.refused(talk.connect(), "404", talk.now)
    talk.now += 30.0
    talk.send("1")
    own = talk.made("1", direction="INBOUND")
    for wait in (1.0, 3.0, 9.0):
        talk.scan(wait)
        talk.read(own)
    talk.now += 17.0
    talk.open()
    talk.scan()
    talk.read(own)
    talk.scan(15.0)


def test_without_a_stream_the_list_is_polled_at_once_and_then_seldom() -> None:
    """If streams are refused and nobody waits, the list is read after one second, after three, and then every thirty
    seconds. A message of ours begins this anew.
    """
    talk = PageTalk()
    talk.state.streams.refused(talk.connect(), "404", talk.now)
    for wait in (1.0, 3.0, 30.0):
        assert talk.scan(wait).urgency.priority is Priority.CHECK
        talk.read()


@pytest.mark.parametrize(("asking", "sending"), [(False, True), (True, False), (True, True)])
def test_a_scan_becomes_urgent_if_somebody_waits(asking: bool, sending: bool) -> None:
    """A scan under way becomes urgent if somebody has sent a message and waits for its reply, and only then."""
    talk = PageTalk()
    talk.open_after_gap()
    page = talk.scan(0.1)
    assert page.urgency.priority is Priority.CHECK
    if asking:
        talk.state.ask(talk.now)
    if sending:
        talk.send("1")
    assert page.urgency.priority is (Priority.NOW if asking and sending else Priority.CHECK)


def test_the_delay_after_a_failed_scan_begins_anew() -> None:
    """After a scan that went well, the delay after a failed one is half a second again."""
    talk = PageTalk()
    talk.open_after_gap()
    talk.scan(0.1)
    for delay in (0.5, 1.0):
        talk.state.scans.failed(talk.now)
        talk.scan(delay)
    talk.read()
    talk.hear("stream 1", ("1", 0.0))
    talk.now += 2.0
    talk.scan()
    talk.state.scans.failed(talk.now)
    talk.scan(0.5)


# In silence.


def test_a_proven_stream_in_silence_costs_no_scan() -> None:
    """If streams are known to deliver, and nothing has happened since the last scan, no scan is due at all."""
    talk = PageTalk(Experience(delivers=True))
    talk.open()
    assert talk.state.scans.due(talk.now) == math.inf


def test_an_unproven_stream_in_silence_is_checked_every_five_minutes() -> None:
    """As long as no stream has delivered a message, the list is read every five minutes."""
    talk = PageTalk()
    talk.open()
    for _ in range(2):
        talk.now += 299.0
        talk.bring("stream 1", b":\n")
        assert talk.scan(1.0).urgency.priority is Priority.CHECK
        talk.read()


def test_messages_are_checked_after_half_a_minute_of_silence() -> None:
    """After messages and half a minute of silence, the list is read, but no sooner than five minutes after the last
    scan. Then no more scan is due.
    """
    talk = PageTalk()
    job = talk.open()
    talk.now += 290.0
    talk.hear(job, ("1", 0.0))
    first = talk.made("1")
    talk.scan(30.0)
    talk.read(first)
    assert talk.state.scans.due(talk.now) == math.inf
    talk.now += 10.0
    talk.hear(job, ("2", 0.0))
    talk.scan(290.0)


# After a list that may have lagged.


def test_a_doubtful_list_in_silence_is_read_again_after_five_minutes() -> None:
    """If nothing happens and no list has lagged so far, a list that was read early is read again after five minutes,
    and not in a hurry.
    """
    talk, _ = doubtful()
    talk.now += 299.0
    talk.bring("stream 1", b":\n")
    assert talk.scan(1.0).urgency.priority is Priority.CHECK


def test_a_doubtful_list_is_read_again_after_the_lag() -> None:
    """If a message has come, a list that was read early is read again after two seconds."""
    talk, job = doubtful()
    talk.hear(job, ("1", 0.0))
    assert talk.scan(2.0).urgency.priority is Priority.CHECK


def test_a_doubtful_list_is_read_after_its_own_lag() -> None:
    """If lists have lagged by 29 seconds, the list is read again after this time. If a reply is owed, it is read after
    5 seconds, as always.
    """
    for owed, wait, priority in ((False, 29.0, Priority.CHECK), (True, 5.0, Priority.OWED)):
        talk, _ = doubtful(Experience(lags=True, lag=29.0, longest_lag=30.0))
        if owed:
            talk.send("1")
        assert talk.scan(wait).urgency.priority is priority


def test_a_list_that_lacks_a_message_is_read_less_and_less_often() -> None:
    """If a list goes on to lack a message that the stream has brought, the time until the next scan is doubled."""
    talk, job = doubtful()
    talk.hear(job, ("1", 0.0))
    talk.scan(2.0)
    talk.read()
    talk.scan(2.12)
    talk.read()
    talk.scan(4.25)


def test_a_gap_after_a_stall_is_read_after_the_lag() -> None:
    """If a stream has ended, the list is read a tenth of a second after the next one has opened. If it was silent for
    too long instead, it may have been well, so the list is read only once, after two seconds.
    """
    for stalled, wait in ((False, 0.1), (True, 2.0)):
        talk = PageTalk(Experience(delivers=True))
        job = talk.open()
        talk.now += 599.0
        talk.bring(job, b"")
        if stalled:
            talk.commands(0.5)
            talk.state.streams.opened(talk.connect(599.5), talk.now)
        else:
            talk.end(job)
            talk.open()
        talk.scan(wait)


def test_a_gap_begins_when_the_first_message_may_be_missed() -> None:
    """A gap begins when the stream is lost. What happens in the gap does not move its beginning."""
    regions = Regions(1.0)
    regions.miss(Trigger.NO_STREAM, 2.0)
    assert regions.gap_from == 2.0
    regions.miss(Trigger.NO_STREAM, 3.0)
    assert regions.gap_from == 2.0


def test_a_scan_that_began_before_the_stream_is_made_again() -> None:
    """If the stream opens while the list is being read, messages may have come between the two. So the list is read
    again a tenth of a second later.
    """
    talk = PageTalk()
    talk.state.begin_without_stream(talk.now)
    talk.state.streams.failed(talk.connect(), "no", talk.now)
    job = talk.connect(0.5)
    talk.state.streams.failed(job, "no", talk.now)
    talk.scan(0.49)
    talk.state.streams.opened(talk.connect(0.5), talk.now)
    talk.read()
    talk.scan(0.1)


def test_a_stream_need_not_bring_the_messages_of_a_gap() -> None:
    """Messages from before the stream opened do not come over it, so it is not lost if only the list shows them."""
    talk = PageTalk()
    talk.open_after_gap()
    talk.scan(0.1)
    assert talk.read(talk.made("1", 1.0))
    assert not talk.dropped(4.0)
    assert talk.state.is_open


def test_a_scan_soon_after_a_message_does_not_count() -> None:
    """A scan less than 5 seconds after the last message says nothing about the silence after it. So the next check
    comes after 5 seconds all the same.
    """
    for seconds in (0.0, 2.0):
        talk = PageTalk(Experience(lags=False))
        talk.open_after_a_message(0.1, seconds + 0.1)
        talk.scan()
        talk.read(talk.made("1", direction="INBOUND"))
        talk.scan(5.0)


@pytest.mark.parametrize(("seconds", "partial"), [(3.0, False), (6.0, True)])
def test_a_list_that_was_read_in_part_is_read_as_a_whole(seconds: float, partial: bool) -> None:
    """While a reply is owed, a scan may begin at our message. If that was sent more than 5 seconds after the gap
    began, the scan leaves out a part of it, and the whole list is read as soon as nobody waits.
    """
    talk = PageTalk(Experience(lags=False, order=OLDEST_FIRST, ids_are_cursors=True))
    talk.open_after_a_message(seconds)
    assert talk.scan().cursor == "1"
    assert talk.read(talk.made("2"))
    assert [page.cursor for page in talk.pages()] == ([None] if partial else [])


# Messages that wait for the list.


def test_a_message_waits_two_seconds_for_the_list() -> None:
    """The list may show an earlier message from a gap. So a message of the stream waits for the list, but no longer
    than two seconds.
    """
    talk = PageTalk()
    job = talk.open_after_gap()
    (message,) = talk.hear(job, ("1", 0.0))
    talk.scan()
    for seconds in (0.0, 1.99):
        assert talk.state.take(talk.now + seconds) is None
    assert talk.state.take(talk.now + 2.01) == message
    assert talk.state.take(talk.now + 2.01) is None


def test_a_conversation_wakes_up_when_a_message_need_not_wait_longer() -> None:
    """A message that waits for the list may be taken after two seconds. Somebody who waits for a reply looks again
    once the list cannot lag any more.
    """
    for asking, wait in ((False, 2.0), (True, 4.0)):
        talk = PageTalk(Experience(lag=4.0))
        job = talk.open_after_gap()
        if asking:
            talk.state.ask(talk.now)
        talk.hear(job, ("1", 0.0))
        talk.scan()
        assert talk.state.due(talk.now) == talk.now + wait
        assert talk.state.due(talk.now + wait) > talk.now + wait


def test_at_the_end_a_possible_reply_is_returned() -> None:
    """A message that was made just before ours may be its reply. It is returned when the time is up."""
    talk = PageTalk()
    talk.open_after_gap()
    talk.now += 30.0
    own = talk.send("2")
    talk.scan()
    talk.read(talk.made("1", 1.0), talk.made("2", direction="INBOUND"))
    assert take_reply(talk.state, own, talk.now) is None
    reply = take_reply(talk.state, own, talk.now, last=True)
    assert reply is not None
    assert reply.id == "1"
