"""Sending in fake time: many senders share one rate limit."""

from __future__ import annotations

from typing import Any

import pytest
from fake_time import World
from featherhq import DeliveryUnknownError, FeatherError, RateLimitError
from featherhq._core.effects import Flow, TakeSlot
from featherhq._core.rate_limit import RateLimit
from featherhq._core.slots import Priority, Urgency
from featherhq._settings import Settings
from featherhq._threads.send import send
from model_server import never_sent
from send_checks import check_told
from test_flows import HOUR, MINUTE, Scenario, quiet

__all__ = ["quiet"]


@pytest.mark.parametrize("counting", ["bucket", "sliding", "fixed"])
@pytest.mark.parametrize("within", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("latency", [(0.02, 0.06), (0.1, 0.4)])
def test_sixty_callers_with_three_seconds_each(counting: Any, within: float, latency: tuple[float, float]) -> None:
    """Callers that get a slot in time send their message; all others are told that it was not sent."""
    scenario = Scenario(counting=counting, old=5, latency=latency)
    processes = []
    for number in range(60):
        processes.append(scenario.send(str(number), 3.0))
        scenario.run(within / 60)
    scenario.run(30)
    errors = [process.error for process in processes if process.error is not None]
    assert not [error for error in errors if isinstance(error, DeliveryUnknownError)]
    for number, process in enumerate(processes):
        check_told(scenario, process, str(number))
        assert process.error is None or process.error.delivered is False  # type: ignore[attr-defined]
        assert process.took <= 3.05
    assert len(processes) - len(errors) >= (20 if latency[1] < 0.1 else 10)
    assert not scenario.server.refused


@pytest.mark.parametrize("counting", ["bucket", "sliding", "fixed"])
@pytest.mark.parametrize("latency", [(0.005, 0.02), (0.05, 0.6)])
def test_a_burst_is_never_refused(counting: Any, latency: tuple[float, float]) -> None:
    """For each way to count and each latency, the server accepts all requests of a burst, at nearly the full rate."""
    scenario = Scenario(counting=counting, latency=latency)
    processes = [scenario.send(str(number)) for number in range(200)]
    scenario.run(30)
    assert not scenario.server.refused
    assert scenario.server.received(scenario.thread_id) != []
    for number, process in enumerate(processes):
        check_told(scenario, process, str(number))
        process.value()
    ended = max(process.took for process in processes)
    # Each window is longer by the time that a request takes to reach the server.
    assert ended < 200 / 10 * (1.01 + latency[1] / 2) + 1


def test_of_two_thousand_flows_most_leave_the_queue() -> None:
    """The flows that stay get their slots in order, at 9.8 a second or more."""
    world = World()
    limit = RateLimit(10.0)
    served: list[tuple[float, int]] = []

    def wait(number: int) -> Flow[None]:
        slot = limit.slot(Urgency(Priority.NOW))
        assert (yield from TakeSlot(slot, world.clock() + HOUR))
        slot.answered(world.clock())
        served.append((world.now, number))

    processes = [world.spawn(wait(number)) for number in range(2000)]
    for number, process in enumerate(processes):
        if number % 10:
            world.after(world.random.uniform(0.5, 15), process.cancel)
    world.run(HOUR)
    numbers = [number for _, number in served]
    assert numbers == sorted(numbers)
    assert set(range(0, 2000, 10)) <= set(numbers)
    seconds = served[-1][0] - served[0][0]
    assert (len(served) - 1) / seconds >= 9.8
    assert world.waits["TakeSlot"] < 30 * len(processes)


def send_all_the_time(
    scenario: Scenario, client: Settings, until: float, served: list[float], failed: list[Exception]
) -> None:
    """Start a process that sends messages from four tasks, until the given time."""

    def work(task: int) -> Flow[None]:
        number = 0
        while scenario.world.now < until:
            try:
                yield from send(client, thread_id, f"{task}.{number}", client.deadline(60.0))
                served.append(scenario.world.now)
            except FeatherError as error:
                failed.append(error)
            number += 1

    thread_id = scenario.server.thread()
    for task in range(4):
        scenario.world.spawn(work(task))


@pytest.mark.slow
@pytest.mark.parametrize("counting", ["bucket", "sliding", "fixed"])
@pytest.mark.parametrize("too_many_wait", ["1", None])
def test_eight_processes_share_a_key(counting: Any, too_many_wait: str | None) -> None:
    """No call fails, and a process that starts late gets at least half of the others' share."""
    scenario = Scenario(counting=counting, too_many_wait=too_many_wait)
    served: list[list[float]] = [[] for _ in range(8)]
    failed: list[Exception] = []
    until = 5 * MINUTE
    for number in range(7):
        send_all_the_time(scenario, scenario.settings(), until, served[number], failed)
    scenario.run(MINUTE)
    send_all_the_time(scenario, scenario.settings(), until, served[7], failed)
    scenario.run(until)
    assert not [error for error in failed if isinstance(error, RateLimitError)]
    assert not failed
    shares = [sum(2 * MINUTE <= at < until for at in times) for times in served]
    others = sum(shares[:7]) / 7
    assert shares[7] >= others / 2, shares
    # Together they use most of the rate, and the server accepts most of their requests.
    assert sum(scenario.server.refused.values()) <= len(scenario.server.calls) / 3
    assert sum(shares) >= 0.6 * 10 * (until - 2 * MINUTE), shares


@pytest.mark.slow
def test_a_thousand_idle_conversations_delay_no_send() -> None:
    """One message every three seconds leaves within 0.2 s, from the first second on."""
    scenario = Scenario()
    scenario.world.most_effects = 200_000
    for _ in range(1000):
        scenario.conversation(thread_id=scenario.server.thread()).open_and_listen()
    processes = []
    for number in range(40):
        scenario.run(0.5 if number == 0 else 3.0)
        processes.append(scenario.send(str(number)))
    scenario.run(3)
    assert max(process.took for process in processes) <= 0.2 + 0.06
    assert not scenario.server.refused
    assert all(process.error is None for process in processes)


def test_a_restart_of_the_server_delays_no_send() -> None:
    """If 150 conversations lose their streams and reconnect after five seconds, each message still leaves at once."""
    scenario = Scenario(life=None)
    chats = [scenario.conversation(thread_id=scenario.server.thread()) for _ in range(150)]
    for chat in chats:
        chat.open_and_listen()
    scenario.run(MINUTE)
    scenario.server.plan = lambda *_: never_sent()
    assert scenario.server.cut() == 150
    scenario.run(5)
    scenario.server.plan = None
    processes = []
    for number in range(30):
        processes.append(scenario.send(str(number), 8.0))
        scenario.run(1)
    scenario.run(10)
    assert [process.error for process in processes if process.error is not None] == []
    assert max(process.took for process in processes) <= 0.2 + 0.06
    assert len(scenario.server.open_streams()) == 150
