"""What the tests of the sandbox share: an HTTP client, a thread's path, and the reading of responses and streams.

A test module imports the functions, and loads this module as a plugin for its fixtures. pytest cannot rewrite the
assertions of a module that was imported before. The next word stops its warning: PYTEST_DONT_REWRITE.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from conftest import AGENT_ID
from featherhq.sandbox import Sandbox


@pytest.fixture
def http(sandbox: Sandbox) -> Iterator[httpx.Client]:
    """An HTTP client that is connected to the sandbox."""
    with connect(sandbox) as client:
        yield client


@pytest.fixture
def path(http: httpx.Client) -> str:
    """The path of a new thread."""
    return new_thread(http)


def connect(sandbox: Sandbox) -> httpx.Client:
    """An HTTP client with the sandbox's URL and API key."""
    return httpx.Client(base_url=sandbox.url, headers={"X-API-Key": sandbox.api_key}, timeout=5)


def new_thread(http: httpx.Client) -> str:
    """Create a thread, and return its path."""
    made = http.post("/api/v1/threads/web", json={"agentId": AGENT_ID})
    return f"/api/v1/threads/{made.json()['thread']['id']}"


def assert_error(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Check that a response is an error in the contract's form, and return its body."""
    body: dict[str, Any] = answer.json()
    assert answer.status_code == status
    assert (body["status"], body["code"], body["success"]) == (status, code, False)
    assert body["message"]
    assert answer.headers["x-request-id"]
    return body


def events(http: httpx.Client, path: str, count: int, after_open: Callable[[], Any]) -> list[str]:
    """Open a stream, call `after_open`, and return the stream's lines up to its nth event."""
    lines: list[str] = []
    with http.stream("GET", f"{path}/stream") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        after_open()
        for line in stream.iter_lines():
            lines.append(line)
            if sum(line.startswith("data:") for line in lines) == count:
                break
    return lines


def texts(lines: list[str]) -> list[str]:
    """The texts of the messages in a stream's lines."""
    return [json.loads(line[6:])["messageBody"] for line in lines if line.startswith("data:")]


def log_event(caplog: pytest.LogCaptureFixture) -> threading.Event:
    """An event that is set when a line is logged."""
    logged = threading.Event()

    def set_event(_: logging.LogRecord) -> bool:
        logged.set()
        return True

    caplog.handler.addFilter(set_event)
    return logged
