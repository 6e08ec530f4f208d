"""Very long conversations in fake time: they use limited memory, and hand out no message twice."""

from __future__ import annotations

import gc
import tracemalloc
from typing import Any

import pytest
from featherhq._logging import logger
from flow_scenarios import Scenario, quiet

__all__ = ["quiet"]

MEGABYTE = 2**20
# The number of replies to each message, and the number of messages.
REPLIES, SENDS = 10, 400


def talk(scenario: Scenario, sends: int, *, ask: bool) -> None:
    """Send some messages. Each gets ten replies."""
    call: Any = scenario.chat.ask if ask else scenario.chat.send
    for number in range(sends):
        scenario.world.run_until(call(f"{scenario.world.now:.3f}/{number}"))
        scenario.run(0.3)


def replies(text: str) -> list[tuple[float, str]]:
    """What the agent answers: pairs of a delay and a text."""
    return [(number / 100, f"{text}.{number}") for number in range(1, REPLIES + 1)]


def held() -> int:
    """Return the bytes that the package's files hold, of those allocated since tracemalloc started."""
    gc.collect()
    mine = tracemalloc.Filter(inclusive=True, filename_pattern="*/featherhq/*")
    return sum(trace.size for trace in tracemalloc.take_snapshot().filter_traces([mine]).traces)


@pytest.mark.slow
@pytest.mark.parametrize("ask", [False, True], ids=["iteration", "ask alone"])
def test_memory_does_not_grow(ask: bool) -> None:
    """After 400 messages with ten replies each, a conversation holds less than one more megabyte.

    This is so if the caller takes every message, and if it takes one reply in ten.
    """
    scenario = Scenario(agent=replies, life=None, counting=None, client={"rate_limit": None})
    scenario.chat.open()
    if not ask:
        scenario.chat.listen()
    talk(scenario, 20, ask=ask)
    tracemalloc.start()
    try:
        before = held()
        talk(scenario, SENDS, ask=ask)
        assert held() - before < MEGABYTE
    finally:
        tracemalloc.stop()
    if not ask:
        assert len(scenario.chat.handed) == (20 + SENDS) * REPLIES


@pytest.mark.slow
@pytest.mark.parametrize("newest_first", [False, True])
def test_forgotten_messages_are_not_handed_out_again(newest_first: bool) -> None:
    """A thread has more messages than the client remembers, and the stream is cut: old messages are not handed out
    again.

    The scan reads back only as far as the client remembers.
    """
    scenario = Scenario(
        agent=replies, life=None, counting=None, newest_first=newest_first, client={"rate_limit": None}, old=30
    ).listening()
    talk(scenario, 260, ask=False)
    for text in ("one", "two"):
        scenario.server.cut()
        scenario.say(0.01, text)
        scenario.run(400)
        assert scenario.chat.texts[-1] == text
    scenario.chat.check()
    # The client remembers more than two thousand messages, and a page holds a hundred of them.
    assert scenario.server.cost()["listMessages"] < 80


def test_the_oldest_messages_that_no_caller_takes_are_dropped(caplog: pytest.LogCaptureFixture) -> None:
    """A caller only asks and takes no other messages: the last 256 of them stay, and one warning tells of the rest."""
    scenario = Scenario(agent=replies, life=None, counting=None, client={"rate_limit": None})
    scenario.chat.open()
    logger.setLevel("WARNING")
    talk(scenario, 40, ask=True)
    logger.setLevel("ERROR")
    assert sum("were not taken" in record.message for record in caplog.records) == 1
    taken = len(scenario.chat.handed)
    scenario.chat.replies(1.0)
    scenario.run(10)
    assert 256 <= len(scenario.chat.handed) - taken < 256 + REPLIES
    assert len({message.message_id for message in scenario.chat.handed}) == len(scenario.chat.handed)


def test_a_call_for_one_message_reads_no_more_than_needed() -> None:
    """A call for one message leaves later events in the mailbox, and the server has to wait: no flood fills the memory.

    Later calls hand out all of these messages.
    """
    scenario = Scenario(life=None, counting=None)
    scenario.chat.open()
    for number in range(1000):
        scenario.say(number / 1000, str(number))
    scenario.run(2)
    scenario.world.run_until(scenario.chat._spawn(scenario.chat.flow.next(None), "next"))
    assert len(scenario.chat.flow._state.messages.inbox) == 255
    listener = scenario.chat.replies(5.0)
    scenario.world.run_until(listener)
    assert scenario.chat.texts == [str(number) for number in range(1, 1000)]
