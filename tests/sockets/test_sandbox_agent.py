"""The sandbox's agent: replies, errors and blocking."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

import httpx
import pytest
from conftest import AGENT_ID
from featherhq.models import Message
from featherhq.sandbox import Sandbox, default_agent
from sandbox_helpers import connect, events, log_event, new_thread


def test_the_default_agent() -> None:
    """It can answer the questions of a demo."""
    said = [Message("1", "Where is my order?", "INBOUND")]
    assert default_agent("Hello", []) == "Hello! What can I do for you?"
    assert "1042" in default_agent("Where is my order?", [])
    assert "1042" in default_agent("When will it arrive?", said)[0]
    assert default_agent("When?", [])[0].startswith("It ")
    assert default_agent("Thanks!", said).startswith("You are welcome")  # type: ignore[union-attr]
    assert default_agent("Blue", said) == "You said: Blue"


def test_an_agent_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    """The error is logged and there is no reply. The next message gets a reply."""

    def agent(text: str, _: list[Message]) -> list[str]:
        if text == "fail":
            raise RuntimeError("no idea")
        return ["one", "two"]

    with Sandbox(agent, rate_limit=None) as sandbox:
        with connect(sandbox) as http:
            path = new_thread(http)
            http.post(f"{path}/messages", json={"message": "fail"})
            events(http, path, 2, lambda: http.post(f"{path}/messages", json={"message": "work"}))
        texts = [message.text for message in sandbox.messages(path.rpartition("/")[2])]
    assert texts == ["fail", "work", "one", "two"]
    assert "no idea" in caplog.text


def test_an_agent_that_blocks(caplog: pytest.LogCaptureFixture) -> None:
    """The sandbox still stops at once, even with an open stream."""
    caplog.set_level(logging.DEBUG, "featherhq.sandbox")
    release, ended = threading.Event(), threading.Event()

    def agent(text: str, _: list[Message]) -> str:
        release.wait()
        threading.Timer(0.2, ended.set).start()
        return text

    with Sandbox(agent, rate_limit=None) as sandbox, connect(sandbox) as http:
        path = new_thread(http)
        with http.stream("GET", f"{path}/stream") as stream:
            http.post(f"{path}/messages", json={"message": "hello"})
            began = time.monotonic()
            sandbox.stop()
            assert time.monotonic() - began < 1
            with pytest.raises(httpx.RemoteProtocolError):
                stream.read()
    release.set()
    assert ended.wait(5)
    assert threading.active_count() < 5


def test_a_reply_while_the_sandbox_stops() -> None:
    """The reply is dropped, and nothing fails."""
    release = threading.Event()

    def agent(text: str, _: list[Message]) -> str:
        release.wait()
        return text

    with Sandbox(agent, rate_limit=None) as sandbox:
        thread_id = sandbox._app.state.create(AGENT_ID, {}, {})["id"]
        httpx.post(
            f"{sandbox.url}/api/v1/threads/{thread_id}/messages",
            json={"message": "hello"},
            headers={"X-API-Key": sandbox.api_key},
        )
        sandbox._server.call(lambda: [task.cancel() for task in sandbox._app._agent.tasks])
        release.set()
        sandbox.say(thread_id, "still here")


@pytest.mark.parametrize("replies", [None, 7, ["one", 2]])
def test_an_agent_that_does_not_return_text(caplog: pytest.LogCaptureFixture, replies: Any) -> None:
    """There is no reply, and the log says why."""
    logged = log_event(caplog)
    with Sandbox(lambda *_: replies, rate_limit=None) as sandbox:
        thread_id = sandbox._app.state.create(AGENT_ID, {}, {})["id"]
        where = f"{sandbox.url}/api/v1/threads/{thread_id}/messages"
        httpx.post(where, json={"message": "hello"}, headers={"X-API-Key": sandbox.api_key})
        assert logged.wait(5)
        assert [message.text for message in sandbox.messages(thread_id)] == ["hello"]
    assert "a reply of the agent: expected a string, not " in caplog.text


def test_the_log_contains_no_key(caplog: pytest.LogCaptureFixture) -> None:
    """Even if the agent's error contains it."""
    logged = log_event(caplog)

    def agent(text: str, _: list[Message]) -> str:
        raise ValueError(f"cannot answer {text}")

    with Sandbox(agent, api_key="my-secret-key", rate_limit=None) as sandbox:
        thread_id = sandbox._app.state.create(AGENT_ID, {}, {})["id"]
        where = f"{sandbox.url}/api/v1/threads/{thread_id}/messages"
        httpx.post(where, json={"message": "my-secret-key"}, headers={"X-API-Key": "my-secret-key"})
        assert logged.wait(5)
    assert "cannot answer ***" in caplog.text
    assert "my-secret-key" not in caplog.text
