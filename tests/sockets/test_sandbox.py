"""The sandbox: a Feather that keeps to the contract, and goes wrong when it is asked to."""

from __future__ import annotations

import ast
import inspect
import json
import logging
import math
import random
import threading
import time
import typing
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import count as numbers
from pathlib import Path
from typing import Any
from unittest.mock import create_autospec
from urllib.parse import quote
from uuid import UUID, uuid4

import attrs
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
    Fault,
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


STREAMS: list[Fault] = [CutStream(after_events=0), Duplicate(), Skip((1,)), Replay(), HoldHead(), Mute()]
LISTS: list[Fault] = [Reorder(), Lag(), Hide("late")]
ALL: list[Fault] = [Status(500), Html(), Body(b""), Stall(), CutBefore(), CutAfter(), Garbage()]
NAMES = [operation.id for operation in operations()]


def test_where_each_fault_does_something() -> None:
    """Those of streams on streams, those of lists on lists, a slow answer where there is one, the others anywhere."""
    for fault in STREAMS:
        assert [name for name in NAMES if name in fault.fits] == ["streamMessages"]
    for fault in LISTS:
        assert [name for name in NAMES if name in fault.fits] == ["listMessages"]
    assert {name for name in NAMES if name in Drip().fits} == set(NAMES) - {"streamMessages"}
    for fault in ALL:
        assert all(name in fault.fits for name in NAMES)
    assert {type(fault) for fault in [*STREAMS, *LISTS, *ALL, Drip()]} == set(typing.get_args(Fault))
    assert [str(fault.fits) for fault in (Html(), Lag(), Drip())] == [
        "every operation",
        "listMessages alone",
        "every operation but streamMessages",
    ]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("fault", [*STREAMS, *LISTS, *ALL, Drip()], ids=repr)
def test_a_fault_is_injected_where_it_does_something(name: str, fault: Fault) -> None:
    """Anywhere else it is refused, and the error says where it fits and what fits there."""
    sandbox = Sandbox()
    if name in fault.fits:
        sandbox.inject(name, fault)
        return
    with pytest.raises(ValueError, match="fits") as caught:
        sandbox.inject(name, fault)
    assert str(caught.value).startswith(f"{fault!r} fits {fault.fits}, not {name}; for {name} there are Status, Html, ")


@pytest.mark.parametrize(
    ("arguments", "kind", "told"),
    [
        (("sendMessage", CutAfter), TypeError, "CutAfter: expected a fault, got the class; write CutAfter()"),
        (("sendMessage", Status), TypeError, "Status: expected a fault, got the class; write Status(…)"),
        (("*", 500), TypeError, "500: expected a fault; write Status(500)"),
        (("*", 5), TypeError, "fault: expected one of Status, Html, "),
        (("*", None), TypeError, "Drip, Garbage, not None"),
        (("*", dict), TypeError, "fault: expected one of "),
        (("sendMessage", Html(), 0), ValueError, "times: expected a whole number from 1 on, not 0"),
        (("sendMessage", Html(), 1.5), TypeError, "times: expected a whole number from 1 on, not 1.5"),
        (("sendMessage", Html(), True), TypeError, "times: expected a whole number from 1 on, not True"),
        ((7, Html()), TypeError, "operation: expected an operationId such as 'sendMessage', not 7"),
        (("sendMail", Html()), ValueError, "no operation 'sendMail'; there are "),
    ],
)
def test_what_cannot_be_injected(arguments: Any, kind: type[Exception], told: str) -> None:
    """It is refused, and the error says what was given and what fits."""
    with pytest.raises(kind) as caught:
        Sandbox().inject(*arguments)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("thread_id", "kind", "told"),
    [
        (7, TypeError, "thread_id: expected a thread's id, a UUID or a string of one, not 7"),
        ("", ValueError, "thread_id: expected a thread's id, a UUID or a string of one, not ''"),
        ("<Thread 1>", ValueError, "not '<Thread 1>'"),
    ],
)
def test_the_id_of_no_thread(thread_id: Any, kind: type[Exception], told: str) -> None:
    """What no thread can ever be called is refused."""
    with Sandbox() as sandbox:
        for call in (
            lambda: sandbox.inject("sendMessage", Html(), thread_id=thread_id),
            lambda: sandbox.messages(thread_id),
            lambda: sandbox.say(thread_id, "hello"),
        ):
            with pytest.raises(kind) as caught:
                call()
            assert told in str(caught.value)


def test_a_thread_that_is_made_is_none_yet() -> None:
    """A fault for the thread that `createThread` makes cannot happen."""
    with pytest.raises(ValueError, match="thread_id: createThread is about no thread"):
        Sandbox().inject("createThread", Html(), thread_id=uuid4())


def test_a_fault_for_a_uuid(http: httpx.Client, path: str, sandbox: Sandbox) -> None:
    """A thread may be named by a string or by a UUID, in capitals as well, in all that takes one."""
    name = path.rpartition("/")[2]
    sandbox.inject("getThread", Html(), thread_id=UUID(name))
    sandbox.inject("*", Html(), thread_id=name.upper())
    assert [http.get(path).status_code for _ in range(3)] == [502, 502, 200]
    assert [sandbox.say(UUID(name), "hello")] == sandbox.messages(UUID(name))


def test_any_operation_to_which_a_fault_does_something(http: httpx.Client, path: str, sandbox: Sandbox) -> None:
    """With `*` it waits for one, and faults behind it are not held up."""
    thread_id = path.rpartition("/")[2]
    sandbox.say(thread_id, "one")
    sandbox.inject("*", Lag())
    sandbox.inject("*", Html())
    assert [http.get(path).status_code for _ in range(2)] == [502, 200]
    listed = [len(http.get(f"{path}/messages").json()["thread"]["messages"]) for _ in range(2)]
    assert listed == [0, 1]


# Without its types: what a type checker would refuse.
LOOSE: Any = featherhq.sandbox


@pytest.mark.parametrize(
    ("make", "kind", "told"),
    [
        (lambda: LOOSE.Status("500"), TypeError, "Status.code: expected a whole number from 200 to 999, not '500'"),
        (lambda: LOOSE.Status(99), ValueError, "Status.code: expected a whole number from 200 to 999, not 99"),
        (lambda: LOOSE.Status(1000), ValueError, "not 1000"),
        (lambda: LOOSE.Status(True), TypeError, "not True"),
        (
            lambda: LOOSE.Status(500, headers={"Retry-After": 1}),
            TypeError,
            "Status.headers['Retry-After']: expected a str",
        ),
        (
            lambda: LOOSE.Status(500, headers={"a b": "1"}),
            ValueError,
            "Status.headers: a name: expected a header's name",
        ),
        (lambda: LOOSE.Status(500, headers={1: "1"}), TypeError, "Status.headers: a name: expected a string, not 1"),
        (lambda: LOOSE.Status(500, headers={"A": "a\n"}), ValueError, "expected what a header can hold"),
        (lambda: LOOSE.Status(500, headers=["A"]), TypeError, "Status.headers: expected a mapping"),
        (lambda: LOOSE.Status(500, body="text"), TypeError, "Status.body: expected bytes, not 'text'"),
        (lambda: LOOSE.Status(500, after=1), TypeError, "Status.after: expected True or False, not 1"),
        (lambda: LOOSE.Html(99), ValueError, "Html.code: "),
        (lambda: LOOSE.Body("text"), TypeError, "Body.content: expected bytes, not 'text'"),
        (lambda: LOOSE.Body(b"", content_type=None), TypeError, "Body.content_type: expected a string"),
        (lambda: LOOSE.Stall(-1), ValueError, "Stall.seconds: expected seconds above 0, or None for good, not -1"),
        (lambda: LOOSE.Stall("1"), TypeError, "Stall.seconds: expected seconds above 0, or None for good, not '1'"),
        (lambda: LOOSE.Stall(0), ValueError, "not 0"),
        (lambda: LOOSE.Stall(math.nan), ValueError, "not nan"),
        (lambda: LOOSE.Stall(True), TypeError, "not True"),
        (lambda: LOOSE.HoldHead(math.inf), ValueError, "HoldHead.seconds: "),
        (LOOSE.CutStream, ValueError, "CutStream: expected after_events or after_bytes, got neither"),
        (
            lambda: LOOSE.CutStream(after_events=-1),
            ValueError,
            "CutStream.after_events: expected a whole number from 0 on",
        ),
        (lambda: LOOSE.CutStream(after_bytes=1.5), TypeError, "CutStream.after_bytes: "),
        (lambda: LOOSE.CutStream(after_bytes=1, clean="no"), TypeError, "CutStream.clean: "),
        (lambda: LOOSE.Skip((0,)), ValueError, "Skip.events: expected a whole number from 1 on, not 0"),
        (
            lambda: LOOSE.Skip(3),
            TypeError,
            "Skip.events: expected a tuple of whole numbers from 1 on, such as (1, 3), not 3",
        ),
        (lambda: LOOSE.Skip(()), ValueError, "not ()"),
        (lambda: LOOSE.Replay(-1), ValueError, "Replay.messages: expected a whole number from 1 on, not -1"),
        (lambda: LOOSE.Lag(0), ValueError, "Lag.messages: expected a whole number from 1 on, not 0"),
        (lambda: LOOSE.Hide(""), ValueError, "Hide.text: expected at least one character, not ''"),
        (lambda: LOOSE.Hide(1), TypeError, "Hide.text: expected a string, not 1"),
        (lambda: LOOSE.Reorder("1"), TypeError, "Reorder.seed: expected a whole number, not '1'"),
        (lambda: LOOSE.Drip(-1), ValueError, "Drip.interval: expected seconds, 0 or more, not -1"),
    ],
)
def test_faults_that_cannot_be(make: Callable[[], Fault], kind: type[Exception], told: str) -> None:
    """They are refused when they are made, and the error names the argument, the value and what fits."""
    with pytest.raises(kind) as caught:
        make()
    assert told in str(caught.value)


def test_faults_that_can_just_be() -> None:
    """The ends of each range."""
    assert Status(200, headers={"Empty": "", "Latin": "é"}).code == 200
    assert Html(999).code == 999
    assert CutStream(after_events=0, after_bytes=0).after_bytes == 0
    assert Drip(0).interval == 0


async def _asynchronous(_: str, __: list[Message]) -> str:
    raise NotImplementedError


@pytest.mark.parametrize(
    ("name", "value", "kind", "told"),
    [
        ("agent", "hello", TypeError, "agent: expected a callable that takes a text and a history, not 'hello'"),
        ("agent", _asynchronous, TypeError, "agent: expected a plain function"),
        ("api_key", "", ValueError, "this one is empty"),
        ("api_key", "s3cret key", ValueError, "this one has white space"),
        ("api_key", 7, TypeError, "this one is of type int"),
        ("rate_limit", -3, ValueError, "not -3"),
        ("rate_limit", "3", TypeError, "rate_limit: expected a number above 0 or None for no limit, not '3'"),
        ("rate_limit", True, TypeError, "not True"),
        ("counting", ["bucket"], TypeError, "counting: expected 'bucket', 'sliding', 'fixed', not ['bucket']"),
        ("port", 99999, ValueError, "port: expected a whole number from 0 to 65535, not 99999"),
        ("port", -1, ValueError, "not -1"),
        ("port", "80", TypeError, "port: expected a whole number from 0 to 65535, not '80'"),
        ("newest_first", "yes", TypeError, "newest_first: expected True or False, not 'yes'"),
        ("largest_page", 0, ValueError, "largest_page: expected a whole number from 1 on, not 0"),
        ("largest_page", None, TypeError, "largest_page: "),
        ("heartbeat", 0, ValueError, "heartbeat: expected seconds above 0, not 0"),
        ("heartbeat", -1, ValueError, "not -1"),
        ("heartbeat", "1", TypeError, "heartbeat: "),
        ("envelope", "x", ValueError, "envelope: expected 'message', 'data', None, not 'x'"),
        ("envelope", 1, TypeError, "envelope: "),
        ("stream_life", "1", TypeError, "stream_life: expected seconds above 0 or (shortest, longest)"),
        ("stream_life", (1,), ValueError, "not (1,)"),
        ("stream_life", (), ValueError, "not ()"),
        ("stream_life", (1, 2, 3), ValueError, "not (1, 2, 3)"),
    ],
)
def test_a_sandbox_that_cannot_be(name: str, value: Any, kind: type[Exception], told: str) -> None:
    """It is refused when it is made; the error names the argument and says what fits, and shows no key."""
    options: dict[str, Any] = {name: value}
    with pytest.raises(kind, match=f"^{name}: expected ") as caught:
        Sandbox(**options)
    assert told in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_thread_that_is_not_there(http: httpx.Client, sandbox: Sandbox) -> None:
    """The error names it and the last of those there are, or says that there are none."""
    nobody = str(uuid4())
    with pytest.raises(ValueError, match=f"^no thread {nobody}; there are none yet$"):
        sandbox.say(nobody, "hello")
    made = [http.post("/api/v1/threads/web", json={"agentId": AGENT_ID}).json()["thread"]["id"] for _ in range(2)]
    with pytest.raises(ValueError, match=f"^no thread {nobody}; there are 2: {made[0]}, {made[1]}$"):
        sandbox.messages(nobody)
    for _ in range(4):
        http.post("/api/v1/threads/web", json={"agentId": AGENT_ID})
    with pytest.raises(ValueError, match=f"; there are 6: …, {made[1]}, "):
        sandbox.messages(nobody)


@pytest.mark.parametrize(("text", "kind"), [("", ValueError), (None, TypeError), (b"hello", TypeError)])
def test_a_text_that_cannot_be_said(path: str, sandbox: Sandbox, text: Any, kind: type[Exception]) -> None:
    """The error says what fits, and nothing stands in the thread."""
    thread_id = path.rpartition("/")[2]
    with pytest.raises(kind, match=r"^text: expected "):
        sandbox.say(thread_id, text)
    assert sandbox.messages(thread_id) == []


def test_a_sandbox_that_does_not_run() -> None:
    """Before and after the block, what needs it to run says so at once; what was seen can still be read."""
    sandbox = Sandbox()
    thread_id = sandbox._app.state.create(AGENT_ID, {}, {})["id"]
    not_running = "^this sandbox does not run; call this within its `with` block, or after start"
    with pytest.raises(RuntimeError, match=not_running):
        sandbox.say(thread_id, "hello")
    with sandbox:
        sandbox.say(thread_id, "hello")
        with pytest.raises(RuntimeError, match=r"^this sandbox runs already"):
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


@pytest.mark.parametrize(
    ("arguments", "kind", "told"),
    [
        ((-1,), ValueError, "count: expected a whole number from 0 on, not -1"),
        (("1",), TypeError, "count: "),
        ((1, "sendMail"), ValueError, "no operation 'sendMail'; there are "),
        ((1, 7), TypeError, "operation: "),
        ((1, None, -1), ValueError, "timeout: expected seconds, 0 or more, not -1"),
    ],
)
def test_requests_that_cannot_be_waited_for(arguments: Any, kind: type[Exception], told: str) -> None:
    """The error says so at once, and not that they did not come."""
    with Sandbox() as sandbox, pytest.raises(kind) as caught:
        sandbox.wait_for_requests(*arguments)
    assert told in str(caught.value)


def test_an_operation_in_either_spelling(http: httpx.Client, sandbox: Sandbox) -> None:
    """Whoever waits may name it as whoever injects."""
    http.get(f"/api/v1/threads/{uuid4()}")
    sandbox.wait_for_requests(1, "get_thread")


def noted(caplog: pytest.LogCaptureFixture) -> threading.Event:
    """What is set once there is a line in the log."""
    logged = threading.Event()

    def note(_: logging.LogRecord) -> bool:
        logged.set()
        return True

    caplog.handler.addFilter(note)
    return logged


@pytest.mark.parametrize("replies", [None, 7, ["one", 2]])
def test_an_agent_that_answers_with_no_text(caplog: pytest.LogCaptureFixture, replies: Any) -> None:
    """There is no reply at all, and the log says why."""
    logged = noted(caplog)
    with Sandbox(lambda *_: replies, rate_limit=None) as sandbox:
        thread_id = sandbox._app.state.create(AGENT_ID, {}, {})["id"]
        where = f"{sandbox.url}/api/v1/threads/{thread_id}/messages"
        httpx.post(where, json={"message": "hello"}, headers={"X-API-Key": sandbox.api_key})
        assert logged.wait(5)
        assert [message.text for message in sandbox.messages(thread_id)] == ["hello"]
    assert "a reply of the agent: expected a string, not " in caplog.text


@pytest.mark.parametrize("key", ['right/k"ey+1', "wrong-key-of-mine", "w"])
def test_a_request_is_recorded_without_keys(key: str) -> None:
    """Right or wrong, wherever it stands and however it is written, `***` stands in its place; the rest is whole."""
    with Sandbox(api_key='right/k"ey+1', rate_limit=None) as sandbox, httpx.Client(base_url=sandbox.url) as http:
        http.post(
            f"/api/v1/{quote(key, safe='')}/threads",
            params={"key": key, key: "1"},
            headers={"X-API-Key": key, "Authorization": f"Bearer {key}", "X-Other": "wow"},
            json={"message": f"my key is {key}, now", "bytes": "é"},
        )
        http.post("/", content=b"\xff\x00 " + quote(key, safe="").encode(), headers={"X-API-Key": key})
        first, second = sandbox.requests
    assert first.path == "/api/v1/***/threads"
    assert first.query == {"key": "***", "***": "1"}
    assert (first.headers["authorization"], first.headers["x-other"]) == ("Bearer ***", "wow")
    assert "x-api-key" not in first.headers
    assert json.loads(first.body) == {"message": "my key is ***, now", "bytes": "é"}
    assert second.body == b"\xff\x00 ***"
    assert all(key not in f"{seen}{seen.headers}" for seen in (first, second)) or key == "w"


def test_the_log_holds_no_key(caplog: pytest.LogCaptureFixture) -> None:
    """Not even where the agent fails over a text that holds it."""
    logged = noted(caplog)

    def agent(text: str, _: list[Message]) -> str:
        raise ValueError(f"cannot answer {text}")

    with Sandbox(agent, api_key="my-secret-key", rate_limit=None) as sandbox:
        thread_id = sandbox._app.state.create(AGENT_ID, {}, {})["id"]
        where = f"{sandbox.url}/api/v1/threads/{thread_id}/messages"
        httpx.post(where, json={"message": "my-secret-key"}, headers={"X-API-Key": "my-secret-key"})
        assert logged.wait(5)
    assert "cannot answer ***" in caplog.text
    assert "my-secret-key" not in caplog.text


@pytest.mark.parametrize("name", featherhq.sandbox.__all__)
def test_public_names_can_be_looked_into(name: str) -> None:
    """By what reads annotations, shows sources or makes doubles."""
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
