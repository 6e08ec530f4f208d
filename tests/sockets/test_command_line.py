"""The command line and `make`: what cannot be is told in a sentence, and never by a traceback."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from featherhq._cli import main

ROOT = Path(__file__).parent.parent.parent
NEEDED_BY_MAKE = ("package.json", "package-lock.json", "requirements.txt")
needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--port", "99999"], "argument --port: expected a whole number from 0 to 65535, not '99999'"),
        (["--port", "-1"], "argument --port: expected a whole number from 0 to 65535, not '-1'"),
        (["--port", "x"], "argument --port: expected a whole number from 0 to 65535, not 'x'"),
        (["--port", "9" * 9999], "argument --port: expected a whole number from 0 to 65535, not '999"),
        (
            ["--rate-limit", "-3"],
            "argument --rate-limit: expected requests a second, above 0, or 0 for no limit, not '-3'",
        ),
        (
            ["--rate-limit", "nan"],
            "argument --rate-limit: expected requests a second, above 0, or 0 for no limit, not 'nan'",
        ),
        (["--rate-limit", "many"], "0 for no limit, not 'many'"),
        (["--rate-limit", "1e999"], "0 for no limit, not '1e999'"),
        (["--api-key", ""], "api_key: expected a string of visible ASCII characters, and this one is empty"),
        (["--api-key", "s3cret key"], "and this one has white space or another character that no header can carry"),
    ],
)
def test_arguments_that_cannot_be(capsys: pytest.CaptureFixture[str], arguments: list[str], told: str) -> None:
    """Exit status 2, how it is used, and one sentence that names the value and what fits; but no key."""
    # At a port that is taken, so that what is let through does not run for ever.
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(SystemExit) as caught:
        main(["sandbox", "--port", str(listener.getsockname()[1]), *arguments])
    assert caught.value.code == 2
    usage, _, sentence = capsys.readouterr().err.partition("featherhq sandbox: error: ")
    assert usage.startswith("usage: featherhq sandbox ")
    assert told in sentence
    assert sentence.count("\n") == 1
    assert len(sentence) < 400
    assert "s3cret" not in sentence


def test_a_port_that_another_holds(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 1, and one line that names it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert main(["sandbox", "--port", str(port)]) == 1
    errors = capsys.readouterr().err
    assert errors.startswith("featherhq sandbox: [Errno ")
    assert f"127.0.0.1:{port}: " in errors
    assert errors.count("\n") == 1


def no_environment(folder: Path, python: str) -> str:
    """What `make setup` says where there is no environment yet, with a Python. It fails, and leaves nothing behind."""
    (folder / "tools").mkdir()
    for name in ("Makefile", "pyproject.toml", *(f"tools/{name}" for name in NEEDED_BY_MAKE)):
        shutil.copy(ROOT / name, folder / name)
    made = subprocess.run(
        ["make", f"PYTHON={python}", "setup"],  # noqa: S607
        cwd=folder,
        # Not as a part of the `make` that may have started these tests, which would say where it is.
        env={name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MAKELEVEL", "MFLAGS"}},
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 2
    assert made.stdout == ""
    assert not (folder / ".venv").exists()
    (told,) = [line for line in made.stderr.splitlines() if not line.startswith("make")]
    assert "Traceback" not in told
    return told


NEEDED = "; Python 3.11 or newer is needed, with venv and ensurepip: make PYTHON=python3.12"


@needs_make
def test_make_without_that_python(tmp_path: Path) -> None:
    """One sentence says what is not there, what is needed and how to name it."""
    assert no_environment(tmp_path, "nosuch") == f"error: there is no nosuch{NEEDED}"


@needs_make
@pytest.mark.parametrize(
    ("before", "told"),
    [
        ("sys.version_info = (3, 10, 4, 'final', 0)", "is Python 3.10"),
        ("sys.modules['ensurepip'] = None", "has no venv or no ensurepip (Debian: apt install python3-venv)"),
        ("sys.modules['venv'] = None", "has no venv or no ensurepip (Debian: apt install python3-venv)"),
    ],
)
def test_make_with_a_python_that_will_not_do(tmp_path: Path, before: str, told: str) -> None:
    """One sentence says what is wrong with it, what is needed and how to name another."""
    python = tmp_path / "python"
    python.write_text(f"#!{sys.executable}\nimport sys\n{before}\nassert sys.argv[1] == '-c'\nexec(sys.argv[2])\n")
    python.chmod(0o755)
    assert no_environment(tmp_path, str(python)) == f"error: {python} {told}{NEEDED}"
