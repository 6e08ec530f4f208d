"""One conversation for very long: what it remembers has an end, and nothing comes twice when it has forgotten."""

from __future__ import annotations

import gc
import tracemalloc
from typing import Any

import pytest
from featherhq._logging import logger
from test_flows import Scenario

MEGABYTE = 2**20
# Replies to each message, and messages.
REPLIES, SENDS = 10, 400


@pytest.fixture(autouse=True, scope="module")
def quiet() -> Any:
    """Each `ask` warns of earlier ones."""
    logger.setLevel("ERROR")
    yield
    logger.setLevel("NOTSET")


def talk(scenario: Scenario, sends: int, *, ask: bool) -> None:
    """Send so many messages, each of which has ten replies."""
    call: Any = scenario.chat.ask if ask else scenario.chat.send
    for number in range(sends):
        scenario.world.run_until(call(f"{scenario.world.now:.3f}/{number}"))
        scenario.run(0.3)


def replies(text: str) -> list[tuple[float, str]]:
    return [(number / 100, f"{text}.{number}") for number in range(1, REPLIES + 1)]


def held() -> int:
    """Bytes that were allocated in the package's files since that is counted."""
    gc.collect()
    mine = tracemalloc.Filter(inclusive=True, filename_pattern="*/featherhq/*")
    return sum(trace.size for trace in tracemalloc.take_snapshot().filter_traces([mine]).traces)


@pytest.mark.parametrize("ask", [False, True], ids=["iteration", "ask alone"])
def test_memory_does_not_grow(ask: bool) -> None:
    """Neither where every message is taken, nor where one reply in ten is: a megabyte at the most."""
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


@pytest.mark.parametrize("newest_first", [False, True])
def test_what_was_forgotten_does_not_come_again(newest_first: bool) -> None:
    """More messages than are remembered; then the stream is cut, and a look reads back as far as it remembers."""
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
    # A page holds a hundred of the two thousand and more that are remembered.
    assert scenario.server.cost()["listMessages"] < 80


def test_what_only_asks_left_is_dropped_from_the_oldest_on(caplog: pytest.LogCaptureFixture) -> None:
    """The last 256 wait for whoever iterates; it is told once."""
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


def test_one_who_takes_a_message_reads_no_further_than_needed() -> None:
    """What is not read waits in the mailbox, and the server with it, so that no flood fills the memory; all comes."""
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
