"""Start other programs: a server for a measurement, one measurement, or any Python code."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).parent


@contextmanager
def server(file: str, *options: object) -> Iterator[str]:
    """Run a server of this directory in its own process.

    Args:
        file: The server's file name.
        options: Its command line.

    Yields:
        The URL of the server. The server prints it on its first line, and ends when its standard input ends.
    """
    line = [sys.executable, str(HERE / file), *map(str, options)]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        yield process.stdout.readline().strip()
        process.communicate()


def measure(*line: object) -> dict[str, Any]:
    """Run one measurement in its own process.

    Args:
        line: The command line of `measure.py`.

    Returns:
        The result that `measure.py` prints.
    """
    found: dict[str, Any] = json.loads(_run(sys.executable, str(HERE / "measure.py"), *map(str, line)))
    return found


def run_code(python: str, code: str) -> str:
    """Run code with the given Python and return its output."""
    return _run(python, "-c", code)


def _run(*line: str) -> str:
    """Run a program and return its output. If the program fails, print its errors and exit."""
    ran = subprocess.run(line, capture_output=True, text=True, check=False)
    if ran.returncode:
        sys.exit(f"{' '.join(line)}\n{ran.stderr}")
    return ran.stdout
