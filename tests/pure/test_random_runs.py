"""Sixty of the random runs of `random_runs.py`. `make model` does ten thousand of them."""

from __future__ import annotations

import pytest
from flow_scenarios import quiet
from random_runs import Run

__all__ = ["quiet"]

# The runs of these seeds take more than a second.
SLOW = {12, 15, 31, 33, 43, 55}


@pytest.mark.parametrize(
    "seed", [pytest.param(seed, marks=pytest.mark.slow if seed in SLOW else ()) for seed in range(60)]
)
def test_a_random_run_keeps_all_promises(seed: int) -> None:
    """In an hour of random faults, each message is handed out once, in order and soon, and the client sends few
    requests.
    """
    Run(seed).go()
