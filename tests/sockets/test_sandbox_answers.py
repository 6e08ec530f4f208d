"""Functions of a test that answer an operation in place of the sandbox: `Sandbox.answer`."""

from __future__ import annotations

import threading
from typing import Any

import httpx
import pytest
from conftest import AGENT_ID, KEY, THREAD_ID
from featherhq import Feather, NotFoundError, ServerError
from featherhq.sandbox import (
    Body,
    CutAfter,
    CutBefore,
    CutStream,
    Drip,
    Garbage,
    Html,
    RecordedRequest,
    Sandbox,
    Stall,
    Status,
)
from featherhq.sandbox._contract import Operation, operations
from sandbox_helpers import assert_error, connect

AGENTS = "GET /api/v1/agents/{agentId}"


@pytest.fixture
def extended(monkeypatch: pytest.MonkeyPatch) -> None:
    """The contract has one more operation."""
    new = Operation("listParticipants", "GET", "/api/v1/threads/{threadId}/participants", parameters={}, body=None)
    known = (*operations(), new)
    monkeypatch.setattr("featherhq.sandbox._contract.operations", lambda: known)


@pytest.mark.usefixtures("extended")
@pytest.mark.parametrize("name", ["listParticipants", "list_participants"])
def test_an_operation_of_an_extended_contract(name: str) -> None:
    """By its `operationId`. The function gets the request, with the parameters of the path and of the query."""
    seen: list[RecordedRequest] = []

    def participants(request: RecordedRequest) -> dict[str, Any]:
        seen.append(request)
        return {"participants": [{"id": "1", "kind": "USER"}]}

    with Sandbox() as sandbox, connect(sandbox) as http:
        sandbox.answer(name, participants)
        response = http.get(f"/api/v1/threads/{THREAD_ID}/participants", params={"limit": "3"})
        assert response.json() == {"participants": [{"id": "1", "kind": "USER"}]}
        assert response.headers["content-type"] == "application/json"
        assert seen == sandbox.requests
        assert (seen[0].operation, seen[0].parameters, seen[0].query) == (
            "listParticipants",
            {"threadId": THREAD_ID},
            {"limit": "3"},
        )
        assert seen[0].status == 200


def test_an_operation_that_the_contract_does_not_know() -> None:
    """By its method and path. Before that, the error says what to do. It has a name for faults and for waits."""
    with Sandbox(rate_limit=None) as sandbox, connect(sandbox) as http:
        error = assert_error(http.get("/api/v1/agents/7"), 404, "NOT_FOUND")
        unknown = "The sandbox knows no operation GET /api/v1/agents/7; say with Sandbox.answer what it returns"
        assert error["message"] == unknown
        with pytest.raises(ValueError, match=r"no operation 'GET /api/v1/agents/.agentId.'; expected one of"):
            sandbox.inject(AGENTS, Status(503))
        sandbox.answer(AGENTS, lambda request: {"id": request.parameters["agentId"]})
        sandbox.inject("GET /api/v1/agents/{any}", Status(503))
        assert [http.get("/api/v1/agents/7").status_code for _ in range(2)] == [503, 200]
        assert http.get("/api/v1/agents/8").json() == {"id": "8"}
        sandbox.wait_for_requests(3, AGENTS)
        assert sandbox.requests[1].fault == Status(503)
        assert http.post("/api/v1/agents/8").status_code == 405


def test_methods_and_paths_beside_others() -> None:
    """A path without parameters comes before one with them. One path may have several methods, with other names."""
    sandbox = Sandbox(rate_limit=None)
    sandbox.answer("GET /api/v1/threads/statistics", lambda _: {"open": 1})
    sandbox.answer("DELETE /api/v1/threads/{id}", lambda request: (204, None) if request.parameters["id"] else 1)
    sandbox.answer("POST /api/v1/threads/{id}", lambda request: (201, request.json()))
    with sandbox, connect(sandbox) as http:
        assert http.get("/api/v1/threads/statistics").json() == {"open": 1}
        deleted = http.delete(f"/api/v1/threads/{THREAD_ID}")
        assert (deleted.status_code, deleted.content, sandbox.requests[-1].status) == (204, b"", 204)
        posted = http.post(f"/api/v1/threads/{THREAD_ID}", json=[1, "ü", None])
        assert (posted.status_code, posted.json()) == (201, [1, "ü", None])
        assert http.get(f"/api/v1/threads/{THREAD_ID}").status_code == 404


@pytest.mark.parametrize("name", ["getThread", "GET /api/v1/threads/{threadId}", "GET /api/v1/threads/{id}"])
def test_an_operation_that_the_sandbox_knows(name: str) -> None:
    """The function answers in its place, and a later one in place of the first. The client reads it as ever."""
    with Sandbox() as sandbox, Feather(KEY, base_url=sandbox.url) as feather:
        sandbox.answer(name, lambda _: {"thread": {"id": THREAD_ID, "isActive": True}})
        details = feather.threads.get(THREAD_ID).details
        assert details is not None
        assert details.is_active is True
        sandbox.answer(name, lambda request: Status(404) if request.operation == "getThread" else None)
        with pytest.raises(NotFoundError):
            feather.threads.get(THREAD_ID)


def test_requests_are_checked_before_a_function_answers() -> None:
    """A wrong key is a 401, and a request that violates the contract is a 400. The function is not called."""
    called: list[RecordedRequest] = []
    with Sandbox(rate_limit=None) as sandbox, connect(sandbox) as http:
        sandbox.answer("createThread", called.append)
        assert http.post("/api/v1/threads/web", headers={"X-API-Key": "wrong"}).status_code == 401
        assert http.post("/api/v1/threads/web", json={"agentId": 1}).status_code == 400
        sandbox.inject("createThread", Status(503))
        assert http.post("/api/v1/threads/web", json={"agentId": AGENT_ID}).status_code == 503
        assert called == []


@pytest.mark.parametrize(
    ("fault", "status"),
    [(Status(429), 429), (Html(), 502), (Body(b"{"), 200), (Status(503, {"Retry-After": "1"}), 503)],
)
def test_a_function_returns_a_fault(fault: object, status: int) -> None:
    """It is applied to this request."""
    with Sandbox() as sandbox, connect(sandbox) as http:
        sandbox.answer(AGENTS, lambda _: fault)
        assert http.get("/api/v1/agents/1").status_code == status


@pytest.mark.parametrize("fault", [CutBefore(), CutAfter(), Garbage()])
def test_a_function_returns_a_fault_without_a_response(fault: object) -> None:
    """The client gets no valid response."""
    with Sandbox() as sandbox, connect(sandbox) as http:
        sandbox.answer(AGENTS, lambda _: fault)
        with pytest.raises(httpx.RemoteProtocolError):
            http.get("/api/v1/agents/1")
        assert sandbox.requests[0].status is None


@pytest.mark.parametrize("fault", [CutAfter(), Drip(0), Status(502, after=True)])
def test_a_fault_that_was_injected_is_applied_to_the_answer(fault: Any) -> None:
    """The function is called, and then the fault has its effect."""
    called = []
    with Sandbox() as sandbox, connect(sandbox) as http:
        sandbox.answer(AGENTS, lambda request: called.append(request) or {"id": "1"})  # type: ignore[func-returns-value]
        sandbox.inject(AGENTS, fault)
        if isinstance(fault, CutAfter):
            with pytest.raises(httpx.RemoteProtocolError):
                http.get("/api/v1/agents/1")
        else:
            response = http.get("/api/v1/agents/1")
            assert response.status_code == 502 or response.json() == {"id": "1"}
        assert called == sandbox.requests


def test_a_function_may_block_and_use_the_sandbox() -> None:
    """Other requests are served meanwhile, and it may call the sandbox."""
    entered, go_on = threading.Event(), threading.Event()
    with Sandbox(rate_limit=None) as sandbox, Feather(KEY, base_url=sandbox.url) as feather:
        thread = feather.threads.create(AGENT_ID)

        def slow(_: RecordedRequest) -> dict[str, str]:
            entered.set()
            assert go_on.wait(9)
            return {"said": sandbox.say(thread.id, "Hello").text}

        sandbox.answer(AGENTS, slow)
        answers: list[Any] = []
        with connect(sandbox) as http:
            caller = threading.Thread(target=lambda: answers.append(http.get("/api/v1/agents/1").json()))
            caller.start()
            assert entered.wait(9)
            assert thread.ask("x").text == "You said: x"
            go_on.set()
            caller.join()
    assert answers == [{"said": "Hello"}]
    assert sandbox.replies(thread.id) == ["You said: x", "Hello"]


def test_a_function_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    """The request gets a 500 that says so, the error is logged, and the end of the block raises it once."""

    def fails(request: RecordedRequest) -> None:
        assert request.query == {}, f"no query was expected by {KEY}"

    def asked() -> str:
        text: str = assert_error(http.get(f"/api/v1/threads/{THREAD_ID}?a=b"), 500, "INTERNAL_SERVER_ERROR")["message"]
        return text

    sandbox = Sandbox()
    sandbox.answer("getThread", fails)
    sandbox.start()
    with connect(sandbox) as http:
        assert asked().startswith(
            "The function that answers getThread failed: AssertionError: no query was expected by *"
        )
        sandbox.answer("getThread", lambda _: pytest.fail("an error that is no Exception"))
        assert asked() == "The function that answers getThread failed: Failed: an error that is no Exception"
    with pytest.raises(AssertionError, match="no query was expected") as caught:
        sandbox.__exit__(None, None, None)
    assert caught.value.__notes__ == ["A function that was given to Sandbox.answer raised this. Its request got a 500."]
    assert "the function that answers getThread failed\nTraceback" in caplog.text
    with sandbox:
        pass


def test_an_error_of_the_test_goes_before_that_of_a_function() -> None:
    """The block does not replace an error by another one."""
    sandbox = Sandbox()
    sandbox.answer("getThread", lambda _: 1 / 0)

    def program() -> None:
        with sandbox, Feather(KEY, base_url=sandbox.url, max_retries=0) as client:
            client.threads.get(THREAD_ID)

    with pytest.raises(ServerError, match="The function that answers getThread failed: ZeroDivisionError"):
        program()


@pytest.mark.parametrize(
    ("answer", "kind", "expected"),
    [
        (None, TypeError, "the answer: the function returned None; (204, None) is a response without a body"),
        ((200, {1}), TypeError, "the answer: expected a body for JSON, a pair (status, body), or one of Status, Html"),
        ({"a": object}, TypeError, "not {'a': <class 'object'>}"),
        ((1, 2, 3), TypeError, "not (1, 2, 3)"),
        (("200", {}), TypeError, "the status of the answer: expected a whole number from 200 to 999, not '200'"),
        ((99, {}), ValueError, "not 99"),
        (Stall(), TypeError, "or one of Status, Html, Body, CutBefore, CutAfter, Garbage, not Stall("),
        (Status, TypeError, "or one of Status"),
    ],
)
def test_a_function_that_returns_something_else(answer: object, kind: type[Exception], expected: str) -> None:
    """The error says what is expected."""
    sandbox = Sandbox()
    sandbox.answer("getThread", lambda _: answer)
    with pytest.raises(kind) as caught, sandbox, connect(sandbox) as http:
        assert http.get(f"/api/v1/threads/{THREAD_ID}").status_code == 500
    assert expected in str(caught.value)


async def _async(_: RecordedRequest) -> None: ...


@pytest.mark.parametrize(
    ("operation", "function", "kind", "expected"),
    [
        (
            "nothing",
            repr,
            ValueError,
            r"no operation 'nothing'; .*sendMessage.*, a method and a path, such as 'GET /api",
        ),
        ("TRACE /api", repr, ValueError, "no operation 'TRACE /api'"),
        ("get /api", repr, ValueError, "no operation 'get /api'"),
        ("GET api", repr, ValueError, "no operation 'GET api'"),
        ("GET /api/{a b}", repr, ValueError, "no operation"),
        ("GET /api/x{a}", repr, ValueError, "no operation"),
        ("GET /api?x=1", repr, ValueError, "no operation"),
        (1, repr, TypeError, "operation: expected an operationId such as 'sendMessage', not 1"),
        ("getThread", {}, TypeError, r"function: expected a callable that takes a request, not \{\}"),
        ("getThread", _async, TypeError, "function: expected a function without async"),
    ],
)
def test_invalid_arguments(operation: Any, function: Any, kind: type[Exception], expected: str) -> None:
    """The error names the argument and what is expected, before and after the start."""
    sandbox = Sandbox()
    with pytest.raises(kind, match=expected):
        sandbox.answer(operation, function)
    with sandbox, pytest.raises(kind, match=expected):
        sandbox.answer(operation, function)


def test_a_stream_that_is_refused() -> None:
    """`streamMessages` can be answered too. A fault of streams then has no effect."""
    with Sandbox() as sandbox, connect(sandbox) as http:
        sandbox.answer("streamMessages", lambda _: (406, {"message": "no"}))
        sandbox.inject("streamMessages", CutStream(after_events=0))
        assert http.get(f"/api/v1/threads/{THREAD_ID}/stream").status_code == 406
