"""The sandbox: start and stop, defaults, messages, and the record of requests."""

from __future__ import annotations

import ast
import inspect
import threading
import typing
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import create_autospec
from uuid import uuid4

import attrs
import featherhq.sandbox
import httpx
import pytest
from conftest import AGENT_ID
from featherhq.models import Message
from featherhq.sandbox import Sandbox
from featherhq.sandbox._server import Server
from sandbox_helpers import assert_error
from starlette.applications import Starlette

pytest_plugins = ["sandbox_helpers"]


def test_the_rate_limit() -> None:
    """A burst of one second's requests is accepted. Then the status is 429, with a Retry-After header."""
    with (
        Sandbox(rate_limit=5) as sandbox,
        httpx.Client(base_url=sandbox.url, headers={"X-API-Key": "sandbox-key"}) as http,
    ):
        answers = [http.get(f"/api/v1/threads/{uuid4()}") for _ in range(15)]
        assert [answer.status_code for answer in answers[:5]] == [404] * 5
        limited = next(answer for answer in answers[5:] if answer.status_code != 404)
        assert_error(limited, 429, "TOO_MANY_REQUESTS")
        assert limited.headers["retry-after"] == "1"


def test_the_default_rate_limit_is_ten_per_second() -> None:
    """It is the limit of the vendor's standard plan."""
    with Sandbox() as sandbox, httpx.Client(base_url=sandbox.url, headers={"X-API-Key": "sandbox-key"}) as http:
        statuses = [http.get(f"/api/v1/threads/{uuid4()}").status_code for _ in range(30)]
        assert statuses[:10] == [404] * 10
        assert 429 in statuses[10:]


def test_a_port_that_is_in_use(sandbox: Sandbox) -> None:
    """The sandbox does not start, and the error names the port."""
    port = int(sandbox.url.rpartition(":")[2])
    with pytest.raises(OSError, match=f":{port}: "):
        Sandbox(port=port).start()


def test_an_error_of_the_application_is_raised_at_the_start() -> None:
    """The start does not hang."""

    def broken() -> AbstractContextManager[Starlette]:
        raise RuntimeError("no application")

    with pytest.raises(RuntimeError, match="no application"):
        Server().start(broken, 0)


def test_stopping_a_sandbox_that_was_not_started() -> None:
    """Nothing happens."""
    Sandbox().stop()


def test_a_sandbox_that_is_not_running() -> None:
    """Before and after its block, calls that need a running sandbox raise an error. Its messages can still be read."""
    sandbox = Sandbox()
    thread_id = sandbox._app.state.create(AGENT_ID, {}, {})["id"]
    not_running = "^this sandbox is not running; call this inside its `with` block, or after start"
    with pytest.raises(RuntimeError, match=not_running):
        sandbox.say(thread_id, "hello")
    with sandbox:
        sandbox.say(thread_id, "hello")
        with pytest.raises(RuntimeError, match=r"^this sandbox is already running"):
            sandbox.start()
    with pytest.raises(RuntimeError, match=not_running):
        sandbox.say(thread_id, "hello")
    with pytest.raises(RuntimeError, match=not_running):
        sandbox.wait_for_requests(1, timeout=99)
    sandbox.wait_for_requests(0)
    assert len(sandbox.messages(thread_id)) == 1
    sandbox.stop()
    with sandbox:
        sandbox.say(thread_id, "again")


def test_messages_in_the_types_of_the_client(path: str, sandbox: Sandbox) -> None:
    """They are complete, and their time has a time zone. A test may remove the time."""
    thread_id = path.rpartition("/")[2]
    object.__setattr__(sandbox._app.state, "clock", lambda: 1_700_000_000.25)
    said = sandbox.say(thread_id, "hello")
    made = sandbox._app.state.get(thread_id).messages[0]
    moment = datetime(2023, 11, 14, 22, 13, 20, 250_000, UTC)
    assert said == Message(made["id"], "hello", "OUTBOUND", moment, "SENT", made)
    assert sandbox.messages(thread_id) == [said]
    made["createdAt"] = None
    assert sandbox.messages(thread_id)[0].created_at is None


def test_waiting_for_requests(http: httpx.Client, sandbox: Sandbox) -> None:
    """The wait ends when the requests were received. If they are not received in time, it raises an error."""
    waiter = threading.Thread(target=sandbox.wait_for_requests, args=(1, "createThread"))
    waiter.start()
    http.post("/api/v1/threads/web", json={"agentId": AGENT_ID})
    waiter.join(5)
    assert not waiter.is_alive()
    with pytest.raises(TimeoutError, match=r"^expected 2 requests within 0.05 s; there are 1: \[RecordedRequest"):
        sandbox.wait_for_requests(2, timeout=0.05)
    (seen,) = sandbox.requests
    assert (seen.operation, seen.method, seen.status) == ("createThread", "POST", 200)
    assert sandbox.api_key not in f"{seen}{seen.headers}"


def test_both_spellings_of_an_operation(http: httpx.Client, sandbox: Sandbox) -> None:
    """`wait_for_requests` accepts the same names as `inject`."""
    http.get(f"/api/v1/threads/{uuid4()}")
    sandbox.wait_for_requests(1, "get_thread")


def test_the_sandbox_shares_little_with_the_client() -> None:
    """It shares the client's types and texts, but not the code that it is meant to test."""
    shared = {"featherhq.errors", "featherhq.models", "featherhq._settings"}
    for file in Path(featherhq.sandbox.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                assert not name.startswith("featherhq.") or name.startswith("featherhq.sandbox") or name in shared


@pytest.mark.parametrize("name", featherhq.sandbox.__all__)
def test_public_names_can_be_inspected(name: str) -> None:
    """Tools can read their annotations and sources, and create mocks of them."""
    public = getattr(featherhq.sandbox, name)
    if name == "Fault":
        assert all(typing.get_type_hints(kind) for kind in typing.get_args(public))
        return
    for member in (public, *vars(public).values()):
        if inspect.isroutine(member) or inspect.isclass(member):
            typing.get_type_hints(member)
        elif isinstance(member, property):
            assert typing.get_type_hints(member.fget)
    assert name in inspect.getsource(public)
    assert create_autospec(public) is not None
    if attrs.has(public):
        resolved = attrs.fields(attrs.resolve_types(public))
        assert not any(isinstance(attribute.type, str) for attribute in resolved)
