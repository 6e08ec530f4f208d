"""The measurements of `make shared` in small: real processes, a real Redis, and a server with a rate limit."""

from __future__ import annotations

import pytest
import shared

pytestmark = pytest.mark.slow


def test_processes_share_the_rate() -> None:
    """Three processes of both kinds use the rate in equal shares, and the server refuses next to nothing."""
    found = shared.fleet(seconds=3.0, processes=3)
    assert not found["failed"]
    assert not found["doubled"]
    assert found["refused"] * 25 <= found["requests"]
    assert found["used"] >= 0.8
    assert found["share"][0] >= 0.5


def test_a_redis_that_is_killed_and_started_again() -> None:
    """No call fails, and all processes share one limit again within 5 s."""
    found = shared.fleet(seconds=7.5, processes=3, kill=True)
    assert not found["failed"]
    assert not found["doubled"]
    assert found["lost"] == 3
    assert found["used"] >= 0.6
    assert 0 < found["back"] <= 5
    assert shared.missed(found) == []


def test_what_a_shared_limit_adds_to_a_call() -> None:
    """It is a round trip to Redis. The bar of a millisecond is for a machine that does nothing else."""
    assert 0 < shared.added(calls=300)["median"] < 5
