"""The sandbox's event streams, and the faults of streams."""

from __future__ import annotations

import json
import random
import threading
import time

import httpx
import pytest
from conftest import AGENT_ID
from featherhq.sandbox import CutStream, Duplicate, HoldHead, Mute, Replay, Sandbox, Skip, Stall
from sandbox_helpers import connect, events, new_thread, texts

pytest_plugins = ["sandbox_helpers"]


def test_a_stream_sends_new_messages_of_the_agent(http: httpx.Client, path: str, sandbox: Sandbox) -> None:
    """It sends new messages of the agent with their ids. It sends no messages of the user and no old messages."""
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


def test_a_heartbeat() -> None:
    """A stream without events sends a comment at regular intervals."""
    with (
        Sandbox(heartbeat=0.05, rate_limit=None) as sandbox,
        connect(sandbox) as http,
        http.stream("GET", f"{new_thread(http)}/stream") as stream,
    ):
        lines = stream.iter_lines()
        seen = [next(lines) for _ in range(5)]
    assert seen == [": open", "", ": heartbeat", "", ": heartbeat"]


def test_streams_that_are_cut(http: httpx.Client, path: str, sandbox: Sandbox) -> None:
    """A stream is cut after events or bytes, or ends correctly. Another one sends each event twice."""
    thread_id = path.rpartition("/")[2]
    said = lambda: [sandbox.say(thread_id, text) for text in ("one", "two")]  # noqa: E731 - used four times
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


def test_a_stream_that_skips_events(http: httpx.Client, path: str, sandbox: Sandbox) -> None:
    """The events with these numbers are not sent. The others are sent."""
    thread_id = path.rpartition("/")[2]
    sandbox.inject("streamMessages", Skip((1, 3)))
    lines = events(http, path, 2, lambda: [sandbox.say(thread_id, text) for text in "abcd"])
    assert texts(lines) == ["b", "d"]


def test_a_stream_that_replays_messages(http: httpx.Client, path: str, sandbox: Sandbox) -> None:
    """The agent's last messages are sent again in order, then new ones. The next stream is as usual."""
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


def test_a_stream_with_a_late_head(http: httpx.Client, path: str, sandbox: Sandbox) -> None:
    """Messages that are created before the head are sent after it."""
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


def test_a_stream_without_a_head(http: httpx.Client, path: str, sandbox: Sandbox) -> None:
    """Nothing is sent until the client disconnects. Then the stream ends."""
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
    """A sandbox whose streams are cut after some time, and the path of a thread."""
    sandbox = Sandbox(rate_limit=None, stream_life=life)
    return sandbox, f"/api/v1/threads/{sandbox._app.state.create(AGENT_ID, {}, {})['id']}"


def test_the_life_of_a_stream() -> None:
    """Each stream is cut after this time, with or without its head. Other requests are not cut."""
    sandbox, path = short_lived(0.2)
    with sandbox, connect(sandbox) as http:
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


def test_a_stream_that_ends_early() -> None:
    """A fault ends the stream first. Then its connection is not cut, because other requests use it."""
    sandbox, path = short_lived(0.3)
    with sandbox, connect(sandbox) as http:
        sandbox.inject("streamMessages", CutStream(after_events=1, clean=True))
        lines = events(http, path, 2, lambda: sandbox.say(path.rpartition("/")[2], "one"))
        assert texts(lines) == ["one"]
        (connection,) = sandbox._server.transports
        sandbox.inject("getThread", Stall(0.5))
        assert http.get(path).status_code == 200
        assert list(sandbox._server.transports) == [connection]


def test_a_random_life(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each stream gets a new random time between the shortest and the longest."""
    drawn: list[tuple[float, float]] = []
    lives = iter([0.1, 0.3])

    def uniform(shortest: float, longest: float) -> float:
        drawn.append((shortest, longest))
        return next(lives)

    sandbox, path = short_lived((0.1, 0.4))
    with sandbox, connect(sandbox) as http:
        monkeypatch.setattr(random, "uniform", uniform)
        for life in (0.1, 0.3):
            began = time.monotonic()
            with http.stream("GET", f"{path}/stream") as stream, pytest.raises(httpx.RemoteProtocolError):
                stream.read()
            assert time.monotonic() - began >= life
    assert drawn == [(0.1, 0.4)] * 2


def test_a_mute_stream_and_an_envelope() -> None:
    """A mute stream sends heartbeats only. The next stream sends messages in the field with the given name."""
    sandbox = Sandbox(rate_limit=None, heartbeat=0.05, envelope="data")
    thread_id = sandbox._app.state.create(AGENT_ID, {}, {})["id"]
    stream_path = f"/api/v1/threads/{thread_id}/stream"
    sandbox.inject("streamMessages", Mute())
    with sandbox, connect(sandbox) as http:
        with http.stream("GET", stream_path) as stream:
            sandbox.say(thread_id, "unheard")
            lines = stream.iter_lines()
            assert [next(lines) for _ in range(3)] == [": open", "", ": heartbeat"]
        with http.stream("GET", stream_path) as stream:
            sandbox.say(thread_id, "heard")
            data = next(line for line in stream.iter_lines() if line.startswith("data:"))
    assert json.loads(data[6:])["data"]["messageBody"] == "heard"
