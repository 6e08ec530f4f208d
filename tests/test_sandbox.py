"""The sandbox: a Feather that keeps to the contract, and goes wrong when it is asked to."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from itertools import count as numbers
from typing import Any
from uuid import uuid4

import httpx
import pytest
from conftest import AGENT_ID
from featherhq._models import Message
from featherhq.sandbox import (
    Body,
    CutAfter,
    CutBefore,
    CutStream,
    Drip,
    Duplicate,
    Garbage,
    Html,
    Reorder,
    Sandbox,
    Stall,
    Status,
    default_agent,
)
from featherhq.sandbox._contract import Operation, _as_json_schema, operations
from featherhq.sandbox._server import Server
from featherhq.sandbox._state import ClosedThreadError, State, UnknownThreadError
from hypothesis import given, strategies as st
from starlette.applications import Starlette


@pytest.fixture
def http(sandbox: Sandbox) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=sandbox.url, headers={"X-API-Key": sandbox.api_key}, timeout=5) as client:
        yield client


@pytest.fixture
def path(http: httpx.Client) -> str:
    """The path of a thread."""
    made = http.post("/api/v1/threads/web", json={"agentId": AGENT_ID})
    return f"/api/v1/threads/{made.json()['thread']['id']}"


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    body: dict[str, Any] = answer.json()
    assert answer.status_code == status
    assert (body["status"], body["code"], body["success"]) == (status, code, False)
    assert body["message"]
    assert answer.headers["x-request-id"]
    return body


def test_errors_are_in_the_contracts_form(http: httpx.Client, path: str) -> None:
    """Whatever is wrong with a request is told by status, code and message."""
    nobody = f"/api/v1/threads/{uuid4()}"
    refused(http.get(nobody), 404, "NOT_FOUND")
    refused(http.get(f"{nobody}/stream"), 404, "NOT_FOUND")
    refused(http.get("/api/v1/threads/not-a-uuid"), 400, "BAD_REQUEST")
    refused(http.get("/somewhere"), 404, "NOT_FOUND")
    allowed = http.put(f"{path}/messages")
    refused(allowed, 405, "METHOD_NOT_ALLOWED")
    assert allowed.headers["allow"] == "GET, POST"
    refused(http.get(path, headers={"X-API-Key": "wrong"}), 401, "UNAUTHORIZED")
    messages = f"{path}/messages"
    bad: list[Any] = [{}, {"message": ""}, {"message": 7}, [], None]
    for body in bad:
        assert refused(http.post(messages, json=body), 400, "BAD_REQUEST")["message"].startswith("body: ")
    for content in (b"", b"{", b"[" * 100_000):
        refused(http.post(messages, content=content, headers={"Content-Type": "application/json"}), 400, "BAD_REQUEST")
    refused(http.post(messages, content=b"{}"), 400, "BAD_REQUEST")
    refused(http.get(messages, params={"direction": "SIDEWAYS"}), 400, "BAD_REQUEST")
    refused(http.post("/api/v1/threads/web", json={"agentId": "x"}), 400, "BAD_REQUEST")
    assert http.patch(f"{path}/close", json={"reason": "done"}).json()["thread"]["closedReason"] == "done"
    assert http.patch(f"{path}/close", json={"reason": "again"}).json()["thread"]["closedReason"] == "done"
    refused(http.post(messages, json={"message": "hello"}), 400, "BAD_REQUEST")


def test_half_a_surrogate_pair_does_no_harm(http: httpx.Client, path: str) -> None:
    """JSON can carry one, and UTF-8 cannot."""
    content = b'{"metadata": {"a": "\\ud83d"}}'
    answer = http.patch(path, content=content, headers={"Content-Type": "application/json"})
    assert answer.json()["thread"]["metadata"] == {"a": "\ud83d"}


def test_the_rate_limit() -> None:
    """A burst of one second's worth, then 429 with a Retry-After, then more."""
    with (
        Sandbox(rate_limit=5) as sandbox,
        httpx.Client(base_url=sandbox.url, headers={"X-API-Key": "sandbox-key"}) as http,
    ):
        answers = [http.get(f"/api/v1/threads/{uuid4()}") for _ in range(15)]
        assert [answer.status_code for answer in answers[:5]] == [404] * 5
        limited = next(answer for answer in answers[5:] if answer.status_code != 404)
        refused(limited, 429, "TOO_MANY_REQUESTS")
        assert limited.headers["retry-after"] == "1"


def test_the_default_is_ten_a_second() -> None:
    """The vendor's standard plan."""
    with Sandbox() as sandbox, httpx.Client(base_url=sandbox.url, headers={"X-API-Key": "sandbox-key"}) as http:
        statuses = [http.get(f"/api/v1/threads/{uuid4()}").status_code for _ in range(30)]
        assert statuses[:10] == [404] * 10
        assert 429 in statuses[10:]


def events(http: httpx.Client, path: str, count: int, after_open: Callable[[], Any]) -> list[str]:
    """The lines of a stream up to its nth event, with something done once it is open."""
    lines: list[str] = []
    with http.stream("GET", f"{path}/stream") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        after_open()
        for line in stream.iter_lines():
            lines.append(line)
            if sum(line.startswith("data:") for line in lines) == count:
                break
    return lines


def test_a_stream_brings_what_the_agent_says_from_now_on(http: httpx.Client, path: str, sandbox: Sandbox) -> None:
    """Replies and what is said unprompted, with ids, and nothing of the user or from before."""
    thread_id = path.rpartition("/")[2]
    sandbox.say(thread_id, "before")

    def then() -> None:
        http.post(f"{path}/messages", json={"message": "hello"})
        deadline = time.monotonic() + 5
        while len(sandbox.messages(thread_id)) < 3 and time.monotonic() < deadline:
            threading.Event().wait(0.01)
        sandbox.say(thread_id, "after")

    lines = events(http, path, 2, then)
    data = [json.loads(line[6:]) for line in lines if line.startswith("data:")]
    assert [message["messageBody"] for message in data] == ["echo: hello", "after"]
    assert [line[4:] for line in lines if line.startswith("id:")] == [message["id"] for message in data]


def test_an_agent_that_fails_is_told_of_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """There is no reply, and the next message gets one."""

    def agent(text: str, _: list[Message]) -> list[str]:
        if text == "fail":
            raise RuntimeError("no idea")
        return ["one", "two"]

    with Sandbox(agent, rate_limit=None) as sandbox:
        headers = {"X-API-Key": sandbox.api_key}
        with httpx.Client(base_url=sandbox.url, headers=headers) as http:
            made = http.post("/api/v1/threads/web", json={"agentId": AGENT_ID})
            path = f"/api/v1/threads/{made.json()['thread']['id']}"
            http.post(f"{path}/messages", json={"message": "fail"})
            events(http, path, 2, lambda: http.post(f"{path}/messages", json={"message": "work"}))
        texts = [message.text for message in sandbox.messages(path.rpartition("/")[2])]
    assert texts == ["fail", "work", "one", "two"]
    assert "no idea" in caplog.text


def test_an_agent_that_blocks_does_not_keep_the_sandbox(caplog: pytest.LogCaptureFixture) -> None:
    """It ends at once all the same, also with a stream open."""
    caplog.set_level(logging.DEBUG, "featherhq.sandbox")
    release, ended = threading.Event(), threading.Event()

    def agent(text: str, _: list[Message]) -> str:
        release.wait()
        threading.Timer(0.2, ended.set).start()
        return text

    with Sandbox(agent, rate_limit=None) as sandbox:
        headers = {"X-API-Key": sandbox.api_key}
        with httpx.Client(base_url=sandbox.url, headers=headers) as http:
            made = http.post("/api/v1/threads/web", json={"agentId": AGENT_ID})
            path = f"/api/v1/threads/{made.json()['thread']['id']}"
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


def test_a_reply_that_comes_while_the_sandbox_ends() -> None:
    """The agent's answer finds nobody, and nothing breaks."""
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
        sandbox._server.call(lambda: [task.cancel() for task in sandbox._app._tasks])
        release.set()
        sandbox.say(thread_id, "still here")


def test_a_heartbeat_in_silence() -> None:
    """A comment, every so often."""
    with Sandbox(heartbeat=0.05, rate_limit=None) as sandbox:
        headers = {"X-API-Key": sandbox.api_key}
        with httpx.Client(base_url=sandbox.url, headers=headers) as http:
            made = http.post("/api/v1/threads/web", json={"agentId": AGENT_ID})
            with http.stream("GET", f"/api/v1/threads/{made.json()['thread']['id']}/stream") as stream:
                lines = stream.iter_lines()
                seen = [next(lines) for _ in range(5)]
    assert seen == [": open", "", ": heartbeat", "", ": heartbeat"]


def test_faults_that_answer_in_place_of_the_work(http: httpx.Client, path: str, sandbox: Sandbox) -> None:
    """A status, a page, raw bytes: and the message is not accepted."""
    sandbox.inject("send_message", Status(503, headers={"Retry-After": "7"}))
    sandbox.inject("sendMessage", Status(599, body=b"{"))
    sandbox.inject("sendMessage", Status(599))
    sandbox.inject("*", Html())
    answers = [http.post(f"{path}/messages", json={"message": "hello"}) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [503, 599, 599, 502]
    assert answers[0].headers["retry-after"] == "7"
    assert answers[1].content == b"{"
    assert answers[2].json()["code"] == "UNKNOWN"
    assert answers[3].headers["content-type"].startswith("text/html")
    sandbox.inject("getThread", Body(b"[]"), times=2)
    assert [http.get(path).content for _ in range(2)] == [b"[]", b"[]"]
    assert http.get(path).json()["thread"]
    assert sandbox.messages(path.rpartition("/")[2]) == []


@pytest.mark.parametrize(
    ("fault", "error", "accepted"),
    [
        (CutBefore(), httpx.RemoteProtocolError, False),
        (CutAfter(), httpx.RemoteProtocolError, True),
        (Garbage(), httpx.RemoteProtocolError, False),
        (Stall(), httpx.ReadTimeout, False),
        (Stall(after=True), httpx.ReadTimeout, True),
    ],
    ids=repr,
)
def test_faults_that_leave_the_caller_in_the_dark(
    http: httpx.Client, path: str, sandbox: Sandbox, *, fault: Any, error: type[Exception], accepted: bool
) -> None:
    """Real ones: the connection is cut, or nothing comes, or what comes is no HTTP."""
    sandbox.inject("sendMessage", fault)
    with pytest.raises(error):
        http.post(f"{path}/messages", json={"message": "hello"}, timeout=0.3)
    assert http.get(path).status_code == 200
    inbound = [one for one in sandbox.messages(path.rpartition("/")[2]) if one.direction == "INBOUND"]
    assert len(inbound) == accepted
    assert next(seen.status for seen in sandbox.requests if seen.operation == "sendMessage") is None


def test_a_stall_outlives_its_caller(http: httpx.Client, path: str, sandbox: Sandbox) -> None:
    """A server that was slow does the work all the same; its caller must not take silence for a refusal."""
    sandbox.inject("sendMessage", Stall(0.2))
    with pytest.raises(httpx.ReadTimeout):
        http.post(f"{path}/messages", json={"message": "late"}, timeout=0.05)
    sandbox.inject("listMessages", Stall(0.3))
    listed = http.get(f"{path}/messages").json()["thread"]["messages"]
    assert "late" in [message["messageBody"] for message in listed]


def test_a_stall_of_some_seconds(http: httpx.Client, path: str, sandbox: Sandbox) -> None:
    """Then the answer comes."""
    sandbox.inject("getThread", Stall(0.2))
    began = time.monotonic()
    assert http.get(path).status_code == 200
    assert time.monotonic() - began >= 0.2


def test_an_answer_that_drips(http: httpx.Client, path: str, sandbox: Sandbox) -> None:
    """Byte by byte, its head included; it is complete in the end, and ends when nobody listens."""
    sandbox.inject("getThread", Drip(0.0001))
    assert http.get(path).json()["thread"]
    sandbox.inject("getThread", Drip(0.05))
    with pytest.raises(httpx.ReadTimeout):
        http.get(path, timeout=0.01)
    assert http.get(path).status_code == 200


def test_streams_that_are_cut(http: httpx.Client, path: str, sandbox: Sandbox) -> None:
    """After events or bytes, cleanly or not; and one that says everything twice."""
    thread_id = path.rpartition("/")[2]
    said = lambda: [sandbox.say(thread_id, text) for text in ("one", "two")]  # noqa: E731 - two lines of use
    sandbox.inject("streamMessages", CutStream(after_events=1))
    with pytest.raises(httpx.RemoteProtocolError):
        events(http, path, 2, said)
    sandbox.inject("streamMessages", CutStream(after_bytes=10))
    with pytest.raises(httpx.RemoteProtocolError):
        events(http, path, 1, said)
    sandbox.inject("streamMessages", CutStream(after_events=1, clean=True))
    assert sum(line.startswith("data:") for line in events(http, path, 2, said)) == 1
    sandbox.inject("streamMessages", Duplicate())
    data = [line for line in events(http, path, 4, said) if line.startswith("data:")]
    assert data[0] == data[1] != data[2] == data[3]


def test_a_history_out_of_order(http: httpx.Client, path: str, sandbox: Sandbox) -> None:
    """All messages, shuffled; once."""
    thread_id = path.rpartition("/")[2]
    for number in range(9):
        sandbox.say(thread_id, str(number))
    sandbox.inject("listMessages", Reorder(seed=1))
    listed = [
        [one["messageBody"] for one in http.get(f"{path}/messages").json()["thread"]["messages"]] for _ in range(2)
    ]
    assert sorted(listed[0]) == listed[1] == [str(number) for number in range(9)]
    assert listed[0] != listed[1]


def test_unknown_operations_are_not_injected(sandbox: Sandbox) -> None:
    """The error lists those there are."""
    with pytest.raises(ValueError, match="sendMessage"):
        sandbox.inject("sendMail", CutBefore())


def test_waiting_for_requests(http: httpx.Client, sandbox: Sandbox) -> None:
    """It returns as soon as they have come, and fails when they do not."""
    waiter = threading.Thread(target=sandbox.wait_for_requests, args=(1, "createThread"))
    waiter.start()
    http.post("/api/v1/threads/web", json={"agentId": AGENT_ID})
    waiter.join(5)
    assert not waiter.is_alive()
    with pytest.raises(TimeoutError):
        sandbox.wait_for_requests(2, timeout=0.05)
    (seen,) = sandbox.requests
    assert (seen.operation, seen.method, seen.status) == ("createThread", "POST", 200)
    assert sandbox.api_key not in f"{seen}{seen.headers}"


def test_an_operation_of_tomorrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that the contract has and the sandbox does not know is a 501, not a crash."""
    known = operations()
    tomorrow = Operation("later", "GET", "/later", parameters={}, body=None)
    monkeypatch.setattr("featherhq.sandbox._app.operations", lambda: (*known, tomorrow))
    with Sandbox(rate_limit=None) as sandbox:
        answer = httpx.get(f"{sandbox.url}/later", headers={"X-API-Key": sandbox.api_key})
        refused(answer, 501, "NOT_IMPLEMENTED")


def test_nullable_is_null_allowed() -> None:
    """As OpenAPI 3.0 has it."""
    schema = {"type": "array", "items": {"type": "string", "nullable": True}, "enum": [["a"]]}
    converted = _as_json_schema(schema)
    assert converted["items"] == {"anyOf": [{"type": "string"}, {"type": "null"}]}


def test_the_default_agent() -> None:
    """Good enough for a demo."""
    said = [Message("1", "Where is my order?", "INBOUND")]
    assert default_agent("Hello", []) == "Hello! What can I do for you?"
    assert "1042" in default_agent("Where is my order?", [])
    assert "1042" in default_agent("When will it arrive?", said)[0]
    assert default_agent("When?", [])[0].startswith("It ")
    assert default_agent("Thanks!", said).startswith("You are welcome")  # type: ignore[union-attr]
    assert default_agent("Blue", said) == "You said: Blue"


def test_a_server_that_cannot_start_says_why() -> None:
    """It does not hang."""

    def broken() -> Starlette:
        raise RuntimeError("no application")

    with pytest.raises(RuntimeError, match="no application"):
        Server().start(broken, 0)


def test_stopping_what_never_started() -> None:
    """Nothing happens."""
    Sandbox().stop()


@given(st.integers(0, 30), st.integers(1, 40), st.booleans(), st.sampled_from([None, "INBOUND", "OUTBOUND"]))
def test_pages_hold_each_message_once(total: int, limit: int, newest_first: bool, direction: str | None) -> None:
    """For any limit, either order and any filter."""
    ids, clock = numbers(), numbers()
    state = State(lambda: float(next(clock)), lambda: str(next(ids)), newest_first)
    thread_id = state.create("a", {}, {})["id"]
    for number in range(total):
        (state.say if number % 3 else state.accept)(thread_id, str(number))
    cursor, seen = None, []
    while True:
        page = state.page(thread_id, str(limit), cursor, direction, None)
        seen += [message["messageBody"] for message in page["messages"]]
        cursor = page["pagination"]["nextCursor"]
        if cursor is None:
            break
    wanted = [n for n in range(total) if direction in (None, "OUTBOUND" if n % 3 else "INBOUND")]
    assert seen == [str(n) for n in (reversed(wanted) if newest_first else wanted)]


def test_limits_and_cursors_that_make_no_sense() -> None:
    """The contract takes any string, so there is an answer to any."""
    state = State(lambda: 0.0, lambda: str(uuid4()))
    thread_id = state.create("a", {}, {})["id"]
    state.say(thread_id, "x")
    for limit, size in ((None, 50), ("", 50), ("x", 50), ("0", 1), ("1000", 100), ("-3", 50)):
        page = state.page(thread_id, limit, None, None, None)
        assert page["pagination"]["limit"] == size
    assert state.page(thread_id, None, "nothing", None, None)["messages"] == []
    with pytest.raises(UnknownThreadError):
        state.get("nothing")
    state.close(thread_id, None)
    with pytest.raises(ClosedThreadError):
        state.accept(thread_id, "x")
