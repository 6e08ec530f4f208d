"""The tools in a pipe whose other end is closed, as in `make contract-diff | head -1`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
# It prints more than a pipe holds.
LONG = """
import sys
sys.path.insert(0, {tools!r})
from documents import run

def main():
    for number in range(100_000):
        print("line", number)
    return 0

run(main)
"""
# It prints little, which Python keeps until the end.
SHORT = LONG.replace("100_000", "2")


def run_in_closed_pipe(*line: str) -> tuple[int, str]:
    """Run a program in a pipe that nobody reads. Return its exit status and its standard error."""
    read, write = os.pipe()
    os.close(read)
    # With this variable, Python keeps nothing until the end.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    ran = subprocess.run(
        [sys.executable, *line], env=environment, stdout=write, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(write)
    return ran.returncode, ran.stderr


@pytest.mark.parametrize("program", [LONG, SHORT], ids=["long", "short"])
def test_a_tool_ends_quietly_when_nobody_reads_its_output(program: str) -> None:
    """It prints no traceback, and ends with the usual status of a program in such a pipe."""
    assert run_in_closed_pipe("-c", program.format(tools=str(ROOT / "tools"))) == (141, "")


@pytest.mark.parametrize("tool", ["contract.py", "contract_diff.py", "generate.py"])
def test_help_ends_quietly_when_nobody_reads_it(tool: str) -> None:
    """So does a tool that prints its help, though argparse exits by itself."""
    assert run_in_closed_pipe(str(ROOT / "tools" / tool), "--help") == (141, "")
