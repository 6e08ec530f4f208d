"""The table of a conversation's states, and what is known of its messages, by themselves: what flows hardly meet."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

import pytest
from featherhq import FeatherError
from featherhq._core.effects import Accepted, Flow, Sleep
from featherhq._core.pagination import NEWEST_FIRST, OLDEST_FIRST, History
from featherhq._core.rate_limit import Priority, RateLimit, Urgency
from featherhq._threads import flows
from featherhq._threads.experience import Experience
from featherhq._threads.history import Anchor, HistoryScan
from featherhq._threads.messages import Messages
from featherhq._threads.send import _chained
from featherhq._threads.state import ConversationState
from featherhq._threads.stream_reader import StreamReader
from featherhq._threads.streams import Connect, Drop
from featherhq._threads.table import COVERAGE, SCAN, STREAM, Coverage, IllegalTransitionError, Scan, Stream, Trigger
from featherhq.models import Message
from test_flows import Scenario

NOW, WALL = 1000.0, 1_700_000_000.0


def state() -> ConversationState:
    dice = random.Random(1).random  # noqa: S311
    return ConversationState("t", Experience(), dice, lambda at: WALL - NOW + at, {}, NOW, WALL, unheard)


def unheard(_: object) -> None:
    """A listener that leaves events alone."""


def open_reader(made: ConversationState) -> StreamReader:
    reader = made.streams._reader
    assert reader is not None
    return reader


def message(id_: str, seconds: float | None, direction: str = "OUTBOUND") -> Message:
    return Message(id_, "x", direction, None if seconds is None else datetime.fromtimestamp(WALL + seconds, UTC))


def test_the_table_is_whole() -> None:
    """Each state has a row, each row leads to states of its region, and each state but the first is reached."""
    for table, region in ((STREAM, Stream), (COVERAGE, Coverage), (SCAN, Scan)):
        assert set(table) == set(region)
        reached = {after for row in table.values() for after in row.values()}
        assert reached <= set(region)
        assert set(region) - reached <= {next(iter(region))}


def test_what_the_table_does_not_have_cannot_happen() -> None:
    """It is an error in the code, and says which."""
    with pytest.raises(IllegalTransitionError, match="stream: OPENED in CLOSED"):
        state().regions.go(Trigger.OPENED)


def test_what_comes_of_a_job_that_was_dropped_is_let_go() -> None:
    """A stream that opens after all is closed; one that fails changes nothing."""
    made = state()
    made.streams.failed("stream 9", "late", NOW)
    made.streams.refused("stream 9", "late", NOW)
    made.streams.opened("stream 9", NOW)
    assert made.regions.stream is Stream.CLOSED
    commands = made.commands(NOW, WALL)
    assert Drop("stream 9") in commands
    assert sum(isinstance(command, Connect) for command in commands) == 1


def test_a_stream_that_is_given_up_takes_the_next_one_with_it() -> None:
    """The one that is being opened in its place is dropped too."""
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
    """A conversation that opens the next stream before the last one ends; and what opens it."""
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
    """It waits in the line of the rate limit behind all others until then."""
    made, connect = renewing()
    if asking:
        made.ask(NOW + 59)
    made.streams.ended("stream 1", "cut", NOW + 60)
    assert made.regions.stream is Stream.OPENING
    assert connect.urgency.priority is (Priority.NOW if asking else Priority.REOPEN)


def test_a_renewal_may_be_refused_as_often_as_it_is_tried() -> None:
    """The last stream goes on: nobody polls for that."""
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


def test_a_server_that_never_tells_its_time() -> None:
    """The stamp of our own message is learned all the same, once the list shows it."""
    messages = Messages(Experience(), lambda _: None, {}, NOW, WALL, unheard)
    own = messages.accepted(Accepted("1", NOW, None), NOW, asking=True)
    scan, behind = messages.scan(NOW + 1, partial=False)
    assert behind is own
    scan.add([message("1", 5, "INBOUND"), message("2", 6)], None)
    fresh, _ = messages.read(scan, NOW + 1, NOW + 1, partial=False)
    assert [one.id for one in fresh] == ["2"]
    assert own.made_at == WALL + 5
    assert messages.inbox.take_reply(own, NOW + 1) == fresh[0]


def test_what_may_be_a_reply_waits_for_what_is_one() -> None:
    """A message stamped shortly before the question, and listed before it: given as long as a list may lag, or at the
    end of an `ask`; and what is listed after the question goes before it.
    """
    messages = Messages(Experience(), lambda at: WALL - NOW + at, {}, NOW - 100, WALL - 100, unheard)
    own = messages.accepted(Accepted("2", NOW, WALL), NOW, asking=True)
    scan, _ = messages.scan(NOW + 1, partial=False)
    scan.add([message("1", -1), message("2", 0, "INBOUND")], None)
    (aside,), _ = messages.read(scan, NOW + 1, NOW + 1, partial=False)
    assert messages.inbox.take_reply(own, NOW + 1) is None
    assert messages.inbox.take_reply(own, NOW + 2.9) is None
    scan, _ = messages.scan(NOW + 2.9, partial=False)
    scan.add([message("1", -1), message("2", 0, "INBOUND"), message("3", 2)], None)
    (reply,), _ = messages.read(scan, NOW + 2.9, NOW + 2.9, partial=False)
    assert messages.inbox.take_reply(own, NOW + 2.9) == reply
    assert messages.inbox.take_reply(own, NOW + 2.9) is None
    assert messages.inbox.take_reply(own, NOW + 2.9, last=True) == aside


def test_a_list_that_turns_out_to_run_the_other_way() -> None:
    """What stands behind an anchor is older then: it is read from its end."""
    scan = HistoryScan(Experience(), anchor=Anchor("1", frozenset({"2"})), order=OLDEST_FIRST)
    assert scan.cursor == "1"
    assert not scan.add([message("2", -10), message("3", -20), message("4", -30), message("5", -40)], "5")
    found: tuple[object, ...] = (scan.cursor, scan.order, scan.from_anchor)
    assert found == (None, NEWEST_FIRST, False)


def test_a_guess_that_cannot_be_proven() -> None:
    """With one message on the first page there is nothing to prove it by: the list is read from its end."""
    scan = HistoryScan(Experience(order=OLDEST_FIRST), anchor=Anchor("70"))
    assert not scan.add([message("1", 0)], "1")
    assert scan.cursor == "70"
    assert not scan.add([], None)
    begun: tuple[object, ...] = (scan.cursor, scan.from_anchor)
    assert begun == (None, False)
    assert scan.may_begin_again is False


def test_messages_without_a_time_in_a_long_history() -> None:
    """They are handed out where the server lists them, and hold nothing up."""
    history = History()
    page = [message(str(number), number * 10) for number in range(20)]
    given = history.add([*page, message("none", None)], "more")
    assert [one.id for one in given] == [*(str(number) for number in range(20)), "none"]


def test_a_slot_that_has_left_the_line_does_not_move_up() -> None:
    """Nor does it come back into it; and whoever never joined is woken in vain."""
    limit = RateLimit(10)
    slot = limit.slot(Urgency(Priority.CHECK))
    slot.wake()
    slot.join(lambda: None)
    slot.leave()
    limit.move(slot)
    other = limit.slot(Urgency(Priority.CHECK))
    other.join(lambda: None)
    assert other.ask(0.0, 10.0) is True


def test_the_errors_of_looks_are_chained_to_what_made_them_necessary() -> None:
    """Below the system's own error, where there is one."""
    look, before = FeatherError("look", hint=""), FeatherError("before", hint="")
    look.__cause__ = OSError("below")
    assert _chained(look, before) is look
    assert look.__cause__.__cause__ is before


def test_an_error_in_our_own_code_is_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look that fails by what is no error of the library's ends the iteration with it."""

    def broken(*_: Any) -> Flow[Any]:
        yield from Sleep(0)
        raise RuntimeError("a bug")

    monkeypatch.setattr(flows, "scan_page", broken)
    scenario = Scenario(stream_status=404)
    scenario.chat.open()
    listener = scenario.chat.listen()
    scenario.world.run_for(5)
    assert isinstance(listener.error, RuntimeError)
