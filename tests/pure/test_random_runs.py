"""Some of the random runs of `random_runs.py`; `make model` makes ten thousand."""

from __future__ import annotations

import pytest
from random_runs import Run
from test_flows import quiet

__all__ = ["quiet"]


@pytest.mark.parametrize("seed", range(60))
def test_what_is_owed_is_paid(seed: int) -> None:
    """Each message once, in order and soon, for few requests, whatever goes wrong for an hour."""
    Run(seed).go()
