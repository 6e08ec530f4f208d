"""Lists of messages in fake time: which conclusions a scan may draw from a list, and which it may not."""

from __future__ import annotations

import math
import random

import pytest
from flow_scenarios import HOUR, MINUTE, Scenario, quiet
from model_server import INBOUND, late_answer, status

__all__ = ["quiet"]


@pytest.mark.parametrize("streams", [404, 409, 503])
@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("sends", [False, True])
def test_messages_during_a_sleep_before_the_first_stream(streams: int, newest_first: bool, sends: bool) -> None:
    """The machine sleeps for an hour before the first stream opens: messages from that hour are handed out.

    All messages since the beginning of the conversation are new.
    """
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
def test_a_message_between_the_opening_and_the_first_send(streams: int, newest_first: bool) -> None:
    """Without a stream, the client also finds a message that the agent sends just before the client's first message."""
    scenario = Scenario(stream_status=streams, newest_first=newest_first, old=250).listening()
    scenario.say(0.3, "without a question")
    scenario.run(0.8)
    scenario.world.run_until(scenario.chat.send("hello"))
    scenario.say(1, "reply")
    scenario.run(10 * MINUTE)
    scenario.chat.check()


@pytest.mark.parametrize("seed", [*range(40), 541, 565, 698])
def test_deleted_messages_do_not_hide_the_order_of_a_list(seed: int) -> None:
    """Several times most messages of a thread are deleted: the client still finds all later messages.

    The few that are left do not mislead it about the order of the list.
    """
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
        action = rng.random()
        if action < 0.4 and there:
            keep = rng.choice([0, 1, 2])
            gone = there[:-1] if keep == 0 else there[1:] if keep == 1 else rng.sample(there, len(there) - 1)
            for row in gone:
                if row.made_at < scenario.world.now - MINUTE:
                    scenario.server.delete(row)
        elif action < 0.7:
            scenario.say(1, f"{step}")
        else:
            scenario.chat.send(f"s{step}")
        scenario.run(rng.choice([3, 100]))
    scenario.run(5 * MINUTE)
    scenario.chat.check(or_not=[row for row in rows if row.deleted_at < math.inf])


@pytest.mark.parametrize("newest_first", [False, True])
def test_messages_accepted_in_reverse_do_not_hide_the_order_of_a_list(newest_first: bool) -> None:
    """Two messages of one second fill the first page, and their responses come in reverse order.

    The client still finds all later messages, whatever the order of the list.
    """
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


def test_the_older_part_of_a_long_list_is_read_later() -> None:
    """While a message of the client has no reply, a scan reads a long list only from this message on.

    A later scan reads the older part, and finds a message that the stream left out.
    """
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
def test_a_server_that_refuses_all_cursors(newest_first: bool) -> None:
    """A server refuses each cursor, so the client can read only one page: it tries again, but sends few requests."""
    scenario = Scenario(old=300, stream_status=404, newest_first=newest_first, stamps="none")
    scenario.server.plan = lambda call, _: status(400) if "cursor" in call.params else None
    scenario.chat.open()
    scenario.chat.listen()
    scenario.world.run_until(scenario.chat.send("hello"))
    scenario.run(MINUTE)
    assert scenario.server.cost()["listMessages"] < 60
