"""A small run of `make soak`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent.parent.parent / "benchmarks"))

import soak


@pytest.mark.slow
def test_nothing_is_doubled_and_nothing_is_lost(caplog: pytest.LogCaptureFixture) -> None:
    """Under faults, no message and no reply is lost or doubled."""
    caplog.set_level("ERROR", "featherhq")
    tally = asyncio.run(soak.soak(sends=200, conversations=20, seed=2))
    assert tally.holds, tally.table()
    assert tally.sent == 200
    assert tally.reconciled
    assert tally.unknown < 10


def test_a_tally_that_does_not_hold() -> None:
    """A run does not hold if one of these counts is not zero."""
    assert soak.Tally(sent=5, arranged=1, unknown=1).holds
    for name in ("doubled", "missing", "lost", "twice", "disordered", "arranged", "unknown"):
        tally = soak.Tally()
        setattr(tally, name, 1)
        assert not tally.holds
    tally = soak.Tally()
    tally.failed["TypeError"] += 1
    assert not tally.holds
