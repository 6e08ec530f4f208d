"""Conversations in fake time: no call loses a message, whether it ends late, early, or by a cancellation."""

from __future__ import annotations

from contextlib import closing, suppress
from typing import Any

import attrs
import pytest
from featherhq._core.effects import Cancel, Flow, Start
from flow_scenarios import HOUR, MINUTE, Scenario, ask_and_wait, quiet
from model_server import late_answer, silence

__all__ = ["quiet"]


def test_a_reply_that_comes_before_its_message_is_accepted() -> None:
    """The reply comes before the response to the POST: `ask` returns it at once after that response."""
    scenario = Scenario(agent=lambda _: [(0.5, "reply")], life=None)
    scenario.chat.open()
    for seconds, wait in ((60.0, 10.0), (9.0, 5.9), (30.0, 19.0)):
        scenario.server.fault("sendMessage", late_answer(wait))
        asked = ask_and_wait(scenario, scenario.chat, "hello", seconds)
        assert asked.value().text == "reply"
        assert asked.took < wait + 0.2


def test_a_reply_at_the_last_moment_is_returned() -> None:
    """A reply that comes before the deadline of `ask` is returned, even at the last moment."""
    for tenths in range(1, 40):
        delay = 4.0 - tenths / 100
        scenario = Scenario(agent=lambda _, delay=delay: [(delay - 0.2, "reply")], life=None, latency=(0.02, 0.02))  # type: ignore[misc]
        scenario.chat.open()
        assert ask_and_wait(scenario, scenario.chat, "hello", 4.0).value().text == "reply", delay


def test_a_reply_that_a_busy_machine_has_not_read_yet_is_returned() -> None:
    """A busy machine has received the reply but not read it at the deadline: `ask` still returns the reply."""
    scenario = Scenario(life=None, heartbeat=None)
    late = [0.0]
    busy = attrs.evolve(scenario.client, clock=lambda: scenario.world.clock() + late[0])
    chat = scenario.conversation(busy)
    chat.open()
    asked = chat.ask("hello", 5.0)
    scenario.run(3)
    stream = scenario.server.open_streams()[0]

    def arrive() -> None:
        assert stream.connection is not None
        stream.connection.write(b": heartbeat\n\n")
        stream.connection.write(
            scenario.server._event(scenario.server.say(scenario.thread_id, "reply", streamed=False))
        )
        late[0] = 10.0

    scenario.world.after(0, arrive)
    scenario.run(1)
    assert asked.value().text == "reply"


def test_a_scan_without_a_response_does_not_delay_the_close() -> None:
    """A conversation is closed while the server does not answer a scan: the iteration over messages ends at once."""
    scenario = Scenario().listening()
    scenario.server.fault("listMessages", *[silence()] * 9)
    scenario.run(5)
    scenario.server.cut()
    scenario.run(3)
    listener = next(process for process in scenario.world.processes if process.name == "listen")
    assert scenario.server.cost()["listMessages"] == 1
    scenario.chat.close()
    assert listener.done
    assert listener.error is None
    assert not scenario.chat.mailbox.jobs


@pytest.mark.parametrize("patience", [0.2, 0.3, 1.0])
@pytest.mark.parametrize("options", [{"stream_status": 404}, {}], ids=["polling", "stream"])
def test_short_waits_lose_no_message(patience: float, options: dict[str, Any]) -> None:
    """Waits that are shorter than a scan, one after the other, hand out each message."""
    scenario = Scenario(latency=(0.5, 0.6), **options)
    scenario.chat.open()
    scenario.world.run_until(scenario.chat.send("hello"))
    for number in range(5):
        scenario.say(1 + 7.0 * number, str(number))
    while scenario.world.now < 3 * MINUTE:
        scenario.world.run_until(scenario.chat.replies(patience))
    scenario.chat.check()
    assert scenario.chat.late() < 35
    assert scenario.cost() < 40


def test_cancelled_waits_lose_no_message() -> None:
    """Waits that are cancelled again and again, for example by `asyncio.wait_for`, lose no message."""
    scenario = Scenario(life=(3.0, 9.0))
    scenario.chat.open()
    for number in range(20):
        scenario.say(1.3 * number, str(number))
    while scenario.world.now < MINUTE:
        listener = scenario.chat.listen()
        scenario.run(0.2)
        listener.cancel()
    scenario.chat.check()
    assert scenario.chat.late() < 4


def given_up(flow: Flow[Any], after: int) -> Flow[Any]:
    """Run a flow, and give it up after it has started or cancelled `after` + 1 jobs."""
    result: Any = None
    with suppress(StopIteration), closing(flow):
        while True:
            effect = flow.send(result)
            result = yield effect
            if isinstance(effect, Start | Cancel):
                if not after:
                    return None
                after -= 1
    return result


@pytest.mark.parametrize("after", [0, 1])
@pytest.mark.parametrize("options", [{"life": (3.0, 9.0)}, {"life": (20.0, 20.0)}, {"stream_status": 404}], ids=str)
def test_a_call_that_is_given_up_at_any_step_loses_no_message(options: dict[str, Any], after: int) -> None:
    """A caller gives up a call just after it starts or cancels a job: no message is lost or late."""
    scenario = Scenario(agent=lambda text: [(0.5, f"re {text}")], **options)
    scenario.chat.open()
    for number in range(20):
        scenario.say(4.3 * number, str(number))
    calls = 0
    while scenario.world.now < 2 * MINUTE:
        calls += 1
        if calls % 10 == 0:
            scenario.world.run_until(scenario.chat.send(f"{calls}"))
        flow = scenario.chat._listen(0.3)
        scenario.world.run_until(scenario.chat._spawn(given_up(flow, after) if calls % 3 else flow, "call"))
    scenario.chat.check()
    assert scenario.chat.late() < 35


@pytest.mark.parametrize("resets", [False, True])
@pytest.mark.parametrize(
    "options", [{"stream_status": 404}, {"life": (30.0, 40.0)}, {"life": None}, {"heartbeat": None}]
)
def test_a_machine_that_sleeps_again_and_again(resets: bool, options: dict[str, Any]) -> None:
    """The machine sleeps ten times, also during scans and openings: messages from these times come in a minute."""
    for seed in range(6):
        scenario = Scenario(seed=seed, **options).listening()
        rng = scenario.world.random
        for number in range(10):
            scenario.run(rng.uniform(0, 50))
            asleep = rng.choice([6.0, 60.0, 4 * HOUR])
            scenario.say(rng.uniform(0, asleep), str(number))
            scenario.world.fall_asleep(asleep, resets=resets)
            scenario.run(asleep)
        woke = scenario.world.now
        scenario.run(300)
        scenario.chat.check()
        assert max(message.at for message in scenario.chat.handed) < woke + MINUTE
