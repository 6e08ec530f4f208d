"""The sandbox: a Feather that keeps to the contract, and goes wrong when it is asked to."""

from __future__ import annotations

import ast
import json
import logging
import math
import random
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import count as numbers
from pathlib import Path
from typing import Any
from uuid import uuid4

import featherhq.sandbox
import httpx
import pytest
from conftest import AGENT_ID
from featherhq.models import Message
from featherhq.sandbox import (
    Body,
    CutAfter,
    CutBefore,
    CutStream,
    Drip,
    Duplicate,
    Garbage,
    Hide,
    HoldHead,
    Html,
    Lag,
    Mute,
    Reorder,
    Replay,
    Sandbox,
    Skip,
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
    # Longer than the next byte would take.
    sandbox.inject("getThread", Stall(0.2))
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


def texts(lines: list[str]) -> list[str]:
    """What the events of a stream say."""
    return [json.loads(line[6:])["messageBody"] for line in lines if line.startswith("data:")]


def test_a_stream_that_skips_events(http: httpx.Client, path: str, sandbox: Sandbox) -> None:
    """Those that were named do not come, and the others do."""
    thread_id = path.rpartition("/")[2]
    sandbox.inject("streamMessages", Skip((1, 3)))
    lines = events(http, path, 2, lambda: [sandbox.say(thread_id, text) for text in "abcd"])
    assert texts(lines) == ["b", "d"]


def test_a_stream_that_replays(http: httpx.Client, path: str, sandbox: Sandbox) -> None:
    """The agent's last messages come again, the same and in order, then what is new; the next stream is as usual."""
    thread_id = path.rpartition("/")[2]
    said = [sandbox.say(thread_id, text) for text in ("one", "two", "three")]
    sandbox._server.call(sandbox._app.state.accept, thread_id, "of the user")
    sandbox.inject("streamMessages", Replay(2))
    lines = events(http, path, 3, lambda: said.append(sandbox.say(thread_id, "four")))
    assert texts(lines) == ["two", "three", "four"]
    assert [line[4:] for line in lines if line.startswith("id:")] == [message.id for message in said[1:]]
    assert texts(events(http, path, 1, lambda: sandbox.say(thread_id, "five"))) == ["five"]
    sandbox.inject("streamMessages", Replay(100))
    assert texts(events(http, path, 5, lambda: None)) == ["one", "two", "three", "four", "five"]


def test_a_stream_whose_head_is_held_back(http: httpx.Client, path: str, sandbox: Sandbox) -> None:
    """What is said in the meantime comes out after the head."""
    thread_id = path.rpartition("/")[2]

    def say_meanwhile() -> None:
        sandbox.wait_for_requests(1, "streamMessages")
        sandbox.say(thread_id, "meanwhile")

    sandbox.inject("streamMessages", HoldHead(0.5))
    speaker = threading.Thread(target=say_meanwhile)
    speaker.start()
    began = time.monotonic()
    at_the_head: list[float] = []

    def opened() -> None:
        at_the_head.extend([time.monotonic() - began, len(sandbox.messages(thread_id))])

    assert texts(events(http, path, 1, opened)) == ["meanwhile"]
    speaker.join()
    assert at_the_head[0] >= 0.5
    assert at_the_head[1] == 1


def test_a_head_that_never_comes(http: httpx.Client, path: str, sandbox: Sandbox) -> None:
    """Nothing is sent until the caller leaves; then the stream is over."""
    thread_id = path.rpartition("/")[2]
    sandbox.inject("streamMessages", HoldHead())
    with pytest.raises(httpx.ReadTimeout), http.stream("GET", f"{path}/stream", timeout=0.3):
        pass
    deadline = time.monotonic() + 5
    while sandbox._app._streams[thread_id] and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    assert not sandbox._app._streams[thread_id]
    assert [seen.status for seen in sandbox.requests if seen.operation == "streamMessages"] == [None]


def short_lived(life: float | tuple[float, float]) -> tuple[Sandbox, str]:
    """A sandbox whose streams are cut, and the path of a thread there."""
    sandbox = Sandbox(rate_limit=None, stream_life=life)
    return sandbox, f"/api/v1/threads/{sandbox._app.state.create(AGENT_ID, {}, {})['id']}"


def test_a_streams_life() -> None:
    """Each stream is cut when it is over, whether or not its head has been sent; other requests are not."""
    sandbox, path = short_lived(0.2)
    with sandbox, httpx.Client(base_url=sandbox.url, headers={"X-API-Key": sandbox.api_key}, timeout=5) as http:
        for _ in range(2):
            began = time.monotonic()
            with http.stream("GET", f"{path}/stream") as stream, pytest.raises(httpx.RemoteProtocolError):
                stream.read()
            assert time.monotonic() - began >= 0.2
        sandbox.inject("streamMessages", HoldHead())
        with pytest.raises(httpx.RemoteProtocolError), http.stream("GET", f"{path}/stream"):
            pass
        sandbox.inject("getThread", Stall(0.4))
        assert http.get(path).status_code == 200


def test_a_stream_that_ends_before_its_life_is_over() -> None:
    """A fault that comes first ends it; its connection, which other requests use then, is not cut any more."""
    sandbox, path = short_lived(0.3)
    with sandbox, httpx.Client(base_url=sandbox.url, headers={"X-API-Key": sandbox.api_key}, timeout=5) as http:
        sandbox.inject("streamMessages", CutStream(after_events=1, clean=True))
        lines = events(http, path, 2, lambda: sandbox.say(path.rpartition("/")[2], "one"))
        assert texts(lines) == ["one"]
        (connection,) = sandbox._server.transports
        sandbox.inject("getThread", Stall(0.5))
        assert http.get(path).status_code == 200
        assert list(sandbox._server.transports) == [connection]


def test_a_streams_life_is_drawn_at_random(monkeypatch: pytest.MonkeyPatch) -> None:
    """For each stream anew, between the shortest and the longest."""
    drawn: list[tuple[float, float]] = []
    lives = iter([0.1, 0.3])

    def uniform(shortest: float, longest: float) -> float:
        drawn.append((shortest, longest))
        return next(lives)

    sandbox, path = short_lived((0.1, 0.4))
    with sandbox, httpx.Client(base_url=sandbox.url, headers={"X-API-Key": sandbox.api_key}, timeout=5) as http:
        monkeypatch.setattr(random, "uniform", uniform)
        for life in (0.1, 0.3):
            began = time.monotonic()
            with http.stream("GET", f"{path}/stream") as stream, pytest.raises(httpx.RemoteProtocolError):
                stream.read()
            assert time.monotonic() - began >= life
    assert drawn == [(0.1, 0.4)] * 2


@pytest.mark.parametrize("life", [0, -1, math.nan, math.inf, (2, 1), (0, 1), (1, math.inf)])
def test_a_life_that_cannot_be(life: Any) -> None:
    """It is refused when the sandbox is made."""
    with pytest.raises(ValueError, match="stream_life: expected seconds above 0 or"):
        Sandbox(stream_life=life)


def test_a_message_that_is_listed_late(http: httpx.Client, path: str, sandbox: Sandbox) -> None:
    """It is left out while the fault lasts, and stands in its place afterwards."""
    thread_id = path.rpartition("/")[2]
    for text in ("one", "late", "later"):
        sandbox.say(thread_id, text)
    sandbox.inject("listMessages", Hide("late"))
    listed = [
        [one["messageBody"] for one in http.get(f"{path}/messages").json()["thread"]["messages"]] for _ in range(2)
    ]
    assert listed == [["one", "later"], ["one", "late", "later"]]


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


def test_the_newest_messages_are_not_listed_yet(http: httpx.Client, path: str, sandbox: Sandbox) -> None:
    """So many of them, once."""
    for text in ("one", "two", "three"):
        sandbox.say(path.rpartition("/")[2], text)
    sandbox.inject("listMessages", Lag(2))
    listed = [len(http.get(f"{path}/messages").json()["thread"]["messages"]) for _ in range(2)]
    assert listed == [1, 3]


def test_a_status_after_the_work(http: httpx.Client, path: str, sandbox: Sandbox) -> None:
    """The message is accepted, though the answer says otherwise."""
    sandbox.inject("sendMessage", Status(500, after=True))
    assert http.post(f"{path}/messages", json={"message": "hello"}).status_code == 500
    assert sandbox.messages(path.rpartition("/")[2])[0].text == "hello"


def test_a_mute_stream_in_an_envelope() -> None:
    """A mute stream brings heartbeats alone; the next one brings messages under the name that was asked for."""
    sandbox = Sandbox(rate_limit=None, heartbeat=0.05, envelope="data")
    thread_id = sandbox._app.state.create(AGENT_ID, {}, {})["id"]
    stream_path = f"/api/v1/threads/{thread_id}/stream"
    sandbox.inject("streamMessages", Mute())
    with sandbox, httpx.Client(base_url=sandbox.url, headers={"X-API-Key": sandbox.api_key}, timeout=5) as http:
        with http.stream("GET", stream_path) as stream:
            sandbox.say(thread_id, "unheard")
            lines = stream.iter_lines()
            assert [next(lines) for _ in range(3)] == [": open", "", ": heartbeat"]
        with http.stream("GET", stream_path) as stream:
            sandbox.say(thread_id, "heard")
            data = next(line for line in stream.iter_lines() if line.startswith("data:"))
    assert json.loads(data[6:])["data"]["messageBody"] == "heard"


def test_faults_that_are_called_off(http: httpx.Client, path: str, sandbox: Sandbox) -> None:
    """What was injected does not happen any more; and a fault of one thread leaves the others alone."""
    sandbox.inject("getThread", Html(), 9)
    sandbox.inject("getThread", Html(), 9, thread_id=str(uuid4()))
    assert http.get(path).status_code == 502
    sandbox.forget_faults()
    sandbox.inject("getThread", Html(), 9, thread_id=str(uuid4()))
    assert http.get(path).status_code == 200


def test_a_port_that_another_holds(sandbox: Sandbox) -> None:
    """It is refused at the start, and the error names the port."""
    port = int(sandbox.url.rpartition(":")[2])
    with pytest.raises(OSError, match=f":{port}: "):
        Sandbox(port=port).start()


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


def test_messages_as_the_client_has_them(path: str, sandbox: Sandbox) -> None:
    """Whole, with a time in a time zone; also where a test took the time away."""
    thread_id = path.rpartition("/")[2]
    object.__setattr__(sandbox._app.state, "clock", lambda: 1_700_000_000.25)
    said = sandbox.say(thread_id, "hello")
    made = sandbox._app.state.get(thread_id).messages[0]
    moment = datetime(2023, 11, 14, 22, 13, 20, 250_000, UTC)
    assert said == Message(made["id"], "hello", "OUTBOUND", moment, "SENT", made)
    assert sandbox.messages(thread_id) == [said]
    made["createdAt"] = None
    assert sandbox.messages(thread_id)[0].created_at is None


def test_the_sandbox_shares_little_with_the_client() -> None:
    """Its types and its words; not the code that it is there to test."""
    shared = {"featherhq.errors", "featherhq.models", "featherhq._settings"}
    for file in Path(featherhq.sandbox.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                assert not name.startswith("featherhq.") or name.startswith("featherhq.sandbox") or name in shared


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
    assert state.get(thread_id).last_said(0) == []
    with pytest.raises(UnknownThreadError):
        state.get("nothing")
    state.close(thread_id, None)
    with pytest.raises(ClosedThreadError):
        state.accept(thread_id, "x")
