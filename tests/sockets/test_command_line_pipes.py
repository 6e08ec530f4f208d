"""`featherhq chat` through pipes: lines in, the agent's messages out, and nothing else."""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from conftest import AGENT_ID, KEY
from featherhq._cli import main
from featherhq.sandbox import Sandbox, Status

if TYPE_CHECKING:
    from command_line_helpers import Command

pytest_plugins = ["command_line_helpers"]
QUICK = ("--quiet", "0.05")


def test_lines_become_messages(command: Command) -> None:
    """Each line is sent when the last one was answered. Empty lines are left out. The last line needs no line break."""
    status, out, err = command("chat", *QUICK, stdin="hello\r\n\n  \nzwölf\nend".encode())
    thread_id = err.split()[1]
    assert (status, out) == (0, "echo: hello\necho: zwölf\necho: end\n")
    assert err == f"Thread {thread_id}\nTo go on: featherhq chat {thread_id}\n"
    assert [one.text for one in command.sandbox.messages(thread_id)][::2] == ["hello", "zwölf", "end"]


def test_lines_as_json(command: Command) -> None:
    """With `--json`, both streams have JSON objects. A resumed thread shows no earlier messages."""
    thread_id = command.thread()
    command("ask", "before", "--thread", thread_id)
    status, out, err = command("chat", thread_id, "--json", *QUICK, stdin=b"hello")
    (message,) = [json.loads(line) for line in out.splitlines()]
    assert (status, message["text"], message["thread_id"]) == (0, "echo: hello", thread_id)
    assert [json.loads(line) for line in err.splitlines()] == [{"thread_id": thread_id}] * 2


def test_the_sandbox_through_a_pipe(command: Command) -> None:
    """It needs no key. Several messages of one turn are all printed."""
    command.environ(FEATHER_API_KEY=None, FEATHER_BASE_URL=None, FEATHER_AGENT_ID=None)
    status, out, err = command("chat", "--sandbox", *QUICK, stdin=b"When does my order arrive?")
    assert (status, out.count("\n")) == (0, 2)
    assert err.endswith("\nThe sandbox has ended.\n")


def test_messages_that_come_while_no_line_does(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are printed as they come."""
    thread_id = command.thread()
    reading, writing = os.pipe()
    status: list[int] = []
    with os.fdopen(reading, encoding="utf-8") as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        talking = threading.Thread(target=lambda: status.append(main(["chat", thread_id, *QUICK])))
        talking.start()
        command.sandbox.wait_for_requests(1, "streamMessages", timeout=10)
        command.sandbox.say(thread_id, "unasked")
        os.write(writing, b"hello\n")
        os.close(writing)
        talking.join(20)
    assert status == [0]


def test_no_reply_in_time(command: Command) -> None:
    """The chat goes on with the next line, and the exit status is 9."""
    with Sandbox(lambda text, _: ["yes"] if text == "two" else [], api_key=KEY) as sandbox:
        command.environ(FEATHER_BASE_URL=sandbox.url)
        status, out, err = command("chat", *QUICK, "--timeout", "3", stdin=b"one\ntwo\n")
    assert (status, out) == (9, "yes\n")
    assert "featherhq chat: no reply came within 3 s to: one\n" in err


def test_a_line_that_cannot_be_sent(command: Command) -> None:
    """The chat ends with the status of the error, and prints the line. Nothing after it is sent."""
    command.sandbox.inject("sendMessage", Status(400))
    status, out, err = command("chat", *QUICK, stdin=b"precious\nnext\n")
    assert (status, out) == (5, "")
    thread, line, resume, error, _ = err.splitlines()
    assert line == "The message was: precious"
    assert resume.startswith("To go on: ")
    assert error.startswith("featherhq chat: POST ")
    assert command.sandbox.messages(thread.split()[1]) == []


def test_a_line_that_is_no_text(command: Command) -> None:
    """The exit status is 2."""
    status, _, err = command("chat", *QUICK, stdin=b"\xff\n")
    assert status == 2
    assert "a line of standard input is not text in UTF-8" in err


def test_a_key_that_is_revoked_meanwhile(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """The chat ends at once, though standard input is still open."""
    reading, writing = os.pipe()
    with Sandbox(api_key=KEY, stream_life=0.3) as sandbox, os.fdopen(reading, encoding="utf-8") as stream:
        command.environ(FEATHER_BASE_URL=sandbox.url)
        monkeypatch.setattr(sys, "stdin", stream)

        def revoke() -> None:
            sandbox.wait_for_requests(1, "streamMessages", timeout=10)
            sandbox.inject("*", Status(401), times=99)

        revoking = threading.Thread(target=revoke)
        revoking.start()
        assert main(["chat", "--agent", AGENT_ID]) == 3
        revoking.join()
        os.close(writing)


def test_a_terminal_without_a_cursor(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """With TERM=dumb, a chat reads lines, and `ask` shows no spinner."""
    command.environ(TERM="dumb")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert command("ask", "hello").out == "echo: hello\n"
