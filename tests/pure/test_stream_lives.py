"""What a conversation makes of its streams: which of them failed, which were well, and when the next one is opened."""

from __future__ import annotations

import math
from typing import Final

import pytest
from conversation_pages import PageTalk
from featherhq._core.events import OthersLeftOut, StreamGivenUp, StreamLost
from featherhq._core.slots import Priority
from featherhq._core.sse import LARGEST_EVENT
from featherhq._threads.experience import Experience
from featherhq._threads.streams import Connect
from featherhq.models import Message
from flow_caller import NOW, OTHER

LEFT_OUT: Final = "it left out a message that the list shows"
# A comment of a stream, in bytes. So many of them without a message are not too many, and one more byte is.
COMMENT: Final = b":" + b" " * 65_534 + b"\n"
COMMENTS: Final = 8 * 1024 * 1024 // len(COMMENT)


def renewing() -> tuple[PageTalk, str, str]:
    """A conversation with an open stream that opens the next one, and the jobs of both."""
    talk = PageTalk(known_lives=3)
    last = talk.open()
    talk.now += 90.0
    talk.bring(last, b":\n")
    return talk, last, talk.connect(5.0)


# The bytes of a stream.


def test_messages_of_other_threads_are_counted() -> None:
    """Messages of other threads are left out. An event says how many there were in each piece of the stream."""
    talk = PageTalk()
    job = talk.open()
    assert not talk.hear(job, ("1", 0.0), ("2", 0.0), thread_id=OTHER)
    assert not talk.hear(job, ("3", 0.0), thread_id=OTHER)
    assert talk.hear(job, ("4", 0.0))
    assert talk.events == [OthersLeftOut("stream", 2), OthersLeftOut("stream", 1)]


def test_an_event_without_a_message_does_not_hide_the_next_one() -> None:
    """Messages are read also if another event stands before them in the same piece of the stream."""
    talk = PageTalk()
    job = talk.open()
    data = b'data: hello\n\ndata: {"id": "1", "messageBody": "x"}\n\n'
    assert [message.id for message in talk.bring(job, data)] == ["1"]


def test_an_event_that_is_too_large_ends_the_stream() -> None:
    """If an event is too large, the stream is lost, and the reason says so."""
    talk = PageTalk()
    job = talk.open()
    talk.bring(job, b"data: " + b"x" * (LARGEST_EVENT + 1))
    (event,) = talk.events
    assert event == StreamLost(f"an event of more than {LARGEST_EVENT} bytes", 0.0)
    assert talk.dropped() == [job]


@pytest.mark.parametrize("delivers", [False, True])
def test_a_stream_may_bring_eight_megabytes_without_a_message(delivers: bool) -> None:
    """A stream may bring eight megabytes without a new message. With more, it is lost, and counts as a failed one."""
    talk = PageTalk()
    for delay in (0.0, 0.5):
        job = talk.open()
        if delivers:
            assert talk.hear(job, (job, 0.0))
        talk.now += 10.0
        for _ in range(COMMENTS):
            talk.bring(job, COMMENT)
        assert talk.state.is_open
        talk.bring(job, b":")
        assert not talk.state.is_open
        expected = 0.0 if delivers else delay
        assert talk.events.pop() == StreamLost("8,388,609 bytes without a new message", expected)
        talk.now += expected


def test_the_time_between_heartbeats_is_measured() -> None:
    """A stream counts as dead after a silence of three heartbeats. The time up to the first one does not count."""
    talk = PageTalk()
    job = talk.open()
    for silence in (100.0, 10.0, 9.0):
        talk.now += silence
        talk.bring(job, b":\n")
    assert talk.experience.heartbeat == 10.0
    assert not talk.dropped(29.9)
    assert talk.dropped(0.2) == [job]
    assert talk.events == [StreamLost("silent for too long", 0.0)]


# Failures.


def test_a_stream_that_was_well_ends_a_row_of_failures() -> None:
    """After a stream that has brought a message, or has lived for five seconds, the delays begin anew."""
    for delivers, life in ((True, 0.0), (False, 5.0)):
        talk = PageTalk()
        job = talk.connect()
        for delay in (0.5, 1.0):
            talk.state.streams.failed(job, "no", talk.now)
            event = talk.events.pop()
            assert isinstance(event, StreamLost)
            assert event.reason == "no"
            assert event.delay == pytest.approx(delay)
            job = talk.connect(delay)
        talk.state.streams.opened(job, talk.now)
        assert not delivers or talk.hear(job, ("1", 0.0))
        talk.now += life
        talk.end(job)
        assert talk.events.pop() == StreamLost("cut", 0.0)
        talk.state.streams.failed(talk.connect(), "no", talk.now)
        talk.connect(0.5)


def test_a_message_of_the_list_ends_a_row_of_failures() -> None:
    """If the list shows a new message while streams fail, the delays begin anew: the conversation is active."""
    talk = PageTalk()
    job = talk.connect()
    for delay in (0.5, 1.0, 2.0):
        talk.state.streams.failed(job, "no", talk.now)
        job = talk.connect(delay)
    assert talk.read(talk.made("1"))
    talk.state.streams.failed(job, "no", talk.now)
    talk.connect(0.5)


def test_a_stream_may_ask_for_a_delay() -> None:
    """The `retry` field of a stream is in thousandths of a second."""
    talk = PageTalk()
    job = talk.open()
    talk.bring(job, b"retry: 3000\n\n")
    talk.end(job)
    assert talk.events == [StreamLost("cut", 3.0)]


def test_a_stream_is_opened_soon_after_a_message_of_ours() -> None:
    """If a message of ours is accepted while streams fail, the next stream is opened half a second later."""
    talk = PageTalk()
    job = talk.connect()
    for delay in (0.5, 1.0, 2.0):
        talk.state.streams.failed(job, "no", talk.now)
        job = talk.connect(delay)
    talk.state.streams.failed(job, "no", talk.now)
    talk.send("1")
    talk.connect(0.5)


def test_a_stream_that_opens_ends_a_row_of_refusals() -> None:
    """After a stream that could be opened, the first refusal counts for a minute again."""
    talk = PageTalk()
    job = talk.connect()
    for delay in (60.0, 120.0):
        talk.state.streams.refused(job, "404", talk.now)
        assert talk.events.pop() == StreamGivenUp("404", delay)
        job = talk.connect(delay)
    talk.state.streams.opened(job, talk.now)
    talk.end(job)
    talk.state.streams.refused(talk.connect(), "404", talk.now)
    assert talk.events.pop() == StreamGivenUp("404", 60.0)


@pytest.mark.parametrize("delivers", [False, True])
def test_a_stream_that_leaves_out_messages_is_given_up(delivers: bool) -> None:
    """If streams leave out what the list shows twice, no stream is used for a minute. It begins anew with each
    message that a stream brings.
    """
    talk = PageTalk(Experience(lags=False))
    listed: list[Message] = []
    for last in (False, True):
        job = talk.open()
        talk.now += 5.0
        if last:
            # What came before this stream was open.
            talk.scan()
            assert not talk.read(*listed)
            talk.now += 1.0
        if delivers:
            listed += talk.hear(job, (f"by {job}", 0.0))
        while not talk.pages():
            talk.now += 1.0
            talk.bring(job, b":\n")
        listed.append(talk.made(f"not by {job}"))
        assert talk.read(*listed) == listed[-1:]
        assert not talk.dropped(2.99)
        talk.now += 0.02
    if delivers:
        talk.open()
        assert talk.events == [StreamLost(LEFT_OUT, 0.0)] * 2
    else:
        talk.commands()
        assert talk.events == [StreamLost(LEFT_OUT, 0.0), StreamGivenUp(f"{LEFT_OUT}, again", 60.0)]


# Renewals.


def test_the_last_stream_is_read_for_one_more_second() -> None:
    """When the next stream has opened, the last one is still read for a second, and then dropped."""
    talk, last, job = renewing()
    talk.state.streams.opened(job, talk.now)
    assert not talk.dropped(0.99)
    assert talk.hear(last, ("1", 0.0))
    assert talk.dropped(0.02) == [last]
    assert not talk.hear(last, ("2", 0.0))


def test_the_last_stream_is_read_even_if_the_next_one_ends() -> None:
    """If the next stream ends at once, the last one is still read for its second. If that one ends, it is not dropped
    a second time.
    """
    talk, last, job = renewing()
    talk.state.streams.opened(job, talk.now)
    talk.end(job)
    assert talk.hear(last, ("1", 0.0))
    assert talk.dropped() == [job]
    assert talk.dropped(1.01) == [last]
    talk, last, job = renewing()
    talk.state.streams.opened(job, talk.now)
    talk.end(last)
    assert talk.state.is_open
    assert not talk.dropped(1.01)


def test_renewals_that_fail_three_times_are_given_up() -> None:
    """If the next stream could not be opened early three times in a row, it is opened only when the last one ends."""
    talk, last, job = renewing()
    for again in (True, True, False):
        talk.state.streams.failed(job, "no", talk.now)
        talk.bring(last, b":\n")
        if again:
            job = talk.connect(10.0)
    assert talk.experience.renew_after is None
    assert not any(isinstance(command, Connect) for command in talk.commands(15.0))
    assert min(talk.state.streams.due()) < math.inf
    talk.end(last)
    assert talk.is_connecting()


def test_a_renewal_is_not_urgent() -> None:
    """The next stream of a conversation waits behind all else, as long as the last one is open."""
    talk = PageTalk(known_lives=3)
    last = talk.open()
    talk.now = NOW + 94.0
    talk.bring(last, b":\n")
    talk.state.ask(talk.now)
    (connect,) = (command for command in talk.commands(2.0) if isinstance(command, Connect))
    assert connect.urgency.priority is Priority.RENEW
