"""The streams of a conversation: when the next one is opened after a failure, an end or a refusal."""

from __future__ import annotations

import pytest
from conversation_talk import Talk
from featherhq._core.effects import Accepted
from featherhq._threads.experience import Experience
from featherhq._threads.streams import Connect
from flow_caller import NOW
from flow_scenarios import quiet

__all__ = ["quiet"]


def test_the_delay_after_a_failed_stream_grows() -> None:
    """The delay is half a second at first, and is doubled with each failure, up to thirty seconds. If the server
    asks for a longer delay, the client obeys, but it never waits longer than thirty seconds.
    """
    talk = Talk()
    job = talk.connect()
    for delay in (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0):
        talk.state.streams.failed(job, "no", talk.now)
        job = talk.connect(delay)
    talk = Talk()
    job = talk.connect()
    for wait, delay in ((3.0, 3.0), (0.1, 1.0), (99.0, 30.0)):
        talk.state.streams.failed(job, "no", talk.now, wait)
        job = talk.connect(delay)


def test_a_stream_that_ends_is_opened_again_at_once() -> None:
    """The next stream is opened at once when a stream ends. If streams end young again and again, there is a delay,
    which grows. A stream may ask for a delay in its `retry` field.
    """
    talk = Talk()
    job = talk.connect()
    for delay in (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0):
        talk.state.streams.opened(job, talk.now)
        talk.state.streams.ended(job, "cut", talk.now)
        job = talk.connect(delay)
    for _ in range(3):
        talk.state.streams.opened(job, talk.now)
        talk.now += 5.0
        talk.state.streams.ended(job, "cut", talk.now)
        job = talk.connect()
    talk.state.streams.opened(job, talk.now)
    talk.state.streams.heard(job, b"retry: 3000\n\n", talk.now)
    talk.state.streams.ended(job, "cut", talk.now)
    talk.connect(3.0)


def test_streams_that_end_together_are_opened_one_after_the_other() -> None:
    """Streams for which nobody waits are opened one after the other. Their lives show when to open the next stream
    before the last one ends.
    """
    experience = Experience()
    talks = [Talk(experience) for _ in range(3)]
    jobs = [talk.connect() for talk in talks]
    for talk, job in zip(talks, jobs, strict=True):
        talk.state.streams.opened(job, talk.now)
        talk.now += 100.0
        if talk is talks[2]:
            talk.state.accepted(Accepted("1", talk.now, None), talk.now)
        talk.state.streams.ended(job, "cut", talk.now)
    assert [talk.is_connecting() for talk in talks] == [True, False, True]
    talks[1].now += 0.006
    assert talks[1].is_connecting()
    talk = Talk()
    job = talk.connect()
    for _ in range(3):
        talk.state.streams.opened(job, talk.now)
        talk.now += 100.0
        talk.state.streams.ended(job, "cut", talk.now)
        job = talk.connect()
    assert talk.experience.renew_after == pytest.approx(95.0)


def test_the_delay_after_a_refused_stream_grows() -> None:
    """The delay is a minute at first, and is doubled with each refusal, up to ten minutes. If streams have brought
    messages before, the first three refusals count as failures.
    """
    for delivers, delays in ((False, ()), (True, (0.5, 1.0, 2.0))):
        talk = Talk()
        talk.experience.delivers = delivers
        job = talk.connect()
        for delay in (*delays, 60.0, 120.0, 240.0, 480.0, 600.0, 600.0):
            talk.state.streams.refused(job, "404", talk.now)
            assert not talk.state.is_opening
            job = talk.connect(delay)


def test_a_call_of_ask_opens_a_stream_at_once() -> None:
    """A call of `ask` opens a stream at once, unless streams have failed more than once in a row, or are refused."""
    for delays, at_once in (((), True), ((0.5,), False)):
        talk = Talk()
        job = talk.connect()
        for delay in delays:
            talk.state.streams.failed(job, "no", talk.now)
            job = talk.connect(delay)
        talk.state.streams.failed(job, "no", talk.now)
        assert not talk.is_connecting()
        talk.state.ask(talk.now)
        assert talk.is_connecting() is at_once
    talk = Talk()
    talk.state.streams.refused(talk.connect(), "404", talk.now)
    talk.state.ask(talk.now)
    assert not talk.is_connecting()
    assert talk.state.is_asking
    talk.state.asked()
    assert not talk.state.is_asking
    talk.connect(60.0)


def test_a_failed_renewal_is_tried_again_after_ten_seconds() -> None:
    """If the next stream cannot be opened early, the client tries it again ten seconds later. The last stream goes
    on meanwhile.
    """
    talk = Talk(known_lives=3)
    talk.state.streams.opened(talk.connect(), talk.now)
    talk.state.streams.heard("stream 1", b":\n", talk.now)
    while not (jobs := [command.job for command in talk.commands(1.0) if isinstance(command, Connect)]):
        talk.state.streams.heard("stream 1", b":\n", talk.now)
    assert 75 < talk.now - NOW <= 96
    talk.state.streams.failed(jobs[0], "no", talk.now)
    assert talk.state.is_open
    talk.state.streams.heard("stream 1", b":\n", talk.now)
    talk.connect(10.0)
