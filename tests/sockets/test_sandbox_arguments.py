"""Invalid arguments of the sandbox and of faults."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import featherhq.sandbox
import httpx
import pytest
from conftest import AGENT_ID
from featherhq.models import Message
from featherhq.sandbox import CutAfter, CutBefore, CutStream, Drip, Fault, Html, Sandbox, Status

pytest_plugins = ["sandbox_helpers"]


# Typed as `Any`, because a type checker would report these arguments.
LOOSE: Any = featherhq.sandbox

INVALID_FAULTS = [
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
    (lambda: LOOSE.Status(500, headers={"A": "a\n"}), ValueError, "expected a header's value"),
    (lambda: LOOSE.Status(500, headers=["A"]), TypeError, "Status.headers: expected a mapping"),
    (lambda: LOOSE.Status(500, body="text"), TypeError, "Status.body: expected bytes, not 'text'"),
    (lambda: LOOSE.Status(500, after=1), TypeError, "Status.after: expected True or False, not 1"),
    (lambda: LOOSE.Html(99), ValueError, "Html.code: "),
    (lambda: LOOSE.Body("text"), TypeError, "Body.content: expected bytes, not 'text'"),
    (lambda: LOOSE.Body(b"", content_type=None), TypeError, "Body.content_type: expected a string"),
    (lambda: LOOSE.Stall(-1), ValueError, "Stall.seconds: expected seconds above 0, or None for no end, not -1"),
    (lambda: LOOSE.Stall("1"), TypeError, "Stall.seconds: expected seconds above 0, or None for no end, not '1'"),
    (lambda: LOOSE.Stall(0), ValueError, "not 0"),
    (lambda: LOOSE.Stall(math.nan), ValueError, "not nan"),
    (lambda: LOOSE.Stall(True), TypeError, "not True"),
    (lambda: LOOSE.HoldHead(math.inf), ValueError, "HoldHead.seconds: "),
    (
        LOOSE.CutStream,
        ValueError,
        "CutStream: after_events or after_bytes is required; write CutStream(after_events=1)",
    ),
    (
        lambda: LOOSE.CutStream(after_events=-1),
        ValueError,
        "CutStream.after_events: expected a whole number of at least 0",
    ),
    (lambda: LOOSE.CutStream(after_bytes=1.5), TypeError, "CutStream.after_bytes: "),
    (lambda: LOOSE.CutStream(after_bytes=1, clean="no"), TypeError, "CutStream.clean: "),
    (lambda: LOOSE.Skip((0,)), ValueError, "Skip.events: expected a whole number of at least 1, not 0"),
    (
        lambda: LOOSE.Skip(3),
        TypeError,
        "Skip.events: expected a tuple of whole numbers of at least 1, such as (1, 3), not 3",
    ),
    (lambda: LOOSE.Skip(()), ValueError, "not ()"),
    (lambda: LOOSE.Replay(-1), ValueError, "Replay.messages: expected a whole number of at least 1, not -1"),
    (lambda: LOOSE.Lag(0), ValueError, "Lag.messages: expected a whole number of at least 1, not 0"),
    (lambda: LOOSE.Hide(""), ValueError, "Hide.text: expected at least one character, not ''"),
    (lambda: LOOSE.Hide(1), TypeError, "Hide.text: expected a string, not 1"),
    (lambda: LOOSE.Reorder("1"), TypeError, "Reorder.seed: expected a whole number, not '1'"),
    (lambda: LOOSE.Drip(-1), ValueError, "Drip.interval: expected seconds, 0 or more, not -1"),
]


@pytest.mark.parametrize(("make", "kind", "expected"), INVALID_FAULTS)
def test_invalid_faults(make: Callable[[], Fault], kind: type[Exception], expected: str) -> None:
    """The error names the argument, the value and the valid values."""
    with pytest.raises(kind) as caught:
        make()
    assert expected in str(caught.value)


def test_the_limits_of_valid_arguments() -> None:
    """The smallest and the largest values are valid."""
    assert Status(200, headers={"Empty": "", "Latin": "é"}).code == 200
    assert Html(999).code == 999
    assert CutStream(after_events=0, after_bytes=0).after_bytes == 0
    assert Drip(0).interval == 0


@pytest.mark.parametrize(
    ("arguments", "kind", "expected"),
    [
        (("sendMessage", CutAfter), TypeError, "CutAfter: expected a fault, got the class; write CutAfter()"),
        (("sendMessage", Status), TypeError, "Status: expected a fault, got the class; write Status(…)"),
        (("*", 500), TypeError, "500: expected a fault; write Status(500)"),
        (("*", 5), TypeError, "fault: expected one of Status, Html, "),
        (("*", None), TypeError, "Drip, Garbage, not None"),
        (("*", dict), TypeError, "fault: expected one of "),
        (("sendMessage", Html(), 0), ValueError, "times: expected a whole number of at least 1, not 0"),
        (("sendMessage", Html(), 1.5), TypeError, "times: expected a whole number of at least 1, not 1.5"),
        (("sendMessage", Html(), True), TypeError, "times: expected a whole number of at least 1, not True"),
        ((7, Html()), TypeError, "operation: expected an operationId such as 'sendMessage', not 7"),
        (("sendMail", Html()), ValueError, "no operation 'sendMail'; expected one of "),
    ],
)
def test_invalid_arguments_of_inject(arguments: Any, kind: type[Exception], expected: str) -> None:
    """The error names the value and the valid values."""
    with pytest.raises(kind) as caught:
        Sandbox().inject(*arguments)
    assert expected in str(caught.value)


def test_injecting_for_an_unknown_operation(sandbox: Sandbox) -> None:
    """The error lists the known operations."""
    with pytest.raises(ValueError, match="sendMessage"):
        sandbox.inject("sendMail", CutBefore())


@pytest.mark.parametrize(
    ("thread_id", "kind", "expected"),
    [
        (7, TypeError, "thread_id: expected a thread's id (a UUID, or its string), not 7"),
        ("", ValueError, "thread_id: expected a thread's id (a UUID, or its string), not ''"),
        ("<Thread 1>", ValueError, "not '<Thread 1>'"),
    ],
)
def test_an_invalid_thread_id(thread_id: Any, kind: type[Exception], expected: str) -> None:
    """Each method raises an error."""
    with Sandbox() as sandbox:
        for call in (
            lambda: sandbox.inject("sendMessage", Html(), thread_id=thread_id),
            lambda: sandbox.messages(thread_id),
            lambda: sandbox.say(thread_id, "hello"),
        ):
            with pytest.raises(kind) as caught:
                call()
            assert expected in str(caught.value)


def test_a_thread_id_for_create_thread() -> None:
    """The request has no thread id, so the fault could not happen."""
    with pytest.raises(ValueError, match="thread_id: the path of createThread contains no thread id"):
        Sandbox().inject("createThread", Html(), thread_id=uuid4())


@pytest.mark.parametrize("life", [0, -1, math.nan, math.inf, (2, 1), (0, 1), (1, math.inf)])
def test_an_invalid_life_of_streams(life: Any) -> None:
    """The error is raised when the sandbox is created."""
    with pytest.raises(ValueError, match="stream_life: expected seconds above 0, a pair"):
        Sandbox(stream_life=life)


async def _asynchronous(_: str, __: list[Message]) -> str:
    raise NotImplementedError


@pytest.mark.parametrize(
    ("name", "value", "kind", "expected"),
    [
        ("agent", "hello", TypeError, "agent: expected a callable that takes a text and a history, not 'hello'"),
        ("agent", _asynchronous, TypeError, "agent: expected a function without async"),
        ("api_key", "", ValueError, "but it is empty"),
        ("api_key", "s3cret key", ValueError, "but it contains white space"),
        ("api_key", 7, TypeError, "but its type is int"),
        ("rate_limit", -3, ValueError, "not -3"),
        ("rate_limit", "3", TypeError, "rate_limit: expected a number above 0 or None for no limit, not '3'"),
        ("rate_limit", True, TypeError, "not True"),
        ("counting", ["bucket"], TypeError, "counting: expected 'bucket', 'sliding', 'fixed', not ['bucket']"),
        ("port", 99999, ValueError, "port: expected a whole number from 0 to 65535, not 99999"),
        ("port", -1, ValueError, "not -1"),
        ("port", "80", TypeError, "port: expected a whole number from 0 to 65535, not '80'"),
        ("newest_first", "yes", TypeError, "newest_first: expected True or False, not 'yes'"),
        ("largest_page", 0, ValueError, "largest_page: expected a whole number of at least 1, not 0"),
        ("largest_page", None, TypeError, "largest_page: "),
        ("heartbeat", 0, ValueError, "heartbeat: expected seconds above 0, not 0"),
        ("heartbeat", -1, ValueError, "not -1"),
        ("heartbeat", "1", TypeError, "heartbeat: "),
        ("envelope", "x", ValueError, "envelope: expected 'message', 'data', None, not 'x'"),
        ("envelope", 1, TypeError, "envelope: "),
        ("stream_life", "1", TypeError, "stream_life: expected seconds above 0, a pair (shortest, longest)"),
        ("stream_life", (1,), ValueError, "not (1,)"),
        ("stream_life", (), ValueError, "not ()"),
        ("stream_life", (1, 2, 3), ValueError, "not (1, 2, 3)"),
    ],
)
def test_invalid_arguments_of_the_sandbox(name: str, value: Any, kind: type[Exception], expected: str) -> None:
    """The error names the argument and the valid values, but does not show the key."""
    options: dict[str, Any] = {name: value}
    with pytest.raises(kind, match=f"^{name}: expected ") as caught:
        Sandbox(**options)
    assert expected in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_thread_that_does_not_exist(http: httpx.Client, sandbox: Sandbox) -> None:
    """The error names the thread and the newest existing threads."""
    unknown = str(uuid4())
    with pytest.raises(ValueError, match=f"^no thread {unknown}; no thread has been created yet$"):
        sandbox.say(unknown, "hello")
    made = [http.post("/api/v1/threads/web", json={"agentId": AGENT_ID}).json()["thread"]["id"] for _ in range(2)]
    with pytest.raises(ValueError, match=rf"^no thread {unknown}; existing threads \(2\): {made[0]}, {made[1]}$"):
        sandbox.messages(unknown)
    for _ in range(4):
        http.post("/api/v1/threads/web", json={"agentId": AGENT_ID})
    with pytest.raises(ValueError, match=rf"; existing threads \(6\): …, {made[1]}, "):
        sandbox.messages(unknown)


@pytest.mark.parametrize(("text", "kind"), [("", ValueError), (None, TypeError), (b"hello", TypeError)])
def test_an_invalid_text_of_a_message(path: str, sandbox: Sandbox, text: Any, kind: type[Exception]) -> None:
    """The error names the valid values, and no message is added."""
    thread_id = path.rpartition("/")[2]
    with pytest.raises(kind, match=r"^text: expected "):
        sandbox.say(thread_id, text)
    assert sandbox.messages(thread_id) == []


@pytest.mark.parametrize(
    ("arguments", "kind", "expected"),
    [
        ((-1,), ValueError, "count: expected a whole number of at least 0, not -1"),
        (("1",), TypeError, "count: "),
        ((1, "sendMail"), ValueError, "no operation 'sendMail'; expected one of "),
        ((1, 7), TypeError, "operation: "),
        ((1, None, -1), ValueError, "timeout: expected seconds, 0 or more, not -1"),
    ],
)
def test_invalid_arguments_of_wait_for_requests(arguments: Any, kind: type[Exception], expected: str) -> None:
    """The error is raised without a wait."""
    with Sandbox() as sandbox, pytest.raises(kind) as caught:
        sandbox.wait_for_requests(*arguments)
    assert expected in str(caught.value)
