"""What the tests of the fake world and of the model server share: simple flows, and the reading of their results."""

from __future__ import annotations

import json
from typing import Any

from fake_time import Outcome, World
from featherhq._core.effects import Chunk, Flow, Notice, Receive, SendRequest, Sleep, Start
from featherhq._core.responses import Response
from model_server import BASE_URL, ModelServer, Options

FIXED: dict[str, Any] = {"latency": (0.02, 0.02), "stream_way": (0.01, 0.01), "life": None}
"""Options without random times. Streams do not end by themselves."""


def world_and_server(**options: Any) -> tuple[World, ModelServer, str]:
    """A world, a server with fixed times in it, and the id of a thread."""
    world = World()
    server = ModelServer(world, Options(**(FIXED | options)))
    return world, server, server.thread()


def run_flow(world: World, flow: Flow[Any]) -> Any:
    """Run a flow to its end, and return its result."""
    return world.run_until(world.spawn(flow)).value()


def request(thread_id: str, rest: str, *, seconds: float = 20.0, key: str = "key", **more: Any) -> SendRequest:
    """The effect that sends a request to a thread. It is a POST if it has a body, and a GET otherwise."""
    method = "POST" if "json" in more else "GET"
    url = f"{BASE_URL}/api/v1/threads/{thread_id}{rest}"
    made = {"method": method, "url": url, "headers": {"X-API-Key": key}, **more}
    return SendRequest(made, seconds, streaming=rest == "/stream")


def flow_of(effect: SendRequest) -> Flow[Outcome]:
    """A flow that sends one request."""
    outcome: Outcome = yield effect
    return outcome


def post(thread_id: str, text: str = "hello", **more: Any) -> Flow[Outcome]:
    """A flow that sends a message."""
    return flow_of(request(thread_id, "/messages", json={"message": text}, **more))


def listed(thread_id: str, **params: str) -> Flow[Outcome]:
    """A flow that reads a page of the list of messages."""
    return flow_of(request(thread_id, "/messages", params=params))


def sleeping(seconds: float) -> Flow[None]:
    """A flow that waits."""
    yield Sleep(seconds)


def streaming(thread_id: str, seconds: float, seen: list[Notice], patience: float = 20.0) -> Flow[None]:
    """A flow that opens a stream and collects notices, until none comes for so many seconds.

    Args:
        thread_id: The thread's id.
        seconds: How long to wait for each notice.
        seen: Collects the notices.
        patience: How long to wait for the head of the stream.
    """
    yield Start("stream", flow_of(request(thread_id, "/stream", seconds=patience)))
    yield from collecting(seconds, seen)


def collecting(seconds: float, seen: list[Notice]) -> Flow[None]:
    """A flow that collects notices, until none comes for so many seconds."""
    while (notice := (yield Receive(seconds))) is not None:
        seen.append(notice)


def texts(outcome: Outcome | None) -> list[str]:
    """The texts of the messages in a page."""
    assert isinstance(outcome, Response)
    return [message["messageBody"] for message in json.loads(outcome.content)["thread"]["messages"]]


def next_cursor(outcome: Outcome | None) -> str | None:
    """The cursor of the next page. `None` in the last page."""
    assert isinstance(outcome, Response)
    found: str | None = json.loads(outcome.content)["thread"]["pagination"]["nextCursor"]
    return found


def streamed(seen: list[Notice]) -> list[str]:
    """The texts of the messages that a stream brought."""
    found = []
    for block in b"".join(notice.data for notice in seen if isinstance(notice, Chunk)).split(b"\n\n"):
        for line in block.splitlines():
            if line.startswith(b"data: "):
                data = json.loads(line[6:])
                found.append((data.get("message") or data.get("data") or data)["messageBody"])
    return found
