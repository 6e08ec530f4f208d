"""Edges of what a thread can do that no flow in fake time comes by: each operation's request, answers that are not as
promised, generated requests that are sent as messages, ids that two messages share.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import attrs
import pytest
from fake_time import EPOCH
from featherhq import (
    APIConnectionError,
    APITimeoutError,
    BadRequestError,
    DeliveryUnknownError,
    FeatherError,
    InvalidArgumentError,
    ResponseDecodeError,
    UsageError,
)
from featherhq._core.effects import Accepted, Announce, Closed, Effect, Flow, Receive, SendRequest, Sleep, TakeSlot
from featherhq._core.pagination import NEWEST_FIRST, OLDEST_FIRST, History
from featherhq._core.rate_limit import Priority, Slot, Urgency
from featherhq._core.responses import Response, TransportFailure
from featherhq._core.sse import StreamEvent
from featherhq._logging import log
from featherhq._settings import Settings
from featherhq._threads import flows
from featherhq._threads.conversation import ConversationFlow
from featherhq._threads.experience import LAG, Experience
from featherhq._threads.history import Anchor, HistoryScan
from featherhq._threads.ledger import Match, SendLedger
from featherhq._threads.messages import Messages
from featherhq._threads.replies import agent_message
from featherhq._threads.scans import AskPage
from featherhq._threads.send import send, send_request
from featherhq._threads.state import Command, ConversationState
from featherhq._threads.streams import Connect
from featherhq.models import Message
from test_flows import Scenario, quiet

__all__ = ["quiet"]

AGENT = "6f1c9a52-8d0e-4b7a-9c55-0f6f2c9e4b11"
THREAD = "0b7e5f0a-3c1d-4f6e-8a2b-9d8c7b6a5f4e"
OTHER = "0b7e5f0a-3c1d-4f6e-8a2b-9d8c7b6a5f4f"
URL = "http://feather.test"
NOW = 1000.0
LOST = TransportFailure(sent=True, timed_out=False, reason="lost")


class Caller:
    """One who runs a flow against answers that are laid out beforehand, on a clock that stands still but for sleeps.

    Args:
        takes: Seconds that each request takes.
        options: The client's settings.

    Attributes:
        requests: The requests that were made.
        announced: What conversations were told.
        slots: The slots that were taken.
        now: The time.
        settings: The client's.
    """

    def __init__(self, takes: float = 0.0, **options: Any) -> None:
        self._takes = takes
        self.requests: list[Mapping[str, Any]] = []
        self.announced: list[Announce] = []
        self.slots: list[Slot] = []
        self.now = NOW
        given: dict[str, Any] = {
            "base_url": URL,
            "timeout": 60.0,
            "max_retries": 0,
            "rate_limit": None,
            "headers": None,
        }
        clocks: dict[str, Any] = {
            "clock": lambda: self.now,
            "wall_clock": lambda: EPOCH + self.now,
            "random": lambda: 0.0,
        }
        self.settings = attrs.evolve(Settings.read("key", **(given | options)), **clocks)

    def run(self, flow: Flow[Any], *answers: Response | TransportFailure) -> Any:
        """What the flow gives, or the library's error that it raises; the last answer comes again and again."""
        waiting = list(answers)
        result: object = None
        while True:
            try:
                effect: Effect[Any] = flow.send(result)
            except StopIteration as end:
                return end.value
            except FeatherError as error:
                return error
            result = None
            if isinstance(effect, SendRequest):
                self.requests.append(effect.request)
                self.now += self._takes
                result = attrs.evolve(waiting[0])
                del waiting[: len(waiting) > 1]
            elif isinstance(effect, Sleep):
                self.now += effect.seconds
            elif isinstance(effect, TakeSlot):
                self.slots.append(effect.slot)
                result = True
            else:
                assert isinstance(effect, Announce), effect
                self.announced.append(effect)

    def asked(self) -> tuple[str, str, Any]:
        """The last request's method, URL without the base, and JSON."""
        request = self.requests[-1]
        url = request["url"]
        assert url.startswith(URL)
        return request["method"].upper(), url.removeprefix(URL), request.get("json")


def ok(data: object, status: int = 200) -> Response:
    return Response(status, {"content-type": "application/json"}, json.dumps(data).encode())


def thread(**fields: Any) -> Response:
    return ok({"thread": {"id": THREAD, **fields}})


def rows(*numbers: int, direction: str = "OUTBOUND", **fields: Any) -> list[dict[str, Any]]:
    return [
        {
            "id": str(number),
            "messageBody": f"text {number}",
            "direction": direction,
            "createdAt": datetime.fromtimestamp(EPOCH + NOW + number, UTC).isoformat(),
            **fields,
        }
        for number in numbers
    ]


def page(listed: object, cursor: object = None) -> Response:
    return ok({"thread": {"messages": listed, "pagination": {"nextCursor": cursor}}})


# Operations.


def test_what_a_new_thread_is_made_with() -> None:
    """The agent's id, and metadata and variables where they were given; a UUID is as good as its string."""
    caller = Caller()
    thread_id, details = caller.run(
        flows.create_thread(caller.settings, UUID(AGENT), {"a": "b"}, {"c": "d"}), thread(status="OPEN")
    )
    assert (thread_id, details.id) == (THREAD, THREAD)
    method, path, body = caller.asked()
    assert (method, path) == ("POST", "/api/v1/threads/web")
    assert body == {"agentId": AGENT, "metadata": {"a": "b"}, "variables": {"c": "d"}}
    caller.run(flows.create_thread(caller.settings, AGENT, None, None), thread())
    assert caller.asked()[2] == {"agentId": AGENT}
    caller.run(flows.create_thread(caller.settings, AGENT, {}, None), thread())
    assert caller.asked()[2] == {"agentId": AGENT, "metadata": {}}


@pytest.mark.parametrize(
    ("agent_id", "metadata", "variables", "named"),
    [
        ("no id", None, None, "agent_id"),
        (AGENT, ["x"], None, "metadata"),
        (AGENT, None, {"a": 5}, r"variables\['a'\]"),
    ],
)
def test_what_no_thread_is_made_with(agent_id: object, metadata: object, variables: object, named: str) -> None:
    """The error names the argument, and nothing is sent."""
    caller = Caller()
    error = caller.run(flows.create_thread(caller.settings, agent_id, metadata, variables))
    assert isinstance(error, InvalidArgumentError)
    with pytest.raises(InvalidArgumentError, match=f"^{named}: "):
        raise error
    assert caller.requests == []


@pytest.mark.parametrize("given", [None, "", ".", "..", 1.5, "a\nb"])
def test_a_new_thread_without_an_id_that_can_be_one(given: object) -> None:
    """What goes into a path must name one place in it."""
    caller = Caller()
    error = caller.run(flows.create_thread(caller.settings, AGENT, None, None), thread(id=given))
    assert isinstance(error, ResponseDecodeError)
    assert (error.method, error.url, error.attempts) == ("POST", f"{URL}/api/v1/threads/web", 1)
    assert error.status_code == 200
    assert error.body == {"thread": {"id": given}}


def test_what_a_thread_is_asked_told_and_closed_with() -> None:
    """One request each; those who talk in it are told when it is closed."""
    caller = Caller()
    settings = caller.settings
    path = f"/api/v1/threads/{THREAD}"
    assert caller.run(flows.get_thread(settings, THREAD), thread(id=THREAD.upper())).id == THREAD.upper()
    assert caller.asked()[:2] == ("GET", path)
    assert caller.run(flows.update_thread(settings, THREAD, {"a": "b"}, None), thread()).id == THREAD
    assert caller.asked() == ("PATCH", path, {"metadata": {"a": "b"}})
    caller.run(flows.update_thread(settings, THREAD, None, {"c": "d"}), thread())
    assert caller.asked() == ("PATCH", path, {"variables": {"c": "d"}})
    assert caller.announced == []
    assert caller.run(flows.close_thread(settings, THREAD, "done"), thread()).id == THREAD
    assert caller.asked() == ("PATCH", f"{path}/close", {"reason": "done"})
    (announced,) = caller.announced
    assert (announced.thread_id, announced.notice) == (THREAD, Closed("thread"))
    caller.run(flows.close_thread(settings, THREAD, None), thread())
    assert caller.asked()[2] == {}
    error = caller.run(flows.close_thread(settings, THREAD, 5))
    assert isinstance(error, InvalidArgumentError)
    assert str(error).startswith("reason: ")


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (thread(id=OTHER), "another thread"),
        (ok({"thread": []}), "no object 'thread'"),
        (ok([]), "no object 'thread'"),
        (ok({}), "no object 'thread'"),
    ],
)
def test_details_that_are_not_as_promised(answer: Response, found: str) -> None:
    """Such as another thread's; a thread whose id is not told is taken to be the one."""
    caller = Caller()
    error = caller.run(flows.get_thread(caller.settings, THREAD), answer)
    assert isinstance(error, ResponseDecodeError)
    assert found in str(error)
    assert not isinstance(caller.run(flows.get_thread(caller.settings, THREAD), thread(id=None)), FeatherError)


def test_what_a_list_is_asked_with() -> None:
    """What was given, checked once; the cursor as it came."""
    caller = Caller()
    listing = flows.Listing.read(THREAD, "INBOUND", "SENT", 7)
    assert listing == flows.Listing(THREAD, "INBOUND", "SENT", 7)
    for cursor in (None, "c/1"):
        caller.run(flows.list_messages(caller.settings, listing, cursor, caller.settings.deadline(5)), page([]))
        params = caller.requests[-1]["params"]
        assert {name: str(value) for name, value in params.items()} == {
            "limit": "7",
            "direction": "INBOUND",
            "status": "SENT",
            **({} if cursor is None else {"cursor": cursor}),
        }
    caller.run(flows.scan_page(caller.settings, flows.Listing(THREAD), None, Urgency(Priority.CHECK)), page([]))
    assert caller.requests[-1]["params"] == {"limit": "100"}
    for wrong in ({"direction": "UP"}, {"status": "LOST"}, {"page_size": 101}):
        given: dict[str, Any] = {"direction": None, "status": None, "page_size": 100, **wrong}
        with pytest.raises(InvalidArgumentError, match=f"^{next(iter(wrong))}: "):
            flows.Listing.read(THREAD, **given)


def test_how_urgent_a_request_is() -> None:
    """As urgent as whoever makes it says; by default somebody waits for it."""
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


def test_a_call_that_is_ended_from_outside() -> None:
    """Whoever catches that is told where the server may have done it: not of what may be repeated, or was not sent."""
    settings = Caller().settings
    for flow, sent, told in (
        (flows.close_thread(settings, THREAD, None), True, False),
        (flows.create_thread(settings, AGENT, None, None), True, True),
        (flows.create_thread(settings, AGENT, None, None), False, False),
        (send(settings, THREAD, "x", settings.deadline(5)), True, True),
    ):
        effect = next(flow)
        assert isinstance(effect, SendRequest)
        effect.exchange.is_ours, effect.exchange.sent = True, sent
        with pytest.raises(KeyboardInterrupt) as ending:
            flow.throw(KeyboardInterrupt())
        notes = getattr(ending.value, "__notes__", [])
        assert any("may have done it" in note for note in notes) is told


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (ok({"thread": {"messages": {}}}), "no list of messages"),
        (page([*rows(1), {"id": "2"}]), "no id or no text"),
        (page(rows(1), "a\nb"), "an invalid cursor"),
        (page(rows(1), "x" * 1025), "an invalid cursor"),
    ],
)
def test_pages_that_are_not_as_promised(answer: Response, found: str) -> None:
    """Rather an error than a message that is lost."""
    caller = Caller()
    deadline = caller.settings.deadline(None)
    error = caller.run(flows.list_messages(caller.settings, flows.Listing(THREAD), None, deadline), answer)
    assert isinstance(error, ResponseDecodeError)
    assert found in str(error)


def test_pages_that_are_read_kindly() -> None:
    """Without pagination, with an empty cursor or a number; what is another thread's is left out."""
    caller = Caller()
    deadline = caller.settings.deadline(None)
    mixed = [*rows(1, threadId=OTHER), *rows(2, threadId=THREAD.upper()), *rows(3)]
    for answer, cursor in (
        (ok({"thread": {"messages": mixed}}), None),
        (ok({"thread": {"messages": mixed, "pagination": []}}), None),
        (page(mixed, ""), None),
        (page(mixed, 7), "7"),
    ):
        came = caller.run(flows.list_messages(caller.settings, flows.Listing(THREAD), None, deadline), answer)
        assert ([message.id for message in came.messages], came.next_cursor) == (["2", "3"], cursor)


def test_a_whole_history_from_as_many_pages_as_it_takes() -> None:
    """Pages that bring something have the client's timeout each; those that bring nothing have one together."""
    caller = Caller()
    history = History()
    listing = flows.Listing(THREAD)
    first = caller.run(
        flows.next_messages(caller.settings, listing, history),
        page(rows(1, 2), "a"),
        page([], "b"),
        page(rows(3)),
    )
    assert [message.id for message in first] == ["1", "2", "3"]
    assert [request["params"].get("cursor") for request in caller.requests] == [None, "a", "b"]
    assert history.is_over
    assert caller.run(flows.next_messages(caller.settings, listing, history)) == []
    assert len(caller.requests) == 3


def test_a_history_that_never_ends() -> None:
    """A hundred pages that bring nothing, each with a next one, are an error of the server's."""
    caller = Caller()
    answers = [page([], str(number)) for number in range(120)]
    error = caller.run(flows.next_messages(caller.settings, flows.Listing(THREAD), History()), *answers)
    assert isinstance(error, ResponseDecodeError)
    assert "100 pages in a row" in str(error)
    assert len(caller.requests) == 100


def test_the_time_of_a_history() -> None:
    """Pages that bring something have the client's timeout each; those that bring nothing have one together."""
    newest = [page(rows(number), str(number)) for number in (9, 8, 7, 6)]
    caller = Caller(takes=25.0)
    listed = caller.run(flows.next_messages(caller.settings, flows.Listing(THREAD), History()), *newest, page(rows(5)))
    assert [message.id for message in listed] == ["5", "6", "7", "8", "9"]
    caller = Caller(takes=25.0)
    nothing = [page([], str(number)) for number in range(9)]
    error = caller.run(flows.next_messages(caller.settings, flows.Listing(THREAD), History()), newest[0], *nothing)
    assert isinstance(error, APITimeoutError)
    assert len(caller.requests) == 1 + 3


# Messages.


def receipt(**fields: Any) -> Response:
    return ok({"messageId": "1", "threadId": THREAD, "status": "QUEUED", "windowExpiresIn": 5, **fields})


def test_a_generated_request_is_sent_as_a_message() -> None:
    """Once, as any other; its thread's id is what the path says, unescaped."""
    caller = Caller()
    settings = caller.settings
    for path, thread_id in ((THREAD, THREAD), ("a%20b", "a b")):
        request = {"method": "post", "url": f"/api/v1/threads/{path}/messages", "json": {"message": "hello"}}
        flow = send_request(settings, request, settings.deadline(5))
        assert flow is not None
        response = caller.run(flow, receipt(threadId=thread_id))
        assert isinstance(response, Response)
        assert response.data() == json.loads(receipt(threadId=thread_id).content)
        assert caller.asked()[0] == "POST"
        assert caller.asked()[2] == {"message": "hello"}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", f"/api/v1/threads/{THREAD}/messages", {"message": "x"}),
        ("POST", f"/api/v1/threads/{THREAD}/close", {"message": "x"}),
        ("POST", f"/api/v1/threads/{THREAD}/x/messages", {"message": "x"}),
        ("POST", f"/api/v1/threads/{THREAD}/messages", ["x"]),
        ("POST", f"/api/v1/threads/{THREAD}/messages", None),
        ("POST", "/api/v1/threads", {"message": "x"}),
        ("POST", f"/x/api/v1/threads/{THREAD}/messages", {"message": "x"}),
    ],
)
def test_a_generated_request_that_is_no_message(method: str, path: str, body: object) -> None:
    """It is left to be sent as it is."""
    settings = Caller().settings
    assert send_request(settings, {"method": method, "url": path, "json": body}, settings.deadline(5)) is None


def test_a_generated_request_without_a_text() -> None:
    """It is refused before it leaves, as an argument of `send` is."""
    caller = Caller()
    request = {"method": "POST", "url": f"/api/v1/threads/{THREAD}/messages", "json": {"text": "x"}}
    flow = send_request(caller.settings, request, caller.settings.deadline(5))
    assert flow is not None
    assert isinstance(caller.run(flow), InvalidArgumentError)
    assert caller.requests == []


def test_a_lost_answer_is_made_of_what_the_thread_shows() -> None:
    """For generated code too: the receipt of the message that was found."""
    caller = Caller()
    settings = caller.settings
    settings.ledger.heard_time(EPOCH + NOW, NOW)
    shown = rows(1, direction="INBOUND", messageBody=" hello ", status="SENT")
    request = {"method": "POST", "url": f"/api/v1/threads/{THREAD}/messages", "json": {"message": "hello"}}
    flow = send_request(settings, request, settings.deadline(30))
    assert flow is not None
    response = caller.run(flow, LOST, page(shown))
    assert response.status_code == 200
    assert response.json() == {"messageId": "1", "threadId": THREAD, "status": "SENT"}
    assert response.headers["content-type"] == "application/json"
    (_, listed) = caller.requests
    assert str(listed["params"]["direction"]) == "INBOUND"


@pytest.mark.parametrize(
    ("fields", "read"),
    [
        ({}, ("QUEUED", 5, THREAD)),
        ({"status": 5, "windowExpiresIn": "soon", "threadId": None}, (None, None, THREAD)),
        ({"windowExpiresIn": 1.5, "threadId": THREAD.upper()}, ("QUEUED", 1.5, THREAD.upper())),
    ],
)
def test_a_receipt_is_read_kindly(fields: dict[str, Any], read: tuple[object, ...]) -> None:
    """What is not as the contract says is left out, but for the id."""
    caller = Caller()
    sent = caller.run(send(caller.settings, THREAD, "x", caller.settings.deadline(5)), receipt(**fields))
    assert (sent.receipt.status, sent.receipt.window_expires_in, sent.receipt.thread_id) == read
    assert (sent.receipt.message_id, sent.receipt.reconciled) == ("1", False)


@pytest.mark.parametrize(
    ("fields", "found"),
    [({"messageId": None}, "no valid messageId"), ({"threadId": OTHER}, "a receipt for another thread")],
)
def test_a_receipt_that_is_none(fields: dict[str, Any], found: str) -> None:
    """It was announced to be accepted, so it is looked for and never sent again; then nobody knows."""
    caller = Caller(max_retries=5)
    flow = send(caller.settings, THREAD, "hello", caller.settings.deadline(30))
    error = caller.run(flow, receipt(**fields), page([]))
    assert isinstance(error, DeliveryUnknownError)
    assert found in str(error)
    assert sum(request["method"].upper() == "POST" for request in caller.requests) == 1
    assert (error.thread_id, error.text, error.attempts) == (THREAD, "hello", 1)
    assert (error.method, error.url) == ("POST", f"{URL}/api/v1/threads/{THREAD}/messages")


def test_a_message_that_was_refused() -> None:
    """It is not delivered for sure, and the error says where to look why."""
    caller = Caller()
    error = caller.run(send(caller.settings, THREAD, "x", caller.settings.deadline(5)), ok({}, 400))
    assert isinstance(error, BadRequestError)
    assert error.delivered is False
    assert any("thread.refresh" in note for note in error.__notes__)


def posts(caller: Caller) -> int:
    return sum(request["method"].upper() == "POST" for request in caller.requests)


def cursors(caller: Caller) -> list[str | None]:
    """What the lists were asked for."""
    return [request["params"].get("cursor") for request in caller.requests if request["method"].upper() == "GET"]


def test_a_lost_message_is_looked_for_as_far_back_as_it_may_stand() -> None:
    """And no further: ten minutes, and a little, before it was sent, where the list runs from the newest on."""
    caller = Caller()
    caller.settings.ledger.heard_time(EPOCH + NOW, NOW)
    caller.settings.experience.order = NEWEST_FIRST
    # Each page is three minutes older; the fifth is the first with what is older than that.
    pages = [page(rows(-180 * number, direction="INBOUND"), str(number)) for number in range(9)]
    caller.run(send(caller.settings, THREAD, "hello", caller.settings.deadline(6)), LOST, *pages)
    assert cursors(caller)[:5] == [None, "0", "1", "2", "3"]
    assert cursors(caller)[5] is None


def test_a_lost_message_is_looked_for_where_the_last_look_ended() -> None:
    """In a list that runs from the oldest on, the next look begins with the page that the first one ended with."""
    caller = Caller()
    caller.settings.ledger.heard_time(EPOCH + NOW, NOW)
    caller.settings.experience.order = OLDEST_FIRST
    old = [page(rows(-5000, -4000, direction="INBOUND"), "a"), page(rows(-3000, -2000, direction="INBOUND"))]
    error = caller.run(send(caller.settings, THREAD, "hello", caller.settings.deadline(60)), LOST, *old)
    assert cursors(caller)[:4] == [None, "a", "a", "a"]
    assert isinstance(error, APIConnectionError)
    assert error.delivered is False
    assert posts(caller) == 1
    # It was looked for until the server is done with what it may have been at: six seconds after the request left.
    assert caller.now - NOW >= 6


def test_a_message_in_an_event() -> None:
    """It may hold half of a character; of envelopes beside one another, the first that is an object has it."""
    bare = {"id": "1", "messageBody": "x"}
    message = agent_message(StreamEvent('{"id": "1", "messageBody": "half \ud83d"}'))
    assert message is not None
    assert message.text == "half \ud83d"
    assert agent_message(StreamEvent(json.dumps({"message": {"no": 1}, "data": bare}))) is None
    assert agent_message(StreamEvent(json.dumps({"message": {"data": bare}, "data": {}}))) is not None
    assert agent_message(StreamEvent(json.dumps(bare | {"direction": "INBOUND"}))) is None


def stamped(id_: str, second: float | None, text: str = "x", direction: str = "OUTBOUND") -> Message:
    made = None if second is None else datetime.fromtimestamp(EPOCH, UTC) + timedelta(seconds=second)
    return Message(id_, text, direction, made)


def told() -> Messages:
    return Messages(Experience(), lambda now: EPOCH + now, {}, 0.0, EPOCH, log)


@pytest.mark.parametrize(
    ("second", "text", "apart"),
    [
        (5.25, "x", False),
        (5.25, "y", False),
        (5.0, "y", False),
        (7.25, "x", False),
        (7.25, "y", True),
        (5.5, "y", True),
        (6.0, "y", True),
        (None, "y", False),
    ],
)
def test_two_messages_of_one_id(second: float | None, text: str, apart: bool) -> None:
    """They are two where both text and time differ, and a time that is cut to whole seconds differs from none in it.
    Both are handed out, under the server's id.
    """
    known = told()
    first, other = known.inbox.told_apart(stamped("1", 5.25)), known.inbox.told_apart(stamped("1", second, text))
    assert first == stamped("1", 5.25)
    assert (other.id != "1") is apart
    assert known.hear(first, 0.0, 6.0)
    assert known.hear(other, 0.0, 8.0) is apart
    assert [message.id for message in iter(known.inbox.take, None)] == ["1"] * (1 + apart)


def test_a_time_that_came_cut_first() -> None:
    """As a time that comes cut later."""
    known = told()
    known.inbox.told_apart(stamped("1", 5.0))
    assert known.inbox.told_apart(stamped("1", 5.9, "y")).id == "1"
    assert known.inbox.told_apart(stamped("1", 6.0, "y")).id != "1"


def test_a_message_that_a_stream_sends_again() -> None:
    """With an old time, soon after the stream was opened, it is nothing new; later it is, whatever its time."""
    for at, new in ((3.0, False), (3.1, True)):
        known = told()
        assert known.hear(stamped("1", -4.0), 0.0, at) is new
        assert known.hear(stamped("2", -3.0), 0.0, at)
        assert known.hear(stamped("3", None), 0.0, at)
        assert not known.hear(stamped("3", None), 0.0, at)


def test_how_far_times_run_behind() -> None:
    """A live message tells it, by the clock of the server's dates: up to ten seconds, as more is a delay."""
    for at, second, behind in ((9.0, 5.0, 4.0), (14.0, 4.0, 10.0), (14.5, 4.0, 0.0), (3.0, 1.0, 0.0), (9.0, 10.0, 0.0)):
        known = Messages(experience := Experience(), lambda now: EPOCH + now, {}, 0.0, EPOCH, log)
        assert known.hear(stamped("1", second), 0.0, at)
        assert experience.behind == behind
        assert experience.delivers
    known = Messages(experience := Experience(), lambda _: None, {}, 0.0, EPOCH, log)
    assert known.hear(stamped("1", 5.0), 0.0, 9.0)
    assert experience.behind == 0.0


def test_what_one_ask_after_the_other_has_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    """It does not pile up for ever: the oldest are left out, and that is told once."""
    known = told()
    with caplog.at_level("WARNING", "featherhq"):
        for number in range(256):
            known.hear(stamped(str(number), number), 0.0, 10.0 + number)
        known.inbox.trim()
        assert known.inbox.is_full
        assert not caplog.records
        for number in range(256, 261):
            known.hear(stamped(str(number), number), 0.0, 10.0 + number)
            known.inbox.trim()
    assert [message.id for message in iter(known.inbox.take, None)] == [str(number) for number in range(5, 261)]
    assert [record.levelname for record in caplog.records] == ["WARNING"]


# The ledger.


def test_a_forked_child_has_sent_nothing() -> None:
    """What is under way in the parent is no rival of the child's messages; what is known stays known."""
    ledger = SendLedger()
    ledger.heard_time(EPOCH, 0.0)
    ledger.saw(THREAD, [stamped("1", -5.0)], 1.0)
    with ledger.sending(THREAD, "hello", 2.0):
        ledger.forked()
        with ledger.sending(THREAD, "hello", 3.0) as mine:
            mine.waiting = False
            listed = [stamped("2", 3.0, "hello", "INBOUND")]
            assert ledger.find(mine, listed, 4.0) == listed[0]
    assert set(ledger.known(THREAD)) == {"1", "2"}


def test_a_message_of_an_equal_that_still_waits() -> None:
    """Of two equal texts under way, the one that is found belongs to nobody while the other may still be answered."""
    ledger = SendLedger()
    ledger.heard_time(EPOCH, 0.0)
    listed = [stamped("2", 3.0, "hello", "INBOUND")]
    with ledger.sending(THREAD, "hello", 2.0) as other, ledger.sending(THREAD, " hello\n", 3.0) as mine:
        mine.waiting = False
        assert ledger.find(mine, listed, 4.0) is Match.UNSURE
        other.waiting = False
        assert ledger.find(mine, listed, 4.0) == listed[0]


def found(ledger: SendLedger, *listed: Message, text: str = "hello", finished: bool = False) -> Message | Match:
    """What a list says of a message that began at 10 and that no answer can come to any more."""
    with ledger.sending(THREAD, text, 10.0) as mine:
        mine.waiting, mine.finished = False, finished
        return ledger.find(mine, listed, 20.0)


def timed() -> SendLedger:
    """A ledger that knows the server's time; the floor of what began at 10 is 8 seconds after the epoch."""
    ledger = SendLedger()
    ledger.heard_time(EPOCH, 0.0)
    return ledger


def user(id_: str, second: float | None, text: str = "hello") -> Message:
    return stamped(id_, second, text, "INBOUND")


@pytest.mark.parametrize(
    ("shown", "match"),
    [
        (user("1", 8.0), None),
        (user("1", 7.5), Match.UNSURE),
        (user("1", 8.0 - 600.0), Match.UNSURE),
        (user("1", 8.0 - 600.5), Match.ABSENT),
        (user("1", None), Match.UNSURE),
        (user("1", 8.0, "another"), Match.UNSURE),
        (user("1", 7.5, "another"), Match.ABSENT),
        (user("1", None, "another"), Match.UNSURE),
        (user("1", 9.0, " hel\u006co\n"), None),
        (stamped("1", 9.0, "hello"), Match.ABSENT),
        (stamped("1", 9.0, "another"), Match.ABSENT),
        (stamped("1", 9.0, "hello", "SIDEWAYS"), None),
    ],
)
def test_what_one_message_of_a_list_says(shown: Message, match: Match | None) -> None:
    """It is the one by its text, time and direction; it may be it where one of these cannot tell."""
    assert found(timed(), shown) == (shown if match is None else match)
    assert found(timed(), user("0", -900.0), shown) == (shown if match is None else match)


def test_a_message_that_is_somebody_elses() -> None:
    """One that was answered, or was listed before this one began, is not it; one that was listed just then may be."""
    shown = user("1", 9.0)
    ledger = timed()
    with ledger.sending(THREAD, "hello", 5.0) as other:
        pass
    ledger.confirm(other, "1", 15.0)
    assert found(ledger, shown) is Match.ABSENT
    for since, match in ((9.9, Match.ABSENT), (10.0, shown), (12.0, shown)):
        ledger = timed()
        ledger.saw(THREAD, [shown], since)
        assert found(ledger, shown) == match
    ledger = timed()
    ledger.saw(OTHER, [shown], 5.0)
    assert found(ledger, shown) == shown
    # What was found for one call is that call's.
    assert found(ledger, shown) is Match.ABSENT


def test_clocks_that_disagree() -> None:
    """Where one of our own messages bears a time before it was made, times tell nothing of an equal text."""
    old = user("2", 8.0 - 700.0)
    for second, match in ((3.0, Match.ABSENT), (2.5, Match.UNSURE)):
        ledger = timed()
        with ledger.sending(THREAD, "first", 5.0) as other:
            pass
        ledger.confirm(other, "1", 6.0)
        assert found(ledger, user("1", second, "first"), old) is match
        # What others have sent tells nothing of that.
        ledger = timed()
        ledger.saw(THREAD, [user("1", second, "first")], 6.0)
        assert found(ledger, user("1", second, "first"), old) is Match.ABSENT
    ledger = timed()
    assert found(ledger, user("1", 8.0)) == user("1", 8.0)
    assert found(ledger, user("1", 7.5), old) is Match.UNSURE


def test_equal_texts_on_their_way_together() -> None:
    """They are counted: what is there belongs first to those that the server is done with. Others' threads and texts
    are no rivals, but the text of a rival explains a message.
    """
    one, two = user("1", 9.0), user("2", 9.5)
    for finished, other_finished, listed, match in (
        (False, False, [one], one),
        (False, True, [one], Match.UNSURE),
        (False, True, [one, two], two),
        (True, True, [one], one),
        (True, True, [one, two], one),
    ):
        ledger = timed()
        with ledger.sending(THREAD, "hello", 9.0) as other:
            other.waiting, other.finished = False, other_finished
            assert found(ledger, *listed, finished=finished) == match
    ledger = timed()
    with ledger.sending(OTHER, "hello", 9.0), ledger.sending(THREAD, "bye", 9.0):
        assert found(ledger, user("3", 9.0, "bye")) is Match.ABSENT
        assert found(ledger, user("3", 9.0, "bye"), one) == one
    with timed().sending(THREAD, "hello", 10.0) as mine:
        assert timed().find(mine, [one], 20.0) == one


def test_a_list_that_lacks_what_was_confirmed() -> None:
    """It may lack another too; when it shows it, it tells by how much it lags. What was only seen may be deleted."""
    ledger = timed()
    with ledger.sending(THREAD, "first", 5.0) as other:
        pass
    ledger.confirm(other, "1", 6.0)
    assert found(ledger) is Match.UNSURE
    assert ledger.longest_lag == 0.0
    assert found(ledger, user("1", 5.0, "first")) is Match.ABSENT
    assert ledger.longest_lag == 14.0
    with ledger.sending(THREAD, "hello", 10.0) as mine:
        assert ledger.find(mine, [user("1", 5.0, "first")], 25.0) is Match.ABSENT
    assert ledger.longest_lag == 14.0
    ledger = timed()
    ledger.saw(THREAD, [user("1", 5.0, "first")], 6.0)
    assert found(ledger) is Match.ABSENT


def test_what_is_remembered() -> None:
    """For thirty seconds before the first that is under way, and no more than eight thousand."""
    ledger = timed()
    ledger.saw(THREAD, [user("1", 0.0)], 0.0)
    with ledger.sending(OTHER, "x", 20.0):
        ledger.saw(THREAD, [user("2", 0.0)], 30.0)
        assert set(ledger.known(THREAD)) == {"1", "2"}
        ledger.saw(THREAD, [user("3", 0.0)], 90.0)
        assert ledger.known(THREAD) == {"1": 0.0, "2": 30.0, "3": 90.0}
    ledger.saw(THREAD, [user("3", 0.0), user("4", 0.0)], 120.0)
    assert ledger.known(THREAD) == {"3": 90.0, "4": 120.0}
    ledger.saw(OTHER, [user(str(number), 0.0) for number in range(8000)], 120.0)
    assert ledger.known(THREAD) == {}
    assert len(ledger.known(OTHER)) == 8000


def test_the_servers_time_is_the_highest_that_was_told() -> None:
    """A date is old when it comes; but one that is older by more than clocks differ was set back."""
    ledger = SendLedger()
    assert ledger.server_time(5.0) is None
    assert ledger.floor(5.0) is None
    with ledger.sending(THREAD, "x", 1.0) as sending:
        assert sending.floor is None
        ledger.heard_time(None, 2.0)
        assert sending.floor is None
        ledger.heard_time(EPOCH, 0.0)
        assert sending.floor == EPOCH + 1.0 - 2.0
        ledger.heard_time(EPOCH + 1, 0.0)
        assert sending.floor == EPOCH - 1.0
    for date, known in ((EPOCH, 1.0), (EPOCH - 1.0, 1.0), (EPOCH - 1.1, -1.1), (EPOCH + 3, 3.0)):
        ledger.heard_time(date, 0.0)
        assert ledger.server_time(7.0) == EPOCH + known + 7.0


# What is known of a server.


def test_what_lists_have_shown_of_their_lag() -> None:
    """Five fresh lists in a row are enough to believe that they do not lag, until one does; no lag is for ever."""
    experience = Experience()
    for _ in range(4):
        experience.list_was_fresh()
    assert experience.lags is None
    experience.list_was_fresh()
    assert experience.lags is False
    experience.list_lagged(1.0, 5.0)
    assert (experience.lags, experience.lag, experience.longest_lag) == (True, LAG, 5.0)
    experience.list_lagged(7.0, 9.0)
    experience.list_lagged(4.0, 4.0)
    assert (experience.lag, experience.longest_lag) == (7.0, 9.0)
    experience.list_lagged(77.0, 99.0)
    assert (experience.lag, experience.longest_lag) == (30.0, 30.0)
    for _ in range(9):
        experience.list_was_fresh()
    assert experience.lags is True


def test_what_streams_have_shown_of_their_life() -> None:
    """Three lives that are much alike tell when to open the next one; young ends and ends together tell nothing."""
    experience = Experience()
    for number, life in enumerate((60.0, 4.9, 90.0)):
        experience.lived(life, number * 10.0)
    experience.lived(100.0, 20.01)
    assert experience.renew_after is None
    experience.lived(80.0, 40.0)
    assert experience.renew_after == pytest.approx(57.0)
    for _ in range(2):
        experience.renewed(well=False)
    assert experience.renew_after is not None
    experience.renewed(well=False)
    assert experience.renew_after is None
    experience.renewed(well=True)
    for _ in range(2):
        experience.renewed(well=False)
    assert experience.renew_after is not None
    experience.lived(121.0, 60.0)
    assert experience.renew_after is None


def test_what_is_known_of_silence_and_of_clocks() -> None:
    """The longest of each counts, within reason."""
    experience = Experience()
    assert experience.stall == 600.0
    for seconds, stall in ((2.0, 20.0), (15.0, 45.0), (10.0, 45.0)):
        experience.heartbeat_after(seconds)
        assert experience.stall == stall
    for behind, known in ((-1.0, 0.0), (3.0, 3.0), (2.0, 3.0), (600.0, 600.0), (600.1, 600.0)):
        experience.stamped(behind)
        assert experience.behind == known
    assert [experience.reopen_at(now) for now in (1.0, 1.0, 0.0, 2.0)] == pytest.approx([1.0, 1.005, 1.01, 2.0])
    assert experience.heads_come
    patience = experience.patience
    experience.head_came(in_time=False)
    assert (experience.patience, experience.heads_come) == (0.5, False)
    experience.head_came(in_time=True)
    assert (experience.patience, experience.heads_come) == (patience, True)


# Scans.


def test_a_scan_that_ends_at_what_is_settled() -> None:
    """From the newest on: at the first row that was read before; where nothing was, well behind the floor."""
    newest = [stamped(str(number), number) for number in range(60, 0, -1)]
    scan = HistoryScan(Experience(order=NEWEST_FIRST), settled=["40"])
    assert not scan.add(newest[:10], "a")
    assert scan.add(newest[10:21], "b")
    for floor, over in ((61.0, False), (62.0, True), (59.0, False)):
        scan = HistoryScan(Experience(order=NEWEST_FIRST), floor=EPOCH + floor)
        assert scan.add(newest[:10], "a") is over
    scan = HistoryScan(Experience(order=NEWEST_FIRST), floor=EPOCH + 60.5)
    assert not scan.add([stamped(str(number), 60 - number / 100) for number in range(19)], "a")
    assert scan.add([stamped("19", 59.5)], "b")


def test_where_the_next_scan_may_begin() -> None:
    """At the last cursor of the server's own before which all is known; else at a row, with witnesses after it."""
    listed = [stamped(str(number), number * 5) for number in range(12)]
    scan = HistoryScan(Experience(order=OLDEST_FIRST))
    scan.add(listed[:5], "a")
    scan.add(listed[5:10], "b")
    scan.add(listed[10:], None)
    assert scan.is_whole
    assert scan.next_anchor([str(number) for number in range(8)]) == Anchor("a", frozenset({"5", "6", "7"}))
    assert scan.next_anchor([str(number) for number in range(12)]) == Anchor("b", frozenset({"10", "11"}))
    assert scan.next_anchor(["0", "1", "2"]) == Anchor("0", frozenset({"1", "2"}))
    assert scan.next_anchor(["0"]) is None
    assert scan.next_anchor([]) is None
    single = HistoryScan(Experience(order=OLDEST_FIRST))
    single.add(listed, None)
    assert single.next_anchor([str(number) for number in range(9)]) == Anchor("3", frozenset("45678"))


def test_which_way_a_list_runs_of_which_no_times_tell() -> None:
    """What was there before stands before what is known; in a short list the known stands first, in a long one last."""

    def way(listed: str, before: str = "") -> int:
        # Capitals are known.
        ranks = {one: 1.0 for one in listed if one.isupper()}
        scan = HistoryScan(Experience(), ranks=ranks, before=before)
        scan.add([stamped(one, None) for one in listed], None)
        return scan.way

    assert way("abc") == OLDEST_FIRST
    assert (way("BxK", "B"), way("KxB", "B")) == (OLDEST_FIRST, NEWEST_FIRST)
    assert (way("ABabcK", "AB"), way("KabcAB", "AB")) == (OLDEST_FIRST, NEWEST_FIRST)
    # The mean of those before decides, wherever the middle of the list is.
    assert way("aBcKdefghij", "B") == OLDEST_FIRST
    assert (way("Kab"), way("abK")) == (OLDEST_FIRST, NEWEST_FIRST)
    assert (way("KLaM"), way("aKLb")) == (OLDEST_FIRST, OLDEST_FIRST)
    assert (way("abcdefghiK"), way("abcdefghijK")) == (NEWEST_FIRST, OLDEST_FIRST)
    assert (way("Kabcdefghi"), way("Kabcdefghij")) == (OLDEST_FIRST, NEWEST_FIRST)


def test_what_stands_before_an_anchor() -> None:
    """What is known for longer than it; nothing, where it is the server's own cursor, or is not begun at."""
    ranks = {"0": 0.0, "1": 1.0, "2": 2.0}
    scan = HistoryScan(Experience(order=OLDEST_FIRST), ranks=ranks, anchor=Anchor("1", frozenset({"2"})))
    assert [scan.begins_after(one) for one in ("0", "1", "2", "x")] == [True, True, False, False]
    scan.refused()
    assert not scan.begins_after("0")
    scan = HistoryScan(Experience(order=OLDEST_FIRST), ranks=ranks, anchor=Anchor("cursor", frozenset({"2"})))
    assert [scan.begins_after(one) for one in ("0", "x")] == [False, False]


def test_a_list_whose_cursors_are_refused() -> None:
    """It is begun anew three times."""
    scan = HistoryScan(Experience())
    for _ in range(3):
        assert not scan.may_begin_again
        scan.add([stamped("1", 1.0)], "cursor")
        assert scan.may_begin_again
        scan.refused()
        assert (scan.cursor, scan.listed) == (None, [])
    scan.add([stamped("1", 1.0)], "cursor")
    assert not scan.may_begin_again


def test_a_scan_that_ends_at_its_anchor() -> None:
    """From the newest on, where nobody knows the server's time."""
    scan = HistoryScan(Experience(order=NEWEST_FIRST), anchor=Anchor("5"))
    assert not scan.add([stamped(str(number), None) for number in (9, 8, 7)], "a")
    assert scan.add([stamped(str(number), None) for number in (6, 5, 4)], "b")
    scan = HistoryScan(Experience(order=NEWEST_FIRST), anchor=Anchor("5"), floor=EPOCH)
    assert not scan.add([stamped(str(number), None) for number in (6, 5, 4)], "a")


# States.


class Talk:
    """A conversation's state, and a clock.

    Attributes:
        state: The state.
        experience: What is known of its server.
        now: The time.
    """

    def __init__(self, experience: Experience | None = None, *, known_lives: int = 0) -> None:
        self.now, self.experience = NOW, experience or Experience()
        for number in range(known_lives):
            self.experience.lived(100.0, NOW - 100 + number)
        self.state = ConversationState(THREAD, self.experience, lambda: 0.0, self.server_time, {}, NOW, EPOCH, log)

    @staticmethod
    def server_time(now: float) -> float:
        return EPOCH - NOW + now

    def commands(self, seconds: float = 0.0) -> list[Command]:
        """What is to be done so many seconds from now, with somebody who listens all the while."""
        self.now += seconds
        self.state.streams.listened(self.now)
        return self.state.commands(self.now, EPOCH - NOW + self.now)

    def connect(self, within: float = 0.0) -> str:
        """The job of the stream that is to be opened within so many seconds, and not before."""
        if within:
            assert not any(isinstance(command, Connect) for command in self.commands(within - 0.01))
        (job,) = (command.job for command in self.commands(0.02 if within else 0.0) if isinstance(command, Connect))
        return job

    def is_connecting(self) -> bool:
        return any(isinstance(command, Connect) for command in self.commands())


def test_a_stream_that_fails_is_asked_for_ever_more_seldom() -> None:
    """Half a second later, a second, and so on up to thirty; later where the server says so, but no later than that."""
    talk = Talk()
    job = talk.connect()
    for delay in (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0):
        talk.state.streams.failed(job, "no", talk.now)
        job = talk.connect(delay)
    talk = Talk()
    job = talk.connect()
    for wait, delay in ((3.0, 3.0), (0.1, 1.0), (99.0, 30.0)):
        talk.state.streams.failed(job, "no", talk.now, wait)
        job = talk.connect(delay)


def test_a_stream_that_ends_is_opened_again_at_once() -> None:
    """But where streams end young again and again: half a second later then, a second, and so on."""
    talk = Talk()
    job = talk.connect()
    for delay in (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0):
        talk.state.streams.opened(job, talk.now)
        talk.state.streams.ended(job, "cut", talk.now)
        job = talk.connect(delay)
    for _ in range(3):
        talk.state.streams.opened(job, talk.now)
        talk.now += 5.0
        talk.state.streams.ended(job, "cut", talk.now)
        job = talk.connect()
    talk.state.streams.opened(job, talk.now)
    talk.state.streams.heard(job, b"retry: 3000\n\n", talk.now)
    talk.state.streams.ended(job, "cut", talk.now)
    talk.connect(3.0)


def test_streams_that_end_together_are_opened_one_after_the_other() -> None:
    """Those for which nobody waits; and their lives tell when to open the next one before the last has ended."""
    experience = Experience()
    talks = [Talk(experience) for _ in range(3)]
    jobs = [talk.connect() for talk in talks]
    for talk, job in zip(talks, jobs, strict=True):
        talk.state.streams.opened(job, talk.now)
        talk.now += 100.0
        if talk is talks[2]:
            talk.state.accepted(Accepted("1", talk.now, None), talk.now)
        talk.state.streams.ended(job, "cut", talk.now)
    assert [talk.is_connecting() for talk in talks] == [True, False, True]
    talks[1].now += 0.006
    assert talks[1].is_connecting()
    talk = Talk()
    job = talk.connect()
    for _ in range(3):
        talk.state.streams.opened(job, talk.now)
        talk.now += 100.0
        talk.state.streams.ended(job, "cut", talk.now)
        job = talk.connect()
    assert talk.experience.renew_after == pytest.approx(95.0)


def test_a_stream_that_is_refused_is_asked_for_ever_more_seldom() -> None:
    """A minute later, two, and so on up to ten; where streams have brought something, three refusals are doubted."""
    for delivers, delays in ((False, ()), (True, (0.5, 1.0, 2.0))):
        talk = Talk()
        talk.experience.delivers = delivers
        job = talk.connect()
        for delay in (*delays, 60.0, 120.0, 240.0, 480.0, 600.0, 600.0):
            talk.state.streams.refused(job, "404", talk.now)
            assert not talk.state.is_opening
            job = talk.connect(delay)


def test_who_asks_has_a_stream_opened_at_once() -> None:
    """Where the last attempts have not failed more than once, and streams are to be had at all."""
    for delays, at_once in (((), True), ((0.5,), False)):
        talk = Talk()
        job = talk.connect()
        for delay in delays:
            talk.state.streams.failed(job, "no", talk.now)
            job = talk.connect(delay)
        talk.state.streams.failed(job, "no", talk.now)
        assert not talk.is_connecting()
        talk.state.ask(talk.now)
        assert talk.is_connecting() is at_once
    talk = Talk()
    talk.state.streams.refused(talk.connect(), "404", talk.now)
    talk.state.ask(talk.now)
    assert not talk.is_connecting()
    assert talk.state.is_asking
    talk.state.asked()
    assert not talk.state.is_asking
    talk.connect(60.0)


def test_a_renewal_that_fails_is_tried_again_later() -> None:
    """Ten seconds later, while the last stream goes on."""
    talk = Talk(known_lives=3)
    talk.state.streams.opened(talk.connect(), talk.now)
    talk.state.streams.heard("stream 1", b":\n", talk.now)
    while not (jobs := [command.job for command in talk.commands(1.0) if isinstance(command, Connect)]):
        talk.state.streams.heard("stream 1", b":\n", talk.now)
    assert 75 < talk.now - NOW <= 96
    talk.state.streams.failed(jobs[0], "no", talk.now)
    assert talk.state.is_open
    talk.state.streams.heard("stream 1", b":\n", talk.now)
    talk.connect(10.0)


def test_a_list_that_fails_is_looked_at_ever_more_seldom() -> None:
    """Half a second later, a second, and so on."""
    talk = Talk()
    talk.state.begin_without_stream(talk.now)
    talk.state.streams.opened(talk.connect(), talk.now)
    assert any(isinstance(command, AskPage) for command in talk.commands(0.2))
    for delay in (0.5, 1.0, 2.0, 4.0):
        talk.state.scans.failed(talk.now)
        assert not any(isinstance(command, AskPage) for command in talk.commands(delay - 0.01))
        assert any(isinstance(command, AskPage) for command in talk.commands(0.02))
    # It had no cursor that could have been refused.
    assert not talk.state.scans.page_refused(talk.now)


def test_a_reply_waits_for_the_list_until_time_is_up() -> None:
    """Another message of ours waits for what may have come in a gap, and it may be a reply that was made before this
    one; at the end of an `ask` this one is given all the same.
    """
    talk = Talk()
    job = talk.connect()
    talk.state.ask(talk.now)
    own = talk.state.accepted(Accepted("1", talk.now, talk.server_time(talk.now)), talk.now)
    talk.commands(3.0)
    talk.state.accepted(Accepted("2", talk.now, talk.server_time(talk.now)), talk.now)
    talk.commands(1.0)
    talk.state.streams.opened(job, talk.now)
    talk.now += 1.0
    early = json.dumps({"id": "3", "messageBody": "reply", "createdAt": stamped("3", 0.5).created_at}, default=str)
    (reply,) = talk.state.streams.heard(job, f"data: {early}\n\n".encode(), talk.now)
    assert talk.state.take_reply(own, talk.now) is None
    assert talk.state.take_reply(own, talk.now, last=True) == reply
    assert talk.state.take_reply(own, talk.now, last=True) is None


def test_the_list_has_the_last_word() -> None:
    """A reply that the stream has left out is found by a look shortly before an `ask` ends."""
    for seconds, looked in ((4.5, 1.0), (2.0, 0.5)):
        scenario = Scenario(life=None)
        scenario.chat.open()
        asked = scenario.chat.ask("hello", seconds)
        scenario.say(0.5, "reply", streamed=False)
        scenario.run(60)
        assert asked.value().text == "reply"
        assert seconds - looked <= asked.took <= seconds


# Conversations.


def test_how_long_to_wait_for_the_next_message() -> None:
    """As long as it takes, or so many seconds; nothing else."""
    flow = ConversationFlow(Caller().settings, THREAD)
    assert flow.patience(None) is None
    assert flow.patience(5) == 5.0
    for wrong in (0, -1, "5", float("nan")):
        with pytest.raises(InvalidArgumentError, match=r"^timeout: "):
            flow.patience(wrong)


def ended(flow: Flow[Any]) -> UsageError:
    """The error that a flow ends with before it does anything."""
    with pytest.raises(UsageError) as error:
        next(flow)
    return error.value


def calls(flow: ConversationFlow, settings: Settings) -> Iterator[Flow[Any]]:
    yield flow.send("x", settings.deadline(5))
    yield flow.ask("x", settings.deadline(5))
    yield flow.next(1.0)


def test_a_conversation_that_was_not_opened() -> None:
    """Nothing can be done in it, and the error says how to open it."""
    settings = Caller().settings
    for call in calls(ConversationFlow(settings, THREAD), settings):
        assert "is not open" in str(ended(call))


@pytest.mark.parametrize(
    ("what", "told"),
    [("client", "this client was closed"), ("thread", "was closed by this program"), ("process", "another process")],
)
def test_a_conversation_that_was_closed_from_outside(what: str, told: str) -> None:
    """Whoever goes on in it is told by whom, and how to do better; who iterates is told where it is no good end."""
    scenario = Scenario().listening()
    chat = scenario.chat
    scenario.run(1)
    if what == "process":
        chat.flow.forked()
    else:
        chat._mailbox.post(Closed(what))
        scenario.run(1)
    (send_again, ask_again, _) = calls(chat.flow, scenario.client)
    for call in (send_again, ask_again):
        error = ended(call)
        assert told in str(error)
        assert (what == "thread") is (scenario.thread_id in str(error))
        assert error.__notes__
    assert "was open before" in str(ended(chat.flow.open()))


def test_an_ask_that_is_ended_from_outside() -> None:
    """Once its message was accepted, whoever catches that is told not to send it again; before, there is no such note.
    A text that can be none is refused before anything is done.
    """
    for accepted in (False, True):
        caller = Caller()
        settings = caller.settings
        flow = ConversationFlow(settings, THREAD).ask_once("hello", settings.deadline(60))
        effect: Effect[Any] = next(flow)
        while not isinstance(effect, SendRequest):
            # Nothing comes, and no stream is opened.
            caller.now += effect.seconds if isinstance(effect, Receive) else 0.0
            assert caller.now < NOW + 60
            effect = flow.send(None)
        effect.exchange.is_ours = True
        if accepted:
            flow.send(receipt())
        with pytest.raises(KeyboardInterrupt) as ending:
            flow.throw(KeyboardInterrupt())
        notes = getattr(ending.value, "__notes__", [])
        assert any("accepted (1): do not send it again" in note for note in notes) is accepted
    with pytest.raises(InvalidArgumentError, match=r"^text: "):
        next(ConversationFlow(settings, THREAD).ask_once("", settings.deadline(5)))


def test_a_conversation_is_read_by_one() -> None:
    """A second one who reads is told so, and the first goes on; when it has ended, another may."""
    scenario = Scenario().listening()
    second = scenario.chat.replies(1.0)
    scenario.run(0.1)
    assert isinstance(second.error, UsageError)
    scenario.say(1, "one")
    scenario.run(5)
    assert scenario.chat.texts == ["one"]
