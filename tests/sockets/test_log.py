"""FEATHER_LOG, in programs of their own: each line once, whoever else logs."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

EMIT = """
logger = logging.getLogger("featherhq")
logger.debug("a debug line")
logger.info("an info line")
logger.warning("a warning line")
"""


def printed(value: str | None, program: str) -> str:
    """What a program prints to standard error that sets up logging like this and then logs three lines."""
    environment = {name: held for name, held in os.environ.items() if name not in {"FEATHER_LOG", "PYTHONWARNINGS"}}
    if value is not None:
        environment["FEATHER_LOG"] = value
    line = [sys.executable, "-c", f"import logging, sys\n{program}{EMIT}"]
    return subprocess.run(line, env=environment, capture_output=True, text=True, check=True).stderr


def lines(value: str | None, program: str) -> list[str]:
    """Which of the three lines are printed, and how often."""
    errors = printed(value, program)
    return sorted(level for level in ("debug", "info", "warning") for _ in range(errors.count(f" {level} line")))


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, []),
        ("", []),
        ("debug", ["debug", "info", "warning"]),
        ("Info", ["info", "warning"]),
        ("WARNING", ["warning"]),
    ],
)
def test_a_level_is_printed(value: str | None, shown: list[str]) -> None:
    """From that level on, in any case; without one the library is silent."""
    assert lines(value, "import featherhq\n") == shown


@pytest.mark.parametrize(
    "program",
    [
        "logging.basicConfig(level='DEBUG')\nimport featherhq\n",
        "import featherhq\nlogging.basicConfig(level='DEBUG')\n",
        # The level of the root logger is not asked; that of featherhq is, and it is FEATHER_LOG's.
        "import featherhq\nlogging.basicConfig()\n",
        "import featherhq\nlogging.getLogger('featherhq').addHandler(logging.StreamHandler())\n",
        "import featherhq\nlogging.basicConfig()\nlogging.getLogger('featherhq').propagate = False\n",
        # One that takes warnings alone leaves the other lines to ours.
        "import featherhq\nlogging.basicConfig()\nlogging.root.handlers[0].setLevel('WARNING')\n",
        "import featherhq\nlogging.root.addHandler(logging.NullHandler())\n",
    ],
)
def test_each_line_is_printed_once(program: str) -> None:
    """Also where the program sets up logging of its own, before the import or after it."""
    assert lines("debug", program) == ["debug", "info", "warning"]


def test_a_logger_below_has_a_handler() -> None:
    """What it prints of the sandbox is not printed again."""
    program = (
        "import featherhq\nbelow = logging.getLogger('featherhq.sandbox')\nbelow.addHandler(logging.StreamHandler())\n"
        "below.info('of the sandbox')\n"
    )
    assert printed("debug", program).count("of the sandbox") == 1


def test_a_level_that_there_is_not() -> None:
    """A warning names the variable, the value and what fits; the program goes on, and the library is silent."""
    errors = printed("verbose", "import featherhq\n")
    assert "UserWarning: FEATHER_LOG: expected debug, info or warning, got 'verbose'" in errors
    assert not any(f" {level} line" in errors for level in ("debug", "info", "warning"))
