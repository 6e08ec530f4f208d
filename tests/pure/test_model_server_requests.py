"""The model server: requests, their faults, and the rate limit."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fake_time_helpers import flow_of, listed, post, request, run_flow, world_and_server
from featherhq._core.effects import SendRequest
from featherhq._core.responses import Response, TransportFailure
from model_server import (
    Fault,
    cut_body,
    lost_after,
    lost_before,
    never_sent,
    proxy_cut,
    silence,
    slow,
    stale,
    status,
    unreadable,
)


@pytest.mark.parametrize(
    ("fault", "outcome", "took", "arrived"),
    [
        (None, 200, 0.02, 1),
        (never_sent(), TransportFailure(False, False, "could not connect"), 0.01, 0),
        (stale(), TransportFailure(True, False, "the connection was closed", stale=True), 0.01, 0),
        (lost_before(), TransportFailure(True, False, "the connection was lost"), 0.02, 0),
        (lost_after(), TransportFailure(True, False, "the connection was lost"), 0.02, 1),
        (proxy_cut(), TransportFailure(True, False, "the connection was lost"), 0.22, 1),
        (silence(), TransportFailure(True, True, "no response in time"), 20, 0),
        (silence(work=30), TransportFailure(True, True, "no response in time"), 20, 1),
        (slow(3), 200, 3.02, 1),
        (slow(30), TransportFailure(True, True, "no response in time"), 20, 1),
        (status(500), 500, 0.02, 0),
        (status(502, work=0.0), 502, 0.02, 1),
        (status(504, after=1, work=3), 504, 1.02, 1),
        (unreadable(), 200, 0.02, 1),
        (cut_body(), TransportFailure(True, False, "the answer was cut off", status_code=200), 0.02, 1),
    ],
)
def test_each_fault_of_a_request(
    fault: Fault | None, outcome: int | TransportFailure, took: float, arrived: int
) -> None:
    """Each fault gives the client the right outcome at the right time. The message is in the thread or it is not."""
    world, server, thread = world_and_server()
    if fault is not None:
        server.fault("sendMessage", fault)
    process = world.run_until(world.spawn(post(thread)))
    result = process.value()
    assert (result.status_code if isinstance(result, Response) else result) == outcome
    assert process.took == pytest.approx(took)
    world.run_for(60)
    assert len(server.received(thread)) == arrived
    assert run_flow(world, post(thread)).status_code == 200


def test_a_fault_of_one_thread_does_not_affect_other_threads() -> None:
    """A fault of any operation goes to the next request, whatever it is."""
    world, server, thread = world_and_server()
    other = server.thread()
    server.fault("sendMessage", status(500), thread_id=thread)
    assert run_flow(world, post(other)).status_code == 200
    assert run_flow(world, post(thread)).status_code == 500
    server.fault("*", status(503, retry_after="7"))
    assert run_flow(world, listed(thread)).headers["retry-after"] == "7"


def test_errors_have_the_contracts_form() -> None:
    """Each error has the right status and body. Only the errors of a proxy are HTML."""
    world, server, thread = world_and_server()
    server.fault("sendMessage", status(500), status(502))
    assert json.loads(run_flow(world, post(thread)).content) == {
        "status": 500,
        "message": "Internal server error",
        "code": "INTERNAL_SERVER_ERROR",
        "success": False,
    }
    assert run_flow(world, post(thread)).headers["content-type"] == "text/html"
    assert run_flow(world, post(thread, text="")).status_code == 400
    assert run_flow(world, post("nowhere")).status_code == 404
    server.options.closed = True
    assert run_flow(world, post(thread)).status_code == 409
    server.keys = {"another"}
    assert run_flow(world, post(thread)).status_code == 401


def test_a_url_without_a_server() -> None:
    """The client cannot connect to it."""
    world, _, _ = world_and_server()
    effect = SendRequest({"method": "GET", "url": "https://nowhere.test/"}, 5)
    assert run_flow(world, flow_of(effect)) == TransportFailure(False, False, "could not connect")


def test_a_client_can_create_and_get_a_thread() -> None:
    """The operations `createThread` and `getThread` work, and their requests are counted."""
    world, server, _ = world_and_server()
    response = run_flow(world, flow_of(request("web", "", json={"agentId": "x"})))
    thread_id = json.loads(response.content)["thread"]["id"]
    assert thread_id in server.rows
    assert json.loads(run_flow(world, flow_of(request(thread_id, ""))).content)["thread"]["id"] == thread_id
    assert server.cost() == {"createThread": 1, "getThread": 1}


@pytest.mark.parametrize(("counting", "accepted"), [("bucket", 15), ("sliding", 10), ("fixed", 20)])
def test_the_rate_limit_can_count_in_three_ways(counting: str, accepted: int) -> None:
    """Twenty requests come within half a second, while one second ends and the next begins. Some are refused."""
    world, server, thread = world_and_server(counting=counting)
    processes: list[Any] = []
    for number in range(20):
        at = 0.74 + (0 if number < 10 else 0.5)
        world.at(at, lambda: processes.append(world.spawn(post(thread))))
    world.run(5)
    codes = [process.result.status_code for process in processes]
    assert codes.count(200) == accepted
    assert server.refused["key"] == codes.count(429) == 20 - accepted
    assert all(
        process.result.headers["retry-after"] == "1" for process in processes if process.result.status_code == 429
    )


def test_keys_can_share_a_rate_limit() -> None:
    """Two keys have one rate limit each, or they share one."""
    for by_key, accepted in ((True, 20), (False, 10)):
        world, server, thread = world_and_server(by_key=by_key)
        processes = [world.spawn(post(thread, key=key)) for key in "ab" for _ in range(10)]
        world.run(1)
        assert sum(process.value().status_code == 200 for process in processes) == accepted
        assert server.cost(client="a") == {"sendMessage": 10}
