"""The sandbox's faults, except those of streams."""

from __future__ import annotations

import time
import typing
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
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
)
from featherhq.sandbox._contract import operations

pytest_plugins = ["sandbox_helpers"]


STREAMS: list[Fault] = [CutStream(after_events=0), Duplicate(), Skip((1,)), Replay(), HoldHead(), Mute()]
LISTS: list[Fault] = [Reorder(), Lag(), Hide("late")]
ALL: list[Fault] = [Status(500), Html(), Body(b""), Stall(), CutBefore(), CutAfter(), Garbage()]
NAMES = [operation.id for operation in operations()]


def test_faults_that_send_a_response(http: httpx.Client, path: str, sandbox: Sandbox) -> None:
    """A status, an HTML page or raw bytes are sent. The message is not accepted."""
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
def test_faults_without_a_response(
    http: httpx.Client, path: str, sandbox: Sandbox, *, fault: Any, error: type[Exception], accepted: bool
) -> None:
    """The connection is closed, nothing is sent, or the bytes are not HTTP."""
    sandbox.inject("sendMessage", fault)
    with pytest.raises(error):
        http.post(f"{path}/messages", json={"message": "hello"}, timeout=0.3)
    assert http.get(path).status_code == 200
    inbound = [one for one in sandbox.messages(path.rpartition("/")[2]) if one.direction == "INBOUND"]
    assert len(inbound) == accepted
    assert next(seen.status for seen in sandbox.requests if seen.operation == "sendMessage") is None


def test_a_status_after_the_message_was_accepted(http: httpx.Client, path: str, sandbox: Sandbox) -> None:
    """The message is accepted, although the response is an error."""
    sandbox.inject("sendMessage", Status(500, after=True))
    assert http.post(f"{path}/messages", json={"message": "hello"}).status_code == 500
    assert sandbox.messages(path.rpartition("/")[2])[0].text == "hello"


def test_a_stall_continues_after_the_client_disconnects(http: httpx.Client, path: str, sandbox: Sandbox) -> None:
    """A slow server still processes the request. A client must not treat a timeout as a rejection."""
    sandbox.inject("sendMessage", Stall(0.2))
    with pytest.raises(httpx.ReadTimeout):
        http.post(f"{path}/messages", json={"message": "late"}, timeout=0.05)
    sandbox.inject("listMessages", Stall(0.3))
    listed = http.get(f"{path}/messages").json()["thread"]["messages"]
    assert "late" in [message["messageBody"] for message in listed]


def test_a_stall_with_an_end(http: httpx.Client, path: str, sandbox: Sandbox) -> None:
    """The response is sent after this time."""
    sandbox.inject("getThread", Stall(0.2))
    began = time.monotonic()
    assert http.get(path).status_code == 200
    assert time.monotonic() - began >= 0.2


def test_a_response_byte_by_byte(http: httpx.Client, path: str, sandbox: Sandbox) -> None:
    """It is complete in the end, and it stops when the client disconnects."""
    sandbox.inject("getThread", Drip(0.0001))
    assert http.get(path).json()["thread"]
    sandbox.inject("getThread", Drip(0.05))
    with pytest.raises(httpx.ReadTimeout):
        http.get(path, timeout=0.01)
    # Wait longer than the interval between two bytes.
    sandbox.inject("getThread", Stall(0.2))
    assert http.get(path).status_code == 200


def test_a_message_that_is_not_visible_yet(http: httpx.Client, path: str, sandbox: Sandbox) -> None:
    """It is not listed while the fault lasts. Later it is listed in its place."""
    thread_id = path.rpartition("/")[2]
    for text in ("one", "late", "later"):
        sandbox.say(thread_id, text)
    sandbox.inject("listMessages", Hide("late"))
    listed = [
        [one["messageBody"] for one in http.get(f"{path}/messages").json()["thread"]["messages"]] for _ in range(2)
    ]
    assert listed == [["one", "later"], ["one", "late", "later"]]


def test_a_history_out_of_order(http: httpx.Client, path: str, sandbox: Sandbox) -> None:
    """One list has all messages in a random order. The next one is as usual."""
    thread_id = path.rpartition("/")[2]
    for number in range(9):
        sandbox.say(thread_id, str(number))
    sandbox.inject("listMessages", Reorder(seed=1))
    listed = [
        [one["messageBody"] for one in http.get(f"{path}/messages").json()["thread"]["messages"]] for _ in range(2)
    ]
    assert sorted(listed[0]) == listed[1] == [str(number) for number in range(9)]
    assert listed[0] != listed[1]


def test_the_newest_messages_are_not_visible_yet(http: httpx.Client, path: str, sandbox: Sandbox) -> None:
    """One list is without this number of messages. The next one is complete."""
    for text in ("one", "two", "three"):
        sandbox.say(path.rpartition("/")[2], text)
    sandbox.inject("listMessages", Lag(2))
    listed = [len(http.get(f"{path}/messages").json()["thread"]["messages"]) for _ in range(2)]
    assert listed == [1, 3]


def test_forgetting_faults(http: httpx.Client, path: str, sandbox: Sandbox) -> None:
    """The faults do not happen any more. A fault of one thread does not affect other threads."""
    sandbox.inject("getThread", Html(), 9)
    sandbox.inject("getThread", Html(), 9, thread_id=str(uuid4()))
    assert http.get(path).status_code == 502
    sandbox.forget_faults()
    sandbox.inject("getThread", Html(), 9, thread_id=str(uuid4()))
    assert http.get(path).status_code == 200


def test_the_id_of_a_thread_as_a_uuid(http: httpx.Client, path: str, sandbox: Sandbox) -> None:
    """Each method accepts a UUID or its string, in upper or lower case."""
    name = path.rpartition("/")[2]
    sandbox.inject("getThread", Html(), thread_id=UUID(name))
    sandbox.inject("*", Html(), thread_id=name.upper())
    assert [http.get(path).status_code for _ in range(3)] == [502, 502, 200]
    assert [sandbox.say(UUID(name), "hello")] == sandbox.messages(UUID(name))


def test_a_fault_for_any_operation(http: httpx.Client, path: str, sandbox: Sandbox) -> None:
    """With `*`, a fault waits for an operation on which it has an effect. Later faults need not wait for it."""
    thread_id = path.rpartition("/")[2]
    sandbox.say(thread_id, "one")
    sandbox.inject("*", Lag())
    sandbox.inject("*", Html())
    assert [http.get(path).status_code for _ in range(2)] == [502, 200]
    listed = [len(http.get(f"{path}/messages").json()["thread"]["messages"]) for _ in range(2)]
    assert listed == [0, 1]


def test_the_operations_of_each_fault() -> None:
    """A fault has an effect on streams, on lists, on all operations, or on all except streams."""
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
        "listMessages only",
        "every operation except streamMessages",
    ]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("fault", [*STREAMS, *LISTS, *ALL, Drip()], ids=repr)
def test_injecting_each_fault_for_each_operation(name: str, fault: Fault) -> None:
    """A fault without an effect is an error, which names the fault's operations and the operation's faults."""
    sandbox = Sandbox()
    if name in fault.fits:
        sandbox.inject(name, fault)
        return
    with pytest.raises(ValueError, match="works with") as caught:
        sandbox.inject(name, fault)
    assert str(caught.value).startswith(
        f"{fault!r} works with {fault.fits}, not with {name}; use one of Status, Html, "
    )
