"""Each response of the server that is not valid raises an error of the package, which says what happened."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from itertools import product
from typing import Any

import featherhq
import pytest
from conftest import AGENT_ID, THREAD_ID, Kind, count
from featherhq import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    DeliveryUnknownError,
    FeatherError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ReplyTimeoutError,
    ResponseDecodeError,
    ServerError,
)
from featherhq.sandbox import Body, CutBefore, Html, Sandbox, Status
from featherhq_api.api.threads import create_thread, get_thread
from featherhq_api.models import CreateThreadBody

CLASSES = {
    301: APIStatusError,
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    408: APIStatusError,
    409: ConflictError,
    418: APIStatusError,
    422: APIStatusError,
    429: RateLimitError,
    500: ServerError,
    502: ServerError,
    503: ServerError,
    522: ServerError,
    599: ServerError,
}
UNKNOWN = {408, 500, 502, 503, 522}
CONTRACT = b'{"status": 0, "message": "So it is", "code": "SO_IT_IS", "success": false}'
BODIES = {
    "contract": CONTRACT,
    "empty": b"",
    "html": b"<html><body>Bad gateway</body></html>",
    "truncated": CONTRACT[:30],
    "list": b"[1, 2]",
}


@pytest.mark.parametrize("status", CLASSES)
def test_each_status_with_each_body_raises_its_own_error(
    kind: Kind, connect: Callable[..., Any], sandbox: Sandbox, status: int
) -> None:
    """The class, status, code, message, request id and number of attempts are right, for the client's methods and
    generated functions.
    """
    client = connect(max_retries=0)
    for body, content in BODIES.items():
        sandbox.inject("*", Status(status, headers={"X-Request-Id": "r-1"}, body=content), 4)
        _each_call_raises_its_own_error(kind, client, status, body)


def _each_call_raises_its_own_error(kind: Kind, client: Any, status: int, body: str) -> None:
    calls: list[Callable[[], Any]] = [
        lambda: client.threads.get(THREAD_ID),
        lambda: client.threads.create(AGENT_ID),
        lambda: kind.generated(get_thread, THREAD_ID, client=client.api),
        lambda: kind.generated(
            create_thread, client=client.api, body=CreateThreadBody.from_dict({"agentId": AGENT_ID})
        ),
    ]
    for call in calls:
        with pytest.raises(APIStatusError) as caught:
            call()
        error = caught.value
        assert type(error) is CLASSES[status]
        assert error.status_code == status
        assert error.code == ("SO_IT_IS" if body == "contract" else None)
        assert (error.message == "So it is") == (body == "contract")
        assert error.message
        assert error.request_id
        assert error.attempts == 1
        assert error.delivered is (None if status in UNKNOWN else False)
        assert error.body == (json.loads(BODIES[body]) if body in {"contract", "list"} else BODIES[body].decode())
        assert str(status) in str(error)
        assert "\n" not in str(error)
        assert error.__notes__


@pytest.mark.parametrize("status", sorted(set(CLASSES) - UNKNOWN))
def test_a_refused_send_raises_the_error_of_its_status(thread: Any, sandbox: Sandbox, status: int) -> None:
    """A status that says that nothing was done raises its own error, without a retry. Only a 429 is retried, until the
    deadline.
    """
    sandbox.inject("sendMessage", Status(status, body=CONTRACT), 99)
    with pytest.raises(CLASSES[status]) as caught:
        thread.send("hello", timeout=3)
    assert caught.value.delivered is False
    sent = count(sandbox, "sendMessage")
    # How many fit depends on the machine's load, too. The exact number is tested in fake time (`test_retry_rules.py`).
    assert sent > 1 if status == 429 else sent == 1
    assert caught.value.attempts == sent


SUCCESSES = {
    "empty": b"",
    "html": b"<html></html>",
    "truncated": b'{"thread": {"id": ',
    "list": b"[]",
    "null": b"null",
    "string": b'"yes"',
}


@pytest.mark.parametrize("body", SUCCESSES)
def test_an_unreadable_success_raises_a_decode_error(
    kind: Kind, connect: Callable[..., Any], sandbox: Sandbox, body: str
) -> None:
    """The client's methods and generated functions raise a ResponseDecodeError with the body, never a JSONDecodeError,
    KeyError or TypeError. (A send reconciles instead: see test_send_outcomes.)
    """
    client = connect()
    sandbox.inject("*", Body(SUCCESSES[body]), 6)
    thread = client.thread(THREAD_ID)
    calls: list[Callable[[], Any]] = [
        lambda: client.threads.get(THREAD_ID),
        lambda: client.threads.create(AGENT_ID),
        lambda: list(thread.messages()),
        lambda: kind.generated(get_thread, THREAD_ID, client=client.api),
        lambda: kind.generated(
            create_thread, client=client.api, body=CreateThreadBody.from_dict({"agentId": AGENT_ID})
        ),
    ]
    for call in calls:
        with pytest.raises(ResponseDecodeError) as caught:
            call()
        assert caught.value.status_code == 200
        assert caught.value.attempts == 1
        shown = SUCCESSES[body].decode()
        assert caught.value.body == (json.loads(shown) if body in {"list", "null", "string"} else shown)


def test_a_missing_field_raises_a_decode_error(connect: Callable[..., Any], sandbox: Sandbox) -> None:
    """The call fails for a thread without an id, a list without messages, and a message without text."""
    client = connect()
    thread = client.thread(THREAD_ID)
    no_text = b'{"thread": {"messages": [{"id": "m1", "messageBody": null}]}}'
    cases: list[tuple[bytes, Callable[[], Any]]] = [
        (b'{"thread": {}}', lambda: client.threads.create(AGENT_ID)),
        (b'{"thread": {"id": ".."}}', lambda: client.threads.create(AGENT_ID)),
        (b'{"thread": null}', lambda: client.threads.get(THREAD_ID)),
        (b'{"thread": {"messages": null}}', lambda: list(thread.messages())),
        (no_text, lambda: list(thread.messages())),
    ]
    for body, call in cases:
        sandbox.inject("*", Body(body))
        with pytest.raises(ResponseDecodeError) as caught:
            call()
        assert caught.value.body == json.loads(body)


def test_unexpected_fields_in_a_success_are_accepted(connect: Callable[..., Any], sandbox: Sandbox, kind: Kind) -> None:
    """The client accepts nulls, missing and new fields, new enum values, wrong types inside, and a
    status such as 202.
    """
    client = connect()
    thread = client.thread(THREAD_ID)
    sandbox.inject("sendMessage", Body(b'{"messageId": "m-1", "brand": "new", "status": null}', code=202))
    sent = thread.send("hello")
    assert (sent.message_id, sent.status, sent.window_expires_in) == ("m-1", None, None)
    assert (sent.thread_id, sent.reconciled) == (THREAD_ID, False)

    odd = b'{"thread": {"id": null, "agentDetails": 7, "metadata": [], "isActive": "perhaps", "new": {"a": 1}}}'
    sandbox.inject("getThread", Body(odd), 2)
    details = client.threads.get(THREAD_ID).details
    assert details.agent_details == 7
    assert details["new"] == {"a": 1}
    assert kind.generated(get_thread, THREAD_ID, client=client.api).parsed.thread.id is None

    message = {"id": 7, "messageBody": "hi", "direction": "SIDEWAYS", "status": "NEW", "createdAt": 5}
    listed = {"thread": {"messages": [message], "pagination": None}}
    sandbox.inject("listMessages", Body(json.dumps(listed).encode()))
    (read,) = thread.messages()
    assert (read.id, read.text, read.direction, read.status, read.created_at) == ("7", "hi", None, "NEW", None)
    assert read.raw == message


def test_a_refused_connection_is_retried(kind: Kind, dead_url: str) -> None:
    """The client retries even a send, because nothing reached the server. Then the error gives the
    number of attempts.
    """
    client = kind.client(base_url=dead_url, max_retries=1)
    calls: list[Callable[[], Any]] = [
        lambda: client.thread(THREAD_ID).send("hello"),
        lambda: client.threads.get(THREAD_ID),
    ]
    for call in calls:
        with pytest.raises(APIConnectionError, match="could not connect") as caught:
            call()
        assert caught.value.attempts == 2
        assert not isinstance(caught.value, APITimeoutError)
        assert isinstance(caught.value.__cause__, ConnectionRefusedError)
        assert "base_url" in caught.value.__notes__[0]


def test_no_error_contains_the_key(kind: Kind, sandbox: Sandbox) -> None:
    """The key is not in the message, body, headers, notes or pickle of an error, even when the
    server repeats the key.
    """
    key = "very-secret-key"
    client = kind.client(key, base_url=sandbox.url, max_retries=0)
    echo = json.dumps({"message": f"no such key {key}", "code": key}).encode()
    faults: list[Any] = [Status(401, headers={"X-Echo": key}, body=echo), Body(b"<p>" + key.encode()), CutBefore()]
    calls: list[Callable[[], Any]] = [
        lambda: client.threads.get(THREAD_ID),
        lambda: client.thread(THREAD_ID).send("hello", timeout=0.5),
    ]
    for fault, call in product(faults, calls):
        sandbox.forget_faults()
        sandbox.inject("*", fault, 99)
        with pytest.raises(FeatherError) as caught:
            call()
        error: BaseException | None = caught.value
        while error is not None:
            assert key.encode() not in pickle.dumps((error, error.__dict__))
            assert key not in f"{error!r}{error}{vars(error)}"
            assert "httpx" not in type(error).__module__
            error = error.__cause__ or error.__context__
    assert key not in repr(client.api)
    assert key not in repr(client)


def test_a_pickled_error_keeps_its_fields_and_note() -> None:
    """A worker process can send any error to its parent process."""
    told: dict[str, Any] = {"method": "POST", "url": "https://x/y", "attempts": 2, "hint": "Do this."}
    status: dict[str, Any] = {
        "status_code": 404,
        "code": "NOT_FOUND",
        "server_message": "Not found",
        "request_id": "r",
        "body": {},
        "headers": {"a": "b"},
        "retry_after": 1.5,
    }
    errors: list[FeatherError] = [
        NotFoundError("gone", **status, **told),
        ResponseDecodeError("odd", status_code=200, body="x", **told),
        DeliveryUnknownError("lost", thread_id="t", text="hello", **told),
        ReplyTimeoutError("late", thread_id="t", message_id="m", **told),
        APITimeoutError("late", **told),
        featherhq.InvalidArgumentError("bad", **told),
        featherhq.ConfigurationError("bad", **told),
    ]
    errors[0].delivered, errors[1].delivered = False, True
    for error in errors:
        again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
        assert type(again) is type(error)
        assert again.args == error.args
        assert vars(again) == vars(error)
        assert again.__notes__ == ["Do this."]
        assert again.delivered is error.delivered
    assert [error.delivered for error in errors[2:]] == [None, True, None, False, False]
    assert isinstance(errors[3], TimeoutError)
    assert isinstance(errors[4], TimeoutError)
    assert isinstance(errors[5], ValueError)


def test_the_docstring_shows_the_tree_of_errors() -> None:
    """The docstring lists each error class under its base class."""
    from featherhq import errors  # noqa: PLC0415 - for its docstring

    path: dict[int, type] = {}
    for line in (errors.__doc__ or "").splitlines():
        name = line.strip("│├└─ ").partition(" ")[0]
        if not name.endswith("Error") or not line.startswith("    "):
            continue
        depth = (len(line) - len(line.lstrip("│├└─ "))) // 4
        path[depth] = getattr(featherhq, name)
        if depth > 1:
            assert path[depth].__bases__[0] is path[depth - 1], name


def test_an_html_page_in_place_of_a_response(thread: Any, sandbox: Sandbox) -> None:
    """A proxy's HTML page with an error status is a ServerError with the page as its body. With status 200 it is a
    decode error.
    """
    sandbox.inject("getThread", Html(504), 3)
    with pytest.raises(ServerError, match="504") as caught:
        thread.refresh()
    assert caught.value.attempts == 3
    assert "<html>" in str(caught.value.body)
    sandbox.inject("getThread", Html(200))
    with pytest.raises(ResponseDecodeError):
        thread.refresh()
