"""The command line and `make`: an error is reported in one sentence, without a traceback."""

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
    ("arguments", "expected"),
    [
        (["--port", "99999"], "--port': expected a whole number from 0 to 65535, not '99999'"),
        (["--port", "-1"], "--port': expected a whole number from 0 to 65535, not '-1'"),
        (["--port", "x"], "--port': expected a whole number from 0 to 65535, not 'x'"),
        (["--port", "9" * 9999], "--port': expected a whole number from 0 to 65535, not '999"),
        (
            ["--rate-limit", "-3"],
            "--rate-limit': expected requests per second above 0, or 0 for no limit, not '-3'",
        ),
        (
            ["--rate-limit", "nan"],
            "--rate-limit': expected requests per second above 0, or 0 for no limit, not 'nan'",
        ),
        (["--rate-limit", "many"], "0 for no limit, not 'many'"),
        (["--rate-limit", "1e999"], "0 for no limit, not '1e999'"),
        (["--api-key", ""], "api_key: expected a string of visible ASCII characters, but it is empty"),
        (["--api-key", "s3cret key"], "but it contains white space or another character that a header cannot contain"),
    ],
)
def test_invalid_arguments(capsys: pytest.CaptureFixture[str], arguments: list[str], expected: str) -> None:
    """The exit status is 2. One sentence is printed, with the value and the valid values, but no key."""
    # The port is in use, so that the sandbox cannot run if the arguments are accepted by mistake.
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert main(["sandbox", "--port", str(listener.getsockname()[1]), *arguments]) == 2
    sentence, hint, *rest = capsys.readouterr().err.split("\n")
    assert sentence.startswith("featherhq sandbox: ")
    assert expected in sentence
    assert len(sentence) < 400
    assert "s3cret" not in sentence
    assert hint in {"See: featherhq sandbox --help", "Nothing was started."}
    assert rest == [""]


def test_a_port_that_is_in_use(capsys: pytest.CaptureFixture[str]) -> None:
    """The exit status is 1, and one line names the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert main(["sandbox", "--port", str(port)]) == 1
    errors = capsys.readouterr().err
    assert errors.startswith("featherhq sandbox: [Errno ")
    assert f"127.0.0.1:{port}: " in errors
    assert errors.count("\n") == 1


def test_a_file_to_keep_threads_in_that_is_another_one(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The exit status is 2, one sentence says what is wrong, and the file stays as it is."""
    file = tmp_path / "notes.txt"
    file.write_text("my notes", "utf-8")
    assert main(["sandbox", "--keep", str(file)]) == 2
    sentence, hint = capsys.readouterr().err.splitlines()
    assert sentence.startswith("featherhq sandbox: ")
    assert str(file) in sentence
    assert hint == "Nothing was started."
    assert file.read_text("utf-8") == "my notes"


def no_environment(folder: Path, python: str) -> str:
    """Run `make setup` with a Python that it rejects, and return its error. It creates no environment."""
    (folder / "tools").mkdir()
    for name in ("Makefile", "pyproject.toml", *(f"tools/{name}" for name in NEEDED_BY_MAKE)):
        shutil.copy(ROOT / name, folder / name)
    made = subprocess.run(
        ["make", f"PYTHON={python}", "setup"],  # noqa: S607
        cwd=folder,
        # Without the variables of a `make` that started these tests, because this one would print its directory.
        env={name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MAKELEVEL", "MFLAGS"}},
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 2
    assert made.stdout == ""
    assert not (folder / ".venv").exists()
    (error,) = [line for line in made.stderr.splitlines() if not line.startswith("make")]
    assert "Traceback" not in error
    return error


NEEDED = "; Python 3.11 or newer is needed, with venv and ensurepip: make PYTHON=python3.12"


@needs_make
def test_make_with_a_python_that_does_not_exist(tmp_path: Path) -> None:
    """One sentence says what is missing, what is needed, and how to choose a Python."""
    assert no_environment(tmp_path, "nosuch") == f"error: there is no nosuch{NEEDED}"


@needs_make
@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ("sys.version_info = (3, 10, 4, 'final', 0)", "is Python 3.10"),
        ("sys.modules['ensurepip'] = None", "has no venv or no ensurepip (Debian: apt install python3-venv)"),
        ("sys.modules['venv'] = None", "has no venv or no ensurepip (Debian: apt install python3-venv)"),
    ],
)
def test_make_with_an_unsuitable_python(tmp_path: Path, before: str, expected: str) -> None:
    """One sentence says what is wrong, what is needed, and how to choose another Python."""
    python = tmp_path / "python"
    python.write_text(f"#!{sys.executable}\nimport sys\n{before}\nassert sys.argv[1] == '-c'\nexec(sys.argv[2])\n")
    python.chmod(0o755)
    assert no_environment(tmp_path, str(python)) == f"error: {python} {expected}{NEEDED}"
