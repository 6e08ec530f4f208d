"""Messages that are sent once by their keys: workers are killed or stopped at every step, and share equal texts."""

from __future__ import annotations

import random
from functools import partial
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from model_server import Call, Fault, late_answer, lost_after, lost_before, never_sent, proxy_cut, slow, status
from once_workers import Fleet, Mishap
from test_flows import Scenario, quiet

__all__ = ["quiet"]

# The effects of a call without a fault: look, take a slot, note the attempt, send the request, record the receipt.
STEPS = 5
KILLS = [Mishap("killed before", step) for step in range(STEPS)] + [Mishap("killed during", 3)]
KILLS.append(Mishap("killed after", STEPS - 1))


def run(fleet: Fleet, seconds: float = 600.0) -> None:
    """Let all jobs end, and check what they have sent."""
    fleet.scenario.run(seconds)
    assert all(process.done for process in fleet.scenario.world.processes), fleet.scenario.world.log_text(100)
    fleet.check()


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("lag", [0.0, 2.0])
@pytest.mark.parametrize("work", [0.0, 3.5])
def test_two_tasks_with_equal_texts_are_killed_at_any_step(work: float, lag: float, newest_first: bool) -> None:
    """Whatever step two workers with equal texts are killed at, the thread has two copies, one for each key."""
    for first, second, apart in product(KILLS, KILLS, (0.0, 0.3)):
        scenario = Scenario(lag=(lag, lag), newest_first=newest_first, old=3)
        scenario.server.fault("sendMessage", slow(work), slow(work))
        fleet = Fleet(scenario)
        fleet.deliver("a", "yes", first)
        scenario.world.run_for(apart)
        fleet.deliver("b", "yes", second)
        run(fleet, 200.0)


FAULTS: list[Fault | None] = [None, None, None, slow(3.5), late_answer(1.0), lost_after(), lost_before(), never_sent()]
FAULTS += [proxy_cut(), status(500), status(502), status(503, retry_after="1"), status(429, retry_after="1")]


def mishaps() -> st.SearchStrategy[Mishap | None]:
    """What may happen to a worker. A stop right before the request leaves is not among it: see `_core/attempts.py`."""
    kinds = st.sampled_from(["killed before", "killed during", "killed after", "stopped after"])
    made = st.builds(
        Mishap, kinds, st.sampled_from([0, 1, 2, 3, 3, 4, 4, 5, 6, 7, 8]), st.sampled_from([0.1, 5.0, 40.0])
    )
    return st.none() | made.filter(lambda mishap: mishap.kind != "stopped after" or mishap.step not in {2, 7})


@pytest.mark.slow
@settings(max_examples=400)
@given(
    seed=st.integers(0, 2**32),
    tasks=st.lists(
        st.tuples(st.sampled_from("abc"), st.floats(0, 40), st.lists(mishaps(), max_size=3)), min_size=2, max_size=6
    ),
    one_text=st.booleans(),
)
def test_random_workers_send_each_message_once(seed: int, tasks: Any, one_text: bool) -> None:
    """Two or three keys, each given to one or more workers at any times, which are killed or stopped at random."""
    rng = random.Random(seed)  # noqa: S311 - no secret
    scenario = Scenario(
        seed=seed, lag=rng.choice([(0.0, 0.0), (0.0, 0.0), (0.0, 2.0)]), newest_first=rng.random() < 0.5
    )

    def plan(call: Call, chance: random.Random) -> Fault | None:
        return chance.choice(FAULTS) if call.operation == "sendMessage" else None

    scenario.server.plan = plan
    fleet = Fleet(scenario)
    for key, at, troubles in tasks:
        text = "yes" if one_text else key
        scenario.world.at(at, partial(fleet.deliver, key, text, *troubles))
    run(fleet, 1200.0)
