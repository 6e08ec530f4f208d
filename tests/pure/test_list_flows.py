"""What a list may look like, and what it must not be taken to say: flows in fake time."""

from __future__ import annotations

import math
import random

import pytest
from model_server import INBOUND, late_answer, status
from test_flows import HOUR, MINUTE, Scenario, quiet

__all__ = ["quiet"]


@pytest.mark.parametrize("streams", [404, 409, 503])
@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("sends", [False, True])
def test_what_was_said_while_a_machine_slept_that_had_no_stream(streams: int, newest_first: bool, sends: bool) -> None:
    """The first stream is opened after an hour's sleep: what is new counts from the conversation's beginning."""
    scenario = Scenario(stream_status=streams, newest_first=newest_first, old=10).listening()
    if sends:
        scenario.world.run_until(scenario.chat.send("hello"))
    scenario.run(10)
    scenario.say(60, "meanwhile")
    scenario.world.fall_asleep(HOUR)
    scenario.run(HOUR - 1)
    scenario.server.options.stream_status = 200
    scenario.run(11 * MINUTE)
    scenario.chat.check()


@pytest.mark.parametrize("streams", [404, 503])
@pytest.mark.parametrize("newest_first", [False, True])
def test_what_was_said_between_the_opening_and_the_first_message(streams: int, newest_first: bool) -> None:
    """Where there is no stream, it is a gap, however short."""
    scenario = Scenario(stream_status=streams, newest_first=newest_first, old=250).listening()
    scenario.say(0.3, "of its own")
    scenario.run(0.8)
    scenario.world.run_until(scenario.chat.send("hello"))
    scenario.say(1, "reply")
    scenario.run(10 * MINUTE)
    scenario.chat.check()


@pytest.mark.parametrize("seed", [*range(40), 541, 565, 698])
def test_what_is_left_of_a_list_does_not_tell_which_way_it_runs(seed: int) -> None:
    """Nearly all of a thread is deleted, now and again; what comes after that is found."""
    rng = random.Random(seed)  # noqa: S311 - no secret
    scenario = Scenario(
        seed=seed,
        newest_first=True,
        old=rng.choice([0, 5]),
        stream_status=404,
        bad_cursor=rng.choice([400, "empty"]),
    ).listening()
    rows = scenario.server.rows[scenario.thread_id]
    for number in range(rng.randint(1, 3)):
        scenario.world.run_until(scenario.chat.send(f"h{number}"))
        scenario.run(rng.choice([5, 60]))
    for step in range(6):
        there = [row for row in rows if row.deleted_at == math.inf]
        what = rng.random()
        if what < 0.4 and there:
            keep = rng.choice([0, 1, 2])
            gone = there[:-1] if keep == 0 else there[1:] if keep == 1 else rng.sample(there, len(there) - 1)
            for row in gone:
                if row.made_at < scenario.world.now - MINUTE:
                    scenario.server.delete(row)
        elif what < 0.7:
            scenario.say(1, f"{step}")
        else:
            scenario.chat.send(f"s{step}")
        scenario.run(rng.choice([3, 100]))
    scenario.run(5 * MINUTE)
    scenario.chat.check(or_not=[row for row in rows if row.deleted_at < math.inf])


@pytest.mark.parametrize("newest_first", [False, True])
def test_messages_confirmed_in_reverse_do_not_tell_which_way_a_list_runs(newest_first: bool) -> None:
    """Two of one second fill the first page, and were confirmed in the other order, a tenth of a second apart."""
    scenario = Scenario(newest_first=newest_first, stamps="second", largest_page=2, stream_status=404).listening()
    scenario.server.fault("sendMessage", late_answer(0.3))
    scenario.chat.send("a")
    scenario.run(0.1)
    scenario.chat.send("b")
    for number in range(8):
        scenario.say(10 + number * 30, str(number))
    scenario.run(8 * MINUTE)
    assert scenario.server.rows[scenario.thread_id][0].direction == INBOUND
    scenario.chat.check()


def test_a_part_that_was_left_out_is_read_when_nobody_waits() -> None:
    """While a reply is owed, a long list is read from our message on; what came before it is read after that."""
    scenario = Scenario(old=250, life=None).listening()
    scenario.say(3, "left out", streamed=False)
    scenario.run(10)
    scenario.world.run_until(scenario.chat.send("hello"))
    scenario.server.cut()
    scenario.run(50)
    assert scenario.chat.flow._state.regions.coverage.name == "PARTIAL"
    assert scenario.chat.texts == []
    scenario.run(MINUTE)
    assert scenario.chat.texts == ["left out"]
    assert scenario.chat.flow._state.regions.coverage.name == "COVERED"


@pytest.mark.parametrize("newest_first", [False, True])
def test_a_server_that_takes_none_of_its_cursors(newest_first: bool) -> None:
    """Its lists cannot be read beyond a page: that is tried a few times, now and then, and nothing spins."""
    scenario = Scenario(old=300, stream_status=404, newest_first=newest_first, stamps="none")
    scenario.server.plan = lambda call, _: status(400) if "cursor" in call.params else None
    scenario.chat.open()
    scenario.chat.listen()
    scenario.world.run_until(scenario.chat.send("hello"))
    scenario.run(MINUTE)
    assert scenario.server.cost()["listMessages"] < 60
