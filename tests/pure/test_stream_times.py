"""The streams of a conversation: how urgent they are, when they are renewed, and what a sleep of the machine does."""

from __future__ import annotations

import pytest
from conversation_pages import PageTalk
from featherhq._core.events import StreamLost
from featherhq._core.slots import Priority
from featherhq._threads.experience import Experience
from featherhq._threads.state import Command
from featherhq._threads.streams import Connect, Drop
from featherhq._threads.table import Coverage
from featherhq.models import Message


def after_sleep(talk: PageTalk, *sleeps: float) -> list[Command]:
    """The commands after sleeps of these lengths in all. The monotonic clock stands still meanwhile."""
    return talk.state.commands(talk.now, talk.server_time(talk.now) + sum(sleeps))


# A machine that sleeps.


def test_a_stream_is_replaced_after_each_sleep_of_the_machine() -> None:
    """While the machine sleeps, its connections are lost. So the open stream is dropped, and the next one is opened
    at once. This is so after each sleep. A clock that is set forward by four seconds is no sleep.
    """
    talk = PageTalk()
    job = talk.open()
    for sleeps in ((60.0,), (60.0, 90.0)):
        dropped, connect = after_sleep(talk, *sleeps)
        assert dropped == Drop(job)
        assert isinstance(connect, Connect)
        assert talk.events.pop() == StreamLost(f"the machine was asleep for {sleeps[-1]:.0f} s", 0.0)
        talk.state.streams.opened(connect.job, talk.now)
        job, talk.now = connect.job, talk.now + 10.0
    after_sleep(talk, 60.0, 90.0, 4.0)
    assert talk.state.is_open


def test_a_sleep_before_the_stream_opens_leaves_a_gap() -> None:
    """If the machine sleeps between the beginning of a conversation and its first stream, messages may have come in
    that time. So the list is read when the stream is open.
    """
    for began, sleeps in ((False, 60.0), (True, 60.0), (True, 1.0)):
        talk = PageTalk()
        job = talk.connect() if began else ""
        commands = after_sleep(talk, sleeps)
        job = job or next(command.job for command in commands if isinstance(command, Connect))
        assert (talk.state.regions.coverage is Coverage.GAP) is (sleeps > 5.0)
        assert talk.events == []
        talk.state.streams.opened(job, talk.now)
        assert (talk.state.scans.due(talk.now) < talk.now + 1.0) is (sleeps > 5.0)


# When a stream is opened, and how urgent that is.


@pytest.mark.parametrize(("chance", "age"), [(0.0, 95.0), (0.5, 85.5), (1.0, 76.0)])
def test_renewals_are_spread_over_the_life_of_a_stream(chance: float, age: float) -> None:
    """Streams that were opened together are not renewed together, but over a fifth of their usual life. All of them
    are renewed before they end.
    """
    talk = PageTalk(known_lives=3, chance=chance)
    talk.open()
    talk.now += age - 1.0
    talk.bring("stream 1", b":\n")
    talk.connect(1.0)


@pytest.mark.parametrize(
    ("owed", "asking", "priority"),
    [(False, False, Priority.REOPEN), (True, False, Priority.OWED), (True, True, Priority.NOW)],
)
def test_a_stream_is_as_urgent_as_what_it_brings(owed: bool, asking: bool, priority: Priority) -> None:
    """A stream is more urgent if a reply is owed, and most urgent if somebody waits for that reply."""
    talk = PageTalk()
    job = talk.open()
    talk.now += 1.0
    if asking:
        talk.state.ask(talk.now)
    if owed:
        talk.send("1")
    talk.end(job)
    (connect,) = (command for command in talk.commands(0.1) if isinstance(command, Connect))
    assert connect.urgency.priority is priority


# Streams that leave out messages.


def leave_out(talk: PageTalk, job: str, listed: list[Message]) -> list[str]:
    """Let an open stream leave out a message of the list. Returns the jobs that open the next stream at once."""
    talk.state.streams.opened(job, talk.now)
    talk.now += 5.0
    if talk.state.regions.coverage is not Coverage.COVERED:
        # What came before this stream was open.
        talk.scan()
        assert not talk.read(*listed)
        talk.now += 1.0
    while not talk.pages():
        talk.now += 1.0
        talk.bring(job, b":\n")
    listed.append(talk.made(f"not by {job}"))
    assert talk.read(*listed) == listed[-1:]
    return [command.job for command in talk.commands(3.01) if isinstance(command, Connect)]


def test_after_a_pause_a_stream_may_leave_out_a_message_again() -> None:
    """If two streams in a row leave out messages, no stream is used for a minute. After that, two more of them must
    leave out messages before there is another pause.
    """
    talk = PageTalk(Experience(lags=False))
    listed: list[Message] = []
    job = talk.connect()
    for _ in range(2):
        (again,) = leave_out(talk, job, listed)
        assert leave_out(talk, again, listed) == []
        job = talk.connect(60.0)
        # The list was read meanwhile.
        assert not talk.read(*listed)
