"""What the tests of the command line share: the command in this process, with pipes or with a terminal.

A test module loads this module as a plugin for its fixtures.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple, TextIO

import pytest
from command_line_terminal import PATIENCE, Terminal
from conftest import AGENT_ID, KEY
from featherhq._cli import main
from featherhq.sandbox import Sandbox
from prompt_toolkit.application import create_app_session


class Ran(NamedTuple):
    """What a command has printed, and its exit status."""

    status: int
    out: str
    err: str


class Command:
    """Runs commands in this process, with a client of the sandbox in the environment."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str], sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self._monkeypatch = monkeypatch
        self._capture = capture
        self.environ(FEATHER_API_KEY=KEY, FEATHER_BASE_URL=sandbox.url, FEATHER_AGENT_ID=AGENT_ID, TERM="xterm")
        for name in ("NO_COLOR", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"):
            self.environ(**{name: None, name.lower(): None})

    def environ(self, **values: str | None) -> None:
        """Set variables of the environment, or remove them."""
        for name, value in values.items():
            if value is None:
                self._monkeypatch.delenv(name, raising=False)
            else:
                self._monkeypatch.setenv(name, value)

    def __call__(self, *arguments: str, stdin: bytes = b"") -> Ran:
        """Run a command, with a pipe as its standard input."""
        self._capture.readouterr()
        with piped(stdin) as stream, self._monkeypatch.context() as patch:
            patch.setattr(sys, "stdin", stream)
            status = main(arguments)
        captured = self._capture.readouterr()
        return Ran(int(status), captured.out, captured.err)

    def thread(self) -> str:
        """Make a thread, and return its id."""
        return self("thread", "create").out.strip()


@contextmanager
def piped(data: bytes) -> Iterator[TextIO]:
    """A stream that gives the data, and then ends."""
    reading, writing = os.pipe()
    os.write(writing, data)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as stream:
        yield stream


class Seat:
    """A command that runs at a terminal, in a thread of this process."""

    def __init__(self, terminal: Terminal, arguments: tuple[str, ...]) -> None:
        self.terminal = terminal
        self._arguments = arguments
        self._status: int | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with create_app_session():
            self._status = int(main(self._arguments))

    def left(self) -> int:
        """Wait until the command has ended, and return its exit status."""
        self._thread.join(PATIENCE)
        assert self._status is not None, self.terminal.text
        return self._status


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], sandbox: Sandbox) -> Command:
    return Command(monkeypatch, capsys, sandbox)


@pytest.fixture
def sit(command: Command, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Seat]]:
    """A function that runs a command at a terminal. All three standard streams are the terminal."""
    with ExitStack() as until_end:

        def start(*arguments: str, columns: int = 80, **environ: Any) -> Seat:
            command.environ(**{"COLUMNS": None, "LINES": None, **environ})
            terminal = Terminal(columns)
            until_end.callback(terminal.close)
            for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
                stream = os.fdopen(os.dup(terminal.device), mode, encoding="utf-8")
                until_end.callback(stream.close)
                monkeypatch.setattr(sys, name, stream)
            seat = Seat(terminal, arguments)
            until_end.callback(seat.left)
            return seat

        yield start
        monkeypatch.undo()
