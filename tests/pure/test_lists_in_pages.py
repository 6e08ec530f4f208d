"""Lists of messages in pages: what the requests contain, which pages are errors, and where a list ends."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from featherhq import APITimeoutError, InvalidArgumentError, ResponseDecodeError
from featherhq._core.pagination import EndlessListError, History, Pages
from featherhq._core.responses import Response
from featherhq._core.slots import Priority, Urgency
from featherhq._threads import flows
from featherhq._threads.lists import MessageList
from featherhq.models import Message
from flow_caller import OTHER, THREAD, Caller, ok, page, rows


def test_a_page_is_requested_with_the_given_values() -> None:
    """Each request has the given direction, status and page size, and the cursor of the page before. Invalid values
    are errors.
    """
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


@pytest.mark.parametrize(
    ("response", "found"),
    [
        (ok({"thread": {"messages": {}}}), "no list of messages"),
        (page([*rows(1), {"id": "2"}]), "no id or no text"),
        (page(rows(1), "a\nb"), "an invalid cursor"),
        (page(rows(1), "x" * 1025), "an invalid cursor"),
    ],
)
def test_a_page_with_a_broken_message_or_cursor_is_an_error(response: Response, found: str) -> None:
    """A page without a list, with an incomplete message or with an invalid cursor is an error, so that no message is
    lost.
    """
    caller = Caller()
    deadline = caller.settings.deadline(None)
    error = caller.run(flows.list_messages(caller.settings, flows.Listing(THREAD), None, deadline), response)
    assert isinstance(error, ResponseDecodeError)
    assert found in str(error)


def test_a_page_may_have_small_faults() -> None:
    """A page may lack its pagination, and its cursor may be empty or a number. Messages of another thread are left
    out.
    """
    caller = Caller()
    deadline = caller.settings.deadline(None)
    mixed = [*rows(1, threadId=OTHER), *rows(2, threadId=THREAD.upper()), *rows(3)]
    for response, cursor in (
        (ok({"thread": {"messages": mixed}}), None),
        (ok({"thread": {"messages": mixed, "pagination": []}}), None),
        (page(mixed, ""), None),
        (page(mixed, 7), "7"),
    ):
        came = caller.run(flows.list_messages(caller.settings, flows.Listing(THREAD), None, deadline), response)
        assert ([message.id for message in came.messages], came.next_cursor) == (["2", "3"], cursor)


def test_a_history_is_read_from_all_its_pages() -> None:
    """A history is read from as many pages as needed, and some of them may be empty. After the last page, there are
    no more requests.
    """
    caller = Caller()
    history = MessageList(caller.settings, THREAD)
    first = caller.run(
        history.next(),
        page(rows(1, 2), "a"),
        page([], "b"),
        page(rows(3)),
    )
    assert [message.id for message in first] == ["1", "2", "3"]
    assert [request["params"].get("cursor") for request in caller.requests] == [None, "a", "b"]
    assert history.is_over
    assert caller.run(history.next()) == []
    assert len(caller.requests) == 3


def test_a_history_without_an_end_is_an_error() -> None:
    """A hundred pages in a row without a new message are an error of the server, if each of them names a next page."""
    caller = Caller()
    responses = [page([], str(number)) for number in range(120)]
    error = caller.run(MessageList(caller.settings, THREAD).next(), *responses)
    assert isinstance(error, ResponseDecodeError)
    assert "100 pages in a row" in str(error)
    assert len(caller.requests) == 100


def test_pages_without_new_messages_share_one_timeout() -> None:
    """Each page with new messages gives the next page the whole timeout of the client. Pages without new messages
    share one timeout.
    """
    newest = [page(rows(number), str(number)) for number in (9, 8, 7, 6)]
    caller = Caller(takes=25.0)
    listed = caller.run(MessageList(caller.settings, THREAD).next(), *newest, page(rows(5)))
    assert [message.id for message in listed] == ["5", "6", "7", "8", "9"]
    caller = Caller(takes=25.0)
    nothing = [page([], str(number)) for number in range(9)]
    error = caller.run(MessageList(caller.settings, THREAD).next(), newest[0], *nothing)
    assert isinstance(error, APITimeoutError)
    assert len(caller.requests) == 1 + 3


def test_the_hundredth_page_without_new_messages_is_an_error() -> None:
    """The hundredth page in a row without new messages is an error, unless it is the last page. After a page with
    new messages, the count begins again.
    """
    pages = Pages()
    for number in range(99):
        assert pages.follow(str(number), brought_something=False)
    assert pages.follow("something", brought_something=True)
    for number in range(99):
        assert pages.follow(f"again {number}", brought_something=False)
    with pytest.raises(EndlessListError, match="100 pages"):
        pages.follow("one more", brought_something=False)
    assert not pages.follow(None, brought_something=False)
    assert not pages.follow("0", brought_something=True)
    assert pages.cursor == "again 98"


def test_the_last_messages_keep_their_order_if_one_has_no_time() -> None:
    """If a list begins with the oldest message and one of its last messages has no time, the last messages keep the
    order of the list. The times of the others do not change that.
    """

    def row(id_: str, second: float | None) -> Message:
        made = None if second is None else datetime.fromtimestamp(1e9 + second, UTC)
        return Message(id_, "x", "OUTBOUND", made)

    history = History()
    history.add([row(f"old {number}", number * 10) for number in range(20)], "a")
    history.add([row("1", 400.0)], "b")
    assert [one.id for one in history.add([row("2", None), row("3", 399.0)], None)] == ["1", "2", "3"]
