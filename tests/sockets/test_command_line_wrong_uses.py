"""Wrong uses of the command line: one sentence says what failed, and at most one line what to do."""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from command_line_terminal import Terminal
from conftest import AGENT_ID, KEY, THREAD_ID
from featherhq._cli import main
from featherhq._cli.exits import Exit, exit_of
from featherhq.errors import APIConnectionError, LedgerError
from featherhq.sandbox import CutAfter, Html, Sandbox, Stall, Status
from raw_server import Peer, TLSPeer

if TYPE_CHECKING:
    from command_line_helpers import Command

pytest_plugins = ["command_line_helpers"]

# What each wrong use does: arguments, what is set up before, the exit status, and a part of the sentence.
Setup = Callable[["Command", ExitStack], object]
CLOSED = "00000000-0000-4000-8000-000000000001"


def environ(**values: str | None) -> Setup:
    return lambda command, _: command.environ(**values)


def fault(operation: str, made: Any, times: int = 99) -> Setup:
    return lambda command, _: command.sandbox.inject(operation, made, times)


def peer(answer: bytes) -> Setup:
    """A server that sends these bytes."""

    def start(command: Command, until_end: ExitStack) -> None:
        server = Peer(answer)
        until_end.callback(server.close)
        command.environ(FEATHER_BASE_URL=server.url)

    return start


def unknown_authority(command: Command, until_end: ExitStack) -> None:
    """A server with a certificate that this machine does not trust."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    server = TLSPeer(tls=context)
    until_end.callback(server.close)
    command.environ(FEATHER_BASE_URL=f"https://127.0.0.1:{server.port}")


def silent(command: Command, until_end: ExitStack) -> None:
    """An agent that says nothing."""
    sandbox = until_end.enter_context(Sandbox(lambda *_: [], api_key=KEY))
    command.environ(FEATHER_BASE_URL=sandbox.url)


def nothing(*_: object) -> None:
    """The sandbox as it is."""


NO_SERVER = environ(FEATHER_BASE_URL="http://127.0.0.1:9")
LIST = ("thread", "list")
ASK = ("ask", "hello")
SEND = ("send", "hello", "--thread", THREAD_ID)
PROXIED = {"FEATHER_BASE_URL": "http://feather.example"}

CASES: dict[str, tuple[tuple[str, ...], Setup, Exit, str]] = {
    "no key": (ASK, environ(FEATHER_API_KEY=None), Exit.WRONG_USE, "there is no API key: set FEATHER_API_KEY"),
    "an empty key": (ASK, environ(FEATHER_API_KEY=""), Exit.WRONG_USE, "FEATHER_API_KEY: expected an API key"),
    "a key with a newline": (ASK, environ(FEATHER_API_KEY="k\n"), Exit.WRONG_USE, "contains white space, a line break"),
    "a wrong key": (ASK, environ(FEATHER_API_KEY="wrong"), Exit.KEY_REFUSED, "401 UNAUTHORIZED"),
    "a key without permission": (LIST, fault("listThreads", Status(403)), Exit.KEY_REFUSED, "403"),
    "no agent": (ASK, environ(FEATHER_AGENT_ID=None), Exit.WRONG_USE, "there is no agent for the new thread"),
    "a bad agent": ((*ASK, "--agent", "ada"), nothing, Exit.WRONG_USE, "agent_id: expected a UUID"),
    "a bad thread": (("messages", "x"), nothing, Exit.WRONG_USE, "thread_id: expected a UUID"),
    "an unknown thread": (SEND, nothing, Exit.NOT_FOUND, "404 NOT_FOUND"),
    "thread and agent": ((*SEND, "--agent", AGENT_ID), nothing, Exit.WRONG_USE, "--thread and --agent exclude"),
    "an empty text": (("ask", ""), nothing, Exit.WRONG_USE, "text: expected at least one character"),
    "an empty stdin": (("ask",), nothing, Exit.WRONG_USE, "standard input is empty"),
    "an empty stdin by name": (("send", "-"), nothing, Exit.WRONG_USE, "standard input is empty"),
    "an unknown command": (("tell",), nothing, Exit.WRONG_USE, "no such command 'tell'"),
    "an unknown option": ((*ASK, "--fast"), nothing, Exit.WRONG_USE, "no such option '--fast'"),
    "an unknown subcommand": (("thread", "sell"), nothing, Exit.WRONG_USE, "no such command 'sell'"),
    "a missing subcommand": (("thread",), nothing, Exit.WRONG_USE, "missing command"),
    "a missing argument": (("messages",), nothing, Exit.WRONG_USE, "missing argument 'THREAD'"),
    "one argument too many": ((*ASK, "world"), nothing, Exit.WRONG_USE, "unexpected extra argument"),
    "no shell": (("completion",), nothing, Exit.WRONG_USE, "missing argument"),
    "an unknown shell": (("completion", "csh"), nothing, Exit.WRONG_USE, "'csh' is not one of 'bash', 'zsh', 'fish'"),
    "bad metadata": (("thread", "create", "--metadata", "a"), nothing, Exit.WRONG_USE, "expected NAME=VALUE, not 'a'"),
    "metadata twice": (
        ("thread", "create", "--metadata", "a=1", "--metadata", "a=2"),
        nothing,
        Exit.WRONG_USE,
        "--metadata: 'a' was given twice",
    ),
    "nothing to update": (("thread", "update", THREAD_ID), nothing, Exit.WRONG_USE, "there is nothing to update"),
    "a bad bookmark": (
        ("tail", THREAD_ID, "--after", "bookmark-1.zz"),
        nothing,
        Exit.WRONG_USE,
        "this bookmark is damaged",
    ),
    "a bad direction": (("messages", THREAD_ID, "--direction", "UP"), nothing, Exit.WRONG_USE, "'UP' is not one of"),
    "a bad status": (("messages", THREAD_ID, "--status", "GONE"), nothing, Exit.WRONG_USE, "status: expected"),
    "limit 0": (("messages", THREAD_ID, "--limit", "0"), nothing, Exit.WRONG_USE, "0 is not in the range"),
    "timeout 0": ((*ASK, "--timeout", "0"), nothing, Exit.WRONG_USE, "timeout: expected a finite number of seconds"),
    "timeout soon": ((*ASK, "--timeout", "soon"), nothing, Exit.WRONG_USE, "'soon' is not a valid float"),
    "a key without a ledger": ((*SEND, "--key", "k"), nothing, Exit.WRONG_USE, "--key and --ledger need each other"),
    "a key without a thread": (
        ("send", "x", "--key", "k", "--ledger", "/x"),
        nothing,
        Exit.WRONG_USE,
        "--key needs --thread",
    ),
    "a ledger that is a folder": ((*SEND, "--key", "k", "--ledger", "/"), nothing, Exit.WRONG_USE, "SQLiteLedger: /"),
    "a bad URL": ((*ASK, "--base-url", "ftp://x"), nothing, Exit.WRONG_USE, "--base-url: expected an absolute URL"),
    "a bad proxy": (LIST, environ(**PROXIED, HTTP_PROXY="htp://p"), Exit.WRONG_USE, "HTTP_PROXY: expected a proxy"),
    "a dead proxy": (
        (*LIST, "--timeout", "1"),
        environ(**PROXIED, HTTP_PROXY="http://u:secret@127.0.0.1:9"),
        Exit.NOT_DELIVERED,
        "could not connect",
    ),
    "no network": ((*ASK, "--timeout", "1"), NO_SERVER, Exit.NOT_DELIVERED, "could not connect"),
    "an unknown authority": ((*ASK, "--timeout", "1"), unknown_authority, Exit.NOT_DELIVERED, "CERTIFICATE_VERIFY"),
    "no HTTP": ((*LIST, "--timeout", "1"), peer(b"220 mail ready\r\n\r\n"), Exit.NOT_DELIVERED, "not valid HTTP"),
    "a 429": (ASK, fault("createThread", Status(429, {"Retry-After": "600"})), Exit.RATE_LIMIT, "429"),
    "a 409": (ASK, fault("createThread", Status(409)), Exit.REFUSED, "409"),
    "a 501": (LIST, fault("listThreads", Status(501)), Exit.NOT_DELIVERED, "501"),
    "a 500 for a new thread": (ASK, fault("createThread", Status(500)), Exit.UNKNOWN, "500"),
    "HTML": (LIST, fault("listThreads", Html(200)), Exit.NOT_DELIVERED, "200, but with a body that is not JSON"),
    "no response in time": (
        (*LIST, "--timeout", "0.3"),
        fault("listThreads", Stall()),
        Exit.NOT_DELIVERED,
        "no response in time",
    ),
    "no reply in time": ((*ASK, "--timeout", "3"), silent, Exit.NO_REPLY, "was accepted, but no reply came"),
    "a sandbox and a thread": (("chat", "--sandbox", CLOSED), nothing, Exit.WRONG_USE, "begins with no threads"),
    "a chat without a network": (("chat", "--timeout", "1"), NO_SERVER, Exit.NOT_DELIVERED, "could not connect"),
    "a chat without an agent": (("chat",), environ(FEATHER_AGENT_ID=None), Exit.WRONG_USE, "there is no agent"),
}


@pytest.fixture
def until_end() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.mark.parametrize("name", CASES)
def test_a_wrong_use(command: Command, until_end: ExitStack, name: str) -> None:
    """The exit status tells the kind. Nothing is printed to standard output, and no password and no name of Python to
    standard error. A wrong use is found before any request.
    """
    arguments, setup, status, sentence = CASES[name]
    setup(command, until_end)
    found = command(*arguments)
    lines = [line for line in found.err.splitlines() if not line.startswith("New thread: ")]
    assert found.status == status, found.err
    assert found.out == ""
    assert lines[0].startswith("featherhq")
    assert sentence in lines[0]
    assert len(lines) <= 2
    assert "Traceback" not in found.err
    assert "secret" not in found.err
    assert "base_url" not in found.err
    assert "`" not in found.err
    assert status is not Exit.WRONG_USE or command.sandbox.requests == []


@pytest.mark.parametrize("name", ["an unknown thread", "an unknown option", "no key", "no reply in time"])
def test_a_wrong_use_as_json(command: Command, until_end: ExitStack, name: str) -> None:
    """With `--json`, the error is one JSON object on standard error."""
    arguments, setup, status, sentence = CASES[name]
    setup(command, until_end)
    found = command(*arguments, "--json")
    error = json.loads(found.err.splitlines()[-1])
    assert (found.status, error["exit_status"], found.out) == (status, status, "")
    assert sentence in error["message"]
    assert {"error", "message", "hint", "exit_status"} <= set(error)
    if name == "no reply in time":
        assert (error["error"], error["delivered"]) == ("ReplyTimeoutError", True)
        assert {"thread_id", "message_id"} <= set(error)
    if name == "an unknown thread":
        assert (error["status_code"], error["delivered"]) == (404, False)


def test_a_closed_thread(command: Command) -> None:
    """The exit status is 5, and the hint is a command."""
    thread_id = command.thread()
    command("thread", "close", thread_id)
    status, out, err = command("send", "hello", "--thread", thread_id)
    assert (status, out) == (5, "")
    assert "400 BAD_REQUEST: The thread is closed" in err
    assert "featherhq thread get" in err


def test_a_message_of_unknown_fate(command: Command) -> None:
    """The exit status is 8, and the hint says how to look for the message."""
    thread_id = command.thread()
    command.sandbox.inject("sendMessage", CutAfter())
    command.sandbox.inject("listMessages", Status(403), times=99)
    status, _, err = command("send", "hello", "--thread", thread_id)
    assert status == 8
    assert err.endswith(f"Look for it before you send it again: featherhq messages {thread_id} --newest\n")


def test_a_rate_limit_that_says_when(command: Command) -> None:
    """The hint says how long to wait."""
    command.sandbox.inject("listThreads", Status(429, {"Retry-After": "120"}))
    status, _, err = command("thread", "list")
    assert status == 6
    assert err.splitlines()[1].startswith("Wait for 120 s. Perhaps other programs use the same key")


def test_statuses_that_only_the_error_knows() -> None:
    """A POST without a known outcome is 8, a GET is 7, and a failure of another kind is 1."""
    lost = APIConnectionError("lost", method="POST")
    assert exit_of(lost) == Exit.UNKNOWN
    lost.delivered = False
    assert exit_of(lost) == Exit.NOT_DELIVERED
    assert exit_of(APIConnectionError("lost", method="GET")) == Exit.NOT_DELIVERED
    assert exit_of(LedgerError("broken")) == Exit.FAILURE


def test_standard_input_that_is_no_message(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes that are not UTF-8, a terminal, and no standard input at all are errors before any request."""
    assert "standard input is not text in UTF-8" in command("ask", stdin=b"\xff").err
    terminal = Terminal(80)
    for stream in (os.fdopen(os.dup(terminal.device), encoding="utf-8"), None):
        monkeypatch.setattr(sys, "stdin", stream)
        assert main(["ask"]) == 2
        if stream is not None:
            stream.close()
    terminal.close()
    assert command.sandbox.requests == []


def test_an_interrupt_while_a_message_is_sent(command: Command) -> None:
    """The exit status is 130, and the hint says that the message may have arrived."""
    thread_id = command.thread()
    command.sandbox.inject("sendMessage", Stall())

    def interrupt() -> None:
        command.sandbox.wait_for_requests(1, "sendMessage", timeout=10)
        os.kill(os.getpid(), signal.SIGINT)

    waiting = threading.Thread(target=interrupt)
    waiting.start()
    status, _, err = command("send", "hello", "--thread", thread_id)
    waiting.join()
    assert status == 130
    assert err.startswith("featherhq send: interrupted\n")
    assert "Feather may have done it" in err


def test_a_pipe_that_breaks_while_messages_come(
    command: Command, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message that could not be printed is not behind the bookmark: the next `tail` prints it."""
    thread_id = command.thread()
    for text in ("one", "two"):
        command.sandbox.say(thread_id, text)
    first = json.loads(command("messages", thread_id, "--json").out.splitlines()[0])
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w", encoding="utf-8") as stdout, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stdout)
        assert main(["tail", thread_id, "--after", first["id"]]) == 141
    bookmark = capsys.readouterr().err.split()[-1]
    assert command("tail", thread_id, "--after", bookmark, "--count", "1").out.endswith("\ttwo\n")


def test_no_standard_output(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """If standard output is closed, the command works, and prints nothing."""
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", None)
        assert main(["ask", "hello"]) == 0
    assert [request.operation for request in command.sandbox.requests].count("sendMessage") == 1


def test_a_broken_pipe(sandbox: Sandbox) -> None:
    """If the reader of the output goes away, the command ends with 141 and without a word, as Unix tools do."""
    environment = {**os.environ, "FEATHER_API_KEY": KEY, "FEATHER_BASE_URL": sandbox.url, "FEATHER_AGENT_ID": AGENT_ID}
    line = [sys.executable, "-m", "featherhq", "thread", "create"]
    reading, writing = os.pipe()
    os.close(reading)
    ran = subprocess.run(line, env=environment, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (ran.returncode, ran.stderr) == (141, "")
