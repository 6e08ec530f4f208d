"""A short run of `make kills`: workers are killed in the middle of a send, with each ledger."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parent.parent.parent / "benchmarks" / "kills.py"


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_workers_are_killed_in_the_middle_of_a_send() -> None:
    """With each ledger, no message is doubled or lost."""
    command = [sys.executable, str(PROGRAM), "--kills", "12", "--at-once", "12"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.count("doubled") == 2
