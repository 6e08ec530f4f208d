"""The states of a conversation and its messages, called directly, for cases that flows rarely reach."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

import pytest
from featherhq._core.effects import Accepted, Flow, Sleep
from featherhq._core.slots import Priority
from featherhq._threads import flows
from featherhq._threads.experience import Experience
from featherhq._threads.messages import Messages
from featherhq._threads.state import ConversationState
from featherhq._threads.stream_reader import StreamReader
from featherhq._threads.streams import Connect, Drop
from featherhq._threads.table import COVERAGE, SCAN, STREAM, Coverage, IllegalTransitionError, Scan, Stream, Trigger
from featherhq.models import Direction, Message
from taken_replies import take_reply
from test_flows import Scenario

NOW, WALL = 1000.0, 1_700_000_000.0


def state() -> ConversationState:
    """The state of a new conversation."""
    dice = random.Random(1).random  # noqa: S311 - no secret
    return ConversationState("t", Experience(), dice, lambda at: WALL - NOW + at, {}, NOW, WALL, ignore)


def ignore(_: object) -> None:
    """A listener that ignores all events."""


def open_reader(made: ConversationState) -> StreamReader:
    """The reader of the open stream."""
    reader = made.streams._reader
    assert reader is not None
    return reader


def message(id_: str, seconds: float | None, direction: Direction = "OUTBOUND") -> Message:
    """A message with this id, so many seconds after the start, or without a time."""
    return Message(id_, "x", direction, None if seconds is None else datetime.fromtimestamp(WALL + seconds, UTC))


# The table of states.


def test_the_table_is_complete() -> None:
    """Each state has a row, each row leads to states of its region, and each state except the first can be reached."""
    for table, region in ((STREAM, Stream), (COVERAGE, Coverage), (SCAN, Scan)):
        assert set(table) == set(region)
        reached = {after for row in table.values() for after in row.values()}
        assert reached <= set(region)
        assert set(region) - reached <= {next(iter(region))}


def test_a_trigger_that_the_table_does_not_have_is_an_error() -> None:
    """A trigger that a state does not expect raises an error that names both."""
    with pytest.raises(IllegalTransitionError, match="stream: OPENED in CLOSED"):
        state().regions.go(Trigger.OPENED)


# Streams.


def test_the_result_of_a_dropped_job_is_ignored() -> None:
    """If a dropped job opens a stream, the stream is closed; if the job fails, nothing changes."""
    made = state()
    made.streams.failed("stream 9", "late", NOW)
    made.streams.refused("stream 9", "late", NOW)
    made.streams.opened("stream 9", NOW)
    assert made.regions.stream is Stream.CLOSED
    commands = made.commands(NOW, WALL)
    assert Drop("stream 9") in commands
    assert sum(isinstance(command, Connect) for command in commands) == 1


def test_if_a_stream_is_given_up_the_next_one_is_dropped_too() -> None:
    """If a stream is given up while the next one is being opened, both are dropped."""
    made = state()
    experience = made.streams._experience
    for number in range(3):
        experience.lived(60.0, NOW + number)
    (connect,) = made.commands(NOW, WALL)
    assert isinstance(connect, Connect)
    made.streams.opened(connect.job, NOW)
    made.streams._strikes = 1
    made.streams._situation.suspects["1"] = NOW + 58
    later = NOW + 58
    open_reader(made).heard_at = later
    made.regions.go(Trigger.CONNECT)
    made.streams._next_reader = StreamReader("stream 2")
    commands = made.commands(later, WALL + 58)
    assert {command.job for command in commands if isinstance(command, Drop)} == {"stream 1", "stream 2"}
    assert made.regions.stream is Stream.REFUSED


def renewing() -> tuple[ConversationState, Connect]:
    """A conversation that opens the next stream before the last one ends, and the command that opens it."""
    made = state()
    for number in range(3):
        made.streams._experience.lived(60.0, NOW + number)
    (first,) = made.commands(NOW, WALL)
    assert isinstance(first, Connect)
    made.streams.opened(first.job, NOW)
    open_reader(made).heard_at = NOW + 59
    (second,) = made.commands(NOW + 59, WALL + 59)
    assert isinstance(second, Connect)
    assert (made.regions.stream, second.urgency.priority) == (Stream.RENEWING, Priority.RENEW)
    return made, second


@pytest.mark.parametrize("asking", [False, True])
def test_a_renewal_becomes_urgent_when_the_last_stream_ends(asking: bool) -> None:
    """A renewal waits behind all other requests until the last stream ends, and then becomes urgent."""
    made, connect = renewing()
    if asking:
        made.ask(NOW + 59)
    made.streams.ended("stream 1", "cut", NOW + 60)
    assert made.regions.stream is Stream.OPENING
    assert connect.urgency.priority is (Priority.NOW if asking else Priority.REOPEN)


def test_a_renewal_may_be_refused_again_and_again() -> None:
    """If the server refuses every renewal, the last stream stays open, and the conversation does not poll."""
    made, connect = renewing()
    for number in range(5):
        made.streams.refused(connect.job, "404", NOW + 60 + 20 * number)
        assert made.regions.stream is Stream.OPEN
        open_reader(made).heard_at = NOW + 79 + 20 * number
        made.streams._experience.renewed(well=True)
        (connect,) = (
            command
            for command in made.commands(NOW + 79 + 20 * number, WALL + 79 + 20 * number)
            if isinstance(command, Connect)
        )


# Messages.


def test_the_time_of_our_message_is_learned_without_a_date_header() -> None:
    """If the server never sends its time, the time of our own message is taken from the list."""
    messages = Messages(Experience(), lambda _: None, {}, NOW, WALL, ignore)
    own = messages.accepted(Accepted("1", NOW, None), NOW, asking=True)
    scan, behind = messages.scan(NOW + 1, partial=False)
    assert behind is own
    scan.add([message("1", 5, "INBOUND"), message("2", 6)], None)
    fresh, _ = messages.read(scan, NOW + 1, NOW + 1, partial=False)
    assert [one.id for one in fresh] == ["2"]
    assert own.made_at == WALL + 5
    assert take_reply(messages.inbox, own, NOW + 1) == fresh[0]


def test_a_certain_reply_is_returned_before_a_possible_one() -> None:
    """A message listed just before the question may be its reply, but a message listed after it is returned first.

    The possible reply is kept back as long as a list may lag, or until the end of the `ask`.
    """
    messages = Messages(Experience(), lambda at: WALL - NOW + at, {}, NOW - 100, WALL - 100, ignore)
    own = messages.accepted(Accepted("2", NOW, WALL), NOW, asking=True)
    scan, _ = messages.scan(NOW + 1, partial=False)
    scan.add([message("1", -1), message("2", 0, "INBOUND")], None)
    (possible,), _ = messages.read(scan, NOW + 1, NOW + 1, partial=False)
    assert take_reply(messages.inbox, own, NOW + 1) is None
    assert take_reply(messages.inbox, own, NOW + 2.9) is None
    scan, _ = messages.scan(NOW + 2.9, partial=False)
    scan.add([message("1", -1), message("2", 0, "INBOUND"), message("3", 2)], None)
    (reply,), _ = messages.read(scan, NOW + 2.9, NOW + 2.9, partial=False)
    assert take_reply(messages.inbox, own, NOW + 2.9) == reply
    assert take_reply(messages.inbox, own, NOW + 2.9) is None
    assert take_reply(messages.inbox, own, NOW + 2.9, last=True) == possible


# Errors.


def test_an_error_in_our_own_code_ends_the_iteration(monkeypatch: pytest.MonkeyPatch) -> None:
    """If a scan raises an error that is not one of the library's, the iteration ends with that error."""

    def broken(*_: Any) -> Flow[Any]:
        yield from Sleep(0)
        raise RuntimeError("a bug")

    monkeypatch.setattr(flows, "scan_page", broken)
    scenario = Scenario(stream_status=404)
    scenario.chat.open()
    listener = scenario.chat.listen()
    scenario.world.run_for(5)
    assert isinstance(listener.error, RuntimeError)
