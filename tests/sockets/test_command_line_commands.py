"""The commands of `featherhq` that print and leave: their text, their JSON, and their tables."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import featherhq
import pytest
from conftest import AGENT_ID, KEY
from featherhq._cli import main
from featherhq._cli.exits import MEANINGS, Exit
from featherhq._cli.output import one_json, shown
from featherhq._cli.settings import _NAMES
from featherhq.sandbox import CutAfter, Sandbox

if TYPE_CHECKING:
    from command_line_helpers import Command, Seat

pytest_plugins = ["command_line_helpers"]
ROOT = Path(__file__).parent.parent.parent
MESSAGE_FIELDS = ["id", "thread_id", "direction", "text", "created_at", "status"]


def objects(text: str) -> list[dict[str, Any]]:
    """Read the JSON objects, one in each line."""
    return [json.loads(line) for line in text.splitlines()]


def test_ask(command: Command) -> None:
    """`ask` makes a thread, and prints the reply and nothing else to standard output."""
    status, out, err = command("ask", "hello")
    assert (status, out) == (0, "echo: hello\n")
    assert err.startswith("New thread: ")
    thread_id = err.split()[-1]
    status, out, err = command("ask", "--thread", thread_id, "--json", stdin=b"one\r\ntwo\r\n")
    (reply,) = objects(out)
    assert (status, err) == (0, "")
    assert list(reply) == MESSAGE_FIELDS
    assert reply["text"] == "echo: one\r\ntwo"
    assert (reply["thread_id"], reply["direction"]) == (thread_id, "OUTBOUND")


def test_send_with_a_key(command: Command, tmp_path: Path) -> None:
    """With a key and a ledger, the second run sends nothing and prints the same id. `-` reads standard input."""
    thread_id, ledger = command.thread(), str(tmp_path / "ledger.db")
    line = ["send", "-", "--thread", thread_id, "--key", "order-17", "--ledger", ledger]
    command.sandbox.inject("sendMessage", CutAfter())
    first, second = command(*line, "--json", stdin=b"Pay 100"), command(*line, stdin=b"Pay 100")
    (receipt,) = objects(first.out)
    assert second == (0, f"{receipt['message_id']}\n", "")
    assert receipt["reconciled"] is True
    assert {"thread_id", "status", "window_expires_in", "request_id", "sent_at"} <= set(receipt)
    assert [one.text for one in command.sandbox.messages(thread_id)] == ["Pay 100", "echo: Pay 100"]


def test_messages(command: Command) -> None:
    """Without a terminal, there is a line for each message. The options choose messages and their order."""
    thread_id = command.thread()
    command("ask", "one", "--thread", thread_id)
    command.sandbox.say(thread_id, "two\nlines\tand \x1b[2J")
    lines = [line.split("\t") for line in command("messages", thread_id).out.splitlines()]
    assert [line[1:] for line in lines] == [
        ["you", "one"],
        ["agent", "echo: one"],
        ["agent", "two\\nlines    and \\x1b[2J"],
    ]
    found = objects(command("messages", thread_id, "--json", "--newest", "--limit", "1", "--direction", "outbound").out)
    assert [one["text"] for one in found] == ["two\nlines\tand \x1b[2J"]
    later = command(
        "messages", thread_id, "--json", "--after", objects(command("messages", thread_id, "--json").out)[1]["id"]
    )
    assert len(objects(later.out)) == 1
    assert command("messages", thread_id, "--status", "FAILED") == (0, "", "")


@pytest.mark.parametrize("columns", [80, 40])
def test_tables(command: Command, sit: Callable[..., Seat], columns: int) -> None:
    """On a terminal, messages and threads are tables that fit: no line is broken, and an id is never cut."""
    thread_id = command.thread()
    command.sandbox.say(thread_id, "This is a text that fits into no terminal of these, so it stands in several lines.")
    seat = sit("messages", thread_id, columns=columns, COLUMNS=str(columns))
    assert seat.left() == 0
    screen = seat.terminal.wait_for("lines.")
    heading, line = screen.splitlines()[0], screen.splitlines()[2]
    assert heading.split() == ["When", "From", *(["Status"] if columns == 80 else []), "Text"]
    assert line.index("agent") == heading.index("From")
    assert line.index("This") == heading.index("Text")
    assert all(one[: heading.index("Text")].isspace() for one in screen.splitlines()[3:])


def test_a_table_of_threads(command: Command, sit: Callable[..., Seat]) -> None:
    """In a narrow terminal, the state stands below the id."""
    thread_id = command.thread()
    seat = sit("thread", "list", columns=40, COLUMNS="40")
    assert seat.left() == 0
    assert f"{thread_id}\nopen  " in seat.terminal.wait_for("open")


def test_a_wide_table_of_threads(command: Command, sit: Callable[..., Seat]) -> None:
    """In a wide terminal, each thread has one line."""
    thread_id = command.thread()
    seat = sit("thread", "list", COLUMNS="80")
    assert seat.left() == 0
    assert seat.terminal.wait_for(f"{thread_id}   open").splitlines()[0].split() == ["Thread", "State", "Created"]


def test_a_spinner_while_ask_waits(sit: Callable[..., Seat]) -> None:
    """On a terminal, `ask` shows that it waits. Then the spinner is gone."""
    with Sandbox(lambda _, __: (asked.wait(10), "done")[1], api_key=KEY) as sandbox:
        asked = threading.Event()
        seat = sit("ask", "hello", FEATHER_BASE_URL=sandbox.url)
        seat.terminal.wait_for("Waiting for a reply")
        asked.set()
        assert seat.left() == 0
        assert "Waiting" not in seat.terminal.wait_for("\ndone")


def test_threads(command: Command) -> None:
    """Threads are made, found, changed and closed. Each command prints the thread."""
    line = ["thread", "create", "--agent", AGENT_ID, "--metadata", "customer=Ada", "--metadata", "a=b=c", "--json"]
    (made,) = objects(command(*line).out)
    assert made["metadata"] == {"customer": "Ada", "a": "b=c"}
    assert made["is_active"] is True
    updated = command("thread", "update", made["id"], "--metadata", "customer=Bob", "--variable", "v=1").out
    assert updated.startswith(f"thread     {made['id']}\nstate      open\nagent      {AGENT_ID}\ncreated    20")
    assert updated.endswith("metadata   customer=Bob\nmetadata   a=b=c\nvariables  v=1\n")
    assert command("thread", "get", made["id"]).out == updated
    closed = command("thread", "close", made["id"], "--reason", "done").out
    assert "\nstate      closed\n" in closed
    assert "\nbecause    done\n" in closed
    other = command.thread()
    assert command("thread", "list", "--open").out.startswith(f"{other}\topen\t20")
    (listed,) = objects(command("thread", "list", "--closed", "--json").out)
    assert (listed["id"], listed["closed_reason"]) == (made["id"], "done")
    assert len(command("thread", "list", "--agent", AGENT_ID, "--limit", "1").out.splitlines()) == 1


def test_tail(command: Command) -> None:
    """`tail` prints the agent's messages, and the bookmark to go on after them. The next `tail` goes on there."""
    thread_id = command.thread()
    for text in ("one", "two", "three"):
        command.sandbox.say(thread_id, text)
    (first,) = objects(command("messages", thread_id, "--limit", "1", "--json").out)
    _, out, err = command("tail", thread_id, "--after", first["id"], "--count", "1", "--json")
    (message,) = objects(out)
    assert (message["text"], message["bookmark"]) == ("two", json.loads(err)["bookmark"])
    _, out, err = command("tail", thread_id, "--after", message["bookmark"], "--count", "1")
    assert out.endswith("\tagent\tthree\n")
    assert err.startswith(f"To go on: featherhq tail {thread_id} --after ")


def test_tail_on_a_terminal(command: Command, sit: Callable[..., Seat]) -> None:
    """Each message has its time. Its lines stay lines."""
    thread_id = command.thread()
    command.sandbox.say(thread_id, "one")
    (first,) = objects(command("messages", thread_id, "--json").out)
    command.sandbox.say(thread_id, "two\nlines")
    seat = sit("tail", thread_id, "--after", first["id"], "--count", "1")
    assert seat.left() == 0
    assert re.match(r"\d\d:\d\d:\d\d  two\nlines\nTo go on: ", seat.terminal.wait_for("To go on"))


def test_the_key_from_a_file(command: Command, tmp_path: Path) -> None:
    """`--api-key-file` wins over the environment. A line break at the end of the file does not count."""
    path = tmp_path / "key"
    path.write_text(f"{KEY}\n")
    command.environ(FEATHER_API_KEY="another")
    assert command("ask", "hello", "--api-key-file", str(path)).out == "echo: hello\n"
    path.write_text("a b")
    found = command("ask", "hello", "--api-key-file", str(path))
    assert found.status == 2
    assert found.err.startswith(f"featherhq ask: --api-key-file {path}: expected an API key of visible ASCII")
    path.write_bytes(b"\xff")
    assert "it is not text in UTF-8" in command("ask", "hello", "--api-key-file", str(path)).err
    assert "No such file" in command("ask", "hello", "--api-key-file", f"{path}x").err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(command: Command, shell: str) -> None:
    """The script asks this program for completions, and the program gives them."""
    assert "_FEATHERHQ_COMPLETE" in command("completion", shell).out
    (data,) = objects(command("completion", shell, "--json").out)
    assert data["shell"] == shell
    command.environ(_FEATHERHQ_COMPLETE=f"{shell}_complete", COMP_WORDS="featherhq thr")
    command.environ(COMP_CWORD="thr" if shell == "fish" else "1")
    assert "thread" in command().out


def test_the_help_names_all_commands_and_statuses(command: Command) -> None:
    """`--help` lists each command and each exit status. The page in docs lists them too. `--version` prints it."""
    shown = command("--help").out
    page = (ROOT / "docs" / "command-line.md").read_text("utf-8")
    for name in ("chat", "ask", "send", "messages", "tail", "thread", "sandbox", "doctor", "completion"):
        assert f"  {name} " in shown
        assert f"featherhq {name}" in page
        assert "--json" in command(name, "--help").out or name == "thread"
    for status, meaning in MEANINGS.items():
        assert f"\n  {int(status)} " in shown
        assert f"| {int(status)} | {meaning} |" in page
    assert set(MEANINGS) == set(Exit)
    assert command("--version").out.startswith("featherhq ")
    bare = command()
    assert (bare.status, bare.out, bare.err) == (2, "", shown)


def test_text_from_the_server_cannot_control_the_terminal() -> None:
    """Escapes and marks of direction become visible. Letters, spaces and the joiners of letters stay."""
    assert (
        shown("a\u00a0b\u202fc\r\n\u0645\u200c\u0645 \u202e\x9b\x07") == "a b c\n\u0645\u200c\u0645 \\u202e\\x9b\\x07"
    )
    text = "\x9b\u202e\U000e0001\n\ud800é"
    printed = one_json({"text": text})
    assert printed.isprintable()
    assert json.loads(printed)["text"] == text
    assert "é" in printed


@pytest.mark.parametrize("name", ["click", "rich.console"])
def test_without_the_extra(command: Command, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """One line says what to install, and the exit status is 2."""
    thread_id = command.thread()
    for module in ("featherhq._cli.program", "rich.console", "rich.table"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr("featherhq._cli.records.is_terminal", lambda _: True)
    status, out, err = command("messages", thread_id)
    assert (status, out) == (2, "")
    assert err.endswith(f" needs {name}: pip install 'featherhq[cli]'\n")
    assert err.count("\n") == 1


@pytest.mark.parametrize("as_json", [True, False])
def test_the_sandbox(monkeypatch: pytest.MonkeyPatch, as_json: bool) -> None:
    """It prints how to reach it, and Ctrl-C ends it with status 0. With --json, that is one object."""
    reading, writing = os.pipe()
    told: list[str] = []

    def interrupt() -> None:
        with os.fdopen(reading, encoding="utf-8") as reader:
            told.append(reader.readline())
            os.kill(os.getpid(), signal.SIGINT)
            told.append(reader.read())

    waiting = threading.Thread(target=interrupt)
    waiting.start()
    with os.fdopen(writing, "w", encoding="utf-8") as stdout, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stdout)
        assert main(["sandbox", *(["--json"] if as_json else [])]) == 0
    waiting.join()
    if as_json:
        data = json.loads(told[0])
        assert (data["api_key"], data["url"][:17], told[1]) == ("sandbox-key", "http://127.0.0.1:", "")
    else:
        assert told[0].startswith("The sandbox listens on http://127.0.0.1:")
        assert told[1].endswith("  export FEATHER_API_KEY=sandbox-key\n\n")


def test_an_interrupted_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-c while the program is imported ends it without a traceback."""

    class Interrupted:
        @property
        def run(self) -> None:
            raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "featherhq._cli.program", Interrupted())
    assert main([]) == 130


def test_a_fault_of_the_program_is_a_traceback(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """What no user can cause is not hidden: the exception passes."""
    monkeypatch.setattr("featherhq._cli.messages_command.sent_data", lambda _: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        command("send", "hello")


def test_signals_and_pipes_of_a_real_process(sandbox: Sandbox) -> None:
    """Ctrl-c ends `tail` with 130, without a traceback, and the bookmark is printed."""
    environ = {**os.environ, "FEATHER_API_KEY": KEY, "FEATHER_BASE_URL": sandbox.url, "FEATHER_AGENT_ID": AGENT_ID}
    line = [sys.executable, "-m", "featherhq"]
    made = subprocess.run([*line, "thread", "create"], env=environ, capture_output=True, text=True, check=True)
    thread_id = made.stdout.strip()
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([*line, "tail", thread_id], env=environ, **pipes) as process:
        sandbox.wait_for_requests(1, "streamMessages", timeout=20)
        sandbox.say(thread_id, "hello")
        assert process.stdout is not None
        assert process.stdout.readline().endswith("\tagent\thello\n")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert errors.splitlines()[0].startswith("To go on: featherhq tail")
    assert errors.splitlines()[1:] == ["featherhq tail: interrupted"]


def test_names_of_options_take_the_place_of_names_that_exist() -> None:
    """The library says each text that the command line replaces. If a hint is reworded there, this test tells it."""
    package = Path(featherhq.__file__).parent
    said = "".join(path.read_text("utf-8") for path in package.rglob("*.py") if path.parent.name != "_cli")
    assert [text for text in _NAMES if text.strip(", ") not in said] == []
