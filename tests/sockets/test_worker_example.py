"""`examples/worker`, with a real Redis and a sandbox. The tasks run in this process. `make fleet` kills workers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
import redis
from conftest import count
from featherhq.models import INBOUND
from featherhq.sandbox import Sandbox
from redis_server import RedisServer


@pytest.fixture(scope="module")
def redis_server() -> Iterator[RedisServer]:
    with RedisServer() as running:
        yield running


@pytest.fixture
def tasks(
    redis_server: RedisServer, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ModuleType]:
    """The example, as a new process imports it."""
    with redis.Redis(port=redis_server.port) as client:
        client.flushall()
    variables = {
        "REDIS_URL": f"redis://127.0.0.1:{redis_server.port}",
        "DATABASE": str(tmp_path / "cases.sqlite"),
        "FEATHER_API_KEY": sandbox.api_key,
        "FEATHER_BASE_URL": sandbox.url,
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    sys.modules.pop("tasks", None)
    module = import_module("tasks")
    yield module
    module.feather().close()
    module.database().close()
    module.app.close()


def state(tasks: ModuleType, case_id: str) -> tuple[str, bool, list[str]]:
    """The next step of a case, whether it is due some time, and the replies that are recorded."""
    ((step, due),) = tasks.sql("SELECT step, due FROM cases WHERE id = ?", case_id)
    replies = tasks.sql("SELECT text FROM replies WHERE case_id = ? ORDER BY rowid", case_id)
    return step, due is not None, [text for (text,) in replies]


def sent(tasks: ModuleType, sandbox: Sandbox, case_id: str) -> list[str]:
    """The customer's messages in the thread of a case."""
    ((thread_id,),) = tasks.sql("SELECT thread_id FROM cases WHERE id = ?", case_id)
    return [message.text for message in sandbox.messages(thread_id) if message.direction == INBOUND]


def test_a_case_from_its_question_to_its_end(tasks: ModuleType, sandbox: Sandbox, redis_server: RedisServer) -> None:
    """The question is sent, the answer is recorded, and what the agent says later is recorded by the follow-up."""
    case_id = tasks.start("Ada", "Where is my order?")
    with redis.Redis(port=redis_server.port) as client:
        assert client.llen("celery") == 1
    tasks.work(case_id, "answer")
    assert state(tasks, case_id) == ("follow_up", True, ["echo: Where is my order?"])
    ((thread_id,),) = tasks.sql("SELECT thread_id FROM cases")
    sandbox.say(thread_id, "I have found out more.")
    tasks.work(case_id, "follow_up")
    assert state(tasks, case_id) == ("done", False, ["echo: Where is my order?", "I have found out more."])


def test_a_task_that_is_delivered_twice(tasks: ModuleType, sandbox: Sandbox) -> None:
    """A step that is done is not done again: no request is made, and the case takes no step back."""
    case_id = tasks.start("Ada", "Hello")
    tasks.work(case_id, "answer")
    before = len(sandbox.requests)
    tasks.work(case_id, "answer")
    assert len(sandbox.requests) == before
    assert state(tasks, case_id)[0] == "follow_up"


@pytest.mark.parametrize("recorded", [True, False])
def test_a_worker_that_was_killed_before_it_ended_the_step(tasks: ModuleType, sandbox: Sandbox, recorded: bool) -> None:
    """The next worker sends nothing, and records the replies once, whether or not the first one has recorded them."""
    case_id = tasks.start("Ada", "Hello")
    tasks.work(case_id, "answer")
    tasks.sql("UPDATE cases SET step = 'answer'")
    if not recorded:
        tasks.sql("DELETE FROM replies")
    tasks.work(case_id, "answer")
    assert state(tasks, case_id) == ("follow_up", True, ["echo: Hello"])
    assert sent(tasks, sandbox, case_id) == ["Hello"]
    assert count(sandbox, "createThread") == 1


def test_of_two_threads_the_first_one_counts(tasks: ModuleType) -> None:
    """Two workers that make a thread at the same time go on with the same one."""
    case_id = tasks.start("Ada", "Hello")
    assert tasks.open_thread(case_id, "Ada") == tasks.open_thread(case_id, "Ada")


def test_a_case_without_hope(tasks: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that no repetition cures ends the case, with the error's text."""
    monkeypatch.setattr(tasks, "AGENT_ID", "no UUID")
    case_id = tasks.start("Ada", "Hello")
    tasks.work(case_id, "answer")
    step, due, replies = state(tasks, case_id)
    assert step.startswith("failed: agent_id: expected a UUID")
    assert (due, replies) == (False, [])
