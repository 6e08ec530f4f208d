"""`featherhq.contrib.starlette`: errors as responses, and event streams, with a real server and a real sandbox."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import featherhq
import httpx
import pytest
from conftest import THREAD_ID
from contrib_service import Service, call, opened, running
from featherhq import FeatherError, Message, RateLimitError
from featherhq.contrib.responses import message_data, status_of
from featherhq.contrib.starlette import error_response
from featherhq.sandbox import Sandbox
from starlette.requests import Request

pytest_plugins = ["contrib_service"]

STATUSES = {
    "FeatherError": 502,
    "ConfigurationError": 500,
    "UsageError": 500,
    "InvalidArgumentError": 400,
    "LedgerError": 503,
    "APIConnectionError": 502,
    "APITimeoutError": 504,
    "APIStatusError": 502,
    "BadRequestError": 400,
    "AuthenticationError": 500,
    "PermissionDeniedError": 500,
    "NotFoundError": 404,
    "ConflictError": 409,
    "RateLimitError": 503,
    "ServerError": 502,
    "ResponseDecodeError": 502,
    "DeliveryUnknownError": 504,
    "ReplyTimeoutError": 504,
}


def test_each_error_has_a_status() -> None:
    """Each public class of errors has the status that `docs/errors.md` tells."""
    public = {name: getattr(featherhq, name) for name in featherhq.__all__}
    ours = {name: kind for name, kind in public.items() if isinstance(kind, type) and issubclass(kind, FeatherError)}
    assert {name: status_of(kind("it failed")) for name, kind in ours.items()} == STATUSES
    page = (Path(__file__).parents[2] / "docs/errors.md").read_text("utf-8")
    table = page.partition("| status of your response |")[2]
    for name, status in STATUSES.items():
        assert any(f"`{name}`" in row and f"| {status}" in row for row in table.splitlines()), name


def test_a_visitor_reads_nothing_of_feather(sandbox: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    """The body of an error names its kind and whether a message arrived. It has no id, URL or text of Feather."""
    with running(Service(sandbox)) as http:
        answer = http.post(f"/threads/{THREAD_ID}/messages", content="Hello")
    assert answer.status_code == 404
    assert answer.json() == {
        "kind": "NotFoundError",
        "status": 404,
        "delivered": False,
        "message": "There is no such chat.",
    }
    # The visitor has asked for something that is not there. No operator must know.
    assert not [one for one in caplog.records if one.name == "featherhq.contrib.starlette"]


def test_a_fault_of_the_service_is_logged(sandbox: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    """If the key of the service is wrong, the visitor sees a 500, and the operator the real error in the log."""
    with running(Service(sandbox, key="another")) as http:
        answer = http.get(f"/threads/{THREAD_ID}/events")
    assert (answer.status_code, answer.json()["kind"]) == (500, "AuthenticationError")
    (record,) = [one for one in caplog.records if one.name == "featherhq.contrib.starlette"]
    assert record.levelno == logging.ERROR
    assert f"GET /threads/{THREAD_ID}/events was answered with 500" in record.getMessage()
    assert record.exc_info is not None
    assert type(record.exc_info[1]).__name__ == "AuthenticationError"


@pytest.mark.parametrize(("asked", "told"), [(2.2, "3"), (None, "1")])
def test_a_rate_limit_tells_when_to_come_back(asked: float | None, told: str) -> None:
    """A 429 of Feather is a 503 with `Retry-After`, in whole seconds: the limit is that of the service."""

    async def program() -> httpx.Headers:
        request = Request({"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b""})
        response = await error_response(request, RateLimitError("too many", retry_after=asked))
        assert response.status_code == 503
        return httpx.Headers(response.raw_headers)

    assert call(program)["retry-after"] == told


def test_other_errors_pass() -> None:
    """The handler raises an error again that is not of this library."""
    other = KeyError("other")
    with pytest.raises(KeyError) as caught:
        call(error_response, None, other)
    assert caught.value is other


def test_what_a_page_needs_of_a_message() -> None:
    """A message without a time has none in its data either."""
    assert message_data(Message("m", "Hi", "OUTBOUND")) == {
        "id": "m",
        "text": "Hi",
        "direction": "OUTBOUND",
        "created_at": None,
    }


def test_a_stream_brings_the_messages_of_the_agent(sandbox: Sandbox, thread_id: str) -> None:
    """Each message is an event: its data is JSON, its id a bookmark. Nobody may keep or hold back the response."""
    with running(Service(sandbox)) as http, opened(http, thread_id) as events:
        assert events.response.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert events.response.headers["cache-control"] == "no-store"
        assert events.response.headers["x-accel-buffering"] == "no"
        said = sandbox.say(thread_id, "Two\nlines")
        event = events.read("data")
        assert json.loads(event["data"]) == message_data(said)
        assert event["id"].startswith("bookmark-")


def test_a_browser_goes_on_after_the_last_event(sandbox: Sandbox, thread_id: str) -> None:
    """`Last-Event-ID` resumes behind the last event. It counts more than `?after=`, which the browser repeats."""
    with running(Service(sandbox)) as http:
        with opened(http, thread_id) as events:
            first = events.last_id
            sandbox.say(thread_id, "one")
            assert json.loads(events.read("data")["data"])["text"] == "one"
            second = events.last_id
        sandbox.say(thread_id, "two")
        with opened(http, thread_id, f"?after={first}", **{"Last-Event-ID": second}) as events:
            assert json.loads(events.read("data")["data"])["text"] == "two"


def test_nothing_is_lost_before_the_first_message(sandbox: Sandbox, thread_id: str) -> None:
    """The event `ready` has a bookmark: a stream that breaks before the first message goes on there."""
    with running(Service(sandbox)) as http:
        with opened(http, thread_id) as events:
            first = events.last_id
        sandbox.say(thread_id, "one")
        with opened(http, thread_id, f"?after={first}") as events:
            assert json.loads(events.read("data")["data"])["text"] == "one"


def test_heartbeats(sandbox: Sandbox, thread_id: str) -> None:
    """A quiet stream sends heartbeats, and then still brings messages. The first event tells a page how often they
    come, and `retry` tells the browser when to come back.
    """
    with running(Service(sandbox, heartbeat=0.05, reconnect=0.25)) as http:
        with http.stream("GET", f"/threads/{thread_id}/events") as response:
            assert next(response.iter_lines()) == "retry: 250"
        with opened(http, thread_id) as events:
            assert json.loads(events.first["data"]) == {"heartbeat": 0.05}
            assert [events.read("event") for _ in range(2)] == 2 * [{"event": "heartbeat", "data": "{}"}]
            sandbox.say(thread_id, "one")
            assert json.loads(events.read("id")["data"])["text"] == "one"


def test_a_bad_bookmark_is_refused(sandbox: Sandbox, thread_id: str) -> None:
    """A damaged bookmark, and one of another thread, get a 400 before the stream begins."""
    with running(Service(sandbox)) as http:
        with opened(http, thread_id) as events:
            good = events.last_id
        for thread, after in ((thread_id, good[:-5]), (THREAD_ID, good)):
            answer = http.get(f"/threads/{thread}/events", params={"after": after})
            assert (answer.status_code, answer.json()["kind"]) == (400, "InvalidArgumentError")


def test_a_stream_that_fails_says_so(sandbox: Sandbox, thread_id: str, caplog: pytest.LogCaptureFixture) -> None:
    """If no more messages can come, an event tells it, the error is logged, and the stream ends."""
    with running(Service(sandbox)) as http, opened(http, thread_id) as events:
        assert http.post(f"/threads/{thread_id}/close").status_code == 200
        event = events.read("data")
        assert event["event"] == "failure"
        assert json.loads(event["data"])["kind"] == "UsageError"
        assert events.next() is None
    assert "was closed by this program" in caplog.text


def test_an_error_of_the_callers_is_not_hidden(
    sandbox: Sandbox, thread_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    """If `data` raises, the connection breaks, and the server logs the error."""

    def data(message: Message) -> object:
        raise LookupError(message.text)

    with running(Service(sandbox, data=data)) as http, opened(http, thread_id) as events:
        sandbox.say(thread_id, "one")
        with pytest.raises(httpx.RemoteProtocolError):
            events.read("data")
    assert "LookupError: one" in caplog.text


def test_without_the_extra(tmp_path: Path) -> None:
    """Without Starlette, the import says in one line what to install."""
    (tmp_path / "starlette.py").write_text("raise ImportError('No module', name='starlette')")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    line = [sys.executable, "-c", "import featherhq.contrib.starlette"]
    ran = subprocess.run(line, env=environment, capture_output=True, text=True, check=False)
    told = "ImportError: featherhq.contrib.starlette needs starlette: pip install 'featherhq[starlette]'"
    assert ran.stderr.splitlines()[-1] == told
