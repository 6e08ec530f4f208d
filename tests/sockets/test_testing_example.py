"""The example of a service and its tests, `examples/testing`, run by a pytest of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "testing"
# Each one is a mistake that a service could make, and the test that finds it.
MISTAKES = {
    "test_a_lost_response": (
        "return thread.ask(question).text",
        "thread.ask(question); return thread.ask(question).text",
    ),
    "test_the_agent_says_nothing": ("LATER if error.delivered else AGAIN", "AGAIN"),
    "test_nobody_knows": ("error.delivered is None", "False"),
    "test_feather_is_down ": ("LATER if error.delivered else AGAIN", "LATER"),
}


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    light = ["-p", "no:cacheprovider", "-p", "no:schemathesis", "-p", "no:hypothesispytest", "-p", "no:xdist"]
    command = [sys.executable, "-m", "pytest", "-q", "-rf", "-W", "error", *light, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_the_tests_of_the_example_pass() -> None:
    """With the configuration that stands beside them, and without warnings."""
    ran = run(EXAMPLE)
    assert "9 passed" in ran.stdout, ran.stdout + ran.stderr
    assert ran.returncode == 0


def test_the_example_is_short() -> None:
    """The service and its tests together."""
    assert sum(len(path.read_text("utf-8").splitlines()) for path in EXAMPLE.glob("*.py")) < 120


@pytest.mark.slow
@pytest.mark.parametrize("test", MISTAKES)
def test_the_tests_of_the_example_find_mistakes(test: str, tmp_path: Path) -> None:
    """A service that sends twice, or tells its customers something else than what happened, fails a test."""
    folder = shutil.copytree(EXAMPLE, tmp_path / "testing", ignore=shutil.ignore_patterns("__pycache__"))
    right, wrong = MISTAKES[test]
    service = (folder / "desk.py").read_text("utf-8")
    assert service.count(right) == 1
    (folder / "desk.py").write_text(service.replace(right, wrong), "utf-8")
    ran = run(folder)
    assert f"FAILED test_desk.py::{test}" in ran.stdout, ran.stdout + ran.stderr
