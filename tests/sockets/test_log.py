"""FEATHER_LOG prints each line once, in separate programs, whatever other logging they set up."""

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
    """Return what a program prints to standard error. It sets up logging and then logs three lines."""
    environment = {name: held for name, held in os.environ.items() if name not in {"FEATHER_LOG", "PYTHONWARNINGS"}}
    if value is not None:
        environment["FEATHER_LOG"] = value
    line = [sys.executable, "-c", f"import logging, sys\n{program}{EMIT}"]
    return subprocess.run(line, env=environment, capture_output=True, text=True, check=True).stderr


def lines(value: str | None, program: str) -> list[str]:
    """Return the levels of the lines that are printed, once for each time."""
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
def test_feather_log_prints_a_level_and_all_above(value: str | None, shown: list[str]) -> None:
    """FEATHER_LOG prints its level and all higher levels, in upper or lower case. Without it, the
    library prints nothing.
    """
    assert lines(value, "import featherhq\n") == shown


@pytest.mark.parametrize(
    "program",
    [
        "logging.basicConfig(level='DEBUG')\nimport featherhq\n",
        "import featherhq\nlogging.basicConfig(level='DEBUG')\n",
        # The level of the root logger does not matter. FEATHER_LOG sets the level of the featherhq logger.
        "import featherhq\nlogging.basicConfig()\n",
        "import featherhq\nlogging.getLogger('featherhq').addHandler(logging.StreamHandler())\n",
        "import featherhq\nlogging.basicConfig()\nlogging.getLogger('featherhq').propagate = False\n",
        # The root handler prints only warnings, so our handler prints the other lines.
        "import featherhq\nlogging.basicConfig()\nlogging.root.handlers[0].setLevel('WARNING')\n",
        "import featherhq\nlogging.root.addHandler(logging.NullHandler())\n",
    ],
)
def test_each_line_is_printed_once_beside_other_handlers(program: str) -> None:
    """The program may set up its own logging, before or after the import. Each line is still printed once."""
    assert lines("debug", program) == ["debug", "info", "warning"]


def test_a_child_logger_with_a_handler() -> None:
    """A line of the sandbox's logger is printed once when this logger has a handler."""
    program = (
        "import featherhq\nbelow = logging.getLogger('featherhq.sandbox')\nbelow.addHandler(logging.StreamHandler())\n"
        "below.info('of the sandbox')\n"
    )
    assert printed("debug", program).count("of the sandbox") == 1


def test_an_unknown_level() -> None:
    """A warning names the variable, its value and the valid values. The program continues, and the
    library prints nothing.
    """
    errors = printed("verbose", "import featherhq\n")
    assert "UserWarning: FEATHER_LOG: expected debug, info or warning, got 'verbose'" in errors
    assert not any(f" {level} line" in errors for level in ("debug", "info", "warning"))


def test_lines_go_where_standard_error_goes_by_then() -> None:
    """A program may replace `sys.stderr` after the import, as a chat on a terminal does."""
    program = """
import featherhq
class Loud:
    write = lambda self, text: sys.__stderr__.write(text.upper())
    flush = lambda self: None
sys.stderr = Loud()
"""
    assert "A WARNING LINE" in printed("warning", program)
