"""A sandbox that keeps its threads and messages in a file."""

from __future__ import annotations

import re
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import featherhq.sandbox
import pytest
from conftest import AGENT_ID, KEY
from featherhq import Feather, FeatherError, ServerError
from featherhq.sandbox import CutAfter, Sandbox

PROGRAM = """
import sys, threading
from featherhq.sandbox import Sandbox

def agent(text, history):
    if text == "wait":
        threading.Event().wait()
    return [f"{text}: {n}" for n in range(3)]

with Sandbox(agent, api_key=sys.argv[2], rate_limit=None, keep=sys.argv[1]) as sandbox:
    print(sandbox.url, flush=True)
    threading.Event().wait()
"""
LOOSE: Any = featherhq.sandbox


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "chats.db"


@contextmanager
def killed(file: Path, agent: str = PROGRAM) -> Iterator[tuple[Feather, Callable[[], None]]]:
    """A client of a sandbox in a process of its own, and a function that kills the process."""
    command = [sys.executable, "-c", agent, str(file), KEY]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:

        def kill() -> None:
            process.send_signal(signal.SIGKILL)
            process.wait()

        try:
            assert process.stdout is not None
            with Feather(KEY, base_url=process.stdout.readline().strip(), rate_limit=None, timeout=9) as feather:
                yield feather, kill
        finally:
            process.kill()


def texts(sandbox: Sandbox, thread_id: str) -> list[str]:
    return [message.text for message in sandbox.messages(thread_id)]


def test_threads_and_messages_outlive_the_process(file: Path) -> None:
    """What was responded to before a SIGKILL is there afterwards: threads, their changes, and messages, in order."""
    with killed(file) as (feather, kill):
        first = feather.threads.create(AGENT_ID, metadata={"a": "1"}, variables={"v": "ü"})
        second = feather.threads.create(AGENT_ID)
        assert first.turn("one", quiet=0.1).text == "one: 0\none: 1\none: 2"
        first.update(metadata={"b": "2"})
        second.close("done")
        before = [(thread.id, thread.details) for thread in feather.threads.list()]
        sent = first.send("wait").message_id
        kill()
    with Sandbox(rate_limit=None, keep=str(file)) as sandbox, Feather(KEY, base_url=sandbox.url) as feather:
        assert [thread.id for thread in feather.threads.list()] == [thread_id for thread_id, _ in before]
        assert feather.threads.get(second.id).details == before[1][1]
        details = feather.threads.get(first.id).details
        assert details is not None
        assert details.to_dict() == before[0][1].to_dict()  # type: ignore[union-attr]
        assert details.metadata.to_dict() == {"a": "1", "b": "2"}  # type: ignore[union-attr]
        assert texts(sandbox, first.id)[:5] == ["one", "one: 0", "one: 1", "one: 2", "wait"]
        # The agent owed a reply.
        assert feather.thread(first.id).wait_for_reply(sent).text == "You said: wait"


@pytest.mark.parametrize("moment", range(4))
def test_a_sandbox_that_is_killed_while_it_writes(file: Path, moment: int) -> None:
    """A message has all its replies or none of them. The agent replies later to each message that has none."""
    accepted: list[str] = []
    with killed(file) as (feather, kill):
        thread = feather.threads.create(AGENT_ID)
        enough = threading.Event()

        def send() -> None:
            for number in range(10_000):
                try:
                    accepted.append(thread.send(str(number), timeout=1).message_id)
                except FeatherError:
                    break
                if number == 10 + 7 * moment:
                    enough.set()

        sending = threading.Thread(target=send)
        sending.start()
        assert enough.wait(9)
        kill()
        sending.join()
    with Sandbox(lambda text, _: [f"{text}: {n}" for n in range(3)], keep=file) as sandbox:
        kept = {message.id: message.text for message in sandbox.messages(thread.id) if message.direction == "INBOUND"}
        assert set(accepted) <= set(kept)
        feather = Feather(KEY, base_url=sandbox.url, rate_limit=None)
        with feather, feather.thread(thread.id).conversation() as chat:
            chat.send("end")
            # The agent replies in turn.
            assert any(message.text == "end: 2" for message in chat.replies(timeout=9))
        wanted = [*kept.values(), "end"]
        assert sorted(texts(sandbox, thread.id)) == sorted(
            wanted + [f"{text}: {n}" for text in wanted for n in range(3)]
        )


def test_a_restart_in_the_same_process(file: Path) -> None:
    """A sandbox that is stopped and started again has its threads, and the agent replies to what it still owes."""
    go_on = threading.Event()

    def agent(text: str, _: object) -> str:
        assert go_on.wait(9)
        return text.upper()

    sandbox = Sandbox(agent, rate_limit=None, keep=file)
    with sandbox, Feather(KEY, base_url=sandbox.url) as feather:
        thread = feather.threads.create(AGENT_ID)
        sandbox.inject("sendMessage", CutAfter())
        asked = [thread.send(text).message_id for text in ("a", "b", "c")]
    assert texts(sandbox, thread.id) == ["a", "b", "c"]
    go_on.set()
    with sandbox, Feather(KEY, base_url=sandbox.url) as feather:
        assert feather.thread(thread.id).wait_for_reply(asked[-1]).text
        assert sandbox.say(thread.id, "By the way").text
    with Sandbox(keep=file) as another:
        assert sorted(texts(another, thread.id)) == ["A", "B", "By the way", "C", "a", "b", "c"]
        assert another.messages(UUID(thread.id)) == sandbox.messages(thread.id)


def test_an_agent_that_fails_is_not_asked_again(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Its message has no reply, also after a restart. Replies to later messages come."""

    def agent(text: str, _: object) -> str:
        if text == "a":
            raise ValueError("no")
        return text.upper()

    with Sandbox(agent, rate_limit=None, keep=file) as sandbox, Feather(KEY, base_url=sandbox.url) as feather:
        thread = feather.threads.create(AGENT_ID)
        thread.send("a")
        assert thread.ask("b").text == "B"
    assert "the agent failed" in caplog.text
    with Sandbox(keep=file) as sandbox, Feather(KEY, base_url=sandbox.url) as feather:
        assert feather.thread(thread.id).ask("c").text == "You said: c"
        assert texts(sandbox, thread.id) == ["a", "b", "B", "c", "You said: c"]


def test_one_sandbox_at_a_time(file: Path, tmp_path: Path) -> None:
    """A second one in the same process or in another is an error, and the first goes on."""
    link = tmp_path / "link.db"
    link.symlink_to(file)
    with killed(file) as (feather, kill):
        with pytest.raises(OSError, match=r"chats\.db: another sandbox uses this file; stop it first"):
            Sandbox(keep=file).start()
        assert feather.threads.create(AGENT_ID).ask("x").text == "x: 0"
        kill()
    with Sandbox(keep=file) as sandbox:
        for path in (file, link):
            with pytest.raises(OSError, match="another sandbox uses this file"):
                Sandbox(keep=path).start()
        ran = subprocess.run([sys.executable, "-c", PROGRAM, file, KEY], capture_output=True, text=True, check=False)
        assert ran.stderr.rstrip().endswith("another sandbox uses this file; stop it first, or pass another path")
        with pytest.raises(RuntimeError, match="already running"):
            sandbox.start()
        assert sandbox.url


def test_files_of_another_kind(file: Path) -> None:
    """A text, another SQLite database, and what is shorter than its head: a ValueError, and the file is as before."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE entries (key TEXT)")
    for content in (b"{}", b"x" * 5000, file.read_bytes(), file.read_bytes()[:16]):
        file.write_bytes(content)
        with pytest.raises(ValueError, match=r"chats\.db: this is not the file of a sandbox; pass the path of a new"):
            Sandbox(keep=file).start()
        assert file.read_bytes() == content


def test_damaged_files(file: Path) -> None:
    """A file that was cut, or has other bytes in it: a ValueError, and the file is as before. Then it can be used."""
    with Sandbox(keep=file) as sandbox, Feather(KEY, base_url=sandbox.url) as feather:
        thread = feather.threads.create(AGENT_ID)
        assert thread.ask("needle").text
    content = file.read_bytes()
    overwritten = content[:4096] + b"\xff" * 100 + content[4196:]
    damaged = [content[:200], content[:-1000], overwritten]
    damaged += [content.replace(b"needle", new) for new in (b'needl"', b"needl\xff")]
    damaged += [
        content.replace(b"messageBody", b"messageBodi"),
        re.sub(rb'"createdAt": "\d{4}', b'"createdAt": "x111', content),
    ]
    damaged += [content.replace(b"messages", b"nessages"), content.replace(b"UNIQUE", b"UNIQVE")]
    for changed in damaged:
        file.write_bytes(changed)
        with pytest.raises(ValueError, match=r"chats\.db: this file of a sandbox is damaged; move it away"):
            Sandbox(keep=file).start()
        assert file.read_bytes() == changed
    file.write_bytes(content)
    with Sandbox(keep=file) as sandbox:
        assert texts(sandbox, thread.id) == ["needle", "You said: needle"]


def test_files_that_cannot_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error is that of the operating system. A sandbox that did not start can be started later."""
    with pytest.raises(IsADirectoryError):
        Sandbox(keep=tmp_path).start()
    sandbox = Sandbox(keep=tmp_path / "new" / "chats.db")
    with pytest.raises(FileNotFoundError):
        sandbox.start()
    (tmp_path / "new").mkdir()
    with sandbox:
        assert sandbox.url
    (tmp_path / "chats.db-journal").mkdir()
    with pytest.raises(OSError, match=r"chats\.db: unable to open database file"):
        Sandbox(keep=tmp_path / "chats.db").start()
    monkeypatch.chdir(tmp_path)
    (tmp_path / ":memory:").touch()
    with Sandbox(keep=":memory:"):
        assert (tmp_path / ":memory:").read_bytes()


@pytest.mark.parametrize(("keep", "kind"), [(1, TypeError), (b"x", TypeError), (True, TypeError), ("", ValueError)])
def test_invalid_paths(keep: object, kind: type[Exception]) -> None:
    """The error comes from the constructor, and names the argument."""
    with pytest.raises(kind, match=re.escape(f"keep: expected the path of a file, not {keep!r}")):
        LOOSE.Sandbox(keep=keep)


def test_a_disk_that_is_full(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A message that cannot be written is refused with a 500. A reply that cannot be written is logged."""
    with Sandbox(keep=file):
        pass
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(
            "CREATE TRIGGER full BEFORE INSERT ON messages WHEN NEW.message LIKE '%too much%' "
            "BEGIN SELECT RAISE(FAIL, 'database or disk is full'); END"
        )
    agent = {"a": "A", "b": "too much", "c": "C"}
    with Sandbox(lambda text, _: agent[text], keep=file) as sandbox:
        with Feather(KEY, base_url=sandbox.url, max_retries=0) as feather:
            thread = feather.threads.create(AGENT_ID)
            assert thread.ask("a").text == "A"
            with pytest.raises(
                ServerError, match=r"cannot write its file: .*chats\.db: database or disk is full"
            ) as caught:
                thread.send("too much")
            assert caught.value.delivered is False
            thread.send("b")
            assert thread.ask("c").text == "C"
            with pytest.raises(OSError, match="database or disk is full"):
                sandbox.say(thread.id, "too much")
        assert texts(sandbox, thread.id) == ["a", "A", "b", "c", "C"]
    assert "a reply of the agent was not written" in caplog.text
