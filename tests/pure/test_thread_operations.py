"""Operations on a thread: what their requests contain, how urgent they are, and which responses are errors."""

from __future__ import annotations

import math
from uuid import UUID

import pytest
from featherhq import FeatherError, InvalidArgumentError, ResponseDecodeError
from featherhq._core.effects import Closed, SendRequest
from featherhq._core.responses import Response
from featherhq._core.slots import Priority, Urgency
from featherhq._threads import flows
from featherhq._threads.send import send
from flow_caller import AGENT, LOST, OTHER, THREAD, URL, Caller, ok, page, thread


def test_a_thread_is_created_with_the_given_values() -> None:
    """The request has the agent's id, and the metadata and variables that were given. The id may be a UUID or a
    string.
    """
    caller = Caller()
    thread_id, details = caller.run(
        flows.create_thread(caller.settings, UUID(AGENT), {"a": "b"}, {"c": "d"}), thread(status="OPEN")
    )
    assert (thread_id, details.id) == (THREAD, THREAD)
    method, path, body = caller.last_request()
    assert (method, path) == ("POST", "/api/v1/threads/web")
    assert body == {"agentId": AGENT, "metadata": {"a": "b"}, "variables": {"c": "d"}}
    caller.run(flows.create_thread(caller.settings, AGENT, None, None), thread())
    assert caller.last_request()[2] == {"agentId": AGENT}
    caller.run(flows.create_thread(caller.settings, AGENT, {}, None), thread())
    assert caller.last_request()[2] == {"agentId": AGENT, "metadata": {}}


@pytest.mark.parametrize(
    ("agent_id", "metadata", "variables", "named"),
    [
        ("no id", None, None, "agent_id"),
        (AGENT, ["x"], None, "metadata"),
        (AGENT, None, {"a": 5}, r"variables\['a'\]"),
    ],
)
def test_an_invalid_argument_creates_no_thread(
    agent_id: object, metadata: object, variables: object, named: str
) -> None:
    """The error names the invalid argument, and no request is sent."""
    caller = Caller()
    error = caller.run(flows.create_thread(caller.settings, agent_id, metadata, variables))
    assert isinstance(error, InvalidArgumentError)
    with pytest.raises(InvalidArgumentError, match=f"^{named}: "):
        raise error
    assert caller.requests == []


@pytest.mark.parametrize("given", [None, "", ".", "..", 1.5, "a\nb"])
def test_a_new_thread_without_a_valid_id_is_an_error(given: object) -> None:
    """The id of a thread becomes one part of a path. If the id of a new thread cannot be that, the response is an
    error.
    """
    caller = Caller()
    error = caller.run(flows.create_thread(caller.settings, AGENT, None, None), thread(id=given))
    assert isinstance(error, ResponseDecodeError)
    assert (error.method, error.url, error.attempts) == ("POST", f"{URL}/api/v1/threads/web", 1)
    assert error.status_code == 200
    assert error.body == {"thread": {"id": given}}


def test_a_thread_is_read_changed_and_closed_with_one_request_each() -> None:
    """The client reads, changes and closes a thread with one request each. Only when it closes the thread, the
    conversations of the thread get a notice.
    """
    caller = Caller()
    settings = caller.settings
    path = f"/api/v1/threads/{THREAD}"
    assert caller.run(flows.get_thread(settings, THREAD), thread(id=THREAD.upper())).id == THREAD.upper()
    assert caller.last_request()[:2] == ("GET", path)
    assert caller.run(flows.update_thread(settings, THREAD, {"a": "b"}, None), thread()).id == THREAD
    assert caller.last_request() == ("PATCH", path, {"metadata": {"a": "b"}})
    caller.run(flows.update_thread(settings, THREAD, None, {"c": "d"}), thread())
    assert caller.last_request() == ("PATCH", path, {"variables": {"c": "d"}})
    assert caller.announced == []
    assert caller.run(flows.close_thread(settings, THREAD, "done"), thread()).id == THREAD
    assert caller.last_request() == ("PATCH", f"{path}/close", {"reason": "done"})
    (announced,) = caller.announced
    assert (announced.thread_id, announced.notice) == (THREAD, Closed("thread"))
    caller.run(flows.close_thread(settings, THREAD, None), thread())
    assert caller.last_request()[2] == {}
    error = caller.run(flows.close_thread(settings, THREAD, 5))
    assert isinstance(error, InvalidArgumentError)
    assert str(error).startswith("reason: ")


@pytest.mark.parametrize(
    ("response", "found"),
    [
        (thread(id=OTHER), "another thread"),
        (ok({"thread": []}), "no object 'thread'"),
        (ok([]), "no object 'thread'"),
        (ok({}), "no object 'thread'"),
    ],
)
def test_details_of_another_thread_are_an_error(response: Response, found: str) -> None:
    """The response is an error if it has no details, or the details of another thread. Details without an id are
    accepted.
    """
    caller = Caller()
    error = caller.run(flows.get_thread(caller.settings, THREAD), response)
    assert isinstance(error, ResponseDecodeError)
    assert found in str(error)
    assert not isinstance(caller.run(flows.get_thread(caller.settings, THREAD), thread(id=None)), FeatherError)


def test_a_request_is_as_urgent_as_its_caller_says() -> None:
    """A request has the urgency that its caller gives. By default, a caller waits for it. The requests of a search for
    a lost message are the most urgent ones.
    """
    caller = Caller(rate_limit=10.0)
    settings, listing = caller.settings, flows.Listing(THREAD)
    urgency = Urgency(Priority.RECONCILE)
    caller.run(flows.list_messages(settings, listing, None, settings.deadline(5), urgency), page([]))
    caller.run(flows.list_messages(settings, listing, None, settings.deadline(5)), page([]))
    caller.run(flows.scan_page(settings, listing, None, Urgency(Priority.CHECK)), page([]))
    assert caller.slots[0].urgency is urgency
    assert [slot.urgency.priority for slot in caller.slots] == [Priority.RECONCILE, Priority.NOW, Priority.CHECK]
    caller.run(send(settings, THREAD, "x", settings.deadline(30)), LOST, page([]))
    assert {slot.urgency.priority for slot in caller.slots[3:]} == {Priority.NOW, Priority.RECONCILE}
    assert caller.slots[3].urgency.priority is Priority.NOW


def test_an_exception_that_ends_a_call_gets_a_note() -> None:
    """The exception gets a note if the server may have done the request, and if the request must not be repeated."""
    settings = Caller().settings
    for flow, sent, told in (
        (flows.close_thread(settings, THREAD, None), True, False),
        (flows.create_thread(settings, AGENT, None, None), True, True),
        (flows.create_thread(settings, AGENT, None, None), False, False),
        (send(settings, THREAD, "x", settings.deadline(5)), True, True),
    ):
        effect = next(flow)
        assert isinstance(effect, SendRequest)
        effect.exchange.is_ours, effect.exchange.sent_at = True, 0.0 if sent else math.inf
        with pytest.raises(KeyboardInterrupt) as ending:
            flow.throw(KeyboardInterrupt())
        notes = getattr(ending.value, "__notes__", [])
        assert any("may have done it" in note for note in notes) is told
