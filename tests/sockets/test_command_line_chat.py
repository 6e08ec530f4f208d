"""`featherhq chat` on a terminal: what the screen shows, and what is sent."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from command_line_terminal import PATIENCE, Terminal
from featherhq.sandbox import Sandbox, Stall, Status

if TYPE_CHECKING:
    from command_line_helpers import Command, Seat

pytest_plugins = ["command_line_helpers"]
Sit = Callable[..., "Seat"]


def test_a_chat(sit: Sit, sandbox: Sandbox) -> None:
    """The agent's messages appear above the line that is typed, and the line stays. Ctrl-d leaves, and tells how to
    go on.
    """
    seat = sit("chat")
    seat.terminal.wait_for("Ctrl-d leaves.\nyou:")
    seat.terminal.type("hello\r")
    screen = seat.terminal.wait_for("agent: echo: hello\nyou:")
    thread_id = screen.partition("Thread ")[2][:36]
    seat.terminal.type("\r")
    seat.terminal.wait_for("\nyou:\nyou:")
    seat.terminal.type("half a l")
    seat.terminal.wait_for("you:   half a l")
    sandbox.say(thread_id, "one thing more\nin two lines \x1b[31m")
    seat.terminal.wait_for("agent: one thing more\n       in two lines \\x1b[31m\nyou:   half a l")
    seat.terminal.type("ine\r")
    seat.terminal.wait_for("you:   half a line\nagent: echo: half a line\nyou:")
    seat.terminal.type("\x04")
    assert seat.left() == 0
    seat.terminal.wait_for(f"To go on: featherhq chat {thread_id}")
    assert [one.text for one in sandbox.messages(thread_id)][:2] == ["hello", "echo: hello"]


def test_a_chat_that_goes_on(sit: Sit, command: Command, sandbox: Sandbox) -> None:
    """A resumed chat shows the last ten messages. In 40 columns, lines are broken between words. Ctrl-c leaves with
    130, and the option for the URL is told too.
    """
    thread_id = command.thread()
    for number in range(12):
        sandbox.say(thread_id, f"number {number} of some messages that are long")
    seat = sit("chat", thread_id, "--base-url", sandbox.url, columns=40, NO_COLOR="1")
    screen = seat.terminal.wait_for("number 11 of some messages that\n       are long\nyou:")
    assert "number 1 " not in screen
    assert "agent: number 2 of some messages that\n       are long\nagent: number 3" in screen
    seat.terminal.type("a line that is longer than the terminal is")
    seat.terminal.wait_for("you:   a line that is longer than the te\n       rminal is")
    seat.terminal.type("\x03")
    assert seat.left() == 130
    seat.terminal.wait_for(lambda screen: f"--base-url {sandbox.url}" in screen.replace("\n", ""))
    assert b"\x1b[1;36m" not in seat.terminal.raw


def test_the_spinner(sit: Sit, command: Command) -> None:
    """While a reply is owed, a spinner moves above the line. It does not stay when the next message is sent."""
    with Sandbox(lambda text, _: [] if text == "first" else ["done"], api_key=command.sandbox.api_key) as silent:
        seat = sit("chat", FEATHER_BASE_URL=silent.url)
        seat.terminal.wait_for("\nyou:")
        seat.terminal.type("first\r")
        seat.terminal.wait_for("you:   first\n")
        seat.terminal.wait_for("waiting for a reply\nyou:")
        seat.terminal.wait_for("waiting for a reply (1 s)\nyou:")
        seat.terminal.type("second\r")
        screen = seat.terminal.wait_for("done\nyou:")
        assert "you:   first\nyou:   second\nagent: done" in screen
        seat.terminal.type("\x04")
        assert seat.left() == 0


def test_a_message_that_is_not_sent(sit: Sit, sandbox: Sandbox) -> None:
    """The error is shown in a line, with what to do, and the text stands in the line again. Enter sends it."""
    sandbox.inject("sendMessage", Status(400))
    seat = sit("chat")
    seat.terminal.wait_for("\nyou:")
    seat.terminal.type("precious\r")
    screen = seat.terminal.wait_for(lambda shown: "Not sent" in shown and shown.endswith("\nyou:   precious"))
    assert "Not sent: 400" in screen
    seat.terminal.type("\r")
    seat.terminal.wait_for("agent: echo: precious")
    seat.terminal.type("\x04")
    assert seat.left() == 0


def test_a_message_that_is_not_sent_while_the_user_types(sit: Sit, sandbox: Sandbox) -> None:
    """What is typed meanwhile stays. Messages that wait are not sent either. The up key brings all of them back."""
    sandbox.inject("sendMessage", Status(503, {"Retry-After": "0.7"}), times=9)
    seat = sit("chat", "--timeout", "10")
    seat.terminal.wait_for("\nyou:")
    seat.terminal.type("precious\r")
    seat.terminal.wait_for("sending")
    seat.terminal.type("second\rnext")
    screen = seat.terminal.wait_for("Not sent either: second\nPress the up key to get it back: precious\nyou:   next")
    assert "Not sent: 503" in screen
    seat.terminal.type("\x15\x1b[A\x1b[A")
    seat.terminal.wait_for("to get it back: precious\nyou:   precious")
    seat.terminal.type("\x15\x04")
    assert seat.left() == 7


def test_many_lines_at_once(sit: Sit, sandbox: Sandbox) -> None:
    """Lines that are pasted are sent one after the other. Ctrl-d after them waits until they are sent."""
    seat = sit("chat")
    screen = seat.terminal.wait_for("\nyou:")
    thread_id = screen.partition("Thread ")[2][:36]
    seat.terminal.type("one\rtwo\rthree\r\x04")
    assert seat.left() == 0
    sent = [one.text for one in sandbox.messages(thread_id) if one.direction == "INBOUND"]
    assert sent == ["one", "two", "three"]


def test_to_leave_while_a_message_is_sent(sit: Sit, sandbox: Sandbox) -> None:
    """Ctrl-c leaves at once, and prints the texts: that one may have been delivered, the others were not sent."""
    sandbox.inject("sendMessage", Stall())
    seat = sit("chat")
    seat.terminal.wait_for("\nyou:")
    seat.terminal.type("precious\rsecond\r")
    seat.terminal.wait_for("sending\nyou:")
    seat.terminal.type("\x03")
    assert seat.left() == 130
    seat.terminal.wait_for("It is unknown whether this was delivered: precious\nNot sent: second\nTo go on:")


@pytest.mark.parametrize(("code", "status"), [(400, 5), (401, 3)])
def test_the_last_message_is_not_sent(sit: Sit, sandbox: Sandbox, code: int, status: int) -> None:
    """If ctrl-d follows at once, the text is printed, and the exit status is that of the failure."""
    sandbox.inject("sendMessage", Status(code))
    seat = sit("chat")
    seat.terminal.wait_for("\nyou:")
    seat.terminal.type("precious\r\x04")
    assert seat.left() == status
    assert "\nNot sent: precious\n" in seat.terminal.wait_for("To go on:")


def test_a_message_of_unknown_fate(sit: Sit, sandbox: Sandbox) -> None:
    """The screen says that it is unknown, and does not put the text back: it may have arrived."""
    sandbox.inject("sendMessage", Status(504))
    sandbox.inject("listMessages", Status(403), times=9)
    seat = sit("chat", "--timeout", "10")
    seat.terminal.wait_for("\nyou:")
    seat.terminal.type("precious\r")
    screen = seat.terminal.wait_for("Press the up key to get the text back.\nyou:")
    assert "Look for it before you send it again: featherhq messages" in screen.replace("\n", " ")
    assert screen.endswith("you:")
    seat.terminal.type("\x04")
    assert seat.left() == 8


@pytest.mark.parametrize("sends", [True, False])
def test_a_chat_that_cannot_go_on(sit: Sit, command: Command, sends: bool) -> None:
    """If the key is revoked, the chat ends, with the line that says so, and tells how to go on."""
    with Sandbox(api_key=command.sandbox.api_key, stream_life=3600 if sends else 0.5) as sandbox:
        seat = sit("chat", FEATHER_BASE_URL=sandbox.url)
        screen = seat.terminal.wait_for("\nyou:")
        thread_id = screen.partition("Thread ")[2][:36]
        sandbox.inject("sendMessage" if sends else "*", Status(401), times=99)
        if sends:
            seat.terminal.type("hello\r")
        assert seat.left() == 3
    screen = seat.terminal.wait_for("featherhq chat: ")
    assert "401" in screen
    assert f"To go on: featherhq chat {thread_id}" in screen


def test_a_chat_in_a_process_of_its_own() -> None:
    """`featherhq chat --sandbox` needs no key, no network and no settings, and fits into 40 columns."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("FEATHER_")}
    environ |= {"TERM": "xterm-256color"}
    terminal = Terminal(40)
    line = [sys.executable, "-m", "featherhq", "chat", "--sandbox"]
    streams: dict[str, Any] = {"stdin": terminal.device, "stdout": terminal.device, "stderr": terminal.device}
    with subprocess.Popen(line, env=environ, start_new_session=True, **streams) as process:
        try:
            terminal.wait_for("Ctrl-d leaves.\nyou:")
            terminal.type("When does my order arrive?\r")
            terminal.wait_for("agent: Order 1042 will arrive on\n       Thursday, between 9 and 12.\nagent: Is there")
            terminal.type("\x03")
            assert process.wait(PATIENCE) == 130
            assert terminal.wait_for("The sandbox has ended.")
        finally:
            process.kill()
    terminal.close()
