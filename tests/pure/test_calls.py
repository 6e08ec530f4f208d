"""Calls as listeners hear of them: when they begin and end, how they fail, and what may be added to a request."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import attrs
import pytest
from featherhq import NotFoundError
from featherhq._core import events
from featherhq._core.calls import Call, calling
from featherhq._core.effects import Flow
from featherhq._core.slots import Priority, Urgency
from featherhq._settings import Settings
from featherhq._threads import flows
from featherhq._threads.flows import Listing
from featherhq._threads.lists import MessageList, ThreadList
from featherhq._threads.search import find_sent
from featherhq._threads.send import send
from flow_caller import AGENT, NOW, THREAD, Caller, ok, page, receipt, rows, thread

CALLS: list[tuple[str, Callable[[Settings], Flow[Any]], Any]] = [
    ("create", lambda using: flows.create_thread(using, AGENT, None, None), thread()),
    ("get", lambda using: flows.get_thread(using, THREAD), thread()),
    ("update", lambda using: flows.update_thread(using, THREAD, {"a": "b"}, None), thread()),
    ("close", lambda using: flows.close_thread(using, THREAD, None), thread()),
    ("messages", lambda using: MessageList(using, THREAD).next(), page(rows(1))),
    ("list", lambda using: ThreadList(using, None, None, 100, None).next(), ok({"threads": []})),
    ("find_sent", lambda using: find_sent(using, THREAD, "x", datetime.now(UTC), using.deadline(None)), page([])),
    ("scan", lambda using: flows.scan_page(using, Listing(THREAD), None, Urgency(Priority.CHECK)), page(rows(1))),
    ("send", lambda using: send(using, THREAD, "hello", using.deadline(None)), receipt()),
    ("stream", lambda using: flows.open_stream(using, THREAD, Urgency(Priority.NOW), 0), ok({})),
]


def hearing(caller: Caller) -> tuple[Settings, list[Any]]:
    """The settings of a caller whose events are kept, and these events."""
    heard: list[Any] = []
    return attrs.evolve(caller.settings, listen=heard.append), heard


@pytest.mark.parametrize(("name", "flow", "answer"), CALLS, ids=[name for name, *_ in CALLS])
def test_what_a_listener_hears_of_a_call(name: str, flow: Callable[[Settings], Flow[Any]], answer: Any) -> None:
    """A listener hears when a call begins, of its slot and of its attempt, and when it has ended, with its time."""
    caller = Caller(takes=2.0, rate_limit=10.0)
    using, heard = hearing(caller)
    caller.run(flow(using), answer)
    began, slot, attempt, _, ended = heard
    call = began.call
    about = None if name == "list" else THREAD
    assert (call.name, call.thread_id, call.composite, call.opener) == (name, about, False, None)
    assert ended == events.CallEnded(call, None, 2.0)
    priority = {"scan": "check", "find_sent": "reconcile"}.get(name, "now")
    assert slot == events.SlotAwaited(priority, 0.0, taken=True)
    assert (attempt.again, attempt.headers) == (0, {})
    assert call.message_id == ("1" if name == "send" else None)
    assert not call.reconciled


@pytest.mark.parametrize(("name", "flow"), [(name, flow) for name, flow, _ in CALLS])
def test_a_call_that_fails_ends_with_its_error(name: str, flow: Callable[[Settings], Flow[Any]]) -> None:
    """A listener hears why a call has failed, also if its flow returns the error and does not raise it."""
    caller = Caller()
    using, heard = hearing(caller)
    result = caller.run(flow(using), ok({}, 404))
    ended = heard[-1]
    assert isinstance(ended.error, NotFoundError)
    assert ended.error is (result.error if name == "stream" else result)


def test_a_listener_may_add_headers() -> None:
    """What a listener adds is sent. The key and the headers of the caller win, in whatever case they are written."""
    caller = Caller(headers={"Mine": "mine"})

    def add(event: events.Event) -> None:
        if isinstance(event, events.AttemptBegan):
            event.headers.update({"traceparent": "00-1", "mine": "theirs", "x-api-key": "theirs"})

    caller.run(flows.get_thread(attrs.evolve(caller.settings, listen=add), THREAD), thread())
    sent = caller.requests[0]["headers"]
    assert sent["traceparent"] == "00-1"
    assert sent["Mine"] == "mine"
    assert [name for name in sent if name.lower() in {"mine", "x-api-key"}] == ["Mine", "X-API-Key"]
    assert sent["X-API-Key"] is not None
    assert sent["X-API-Key"] != "theirs"


def test_a_call_that_got_no_slot() -> None:
    """A listener hears that a request waited for a slot in vain. No attempt begins."""
    caller = Caller(rate_limit=10.0)
    using, heard = hearing(caller)
    flow = flows.get_thread(using, THREAD)
    next(flow)
    caller.now += 3.0
    with pytest.raises(Exception, match="rate"):
        flow.send(False)
    assert [type(event) for event in heard] == [events.CallBegan, events.SlotAwaited, events.CallEnded]
    assert heard[1] == events.SlotAwaited("now", 3.0, taken=False)


def test_an_exception_from_outside_ends_a_call() -> None:
    """A listener hears of an exception from outside, which goes on unchanged."""
    caller = Caller()
    using, heard = hearing(caller)
    error = KeyboardInterrupt()
    made = Call("get", THREAD)

    def interrupted() -> None:
        with calling(using, made):
            caller.now = NOW + 1.5
            raise error

    with pytest.raises(KeyboardInterrupt) as raised:
        interrupted()
    assert raised.value is error
    assert heard == [events.CallBegan(made), events.CallEnded(made, error, 1.5)]
